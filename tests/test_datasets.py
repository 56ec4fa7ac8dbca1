"""The data: shapes and contents against what is known of them, and no damaged file is ever used."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pooch
import pytest
import sklearn.datasets
from sklearn.datasets import make_circles, make_moons
from typer.testing import CliRunner

from chainrule import datasets
from chainrule.cli.app import app
from chainrule.datasets import (
    DATASETS,
    Dataset,
    load_circles,
    load_digits,
    load_mnist,
    load_moons,
    load_spirals,
)
from chainrule.datasets import mnist as _mnist

DRAWINGS = [load_moons, load_circles, load_spirals]
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
PIXELS = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4) * 4
T = np.array([3, 0, 9, 9, 1], dtype=np.uint8)


def idx(array):
    """IDX bytes, written from the description of the format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def expect(monkeypatch, images, labels):
    """Let these bytes be the ones that the known hashes belong to."""
    table = ((IMAGES, hashlib.sha256(images).hexdigest()), (LABELS, hashlib.sha256(labels).hexdigest()))
    monkeypatch.setitem(_mnist.FILES, "train", table)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A folder with a tiny MNIST; the cache is an empty folder, and there are no mirrors."""
    expect(monkeypatch, idx(PIXELS), idx(T))
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setattr(_mnist, "MIRRORS", ())
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(PIXELS)))
    (folder / f"{LABELS}.gz").write_bytes(gzip.compress(idx(T)))
    return folder


@pytest.fixture
def no_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)  # importing it now fails


# --- Dataset, digits and the drawings


def test_a_dataset_is_short_frozen_and_compared_by_identity():
    data = load_moons(rows=10)
    assert len(data) == 10
    assert repr(data) == "Dataset('moons': 10 rows of 2 inputs, 2 classes)"
    assert data == data
    assert data != load_moons(rows=10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "suns"


def test_digits_are_those_of_scikit_learn():
    data, original = load_digits(), sklearn.datasets.load_digits()
    assert data.X.shape == (1797, 64)
    assert data.X.dtype == np.float32
    assert data.t.dtype == np.int64
    assert data.X.min() == 0
    assert data.X.max() == 1
    np.testing.assert_array_equal(data.X.reshape(-1, *data.image_shape) * 16, original.images)
    np.testing.assert_array_equal(data.t, original.target)
    assert data.classes == tuple("0123456789")


def test_moons_and_circles_are_those_of_scikit_learn():
    for data, (X, t) in [
        (load_moons(50, 0.3, 7), make_moons(50, noise=0.3, random_state=7)),
        (load_circles(50, 0.3, 7), make_circles(50, noise=0.3, random_state=7, factor=0.5)),
    ]:
        np.testing.assert_array_equal(data.X, X.astype(np.float32))
        np.testing.assert_array_equal(data.t, t)


def test_the_names_of_the_classes_belong_to_their_labels():
    moons, circles = load_moons(noise=0), load_circles(noise=0)
    mean_height = [moons.X[moons.t == label, 1].mean() for label in (0, 1)]
    assert moons.classes[int(np.argmax(mean_height))] == "upper"
    radius = [np.linalg.norm(circles.X[circles.t == label], axis=1) for label in (0, 1)]
    np.testing.assert_allclose(radius[circles.classes.index("outer")], 1, rtol=1e-6)
    np.testing.assert_allclose(radius[circles.classes.index("inner")], 0.5, rtol=1e-6)


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_without_noise_spirals_lie_on_their_arms(arms):
    data = load_spirals(rows=400, noise=0, arms=arms)
    z = data.X[:, 0] + 1j * data.X[:, 1]
    radius = abs(z)
    assert 0.2 <= radius.min() < 0.25
    assert 1.95 < radius.max() <= 2.000001
    turned_back = z / radius * np.exp(-2j * radius)  # the arm's own angle is left
    np.testing.assert_allclose(turned_back, np.exp(2j * np.pi * data.t / arms), atol=1e-5)
    counts = np.bincount(data.t)
    assert len(counts) == arms == len(data.classes)
    assert np.ptp(counts) <= 1
    assert (np.diff(data.t) < 0).sum() > 50, "shuffled"


def test_noise_is_the_standard_deviation_of_each_coordinate():
    X = load_spirals(rows=20_000, noise=0.5).X - load_spirals(rows=20_000, noise=0.0).X
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(X.std(axis=0), 0.5, rtol=0.03)


@pytest.mark.parametrize("load", DRAWINGS)
def test_a_seed_fixes_the_points(load):
    a, b, other = load(seed=3), load(seed=3), load(seed=4)
    assert a.X.tobytes() == b.X.tobytes()
    assert a.t.tobytes() == b.t.tobytes()
    assert not np.array_equal(a.X, other.X)
    assert a.X.shape == (1000, 2)
    assert a.X.dtype == np.float32
    assert a.t.dtype == np.int64
    assert set(a.t.tolist()) == set(range(len(a.classes)))


@pytest.mark.parametrize("load", DRAWINGS)
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows must be . or more, got 0: give"),
        ({"rows": -5}, ValueError, "rows must be . or more, got -5: give"),
        ({"rows": 10.0}, TypeError, "rows"),
        ({"rows": True}, TypeError, "rows"),
        ({"rows": "many"}, TypeError, "rows"),
        ({"noise": -0.1}, ValueError, "noise must be 0 or more and at most 1e.30, got -0.1: give"),
        ({"noise": float("nan")}, ValueError, "noise must be 0 or more and at most 1e.30, got nan"),
        ({"noise": float("inf")}, ValueError, "noise must be 0 or more and at most 1e.30, got inf"),
        ({"noise": "loud"}, TypeError, "noise"),
        ({"noise": None}, TypeError, "noise"),
        ({"seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1: give"),
        ({"seed": 2**32}, ValueError, "seed must be from 0 to 4294967295, got 4294967296: give"),
        ({"seed": None}, TypeError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
    ],
)
def test_bad_arguments_of_drawings_are_named(load, bad, error, message):
    # A wrong type is refused in other words where shapes and types are checked: its name is in both.
    with pytest.raises(error, match=message):
        load(**bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"arms": 1}, "arms must be 2 or more, got 1"),
        ({"rows": 3, "arms": 4}, "rows must be 4 or more, got 3"),
    ],
)
def test_spirals_need_two_arms_and_a_point_on_each(bad, message):
    with pytest.raises(ValueError, match=message):
        load_spirals(**bad)


def test_the_table_names_every_loader():
    assert {f"load_{name}" for name in DATASETS} == {name for name in datasets.__all__ if name.startswith("load_")}
    for name, load in DATASETS.items():
        assert load is getattr(datasets, f"load_{name}")
        if name != "mnist":
            assert load().name == name


def test_importing_the_module_stays_light():
    heavy = "{'sklearn', 'scipy', 'pooch', 'tqdm', 'requests'}"
    code = f"import sys, chainrule.datasets; print({heavy} & set(sys.modules))"
    source = str(Path(datasets.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "set()"


# --- MNIST itself, where it is at hand


def real_mnist():
    shared = Path(__file__).parents[2] / "shared" / "data" / "mnist"
    return Path(os.environ.get("CHAINRULE_DATA") or shared)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "counts", "first", "mean"),
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], [5, 0, 4, 1, 9], 0.1307),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], [7, 2, 1, 0, 4], 0.1325),
    ],
)
@pytest.mark.skipif(not (real_mnist() / f"{IMAGES}.gz").is_file(), reason="MNIST is not here (CHAINRULE_DATA)")
def test_mnist_is_what_is_known_of_it(split, counts, first, mean, no_pooch):
    data = load_mnist(split, real_mnist())
    assert data.X.shape == (sum(counts), 784)
    assert data.X.dtype == np.float32
    assert data.t.dtype == np.int64
    assert np.bincount(data.t).tolist() == counts
    assert data.t[:5].tolist() == first
    assert data.X.min() == 0
    assert data.X.max() == 1
    assert data.X.mean(dtype=np.float64) == pytest.approx(mean, abs=1e-4)
    assert repr(data) == f"Dataset('mnist': {sum(counts)} rows of 784 inputs (28 x 28 images), 10 classes)"


# --- a tiny MNIST in a folder


@pytest.mark.parametrize("dtype", ["float32", np.float64, "float16", np.dtype("float32")])
def test_floats_are_pixels_over_255(tiny, no_pooch, dtype):
    data = load_mnist("train", tiny, dtype=dtype)
    assert data.X.dtype == dtype
    np.testing.assert_array_equal(data.X, (PIXELS.reshape(5, 12) / 255).astype(dtype))
    assert data.t.tolist() == T.tolist()
    assert data.t.dtype == np.int64
    assert data.image_shape == (3, 4)


def test_bytes_are_left_as_they_are_and_can_be_written_to(tiny, no_pooch):
    data = load_mnist(folder=str(tiny), dtype="uint8")
    assert data.X.dtype == np.uint8
    np.testing.assert_array_equal(data.X.reshape(PIXELS.shape), PIXELS)
    data.X[0, 0], data.t[0] = 7, 7


def test_unpacked_files_are_read_whatever_their_name(tiny, no_pooch):
    (tiny / f"{IMAGES}.gz").unlink()
    (tiny / IMAGES).write_bytes(idx(PIXELS))
    (tiny / f"{LABELS}.gz").write_bytes(idx(T))  # some browsers unpack what they download, and keep the name
    data = load_mnist(folder=tiny, dtype="uint8")
    np.testing.assert_array_equal(data.X.reshape(PIXELS.shape), PIXELS)
    assert data.t.tolist() == T.tolist()


def test_pixels_become_floats_without_a_second_float_array(tiny, monkeypatch):
    images, labels = idx(np.zeros((2000, 28, 28), np.uint8)), idx(np.zeros(2000, np.uint8))
    expect(monkeypatch, images, labels)
    (tiny / f"{IMAGES}.gz").write_bytes(gzip.compress(images))
    (tiny / f"{LABELS}.gz").write_bytes(gzip.compress(labels))
    tracemalloc.start()
    data = load_mnist(folder=tiny)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < data.X.nbytes + 1.5 * len(images)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"split": "valid"}, ValueError, "split must be 'train' or 'test', got 'valid': to validate"),
        ({"dtype": "int32"}, ValueError, "dtype must be a float type or 'uint8', got 'int32': omit"),
        ({"dtype": "banana"}, ValueError, "dtype must be a float type or 'uint8', got 'banana'"),
        ({"dtype": None}, ValueError, "dtype must be a float type or 'uint8', got None"),
        ({"dtype": complex}, ValueError, "dtype must be a float type"),
        ({"folder": 3}, TypeError, "folder"),
    ],
)
def test_bad_arguments_of_mnist_are_named(tiny, bad, error, message):
    with pytest.raises(error, match=message):
        load_mnist(**{"folder": tiny, **bad})


def spoil(good):
    """Ways in which a file is not what it should be."""
    packed = gzip.compress(good)
    middle = len(packed) // 2
    return {
        "empty": b"",
        "a web page": b"<html>404</html>",
        "gzip cut in its header": packed[:5],
        "gzip cut in the middle": packed[:middle],
        "gzip cut at the end": packed[:-1],
        "gzip with a flipped bit": packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :],
        "gzip and rubbish": packed + b"rubbish",
        "good gzip of a flipped bit": gzip.compress(good[:-1] + bytes([good[-1] ^ 1])),
        "cut": good[:-1],
        "longer": good + b"\0",
    }


@pytest.mark.parametrize("how", spoil(idx(T)))
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("by", ["folder", "CHAINRULE_DATA"])
def test_a_damaged_file_is_refused_by_name(tiny, monkeypatch, no_pooch, how, ending, by):
    (tiny / f"{IMAGES}.gz").unlink()
    (tiny / f"{IMAGES}{ending}").write_bytes(spoil(idx(PIXELS))[how])
    if by != "folder":
        monkeypatch.setenv(by, str(tiny))
    with pytest.raises(ValueError, match="is corrupt") as caught:
        load_mnist(folder=tiny if by == "folder" else None)
    message = str(caught.value)
    assert message.startswith(f"{IMAGES}{ending} ")
    assert str(tiny) in message
    assert "replace it" in message


def test_a_good_copy_beside_a_damaged_one_is_used(tiny, no_pooch):
    (tiny / IMAGES).write_bytes(idx(PIXELS)[:20])  # unpacking was interrupted
    np.testing.assert_array_equal(load_mnist(folder=tiny, dtype="uint8").X.reshape(PIXELS.shape), PIXELS)
    (tiny / f"{IMAGES}.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{IMAGES} is corrupt .* and {IMAGES}.gz is corrupt"):
        load_mnist(folder=tiny)


def test_a_given_folder_without_the_file_is_named_and_one_that_is_not_there_refused(tiny, no_pooch):
    with pytest.raises(ImportError, match=rf"the folder {tiny} has no t10k-images-idx3-ubyte.gz, and to download"):
        load_mnist("test", tiny)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder: put the four files"):
        load_mnist(folder=tiny / "nowhere")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (idx(PIXELS)[:3], idx(T), f"{IMAGES} is not an IDX file of bytes in 3 dimensions"),
        (idx(PIXELS)[:15], idx(T), f"{IMAGES} is not an IDX file of bytes in 3 dimensions"),
        (idx(T), idx(T), f"{IMAGES} is not an IDX file of bytes in 3 dimensions"),
        (b"\0\0\x0d" + idx(PIXELS)[3:], idx(T), f"{IMAGES} is not an IDX file of bytes"),
        (idx(PIXELS)[:-1], idx(T), r"shape is \(5, 3, 4\), but 59 bytes follow"),
        (idx(PIXELS), idx(T) + b"\0", r"shape is \(5,\), but 6 bytes follow"),
        (idx(PIXELS), idx(T[:4]), "5 images but 4 labels"),
    ],
)
def test_a_file_of_another_shape_is_refused(tiny, monkeypatch, images, labels, message):
    expect(monkeypatch, images, labels)
    (tiny / f"{IMAGES}.gz").write_bytes(gzip.compress(images))
    (tiny / f"{LABELS}.gz").write_bytes(gzip.compress(labels))
    with pytest.raises(ValueError, match=message):
        load_mnist(folder=tiny)


# --- the environment variable, the cache and the mirrors


def cache_of(folder):
    return folder.parent / "cache" / "chainrule"


def test_the_environment_variable_comes_before_the_cache(tiny, monkeypatch, no_pooch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tiny))
    assert load_mnist().t.tolist() == T.tolist()


@pytest.mark.parametrize("given", ["", "elsewhere"])
def test_the_cache_is_used_where_the_variable_has_no_file(tiny, monkeypatch, given):
    monkeypatch.setenv("CHAINRULE_DATA", given)
    cache_of(tiny).parent.mkdir()
    tiny.rename(cache_of(tiny))
    assert load_mnist().t.tolist() == T.tolist()


def test_without_pooch_the_message_says_what_was_looked_for(tiny, monkeypatch, no_pooch):
    with pytest.raises(ImportError, match=r"CHAINRULE_DATA is not set.*'pooch'.*pip install"):
        load_mnist()
    monkeypatch.setenv("CHAINRULE_DATA", "elsewhere")
    with pytest.raises(ImportError, match=rf"the folder elsewhere has no {IMAGES}.gz.*pip install"):
        load_mnist()


class Mirrors(http.server.BaseHTTPRequestHandler):
    """/good/ serves the tiny files; the others fail in the way of their name."""

    timeout = 5

    def do_GET(self):
        _, mirror, file = self.path.split("/")
        self.server.asked.append(mirror)
        body = (self.server.folder / file).read_bytes()
        if mirror == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        if mirror == "unpacking":  # the client unpacks what comes with this header
            self.send_header("Content-Encoding", "gzip")
        if mirror != "lengthless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mirror == "other":
            body = bytes(len(body))
        self.wfile.write(body[: len(body) // 2] if mirror == "cut" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def mirrors(tiny, monkeypatch):
    """Set the mirrors by name; gives the list of those that were asked."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as server:
        server.folder, server.asked = tiny, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def choose(*names):
            base = f"http://127.0.0.1:{server.server_port}"
            monkeypatch.setattr(_mnist, "MIRRORS", tuple(f"{base}/{name}/" for name in names))
            return server.asked

        yield choose
        server.shutdown()
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.parametrize("good", ["good", "lengthless", "unpacking"])
def test_a_download_is_kept_in_the_cache(tiny, mirrors, capsys, good):
    asked = mirrors(good, "missing")
    first = load_mnist()
    np.testing.assert_array_equal(first.X, PIXELS.reshape(5, 12) / np.float32(255))
    assert sorted(path.name for path in cache_of(tiny).iterdir()) == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    again = load_mnist()
    assert again.X.tobytes() == first.X.tobytes()
    assert asked == [good, good], "the second time from the cache"
    assert capsys.readouterr().err == "", "no progress bar in a pipe"


