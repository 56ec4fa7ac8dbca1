"""Predictions for many files, as parts in a folder: those of one file, resumed after any end, refused in a sentence."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import s3
import small_tables
from chainrule.cli.app import app
from chainrule.tables import parts, predicting, saving
from chainrule.tables.predicting import predict
from chainrule.tables.sources import remote
from chainrule.tables.streaming import on_disk

pytestmark = pytest.mark.slow

SMALL = """
import sys
from chainrule.tables import parts
from chainrule.tables.streaming import on_disk
on_disk.SMALLEST_BLOCK = on_disk.LARGEST_BLOCK = 256
parts.ROWS = 400
from chainrule.cli.app import app
app(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts") / "run"
    saving.save(small_tables.trained("binary", optional=("garden",)), folder)
    return folder


@pytest.fixture(scope="module")
def saved(run):
    return saving.load(run)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with three files; the second of them is CSV."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_disk, "SMALLEST_BLOCK", 256)
    monkeypatch.setattr(on_disk, "LARGEST_BLOCK", 256)
    monkeypatch.setattr(parts, "ROWS", 400)
    Path("new").mkdir()
    rows(1000, 1).write_parquet("new/a.parquet")
    rows(700, 2).write_csv("new/b.csv")
    rows(300, 3).write_parquet("new/c.parquet")
    return tmp_path


def rows(count, seed):
    return small_tables.frame(count, seed=seed).select(small_tables.INPUTS)


def cli(*arguments, status=0):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def go(run, saved):
    """Predict as the command does; return the number of rows and the notes."""

    def predicted(source="new", out="out", *, model=run / "model.safetensors", **given):
        return parts.predict_files(saved, model, source, Path(out), **given)

    return predicted


@pytest.fixture
def fails(go):
    """Return the error of a prediction."""

    def sentence(*arguments, **given):
        with pytest.raises((ValueError, OSError)) as caught:
            go(*arguments, **given)
        return str(caught.value)

    return sentence


def found(out="out"):
    return pl.concat(pl.read_parquet(path) for path in sorted(Path(out).glob("part-*.parquet")))


def stamps(out="out"):
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("part-*.parquet")}


def expected(saved, *names):
    return pl.concat(predict(saved, name, keep=["id"])[0] for name in names)


NAMES = ["new/a.parquet", "new/b.csv", "new/c.parquet"]
KEPT = "Complete parts are kept in out: the same command resumes."

# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize("source", ["new", "new/*"])
def test_parts_have_the_predictions_of_one_file(run, saved, source):
    result = cli(run, source, "--out", "out", "--keep", "id", "--json")
    assert (result.stderr.splitlines()[-1], json.loads(result.stdout)["rows"]) == ("Wrote 2,000 rows to out", 2000)
    assert_frame_equal(found(), expected(saved, *NAMES), rel_tol=1e-5)
    assert sorted(stamps()) == [
        f"part-{file:05}-{number:05}.parquet" for file, number in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    ]
    assert {path.name for path in Path("out").iterdir()} == {*stamps(), parts.PLAN}


def test_a_single_file_goes_to_a_folder_that_is_there(run, saved):
    Path("out").mkdir()
    cli(run, "new/a.parquet", "--out", "out", "--keep", "id")
    assert_frame_equal(found(), expected(saved, "new/a.parquet"), rel_tol=1e-5)


def test_a_second_time_writes_nothing(go):
    go()
    before = stamps()
    assert go() == (2000, ())
    assert stamps() == before


def test_a_file_that_has_changed_is_predicted_again(go, saved):
    go(keep=["id"])
    before = stamps()
    rows(500, 7).write_csv("new/b.csv")
    assert go(keep=["id"]) == (1800, ("new/b.csv has changed since it was predicted: it was predicted again.",))
    after = stamps()
    assert {name for name in after if after[name] != before[name]} == {"part-00001-00000.parquet"}
    assert_frame_equal(found(), expected(saved, *NAMES), rel_tol=1e-5)


def test_a_part_that_is_missing_is_written_again(go):
    go()
    whole, before = found(), stamps()
    Path("out/part-00000-00000.parquet").unlink()
    go()
    assert_frame_equal(found(), whole)
    assert sum(stamps()[name] != before[name] for name in before) == 2


def test_the_memory_of_a_part_is_limited(go, monkeypatch):
    monkeypatch.setattr(parts, "BYTES", 1)
    go("new/c.parquet")
    assert len(stamps()) == 2


def test_dates_are_read_as_in_the_first_block_after_a_restart(go):
    """01/02 could be in January; the 25th of the first block tells that it is in February."""
    days = ["25/01/2001"] * 256 + ["01/02/2001"] * 744
    rows(1000, 1).with_columns(built=pl.Series(days)).write_csv("a.csv")
    go("a.csv")
    whole = found()
    Path("out/part-00000-00001.parquet").unlink()
    go("a.csv")
    assert_frame_equal(found(), whole)


