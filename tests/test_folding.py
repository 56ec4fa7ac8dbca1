"""Folded networks: what they leave out, and that they predict the same."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Dropout2D,
    Flatten,
    GaussianNoise,
    Identity,
    LayerNorm,
    MaxPool2D,
    ReLU,
    Residual,
    Scale,
    Tanh,
)

RNG = np.random.default_rng(0)
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
BLOCK = [Conv2D(4, padding="same", biases=None), BatchNorm(), ReLU(), Dropout2D(0.1), Conv2D(4, 1), BatchNorm()]
CASES = {
    "dense": (3, [Dense(5), BatchNorm(), GaussianNoise(0.1), ReLU(), Dropout(0.5), Dense(2)]),
    "no biases": (3, [Dense(5, biases=None), BatchNorm(), Dense(4, biases=None), Tanh(), Dense(2)]),
    "dropout between": (3, [Dense(5), Dropout(0.2), BatchNorm(epsilon=0.1), Dense(2)]),
    "scale": (3, [Dense(5), BatchNorm(), Scale(3.0), BatchNorm(), Dense(2, biases=None), Scale(0.5)]),
    "nothing before": (3, [BatchNorm(), Tanh(), BatchNorm(), Dense(2)]),
    "images": ((6, 5, 2), [Conv2D(4, 3, groups=2), BatchNorm(), MaxPool2D(), Flatten(), Dense(2)]),
    "residual": ((6, 5, 2), [Conv2D(4), BatchNorm(), Residual([*BLOCK, Scale(0.1)]), Flatten(), Dense(2)]),
    "nested": (3, [Dense(4), Residual([Residual([Dense(4, biases=None), BatchNorm()]), Dropout(0.5), BatchNorm()])]),
    "after a residual": (3, [Residual([Dense(3)]), BatchNorm(), Dense(2)]),
}


def trained(inputs, layers, dtype="float64"):
    network = cr.Network(inputs, layers, "softmax_cross_entropy", seed=0, dtype=dtype)
    network.theta += RNG.normal(scale=0.1, size=network.theta.shape)
    for entry, array in network.arrays()[len(network.layout.entries) :]:
        array[...] = RNG.uniform(0.1, 3, entry.shape) if entry.name.endswith("var") else RNG.normal(size=entry.shape)
    return network


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_predictions_are_the_same(case, dtype):
    network = trained(*CASES[case], dtype)
    before = network.values.copy()
    folded = cr.fold(network)
    x = RNG.normal(size=(50, *network.input_shape)).astype(dtype)
    ours, theirs = network.logits(x), folded.logits(x)
    assert np.abs(theirs - ours).max() <= TOLERANCE[dtype] * max(1, np.abs(ours).max())
    np.testing.assert_array_equal(network.values, before)
    assert not np.may_share_memory(folded.values, network.values)
    assert folded.dtype == network.dtype


@pytest.mark.parametrize(
    ("case", "left"),
    [
        ("dense", ["Dense", "ReLU", "Dense"]),
        ("dropout between", ["Dense", "Dense"]),
        ("scale", ["Dense", "Dense"]),
        ("nothing before", ["BatchNorm", "Tanh", "BatchNorm", "Dense"]),
        ("images", ["Conv2D", "MaxPool2D", "Flatten", "Dense"]),
        ("residual", ["Conv2D", "Residual", "Flatten", "Dense"]),
        ("after a residual", ["Residual", "BatchNorm", "Dense"]),
    ],
)
def test_what_is_left(case, left):
    assert kinds(cr.fold(trained(*CASES[case]))) == left


def test_what_is_left_inside_of_a_residual():
    block = cr.fold(trained(*CASES["residual"])).layers[1]
    assert [type(layer).__name__ for layer in block.inner] == ["Conv2D", "ReLU", "Conv2D"]
    assert block.inner[0].b.shape == (4,)


def test_the_formula():
    network = trained(3, [Dense(5), BatchNorm(epsilon=0.5), Dense(2)])
    dense, norm, _ = network.layers
    s = 1 / np.sqrt(norm.running_var + 0.5)
    first = cr.fold(network).layers[0]
    np.testing.assert_allclose(first.W, dense.W * norm.gamma * s, rtol=1e-14)
    np.testing.assert_allclose(first.b, (dense.b - norm.running_mean) * norm.gamma * s + norm.beta, rtol=1e-13)


def test_a_network_without_anything_to_fold_keeps_its_values_to_the_bit():
    network = trained(3, [Dense(5), LayerNorm(), ReLU(), Dense(2)], "float32")
    folded = cr.fold(network)
    np.testing.assert_array_equal(folded.values, network.values)
    assert repr(folded) == repr(network)


def test_a_layer_of_ones_own_is_kept_with_what_it_was_given():
    class Shift(cr.Layer):
        def __init__(self, by):
            self.by = by

        def forward(self, x, memo):
            return x + self.by

        def backward(self, dy, memo):
            return dy

    network = trained(3, [Dense(4), Shift(2.0), Dropout(0.5), BatchNorm(), Dense(2)])
    x = RNG.normal(size=(4, 3))
    assert kinds(cr.fold(network)) == ["Dense", "Shift", "BatchNorm", "Dense"]
    np.testing.assert_array_equal(cr.fold(network).predict(x), network.predict(x))


def test_dropout_alone_leaves_a_layer_that_does_nothing():
    network = cr.Network(3, [Dropout(0.5), Residual([Dropout(0.5)])], "squared_error", dtype="float64")
    folded = cr.fold(network)
    assert kinds(folded) == ["Residual"]
    assert isinstance(folded.layers[0].inner[0], Identity)
    assert kinds(cr.fold(cr.Network(3, [Dropout(0.5)], "squared_error"))) == ["Identity"]
    np.testing.assert_array_equal(folded.predict([[1.0, 2.0, 3.0]]), [[2.0, 4.0, 6.0]])


def test_a_folded_network_in_a_file(tmp_path):
    network = trained(*CASES["images"], "float32")
    cr.save(cr.fold(network), tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    x = RNG.normal(size=(3, 6, 5, 2)).astype("float32")
    np.testing.assert_array_equal(loaded.predict(x), cr.fold(network).predict(x))


@pytest.mark.parametrize("folded", [False, True])
def test_an_estimator_in_a_file(folded, tmp_path):
    network = trained(3, [Dense(5), BatchNorm(), ReLU(), Dropout(0.5), Dense(3)])
    model = cr.MLPClassifier.from_network(network, ["ant", "bee", "cat"])
    cr.save(model, tmp_path / "model.safetensors", folded=folded)
    X = RNG.normal(size=(20, 3))
    for loaded in (cr.load(tmp_path / "model.safetensors"), cr.MLPClassifier.load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-12)
        layers = getattr(loaded, "network_", getattr(loaded, "network", None)).layers
        assert len(layers) == (3 if folded else 5)
    assert len(model.network_.layers) == 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_that_was_fitted_with_batch_norm(tmp_path):
    X = RNG.normal(size=(200, 4))
    y = np.array(["ant", "bee", "cat"])[X[:, :3].argmax(axis=1)]
    model = cr.MLPClassifier((8, 6), batch_norm=True, dropout=0.1, max_iter=5, random_state=0)
    cr.save(model.fit(X, y), tmp_path / "model.safetensors", folded=True)
    loaded = cr.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_allclose(loaded.predict_proba(X), model.predict_proba(X), atol=1e-12)
    again = cr.MLPClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-12)
    assert kinds(again.network_) == ["Dense", "ReLU", "Dense", "ReLU", "Dense"]


def test_training_from_scratch_and_folding():
    """The statistics that training leaves are those that are folded."""
    digits = cr.datasets.load_digits()
    layers = [Dense(32, biases=None), BatchNorm(), ReLU(), Dropout(0.1), Dense(10)]
    network = cr.Network(64, layers, "softmax_cross_entropy", seed=0)
    cr.train(network, digits.X, digits.t, optimizer="adam", epochs=5, seed=0)
    p, q = network.predict(digits.X), cr.fold(network).predict(digits.X)
    assert np.abs(p - q).max() < 1e-5
    assert np.mean(p.argmax(axis=1) == digits.t) > 0.9
