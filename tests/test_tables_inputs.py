"""Training and prediction from every kind of source, by the commands, and the options of reading that a run keeps."""

import json
import re
import sqlite3
import zipfile
from pathlib import Path

import fsspec
import polars as pl
import pytest
import xlsxwriter
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli import tables as commands
from chainrule.cli.app import app
from test_tables_script import printed
from test_tables_training import passengers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # what is advised after two epochs

SMALL = {"max_iter": 2, "hidden_layer_sizes": (4,)}
QUICK = ["--epochs", "2", "--layers", "4"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result


def refused(*arguments, match):
    result = run(*arguments, status=2)
    assert re.search(match, result.stderr), result.stderr


def excel(frame):
    frame.write_excel("t.xlsx")
    return "t.xlsx"


def archive(frame):
    with zipfile.ZipFile("t.zip", "w") as file:
        file.writestr("t.csv", frame.write_csv())
        file.writestr("u.csv", "a\n1\n")
    return "t.zip/t.csv"


def folder(frame):
    Path("t").mkdir(exist_ok=True)
    for i in range(3):
        frame[100 * i : 100 * (i + 1)].write_parquet(f"t/part-{i}.parquet")
    return "t"


def database(frame):
    with sqlite3.connect("t.db") as base:
        base.execute("DROP TABLE IF EXISTS t")
        base.execute(f"CREATE TABLE t ({', '.join(frame.columns)})")
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * frame.width)})", frame.rows())
    base.close()
    return "sqlite:///t.db"


def address(frame):
    with fsspec.open("memory://t.csv", "wb") as file:
        frame.write_csv(file)
    return "memory://t.csv"


@pytest.mark.parametrize("make", [excel, archive, folder, database, address])
def test_every_kind_is_trained_on_and_predicted(make, here):
    frame = passengers()
    source = make(frame)
    said = run("train", source, "--target", "survived", *QUICK).output
    assert "210 training, 30 validation, 60 test" in said
    assert [path.name for path in Path("runs").iterdir()] == ["t"]
    saved = tables.load("runs/t")
    expected = tables.predict(saved, frame.drop("survived"))[0]
    run("predict", "runs/t", make(frame.drop("survived")), "--out", "p.csv")
    assert pl.read_csv("p.csv")["prediction"].to_list() == expected["prediction"].to_list()
    assert "accuracy" in run("evaluate", "runs/t", make(frame)).output
    assert json.loads(Path("runs/t/config.json").read_text())["source"] == source


@pytest.mark.parametrize("make", [excel, folder])
def test_the_script_reads_the_same(make):
    source = make(passengers())
    scores = tables.train(source, "survived", parameters=SMALL).scores
    assert printed(tables.script(source, "survived", parameters=SMALL)) == scores


TITLES = "made by hand\nin two lines\n"


def awkward(frame):
    """Return a file with lines above the header, an encoding and words for missing values that must be given."""
    text = frame.with_columns(pl.col("port").replace("Q", "Ünis"), pl.col("age").cast(pl.String).fill_null("rien"))
    return (TITLES + text.write_csv(separator=";")).encode("cp850")


