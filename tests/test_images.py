"""Convolution, pooling and normalisation against PyTorch and against plain loops, over random shapes; and bad images."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.layers import (
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout2D,
    Embedding,
    Flatten,
    GlobalAveragePool2D,
    Identity,
    LayerNorm,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    Scale,
    Tanh,
)
from chainrule.memo import Memo
from chainrule.parameters import locate

CLOSE = {"float32": 1e-6, "float64": 1e-12}
quick = settings(max_examples=20, deadline=None, derandomize=True)
few = settings(max_examples=6, deadline=None, derandomize=True)
dtypes, seeds = st.sampled_from(["float32", "float64"]), st.integers(0, 2**31)


def bound(layer, shape, dtype="float64", seed=0):
    """The network that has the layer as its second, with random values for all that it learns and measures."""
    network = cr.Network(shape, [Scale(), layer, Flatten()], "squared_error", seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    network.theta[:] = rng.normal(size=network.theta.size)
    network.statistics[:] = rng.uniform(0.5, 2, network.statistics.size)
    return network


def passes(layer, x, dy, *, training=True):
    """Return y, dx and the gradients of what the layer learns, by name."""
    memo = Memo(training=training, rng=np.random.default_rng(0))
    y = layer.forward(x, memo).copy()
    results = {"y": y, "dx": layer.backward(dy, memo)}
    for name in layer.parameters():
        inside, last = locate(memo, name)
        results["d" + name] = getattr(inside, "d" + last)
    return results


def drawn(layer, rows, dtype, seed):
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(rows, *layer.input_shape)).astype(dtype)
    return x, rng.normal(size=(rows, *layer.output_shape)).astype(dtype)


def assert_close(found, expected, dtype, what, sizes=None):
    """``sizes`` says how large the terms of gradients of normalisation are, which cancel: rounding is of their size."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: {found.shape}, not {expected.shape}"
    assert found.dtype == dtype, what
    size = max(1.0, float(np.abs(expected).max(initial=0)), (sizes or {}).get(what, 0))
    error = float(np.abs(found - expected).max(initial=0)) / size
    assert error <= CLOSE[dtype], f"{what}: off by {error:.1e} of its size"


def norms(values):
    """Return the largest of the columns' norms: what a sum of them with random signs comes to."""
    return float(np.linalg.norm(values.reshape(-1, values.shape[-1]).astype("float64"), axis=0).max())


def sizes_of_norm(layer, x, dy):
    """What is subtracted from x has digits that the difference has not, and s makes their rounding larger."""
    memo = Memo(training=True)
    layer.forward(x, memo)
    s = float(np.max(memo.s))
    gamma, lost = float(np.abs(layer.gamma).max()), max(1.0, float(np.abs(x).max()) * s)
    sums = lost * norms(dy)
    return {
        "dx": gamma * s * lost * float(np.abs(dy).max()),
        "dgamma": sums,
        "dbeta": sums,
    }


def assert_order_two(layer, shape, seed):
    """Central differences of x and of all that the layer learns; and the rules of the contract."""
    report = cr.check_layer(layer, shape, entries=6, seed=seed % 1000)
    assert report, str(report)
    assert report.error < 1e-7, f"{layer}: error {report.error}"
    assert abs(report.order - 2) < 0.1, f"{layer}: order {report.order}"


@st.composite
def axes(draw, dilations=2, most_padding=3):
    """One axis of a window: (pixels, size, stride, dilation, padding before, after); at least one window fits."""
    size, dilation = draw(st.integers(1, 4)), draw(st.integers(1, dilations))
    most = min(most_padding, size // 2) if dilations == 1 else most_padding
    before, after = draw(st.integers(0, most)), draw(st.integers(0, most))
    reach = dilation * (size - 1) + 1
    pixels = draw(st.integers(max(1, reach - before - after), reach + 4))
    return pixels, size, draw(st.integers(1, 4)), dilation, before, after


# Convolution ---------------------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    down, right, groups = draw(axes()), draw(axes()), draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    arguments = {
        "filters": filters,
        "size": (down[1], right[1]),
        "stride": (down[2], right[2]),
        "padding": (*down[4:], *right[4:]),
        "dilation": (down[3], right[3]),
        "groups": groups,
        "biases": draw(st.sampled_from(["zeros", None])),
    }
    return Conv2D, arguments, (down[0], right[0], channels)


