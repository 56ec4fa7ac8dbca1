"""ONNX: what onnxruntime computes from the exported file is what chainrule predicts.

The measure: in float64 1e-12 and in float32 1e-5, times the largest value of the row (at least 1): what a network of several
layers can be held to. Single layers and links in float64 are held to 1e-12 of each value, down to 1e-290.
"""

import importlib.metadata
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as state
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from typer.testing import CliRunner

import chainrule as cr
import variants
from chainrule import losses
from chainrule._internal.names import public_classes
from chainrule.cli.app import app
from chainrule.layers import (
    ELU,
    GELU,
    SELU,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Dropout2D,
    Embedding,
    Flatten,
    GlobalAveragePool2D,
    Identity,
    Layer,
    LayerNorm,
    MaxPool2D,
    Mish,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    Scale,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.losses import Loss
from chainrule.onnx import graph as graph_module
from chainrule.onnx import registry
from chainrule.onnx.model import OLDEST, OPSET
from variants import gives


def skl2onnx():
    """Import what takes seconds to import when a test uses it, not when the tests are collected."""
    return importlib.import_module("skl2onnx")


# Layers of images, of 7 x 6 pixels and 4 channels; and those that keep the number of columns, as random networks use them.
EVERY = [case.layer for case in variants.LAYERS]
IMAGES = [layer for layer in EVERY if not gives(layer, (4,)) and gives(layer, (7, 6, 4))]
IMAGES += [
    AveragePool2D((3, 2), (1, 2), (2, 0, 1, 1)),
    Conv2D(4, 5, stride=(2, 3), padding="same", groups=4),
    Conv2D(6, (2, 3), stride=(1, 2), dilation=(3, 2), padding=(1, 0, 2, 3)),
    MaxPool2D((2, 4), 1, (1, 0, 2, 3)),
]
ALL = [layer for layer in EVERY if len(gives(layer, (1,)) or ()) == 1 and not isinstance(layer, Embedding)]
SAME = [layer for layer in ALL if gives(layer, (5, 5, 4)) == (5, 5, 4)]
LOSSES = {type(loss).__name__: loss for loss in variants.every_loss()}
DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RNG = np.random.default_rng(0)
TAILS = np.logspace(-320, 4, 500)
EXTREME = np.concatenate([np.linspace(-120, 120, 4001), TAILS, -TAILS, [0.0, -0.0, 1e4, -1e4]])


def run(model, x, name="X"):
    """Return what onnxruntime computes, after ONNX's own check of the model."""
    if isinstance(model, onnx.ModelProto):
        onnx.checker.check_model(model, full_check=True)
        model = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    feed = x if isinstance(x, dict) else {name: x}
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feed)


def newest_opset():
    """Return the newest that the installed onnx and onnxruntime both know."""
    network = cr.Network(1, [Tanh()], "squared_error")
    for opset in range(onnx.defs.onnx_opset_version(), OPSET, -1):
        try:
            run(cr.onnx.convert(network, opset=opset), np.zeros((1, 1), "float32"))
        except (state.InvalidArgument, state.Fail, state.InvalidGraph, state.NotImplemented):
            continue
        return opset
    return OPSET


OPSETS = sorted({OLDEST, OPSET, newest_opset()})


def trained(network, rng):
    """Give biases, factors and statistics values as training would."""
    network.theta += rng.normal(scale=0.05, size=network.theta.shape)
    for entry, array in network.arrays()[len(network.layout.entries) :]:
        array[...] = rng.uniform(0.1, 3, entry.shape) if entry.name.endswith("var") else rng.normal(size=entry.shape)
    return network


def operators(network, **kwargs):
    return [node.op_type for node in cr.onnx.convert(network, **kwargs).graph.node]


def agree(theirs, ours, dtype, what=""):
    scale = np.maximum(1, np.abs(ours).max(axis=-1, keepdims=True))
    worst = float((np.abs(theirs - ours) / scale).max())
    assert worst <= TOLERANCE[dtype], f"{what}: off by {worst:.1e}"


def agree_in_the_tails(theirs, ours, dtype, what):
    smallest = (
        1e-290 if dtype == "float64" else float(np.finfo(dtype).tiny)
    )  # some versions' exp ends at 5e-309, not at 0
    flushed = (theirs == 0) & (np.abs(ours) < smallest)  # onnxruntime has zero for subnormal numbers on some machines
    relative = np.where(flushed, 0, np.abs(theirs - ours) / np.maximum(np.abs(ours), smallest))
    i = int(np.argmax(relative))
    assert relative.flat[i] <= TOLERANCE[dtype], f"{what}: {theirs.flat[i]} instead of {ours.flat[i]}"