@pytest.mark.parametrize("bad", ["missing", "other", "cut"])
def test_the_second_mirror_is_asked_when_the_first_fails(tiny, mirrors, bad):
    asked = mirrors(bad, "good")
    assert load_mnist().t.tolist() == T.tolist()
    assert asked == [bad, "good"] * 2
    assert sorted(path.name for path in cache_of(tiny).iterdir()) == [f"{IMAGES}.gz", f"{LABELS}.gz"]


def test_when_both_mirrors_fail_one_sentence_says_what_to_do(tiny, mirrors, monkeypatch):
    mirrors("missing", "other")
    with pytest.raises(ConnectionError) as caught:
        load_mnist()
    message = str(caught.value)
    for part in [
        "/missing/ (404",
        "/other/ (is corrupt",
        f"{IMAGES}.gz",
        str(cache_of(tiny)),
        "set CHAINRULE_DATA",
    ]:
        assert part in message
    assert "\n" not in message
    assert list(cache_of(tiny).iterdir()) == [], "nothing half-written is left"
    monkeypatch.setattr(_mnist, "MIRRORS", ("http://127.0.0.1:1/",))  # nobody listens there
    with pytest.raises(ConnectionError, match=r"could not download .*127\.0\.0\.1:1/ \(Failed .*refused\)"):
        load_mnist()
    assert CliRunner().invoke(app, ["train", "mnist"]).exit_code == 1  # a failure, not wrong input