@quick
@given(convolutions(), st.integers(1, 4), dtypes, seeds)
def test_conv_equals_pytorch(case, rows, dtype, seed):
    torch = pytest.importorskip("torch")
    kind, arguments, shape = case
    layer = bound(kind(**arguments), shape, dtype, seed).layers[1]
    x, dy = drawn(layer, rows, dtype, seed)
    found = passes(layer, x, dy)
    tensors = {"dx": torch.tensor(x, requires_grad=True), "dW": torch.tensor(layer.W, requires_grad=True)}
    if layer.b is not None:
        tensors["db"] = torch.tensor(layer.b, requires_grad=True)
    top, bottom, left, right = layer.padding
    images = torch.nn.functional.pad(tensors["dx"].permute(0, 3, 1, 2), (left, right, top, bottom))
    W = tensors["dW"].permute(3, 2, 0, 1).contiguous()  # else PyTorch refuses some
    y = torch.conv2d(images, W, tensors.get("db"), layer.stride, 0, layer.dilation, layer.groups).permute(0, 2, 3, 1)
    y.backward(torch.tensor(dy))
    assert_close(found["y"], y.detach(), dtype, "y")
    for name, tensor in tensors.items():
        assert_close(found[name], tensor.grad, dtype, name)


@pytest.mark.slow
@few
@given(convolutions(), seeds)
def test_gradients_of_conv_have_order_two(case, seed):
    kind, arguments, shape = case
    assert_order_two(kind(**arguments), shape, seed)


def windows_of(n, k, s, d):
    """TensorFlow's rule for "same" along an axis: for each of the ⌈n / s⌉ windows the pixels that it sees, or None."""
    count, reach = -(-n // s), d * (k - 1) + 1
    before = max(0, (count - 1) * s + reach - n) // 2
    places = [[w * s - before + d * i for i in range(k)] for w in range(count)]
    return [[p if 0 <= p < n else None for p in window] for window in places]


def pixels_of(x, layer, dilation):
    """Of every output pixel (r, q): the pixels (i, j, x of all images there) of its window that lie on the image."""
    pairs = [v if isinstance(v, tuple) else (v, v) for v in (layer.size, layer.stride or layer.size, dilation)]
    axis = [windows_of(x.shape[1 + a], *(pair[a] for pair in pairs)) for a in (0, 1)]
    for r, rows in enumerate(axis[0]):
        for q, columns in enumerate(axis[1]):
            inside = [(i, j, x[:, p, c]) for i, p in enumerate(rows) for j, c in enumerate(columns)
                      if p is not None and c is not None]  # fmt: skip
            yield r, q, inside


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
pairs = st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4)))