class TestLayers:
    def test_every_layer_has_a_case_and_a_converter(self):
        assert {*map(type, [*ALL, *IMAGES]), Embedding} == set(public_classes(cr.layers, Layer).values())
        assert set(registry.LAYERS) >= set(public_classes(cr.layers, Layer).values())

    @pytest.mark.few(50)
    @pytest.mark.parametrize("opset", OPSETS)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("layer", ALL, ids=repr)
    def test_extreme_inputs(self, layer, dtype, opset):
        """±1e4, zeros, denormals, and where functions change their branch."""
        network = cr.Network(1, [layer], "squared_error", seed=0, dtype=dtype)
        x = EXTREME.astype(dtype).reshape(-1, 1)
        theirs, ours = run(cr.onnx.convert(network, opset=opset), x)[0], network.predict(x)
        assert theirs.dtype == ours.dtype == dtype
        if dtype == "float64":
            agree_in_the_tails(theirs, ours, dtype, layer)
        else:
            agree(theirs, ours, dtype, layer)

    def test_softmax_of_rows(self):
        network = cr.Network(5, [Softmax()], "squared_error", dtype="float64")
        x = RNG.normal(scale=300, size=(50, 5))
        agree_in_the_tails(run(cr.onnx.convert(network), x)[0], network.predict(x), "float64", "softmax")

    @pytest.mark.filterwarnings("ignore::chainrule.advice.AdviceWarning")
    def test_float32_uses_the_operators_that_runtimes_know(self):
        layers = [Dense(4), GELU(), Dense(4, biases=None), Mish(), SELU(), Dropout(0.1), Softplus(), Sigmoid()]
        model = cr.onnx.convert(cr.Network(3, layers, "softmax_cross_entropy"))
        operators = ["Gemm", "Gelu", "Gemm", "Mish", "Selu", "Softplus", "Sigmoid", "Softmax"]
        assert [node.op_type for node in model.graph.node] == operators
        assert [array.name for array in model.graph.initializer] == ["layer0.W", "layer0.b", "layer2.W"]

    @pytest.mark.few(24)
    @pytest.mark.parametrize("opset", OPSETS)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("layer", IMAGES, ids=repr)
    def test_images(self, layer, dtype, opset):
        network = trained(cr.Network((7, 6, 4), [layer, Flatten()], "squared_error", seed=0, dtype=dtype), RNG)
        x = RNG.normal(size=(5, 7, 6, 4)).astype(dtype)
        agree(run(cr.onnx.convert(network, opset=opset), x)[0], network.predict(x), dtype, layer)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        "layer",
        [
            Embedding([4, 3], 2, columns=[3, 1]),
            Embedding(3, 5, columns=[0]),
            Embedding(3, 2),
            Embedding([3, 3, 3, 4], 1),
        ],
        ids=repr,
    )
    def test_embedding(self, layer, dtype):
        network = cr.Network(4, [layer], "squared_error", seed=0, dtype=dtype)
        x = np.array([[0, 1, 2, 3], [2, 0, 1, 0]]) % (4 if isinstance(layer.categories, tuple) else 3)
        x = x.astype(dtype)
        np.testing.assert_array_equal(run(cr.onnx.convert(network), x)[0], network.predict(x))
        assert run(cr.onnx.convert(network), x[:0])[0].shape == (0, *network.output_shape)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_batch_norm_far_from_zero_keeps_its_digits(self, dtype):
        """Of numbers around 1000: x γ s + (β − μ γ s) would lose three digits of them."""
        network = cr.Network(3, [BatchNorm()], "squared_error", dtype=dtype)
        network.statistics[:3] = 1000
        x = RNG.normal(1000, size=(50, 3)).astype(dtype)
        exact = network.astype("float64").predict(x.astype("float64"))
        agree(run(cr.onnx.convert(network), x)[0], exact, dtype)

    def test_normalisation_of_features_that_are_no_rows(self):
        layers = [Dense(12), Reshape((4, 3)), BatchNorm(), LayerNorm(), Tanh(), Scale(2.0), RMSNorm(), Flatten()]
        network = trained(cr.Network(5, layers, "squared_error", seed=0), RNG)
        x = RNG.normal(size=(6, 5)).astype("float32")
        agree(run(cr.onnx.convert(network), x)[0], network.predict(x), "float32")


