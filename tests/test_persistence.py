"""Model files: what is saved is what is loaded, and nothing else is ever loaded."""

import json
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

import chainrule as cr
from chainrule import initializers, layers, losses
from chainrule._names import public_classes
from chainrule.layers import Dense, Dropout, Layer, Tanh
from chainrule.persistence import ModelFileError, read_metadata

LOSSES = public_classes(losses, losses.Loss)
WITH_ARGUMENTS = {
    "Huber": {"delta": 0.7},
    "Quantile": {"quantile": 0.9},
    "SoftmaxCrossEntropy": {"label_smoothing": 0.1},
}
X = np.random.default_rng(0).normal(size=(5, 4))


def small(**options):
    return cr.Network(4, [Dense(3), Tanh(), Dropout(0.25), Dense(2)], "squared_error", seed=0, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_comes_back(path, name, dtype):
    loss = LOSSES[name](**WITH_ARGUMENTS.get(name, {}))
    network = cr.Network(4, [Dense(3)], loss, seed=0, dtype=dtype)
    network.save(path)
    loaded = cr.Network.load(path)
    assert loaded.loss == loss
    assert loaded.dtype == network.dtype
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))


def test_every_layer_and_every_argument_comes_back(path):
    special = {
        "Dense": Dense(6, weights=initializers.Uniform(-0.3, 0.3), biases=initializers.Constant(0.1), inputs=4),
        "Dropout": Dropout(0.4),
        "ELU": layers.ELU(0.5),
        "GELU": layers.GELU("tanh"),
        "LeakyReLU": layers.LeakyReLU(0.2),
    }
    stack = [special.get(name) or cls() for name, cls in sorted(public_classes(layers, Layer).items())]
    stack.sort(key=lambda layer: not isinstance(layer, Dense))
    network = cr.Network(4, [*stack, Dense(2, biases=None)], "squared_error", seed=0)
    network.save(path)
    loaded = cr.Network.load(path)
    assert repr(loaded) == repr(network)
    np.testing.assert_array_equal(loaded.theta, network.theta)
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))
    assert cr.check_gradient(loaded, X, np.ones((5, 2)))


def test_a_loaded_network_trains_on(path):
    small().save(path)
    loaded = cr.Network.load(path)
    assert cr.train(loaded, X, X[:, :2], epochs=20, seed=0)["loss"][-1] < 5


def test_metadata(path):
    small().save(path, {"classes": "cat dog"})
    assert read_metadata(path) == {"classes": "cat dog"}


def test_nothing_is_overwritten_without_being_asked(path):
    small().save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"is there already.*overwrite=True"):
        small().save(path)
    assert path.read_bytes() == before
    other = small()
    other.theta[:] = 1
    other.save(path, overwrite=True)
    assert cr.Network.load(path).theta[0] == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    small().save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        small().save(path, overwrite=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(path, tmp_path):
    small().save(path)
    (tmp_path / "other").write_text("")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_folder_or_a_missing_folder_as_path(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; a file was expected"):
        small().save(tmp_path)
    with pytest.raises(FileNotFoundError):
        small().save(tmp_path / "nowhere" / "model.safetensors")
    with pytest.raises(IsADirectoryError, match=r"is a folder; a file written by Network.save was expected"):
        cr.Network.load(tmp_path)
    small().save(tmp_path / "model.safetensors")
    with pytest.raises(IsADirectoryError, match=r"Did you mean .*model.safetensors"):
        cr.Network.load(tmp_path)


class Own(Layer):
    def forward(self, x, memo):
        return x

    def backward(self, dy, memo):
        return dy


def test_layers_of_ones_own_are_refused_with_a_way_out(path):
    with pytest.raises(ValueError, match=r"layer 1, Own\(\), is not a part of chainrule.*np.save"):
        cr.Network(4, [Dense(2), Own()], "squared_error").save(path)
    assert not path.exists()


def test_a_class_that_borrows_a_name_is_refused(path):
    Impostor = type("Tanh", (Own,), {})
    with pytest.raises(ValueError, match="is not a part of chainrule"):
        cr.Network(4, [Dense(2), Impostor()], "squared_error").save(path)


# ---------------------------------------------------------------- files that are something else


class Bomb:
    def __reduce__(self):
        return (sys.exit, ("a pickle was loaded",))


def foreign(kind, path):
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", "y")
    elif kind == "npy":
        np.save(path.with_suffix(".npy"), X)
        path.with_suffix(".npy").rename(path)
    elif kind == "text":
        path.write_text("hello, this is no model at all")
    elif kind == "PNG":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "one byte":
        path.write_bytes(b"\x00")
    elif kind == "terabyte header":
        path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    elif kind == "header of brackets":
        path.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000)
    elif kind == "safetensors of another tool":
        save_file({"w": X}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pickle", "it is a pickle"),
        ("zip", "a zip archive"),
        ("npy", "a NumPy array"),
        ("text", "is not a safetensors file"),
        ("PNG", "a PNG picture"),
        ("empty", "is empty"),
        ("one byte", "damaged, cut short"),
        ("terabyte header", "damaged, cut short"),
        ("header of brackets", "its header is not JSON"),
        ("safetensors of another tool", "of another tool"),
    ],
)
def test_foreign_files_are_named_and_refused(path, kind, message):
    foreign(kind, path)
    with pytest.raises(ModelFileError, match=message):
        cr.Network.load(path)


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        cr.Network.load(path)


def test_every_truncation_is_refused(path):
    small().save(path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            cr.Network.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError):
        cr.Network.load(path)


def rewrite(path, change):
    """Save a network, let ``change`` edit its description, and write the file anew."""
    network = small()
    network.save(path)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["chainrule"])
    change(description)
    header["__metadata__"]["chainrule"] = json.dumps(description)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(description):
        for key in keys:
            description = description[key]
        description[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", 2), "has format 2.*Upgrade"),
        (put("surprise", 1), "missing or unknown fields: surprise"),
        (lambda d: d.pop("loss"), "missing or unknown fields: loss"),
        (put("layers", 1, "type", "os.system"), "unknown type 'os.system'"),
        (put("layers", 1, "type", "Layer"), "unknown type 'Layer'"),
        (put("layers", 1, "type", ["Tanh"]), "cannot be read"),
        (put("layers", 1, "gain", 2), "unknown field.s. gain"),
        (put("layers", 0, "units", 10**12), "the arrays do not fit the description"),
        (put("layers", 0, "units", 10**400), "the arrays do not fit the description"),
        (put("layers", 0, "units", -1), "cannot be read"),
        (put("layers", 0, "units", "many"), "cannot be read"),
        (put("layers", 0, "weights", {"type": "eval"}), "unknown type 'eval'"),
        (put("layers", 2, "rate", 7), "cannot be read"),
        (put("layers", []), "cannot be read"),
        (put("layers", None), "cannot be read"),
        (put("inputs", [5]), "the arrays do not fit the description"),
        (put("inputs", 4), "cannot be read"),
        (put("dtype", "float64"), "the arrays do not fit the description"),
        (put("dtype", "object"), "cannot be read"),
        (put("loss", {"type": "Dense", "units": 1}), "unknown type 'Dense'"),
        (put("loss", "SquaredError"), "cannot be read"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(path, change, message):
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message):
        cr.Network.load(path)


def test_an_unchanged_description_loads(path):
    rewrite(path, lambda description: None)
    np.testing.assert_array_equal(cr.Network.load(path).theta, small().theta)
