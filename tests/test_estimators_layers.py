"""``layers`` and ``input_shape``: any architecture is a parameter of the estimators, and ``from_network`` its door."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import MLPClassifier, MLPRegressor
from chainrule.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAveragePool2D, ReLU, Residual, Tanh

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = StandardScaler().fit_transform(X_IRIS)
DIGITS, Y_DIGITS = load_digits(return_X_y=True)
DIGITS, Y_DIGITS = DIGITS[:300].astype("float32") / 16, Y_DIGITS[:300]
IMAGES = DIGITS.reshape(-1, 8, 8, 1)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
Y_DIABETES = (Y_DIABETES - Y_DIABETES.mean()) / Y_DIABETES.std()
FLAT = [Dense(6), Tanh(), Dropout(0.1), Dense(3)]
CONVOLUTION = [
    Conv2D(4, 3, biases=None),
    BatchNorm(),
    ReLU(),
    Residual([Conv2D(4, 3, padding="same")]),
    Flatten(),
    Dense(10),
]


def classifier(layers=FLAT, **parameters):
    return MLPClassifier(**{"layers": layers, "max_iter": 3, "random_state": 0, **parameters})


def images(**parameters):
    return classifier(CONVOLUTION, input_shape=(8, 8, 1), **parameters)


def network_of_images(loss="softmax_cross_entropy", outputs=10, seed=0):
    return cr.Network((8, 8, 1), [*CONVOLUTION[:-1], Dense(outputs)], loss, seed=seed)


def names(network):
    return [repr(layer) for layer in network.layers]


# ---------------------------------------------------------------- a parameter like any other


def test_fit_builds_the_layers_and_draws_them_from_the_random_state():
    model = classifier().fit(X_IRIS, Y_IRIS)
    assert names(model.network_) == list(map(repr, FLAT))
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (3, 3, "softmax")
    again, other = classifier().fit(X_IRIS, Y_IRIS), classifier(random_state=1).fit(X_IRIS, Y_IRIS)
    np.testing.assert_array_equal(model.network_.theta, again.network_.theta)
    assert (model.network_.theta != other.network_.theta).any()


def test_it_learns():
    model = images(max_iter=12, learning_rate_init=0.01).fit(DIGITS, Y_DIGITS)
    assert model.score(DIGITS, Y_DIGITS) > 0.95


def test_clone_keeps_the_architecture_and_nothing_learned():
    model = classifier().fit(X_IRIS, Y_IRIS)
    copied = clone(model)
    assert repr(copied.layers) == repr(FLAT)
    assert not hasattr(copied, "network_")
    np.testing.assert_array_equal(copied.fit(X_IRIS, Y_IRIS).network_.theta, model.network_.theta)
    assert copied.get_params()["layers"] == copied.layers


def test_a_grid_search_over_architectures():
    grid = {"mlpclassifier__layers": [[Dense(3)], [Dense(20), Tanh(), Dense(3)]]}
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=60, learning_rate_init=0.02))
    search = GridSearchCV(pipeline, grid, cv=3).fit(X_IRIS, Y_IRIS)
    assert repr(search.best_params_["mlpclassifier__layers"]) == "[Dense(20), Tanh(), Dense(3)]"
    assert search.best_score_ > 0.9


@pytest.mark.parametrize("copier", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_copies_go_on_as_the_original(copier):
    model = images().partial_fit(DIGITS, Y_DIGITS, classes=np.arange(10))
    other = copier(model)
    a, b = (m.partial_fit(IMAGES, Y_DIGITS).predict_proba(DIGITS) for m in (model, other))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_two_outputs_of_softmax_for_two_classes(solver, tmp_path):
    y = np.where(Y_IRIS == 0, "no", "yes")
    model = classifier([Dense(4), ReLU(), Dense(2)], solver=solver, max_iter=30, learning_rate_init=0.05)
    model.fit(X_IRIS, y)
    p = model.predict_proba(X_IRIS)
    assert (p.shape, model.out_activation_, model.score(X_IRIS, y)) == ((150, 2), "softmax", 1.0)
    np.testing.assert_array_equal(model.predict(X_IRIS), model.classes_[p.argmax(axis=1)])
    cr.save(model, tmp_path / "model.safetensors")
    for loaded in (MLPClassifier.load(tmp_path / "model.safetensors"), cr.load(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(loaded.predict_proba(X_IRIS), p)
        np.testing.assert_array_equal(loaded.predict(X_IRIS), model.predict(X_IRIS))
    one = classifier([Dense(1)]).fit(X_IRIS, y)
    assert (one.n_outputs_, one.out_activation_) == (1, "logistic")


def test_several_labels_and_one_class_alone():
    several = np.c_[Y_IRIS == 0, Y_IRIS == 1].astype(int)
    model = classifier([Dense(2)], max_iter=100, learning_rate_init=0.05).fit(X_IRIS, several)
    assert model.predict(X_IRIS).shape == (150, 2)
    assert (classifier([Dense(1)]).fit(X_IRIS, Y_IRIS * 0).predict(X_IRIS) == 0).all()


# ---------------------------------------------------------------- images: rows of 64 columns, or 4-D


def test_rows_and_images_are_the_same():
    a, b, c = (images().fit(X, Y_DIGITS) for X in (DIGITS, IMAGES, IMAGES[..., 0]))
    for other in (b, c):
        np.testing.assert_array_equal(a.network_.theta, other.network_.theta)
    assert a.n_features_in_ == b.n_features_in_ == 64
    for X in (DIGITS, IMAGES, IMAGES[..., 0], DIGITS.tolist(), IMAGES.tolist()):
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(DIGITS), rtol=1e-5)


def test_images_in_a_validation_set_a_split_and_a_cross_validation():
    model = images(early_stopping=True).fit(IMAGES[:200], Y_DIGITS[:200], X_val=IMAGES[200:], y_val=Y_DIGITS[200:])
    assert model.history_["val_score"][-1] == pytest.approx(model.validation_scores_[-1])
    assert images(early_stopping=True).fit(IMAGES, Y_DIGITS).n_iter_ == 3
    assert cross_val_score(images(max_iter=1), IMAGES, Y_DIGITS, cv=2, error_score="raise").shape == (2,)
    assert images(solver="lbfgs").fit(IMAGES[:50], Y_DIGITS[:50]).n_iter_ == 3


def test_images_in_files_and_as_onnx(tmp_path):
    model = images().fit(IMAGES, Y_DIGITS)
    p = model.predict_proba(DIGITS)
    cr.save(model, tmp_path / "model.safetensors")
    for loaded in (MLPClassifier.load(tmp_path / "model.safetensors"), cr.load(tmp_path / "model.safetensors")):
        assert loaded.n_features_in_ == 64
        for X in (DIGITS, IMAGES):
            np.testing.assert_array_equal(loaded.predict_proba(X), p)
    again = MLPClassifier.load(tmp_path / "model.safetensors")
    assert repr(again.get_params()) == repr(model.get_params())
    again.partial_fit(IMAGES, Y_DIGITS)
    assert (again.network_.theta != model.network_.theta).any()
    runtime = pytest.importorskip("onnxruntime")
    cr.onnx.save(model, tmp_path / "model.onnx")
    label, found = runtime.InferenceSession(tmp_path / "model.onnx").run(None, {"X": DIGITS})
    np.testing.assert_allclose(found, p, atol=1e-5)
    np.testing.assert_array_equal(label, model.predict(DIGITS))


def test_images_through_skl2onnx():
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    cr.onnx.register_skl2onnx()
    model = make_pipeline(StandardScaler(with_std=False), images()).fit(DIGITS, Y_DIGITS)
    made = skl2onnx.to_onnx(model, DIGITS[:1], options={"zipmap": False})
    found = runtime.InferenceSession(made.SerializeToString()).run(None, {"X": DIGITS})[1]
    np.testing.assert_allclose(found, model.predict_proba(DIGITS), atol=1e-5)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            IMAGES.transpose(0, 3, 1, 2),
            r"X: expected shape \(rows, 8, 8, 1\).*got \(300, 1, 8, 8\)\. Channels come last",
        ),
        (
            IMAGES[:, :7],
            r"expected shape \(rows, 8, 8, 1\), as input_shape says, or \(rows, 64\), got \(300, 7, 8, 1\)",
        ),
        (DIGITS[:, :63], r"X has 63 columns, but input_shape=\(8, 8, 1\) requires 64"),
        (DIGITS * np.nan, "NaN"),
    ],
)
def test_images_that_do_not_fit(X, message):
    with pytest.raises(ValueError, match=message):
        images().fit(X, Y_DIGITS)


def test_every_part_draws_other_masks():
    """Dropout among the layers draws anew in each partial_fit, as dropout=0.5 does."""
    layers = [Dense(3, weights="zeros"), Dropout(0.5), Dense(3)]
    model = classifier(layers, solver=cr.optimizers.SGD(0.1), shuffle=False, alpha=0.0)
    seen = []

    class Keep(cr.Callback):
        def on_epoch(self, run):
            seen.append(run.network.theta.copy())

    model.set_params(callbacks=[Keep()])
    for _ in range(3):
        model.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    first, second = np.diff(seen, axis=0)
    assert not np.allclose(first, second, rtol=0.5)


def test_sparse_rows_are_no_images():
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(DIGITS)
    with pytest.raises(TypeError, match=r"X: got sparse rows, but input_shape=\(8, 8, 1\) requires images"):
        images().fit(sparse, Y_DIGITS)
    assert classifier([Dense(10)]).fit(sparse, Y_DIGITS).predict(sparse).shape == (300,)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"layers": [Dense(4)]},
            ValueError,
            r"layers: the last one gives 4 output\(s\), but y needs 3: end with Dense\(3\)",
        ),
        ({"layers": []}, ValueError, "at least one layer"),
        ({"layers": [Dense]}, TypeError, "Dense"),
        ({"layers": [3]}, TypeError, "Layer"),
        ({"layers": Dense(3)}, ValueError, "layers"),
        ({"layers": [Conv2D(3), Flatten(), Dense(3)]}, ValueError, "layers: layer 0, Conv2D"),
        ({"layers": [Dense(3, inputs=7)]}, ValueError, "layers: layer 0"),
        ({"solver": "lbfgs"}, ValueError, "solver='lbfgs' cannot use random layers"),
        ({"activation": "tanh"}, ValueError, "layers: these are all layers of the network: omit activation"),
        ({"hidden_layer_sizes": (5,), "batch_norm": True}, ValueError, "omit hidden_layer_sizes, batch_norm"),
        ({"layers": None, "input_shape": (2, 2, 1)}, ValueError, "input_shape requires layers"),
        ({"input_shape": (2, 2, 0)}, ValueError, "input_shape.*shape of one row"),
        ({"input_shape": (2.0, 2)}, ValueError, "input_shape.*shape of one row"),
        ({"input_shape": 5}, ValueError, r"X has 4 columns, but input_shape=\(5,\) requires 5"),
        ({"input_shape": (3,)}, ValueError, r"X has 4 columns, but input_shape=\(3,\) requires 3"),
        ({"input_shape": "4"}, ValueError, "input_shape"),
    ],
    ids=str,
)
def test_layers_that_do_not_fit(change, error, message):
    with pytest.raises(error, match=message):
        classifier().set_params(**change).fit(X_IRIS, Y_IRIS)


# ---------------------------------------------------------------- from_network


def test_from_network_is_an_estimator_in_every_respect():
    """What was trained by hand predicts, trains further, and is cloned and refitted with its own architecture."""
    network = network_of_images()
    cr.train(network, IMAGES, Y_DIGITS, epochs=2, seed=0)
    expected = network.predict(IMAGES)
    model = MLPClassifier.from_network(copy.copy(network), range(10), max_iter=2, random_state=0)
    for X in (DIGITS, IMAGES):
        np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert (model.input_shape, model.dtype, model.t_, model.loss_curve_) == ((8, 8, 1), "float32", 0, [])
    model.partial_fit(DIGITS, Y_DIGITS)
    assert (model.t_, len(model.loss_curve_)) == (300, 1)
    assert names(model.network_) == names(network)
    refitted = clone(model).fit(IMAGES, Y_DIGITS)
    assert names(refitted.network_) == names(network)
    assert refitted.network_.dtype == "float32"
    assert cross_val_score(model, DIGITS, Y_DIGITS, cv=2, error_score="raise").shape == (2,)


def test_a_warm_start_goes_on_from_the_network():
    network = cr.Network(4, [Dense(8), Tanh(), Dense(3)], "softmax_cross_entropy", seed=0, dtype="float64")
    cr.train(network, X_IRIS, Y_IRIS, optimizer=cr.optimizers.Adam(0.02), epochs=40, seed=0)
    before = cr.evaluate(network, X_IRIS, Y_IRIS)["loss"]
    model = MLPClassifier.from_network(network, [0, 1, 2], warm_start=True, max_iter=2, random_state=0)
    model.fit(X_IRIS, Y_IRIS)
    assert cr.evaluate(model.network_, X_IRIS, Y_IRIS)["loss"] < before
    assert model.loss_curve_[0] == pytest.approx(before, rel=0.05)


def test_a_regressor_of_a_network():
    network = cr.Network(10, [Dense(8), Tanh(), Dense(1)], cr.losses.Huber(0.5), seed=0)
    model = MLPRegressor.from_network(copy.copy(network), random_state=0, max_iter=3)
    np.testing.assert_array_equal(model.predict(X_DIABETES), network.predict(X_DIABETES).ravel())
    assert repr(model.loss) == "Huber(delta=0.5)"
    model.partial_fit(X_DIABETES, Y_DIABETES)
    assert names(clone(model).fit(X_DIABETES, Y_DIABETES).network_) == names(network)
    pictures = MLPRegressor.from_network(network_of_images("squared_error", 2), max_iter=2)
    assert pictures.fit(IMAGES, DIGITS[:, 20:22]).predict(DIGITS).shape == (300, 2)
    with pytest.raises(
        ValueError, match=r"SoftmaxCrossEntropy\(\) is a classification loss: use MLPClassifier.from_network"
    ):
        MLPRegressor.from_network(network_of_images())


def test_the_loss_of_a_network_is_kept():
    network = cr.Network(4, [Dense(3)], cr.losses.SoftmaxCrossEntropy(0.1), seed=0)
    model = MLPClassifier.from_network(network, [0, 1, 2], max_iter=2)
    assert clone(model).fit(X_IRIS, Y_IRIS).network_.loss.label_smoothing == 0.1
    with pytest.raises(ValueError, match="softmax of one output is always 1"):
        MLPClassifier.from_network(cr.Network(4, [Dense(1)], "softmax_cross_entropy"), [0, 1])


def test_one_sigmoid_for_each_class_predicts_and_is_not_trained_by_another_loss():
    network = cr.Network(4, [Dense(3)], "sigmoid_cross_entropy", seed=0)
    model = MLPClassifier.from_network(network, ["a", "b", "c"])
    p = model.predict_proba(X_IRIS)
    np.testing.assert_array_equal(p, network.predict(X_IRIS))
    np.testing.assert_array_equal(model.predict(X_IRIS), model.classes_[p.argmax(axis=1)])
    with pytest.raises(
        ValueError, match=r"fitted network is \[Dense\(3\)\] with SigmoidCrossEntropy\(\), but .* require"
    ):
        model.partial_fit(X_IRIS, np.array(["a", "b", "c"])[Y_IRIS])
    np.testing.assert_array_equal(model.predict_proba(X_IRIS), p)


def test_a_network_that_ends_without_a_dense_layer():
    layers = [Conv2D(10, 3), GlobalAveragePool2D()]
    network = cr.Network((8, 8, 1), layers, "softmax_cross_entropy", seed=0)
    model = MLPClassifier.from_network(network, range(10)).partial_fit(DIGITS, Y_DIGITS)
    assert model.coefs_ == []
    assert model.predict_proba(IMAGES).shape == (300, 10)


class Double(cr.Layer):
    """A custom layer that is not a dataclass."""

    def forward(self, x, memo):
        memo.x = x
        return 2 * x

    def backward(self, dy, memo):
        return 2 * dy


def test_a_custom_layer():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier([Dense(4), Double(), Dense(3)], tol=0.0, n_iter_no_change=np.inf)
        copied = clone(model)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        assert type(copied.fit(X_IRIS, Y_IRIS).network_.layers[1]) is Double