class TestImages:
    def test_neighbours_hand_images_on_with_the_channels_first(self):
        block = Residual([Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), Conv2D(4, 3, padding="same"), BatchNorm()])
        layers = [
            Conv2D(4, 3),
            ReLU(),
            MaxPool2D(),
            block,
            Dropout2D(0.1),
            Scale(),
            AveragePool2D(),
            Flatten(),
            Dense(3),
        ]
        network = cr.Network((16, 16, 2), layers, "softmax_cross_entropy", seed=0)
        assert operators(network) == [
            "Transpose", "Conv", "Relu", "MaxPool", "Conv", "Relu", "Conv", "Add", "Mul", "AveragePool", "Transpose",
            "Reshape", "Gemm", "Softmax",
        ]  # fmt: skip
        assert "Transpose" not in operators(network, dtype="float64")

    def test_one_transposition_serves_the_layers_and_the_shortcut(self):
        block = Residual([MaxPool2D(3, 1, "same"), Conv2D(2, 1)])
        assert operators(cr.Network((4, 4, 2), [block, GlobalAveragePool2D()], "squared_error")) == [
            "Transpose", "MaxPool", "Conv", "Add", "GlobalAveragePool", "Flatten",
        ]  # fmt: skip
        back = [Residual([Conv2D(2, 1), LayerNorm()]), Conv2D(2, 1), GlobalAveragePool2D()]  # last, and first again
        assert operators(cr.Network((4, 4, 2), back, "squared_error")).count("Transpose") == 3

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_sixty_random_networks(self, dtype):
        for seed in range(60):
            rng = np.random.default_rng(seed)
            shape = (*rng.integers(5, 12, 2).tolist(), int(rng.integers(1, 5)))
            layers = [*random_images(rng, SAME, int(rng.integers(1, 5))), GlobalAveragePool2D(), Dense(3)]
            if rng.random() < 0.7:
                layers[-2] = Flatten()
            loss = LOSSES[str(rng.choice(list(LOSSES)))]
            network = trained(cr.Network(shape, layers, loss, seed=seed, dtype=dtype), rng)
            content = cr.onnx.convert(network, opset=int(rng.integers(OLDEST, OPSETS[-1] + 1))).SerializeToString()
            for rows in (0, 1, 5):
                x = rng.normal(size=(rows, *shape)).astype(dtype)
                theirs = run(content, x)[0]
                assert theirs.shape == (rows, 3)
                if rows:
                    agree(theirs, network.predict(x), dtype, f"seed {seed}, {rows} rows, {network}")

    def test_a_layer_of_ones_own_gets_the_channels_last(self, monkeypatch):
        seen = []
        monkeypatch.setattr(registry, "LAYERS", dict(registry.LAYERS))
        cr.onnx.register_layer(Own)(lambda graph, layer, x: seen.append(x) or graph.node("Mul", x, 2.0))
        network = cr.Network((4, 4, 2), [Conv2D(2, 1), Own(), GlobalAveragePool2D()], "squared_error", seed=0)
        x = RNG.normal(size=(2, 4, 4, 2)).astype("float32")
        agree(run(cr.onnx.convert(network), x)[0], network.predict(x), "float32")
        assert seen == ["layer1.Transpose"]

    def test_the_place_of_channels_is_one_of_three(self):
        with pytest.raises(ValueError, match=r"register_layer: images: expected 'last', 'same' or 'any', got 'first'"):
            cr.onnx.register_layer(Own, images="first")


def random_images(rng, same, count):
    """Return layers that take and give images, whatever their size."""
    layers = []
    for _ in range(count):
        kind = rng.integers(4)
        size = tuple(rng.integers(1, 4, 2).tolist())
        if kind == 0:
            groups = int(rng.choice([1, 1, 2]))
            layers.append(Conv2D(4, size, stride=int(rng.integers(1, 3)), padding="same"))
            layers.append(Conv2D(4, 3, dilation=int(rng.integers(1, 3)), padding=(2, 2), groups=groups))
        elif kind == 1:
            layers.append((MaxPool2D if rng.random() < 0.5 else AveragePool2D)(size, int(rng.integers(1, 3)), "same"))
        elif kind == 2:
            inside = [Conv2D(4, size, padding="same"), *rng.choice(same, 2), Dropout2D(0.3)]
            layers += [Conv2D(4, 1), Residual(inside)]
        layers += list(rng.choice(same, rng.integers(0, 3)))
    return layers


