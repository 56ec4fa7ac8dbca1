"""Layers: every public one against its formula, PyTorch, finite differences, and the contract of layers/base.py."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
import variants
from chainrule import initializers
from chainrule._internal.names import public_classes
from chainrule.gradient_check.same import equal
from chainrule.initializers import Fans
from chainrule.layers import (
    ELU,
    GELU,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    HardSigmoid,
    Identity,
    Layer,
    LeakyReLU,
    Mish,
    Reshape,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.memo import Memo
from chainrule.parameters import locate
from variants import ELEMENTWISE, gauss, takes

DTYPES = ["float32", "float64"]
quick = settings(max_examples=12, deadline=None, derandomize=True)


LAYERS = [case.layer for case in variants.LAYERS]
KINKS = {repr(case.layer): case.kinks for case in variants.LAYERS}
REGISTRY = public_classes(cr.layers, Layer)
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=repr)
every_elementwise = pytest.mark.parametrize(
    ("layer", "value", "slope"), [case[:3] for case in ELEMENTWISE], ids=[repr(case.layer) for case in ELEMENTWISE]
)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)

# What overflows somewhere if a formula is arranged carelessly: e^88.8 in float32, e^709.8 in float64, x³.
POINTS = [0.0, 1e-45, 1e-38, 1e-8, 1e-3, 0.3, 0.5, 1, 2, 2.5, 3, 3.5, 5, 8]
POINTS += [10, 20, 37, 40, 88, 89, 104, 709, 710, 746, 1e4, 1e30]


def extremes(dtype):
    """A column of points and their negatives, -0.0 and the smallest normal number among them."""
    points = np.array([*POINTS, np.finfo(dtype).tiny], dtype)
    return np.concatenate([-points, points]).reshape(-1, 2)


def bound(layer, features, dtype, seed=0):
    """The layer with parameters, behind one that learns and keeps the shape; and the network.

    Where it takes no rows of so many features it gets images.
    """
    shape = (features,) if takes(layer, (features,)) else (features + 2, 4, 2)
    network = cr.Network(shape, [Scale(), layer, Flatten()], "squared_error", seed=seed, dtype=dtype)
    return network.layers[1], network


def parameters_of(layer, memo):
    """Of every parameter, also of layers inside of the layer, what has it, its name there, and its gradient's place."""
    return {name: (*locate(layer, name), locate(memo, name)[0]) for name in layer.parameters()}


def new_memo(seed=5):
    return Memo(training=True, rng=np.random.default_rng(seed))


def away_from(kinks, x, gap=1e-2):
    for kink in kinks:
        x = np.where(np.abs(x - kink) < gap, kink + 2 * gap, x)
    return x


def draw(seed, batch, *shape, layer=None, dtype="float64"):
    rng = np.random.default_rng(seed)
    x = away_from(KINKS.get(repr(layer), ()), rng.normal(scale=2.0, size=(batch, *shape)))
    for column, many in (layer.integer_columns() if layer is not None else {}).items():
        x[:, column] = rng.integers(0, many, batch)
    return x.astype(dtype)


def test_every_public_layer_has_a_case_here():
    missing = set(REGISTRY) - {type(layer).__name__ for layer in LAYERS}
    assert not missing, f"add {sorted(missing)} to LAYERS in tests/variants.py: a layer without a case is untested"


# Values and slopes ---------------------------------------------------------------------------------------------------


