"""Model files: what is saved is what is loaded, and nothing else is ever loaded."""

import json
import os
import pickle
import re
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.pipeline import make_pipeline

import chainrule as cr
from chainrule import initializers, layers, losses
from chainrule._internal.names import public_classes
from chainrule.files.descriptions import MODULES, build, describe, table
from chainrule.files.networks import ModelFileError, read_metadata
from chainrule.layers import Dense, Dropout, Layer, Tanh

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
    cr.save(network, path)
    loaded = cr.load(path)
    assert loaded.loss == loss
    assert loaded.dtype == network.dtype
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))


@pytest.mark.parametrize("checked", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_layer_and_every_argument_comes_back(path, checked):
    special = {
        "Dense": Dense(6, weights=initializers.Uniform(-0.3, 0.3), biases=initializers.Constant(0.1), inputs=4),
        "Dropout": Dropout(0.4),
        "ELU": layers.ELU(0.5),
        "GELU": layers.GELU("tanh"),
        "LeakyReLU": layers.LeakyReLU(0.2),
        "Embedding": layers.Embedding([3], 4, columns=[2], weights=initializers.Normal(1.0)),
        "Reshape": layers.Reshape((4, -1, 2)),
        "Conv2D": layers.Conv2D(4, (2, 3), (1, 2), (1, 0, 2, 1), 1, 2, "he_uniform", initializers.Constant(0.1)),
        "BatchNorm": layers.BatchNorm(0.7, 1e-3),
        "LayerNorm": layers.LayerNorm(1e-4),
        "RMSNorm": layers.RMSNorm(1e-4),
        "Scale": layers.Scale(0.5),
        "MaxPool2D": layers.MaxPool2D(3, (1, 2), "same"),
        "AveragePool2D": layers.AveragePool2D((2, 1), 1, (1, 0)),
        "Dropout2D": layers.Dropout2D(0.2),
        "GaussianNoise": layers.GaussianNoise(0.1),
        "Residual": layers.Residual([layers.BatchNorm(), layers.Residual([layers.Conv2D(4, padding="same")])]),
    }
    images = ["Reshape", "Conv2D", "BatchNorm", "MaxPool2D", "Residual", "AveragePool2D", "Dropout2D"]
    last = [*images, "GlobalAveragePool2D", "Flatten"]
    shipped = public_classes(layers, Layer)
    names = ["Embedding", "Dense", *sorted(shipped.keys() - {"Embedding", "Dense", *last}), *last]
    stack = [special.get(name) or shipped[name]() for name in names]
    stack[1] = Dense(24, weights=initializers.Uniform(-0.3, 0.3), biases=initializers.Constant(0.1), inputs=7)
    network = cr.Network(4, [*stack, Dense(2, biases=None)], "squared_error", seed=0)
    rows = X.copy()
    rows[:, 2] = [0, 2, 1, 1, 0]
    network.statistics[:] = np.random.default_rng(0).uniform(0.5, 2, network.statistics.size)
    cr.save(network, path)
    for loaded in (cr.load(path), cr.load(path)):
        assert repr(loaded) == repr(network)
        np.testing.assert_array_equal(loaded.values, network.values)
        np.testing.assert_array_equal(loaded.predict(rows), network.predict(rows))
    assert not checked or cr.check_gradient(loaded, rows, np.ones((5, 2)))


def test_a_loaded_network_trains_on(path):
    cr.save(small(), path)
    loaded = cr.load(path)
    assert cr.train(loaded, X, X[:, :2], epochs=20, seed=0)["loss"][-1] < 5


def test_metadata(path):
    cr.save(small(), path, {"classes": "cat dog"})
    assert read_metadata(path) == {"classes": "cat dog"}


def test_nothing_is_overwritten_without_being_asked(path):
    cr.save(small(), path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"already exists.*overwrite=True"):
        cr.save(small(), path)
    assert path.read_bytes() == before
    other = small()
    other.theta[:] = 1
    cr.save(other, path, overwrite=True)
    assert cr.load(path).theta[0] == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    cr.save(small(), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cr.save(small(), path, overwrite=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(path, tmp_path):
    cr.save(small(), path)
    (tmp_path / "other").write_text("")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_folder_or_a_missing_folder_as_path(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; a file was expected"):
        cr.save(small(), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist. Create it first"):
        cr.save(small(), tmp_path / "nowhere" / "model.safetensors")
    with pytest.raises(IsADirectoryError, match=r"is a folder; a model saved by chainrule was expected"):
        cr.load(tmp_path)
    cr.save(small(), tmp_path / "model.safetensors")
    with pytest.raises(IsADirectoryError, match=r"Did you mean .*model.safetensors"):
        cr.load(tmp_path)


class Own(Layer):
    def forward(self, x, memo):
        return x

    def backward(self, dy, memo):
        return dy


def test_layers_of_ones_own_are_refused_with_a_way_out(path):
    with pytest.raises(ValueError, match=r"layer 1, Own\(\), is not a part of chainrule.*np.save"):
        cr.save(cr.Network(4, [Dense(2), Own()], "squared_error"), path)
    assert not path.exists()


def test_a_class_that_borrows_a_name_is_refused(path):
    Impostor = type("Tanh", (Own,), {})
    with pytest.raises(ValueError, match="is not a part of chainrule"):
        cr.save(cr.Network(4, [Dense(2), Impostor()], "squared_error"), path)


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
    elif kind == "ONNX":
        path.write_bytes(b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0" + bytes(100))
    elif kind == "HDF5":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    elif kind == "joblib":
        path.write_bytes(zlib.compress(pickle.dumps(Bomb())))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nowhere":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "PNG":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "one byte":
        path.write_bytes(b"\x00")
    elif kind == "terabyte header":
        path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    elif kind == "header of brackets":
        path.write_bytes(struct.pack("<Q", 40_000) + b"[" * 40_000)
    elif kind == "safetensors of another tool":
        save_file({"w": X}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pickle", "it is a pickle"),
        ("zip", "a zip archive"),
        ("npy", "a NumPy array"),
        ("text", "it is a text"),
        ("PNG", "a PNG picture"),
        ("ONNX", "perhaps an ONNX model"),
        ("HDF5", "an HDF5 file"),
        ("joblib", "compressed with zlib"),
        ("pipe", "is a pipe or a device"),
        ("empty", "is empty"),
        ("one byte", "corrupt, truncated"),
        ("terabyte header", "its header of 1099511627776 bytes is larger"),
        ("header of brackets", "the header cannot be read"),
        ("safetensors of another tool", "written by another tool"),
    ],
)
@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (cr.files.networks.load, "a network saved by chainrule was expected"),
        (cr.MLPClassifier.load, "a fitted MLPClassifier saved by chainrule was expected"),
        (cr.MLPRegressor.load, "a fitted MLPRegressor saved by chainrule was expected"),
        (cr.load, "a model saved by chainrule was expected"),
        (read_metadata, "a file written by chainrule was expected"),
    ],
)
def test_foreign_files_are_named_and_refused(path, kind, message, load, expected):
    foreign(kind, path)
    with pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert expected in text or kind == "header of brackets"
    assert "\n" not in text
    assert len(text) < 400


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        cr.load(path)
    foreign("link to nowhere", path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        cr.load(path)


def test_an_unreadable_file(other_user):
    folder, become = other_user
    network = small()
    cr.save(network, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0)
    become()
    with pytest.raises(PermissionError, match=r"permission denied; a model saved by chainrule"):
        cr.load(folder / "model.safetensors")
    with pytest.raises(PermissionError, match="no permission to write to the folder"):
        cr.save(network, folder / "new.safetensors")


def test_every_truncation_is_refused(path):
    cr.save(small(), path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            cr.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError):
        cr.load(path)


def rewrite(path, change):
    """Save a network, let ``change`` edit its description, and write the file anew."""
    network = small()
    cr.save(network, path)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["chainrule"])
    change(description)
    header["__metadata__"]["chainrule"] = json.dumps(description)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])


def net(change):
    return lambda description: change(description["network"])


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(description):
        for key in keys:
            description = description[key]
        description[last] = value

    return change


@pytest.mark.few(20)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", 3), "it has format 3, written by chainrule 0.*newer chainrule"),
        (put("format", 0), "it has format 0"),
        (put("format", 2.0), "it has format 2.0"),
        (put("format", True), "it has format True"),
        (put("format", "2"), "it has format 2"),
        (
            put("kind", "spaceship"),
            r"holds 'spaceship', which this version does not know: is the file from a newer one\?",
        ),
        (put("kind", 3), "unreadable fields"),
        (put("version", None), "unreadable fields"),
        (put("version", "\ud800"), "cannot be read"),
        (put("metadata", {"a": 1}), "the metadata cannot be read"),
        (put("surprise", 1), "missing or unknown fields: surprise"),
        (net(put("surprise", 1)), "missing or unknown fields: surprise"),
        (net(lambda d: d.pop("loss")), "missing or unknown fields: loss"),
        (net(put("layers", 1, "type", "os.system")), r"unknown type 'os.system'.*Is the file from a newer version\?"),
        (net(put("layers", 1, "type", "Layer")), "unknown type 'Layer'"),
        (net(put("layers", 1, "type", ["Tanh"])), "unknown type"),
        (net(put("layers", 1, "type", "\x1b[31mred")), r"unknown type '\\x1b\[31mred'"),
        (net(put("layers", 1, "gain", 2)), r"unknown fields gain\. Is the file from a newer"),
        (net(put("layers", 1, 7)), "layer 1 cannot be read"),
        (net(put("layers", 0, "units", 10**12)), "the arrays do not match the description"),
        (net(put("layers", 0, "units", 10**400)), "expected int, got 1000"),
        (net(put("layers", 0, "units", 2**63)), "expected int, got"),
        (net(put("layers", 0, "units", -1)), "cannot be read"),
        (net(put("layers", 0, "units", "many")), "units: expected int, got many"),
        (net(put("layers", 0, "units", True)), "units: expected int, got True"),
        (net(put("layers", 0, "units", 3.0)), "units: expected int, got 3.0"),
        (net(put("layers", 0, "inputs", [4])), "inputs: expected int or None"),
        (net(put("layers", 0, "weights", {"type": "eval"})), "unknown type 'eval'"),
        (net(put("layers", 0, "weights", {"type": "Tanh"})), "unknown type 'Tanh'"),
        (net(put("layers", 0, "weights", {"type": "Constant", "value": "1"})), "value: expected float, got 1"),
        (net(put("layers", 2, "rate", 7)), "cannot be read"),
        (net(put("layers", 2, "rate", None)), "rate: expected float, got None"),
        (net(lambda d: d["layers"][2].pop("rate")), "missing fields: rate"),
        (net(put("layers", [])), "do not fit together: .*at least one layer"),
        (net(put("layers", None)), "layers: expected a list"),
        (net(put("layers", [{"type": "Tanh"}] * 2001)), "at most 2000, got 2001"),
        (net(put("inputs", [5])), "the arrays do not match the description"),
        (net(put("inputs", 4)), "inputs: expected a list"),
        (net(put("inputs", ["4"])), "inputs cannot be read"),
        (net(put("inputs", [4] * 9)), "inputs: expected a list"),
        (net(put("inputs", [2, 2])), "do not fit together"),
        (net(put("dtype", "float64")), "the arrays do not match the description"),
        (net(put("dtype", "object")), "dtype: expected"),
        (net(put("dtype", ["float32"])), "dtype: expected"),
        (net(put("loss", {"type": "Dense", "units": 1})), "unknown type 'Dense'"),
        (net(put("loss", "SquaredError")), "the loss cannot be read"),
        (net(put("seed", "zero")), "the seed cannot be read"),
        (net(put("seed", -1)), "the seed cannot be read"),
        (net(put("seed", True)), "the seed cannot be read"),
        (net(put("seed", {"entropy": 1})), "seed: missing or unknown fields: spawn_key"),
        (net(put("seed", {"entropy": "1", "spawn_key": []})), "the seed cannot be read"),
        (net(put("seed", {"entropy": 1, "spawn_key": 2})), "the seed cannot be read"),
        (put("network", None), "the network cannot be read"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(path, change, message):
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message):
        cr.load(path)


def test_a_small_file_cannot_ask_for_all_memory(tmp_path, monkeypatch):
    grow = [cr.layers.Conv2D(1, 2, padding=999, dilation=999)] * 9  # each makes the image 999 pixels higher and wider
    end = [cr.layers.GlobalAveragePool2D()]
    cr.save(cr.Network((2, 2, 1), [*grow[:8], *end], "squared_error"), tmp_path / "large.safetensors")
    assert cr.load(tmp_path / "large.safetensors").layers[7].output_shape == (7994, 7994, 1)
    message = r"Conv2D.* more than 67,108,864 output values per sample"
    larger = cr.Network((2, 2, 1), [*grow, *end], "squared_error")
    with pytest.raises(ModelFileError, match=message):
        cr.save(larger, tmp_path / "larger.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr("chainrule.files.networks.LARGEST", 10**12)
        cr.save(larger, tmp_path / "larger.safetensors")
    with pytest.raises(ModelFileError, match=message):
        cr.load(tmp_path / "larger.safetensors")


POOL = cr.layers.MaxPool2D
SLOW = {
    "windows as large as the image": [POOL(1999, 1, padding=998)],
    "means": [cr.layers.AveragePool2D(1999, 1, padding=998)],
    "a block of them": [cr.layers.Residual([POOL(1999, 1, padding=999)])],
    "many layers": [POOL(31, 1, padding=15)] * 3,
    "convolutions": [cr.layers.Conv2D(1, 1000, padding="same")],
    "many large layers": [cr.layers.Tanh()] * 500,
}


@pytest.mark.parametrize("name", SLOW)
def test_a_small_file_cannot_ask_for_all_time(tmp_path, monkeypatch, name):
    """Of a few bytes, which would predict one sample for days: what its layers read is bounded, as what they give is."""
    size = {"a block of them": 1999, "many large layers": 5000}.get(name, 2000)
    network = cr.Network((size, size, 1), [*SLOW[name], cr.layers.GlobalAveragePool2D()], "squared_error")
    with pytest.raises(ModelFileError, match="values per sample: one prediction would take"):
        cr.save(network, tmp_path / "slow.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr("chainrule.files.networks.LONGEST", 10**18)
        cr.save(network, tmp_path / "slow.safetensors")
    for load in (cr.files.networks.load, cr.load):
        with pytest.raises(ModelFileError, match="values per sample: one prediction would take"):
            load(tmp_path / "slow.safetensors")


def test_an_unchanged_description_loads(path):
    rewrite(path, lambda description: None)
    np.testing.assert_array_equal(cr.load(path).theta, small().theta)


# ---------------------------------------------------------------- headers that do not fit


def build_file(path, header, data=b"", raw=None):
    """Write a file with a header of one's own, and the description of ``small()`` in it."""
    cr.save(small(), path, overwrite=True)
    description = parts(path)[0]["__metadata__"]
    text = raw if raw is not None else json.dumps({"__metadata__": description, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def parts(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def test_headers_that_do_not_fit_are_refused(path):
    cr.save(small(), path)
    header, data = parts(path)
    del header["__metadata__"]
    W = header["layers.0.W"]
    begin, end = W["data_offsets"]
    cases = {
        "a terabyte": ({**header, "layers.0.W": {**W, "shape": [2**20, 2**20]}}, "do not match its shape"),
        "more than 64 bits": ({**header, "layers.0.W": {**W, "shape": [2**64]}}, "expected a whole number"),
        "negative": ({**header, "layers.0.W": {**W, "shape": [-4, -3]}}, "expected a whole number"),
        "a shape of true": ({**header, "layers.0.W": {**W, "shape": [True, 12]}}, "expected a whole number"),
        "a shape of text": ({**header, "layers.0.W": {**W, "shape": "4, 3"}}, "cannot be read"),
        "33 axes": ({**header, "layers.0.W": {**W, "shape": [1] * 33}}, "cannot be read"),
        "transposed": ({**header, "layers.0.W": {**W, "shape": [3, 4]}}, "the arrays do not match the description"),
        "other numbers": (
            {**header, "layers.0.W": {**W, "dtype": "I64", "shape": [6]}},
            "do not match the description",
        ),
        "a type unknown": ({**header, "layers.0.W": {**W, "dtype": "BF16"}}, "has the type BF16"),
        "a type of another type": ({**header, "layers.0.W": {**W, "dtype": ["F32"]}}, "has the type"),
        "swapped": ({**header, "layers.0.W": {**W, "data_offsets": [end, begin]}}, "do not match its shape"),
        "three offsets": ({**header, "layers.0.W": {**W, "data_offsets": [0, 48, 48]}}, "cannot be read"),
        "another field": ({**header, "layers.0.W": {**W, "code": "1"}}, "missing or unknown fields: code"),
        "no object": ({**header, "layers.0.W": 1}, "expected an object"),
        "one too few": ({k: v for k, v in header.items() if k != "layers.3.W"}, "corrupt"),
        "overlapping": ({**header, "x": W}, "does not begin where the previous one ends"),
        "a hole": ({**header, "layers.0.W": {**W, "data_offsets": [len(data), len(data) + 48]}}, "corrupt|truncated"),
    }
    for what, (changed, message) in cases.items():
        build_file(path, changed, data)
        with pytest.raises(ModelFileError) as caught:
            cr.load(path)
        assert re.search(message, str(caught.value)), f"{what}: {caught.value}"
    build_file(path, dict(reversed(header.items())), data)  # the order of the names is free
    np.testing.assert_array_equal(cr.load(path).theta, small().theta)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": NaN}', "NaN is not finite"),
        (b'{"a": -Infinity}', "-Infinity is not finite"),
        (b'{"a": 1e999}', "1e999 is not finite"),
        (b'{"a": 1, "a": 1}', "duplicate name"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"a": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_001, "cannot be read"),
        (b'{"a": "\xff"}', "cannot be read"),
        ('{"a": 1}'.encode("utf-16"), "cannot be read"),
        (b"[1, 2, 3]", "not a JSON object"),
        (b"{}        ", "written by another tool"),
        (b'{"__metadata__": []}', "written by another tool"),
        (b'{"__metadata__": {"chainrule": 3}}', "written by another tool"),
        (b'{"__metadata__": {"chainrule": "{"}}', "the description cannot be read"),
        (b'{"__metadata__": {"chainrule": "[]"}}', "the description cannot be read"),
    ],
)
def test_json_that_is_not_as_it_should_be(path, raw, message):
    build_file(path, {}, raw=raw)
    with pytest.raises(ModelFileError, match=message):
        cr.load(path)


def test_what_we_read_the_safetensors_package_reads_too(path):
    network = small()
    cr.save(network, path)
    ours = {e.key: network.layout.view(network.theta, e) for e in network.layout.entries}
    theirs = load_file(path)
    assert ours.keys() == theirs.keys()
    for key, values in ours.items():
        np.testing.assert_array_equal(values, theirs[key])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_neither_written_nor_read(path, value):
    network = small()
    cr.save(network, path)
    header, data = parts(path)
    network.theta[-1] = value
    with pytest.raises(ValueError, match=r"save: layers.3.b is not finite: training diverged"):
        cr.save(network, path, overwrite=True)
    header.pop("__metadata__")
    last = header["layers.3.b"]["data_offsets"][1]
    build_file(path, header, data[: last - 4] + struct.pack("<f", value) + data[last:])
    with pytest.raises(ModelFileError, match=r"layers.3.b is not finite"):
        cr.load(path)


# ---------------------------------------------------------------- what is in a file


@pytest.mark.parametrize(
    "seed",
    [
        None,
        7,
        2**100,
        np.random.SeedSequence(5).spawn(2)[1],
        np.random.SeedSequence([1, 2]),
    ],
    ids=repr,
)
def test_the_seed_is_kept_and_draws_the_same_network(path, seed):
    network = cr.Network(4, [Dense(3)], "squared_error", seed=seed)
    cr.save(network, path)
    loaded = cr.load(path)
    if isinstance(seed, np.random.SeedSequence):
        assert loaded.seed.generate_state(4).tolist() == seed.generate_state(4).tolist()
    else:
        assert loaded.seed == network.seed == seed
    if seed is not None:
        again = cr.Network(4, [Dense(3)], "squared_error", seed=loaded.seed)
        np.testing.assert_array_equal(again.theta, network.theta)


def test_the_same_network_gives_the_same_bytes(path, tmp_path):
    cr.save(small(), path)
    cr.save(small(), tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_too_much_for_a_header_is_refused_when_it_is_written(path):
    with pytest.raises(ValueError, match=r"but a file holds at most 2097152 .*: too much metadata"):
        cr.save(small(), path, {"text": "x" * 2**21})
    with pytest.raises(ValueError, match=r"50000 opening brackets.*: too much metadata"):
        cr.save(small(), path, {"text": "[" * 50_000})
    deep = cr.Network(1, [Tanh()] * 2001, "squared_error")
    with pytest.raises(ValueError, match="at most 2000 layers, this network has 2001"):
        cr.save(deep, path)
    assert not path.exists()


def test_metadata_that_is_no_text(path):
    for metadata in ({"a": 1}, {1: "a"}):
        with pytest.raises(TypeError, match="metadata"):
            cr.save(small(), path, metadata)
    with pytest.raises(TypeError, match=r"save: the metadata cannot be read: .*surrogates.*json.dumps"):
        cr.save(small(), path, {"a": "\ud800"})


def test_a_link_is_followed_and_permissions_are_kept(path, tmp_path):
    cr.save(small(), path)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    other = small()
    other.theta[:] = 1
    cr.save(other, link, overwrite=True)
    assert link.is_symlink()
    assert cr.load(path).theta[0] == 1
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_device_or_a_pipe_is_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="is not a regular file but a folder, a pipe or a device"):
        cr.save(small(), path, overwrite=True)
    assert path.is_fifo()


# ---------------------------------------------------------------- descriptions of all that chainrule has

EXAMPLES = {
    "ClipNorm": {"limit": 1.0},
    "ClipValue": {"limit": 1},
    "Constant": {"value": 0.5},
    "Dense": {"units": 3, "weights": initializers.Normal(0.1)},
    "Dropout": {"rate": 0.5},
    "Conv2D": {"filters": 4, "size": (3, 2), "stride": 2, "padding": (0, 1, 2, 3), "groups": 2},
    "Dropout2D": {"rate": 0.5},
    "GaussianNoise": {"deviation": 0.5},
    "Embedding": {"categories": (2, 3), "size": 4, "columns": [0, 2]},
    "Reshape": {"shape": [4, -1]},
    "Residual": {"layers": [Dense(3), layers.Residual([layers.BatchNorm()])]},
    "EarlyStopping": {"monitor": "loss", "patience": 3},
    "Exponential": {"gamma": 0.9},
    "InverseTime": {"decay": 0.1},
    "L1": {"strength": 0.1, "layers": 0},
    "L2": {"strength": 0.1, "layers": [0, 2], "per_row": True},
    "MaxNorm": {"limit": 3.0, "layers": ()},
    "Step": {"every": 3},
    "WarmUp": {"epochs": 2, "then": cr.schedules.WarmUp(1, then=cr.schedules.Cosine())},
}


@pytest.mark.parametrize("base", sorted(MODULES))
def test_every_public_part_can_be_described_and_built(base):
    """A field with an annotation that has no form in a file fails here."""
    for name, cls in table(base).items():
        arguments = {} if (base, name) == ("Schedule", "Constant") else EXAMPLES.get(name, {})
        part = cls(**arguments)
        description = json.loads(json.dumps(describe(name, part, base)))
        built = build(name, description, base)
        assert type(built) is cls
        assert repr(built) == repr(part)


def test_what_a_description_cannot_hold():
    with pytest.raises(ValueError, match=r"save: it: a file cannot hold it: Progress: file: expected"):
        describe("it", cr.Progress(file=sys.stderr), "Callback")
    nested = {"type": "Constant"}
    for _ in range(5000):
        nested = {"type": "WarmUp", "epochs": 1, "then": nested}
    with pytest.raises(ModelFileError, match="nested more than 16 deep"):
        build("it", nested, "Schedule")
    deep = layers.Tanh()
    for _ in range(16):
        deep = layers.Residual([deep])
    assert repr(build("it", describe("it", deep, "Layer"), "Layer")) == repr(deep)
    with pytest.raises(ValueError, match="at most 16 deep, this is deeper"):
        describe("it", layers.Residual([deep]), "Layer")
    with pytest.raises(ModelFileError, match=r"unknown type 'Momentum'. Known: .*Cosine"):
        build("it", {"type": "Momentum"}, "Schedule")


def test_what_no_file_can_hold_is_refused_with_what_saves_it(tmp_path):
    with pytest.raises(TypeError, match=r"got list\. The results of tables are folders: chainrule\.tables\.save"):
        cr.save([], tmp_path / "model.safetensors")
    with pytest.raises(TypeError, match=r"got Pipeline\. Save its network alone, pipeline\[-1\], or export"):
        cr.save(make_pipeline(cr.MLPClassifier()), tmp_path / "model.safetensors")
    assert not [*tmp_path.iterdir()]