class TestFolding:
    def test_normalisation_is_in_the_weights(self):
        layers = [Dense(4, biases=None), BatchNorm(), ReLU(), Dropout(0.1), Dense(4), Scale(2.0), Dense(3)]
        network = trained(cr.Network(3, layers, "softmax_cross_entropy", seed=0), RNG)
        model = cr.onnx.convert(network)
        assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm", "Gemm", "Softmax"]
        arrays = {a.name: onnx.numpy_helper.to_array(a) for a in model.graph.initializer}
        np.testing.assert_array_equal(arrays["layer2.W"], cr.fold(network).layers[2].W)
        assert model.graph.doc_string == repr(cr.fold(network))

    def test_a_fitted_estimator_alone_and_in_a_pipeline(self):
        x = X.astype("float32")
        settings = {"batch_norm": True, "dropout": 0.1, "early_stopping": True, "max_iter": 5, "random_state": 0}
        mlp = cr.MLPClassifier((8,), **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlp.fit(x, CLASS)
            model = make_pipeline(StandardScaler(), cr.MLPClassifier((8,), **settings)).fit(x, CLASS)
        cr.onnx.register_skl2onnx()
        assert "BatchNorm" in repr(mlp.network_)
        assert operators(mlp).count("Gemm") == 2
        assert "Sub" not in operators(mlp)
        agree(run(cr.onnx.convert(mlp), x)[1], mlp.predict_proba(x), "float32")
        agree(run(converted(model, x), x)[1], model.predict_proba(x), "float32")


class TestLinks:
    def test_every_loss_has_a_case(self):
        assert set(LOSSES) == set(public_classes(losses, Loss))

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", LOSSES)
    def test_predictions_are_exact_in_the_tails(self, name, dtype):
        network = cr.Network(2, [Identity()], LOSSES[name], dtype=dtype)
        x = np.stack([EXTREME, np.zeros_like(EXTREME)], axis=1).astype(dtype)
        model = cr.onnx.convert(network)
        agree_in_the_tails(run(model, x)[0], network.predict(x), dtype, name)
        probabilities = name in {"SigmoidCrossEntropy", "SoftmaxCrossEntropy"}
        assert model.graph.output[0].name == ("probabilities" if probabilities else "predictions")


class TestNetworks:
    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_two_hundred_random_networks(self, dtype):
        for seed in range(200):
            rng = np.random.default_rng(seed)
            inputs = int(rng.integers(1, 20))
            layers = []
            for _ in range(rng.integers(0, 4)):
                layers += [Dense(int(rng.integers(1, 40))), *rng.choice(ALL, rng.integers(0, 3))]
            layers.append(Dense(int(rng.integers(2, 6))))
            loss = LOSSES[str(rng.choice(list(LOSSES)))]
            network = cr.Network(inputs, layers, loss, seed=seed, dtype=dtype)
            trained(network, rng)
            content = cr.onnx.convert(network, opset=int(rng.integers(OLDEST, OPSETS[-1] + 1))).SerializeToString()
            for rows in (1, 7):
                x = rng.normal(scale=rng.choice([0.1, 1, 10]), size=(rows, inputs)).astype(dtype)
                theirs, ours = run(content, x)[0], network.predict(x)
                if isinstance(loss, losses.Poisson):  # of y = 60, e^y has lost what 60 · 1e-7 is
                    theirs, ours = (np.log(np.maximum(rates, 1e-30)) for rates in (theirs, ours))
                agree(theirs, ours, dtype, f"seed {seed}, {rows} rows, {network}")

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_no_rows_give_no_rows(self, dtype):
        network = cr.Network(3, ALL, "softmax_cross_entropy", seed=0, dtype=dtype)
        assert run(cr.onnx.convert(network), np.empty((0, 3), dtype))[0].shape == (0, network.output_shape[0])

    def test_a_network_without_an_operator(self):
        network = cr.Network(3, [Identity(), Dropout(0.5)], "squared_error")
        x = RNG.normal(size=(4, 3)).astype("float32")
        np.testing.assert_array_equal(run(cr.onnx.convert(network), x)[0], x)

    def test_dtype_converts_the_file_and_not_the_network(self):
        network = cr.Network(3, [Dense(4), ELU(), Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
        x = RNG.normal(size=(4, 3))
        theirs = run(cr.onnx.convert(network, dtype="float32"), x.astype("float32"))[0]
        assert theirs.dtype == "float32"
        assert network.dtype == "float64"
        agree(theirs, network.predict(x), "float32")

    def test_what_describes_the_model(self, tmp_path):
        network = cr.Network(3, [Dense(2)], losses.Huber(2.0), seed=0)
        cr.onnx.save(network, tmp_path / "model.onnx", {"trained on": "café"})
        model = onnx.load(tmp_path / "model.onnx")
        assert (model.producer_name, model.producer_version) == ("chainrule", cr.__version__)
        assert {p.key: p.value for p in model.metadata_props} == {"loss": "Huber(delta=2.0)", "trained on": "café"}
        assert model.graph.doc_string == repr(network)
        assert model.opset_import[0].version == OPSET
        shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input]
        assert shapes == [["batch", 3]]

    def test_the_weights_in_the_file_are_those_of_the_network(self):
        network = cr.Network(3, [Dense(4), Tanh(), Dense(2)], "squared_error", seed=0)
        arrays = {a.name: onnx.numpy_helper.to_array(a) for a in cr.onnx.convert(network).graph.initializer}
        np.testing.assert_array_equal(arrays["layer0.W"], network.layers[0].W)
        np.testing.assert_array_equal(arrays["layer2.b"], network.layers[2].b)


class TestFloat64:
    def test_the_list_is_what_onnxruntime_lacks(self):
        tried = "1.32"
        if onnxruntime.__version__.split(".")[:2] > tried.split("."):
            pytest.skip(f"tried with onnxruntime {tried}; a newer one may have more")
        image, table = [1, 4, 6, 6], [2, 3]
        shapes = {"Conv": [image, [5, 4, 3, 3]], "ConvTranspose": [image, [4, 5, 3, 3]], "PRelu": [table, [3]]}
        shapes |= {"InstanceNormalization": [image, [4], [4]]}
        shapes |= dict.fromkeys(["AveragePool", "LpPool", "GlobalAveragePool", "GlobalLpPool"], (image,))
        shapes |= dict.fromkeys(["GlobalMaxPool", "LRN", "MeanVarianceNormalization"], (image,))
        attributes = {"AveragePool": {"kernel_shape": [2, 2]}, "LpPool": {"kernel_shape": [2, 2]}, "LRN": {"size": 3}}

        def works(op, dtype):
            values = [f"x{i}" for i in range(len(shapes.get(op, [table])))]
            kind = graph_module.CODES[dtype]
            given = [
                onnx.helper.make_tensor_value_info(v, kind, s)
                for v, s in zip(values, shapes.get(op, [table]), strict=True)
            ]
            made = [onnx.helper.make_tensor_value_info("y", kind, None)]
            node = onnx.helper.make_node(op, values, ["y"], **attributes.get(op, {}))
            opsets = [onnx.helper.make_opsetid("", OPSET)]
            model = onnx.helper.make_model(
                onnx.helper.make_graph([node], "one", given, made), opset_imports=opsets, ir_version=10
            )
            try:
                onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            except (state.NotImplemented, state.InvalidGraph):  # no kernel; not in ONNX's own list
                return False
            return True

        assert [op for op in graph_module.NOT_IN_FLOAT64 if not works(op, "float32")] == []
        assert {op for op in graph_module.NOT_IN_FLOAT64 if works(op, "float64")} <= {"Gelu"}  # that one is inexact

    def test_an_operator_of_the_list_is_refused_at_export(self, monkeypatch):
        monkeypatch.setitem(registry.LAYERS, Tanh, lambda graph, layer, x: graph.node("Erf", x))
        with pytest.raises(ValueError, match=r"layer1: onnxruntime does not implement the operator Erf in float64"):
            cr.onnx.convert(cr.Network(2, [Dense(2), Tanh()], "squared_error", dtype="float64"))
        assert cr.onnx.convert(cr.Network(2, [Dense(2), Tanh()], "squared_error"))


X, CLASS = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
LABELS = {
    "int64": CLASS * 5 - 5,
    "int8": CLASS.astype(np.int8),
    "whole floats": CLASS.astype(float),
    "text": np.array(["no", "yes", "vielleicht, später"])[CLASS],
    "objects": np.array(["a", "b", "c"], dtype=object)[CLASS],
    "bool": CLASS > 0,
    "two of int": CLASS % 2,
    "two of text": np.where(CLASS > 0, "yes", "no"),
    "one class": np.full(len(CLASS), 7),
    "multi-label": RNG.integers(0, 2, (len(CLASS), 3)),
    "multi-label of two": RNG.integers(0, 2, (len(CLASS), 2)),
}


def classifier(y, dtype, **options):
    return cr.MLPClassifier((8,), solver="lbfgs", max_iter=15, random_state=0, dtype=dtype, **options).fit(X, y)


@pytest.fixture(autouse=True)
def quiet():
    """That fits are cut short, and inputs not scaled, is not what is tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(converge|scale|maximum|iterations).*")
        yield


class TestEstimators:
    @pytest.mark.few(12)
    @pytest.mark.parametrize("rows", [1, 7])
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", LABELS)
    def test_labels_and_probabilities(self, kind, dtype, rows, tmp_path):
        model = classifier(LABELS[kind], dtype)
        cr.onnx.save(model, tmp_path / "model.onnx")
        label, p = run((tmp_path / "model.onnx").read_bytes(), X[:rows].astype(dtype))
        assert label.dtype == (object if isinstance(model.classes_[0], str) else np.int64)
        assert p.dtype == dtype
        np.testing.assert_array_equal(label, model.predict(X[:rows]))
        agree(p, model.predict_proba(X[:rows]), dtype)

    def test_no_rows(self):
        for kind, shape in {"text": (0,), "bool": (0,), "multi-label": (0, 3)}.items():
            assert run(cr.onnx.convert(classifier(LABELS[kind], "float32")), X[:0].astype("f4"))[0].shape == shape

    def test_classes_and_features_are_in_the_metadata(self):
        frame = pytest.importorskip("pandas").DataFrame(X, columns=[f"größe {i}" for i in range(6)])
        model = cr.MLPClassifier((2,), solver="lbfgs", max_iter=5).fit(frame, LABELS["text"])
        props = {p.key: p.value for p in cr.onnx.convert(model, {"by": "me"}).metadata_props}
        assert json.loads(props["classes"]) == ["no", "vielleicht, später", "yes"]
        assert json.loads(props["feature_names"]) == list(frame.columns)
        assert props["by"] == "me"

    def test_a_classifier_made_of_a_network(self):
        for loss, outputs, names in (
            ("softmax_cross_entropy", 2, ["a", "b"]),
            ("sigmoid_cross_entropy", 1, ["a", "b"]),
            ("sigmoid_cross_entropy", 2, [3, 4]),
            ("sigmoid_cross_entropy", 3, [3, 4, 5]),
        ):
            network = cr.Network(6, [Dense(outputs)], loss, seed=0, dtype="float64")
            model = cr.MLPClassifier.from_network(network, names)
            label, p = run(cr.onnx.convert(model), X)
            np.testing.assert_array_equal(label, model.predict(X))
            agree(p, model.predict_proba(X), "float64")

    @pytest.mark.few(5)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("outputs", [1, 3])
    @pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber", losses.Quantile(0.2)], ids=str)
    def test_regressors(self, loss, outputs, dtype, tmp_path):
        y = np.exp(X[:, :outputs] / 4).squeeze()
        model = cr.MLPRegressor(loss, (8,), solver="lbfgs", max_iter=15, random_state=0, dtype=dtype).fit(X, y)
        cr.onnx.save(model, tmp_path / "model.onnx", dtype=dtype)
        made = onnx.load(tmp_path / "model.onnx")
        assert [o.name for o in made.graph.output] == ["variable"]
        agree(run(made, X.astype(dtype))[0], model.predict(X).reshape(-1, outputs), dtype)

    @pytest.mark.parametrize("labels", [np.array([1, 2**63 + 5], np.uint64), np.array(["2024", "2025"], "M8[Y]")])
    def test_labels_that_onnx_does_not_have(self, labels):
        network = cr.Network(2, [Dense(1)], "sigmoid_cross_entropy")
        with pytest.raises(ValueError, match="expected integers or strings as class labels, got"):
            cr.onnx.convert(cr.MLPClassifier.from_network(network, labels))

    def test_not_fitted(self, tmp_path):
        for model in (cr.MLPClassifier(), cr.MLPRegressor()):
            with pytest.raises(NotFittedError, match="not fitted yet"):
                cr.onnx.save(model, tmp_path / "model.onnx")
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def registered():
    cr.onnx.register_skl2onnx()


def converted(model, x, **options):
    """Convert as a user of skl2onnx does, with options for the last step."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return skl2onnx().to_onnx(model, x[:1], options={id(last): {"zipmap": False, **options}})


@pytest.mark.usefixtures("registered")
class TestPipelines:
    @pytest.mark.few(8)
    @pytest.mark.parametrize("given", DTYPES)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", LABELS)
    def test_scaled_classifiers(self, kind, dtype, given):
        """float64 all the way where input and network are, else float32; the output has the input's type."""
        mlp = cr.MLPClassifier((8,), solver="lbfgs", max_iter=15, random_state=0, dtype=dtype)
        model = make_pipeline(StandardScaler(), mlp).fit(X, LABELS[kind])
        label, p = run(converted(model, X.astype(given)), X.astype(given))
        assert p.dtype == given
        np.testing.assert_array_equal(label, model.predict(X))
        agree(p, model.predict_proba(X), "float64" if dtype == given == "float64" else "float32")

    def test_columns_of_texts_and_numbers(self):
        frame = pytest.importorskip("pandas").DataFrame(
            {"a": X[:, 0], "b": X[:, 1], "c": np.array(["x", "y", "z"])[CLASS]}
        )
        prepared = make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["c"]))
        model = make_pipeline(prepared, cr.MLPClassifier((4,), solver="lbfgs", max_iter=15, random_state=0))
        model.fit(frame, LABELS["text"])
        feed = {c: frame[[c]].to_numpy(dtype=object if c == "c" else float) for c in frame}
        label, p = run(converted(model, frame), feed)
        np.testing.assert_array_equal(label, model.predict(frame))
        agree(p, model.predict_proba(frame), "float64")

    def test_integers(self):
        x = (X * 3).astype(np.int64)
        model = cr.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=15, random_state=0).fit(x, X[:, :2])
        agree(run(skl2onnx().to_onnx(model, x[:1]), x)[0], model.predict(x), "float32")

    @pytest.mark.parametrize("outputs", [1, 3])
    def test_regressors(self, outputs):
        mlp = cr.MLPRegressor("poisson", (8,), solver="lbfgs", max_iter=15, random_state=0)
        model = make_pipeline(StandardScaler(), mlp).fit(X, np.exp(X[:, :outputs] / 4).squeeze())
        agree(run(skl2onnx().to_onnx(model, X[:1]), X)[0], model.predict(X).reshape(-1, outputs), "float64")

    def test_inside_of_a_search_and_of_a_vote(self):
        mlp = cr.MLPClassifier((4,), solver="lbfgs", max_iter=15, random_state=0)
        search = GridSearchCV(make_pipeline(StandardScaler(), mlp), {"mlpclassifier__alpha": [0.1, 1]}, cv=2)
        vote = VotingClassifier(
            [("mlp", mlp), ("linear", LogisticRegression())], voting="soft", flatten_transform=False
        )
        x = X.astype("float32")
        for model in (search.fit(X, CLASS), vote.fit(X, CLASS)):
            label, p = run(skl2onnx().to_onnx(model, x[:1], options={"zipmap": False}), x)
            np.testing.assert_array_equal(label, model.predict(x))
            agree(p, model.predict_proba(x), "float32")

    def test_zipmap(self):
        x = X.astype("float32")
        model = make_pipeline(StandardScaler(), classifier(LABELS["text"], "float32")).fit(x, LABELS["text"])
        label, p = run(skl2onnx().to_onnx(model, x[:1]), x[:3])
        assert list(label) == list(model.predict(x[:3]))
        np.testing.assert_allclose([[row[c] for c in model.classes_] for row in p], model.predict_proba(x[:3]), 1e-4)
        columns = run(converted(model, x, zipmap="columns"), x[:3])
        np.testing.assert_allclose(np.stack(columns[1:], axis=1), model.predict_proba(x[:3]), 1e-4)

    def test_zipmap_of_float64_is_refused_with_the_remedy(self):
        with pytest.raises(ValueError, match=r"pass options=\{'zipmap': False\}"):
            skl2onnx().to_onnx(classifier(CLASS, "float64"), X[:1])

    def test_class_labels_and_no_classes(self):
        x, y = X.astype("float32"), LABELS["text"]
        model = classifier(y, "float32")
        named = run(converted(model, x, output_class_labels=True), x)
        assert list(named[2]) == list(model.classes_)
        numbered = run(converted(model, x, nocl=True), x)
        assert numbered[0].dtype == np.int64
        np.testing.assert_array_equal(model.classes_[numbered[0]], model.predict(x))

    def test_logits(self):
        x = X.astype("float32")
        for kind in ("int64", "bool", "multi-label"):
            model = classifier(LABELS[kind], "float32")
            label, scores = run(converted(model, x, logits=True), x)
            np.testing.assert_array_equal(label, model.predict(x))
            y = model.network_.logits(x)
            agree(scores, np.hstack([-y, y]) if y.shape[1] == 1 else y, "float32")

    def test_an_opset_that_is_too_old(self):
        with pytest.raises(ValueError, match="expected a target_opset of at least 13, got 12"):
            skl2onnx().to_onnx(classifier(CLASS, "float32"), X[:1].astype("float32"), target_opset=12)

    def test_every_opset_of_skl2onnx(self):
        x = X.astype("float32")
        model = classifier(LABELS["text"], "float32", activation="gelu")
        for opset in range(OLDEST, skl2onnx().__max_supported_opset__ + 1):
            made = skl2onnx().to_onnx(model, x[:1], target_opset=opset, options={"zipmap": False})
            agree(run(made, x)[1], model.predict_proba(x), "float32", opset)

    def test_a_layer_of_ones_own_is_refused_there_too(self):
        model = cr.MLPClassifier.from_network(cr.Network(6, [Own(), Dense(1)], "sigmoid_cross_entropy"), [0, 1])
        with pytest.raises(ValueError, match="register_layer"):
            skl2onnx().to_onnx(model, X[:1].astype("float32"))


