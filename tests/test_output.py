"""What the command line prints and where it writes: data as UTF-8, nothing that a terminal obeys, nothing out of a run."""

import gc
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule import tables
from chainrule.cli.app import app
from chainrule.cli.output import printable, say, tell
from chainrule.tables.output import WRITERS
from chainrule.tables.tuning import study as studies

pytestmark = pytest.mark.slow

CITIES = ("Łódź", "Łódż")


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def frame():
    x = np.linspace(-1, 1, 60)
    return pl.DataFrame({"x": x, "y": x[::-1] ** 2, "city": [CITIES[int(value > 0)] for value in x]})


@pytest.fixture(scope="module")
def cities(tmp_path_factory):
    """Return the folder of a run whose two labels differ in letters that code page 1252 does not have."""
    folder = tmp_path_factory.mktemp("cities")
    tables.save(tables.train(frame(), "city", parameters={"max_iter": 3}), folder / "run")
    frame().drop("city").head(3).write_csv(folder / "new.csv")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_predictions_are_utf_8_whatever_the_pipe(cities, encoding):
    """Data are bytes; only messages may have letters replaced."""
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "predict", "run", "new.csv"],
        cwd=cities, env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, capture_output=True, check=True,
    )  # fmt: skip
    printed = result.stdout.decode("utf-8")
    assert any(city in printed for city in CITIES)
    assert "?" not in printed


def test_a_minus_sign_is_not_lost_in_a_pipe_without_it():
    """Windows has code page 1252 in pipes: "R² ?0.29" would have no sign."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="chainrule", newline="")
    stream.write("R² −0.29, 42 → 43, ψ")
    stream.seek(0)
    assert stream.read() == "R² -0.29, 42 -> 43, ?"


def test_the_printed_script_is_utf_8(cities):
    frame().write_csv(cities / "cities.csv")
    source = "cities.csv"
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "train", source, "--target", "city", "--print-python"],
        cwd=cities, env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}, capture_output=True, check=True,
    )  # fmt: skip
    compile(result.stdout.decode("utf-8"), "script.py", "exec")


HOSTILE = "evil\x1b[2J\x1b]0;title\x07\u202egnp\u2028name"


def test_what_a_terminal_would_obey_is_written_out():
    assert printable("plain, café, 日本\n\t−") == "plain, café, 日本\n\t−"
    shown = printable(HOSTILE)
    assert shown == r"evil\x1b[2J\x1b]0;title\x07\u202egnp\u2028name"
    assert printable("\ud800") == r"\ud800"


def test_messages_on_both_streams_are_escaped(capsys):
    say(HOSTILE)
    tell(HOSTILE)
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert printed.out == printed.err == printable(HOSTILE) + "\n"


def test_names_and_labels_of_a_table_reach_the_terminal_escaped(here):
    """Columns, categories, classes and their notes: whatever a stranger's file calls them."""
    x = np.linspace(-1, 1, 80)
    rows = {HOSTILE: x, "c": [HOSTILE if i % 3 else "b" for i in range(80)]}
    labels = [HOSTILE if i % 10 else "rare\x1b[2J" for i in range(80)]
    pl.DataFrame({**rows, "t": labels}).write_parquet("rows.parquet")
    result = run("train", "rows.parquet", "--target", "t", "--epochs", "2", "--out", "run")
    assert "\\x1b[2J" in result.output
    pl.DataFrame({"c": ["new\x1b[2J"], HOSTILE: [0.5]}).write_parquet("new.parquet")
    predicted = run("predict", "run", "new.parquet")
    pl.DataFrame({"other\x1b[2J": [0.5]}).write_parquet("other.parquet")
    refused = run("predict", "run", "other.parquet", status=2)
    missing = run("train", "rows.parquet", "--target", "no\x1b[2J", "--out", "no", status=2)
    for printed in (result.output, predicted.stderr, refused.output, missing.output):
        assert not {"\x1b", "\x07", "\u202e", "\u2028"} & set(printed)


def test_classes_of_a_strangers_run_reach_the_terminal_escaped(here):
    run("train", "moons", "--epochs", "1", "--quiet")
    path = here / "runs" / "moons" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "classes": [HOSTILE, "b"]}), encoding="utf-8")
    for command in (["explain", "runs/moons", "--row", "0"], ["evaluate", "runs/moons"]):
        result = CliRunner().invoke(app, command)
        assert not {"\x1b", "\x07", "\u202e"} & set(result.output), command


