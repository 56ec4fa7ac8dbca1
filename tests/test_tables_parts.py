"""Predictions for many files, as parts in a folder: those of one file, resumed after any end, refused in a sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

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
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts") / "other"
    saving.save(small_tables.trained("regression"), folder)
    return folder


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


def said(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("predicting ")]


def found(out="out"):
    return pl.concat(pl.read_parquet(path) for path in sorted(Path(out).glob("part-*.parquet")))


def stamps(out="out"):
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("part-*.parquet")}


def expected(run, *names):
    saved = saving.load(run)
    return pl.concat(predict(saved, name, keep=["id"])[0] for name in names)


# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize("source", ["new", "new/*"])
def test_parts_have_the_predictions_of_one_file(run, source):
    result = cli(run, source, "--out", "out", "--keep", "id")
    assert said(result) == ["Wrote 2,000 rows to out"]
    names = ["new/a.parquet", "new/b.csv", "new/c.parquet"]
    assert_frame_equal(found(), expected(run, *names), rel_tol=1e-5)
    assert sorted(stamps()) == [
        f"part-{file:05}-{number:05}.parquet" for file, number in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    ]
    assert {path.name for path in Path("out").iterdir()} == {*stamps(), parts.PLAN}


def test_blocks_are_those_of_a_large_file(run):
    """The bits do not depend on the files and the threads, only on the blocks."""
    cli(run, "new/a.parquet", "--out", "one.parquet")
    Path("out").mkdir()
    cli(run, "new/a.parquet", "--out", "out")
    assert_frame_equal(found(), pl.read_parquet("one.parquet"), rel_tol=1e-5)


def test_a_second_time_writes_nothing(run):
    cli(run, "new", "--out", "out")
    before = stamps()
    result = cli(run, "new", "--out", "out", "--json")
    assert json.loads(result.stdout)["rows"] == 2000
    assert stamps() == before
    assert_frame_equal(found(), found())


def test_a_file_that_has_changed_is_predicted_again(run):
    cli(run, "new", "--out", "out", "--keep", "id")
    before = stamps()
    rows(500, 7).write_csv("new/b.csv")
    assert said(cli(run, "new", "--out", "out", "--keep", "id")) == [
        "Note: new/b.csv has changed since it was predicted: it was predicted again.",
        "Wrote 1,800 rows to out",
    ]
    after = stamps()
    assert {name for name in after if after[name] != before[name]} == {"part-00001-00000.parquet"}
    assert_frame_equal(found(), expected(run, "new/a.parquet", "new/b.csv", "new/c.parquet"), rel_tol=1e-5)


def test_a_part_that_is_missing_is_written_again(run):
    cli(run, "new", "--out", "out")
    whole, before = found(), stamps()
    Path("out/part-00000-00000.parquet").unlink()
    cli(run, "new", "--out", "out")
    assert_frame_equal(found(), whole)
    assert sum(stamps()[name] != before[name] for name in before) == 2


def test_the_memory_of_a_part_is_limited(run, monkeypatch):
    monkeypatch.setattr(parts, "BYTES", 1)
    cli(run, "new/c.parquet", "--out", Path("out").mkdir() or "out")
    assert len(stamps()) == 2


def test_dates_are_read_as_in_the_first_block_after_a_restart(run, monkeypatch):
    """01/02 could be in January; the 25th of the first block tells that it is in February."""
    days = ["25/01/2001"] * 256 + ["01/02/2001"] * 744
    table = rows(1000, 1).with_columns(built=pl.Series(days))
    table.write_csv("new/a.csv")
    cli(run, "new/a.csv", "--out", Path("out").mkdir() or "out")
    whole = found()
    Path("out/part-00000-00001.parquet").unlink()
    cli(run, "new/a.csv", "--out", "out")
    assert_frame_equal(found(), whole)


# ---------------------------------------------------------------- ends of all kinds


def test_a_killed_command_resumes(run):
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
    names = ["new/a.parquet", "new/b.csv", "new/c.parquet"]
    assert_frame_equal(found(), expected(run, *names), rel_tol=1e-5)


def test_a_broken_file_in_the_middle(run):
    good = Path("new/b.csv").read_bytes()
    Path("new/b.csv").rename("b.csv")
    Path("new/b.parquet").write_bytes(Path("new/a.parquet").read_bytes()[:5000])
    result = cli(run, "new", "--out", "out", status=2)
    assert said(result)[-1].startswith("Error: new/b.parquet cannot be read as Parquet: ")
    assert said(result)[-1].endswith("Complete parts are kept in out: the same command resumes.")
    before = stamps()
    rows(700, 2).write_parquet("new/b.parquet")
    assert said(cli(run, "new", "--out", "out")) == ["Wrote 2,000 rows to out"]
    assert before.items() <= stamps().items()
    assert good


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop("size"), "new/b.csv: The column 'size' is missing but required by the network."),
        (
            lambda table: table.with_columns(size=pl.Series(["1"] * 600 + ["big"] * 100)),
            "new/b.csv: 'size' is a number, but row 601 has 'big' (88 rows so far)",
        ),
    ],
)
def test_a_file_with_other_rows(run, change, message):
    change(rows(700, 2)).write_csv("new/b.csv")
    result = cli(run, "new", "--out", "out", status=2)
    assert message in result.stderr
    assert "Complete parts are kept in out: the same command resumes." in result.stderr
    assert len(stamps()) >= 2


def test_row_numbers_are_those_of_the_file_after_a_restart(run):
    rows(700, 2).with_columns(size=pl.Series(["1"] * 600 + ["big"] * 100)).write_csv("new/b.csv")
    for _ in range(2):
        assert "row 601 has 'big'" in cli(run, "new", "--out", "out", status=2).stderr


def test_a_full_disk(run):
    """By the limit on the size of files, which is as a disk that is full."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    Path("out").mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        result = cli(run, "new", "--out", "out", status=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said(result)[-1] == (
        "Error: cannot write to out: File too large. Free some space. Complete parts are kept in out: the same command "
        "resumes."
    )
    assert not stamps()
    assert said(cli(run, "new", "--out", "out")) == ["Wrote 2,000 rows to out"]