class Own(Layer):
    def forward(self, x, memo):
        return x * 2

    def backward(self, dy, memo):
        return dy * 2


class OwnLoss(Loss):
    def forward(self, y, t, memo):
        return (y - t).sum(axis=1)

    def backward(self, t, memo):
        return np.ones_like(t)


class OwnLink(OwnLoss):
    def inverse_link(self, y):
        return y * 2


class TestOnesOwn:
    def test_a_layer_inside_of_a_layer_is_named_by_its_place(self):
        network = cr.Network(2, [Dropout(0.5), Dense(2), Residual([Own()])], "squared_error")
        with pytest.raises(ValueError, match=r"layer 2, Own\(\) has no converter"):
            cr.onnx.convert(network)

    def test_a_layer_is_refused_and_taken_once_it_is_registered(self, monkeypatch):
        network = cr.Network(2, [Dense(2), Own()], "squared_error", seed=0)
        with pytest.raises(
            ValueError, match=r"layer 1, Own\(\) has no converter: .*@chainrule.onnx.register_layer\(Own\)"
        ):
            cr.onnx.convert(network)
        monkeypatch.setattr(registry, "LAYERS", dict(registry.LAYERS))

        @cr.onnx.register_layer(Own)
        def own(graph, layer, x):
            return graph.node("Mul", x, 2.0)

        x = np.ones((3, 2), "float32")
        agree(run(cr.onnx.convert(network), x)[0], network.predict(x), "float32")

    def test_a_loss_is_refused_only_if_it_has_a_link(self, monkeypatch):
        x = np.ones((3, 2), "float32")
        plain, linked = (cr.Network(2, [Dense(2)], loss, seed=0) for loss in (OwnLoss(), OwnLink()))
        agree(run(cr.onnx.convert(plain), x)[0], plain.predict(x), "float32")
        with pytest.raises(ValueError, match=r"the inverse link of the loss, OwnLink\(\), .*register_loss\(OwnLink\)"):
            cr.onnx.convert(linked)
        monkeypatch.setattr(registry, "LINKS", dict(registry.LINKS))
        cr.onnx.register_loss(OwnLink, "twice")(lambda graph, loss, y: graph.node("Add", y, y))
        made = cr.onnx.convert(linked)
        assert made.graph.output[0].name == "twice"
        agree(run(made, x)[0], linked.predict(x), "float32")

    def test_a_converter_that_returns_nothing(self, monkeypatch):
        monkeypatch.setitem(registry.LAYERS, Own, lambda graph, layer, x: None)
        with pytest.raises(TypeError, match=r"layer 0, Own\(\): its converter must return the name"):
            cr.onnx.convert(cr.Network(2, [Own()], "squared_error"))

    def test_a_converter_that_writes_nonsense(self, monkeypatch):
        monkeypatch.setitem(registry.LAYERS, Own, lambda graph, layer, x: graph.node("Squirrel", x))
        with pytest.raises(ValueError, match=r"not a valid model of opset 21: .*Squirrel"):
            cr.onnx.convert(cr.Network(2, [Own()], "squared_error"))