@every_dtype
@every_elementwise
def test_values_equal_the_formula_also_where_a_careless_one_overflows(layer, value, slope, dtype):
    x = extremes(dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = layer.forward(x, Memo())
    expected = [[value(float(v)) for v in row] for row in x]
    rtol, atol = (1e-6, 1e-7) if dtype == "float32" else (1e-13, 1e-15)
    np.testing.assert_allclose(y, expected, rtol=rtol, atol=atol, err_msg=f"{layer} at {x.tolist()}")
    assert y.dtype == dtype


@every_dtype
@every_elementwise
def test_slopes_equal_the_formula_also_where_a_careless_one_overflows(layer, value, slope, dtype):
    x, memo = extremes(dtype), Memo()
    if isinstance(layer, Mish):
        x = x.clip(-1e4, 1e4)  # eˣ is cut at x = 40, so x (1 − w²) is 1e-34 x there in place of 0
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        layer.forward(x, memo)
        dx = layer.backward(np.ones_like(x), memo)
    expected = [[slope(float(v)) for v in row] for row in x]
    rtol, atol = (1e-6, 2.5e-7) if dtype == "float32" else (1e-13, 1e-15)
    if "tanh" in repr(layer):
        atol *= 10  # the rounding of 1 − Φ, times x u'
    np.testing.assert_allclose(dx, expected, rtol=rtol, atol=atol, err_msg=f"{layer} at {x.tolist()}")
    assert dx.dtype == dtype


@pytest.mark.parametrize(
    ("layer", "tail"),
    [
        (Sigmoid(), math.exp),
        (Softplus(), math.exp),
        (SiLU(), lambda x: x * math.exp(x)),
        (Mish(), lambda x: x * math.exp(x)),
        (GELU(), lambda x: x * gauss(x)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Layer) else "",
)
@every_dtype
def test_far_to_the_left_the_value_is_small_but_its_digits_are_right(layer, tail, dtype):
    """Near −∞ these are a small number, which 1 − (1 − small) would lose."""
    x = np.array([[-4.0, -8.0, -12.0], [-17.0, -25.0, -36.0]], dtype)[:, : 2 if dtype == "float32" else 3]
    y = layer.forward(x, Memo())
    expected = np.array([[value_at(layer, float(v)) for v in row] for row in x])
    np.testing.assert_allclose(expected[1], [tail(float(v)) for v in x[1]], rtol=1e-6)  # the tail is what we think
    normal = np.abs(expected) > np.finfo(dtype).tiny
    np.testing.assert_allclose(y[normal], expected[normal], rtol=1e-12 if dtype == "float64" else 3e-5)


def value_at(layer, x):
    return next(case.value for case in ELEMENTWISE if repr(case.layer) == repr(layer))(x)


@every_dtype
def test_softmax_of_huge_values_and_its_gradient(dtype):
    x = np.array([[-1e4, 1e4, 0.0], [1e4, 1e4, -1e4], [-710, -710, -710], [0.0, -0.0, 1e-30], [88, 0, -88]], dtype)
    memo = Memo()
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = Softmax().forward(x, memo)
        dx = Softmax().backward(np.array([[1, 2, 3]] * 5, dtype), memo)
    third = 1 / 3
    expected = [[0, 1, 0], [0.5, 0.5, 0], [third] * 3, [third] * 3, [1, math.exp(-88), math.exp(-176)]]
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(dx, [[0, 0, 0], [-0.25, 0.25, 0], *[[-third, 0, third]] * 2, [0, 0, 0]], atol=1e-6)
    assert y.dtype == dx.dtype == dtype


def test_softmax_backward_is_its_full_jacobian():
    x = np.random.default_rng(0).normal(size=(4, 5))
    memo = Memo()
    y = Softmax().forward(x, memo)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), rtol=1e-14)
    for i in range(5):
        dx = Softmax().backward(np.broadcast_to(np.eye(5)[i], x.shape), memo)  # row i of ∂y/∂x for every sample
        for n in range(4):
            jacobian = np.diag(y[n]) - np.outer(y[n], y[n])
            np.testing.assert_allclose(dx[n], jacobian[i], atol=1e-16, err_msg=f"∂y{i}/∂x of sample {n}")


# Backward against finite differences and PyTorch ---------------------------------------------------------------------


def central_difference(f, at, fixed=(), h=1e-6):
    """The derivative of the number f() with respect to every entry of ``at``, which f reads; 0 in ``fixed`` columns."""
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        if i[-1] in fixed:
            continue
        kept = at[i]
        at[i] = kept + h
        above = f()
        at[i] = kept - h
        gradient[i] = (above - f()) / (2 * h)
        at[i] = kept
    return gradient


def convolves(layer):
    """Return whether a convolution is inside: it takes seconds, and test_images.py checks the order of its gradients."""
    return isinstance(layer, cr.layers.Conv2D) or any(map(convolves, layer.inner))