@quick
@given(shapes, pairs, pairs, pairs, seeds)
def test_same_padding_of_conv_is_tensorflows(shape, size, stride, dilation, seed):
    layer = Conv2D(2, size, stride, "same", dilation)
    layer = bound(layer, shape, "float64", seed).layers[1]
    assert layer.output_shape[:2] == tuple(
        -(-n // s) for n, s in zip(shape, stride if isinstance(stride, tuple) else (stride, stride), strict=False)
    )
    x, dy = drawn(layer, 2, "float64", seed)
    found = passes(layer, x, dy)
    y, dW = np.zeros_like(found["y"]) + layer.b, np.zeros_like(layer.W)
    for r, q, inside in pixels_of(x, layer, dilation):
        for i, j, values in inside:
            y[:, r, q] += values @ layer.W[i, j]
            dW[i, j] += values.T @ dy[:, r, q]
    assert_close(found["y"], y, "float64", "y")
    assert_close(found["dW"], dW, "float64", "dW")


@quick
@given(shapes, pairs, st.none() | pairs, seeds)
def test_same_padding_of_pools_is_tensorflows(shape, size, stride, seed):
    for kind, reduce in ((MaxPool2D, np.max), (AveragePool2D, np.mean)):
        layer = bound(kind(size, stride, "same"), shape, "float64", seed).layers[1]
        x, _ = drawn(layer, 2, "float64", seed)
        y = layer.forward(x, Memo())
        for r, q, inside in pixels_of(x, layer, 1):
            np.testing.assert_allclose(y[:, r, q], reduce([v for _, _, v in inside], axis=0), rtol=1e-12, atol=1e-14)


def test_the_start_of_conv_goes_by_what_a_number_of_y_sees():
    network = cr.Network((8, 8, 16), [Conv2D(64, 3, groups=2), ReLU(), Flatten(), Dense(1)], "squared_error", seed=0)
    assert network.layers[0].W.shape == (3, 3, 8, 64)
    assert network.layers[0].W.std() == pytest.approx(math.sqrt(2 / (3 * 3 * 8)), rel=0.05)  # He, for ReLU


# Pooling -------------------------------------------------------------------------------------------------------------


@st.composite
def pools(draw):
    down, right = draw(axes(dilations=1)), draw(axes(dilations=1))
    kind = draw(st.sampled_from([MaxPool2D, AveragePool2D]))
    if kind is AveragePool2D:  # PyTorch's has as much on either side
        (down, right) = ((n + abs(b - a), k, s, 1, max(b, a), max(b, a)) for n, k, s, _, b, a in (down, right))
    padding = (*down[4:], *right[4:])
    arguments = {"size": (down[1], right[1]), "stride": (down[2], right[2]), "padding": padding}
    return kind, arguments, (down[0], right[0], draw(st.integers(1, 3)))


@quick
@given(pools(), st.integers(1, 4), dtypes, seeds, st.booleans())
def test_pools_equal_pytorch(case, rows, dtype, seed, ties):
    torch = pytest.importorskip("torch")
    kind, arguments, shape = case
    layer = bound(kind(**arguments), shape, dtype, seed).layers[1]
    x, dy = drawn(layer, rows, dtype, seed)
    if ties:
        x = np.round(x)
    found = passes(layer, x, dy)
    tensor = torch.tensor(x, requires_grad=True)
    images, (top, bottom, left, right) = tensor.permute(0, 3, 1, 2), layer.padding
    if isinstance(layer, MaxPool2D):
        images = torch.nn.functional.pad(images, (left, right, top, bottom), value=-math.inf)
        y = torch.nn.functional.max_pool2d(images, layer.size, layer.stride)
    else:
        y = torch.nn.functional.avg_pool2d(images, layer.size, layer.stride, (top, left), count_include_pad=False)
    y = y.permute(0, 2, 3, 1)
    y.backward(torch.tensor(dy))
    assert_close(found["y"], y.detach(), dtype, "y")
    assert_close(found["dx"], tensor.grad, dtype, "dx")


@pytest.mark.slow
@few
@given(pools(), seeds)
def test_gradients_of_pools_have_order_two(case, seed):
    kind, arguments, shape = case
    assert_order_two(kind(**arguments), shape, seed)


@quick
@given(st.integers(1, 4), shapes, dtypes, seeds)
def test_global_average_pool_equals_the_mean(rows, shape, dtype, seed):
    layer = bound(GlobalAveragePool2D(), shape, dtype, seed).layers[1]
    x, dy = drawn(layer, rows, dtype, seed)
    found = passes(layer, x, dy)
    assert_close(found["y"], x.astype("float64").mean(axis=(1, 2)), dtype, "y")
    assert_close(found["dx"], np.zeros_like(x) + dy[:, None, None] / (shape[0] * shape[1]), dtype, "dx")


# Normalisation -------------------------------------------------------------------------------------------------------

samples = st.one_of(st.tuples(st.integers(1, 6)), shapes)


@quick
@given(samples, st.integers(2, 5), st.sampled_from([0.0, 0.5, 0.9]), dtypes, seeds)
def test_batch_norm_equals_pytorch_over_several_steps(shape, rows, momentum, dtype, seed):
    torch = pytest.importorskip("torch")
    layer = bound(BatchNorm(momentum, epsilon=1e-3), shape, dtype, seed).layers[1]
    kind = torch.nn.BatchNorm1d if len(shape) == 1 else torch.nn.BatchNorm2d
    theirs = kind(shape[-1], eps=1e-3, momentum=1 - momentum, dtype=getattr(torch, dtype))
    names = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
    for ours, name in names.items():
        getattr(theirs, name).data[:] = torch.tensor(getattr(layer, ours))
    first = (0, 3, 1, 2) if len(shape) == 3 else (0, 1)
    for step in range(4):
        theirs.train(step < 3)
        x, dy = drawn(layer, rows, dtype, seed + step)
        memo = Memo(training=step < 3)
        y, dx = layer.forward(x, memo), layer.backward(dy, memo)
        if memo.training:
            layer.update_statistics(memo)
        tensor = torch.tensor(x, requires_grad=True)
        theirs.zero_grad()
        y_torch = theirs(tensor.permute(first)).permute(tuple(np.argsort(first)))
        y_torch.backward(torch.tensor(dy))
        sizes = sizes_of_norm(layer, x, dy)
        assert_close(y, y_torch.detach(), dtype, "y")
        assert_close(dx, tensor.grad, dtype, "dx", sizes)
        assert_close(memo.dgamma, theirs.weight.grad, dtype, "dgamma", sizes)
        assert_close(memo.dbeta, theirs.bias.grad, dtype, "dbeta", sizes)
        for name in ("running_mean", "running_var"):
            assert_close(getattr(layer, name), getattr(theirs, name), dtype, name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm, RMSNorm, Scale])