def test_notes_are_on_all_files(go):
    rows(700, 2).with_columns(city=pl.lit("Paris"), more=pl.lit(1)).write_csv("new/b.csv")
    rows(300, 3).drop("garden").with_columns(city=pl.lit("Rome")).write_parquet("new/c.parquet")
    assert go()[1] == (
        "The column 'more' is not in the schema: ignored.",
        "The column 'garden' is absent; the schema allows this, so values are treated as missing.",
        "'city': 1,000 rows have values not seen in training ('Paris', 'Rome'); treated as unknown.",
    )


# ---------------------------------------------------------------- ends of all kinds


def test_a_killed_command_resumes(run, saved):
    """By SIGKILL, after some parts: what is there stays, byte by byte, and the rest is added."""
    rows(20_000, 4).write_parquet("new/a.parquet")
    arguments = [sys.executable, "-c", SMALL, "predict", str(run), "new", "--out", "out", "--keep", "id"]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while process.poll() is None and len([*Path("out").glob("part-*")]) < 3 and time.monotonic() < until:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    before = stamps()
    assert process.returncode == -signal.SIGKILL
    assert 3 <= len(before) < 40
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    assert "Wrote 21,000 rows to out" in done.stderr
    assert before.items() <= stamps().items()
    assert {path.name for path in Path("out").iterdir()} == {*stamps(), parts.PLAN}
    assert_frame_equal(found(), expected(saved, *NAMES), rel_tol=1e-5)


def test_a_broken_file_in_the_middle(go, fails):
    Path("new/b.csv").unlink()
    Path("new/b.parquet").write_bytes(Path("new/a.parquet").read_bytes()[:5000])
    said = fails()
    assert said.startswith("new/b.parquet cannot be read as Parquet: ")
    assert said.endswith(KEPT)
    before = stamps()
    rows(700, 2).write_parquet("new/b.parquet")
    assert go() == (2000, ())
    assert before.items() <= stamps().items()


def test_a_file_without_a_column(go, fails):
    rows(700, 2).drop("size").write_csv("new/b.csv")
    assert fails() == f"new/b.csv: The column 'size' is missing but required by the network. {KEPT}"
    assert len(stamps()) == 2
    rows(700, 2).write_csv("new/b.csv")
    assert go() == (2000, ())


def test_row_numbers_are_those_of_the_file_after_a_restart(fails):
    rows(700, 2).with_columns(size=pl.Series(["1"] * 600 + ["big"] * 100)).write_csv("new/b.csv")
    for _ in range(2):
        said = fails()
        assert said.startswith("new/b.csv: 'size' is a number, but row 601 has 'big'")
        assert said.endswith(KEPT)