class TestBadInput:
    NETWORK = cr.Network(2, [Dense(2)], "softmax_cross_entropy", seed=0)

    def test_a_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError, match=r"is a folder; a file was expected, such as .*model.onnx"):
            cr.onnx.save(self.NETWORK, tmp_path, overwrite=True)

    def test_no_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            cr.onnx.save(self.NETWORK, tmp_path / "not" / "there.onnx")

    def test_a_file_is_replaced_only_when_asked(self, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_text("precious")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            cr.onnx.save(self.NETWORK, path)
        assert path.read_text() == "precious"
        cr.onnx.save(self.NETWORK, path, overwrite=True)
        onnx.checker.check_model(str(path))
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]

    def test_without_onnx(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(ImportError, match=r'pip install -e "\.\[onnx\]"'):
            cr.onnx.save(self.NETWORK, tmp_path / "model.onnx")

    def test_without_skl2onnx(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(ImportError, match="pip install skl2onnx"):
            cr.onnx.register_skl2onnx()

    def test_what_is_no_model(self):
        with pytest.raises(TypeError, match=r"got Pipeline. For a pipeline, call chainrule.onnx.register_skl2onnx\(\)"):
            cr.onnx.convert(make_pipeline(classifier(CLASS, None)))

    def test_more_than_a_file_can_hold(self, monkeypatch):
        monkeypatch.setattr("chainrule.onnx.model.LARGEST", 8)
        with pytest.raises(ValueError, match="the parameters take 24 bytes"):
            cr.onnx.convert(self.NETWORK)


def export(*arguments, status=0):
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of the command line."""
    path = tmp_path_factory.mktemp("runs") / "moons"
    done = CliRunner().invoke(app, ["train", "moons", "--epochs", "2", "--layers", "4", "--out", str(path), "--quiet"])
    assert done.exit_code == 0, done.output
    return path


class TestCommand:
    @pytest.mark.slow
    def test_a_folder(self, folder, tmp_path):
        printed = export(folder, "--onnx", tmp_path / "moons.onnx")
        assert printed.count("\n") == 1
        version = importlib.metadata.version("onnxruntime")
        size = (tmp_path / "moons.onnx").stat().st_size
        said = f"2 inputs, 2 probabilities, float32, opset 21, {size:,} bytes; largest difference from onnxruntime {version}"
        assert said in printed
        assert float(re.search(r"random rows: (\S+)\.$", printed)[1]) < 1e-5
        model = onnx.load(tmp_path / "moons.onnx")
        network = cr.load(folder / "model.safetensors")
        x = RNG.normal(size=(5, 2)).astype("float32")
        agree(run(model, x)[0], network.predict(x), "float32")
        props = {p.key: p.value for p in model.metadata_props}
        assert json.loads(props["classes"]) == json.loads((folder / "config.json").read_text())["classes"]
        assert props["dataset"] == "moons"

    @pytest.mark.slow
    def test_a_file(self, folder, tmp_path):
        network = cr.Network(3, [Dense(2), GELU()], "squared_error", seed=0, dtype="float64")
        cr.save(network, tmp_path / "own.safetensors", {"by": "me"})
        printed = export(tmp_path / "own.safetensors", "--onnx", tmp_path / "own.onnx", "--opset", 15)
        assert "3 inputs, 2 predictions, float64, opset 15" in printed
        assert float(re.search(r"random rows: (\S+)\.$", printed)[1]) < 1e-12
        assert "me" in [p.value for p in onnx.load(tmp_path / "own.onnx").metadata_props]

    @pytest.mark.few(1)
    @pytest.mark.parametrize("name", ["classifier-words", "classifier-two", "classifier-multilabel", "regressor"])
    def test_a_file_of_an_estimator(self, name, tmp_path):
        stored = Path(__file__).parent / "files" / "0.1.0" / f"{name}.safetensors"
        printed = export(stored, "--onnx", tmp_path / "model.onnx")
        assert float(re.search(r"random rows: (\S+)\.$", printed)[1]) < 1e-5
        assert (" 1 prediction, " in printed) if name == "regressor" else re.search(r" [23] probabilities, ", printed)
        outputs = [output.name for output in onnx.load(tmp_path / "model.onnx").graph.output]
        assert outputs == (["variable"] if name == "regressor" else ["label", "probabilities"])

    @pytest.mark.slow
    def test_without_onnxruntime(self, folder, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        printed = export(folder, "--onnx", tmp_path / "moons.onnx")
        assert printed.endswith("not compared: onnxruntime is not installed.\n")
        assert (tmp_path / "moons.onnx").exists()

    def test_an_onnxruntime_that_is_too_old(self, folder, tmp_path, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("Opset 21 is under\ndevelopment")

        monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
        printed = export(folder, "--onnx", tmp_path / "moons.onnx")
        assert re.search(r"not compared: onnxruntime \S+ does not run it: Opset 21 is under development\n$", printed)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            (["{folder}", "--onnx", "{tmp}"], "is a folder; a file was expected"),
            (["{folder}", "--onnx", "{tmp}/no/file.onnx"], "does not exist"),
            (["{folder}", "--onnx", "{tmp}/new.onnx", "--opset", "7"], "opset: expected 13 to"),
            (["{tmp}", "--onnx", "{tmp}/new.onnx"], "no config.json in "),
            (["{tmp}/nowhere", "--onnx", "{tmp}/new.onnx"], "does not exist"),
            (["{folder}/config.json", "--onnx", "{tmp}/new.onnx"], "it is a text"),
        ],
    )
    def test_refused_in_one_sentence(self, arguments, match, folder, tmp_path):
        said = export(*(a.format(folder=folder, tmp=tmp_path) for a in arguments), status=2)
        assert re.match(f"Error: .*{match}", said), said
        assert said.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_file_is_replaced_only_when_asked(self, folder, tmp_path):
        path = tmp_path / "moons.onnx"
        path.write_text("precious")
        assert "--overwrite" in export(folder, "--onnx", path, status=2)
        assert path.read_text() == "precious"
        export(folder, "--onnx", path, "--overwrite")
        onnx.checker.check_model(str(path))

    def test_the_model_itself_is_never_replaced(self, tmp_path):
        path = tmp_path / "model.safetensors"
        cr.save(cr.Network(2, [Dense(1)], "squared_error"), path)
        for source in (path, tmp_path):
            assert "is the model itself" in export(source, "--onnx", path, "--overwrite", status=2)
        assert "does not exist" in export(tmp_path / "nowhere", "--onnx", path, "--overwrite", status=2)
        assert cr.load(path).input_shape == (2,)

    def test_without_onnx(self, folder, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        assert 'pip install -e ".[onnx]"' in export(folder, "--onnx", tmp_path / "moons.onnx", status=1)