@few
@given(samples, seeds)
def test_gradients_of_normalisation_have_order_two(kind, shape, seed):
    assert_order_two(kind(), shape, seed)


def test_batch_norm_of_values_far_from_0_keeps_its_digits():
    """The variance as a mean of squares less the square of the mean would have none left."""
    layer = cr.Network(3, [BatchNorm(), Dense(1)], "squared_error", seed=0).layers[0]
    x = np.random.default_rng(0).normal(1000, 1, size=(500, 3)).astype("float32")
    memo = Memo(training=True)
    y = layer.forward(x, memo)
    exact = x.astype("float64")
    np.testing.assert_allclose(memo.var, exact.var(axis=0), rtol=1e-4)
    np.testing.assert_allclose(y, (exact - exact.mean(axis=0)) / exact.std(axis=0), atol=1e-3)


def test_the_sums_of_many_pixels_keep_their_digits():
    """100,352 pixels: one sum after the other in float32 is off by 1e-5, and y of values around 10 by 1e-6."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(10, 1, size=(128, 28, 28, 2)).astype("float32"), rng.random((128, 28, 28, 2), dtype="float32")
    found, exact = (
        passes(bound(BatchNorm(), (28, 28, 2), dtype, 0).layers[1], x.astype(dtype), dy.astype(dtype))
        for dtype in ("float32", "float64")
    )
    for name, bound_ in {"y": 3e-7, "dx": 1e-6, "dbeta": 2e-7}.items():
        error = np.abs(found[name] - exact[name]).max() / np.abs(exact[name]).max()
        assert error < bound_, f"{name}: {error:.1e}"
    conv = bound(Conv2D(2, 1), (28, 28, 2), "float32", 0).layers[1]
    np.testing.assert_allclose(passes(conv, x, dy)["db"], dy.astype("float64").sum(axis=(0, 1, 2)), rtol=1e-7)


def test_batch_norm_of_one_row_is_its_shift():
    network = bound(BatchNorm(), (3,))
    layer = network.layers[1]
    memo = Memo(training=True)
    np.testing.assert_array_equal(layer.forward(np.ones((1, 3)), memo), layer.beta[np.newaxis])
    np.testing.assert_array_equal(layer.backward(np.ones((1, 3)), memo), np.zeros((1, 3)))
    before = network.statistics.copy()
    layer.update_statistics(memo)
    np.testing.assert_array_equal(network.statistics, before)  # there is no variance to take in


def test_a_last_batch_of_one_row_leaves_the_statistics_as_they_are():
    """Each would take away a tenth of the running variance, at the worst time: just before the epoch is measured."""
    X = np.random.default_rng(0).normal(3, 2, size=(65, 4))
    network = net(4, BatchNorm(), Dense(1))
    for _ in range(30):
        cr.train(network, X, np.zeros(65), optimizer=cr.optimizers.SGD(1e-9), batch_size=64, epochs=1, seed=0)
    layer = network.layers[0]
    np.testing.assert_allclose(layer.running_var, X.var(axis=0, ddof=1), rtol=0.1)
    np.testing.assert_allclose(layer.running_mean, X.mean(axis=0), rtol=0.1)


@quick
@given(samples, st.integers(1, 4), dtypes, seeds)
def test_layer_norm_rms_norm_and_scale_equal_pytorch(shape, rows, dtype, seed):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for layer, theirs in (
        (LayerNorm(1e-3), lambda x, g, b: functional.layer_norm(x, x.shape[-1:], g, b, 1e-3)),
        (RMSNorm(1e-3), lambda x, g: functional.rms_norm(x, x.shape[-1:], g, 1e-3)),
        (Scale(), lambda x, g: x * g),
    ):
        own = bound(layer, shape, dtype, seed).layers[1]
        x, dy = drawn(own, rows, dtype, seed)
        found = passes(own, x, dy)
        tensors = [torch.tensor(v, requires_grad=True) for v in (x, *(getattr(own, n) for n in own.parameters()))]
        y = theirs(*tensors)
        y.backward(torch.tensor(dy))
        sizes = {"dgamma": norms(dy)} if isinstance(own, Scale) else sizes_of_norm(own, x, dy)
        assert_close(found["y"], y.detach(), dtype, "y")
        for name, tensor in zip(["dx", *("d" + n for n in own.parameters())], tensors, strict=True):
            assert_close(found[name], tensor.grad, dtype, name, sizes)


# Residual, Embedding, Dropout2D --------------------------------------------------------------------------------------


@quick
@given(st.integers(1, 4), st.integers(1, 4), dtypes, seeds)
def test_residual_equals_pytorch(rows, features, dtype, seed):
    torch = pytest.importorskip("torch")
    layer = bound(Residual([Dense(5), Tanh(), Dense(features)]), (features,), dtype, seed).layers[1]
    x, dy = drawn(layer, rows, dtype, seed)
    found = passes(layer, x, dy)
    names = list(layer.parameters())
    assert names == ["0.W", "0.b", "2.W", "2.b"]
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, *(getattr(*locate(layer, name)) for name in names))]
    x_torch, W, b, V, c = tensors
    y = x_torch + torch.tanh(x_torch @ W + b) @ V + c
    y.backward(torch.tensor(dy))
    assert_close(found["y"], y.detach(), dtype, "y")
    for name, tensor in zip(["dx", *("d" + n for n in names)], tensors, strict=True):
        assert_close(found[name], tensor.grad, dtype, name)


@pytest.mark.slow
@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), seeds)
def test_gradients_of_residual_have_order_two(height, width, channels, seed):
    block = [BatchNorm(), Conv2D(2, 3, padding="same"), Tanh(), Residual([Scale(0.5)]), Conv2D(channels, 1)]
    assert_order_two(Residual(block), (height, width, channels), seed)


@quick
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 8), dtypes, seeds)
def test_embedding_equals_pytorch(columns, size, rows, dtype, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    many = tuple(map(int, rng.integers(1, 6, columns)))
    chosen = list(map(int, rng.permutation(columns + 2)[:columns]))
    others = [i for i in range(columns + 2) if i not in chosen]
    layer = bound(Embedding(many, size, columns=chosen), (columns + 2,), dtype, seed).layers[1]
    x, dy = drawn(layer, rows, dtype, seed)
    x[:, chosen] = rng.integers(0, many, (rows, columns))
    found = passes(layer, x, dy)
    W, x_torch = torch.tensor(layer.W, requires_grad=True), torch.tensor(x, requires_grad=True)
    tables = torch.split(W, many)
    vectors = [torch.nn.functional.embedding(x_torch[:, c].long(), t) for c, t in zip(chosen, tables, strict=True)]
    y = torch.cat([x_torch[:, others], *vectors], dim=1)
    y.backward(torch.tensor(dy))
    assert_close(found["y"], y.detach(), dtype, "y")
    assert_close(found["dW"], W.grad, dtype, "dW")
    assert_close(found["dx"], x_torch.grad, dtype, "dx")


def test_embedding_with_one_table_for_all_columns():
    layer = bound(Embedding(5, 2), (3,)).layers[1]
    assert layer.W.shape == (5, 2)
    found = passes(layer, np.array([[4.0, 0, 4]]), np.arange(6.0).reshape(1, 6))
    np.testing.assert_array_equal(found["y"], layer.W[[4, 0, 4]].reshape(1, 6))
    np.testing.assert_array_equal(found["dW"], [[2, 3], [0, 0], [0, 0], [0, 0], [0 + 4, 1 + 5]])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout2d_drops_whole_channels(rate, dtype):
    layer, memo = Dropout2D(rate), Memo(training=True, rng=np.random.default_rng(0))
    x = np.full((200, 3, 4, 100), 2.0, dtype)
    y = layer.forward(x, memo)
    assert y.dtype == dtype
    kept = y[:, 0, 0] != 0
    np.testing.assert_allclose(y, np.where(kept, 2 / (1 - rate), 0)[:, None, None] * np.ones((3, 4, 1)), rtol=1e-6)
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * math.sqrt(rate * (1 - rate) / kept.size))
    assert not np.array_equal(kept[0], kept[1]), "every image has a mask of its own"
    dx = layer.backward(np.ones_like(x), memo)
    np.testing.assert_array_equal(dx, y / 2)
    np.testing.assert_array_equal(layer.forward(x, Memo()), x)


# Bad input -----------------------------------------------------------------------------------------------------------


def net(shape, *layers):
    return cr.Network(shape, layers, "squared_error", seed=0)


IMAGES = (8, 8, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: net(784, Conv2D(3)), r"layer 0, Conv2D\(3\): expects images, shape \(height.* inputs have 784"),
        (lambda: net((28, 28), Conv2D(3)), r"expects images, shape \(height, width, channels\), .* shape \(28, 28\)"),
        (lambda: net(IMAGES, Conv2D(3)), r"must give rows .* gives shape \(6, 6, 3\): add Flatten\(\)"),
        (
            lambda: net(IMAGES, Conv2D(3), Dense(2)),
            r"expects rows of numbers.*such as the output of Flatten\(\).* shape \(6, 6, 3\)",
        ),
        (lambda: net(IMAGES, Conv2D(3, 9)), r"windows of 9 x 9 are larger than the image.* have shape \(8, 8, 3\)"),
        (lambda: net(IMAGES, Conv2D(3, padding=(0, 2000))), r"padding .*2000.*at most 1,000 pixels per side"),
        (lambda: net(IMAGES, Conv2D(3, 3, dilation=10**9, padding="same")), r"at most 1,000 pixels per side"),
        (lambda: net(IMAGES, MaxPool2D(10**9, 1, padding=10**8)), r"at most 1,000 pixels per side"),
        (lambda: net(IMAGES, Conv2D(3, dilation=5)), r"windows of 11 x 11 are larger than the image"),
        (lambda: net(IMAGES, Conv2D(3, 13, padding=(1, 2))), r"13 x 13 are larger .* padding \(\(1, 1\), \(2, 2\)\)"),
        (lambda: net(IMAGES, Conv2D(3, 7), MaxPool2D(3)), r"layer 1, .*windows of 3 x 3 .* gives shape \(2, 2, 3\)"),
        (lambda: net(IMAGES, MaxPool2D(2, padding=2)), r"a window covers only padding"),
        (lambda: net(3, MaxPool2D()), "expects images"),
        (lambda: net(3, GlobalAveragePool2D()), "expects images"),
        (lambda: net(3, Dropout2D(0.5)), "expects images"),
        (
            lambda: net(IMAGES, Conv2D(4, groups=2)),
            r"expects a number of channels divisible by 2 groups.* shape \(8, 8, 3\)",
        ),
        (lambda: Conv2D(4, groups=3), "3 groups do not divide 4 filters"),
        (lambda: Conv2D(0), "Conv2D: filters: expected a whole number of at least 1, got 0"),
        (lambda: Conv2D(3, 3, 0), "Conv2D: stride: expected a whole number of at least 1, got 0"),
        (lambda: Conv2D(3, 3, (1, -1)), "Conv2D: stride: expected a whole number of at least 1, got -1"),
        (lambda: Conv2D(3, 3, (1, 2, 3)), r"stride: expected one number or two, \(height, width\), got \(1, 2, 3\)"),
        (lambda: Conv2D(3, dilation=0), "dilation: expected a whole number of at least 1, got 0"),
        (lambda: Conv2D(3, padding="full"), "padding: expected 'valid', 'same' or numbers of pixels, got 'full'"),
        (lambda: Conv2D(3, padding=-1), "padding: expected a whole number of at least 0, got -1"),
        (lambda: Conv2D(3, padding=(1, 2, 3)), r"expected one number, two or four \(top, bottom, left, right\)"),
        (lambda: MaxPool2D(0), "MaxPool2D: size: expected a whole number of at least 1, got 0"),
        (lambda: net(10, Reshape((3, 4)), Flatten()), r"expects 12 numbers for \(3, 4\), but .* inputs have 10"),
        (lambda: net(10, Reshape((3, -1)), Flatten()), r"expects 3 numbers or a multiple for \(3, -1\).* have 10"),
        (lambda: Reshape((-1, -1)), "expected sizes, at most one of them −1"),
        (lambda: Reshape((0, 2)), "Reshape: shape: expected a whole number of at least 1, got 0"),
        (lambda: Reshape(0), "Reshape: shape: expected a whole number of at least 1, got 0"),
        (
            lambda: net(10, Residual([Dense(4)])),
            r"its layers output shape \(4,\), so it expects inputs of shape \(4,\).* have 10",
        ),
        (lambda: net(IMAGES, Residual([Conv2D(3)])), r"its layers output shape \(6, 6, 3\).* shape \(8, 8, 3\)"),
        (lambda: net(IMAGES, Residual([Dense(3)])), r"its layer 0, Dense\(3\): expects rows of numbers.*\(8, 8, 3\)"),
        (lambda: Residual([]), "Residual: expected at least one layer, got none"),
        (lambda: net(2, Embedding([3], 2, columns=[5])), "expects at least 6 inputs, for column 5.* have 2"),
        (lambda: net(2, Embedding([3, 4], 2, columns=[1])), "expects 2 columns, one for each number in categories"),
        (lambda: net(IMAGES, Embedding(3, 2)), r"expects rows of numbers.* shape \(8, 8, 3\)"),
        (lambda: net(10**9, Embedding(3, 2)), "expects at most 1000000 inputs"),
        (lambda: Embedding([3, 3], 2, columns=[1, 1]), "columns: expected different columns"),
        (lambda: BatchNorm(1.0), r"BatchNorm: momentum: expected a number in \[0, 1\), got 1.0"),
        (lambda: BatchNorm(epsilon=0.0), r"BatchNorm: epsilon: expected a number in \(0, inf\), got 0.0"),
        (lambda: Scale(math.nan), "Scale: start: expected a number"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 8, 8, 1), r"shape \(rows, 8, 8, 3\), got 4-D, shape \(2, 8, 8, 1\)"),
        ((2, 3, 8, 8), r"Channels come last: X.transpose\(0, 2, 3, 1\)"),
        ((2, 8, 8), r"got 3-D, shape \(2, 8, 8\)"),
        ((2, 192), r"Reshape it: X.reshape\(len\(X\), 8, 8, 3\)"),
        ((8, 8, 3), r"Give a batch of one: X\[np.newaxis\]"),
        ((0, 8, 8, 3), "at least one row"),
    ],
)
def test_images_of_another_shape_are_refused_with_the_remedy(shape, message):
    with pytest.raises(ValueError, match=message):
        net(IMAGES, Conv2D(3), Flatten()).predict(np.ones(shape))


def test_what_is_no_number_in_an_image_is_named_by_its_pixel():
    images = np.ones((4, *IMAGES))
    images[2, 1, 7, 0] = np.nan
    with pytest.raises(ValueError, match=r"X: expected finite numbers, got nan in row 2 at \(1, 7, 0\)\. Fill"):
        net(IMAGES, Flatten(), Dense(1)).predict(images)
    images[2, 1, 7, 0] = 1e39
    with pytest.raises(ValueError, match=r"1e\+39 in row 2 at \(1, 7, 0\) overflows float32"):
        net(IMAGES, Flatten(), Dense(1)).predict(images)


@pytest.mark.parametrize("value", [3, -1, 0.5, math.nan, 1e30])
def test_what_is_no_category_is_named(value):
    layer = net(2, Embedding([3], 2, columns=[1])).layers[0]
    with pytest.raises(ValueError, match=rf"categories 0 ... 2 in column 1, got {value:g}".replace("+", r"\+")):
        layer.forward(np.array([[0.1, 1], [0.1, value]], "float32"), Memo())


def with_embeddings():
    """Two tables, the second for a column that comes first in y of the first."""
    return net(4, Identity(), Embedding([3], 2, columns=[2]), Embedding([7], 3, columns=[1]), Dense(1))


def rows_of_categories(rows=1000):
    rng = np.random.default_rng(0)
    return np.column_stack([rng.random(rows), rng.integers(0, 7, rows), rng.integers(0, 3, rows), rng.random(rows)])


@pytest.mark.parametrize(("column", "value", "many"), [(2, 3, 3), (2, -1, 3), (2, 0.5, 3), (1, 7, 7), (1, 1e30, 7)])
@pytest.mark.parametrize("settings", [{}, {"validation": 0.2}, {"shuffle": False}])
def test_what_is_no_category_is_found_in_all_rows_before_training_begins(column, value, many, settings):
    network, X = with_embeddings(), rows_of_categories()
    X[777, column] = value
    before, found = network.theta.copy(), re.escape(f"categories 0 ... {many - 1} in column {column}, got {value:g}")
    with pytest.raises(ValueError, match=rf"{found} in row 777 of X\."):
        cr.train(network, X, X[:, 0], batch_size=10, epochs=1, **settings)
    np.testing.assert_array_equal(network.theta, before)
    with pytest.raises(ValueError, match=rf"{found} in row 777 of validation X\."):
        cr.train(network, rows_of_categories(), X[:, 0], epochs=1, validation=(X, X[:, 0]))
    np.testing.assert_array_equal(network.theta, before)


def test_the_row_of_what_is_no_category_is_named_in_prediction_too():
    network, X = net(2, Embedding([3], 2000, columns=[1]), Dense(1)), np.zeros((2000, 2))
    assert network.chunk < 1990  # rows go through the network in parts
    X[1990, 1] = 3
    with pytest.raises(ValueError, match="got 3 in row 1990 of X"):
        network.predict(X)
    X[1990, 1] = 2.000_000_001  # is 2 in the network's arithmetic
    assert network.predict(X).shape == (2000, 1)


@pytest.mark.parametrize("first", [BatchNorm(), LayerNorm(), Scale(), Embedding(3, 2), Flatten(), Residual([ReLU()])])
def test_sparse_rows_are_for_dense_layers(first):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X = scipy_sparse.csr_matrix(np.ones((4, 5)))
    with pytest.raises(TypeError, match=r"layer 0, .* takes arrays only: give X.toarray\(\)"):
        net(5, first, Dense(1)).predict(X)
    assert net(5, Dense(3), first if not isinstance(first, Embedding) else ReLU(), Dense(1)).predict(X).shape == (4, 1)


def test_batch_norm_cannot_learn_from_batches_of_one_row():
    network, X = net(3, Dense(4), Residual([BatchNorm()]), Dense(1)), np.ones((5, 3))
    with pytest.raises(ValueError, match=r"layer 1.0, BatchNorm\(\): expected batches of at least 2 rows, .* \(4,\)"):
        cr.train(network, X, X[:, 0], batch_size=1, epochs=1)
    cr.train(network, X, X[:, 0], batch_size=2, epochs=2, seed=0)  # the last batch has one row
    assert np.isfinite(network.values).all()
    cr.train(
        net((2, 2, 1), BatchNorm(), Flatten(), Dense(1)), np.ones((3, 2, 2, 1)), np.ones(3), batch_size=1, epochs=1
    )