@pytest.mark.parametrize(
    "layer", [pytest.param(layer, marks=pytest.mark.slow if convolves(layer) else ()) for layer in LAYERS], ids=repr
)
@quick
@given(batch=st.integers(1, 4), features=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_backward_equals_central_differences(layer, batch, features, seed):
    layer, _ = bound(layer, features, "float64", seed)
    x = draw(seed, batch, *layer.input_shape, layer=layer)
    dy = np.random.default_rng(seed + 1).normal(size=(batch, *layer.output_shape))
    memo = new_memo()
    layer.forward(x, memo)
    gradients = {"dx": (x, layer.backward(dy, memo))}
    for name, (part, last, inside) in parameters_of(layer, memo).items():
        gradients["d" + name] = (getattr(part, last), getattr(inside, "d" + last))
    for name, (at, gradient) in gradients.items():
        whole = list(layer.integer_columns()) if name == "dx" else []
        expected = central_difference(lambda: float((dy * layer.forward(x, new_memo())).sum()), at, whole)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8, err_msg=f"{layer}: {name}")


@pytest.mark.parametrize("case", [case for case in variants.LAYERS if case.torch], ids=lambda case: repr(case.layer))
@quick
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from(DTYPES),
)
def test_values_and_gradients_equal_pytorch(case, shape, seed, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    network = cr.Network(tuple(shape[1:]), [case.layer, Flatten()], "squared_error", dtype=dtype)
    network.theta[:] = rng.uniform(0.1, 0.9, network.theta.size)
    layer = network.layers[0]
    x = away_from(case.kinks, rng.normal(scale=3, size=shape)).astype(dtype)
    dy = rng.normal(size=shape).astype(dtype)
    memo = Memo()
    y = layer.forward(x, memo)
    dx = layer.backward(dy, memo)
    x_torch = torch.tensor(x, requires_grad=True)
    parameters = {n: torch.tensor(getattr(layer, n), requires_grad=True) for n in layer.parameters()}
    y_torch = case.torch(torch.nn.functional, x_torch, SimpleNamespace(**(layer.arguments() | parameters)))
    y_torch.backward(torch.tensor(dy))
    rtol, atol = (1e-12, 1e-14) if dtype == "float64" else (1e-5, 1e-6)
    if isinstance(layer, HardSigmoid):
        rtol = max(rtol, 5e-8)  # PyTorch's 1/6 is a float32 also for float64
    np.testing.assert_allclose(y, y_torch.detach().numpy(), rtol=rtol, atol=atol, err_msg=f"{layer}: y")
    np.testing.assert_allclose(dx, x_torch.grad.numpy(), rtol=rtol, atol=atol, err_msg=f"{layer}: dx")
    for name, tensor in parameters.items():
        gradient = getattr(memo, "d" + name)
        np.testing.assert_allclose(
            gradient, tensor.grad.numpy(), rtol=rtol, atol=10 * atol, err_msg=f"{layer}: d{name}"
        )
    assert (y.dtype, dx.dtype) == (x.dtype, x.dtype)


@pytest.mark.parametrize("biases", ["zeros", None, initializers.Normal(1.0)], ids=repr)
@quick
@given(sizes=st.tuples(*[st.integers(1, 6)] * 3), seed=st.integers(0, 2**31))
def test_dense_equals_pytorch_and_a_loop(biases, sizes, seed):
    torch = pytest.importorskip("torch")
    batch, inputs, units = sizes
    layer, _ = bound(Dense(units, biases=biases), inputs, "float64", seed)
    x, dy = draw(seed, batch, inputs), draw(seed + 1, batch, units)
    memo = Memo()
    y, dx = layer.forward(x, memo), layer.backward(dy, memo)
    tensors = {"x": torch.tensor(x, requires_grad=True), "W": torch.tensor(layer.W, requires_grad=True)}
    if biases is not None:
        tensors["b"] = torch.tensor(layer.b, requires_grad=True)
    torch.nn.functional.linear(tensors["x"], tensors["W"].T, tensors.get("b")).backward(torch.tensor(dy))
    gradients = {"x": dx, "W": memo.dW, "b": memo.db}
    for name, tensor in tensors.items():
        np.testing.assert_allclose(gradients[name], tensor.grad, rtol=1e-12, atol=1e-13, err_msg="d" + name)
    for n in range(batch):
        for j in range(units):
            terms = [x[n, i] * layer.W[i, j] for i in range(inputs)] + ([] if layer.b is None else [layer.b[j]])
            assert y[n, j] == pytest.approx(math.fsum(terms), rel=1e-12, abs=1e-13)
    if biases is None:
        assert layer.b is None
        assert memo.db is None


# The contract --------------------------------------------------------------------------------------------------------


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@every_dtype
@every_layer
def test_passes_write_only_to_the_memo(layer, dtype):
    layer, network = bound(layer, 5, dtype)
    for _, array in network.arrays():
        array.flags.writeable = False
    for name in (*layer.parameters(), *layer.statistics()):
        getattr(*locate(layer, name)).flags.writeable = False
    before = copy.deepcopy(vars(layer))
    for workspace in (None, network.workspace(6, seed=1)):
        memo = new_memo() if workspace is None else workspace.memos[1]
        for rows in (6, 1):
            x = frozen(draw(1, rows, *layer.input_shape, layer=layer, dtype=dtype))
            dy = frozen(draw(2, rows, *layer.output_shape, dtype=dtype))
            if workspace is None:
                memo = new_memo()
            else:
                workspace.resize(rows)
            layer.forward(x, memo)  # an assignment to x, dy or a parameter raises
            layer.backward(dy, memo)
    assert vars(layer).keys() == before.keys(), f"{layer} wrote a new attribute on itself"
    for name, value in vars(layer).items():
        assert equal(value, before[name]), f"{layer}.{name} changed in forward or backward"


@every_dtype
@every_layer
def test_planned_buffers_give_what_fresh_memory_gives_also_for_short_batches(layer, dtype):
    layer, network = bound(layer, 5, dtype)
    workspace = network.workspace(7, seed=3)
    rng = np.random.default_rng(3)  # what the workspace's dropout draws from
    for turn, rows in enumerate((7, 3, 1, 7, 4)):
        x = draw(turn, rows, *layer.input_shape, layer=layer, dtype=dtype)
        dy = draw(turn + 9, rows, *layer.output_shape, dtype=dtype)
        workspace.resize(rows)
        planned, fresh = workspace.memos[1], Memo(training=True, rng=rng)
        results = [(m, layer.forward(x, m), layer.backward(dy, m)) for m in (planned, fresh)]
        for what, a, b in zip(("y", "dx"), results[0][1:], results[1][1:], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{layer}: {what} of batch {turn}, {rows} rows")
            assert a.dtype == b.dtype == dtype, f"{layer}: {what} left {dtype}"
        for name, (_, last, inside) in parameters_of(layer, planned).items():
            other = locate(fresh, name)[0]
            np.testing.assert_array_equal(getattr(inside, "d" + last), getattr(other, "d" + last), err_msg=name)
        for memo in (planned, fresh):
            for name, value in vars(memo).items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f" and name not in MORE_DIGITS:
                    assert value.dtype == dtype, f"{layer}: memo.{name} left {dtype}"


MORE_DIGITS = {"var"}  # what is a sum of parts, and goes into running statistics


@every_layer
def test_what_was_planned_is_what_is_used(layer):
    """A buffer that is planned and never filled, or made anew at every step, is a mistake in ``buffers``."""
    layer, network = bound(layer, 5, "float32")
    workspace = network.workspace(6, seed=0)
    memo = workspace.memos[1]
    buffers = [(memo, name) for name in layer.buffers()]
    buffers += [(inside, "d" + last) for _, last, inside in parameters_of(layer, memo).values()]
    buffers = [(part, name, getattr(part, name)) for part, name in buffers]
    for _, _, buffer in buffers:
        buffer.fill(np.nan)
    x = draw(0, 6, *layer.input_shape, layer=layer, dtype="float32")
    dy = draw(1, 6, *layer.output_shape, dtype="float32")
    y, dx = layer.forward(x, memo), layer.backward(dy, memo)
    for part, name, buffer in buffers:
        assert getattr(part, name) is buffer, f"{layer}: memo.{name} was replaced by another array"
        assert not np.isnan(buffer).any(), f"{layer}: memo.{name} was planned but is not filled whole"
    if not isinstance(layer, Identity | Flatten | Reshape):
        assert np.shares_memory(y, memo.y)
        assert np.shares_memory(dx, dy if isinstance(layer, GaussianNoise) else memo.dx)


@every_layer
def test_backward_reads_its_memo_and_does_not_use_it_up(layer):
    layer, _ = bound(layer, 4, "float64")
    memo = new_memo()
    layer.forward(draw(0, 3, *layer.input_shape, layer=layer), memo)
    dy = draw(1, 3, *layer.output_shape)
    first = layer.backward(dy, memo).copy()
    np.testing.assert_array_equal(layer.backward(dy, memo), first, err_msg=f"{layer}: a second backward differs")


@every_layer
def test_the_order_of_memory_does_not_matter(layer):
    layer, _ = bound(layer, 4, "float64")
    x, dy = draw(0, 5, *layer.input_shape, layer=layer), draw(1, 5, *layer.output_shape)
    memos = new_memo(), new_memo()
    y = layer.forward(x, memos[0])
    np.testing.assert_allclose(layer.forward(np.asfortranarray(x), memos[1]), y, rtol=1e-14)
    other = np.repeat(dy, 2, axis=0)[::2]  # not contiguous
    np.testing.assert_allclose(layer.backward(other, memos[1]), layer.backward(dy, memos[0]), rtol=1e-13, atol=1e-15)


# Dense ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [(), (Dropout(0.5),)], ids=["directly", "across dropout"])
@pytest.mark.parametrize("case", variants.LAYERS, ids=lambda case: repr(case.layer))
def test_default_weights_follow_the_activation_that_comes_next(case, between):
    layer, start = case.layer, getattr(initializers, case.start)()
    images = [] if takes(layer, (8,)) else [Reshape((2, 2, 2))]
    stack = [Dense(8), *between, *images, layer, Flatten(), Dense(2)]
    network = cr.Network(6, stack, "squared_error", seed=4, dtype="float64")
    expected = start.draw((6, 8), Fans(6, 8), np.random.default_rng(4))  # W of layer 0 is the first that is drawn
    np.testing.assert_array_equal(network.layers[0].W, expected, err_msg=f"before {layer} {start} is expected")
    last = [e for e in network.layout.entries if e.name == "W"][-1]
    limit = math.sqrt(6 / sum(last.shape))
    assert np.abs(network.layout.view(network.theta, last)).max() <= limit, "the last layer starts with Glorot"


def test_dense_draws_weights_and_biases_as_told():
    layer = Dense(50, weights="he_uniform", biases=initializers.Uniform(1.0, 2.0))
    network = cr.Network(30, [layer, Dense(1, weights=initializers.Constant(0.5))], "squared_error", seed=0)
    W, b = network.layers[0].W, network.layers[0].b
    assert W.shape == (30, 50)
    assert W.dtype == b.dtype == np.float32
    limit = math.sqrt(6 / 30)
    assert 0.9 * limit < np.abs(W).max() <= np.float32(limit)
    assert b.min() >= 1
    assert b.max() < 2
    assert b.std() > 0.2
    assert (network.layers[1].W == 0.5).all()
    assert (network.layers[1].b == 0).all()


def test_dense_without_biases_has_no_place_for_them_in_theta():
    network = cr.Network(3, [Dense(4, biases=None), Tanh(), Dense(2)], "squared_error", seed=0)
    assert network.layout.size == 3 * 4 + 4 * 2 + 2
    assert [e.key for e in network.layout.entries] == ["layers.0.W", "layers.2.W", "layers.2.b"]
    assert network.layers[0].b is None
    loss, grad = network.loss_and_grad(np.ones((2, 3)), np.zeros((2, 2)))
    assert math.isfinite(loss)
    assert grad.shape == (network.layout.size,)


def test_dense_checks_the_number_of_inputs_when_it_is_given():
    cr.Network(3, [Dense(4, inputs=3), Dense(2, inputs=4)], "squared_error")
    with pytest.raises(ValueError, match=r"layer 1, Dense\(2, inputs=5\): expects 5 inputs, but .* gives 4"):
        cr.Network(3, [Dense(4), Dense(2, inputs=5)], "squared_error")
    with pytest.raises(ValueError, match=r"layer 0, .*expects rows of numbers.*\(8, 8\)"):
        cr.Network((8, 8), [Dense(4)], "squared_error")


def test_dense_leaves_out_dx_when_nobody_wants_it():
    layer, _ = bound(Dense(2), 3, "float64")
    memo = Memo()
    memo.dx_wanted = False
    layer.forward(np.ones((2, 3)), memo)
    assert layer.backward(np.ones((2, 2)), memo) is None
    assert memo.dx is None
    np.testing.assert_array_equal(memo.db, [2, 2])


# Dropout -------------------------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_drops_the_given_share_and_keeps_the_mean(rate, dtype):
    x = np.full((400, 500), 2.0, dtype)
    y = Dropout(rate).forward(x, new_memo(0))
    n = x.size
    assert np.mean(y == 0) == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 - rate) / n))
    assert y.mean(dtype=float) == pytest.approx(2, abs=5 * 2 * math.sqrt(rate / (1 - rate) / n))
    np.testing.assert_allclose(np.unique(y), [0, 2 / (1 - rate)], rtol=1e-6)
    assert y.dtype == dtype
    kept_share = (y != 0).mean(axis=0)  # no column and no row is treated differently
    assert np.abs(kept_share - (1 - rate)).max() < 6 * math.sqrt(rate * (1 - rate) / 400)
    assert not np.array_equal(y[0], y[1]), "every sample has a mask of its own"


