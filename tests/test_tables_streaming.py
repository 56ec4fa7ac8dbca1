"""Tables larger than memory: the model, the scores and the notes of the same table in memory, bit for bit."""

import gzip
import hashlib
import itertools
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pl = pytest.importorskip("polars")

import chainrule  # noqa: E402
import small_tables  # noqa: E402
from chainrule import tables  # noqa: E402
from chainrule.tables import inputs, loading  # noqa: E402
from chainrule.tables.casting import cast  # noqa: E402
from chainrule.tables.loading import load  # noqa: E402
from chainrule.tables.preparation import preparation  # noqa: E402
from chainrule.tables.streaming import ChangedFileError, Printer, State, needs_streaming, on_disk, opening, scratch  # noqa: E402
from chainrule.tables.streaming.opening import open_table  # noqa: E402
from chainrule.tables.streaming.scratch import DiskMatrix  # noqa: E402
from chainrule.training import windows  # noqa: E402
from chainrule.training.callbacks import Callback  # noqa: E402

ROWS = 1200
QUICK = {"max_iter": 3, "hidden_layer_sizes": (8,)}

pytestmark = [  # what is advised after three epochs, but not a file that is left open
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]  # fmt: skip


def table(rows=ROWS, seed=0):
    """Numbers with holes, infinities and a constant, categories of which one comes late and one is rare, dates, and more."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    words = rng.choice(["red", "green", "blue"], rows).astype(object)
    words[-40:] = "late"
    words[rng.integers(0, rows, 9)] = None
    high = x[:, 2].copy() * 1000
    high[5] = np.inf
    score = x[:, 0] * x[:, 1] + (words == "red")
    frame = pl.DataFrame(
        {
            "row": np.arange(rows),
            "a": x[:, 0],
            "b": x[:, 1].astype(np.float32),
            "high": high,
            "word": pl.Series(words.tolist(), dtype=pl.String),
            "many": [f"shop {i}" for i in rng.integers(0, 60, rows)],
            "yes": rng.choice([True, False], rows),
            "same": ["x"] * rows,
            "whole": rng.integers(0, 100, rows),
            "y": np.where(score > 0.2, "yes", "no"),
        }
    )
    holes = pl.int_range(rows) % 13 == 4
    return frame.with_columns(pl.when(holes).then(None).otherwise(pl.col("a")).alias("a"), target=pl.Series(score))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """So small that a short table has many blocks, groups of columns and parts of a matrix."""
    monkeypatch.setattr(on_disk, "LARGEST_BLOCK", 256)
    monkeypatch.setattr(on_disk, "AT_ONCE", 3 * 8 * ROWS)
    monkeypatch.setattr(scratch, "BUCKET", 2**12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    table().write_parquet(folder / "t.parquet", row_group_size=500)
    return folder


def theta(trained):
    network = trained.pipeline[-1]
    return getattr(network, "regressor_", network).network_.theta


def run(path, target="y", **options):
    drop = [name for name in ("target", "y") if name != target]
    return tables.train(path, target, **{"drop": drop, "parameters": QUICK, "stream": True, **options})


def same(path, target="y", **options):
    """Train in memory and streamed; everything but the note that says so is the same."""
    memory, streamed = (run(path, target, stream=stream, **options) for stream in (False, True))
    assert np.array_equal(theta(streamed), theta(memory)), options
    for name in ("scores", "baselines", "verdict", "schema", "split", "warnings", "sha256"):
        assert getattr(streamed, name) == getattr(memory, name), name
    assert streamed.notes[0] == f"streamed: {streamed.schema.rows + _left_out(streamed):,} rows stay on disk"
    assert sorted(streamed.notes[1:]) == sorted(memory.notes)
    assert streamed.held_out.frame.equals(memory.held_out.frame)
    assert np.array_equal(streamed.held_out.rows, memory.held_out.rows)
    return streamed


def _left_out(trained):
    said = [note for note in trained.notes if note.endswith("with a missing target.")]
    return int(said[0].split()[1].replace(",", "")) if said else 0


# ---------------------------------------------------------------- the same model


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["ill", "grade", "price", "sold,late"])
def test_every_task_and_kind_of_column(target, ending, tmp_path):
    """Numbers, words, many values, dates as such and as texts, texts of many words, names and constants."""
    others = {"ill", "grade", "price", "sold", "late"} - {*target.split(",")}
    path = tmp_path / f"t.{ending}"
    getattr(small_tables.frame(400).drop(others), f"write_{ending}")(path)
    same(path, target, drop=["street"] if "," in target else [])


@pytest.mark.parametrize(
    "options",
    [
        {"group": "many"},
        {"time_column": "row"},
        {"test": 0.3, "validation": 0.2, "seed": 5},
        {"categorical": ["whole"], "patience": 0},
        {"target": "target"},
        {"parameters": {**QUICK, "class_weight": "balanced"}},
    ],
)
def test_every_split_and_override(options, folder):
    same(folder / "t.parquet", **options)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_of_its_own_for_the_test(folder, tmp_path, ending):
    path = tmp_path / f"test.{ending}"
    getattr(table(300, seed=9).drop("row"), f"write_{ending}")(path)
    trained = same(folder / "t.parquet", drop=["target", "row"], test=path)
    assert trained.split.how == f"the rows of {path}"
    assert trained.split.test == len(trained.held_out.frame) == 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("a"), "has no column 'a'"),
        (lambda f: f.drop("y"), "has no column 'y', the target"),
        (lambda f: f.with_columns(y=pl.lit("maybe")), "has the class 'maybe'"),
        (lambda f: f.with_columns(a=pl.lit("big")), "'a' is a number, but row"),
        (lambda f: f.with_columns(y=pl.lit(None, pl.String)), "has 0 rows with a value for y, out of 100"),
    ],
)
def test_a_test_file_that_does_not_fit(folder, tmp_path, change, message):
    change(table(100, seed=9)).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=message):
        run(folder / "t.parquet", test=str(tmp_path / "test.parquet"))


@pytest.mark.parametrize("stream", [False, True])
def test_an_infinite_target_in_a_test_file_is_named_with_its_row(folder, tmp_path, stream):
    number = pl.when(pl.int_range(100) == 6).then(float("inf")).otherwise(pl.col("target")).alias("target")
    table(100, seed=9).with_columns(number).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=r"test\.parquet: the target 'target' is infinite in row 7: correct it"):
        run(folder / "t.parquet", "target", test=str(tmp_path / "test.parquet"), stream=stream)


def test_csv_as_people_write_it(tmp_path):
    """Decimal commas, spaces, money, numbers as texts, a type that changes late, words for missing values, quotes."""
    rng = np.random.default_rng(0)
    lines = ["word; price;comma;late;mixed;text;y"]
    for i in range(600):
        late = f"{i % 50}" if i < 580 else f"{i % 50},5"
        mixed = "unknown" if i % 97 == 5 else f"{i * 7 % 41}"
        lines.append(
            f'{rng.choice(["a", "b ", "NA"])};"${rng.normal(0, 9e3) ** 2:,.2f}";{i % 5},5;{late};{mixed};"x;{i % 3}";{i % 2}'
        )
    (tmp_path / "t.csv").write_text("\n".join(lines))
    streamed = same(tmp_path / "t.csv", drop=[])
    assert {c.name: c.kind for c in streamed.schema.columns}["price"] == "number"
    for name in ("t.csv", "t.csv.gz"):
        if name.endswith("gz"):
            (tmp_path / name).write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
        frame, known = open_table(tmp_path / name).frame, tables.read(tmp_path / name).frame
        assert frame.select(frame.columns).equals(known)
        assert frame.schema == known.schema


def test_a_first_part_that_shows_other_types_than_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "HEAD", 5000)
    lines = ["a,b,c,y", *(f"{i % 50},{i % 7},{i % 9},{'yes' if i % 7 > 2 else 'no'}" for i in range(2000))]
    lines[1900] = "1,2.5,soon,yes"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    streamed = same(tmp_path / "t.csv", drop=[])
    assert [c.read_as for c in streamed.schema.columns] == ["whole", "number", "text"]


def test_numbers_of_forty_digits(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n170141183460469231731687303715884105728,1\n5,2\n")
    frame = open_table(tmp_path / "t.csv").frame
    assert frame["a"].to_list() == [2.0**127, 5.0]


def test_row_groups_and_packing_change_not_one_bit(folder, tmp_path):
    expected = theta(run(folder / "t.parquet"))
    for group in (100, ROWS):
        table().write_parquet(tmp_path / "t.parquet", row_group_size=group)
        assert np.array_equal(theta(run(tmp_path / "t.parquet")), expected), f"row groups of {group}"
    frame = table().select("a", "word", "whole", "y")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    frame.write_csv(tmp_path / "t.csv")
    packed, plain = (run(tmp_path / name, drop=[]) for name in ("t.csv.gz", "t.csv"))
    assert np.array_equal(theta(packed), theta(plain))


def test_a_preparation_that_is_fitted_on_some_of_the_rows(folder, monkeypatch):
    """By the same rule in memory; rows beside them get what ``transform`` gives, of other rows alone."""
    whole = theta(run(folder / "t.parquet"))
    monkeypatch.setattr(inputs, "CELLS", 200 * 7)
    monkeypatch.setattr(inputs, "MIN_ROWS", 50)
    trained = same(folder / "t.parquet")
    assert not np.array_equal(theta(trained), whole)
    loaded = load(folder / "t.parquet", "y", drop=["target"], stream=True)
    places = inputs.fitted_rows(loaded.schema.used, len(loaded.train), 0)
    assert len(places) == 200
    prepare = preparation(loaded.schema.columns, len(loaded.train), 0)
    X, X_val = inputs.prepared(prepare, loaded, 0)
    frame = cast(table().select(loaded.frame.columns), loaded.schema.columns)
    others = np.setdiff1d(np.arange(len(loaded.train)), places)
    expected = prepare.transform(frame[loaded.train]).astype(np.float32)
    assert np.array_equal(X[others], expected[others])
    assert not np.array_equal(X[places], expected[places]), "a category's mean is of other rows than its own"
    assert np.array_equal(X_val, prepare.transform(frame[loaded.validation]).astype(np.float32))


def test_many_held_out_rows_are_measured_in_part(folder, monkeypatch):
    whole = run(folder / "t.parquet")
    monkeypatch.setattr(loading, "MEASURED", 0)
    monkeypatch.setattr(loading, "FEWEST", 100)
    trained = run(folder / "t.parquet")
    assert np.array_equal(theta(trained), theta(whole))
    assert len(trained.held_out.frame) == trained.split.test == 100
    assert {*trained.held_out.rows} < {*whole.held_out.rows}
    assert "evaluated on a random sample of 100 of the 240 held-out rows." in trained.notes


@pytest.mark.parametrize("kernels", ["numba", "reference"])
def test_rows_that_memory_cannot_hold_are_gathered_in_the_order_of_the_file(kernels, monkeypatch):
    monkeypatch.setenv("CHAINRULE_KERNELS", kernels)
    matrix = DiskMatrix(2000, 5)
    X = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    matrix.put(np.arange(2000), X)
    stored, t = matrix.array(), (X[:, 0] > X[:, 1]).astype(int)

    def trained(X, **options):
        layers = [chainrule.layers.Dense(6), chainrule.layers.Dropout(0.2), chainrule.layers.Dense(2)]
        network = chainrule.Network(5, layers, "softmax_cross_entropy", seed=0)
        chainrule.train(network, X, t, epochs=3, batch_size=50, seed=1, **options)
        return network.theta

    asked = []
    take = windows.Window.take
    monkeypatch.setattr(windows.Window, "take", lambda *a: asked.append(1) or take(*a))
    for options in ({}, {"validation": 0.2}, {"shuffle": False}):
        monkeypatch.setattr(windows, "free_memory", lambda: 10**12)
        expected = trained(X, **options)
        assert np.array_equal(trained(stored, **options), expected)
        assert not asked
        monkeypatch.setattr(windows, "free_memory", lambda: 20_000)
        assert np.array_equal(trained(stored, **options), expected), options
        assert bool(asked) == (options != {"shuffle": False})
        asked.clear()


# ---------------------------------------------------------------- disk


def test_a_matrix_is_as_large_as_it_says_and_in_order():
    rng = np.random.default_rng(0)
    for rows, width in ((1, 1), (1000, 3), (1025, 64)):
        matrix, X = DiskMatrix(rows, width), rng.normal(size=(rows, width)).astype(np.float32)
        for places in np.array_split(rng.permutation(rows), min(rows, 7)):
            matrix.put(places, X[places])
        found = matrix.array()
        assert np.array_equal(found, X)
        assert not found.flags.writeable
        assert matrix.size == os.fstat(matrix._file.fileno()).st_size == X.nbytes


def test_what_is_needed_is_said_before_and_not_exceeded(tmp_path, monkeypatch):
    """Of a matrix and of a copy of CSV, also of one whose cells are as short as can be."""
    taken, sizes, make = [], [], scratch.room

    def room(size, what):
        sizes.append(size)
        file = make(size, what)
        taken.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(scratch, "room", room)
    rng = np.random.default_rng(0)
    for name, value in (
        ("numbers", rng.normal),
        ("digits", lambda: rng.integers(0, 9)),
        ("words", lambda: "x" * rng.integers(0, 99)),
    ):
        lines = [",".join(str(value()) for _ in range(6)) + f",{i % 2}" for i in range(500)]
        (tmp_path / f"{name}.csv").write_text("a,b,c,d,e,f,y\n" + "\n".join(lines))
        said = []
        run(tmp_path / f"{name}.csv", drop=[], show=said.append, categorical=["a"])
        for size, file in zip(sizes, taken, strict=True):
            assert 0 < os.fstat(file).st_size <= size, name
            os.close(file)
        assert len(sizes) == 2
        assert said[0].note == f"at most {scratch.amount(sizes[1])} of disk"
        assert said[0].done == 0
        sizes.clear()
        taken.clear()


@pytest.mark.parametrize("free", [0, 5_000])
def test_a_disk_with_less_is_refused(free, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(
        ValueError,
        match=r"the inputs of the network take up to .* of disk space during training, .* free: free some, or set TMP",
    ):
        run(folder / "t.parquet")
    table().write_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"the columns of .*t.csv take up to"):
        run(tmp_path / "t.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_disk_that_fills_up_meanwhile(ending, tmp_path):
    """By the limit on the size of files, which is as a disk that is full: the copy of CSV, and the matrix."""
    resource = pytest.importorskip("resource")
    getattr(table(), f"write_{ending}")(tmp_path / f"t.{ending}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(ValueError, match=r"the folder for temporary files, is full: .*File too large"):
            run(tmp_path / f"t.{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


BEGUN = """
import sys, time
from chainrule import tables
from chainrule.training.callbacks import Callback
class Wait(Callback):
    def on_start(self, run):
        print("training", flush=True)
        time.sleep(60)