# ---------------------------------------------------------------- what does not go together


def test_other_predictions_in_the_folder(run, other):
    cli(run, "new", "--out", "out")
    again = "Choose another folder, or start again with --overwrite.\n"
    assert cli(other, "new", "--out", "out", status=2).stderr == (
        f"Error: --out: out has predictions of another model. {again}"
    )
    assert cli(run, "new", "--out", "out", "--keep", "id", status=2).stderr == (
        f"Error: --out: out has predictions with other options (keep: [] then, ['id'] now). {again}"
    )
    rows(300, 5).write_csv("new/d.csv")
    assert cli(run, "new", "--out", "out", status=2).stderr == (
        f"Error: --out: out has predictions for other files (new/d.csv was not one of them). {again}"
    )
    cli(run, "new", "--out", "out", "--keep", "id", "--overwrite")
    assert found().columns[0] == "id"


def test_folders_that_are_refused(run):
    assert "no file fits the pattern new/*.pq." in cli(run, "new/*.pq", "--out", "out", status=2).stderr
    assert not Path("out").exists()
    assert "--out: new contains new/a.parquet, which is to be predicted: choose another folder." in (
        cli(run, "new", "--out", "new", status=2).stderr
    )
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    assert "--out: other has other files, such as notes.txt: choose an empty or a new folder." in (
        cli(run, "new", "--out", "other", "--overwrite", status=2).stderr
    )
    assert "--out: other: standard input is predicted into one file" in (
        cli(run, "-", "--out", "other", status=2).stderr
    )
    Path("new/d.jsonl").write_text('{"size": 1}\n')
    assert "new/d.jsonl cannot be streamed" in cli(run, "new", "--out", "out", status=2).stderr


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"model": 1}', b'{"model":1,"options":2,"files":3,"begun":{"0":1}}']
)
def test_a_damaged_plan(run, content):
    cli(run, "new", "--out", "out")
    Path("out", parts.PLAN).write_bytes(content)
    result = cli(run, "new", "--out", "out", status=2)
    assert f"--out: {Path('out', parts.PLAN)} is damaged." in result.stderr


def test_a_damaged_part(run):
    cli(run, "new", "--out", "out")
    Path("out/part-00001-00000.parquet").write_bytes(b"PAR1")
    assert "a part of out is damaged. Remove the parts part-00001-*.parquet." in (
        cli(run, "new", "--out", "out", status=2).stderr
    )


def test_two_commands_at_once(run):
    fcntl = pytest.importorskip("fcntl")
    Path("out").mkdir()
    lock = os.open("out", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process is writing predictions to out" in cli(run, "new", "--out", "out", status=2).stderr
    finally:
        os.close(lock)


def test_no_rows_at_all(run):
    rows(1, 1).clear().write_parquet("empty.parquet")
    Path("out").mkdir()
    assert "no rows to predict: expected at least one." in cli(run, "empty.parquet", "--out", "out", status=2).stderr


# ---------------------------------------------------------------- addresses


def test_files_at_addresses(run, here):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in Path("new").iterdir():
        memory.pipe(f"/shop/{path.name}", path.read_bytes())
    assert remote.files("memory://shop/*.parquet") == ["memory:///shop/a.parquet", "memory:///shop/c.parquet"]
    cli(run, "memory://shop/*", "--out", "out", "--keep", "id")
    assert_frame_equal(found(), expected(run, "new/a.parquet", "new/b.csv", "new/c.parquet"), rel_tol=1e-5)
    before = stamps()
    memory.pipe("/shop/c.parquet", Path("new/a.parquet").read_bytes())
    cli(run, "memory://shop/*", "--out", "out", "--keep", "id")
    assert {name for name, stamp in stamps().items() if before.get(name) != stamp} == {
        "part-00002-00000.parquet", "part-00002-00001.parquet",
    }  # fmt: skip
    memory.pipe("/shop/b.csv", b"")
    assert (
        "memory:///shop/b.csv is empty" in cli(run, "memory://shop/*", "--out", "out", "--keep", "id", status=2).stderr
    )
    assert "no file fits the pattern memory://none/*.csv." in (
        cli(run, "memory://none/*.csv", "--out", "none", status=2).stderr
    )


def test_blocks_come_in_order(run, monkeypatch):
    """However long the first of them takes."""
    predictor, seen = predicting.Predictor(saving.load(run), keep=["id"]), []
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