def test_dropout_does_nothing_in_prediction():
    x = np.random.default_rng(0).normal(size=(3, 4))
    memo = Memo(rng=np.random.default_rng(0))
    layer = Dropout(0.7)
    np.testing.assert_array_equal(layer.forward(x, memo), x)
    np.testing.assert_array_equal(layer.backward(x, memo), x)
    network = cr.Network(4, [layer, Dense(3), layer], "squared_error", seed=0, dtype="float64")
    plain = cr.Network(4, [Dense(3)], "squared_error", seed=0, dtype="float64")
    np.testing.assert_array_equal(network.predict(x), plain.predict(x))


def test_dropout_passes_gradients_through_the_mask_that_was_used():
    memo, layer = new_memo(), Dropout(0.5)
    x = np.random.default_rng(1).normal(size=(20, 30))
    y = layer.forward(x, memo)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x), memo), np.where(y == 0, 0.0, 2.0))


def test_dropout_draws_anew_for_every_batch_and_equally_for_equal_seeds():
    x, layer = np.ones((5, 20)), Dropout(0.5)
    memo = new_memo(0)
    first, second = layer.forward(x, memo).copy(), layer.forward(x, memo).copy()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, layer.forward(x, new_memo(0)))


def test_dropout_of_rate_0_keeps_everything_in_training_too():
    x = np.random.default_rng(0).normal(size=(50, 40)).astype("float32")
    memo = new_memo()
    np.testing.assert_array_equal(Dropout(0.0).forward(x, memo), x)
    np.testing.assert_array_equal(Dropout(0.0).backward(x, memo), x)