tables.train(sys.argv[1], "y", stream=True, callbacks=[Wait()])
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_on_disk_however_it_ends(signal_, tmp_path):
    place = tmp_path / "scratch"
    place.mkdir()
    table(300).write_csv(tmp_path / "t.csv")
    command = [sys.executable, "-W", "ignore", "-c", BEGUN, str(tmp_path / "t.csv")]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == "training\n"
        assert not [path for path in place.rglob("*") if path.is_file()]
        process.send_signal(signal_)
        process.wait(timeout=30)
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_ctrl_c_while_it_prepares_and_while_it_trains(folder):
    def press(state):
        if state.done:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(folder / "t.parquet", show=press)

    class Press(Callback):
        def on_epoch(self, run):
            if run.epoch == 2:
                signal.raise_signal(signal.SIGINT)

    trained = run(folder / "t.parquet", callbacks=[Press()], parameters={**QUICK, "max_iter": 50})
    assert trained.history.stopped.startswith("interrupted in epoch 3")
    assert trained.scores


def test_a_training_goes_on_from_a_checkpoint(folder, tmp_path):
    given = {"parameters": {**QUICK, "max_iter": 6}, "patience": 0}
    whole = run(folder / "t.parquet", **given)

    class Killed(Callback):
        def on_epoch(self, run):
            if run.epoch == 4:
                raise RuntimeError("killed")

    kept = chainrule.Checkpoint(tmp_path / "kept")
    with pytest.raises(RuntimeError, match="killed"):
        run(folder / "t.parquet", callbacks=[kept, Killed()], **given)
    for stream in (True, False):  # begun on disk, it may go on in memory
        again = run(folder / "t.parquet", resume=tmp_path / "kept", stream=stream, **given)
        assert np.array_equal(theta(again), theta(whole))