class TestOptions:
    GIVEN = ("--skip", "2", "--encoding", "cp850", "--na", "rien,keine")

    def test_they_are_kept_for_new_rows(self, monkeypatch):
        frame = passengers()
        Path("t.csv").write_bytes(awkward(frame))
        run("train", "t.csv", "--target", "survived", *QUICK, *self.GIVEN)
        saved = tables.load("runs/t")
        form = saved.schema.format
        assert (form.skip, form.encoding, form.missing[-2:]) == (2, "cp850", ("rien", "keine"))
        assert saved.schema.used[1].kind == "number"
        new = frame.drop("survived")
        expected = tables.predict(saved, new.with_columns(pl.col("port").replace("Q", "Ünis")))[0]
        Path("new.csv").write_bytes(awkward(new))
        found, notes = tables.predict(saved, "new.csv")
        assert found.equals(expected)
        assert not any("unseen" in note for note in notes)
        run("predict", "runs/t", "new.csv", "--out", "p.parquet")
        assert pl.read_parquet("p.parquet").equals(expected)
        monkeypatch.setattr("chainrule.tables.files.LARGE", 1)  # block by block
        refused("predict", "runs/t", "new.csv", match="streaming needs the header in the first line|not UTF-8")
        monkeypatch.undo()

    def test_another_file_may_have_others(self):
        frame = passengers()
        Path("t.csv").write_bytes(awkward(frame))
        run("train", "t.csv", "--target", "survived", *QUICK, *self.GIVEN)
        new = awkward(frame).removeprefix(TITLES.encode()).decode("cp850").replace("rien", "nix").encode("utf-16")
        Path("new.csv").write_bytes(new)
        refused("predict", "runs/t", "new.csv", match="cp850|training columns")
        given = ("--skip", "0", "--encoding", "utf-16", "--na", "nix")
        run("predict", "runs/t", "new.csv", *given, "--out", "p.csv")
        assert pl.read_csv("p.csv").height == 300
        assert "accuracy" in run("evaluate", "runs/t", "new.csv", *given).output

    def test_in_python_in_the_script_and_in_a_resumed_run(self, monkeypatch):
        Path("t.csv").write_bytes(awkward(passengers()))
        options = {"skip": 2, "encoding": "cp850", "na": ["rien"]}
        trained = tables.train("t.csv", "survived", parameters=SMALL, **options)
        assert {name: trained.settings[name] for name in options} == options
        assert "skip=2" in trained.command
        assert printed(tables.script("t.csv", "survived", parameters=SMALL, **options)) == trained.scores
        with monkeypatch.context() as patch:
            patch.setattr("chainrule.tables.fitting.models.network", power_cut)
            with pytest.raises(RuntimeError, match="power cut"):
                run("train", "t.csv", "--target", "survived", *QUICK, *self.GIVEN, "--out", "run")
        refused("train", "t.csv", "--resume", "run", "--skip", "3", match="--skip: .* was started with 2, got 3")
        run("train", "t.csv", "--resume", "run", *self.GIVEN)
        assert tables.load("run").schema.format.skip == 2

    def test_no_header(self):
        frame = passengers()
        Path("t.csv").write_text(frame.write_csv(include_header=False))
        run("train", "t.csv", "--target", "column_8", *QUICK, "--no-header", "--out", "run")
        settings = json.loads(Path("run/config.json").read_text())["settings"]
        assert settings["header"] is False
        run("predict", "run", "t.csv", "--out", "p.csv")
        assert pl.read_csv("p.csv").height == 300
        run("train", "t.csv", "--target", "column_8", *QUICK, "--no-header", "--resume", "run", status=2)

    def test_they_do_not_apply_to_data_sets(self):
        for option in (
            ["--na", "x"],
            ["--no-header"],
            ["--header"],
            ["--skip", "0"],
            ["--query", "t"],
            ["--sheet", "1"],
        ):
            refused("train", "moons", *option, match=f"{option[0].replace('no-', '')} applies only to tables")

    def test_a_test_file_of_another_kind(self):
        frame = passengers()
        source, test = database(frame[:200]), "test.csv"
        frame[200:].write_csv(test)
        options = {"parameters": SMALL, "query": "SELECT * FROM t", "test": test}
        trained = tables.train(source, "survived", **options)
        assert trained.split.test == 100
        with sqlite3.connect("other.db") as base:
            base.execute("CREATE TABLE one (a)")
            base.execute(f"CREATE TABLE t ({', '.join(frame.columns)})")
            base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * frame.width)})", frame[200:].rows())
        base.close()
        again = tables.train(source, "survived", **options | {"test": "sqlite:///other.db"})
        assert again.scores == trained.scores


def power_cut(*_, **__):
    raise RuntimeError("power cut")


def test_sheets():
    with xlsxwriter.Workbook("t.xlsx") as book:
        pl.DataFrame({"a": [1]}).write_excel(book, "Info")
        passengers().write_excel(book, "Data")
    run("train", "t.xlsx", "--sheet", "Data", "--target", "survived", *QUICK)
    assert tables.load("runs/t").schema.format.sheet == "Data"
    run("predict", "runs/t", "t.xlsx", "--out", "p.csv")
    passengers().write_excel("new.xlsx")
    refused("predict", "runs/t", "new.xlsx", match="no sheet 'Data'. It has: Sheet1")
    run("predict", "runs/t", "new.xlsx", "--sheet", "1", "--out", "q.csv")
    assert Path("q.csv").read_bytes() == Path("p.csv").read_bytes()


def test_several_files_that_do_not_fit_into_memory(monkeypatch):
    source = folder(passengers())
    monkeypatch.setattr(commands, "free_memory", lambda: 10_000)
    refused(
        "train", source, "--target", "survived",
        match=r"t would take about [\d.]+ kB of memory, with 3 kB available, and several files cannot be streamed: join",
    )  # fmt: skip
    refused("train", "t/*.parquet", "--target", "survived", match="several files cannot be streamed")
    monkeypatch.undo()
    refused("train", "t/*.parquet", "--target", "survived", "--stream", match="several files cannot be streamed")


def test_tune_reads_the_same(here):
    source = database(passengers())
    run("tune", source, "--query", "SELECT * FROM t", "--target", "survived", "--trials", "1", "--folds", "2")
    assert json.loads(Path("runs/t-tune/config.json").read_text())["settings"]["query"] == "SELECT * FROM t"