class TestLinks:
    """Inside the folder of a run no link is followed, to write or to delete."""

    @pytest.fixture
    def precious(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("elsewhere")
        for name in ("precious.txt", "checkpoint-000001.safetensors", "run.json"):
            (folder / name).write_text("precious")
        yield folder
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "precious.txt": "precious", "checkpoint-000001.safetensors": "precious", "run.json": "precious",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["report.md", "report.html", "schema.json", "model.safetensors", "config.json"])
    def test_files_of_a_table_are_replaced(self, here, precious, name):
        frame().write_csv("cities.csv")
        Path("run").mkdir()
        Path("run", name).symlink_to(precious / "precious.txt")
        run("train", "cities.csv", "--target", "city", "--epochs", "1", "--out", "run", "--overwrite")
        assert not Path("run", name).is_symlink()

    @pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "curves.png", "config.json"])
    def test_files_of_a_data_set_are_replaced(self, here, precious, name):
        Path("run").mkdir()
        Path("run", name).symlink_to(precious / "precious.txt")
        run("train", "moons", "--epochs", "1", "--out", "run", "--overwrite")
        assert not Path("run", name).is_symlink()

    @pytest.mark.parametrize("arguments", [["moons"], ["cities.csv", "--target", "city"]])
    def test_checkpoints_elsewhere_are_neither_deleted_nor_written(self, here, precious, arguments):
        frame().write_csv("cities.csv")
        Path("run").mkdir()
        Path("run", "checkpoints").symlink_to(precious)
        for words in (["--overwrite", "--out", "run"], ["--resume", "run"]):
            result = run("train", *arguments, "--epochs", "1", *words, status=2)
            assert "is a link to" in result.stderr

    def test_a_planted_checkpoint_is_not_written_through(self, here, precious):
        Path("c").mkdir()
        Path("c", "checkpoint-000002.safetensors").symlink_to(precious / "precious.txt")
        network = cr.Network(1, [cr.layers.Dense(1)], "squared_error", seed=0)
        with pytest.warns(cr.training.CheckpointWarning), pytest.raises(cr.training.CheckpointError):
            cr.train(network, np.ones((4, 1)), np.ones(4), epochs=2, callbacks=[cr.Checkpoint("c")], resume="c")


@pytest.mark.parametrize("name", ["study.log", ".study.lock", ".study.lock-journal"])
def test_a_study_is_not_written_through_a_link(tmp_path, name):
    """The kind: links that lead writing out of a folder."""
    target = tmp_path / "precious.db"
    target.write_bytes(b"precious")
    folder = tmp_path / "tune"
    folder.mkdir()
    (folder / "study.log").touch()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(OSError, match="is a link to"):
        studies._make(folder)
    assert target.read_bytes() == b"precious"


class TestStrangersRun:
    """A folder says what its training reads; the user has the last word, and only regular files are opened."""

    @pytest.fixture
    def left(self, here):
        frame().write_csv("cities.csv")
        plan = {
            "kind": "table", "command": "chainrule train", "source": "cities.csv", "target": "city", "layers": None,
            "network": {"epochs": 2}, "table": {"test": 0.2, "seed": 0},
        }  # fmt: skip
        Path("run", "checkpoints").mkdir(parents=True)

        def write(**changes):
            Path("run", "checkpoints", "run.json").write_text(json.dumps({**plan, **changes}))

        write()
        return write

    def test_the_file_is_given_again(self, left):
        result = run("train", "--resume", "run", status=2)
        assert "reads cities.csv: give it again, as in chainrule train cities.csv --resume run" in result.stderr
        run("train", "cities.csv", "--resume", "run")

    def test_so_is_a_file_of_test_rows(self, left):
        frame().write_csv("test.csv")
        left(table={"test": "test.csv", "seed": 0})
        result = run("train", "cities.csv", "--resume", "run", status=2)
        assert "reads test.csv: give it again" in result.stderr
        run("train", "cities.csv", "--test", "test.csv", "--resume", "run")

    def test_what_is_not_a_regular_file_is_never_opened(self, left):
        os.mkfifo("pipe.csv")
        for path in ("/dev/zero", "pipe.csv"):
            left(source=path)
            assert "which is not a file here" in run("train", "--resume", "run", status=2).stderr
        left(source=".")  # a folder of tables
        assert "reads .: give it again" in run("train", "--resume", "run", status=2).stderr

    def test_a_run_killed_before_its_first_checkpoint_is_not_in_the_way(self, left):
        run("train", "cities.csv", "--target", "city", "--epochs", "1", "--out", "run")

    def test_one_killed_later_says_how_to_resume(self, left):
        Path("run", "checkpoints", "checkpoint-000001.safetensors").write_text("")
        result = run("train", "cities.csv", "--target", "city", "--out", "run", status=2)
        assert "resume it with chainrule train --resume run, or start over with --overwrite" in result.stderr


def test_ctrl_c_while_packages_are_imported_ends_without_a_traceback(tmp_path):
    """The first second of every command."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "train", "moons"], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def ended(arguments, stdout):
    command = [sys.executable, "-m", "chainrule", *arguments]
    ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=120, check=False)
    return ended.returncode, ended.stderr.decode()


SHORT, LONG, JSON = ["--version"], ["sample", "-", "--rows", "100"], ["sample", "a.csv", "--rows", "9", "--json"]


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="this system has no SIGPIPE")
@pytest.mark.parametrize("arguments", [SHORT, ["--help"], LONG, JSON, ["course"]])
def test_a_command_whose_reader_has_left_ends_as_other_unix_tools_do(arguments, here):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        status, said = ended(arguments, pipe)
    assert status == -signal.SIGPIPE
    assert "Error" not in said
    assert "Exception ignored" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [SHORT, ["--help"], LONG, JSON, ["course"]])
def test_output_to_a_full_disk_is_an_error_in_one_sentence(arguments, here):
    with Path("/dev/full").open("wb") as full:
        status, said = ended(arguments, full)
    assert status == 1
    errors = [line for line in said.splitlines() if "Error" in line]
    assert len(errors) == 1
    assert "No space left on device." in errors[0]
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_workbook_on_a_full_disk_leaves_no_open_archive():
    """An archive that is closed by Python later would print a traceback."""
    pytest.importorskip("xlsxwriter")
    with pytest.raises(OSError, match="No space left on device"), Path("/dev/full").open("w+b") as file:
        WRITERS["xlsx"](frame(), file)
    gc.collect()