# ---------------------------------------------------------------- what can go wrong


def test_a_target_with_holes_and_infinities(folder, tmp_path):
    frame = table().with_columns(target=pl.when(pl.int_range(ROWS) < 7).then(float("nan")).otherwise(pl.col("target")))
    frame.write_parquet(tmp_path / "nan.parquet")
    trained = same(tmp_path / "nan.parquet", "target")
    assert "dropped 7 rows with a missing target." in trained.notes
    for name, changed, target, message in (
        ("inf", pl.when(pl.int_range(ROWS) == 900).then(float("inf")).otherwise(pl.col("target")).alias("target"),
         "target", r"'target' is infinite or beyond 1e100 in 1 row: remove"),
        ("none", pl.lit(None, pl.Float64).alias("target"), "target", "has 0 rows with a value for target, out of 1,200"),
        ("one", pl.lit("no").alias("y"), "y", "'y' is constant .'no'."),
    ):  # fmt: skip
        frame.with_columns(changed).write_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(ValueError, match=message):
            run(tmp_path / f"{name}.parquet", target)


def test_a_file_that_changes_while_it_is_read_is_refused(folder, tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes((folder / "t.parquet").read_bytes())
    with pytest.raises(ChangedFileError, match="changed while it was being read"):
        run(path, show=lambda _: os.utime(path, (1, 1)))


def test_files_that_are_cut_or_empty(folder, tmp_path):
    content = (folder / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot be read as Parquet: .*Is it complete"):
        run(tmp_path / "cut.parquet")
    damaged = bytearray(content)
    damaged[2000:30_000] = bytes(28_000)
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        run(tmp_path / "damaged.parquet")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="is empty"):
        run(tmp_path / "empty.csv")
    for rows in (0, 1):
        table().head(rows).write_parquet(tmp_path / "few.parquet")
        with pytest.raises(
            ValueError, match=rf"has {rows} rows? with a value for y, out of {rows}: expected at least 10"
        ):
            run(tmp_path / "few.parquet")
    for other, what in ((content, "a Parquet file"), (gzip.compress(b"a,y\n1,2\n"), "compressed by gzip")):
        (tmp_path / "other.csv").write_bytes(other)
        with pytest.raises(ValueError, match=f"cannot be streamed as CSV: it is {what}"):
            run(tmp_path / "other.csv")
    (tmp_path / "short.csv").write_text("a,y\n" + "".join(f"r{i},{i},{i % 2}\n" for i in range(9)))
    with pytest.raises(ValueError, match="the header is one name short"):
        run(tmp_path / "short.csv")


def test_a_frame_and_standard_input_cannot_be_streamed(folder):
    with pytest.raises(TypeError, match="stream: expected a file, got DataFrame"):
        run(table())
    with pytest.raises(ValueError, match="- cannot be streamed: give a Parquet, NumPy or CSV file"):
        run("-")


def test_a_bad_line_names_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "HEAD", 5000)
    lines = ["a,b,y", *(f"{i},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(3000))]
    lines[2501] = "1,2,3,yes"
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="line 2502: expected 3 fields as in the first line, got 4"):
        run(tmp_path / "wide.csv", drop=[])
    (tmp_path / "latin.csv").write_bytes("\n".join([*lines[:2000], "é,2,no", *lines[2000:2400]]).encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.csv, after line \d+: 'utf-8' codec can't decode"):
        run(tmp_path / "latin.csv", drop=[])


def test_names_that_are_not_there(folder):
    with pytest.raises(ValueError, match="'targt' is not in the table"):
        tables.train(folder / "t.parquet", "targt", stream=True)
    with pytest.raises(ValueError, match="--drop: no input column 'nothing'"):
        run(folder / "t.parquet", drop=["nothing"])
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_table(folder / "no.parquet")


def test_a_wide_file_is_opened_a_few_times_not_once_a_column(tmp_path, monkeypatch):
    columns = {f"c{i}": np.random.default_rng(i).normal(size=100) for i in range(300)}
    pl.DataFrame({**columns, "y": ["no", "yes"] * 50}).write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(on_disk, "AT_ONCE", 2**26)
    opened, reading = [], on_disk.OnDisk.reading
    monkeypatch.setattr(on_disk.OnDisk, "reading", lambda self: opened.append(1) or reading(self))
    run(tmp_path / "t.parquet", drop=[], parameters={"hidden_layer_sizes": (4,), "max_iter": 1})
    assert len(opened) < 20


# ---------------------------------------------------------------- progress, the command, and what is streamed


def test_progress_knows_the_end(folder, capsys):
    seen = []
    run(folder / "t.parquet", show=seen.append)
    assert (seen[0].what, seen[0].done) == ("preparing", 0)
    assert (seen[-1].done, seen[-1].rows) == (ROWS, ROWS)
    assert all(later.done >= before.done for before, later in itertools.pairwise(seen))
    show = Printer()
    show(State("preparing", 5, 10, 1_000_000, 11.0, "at most 1 MB of disk"))
    show(State("preparing", 6, 10, 1_000_000, 12.0))  # too soon for another line
    show(State("preparing", 10, 10, 1_000_000, 20.0))
    assert capsys.readouterr().err.splitlines() == [
        "preparing  50%  5 of 10 rows  0 MB/s  0:11 left  at most 1 MB of disk",
        "preparing  100%  10 of 10 rows  0 MB/s  in 0:20",
    ]


def test_the_digest_and_the_command_of_the_run(folder):
    trained = run(folder / "t.parquet", group="many", seed=3)
    assert trained.sha256 == hashlib.sha256((folder / "t.parquet").read_bytes()).hexdigest()
    assert "stream=True" in trained.command
    again = eval(trained.command, {"train": tables.train})
    assert np.array_equal(theta(again), theta(trained))
    assert trained.settings["stream"] is True


def test_what_is_streamed(folder):
    size = (folder / "t.parquet").stat().st_size
    assert needs_streaming(folder / "t.parquet", 100 * size) == ""
    assert "it is streamed" in needs_streaming(folder / "t.parquet", 2 * size)
    assert needs_streaming("digits", 1) == ""


def test_a_streamed_model_is_saved_as_any_other(folder, tmp_path):
    trained = run(folder / "t.parquet")
    tables.save(trained, tmp_path / "run")
    found, _ = tables.predict(tables.load(tmp_path / "run"), trained.held_out.frame)
    assert found["prediction"].to_list() == trained.held_out.predictions.tolist()


def test_a_target_of_amounts_is_read_on_disk_as_in_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 2))
    weights = [f"{value:.1f} kg" for value in 5 + x[:, 0] + x[:, 1] ** 2]
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "w": weights}).write_csv(tmp_path / "t.csv")
    options = {"task": "regression", "parameters": {"max_iter": 2}}
    memory, disk = (tables.train(tmp_path / "t.csv", "w", stream=stream, **options) for stream in (False, True))
    assert disk.notes[0].startswith("streamed: 300 rows stay on disk")
    assert disk.schema.targets[0].notation.unit == "kg"
    assert (disk.scores, disk.schema) == (memory.scores, memory.schema)
    np.testing.assert_array_equal(disk.held_out.predictions, memory.held_out.predictions)
