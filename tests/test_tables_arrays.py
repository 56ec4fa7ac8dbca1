"""NumPy files that are streamed: the frame and the model of the same file in memory, and one sentence if it is bad."""

import io
import os
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from chainrule import tables  # noqa: E402
from chainrule.tables import files, saving  # noqa: E402
from chainrule.tables.streaming import ChangedFileError, arrays, needs_streaming, on_disk, scratch  # noqa: E402
from chainrule.tables.streaming.opening import open_table  # noqa: E402

ROWS = 1000
rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, 6)).astype("float32")
X[rng.integers(0, ROWS, 9), 2] = np.nan
Y = X[:, 0] * X[:, 1] > 0
WORDS = np.where(Y, "yes", "no")
RECORDS = np.zeros(ROWS, [("a", ">f4"), ("b", "i2"), ("c", "U5"), ("y", "?")])
RECORDS["a"], RECORDS["b"], RECORDS["c"], RECORDS["y"] = X[:, 0], np.arange(ROWS) % 7, WORDS, Y

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what is advised after three epochs
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """So small that an array has many pieces."""
    monkeypatch.setattr(arrays, "PIECE", 2**11)
    monkeypatch.setattr(arrays, "BLOCK", 2**12)
    monkeypatch.setattr(on_disk, "AT_ONCE", 3 * 8 * ROWS)


def table(**options):
    return np.column_stack([X, Y]).astype(**options)


CASES = {
    "rows.npy": lambda path: np.save(path, table(dtype="float64")),
    "columns.npy": lambda path: np.save(path, table(dtype="float32", order="F")),
    "records.npy": lambda path: np.save(path, RECORDS),
    "stored.npz": lambda path: np.savez(path, X=X, y=WORDS, day=np.arange(ROWS).astype("M8[D]"), b=WORDS.astype("S")),
    "packed.npz": lambda path: np.savez_compressed(path, y=Y, X=np.asfortranarray(X.reshape(ROWS, 3, 2))),
    "wide.npz": lambda path: np.savez(path, y=Y, X=X.astype("longdouble"), half=X[:, 0].astype("float16")),
}


@pytest.mark.parametrize("name", CASES)
def test_the_frame_is_the_one_in_memory(name, tmp_path):
    CASES[name](tmp_path / name)
    (tmp_path / name).chmod(0o400)
    memory, disk = tables.read(tmp_path / name), open_table(tmp_path / name)
    assert disk.notes[1] == memory.notes[0]
    assert disk.frame.columns == memory.frame.columns
    assert disk.frame.select(memory.frame.columns).equals(memory.frame)
    last = memory.frame.columns[-1]
    assert disk.frame[np.array([ROWS - 1, 5])][last].to_list() == [memory.frame[last][ROWS - 1], memory.frame[last][5]]
    blocks = pl.concat(disk.frame.blocks(memory.frame.columns[:2]))
    assert blocks.equals(memory.frame.select(memory.frame.columns[:2]))


def test_a_scan_as_polars_may_ask_for_it(tmp_path):
    np.save(tmp_path / "t.npy", np.arange(2000.0).reshape(1000, 2))
    scan, _ = arrays.scan(tmp_path / "t.npy")
    assert scan.head(301).collect().height == 301
    assert scan.filter(pl.col("column_1") > 1990).select("column_2").collect()["column_2"].to_list() == [
        1993, 1995, 1997, 1999
    ]  # fmt: skip
    assert scan.select(pl.len()).collect().item() == 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rows.npy", "packed.npz"])
def test_the_model_is_the_one_in_memory(name, tmp_path):
    CASES[name](tmp_path / name)
    target = "y" if name.endswith("npz") else "column_7"
    options = {"fast": True, "parameters": {"max_iter": 3, "hidden_layer_sizes": (8,)}}
    memory, disk = (tables.train(tmp_path / name, target, stream=stream, **options) for stream in (False, True))
    assert np.array_equal(disk.pipeline[-1].network_.theta, memory.pipeline[-1].network_.theta)
    assert (disk.scores, disk.baselines, disk.schema) == (memory.scores, memory.baselines, memory.schema)
    saving.save(disk, tmp_path / "run")
    run = saving.load(tmp_path / "run")
    files.predict_file(run, tmp_path / name, tmp_path / "out.csv")
    expected, _ = tables.predict(run, tables.read(tmp_path / name).frame)
    assert pl.read_csv(tmp_path / "out.csv")["prediction"].equals(expected["prediction"])