def test_dropout_in_front_of_the_first_layer_drops_inputs():
    network = cr.Network(30, [Dropout(0.5), Dense(2)], "squared_error", seed=0, dtype="float64")
    workspace = network.workspace(4, seed=0)
    x = np.random.default_rng(0).normal(size=(4, 30))
    t = np.zeros((4, 2))
    _, grad = network.loss_and_grad(x, t, workspace)
    dropped = x * workspace.memos[0].mask
    assert set(np.unique(workspace.memos[0].mask)) == {0.0, 2.0}
    error = dropped @ network.layers[1].W / 4
    expected = np.concatenate([(dropped.T @ error).ravel(), error.sum(axis=0)])
    np.testing.assert_allclose(grad, expected, rtol=1e-12, atol=1e-14)


def test_dropout_in_training_needs_randomness():
    with pytest.raises(ValueError, match=r"Dropout: training needs a random generator: Memo\(training=True, rng="):
        Dropout(0.5).forward(np.ones((2, 2)), Memo(training=True))
    with pytest.raises(
        ValueError, match=r"GaussianNoise: training needs a random generator: Memo\(training=True, rng="
    ):
        GaussianNoise(0.5).forward(np.ones((2, 2)), Memo(training=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gaussian_noise_is_normal_and_new_each_time(dtype):
    layer, memo, x = GaussianNoise(0.3), new_memo(0), np.full((1000, 50), 2.0, dtype)
    y = layer.forward(x, memo)
    noise = (y - x).ravel().astype("float64")
    assert y.dtype == dtype
    assert abs(noise.mean()) < 5 * 0.3 / math.sqrt(noise.size)
    assert noise.std() == pytest.approx(0.3, rel=5 / math.sqrt(2 * noise.size))
    for z, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (abs(noise) < 0.3 * z).mean() == pytest.approx(share, abs=0.01)
    assert not np.array_equal(y, layer.forward(x, memo))
    np.testing.assert_array_equal(y, layer.forward(x, new_memo(0)))  # the same seed
    np.testing.assert_array_equal(layer.forward(x, Memo()), x)  # nothing in prediction


def test_noise_on_inputs_is_an_l2_penalty_on_average():
    """Bishop (1995): E[L] of a linear network with squared error grows by ½ deviation² ‖W‖²."""
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(40_000, 3)), rng.normal(size=(40_000, 1))
    plain = cr.Network(3, [Dense(1)], "squared_error", seed=0, dtype="float64")
    noisy = cr.Network(3, [GaussianNoise(0.5), Dense(1)], "squared_error", seed=0, dtype="float64")
    grown = [network.loss_and_grad(X, t, network.workspace(len(X), seed=1))[0] for network in (noisy, plain)]
    expected = 0.5 * 0.25 * float((noisy.layers[1].W ** 2).sum())
    assert grown[0] - grown[1] == pytest.approx(expected, rel=0.05)


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0), "Dense: units: expected a whole number of at least 1, got 0"),
        (lambda: Dense(-3), "Dense: units: expected a whole number of at least 1, got -3"),
        (lambda: Dense(3, inputs=0), "Dense: inputs: expected a whole number of at least 1, got 0"),
        (lambda: Dense(3, weights="he_norml"), "unknown weights 'he_norml'. Did you mean 'HeNormal'"),
        (lambda: Dense(3, biases="constant"), r"biases: 'constant' has no defaults; give the object, as in Constant\("),
        (lambda: GaussianNoise(-0.1), r"GaussianNoise: deviation: expected a number .* got -0.1"),
        (lambda: GaussianNoise(math.inf), r"GaussianNoise: deviation: expected a number .* got inf"),
        (lambda: Dropout(1.0), r"Dropout: rate: expected a number in \[0, 1\), got 1.0"),
        (lambda: Dropout(-0.1), r"Dropout: rate: expected a number in \[0, 1\), got -0.1"),
        (lambda: Dropout(math.nan), r"Dropout: rate: expected a number in \[0, 1\), got nan"),
        (lambda: LeakyReLU(-0.1), r"LeakyReLU: negative_slope: expected a number in \[0, 1\], got -0.1"),
        (lambda: LeakyReLU(1.5), r"LeakyReLU: negative_slope: expected a number in \[0, 1\], got 1.5"),
        (lambda: ELU(-1.0), r"ELU: alpha: expected a number in \[0, inf\), got -1.0"),
        (lambda: ELU(math.inf), r"ELU: alpha: expected a number in \[0, inf\), got inf"),
        (lambda: GELU("exact"), "GELU: approximate: expected 'none' or 'tanh', got 'exact'"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [lambda: Dense(2.5), lambda: Dense(True), lambda: Dense("10"), lambda: Dropout("0.5")])
def test_arguments_of_the_wrong_type_are_refused(make):
    with pytest.raises(TypeError):
        make()


def test_a_class_in_place_of_an_initializer_is_refused():
    with pytest.raises(TypeError):
        Dense(3, weights=initializers.HeNormal)