def test_a_full_disk(go, fails):
    """By the limit on the size of files, which is as a disk that is full."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        assert fails() == f"cannot write to out: File too large. Free some space. {KEPT}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not stamps()
    assert go() == (2000, ())


# ---------------------------------------------------------------- what does not go together


def test_a_mistake_before_the_first_part_binds_nothing(go, fails):
    assert "there is no column 'Id'" in fails(keep=["Id"])
    assert go(keep=["id"]) == (2000, ())


def test_other_predictions_in_the_folder(go, fails, run):
    go()
    again = "Choose another folder, or start again with --overwrite."
    Path("model").write_bytes(b"another")
    assert fails(model=Path("model")) == f"--out: out has predictions of another model. {again}"
    assert fails(keep=["id"]) == f"--out: out has predictions with other options (keep: [] then, ['id'] now). {again}"
    rows(300, 5).write_csv("new/d.csv")
    assert fails() == f"--out: out has predictions for other files (new/d.csv was not one of them). {again}"
    cli(run, "new", "--out", "out", "--keep", "id", "--overwrite")
    assert (found().columns[0], found().height) == ("id", 2300)


def test_sources_and_folders_that_are_refused(fails):
    assert fails("new/*.pq") == "no file fits the pattern new/*.pq."
    assert not Path("out").exists()
    said = "--out: new contains new/a.parquet, which is to be predicted: choose another folder."
    assert fails("new", "new") == said
    assert fails("new/*", "new/c.parquet/out") == (
        "--out: cannot create the folder new/c.parquet/out: Not a directory."
    )
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    said = "--out: other has other files, such as notes.txt: choose an empty or a new folder."
    assert fails("new", "other", overwrite=True) == said
    for source, named in (("-", "standard input"), ("sqlite:///shop.db", "sqlite:///shop.db")):
        assert fails(source) == f"--out: out: {named} is predicted into one file, such as out/p.parquet."
    Path("new/d.jsonl").write_text('{"size": 1}\n')
    assert fails().startswith("new/d.jsonl cannot be streamed: only Parquet")
    rows(1, 1).clear().write_parquet("empty.parquet")
    assert fails("empty.parquet") == f"no rows to predict: expected at least one. {KEPT}"


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"model": 1}', b'{"model":1,"options":2,"files":3,"begun":{"0":1}}']
)
def test_a_damaged_plan(go, fails, content):
    go("new/c.parquet")
    Path("out", parts.PLAN).write_bytes(content)
    assert fails("new/c.parquet").startswith(f"--out: {Path('out', parts.PLAN)} is damaged. Choose another")


def test_a_damaged_part(go, fails):
    go()
    Path("out/part-00001-00000.parquet").write_bytes(b"PAR1")
    assert fails() == f"a part of out is damaged. Remove the parts part-00001-*.parquet. {KEPT}"


def test_two_commands_at_once(fails):
    fcntl = pytest.importorskip("fcntl")
    Path("out").mkdir()
    lock = os.open("out", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fails() == "--out: another process is writing predictions to out: wait until it ends."
    finally:
        os.close(lock)


# ---------------------------------------------------------------- addresses


def test_files_at_addresses(go, fails, saved):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for path in Path("new").iterdir():
        memory.pipe(f"/shop/{path.name}", path.read_bytes())
    assert remote.files("memory://shop/*.parquet") == ["memory:///shop/a.parquet", "memory:///shop/c.parquet"]
    go("memory://shop/*", keep=["id"])
    assert_frame_equal(found(), expected(saved, *NAMES), rel_tol=1e-5)
    before = stamps()
    memory.pipe("/shop/c.parquet", Path("new/a.parquet").read_bytes())
    go("memory://shop/*", keep=["id"])
    assert {name for name, stamp in stamps().items() if before.get(name) != stamp} == {
        "part-00002-00000.parquet", "part-00002-00001.parquet",
    }  # fmt: skip
    memory.pipe("/shop/b.csv", b"")
    assert fails("memory://shop/*", keep=["id"]) == (
        f"memory:///shop/b.csv is empty: expected a table with rows. {KEPT}"
    )
    assert fails("memory://none/*.csv", "none") == "no file fits the pattern memory://none/*.csv."


def test_files_in_a_bucket(go, fails, saved, monkeypatch):
    """A server of S3, with files that change, that are missing, and that are behind a key."""
    with s3.server(monkeypatch) as system:
        for path in Path("new").iterdir():
            system.pipe(f"shop/new/{path.name}", path.read_bytes())
        go("s3://shop/new/*", keep=["id"])
        assert_frame_equal(found(), expected(saved, *NAMES), rel_tol=1e-5)
        before = stamps()
        assert go("s3://shop/new/*", keep=["id"]) == (2000, ())
        assert stamps() == before
        system.pipe("shop/new/b.csv", Path("new/b.csv").read_bytes().replace(b"Bern", b"Rome"))
        assert go("s3://shop/new/*", keep=["id"])[1][0] == (
            "s3://shop/new/b.csv has changed since it was predicted: it was predicted again."
        )
        assert before["part-00000-00000.parquet"] == stamps()["part-00000-00000.parquet"]
        system.pipe("shop/new/b.csv", b"size\n1\n")
        assert fails("s3://shop/new/*", keep=["id"]) == (
            f"s3://shop/new/b.csv: keep: there is no column 'id'. Known: size. {KEPT}"
        )
        assert fails("s3://shop/old/*.csv", "none") == "no file fits the pattern s3://shop/old/*.csv."
    assert fails("s3://shop/new/*", "none").startswith("cannot reach s3://shop/new/* (")


def test_blocks_come_in_order(saved, monkeypatch):
    """However long the first of them takes."""
    predictor, seen = predicting.Predictor(saved, keep=["id"]), []
    one = predictor._predicted

    def slow(frame, checked):
        if not seen:
            seen.append(1)
            time.sleep(0.2)
        return one(frame, checked)

    monkeypatch.setattr(predictor, "_predicted", slow)
    frame = rows(1000, 1)
    blocks = [frame.slice(at, 100) for at in range(0, 1000, 100)]
    assert pl.concat(predictor.each(blocks))["id"].to_list() == frame["id"].to_list()


def test_blocks_are_predicted_without_threads(saved, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    predictor, frame = predicting.Predictor(saved), rows(300, 1)
    blocks = [frame[:100], frame[100:]]
    whole = pl.concat(predictor.each(blocks))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert_frame_equal(pl.concat(predictor.each(blocks)), whole, rel_tol=1e-5)