def test_a_cache_that_cannot_be_written_is_named(tiny, mirrors):
    asked = mirrors("good", "good")
    cache_of(tiny).parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"could not download .* to .*cache.*set CHAINRULE_DATA"):
        load_mnist()
    assert asked == []


def test_a_damaged_file_in_the_cache_is_said_and_replaced(tiny, mirrors):
    mirrors("good")
    load_mnist()
    (cache_of(tiny) / f"{IMAGES}.gz").write_bytes(b"half")
    with pytest.warns(UserWarning, match=rf"downloading again: {IMAGES}.gz is corrupt.*cache"):
        data = load_mnist()
    np.testing.assert_array_equal(data.X, PIXELS.reshape(5, 12) / np.float32(255))
    load_mnist()  # without a warning


def test_an_interrupted_download_leaves_nothing(tiny, mirrors, monkeypatch):
    mirrors("good")

    def interrupt(path, sha256):
        assert path.parent.parent == cache_of(tiny), "written beside its place, not in it"
        raise KeyboardInterrupt

    monkeypatch.setattr(_mnist, "_content", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_mnist()
    assert list(cache_of(tiny).iterdir()) == []


@pytest.mark.parametrize("good", ["good", "lengthless"])
def test_a_terminal_shows_the_progress(tiny, mirrors, monkeypatch, good):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    mirrors(good)
    monkeypatch.setattr(sys, "stderr", Terminal())
    load_mnist()
    shown = sys.stderr.getvalue()
    assert IMAGES in shown
    assert LABELS in shown
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    (cache_of(tiny) / f"{IMAGES}.gz").unlink()
    load_mnist()


def test_a_dataset_may_be_made_by_hand():
    data = Dataset("mine", np.zeros((2, 6)), np.array([0, 1]), ("a", "b"), (2, 3))
    assert repr(data) == "Dataset('mine': 2 rows of 6 inputs (2 x 3 images), 2 classes)"