def test_what_is_streamed(tmp_path):
    np.save(tmp_path / "t.npy", X)
    assert needs_streaming(tmp_path / "t.npy", 10 * X.nbytes) == ""
    assert "it is streamed" in needs_streaming(tmp_path / "t.npy", 5 * X.nbytes)


# ---------------------------------------------------------------- bad files


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_python_objects_are_refused_and_not_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("t.npy", np.array([Bomb()] * 20, object), allow_pickle=True)
    np.savez("t.npz", X=X, y=np.array(["a", None] * 500, object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(X))
    for name, message in (
        ("t.npy", "it holds Python objects"),
        ("t.npz", "it holds Python objects"),
        ("pickle.npy", "magic string"),
    ):
        with pytest.raises(ValueError, match=rf"{name} cannot be read as a NumPy file: .*{message}"):
            open_table(name)
    assert not (tmp_path / "exploded").exists()


def test_a_truncated_file(tmp_path):
    for name, content in (("t.npy", _saved(np.save, table(dtype="float64"))), ("t.npz", _saved(np.savez, X=X, y=Y))):
        for length in (3, 90, 400, len(content) - 1):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(ValueError, match=rf"{name} cannot be read as a NumPy file: "):
                open_table(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ValueError, match="is empty"):
            open_table(tmp_path / name)
    damaged = bytearray(_saved(np.savez, X=X, y=Y))
    damaged[2000:2100] = bytes(100)
    (tmp_path / "t.npz").write_bytes(damaged)
    with pytest.raises(ValueError, match="Bad CRC-32"):
        open_table(tmp_path / "t.npz")


def _saved(save, *given, **named):
    file = io.BytesIO()
    save(file, *given, **named)
    return file.getvalue()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"X": np.float64(1)}, r"the same number of rows, got \[0\]"),
        ({"X": X, "y": Y[:5]}, r"the same number of rows, got \[5, 1000\]"),
        ({"X": np.empty((0, 3))}, r"the same number of rows, got \[0\]"),
        ({"X": np.empty((5, 0))}, "does not match its size|zero|has no columns"),
        ({"X": X, "X_1": Y}, "two arrays give the column 'X_1'"),
        ({"X": X * 1j}, "has type complex64: expected numbers, strings or dates"),
        ({"X": np.asfortranarray(np.tile(RECORDS, (2, 1)).T)}, "save np.ascontiguousarray of them"),
    ],
)
def test_arrays_that_are_not_a_table(made, message, tmp_path):
    np.savez(tmp_path / "t.npz", **made)
    with pytest.raises(ValueError, match=message):
        open_table(tmp_path / "t.npz")


def test_two_members_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        for rows in (X, X[:, :2]):
            archive.writestr("X.npy", _saved(np.save, rows))
    with pytest.raises(ValueError, match="it has two arrays called 'X'"):
        open_table(tmp_path / "t.npz")


def test_targets_that_cannot_be_learned(tmp_path):
    for rows, message in (
        (table(dtype="float64")[:1], "has 1 row with a value for column_7, out of 1: expected at least 10"),
        (np.full((50, 3), np.nan), "has 0 rows with a value for column_3, out of 50"),
    ):
        np.save(tmp_path / "t.npy", rows)
        with pytest.raises(ValueError, match=message):
            tables.train(tmp_path / "t.npy", f"column_{rows.shape[1]}", stream=True)


@pytest.mark.parametrize("shorter", [True, False])
def test_a_file_that_changes_while_it_is_copied(shorter, tmp_path, monkeypatch):
    path, put = tmp_path / "t.npy", arrays._Copy.put
    np.save(path, table(dtype="float64"))

    def changed(*given):
        if shorter:
            os.truncate(path, 5000)
        os.utime(path, (1, 1))
        put(*given)

    monkeypatch.setattr(arrays._Copy, "put", changed)
    with pytest.raises(ChangedFileError, match="changed while it was being read"):
        open_table(path)


def test_a_disk_without_room(tmp_path, monkeypatch):
    np.save(tmp_path / "t.npy", X)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: SimpleNamespace(free=5000))
    with pytest.raises(ValueError, match=r"the columns of .*t.npy take up to .* of disk space"):
        open_table(tmp_path / "t.npy")
