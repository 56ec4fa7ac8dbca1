"""Losses: every public one against its formula, PyTorch and finite differences; its targets; its link."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import losses
from chainrule._internal.names import public_classes
from chainrule.layers import Dense
from chainrule.losses import (
    AbsoluteError,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
    one_hot,
)
from chainrule.memo import Memo
from variants import LOSSES, log_sigma, numbers, sigma, softmax

DTYPES = ["float32", "float64"]
quick = settings(max_examples=15, deadline=None, derandomize=True)


REGISTRY = public_classes(losses, Loss)


def cases(wanted):
    chosen = [case for case in LOSSES if wanted(case)]
    return pytest.mark.parametrize("case", chosen, ids=[f"{c.loss!r}-{c.targets.__name__}" for c in chosen])


every_case = cases(lambda case: True)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def draw(case, seed, rows, outputs=None, dtype="float64"):
    """Logits and checked targets; no error is at a kink (at 0, or at ±δ)."""
    rng = np.random.default_rng(seed)
    outputs = case.outputs if outputs is None else outputs
    t = case.loss.targets(case.targets(rng, rows, outputs), outputs, np.dtype(dtype))
    y = rng.normal(scale=2, size=(rows, outputs)).astype(dtype)
    if case.targets is numbers:
        error = y - t
        for kink in (0, getattr(case.loss, "delta", 0), -getattr(case.loss, "delta", 0)):
            y = np.where(np.abs(error - kink) < 1e-2, y + 3e-2, y)
    return y.astype(dtype), t


def rows_of(f, y, t):
    return [f(a, b) for a, b in zip(y.tolist(), t.tolist(), strict=True)]


def test_every_public_loss_has_a_case_here():
    missing = set(REGISTRY) - {type(case.loss).__name__ for case in LOSSES}
    assert not missing, f"add {sorted(missing)} to LOSSES in this file: a loss without a case is untested"
    untested = set(REGISTRY) - set(LINKS)
    assert not untested, f"add {sorted(untested)} to LINKS in this file: what do its logits stand for?"


# Values and gradients ------------------------------------------------------------------------------------------------


@every_case
@quick
@given(rows=st.integers(1, 6), outputs=st.integers(2, 5), seed=st.integers(0, 2**31), dtype=st.sampled_from(DTYPES))
def test_values_and_gradients_equal_the_formula(case, rows, outputs, seed, dtype):
    y, t = draw(case, seed, rows, outputs, dtype)
    memo = Memo()
    values, dy = case.loss.forward(y, t, memo), case.loss.backward(t, memo)
    rtol, atol = (1e-12, 1e-13) if dtype == "float64" else (2e-6, 1e-6)
    np.testing.assert_allclose(values, rows_of(case.value, y, t), rtol=rtol, atol=atol, err_msg=f"{case.loss}")
    np.testing.assert_allclose(dy, rows_of(case.slope, y, t), rtol=rtol, atol=atol, err_msg=f"{case.loss}: dy")
    assert values.dtype == dy.dtype == dtype
    weights = np.random.default_rng(seed).uniform(0.1, 2, rows)
    expected = np.average(rows_of(case.value, y, t), weights=weights)
    assert case.loss.value(y, t, weights) == pytest.approx(expected, rel=rtol, abs=atol)
    assert case.loss.value(y, t) == pytest.approx(np.mean(rows_of(case.value, y, t)), rel=rtol, abs=atol)


@every_case
def test_gradients_equal_central_differences(case):
    for rows in (1, 4):
        y, t = draw(case, 3, rows)
        memo = Memo()
        case.loss.forward(y, t, memo)
        dy = case.loss.backward(t, memo).copy()
        for n, k in np.ndindex(y.shape):
            h = np.zeros_like(y)
            h[n, k] = 1e-6
            expected = (case.loss.forward(y + h, t, Memo()) - case.loss.forward(y - h, t, Memo())) / 2e-6
            assert dy[n, k] == pytest.approx(expected[n], rel=1e-6, abs=1e-8), f"{case.loss}: sample {n}, output {k}"
            np.testing.assert_allclose(np.delete(expected, n), 0, atol=1e-12, err_msg="samples are independent")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@cases(lambda case: case.torch is not None)
def test_loss_and_grad_of_a_network_equals_pytorch(case, weighted):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    network = cr.Network(4, [Dense(case.outputs, biases="normal")], case.loss, seed=2, dtype="float64")
    x = rng.normal(size=(9, 4))
    _, t = draw(case, 7, 9)
    weight = rng.uniform(0, 3, 9) if weighted else None
    value, grad = network.loss_and_grad(x, t, sample_weight=weight)

    W = torch.tensor(network.layers[0].W, requires_grad=True)
    b = torch.tensor(network.layers[0].b, requires_grad=True)
    y = torch.tensor(x) @ W + b
    each = case.torch(torch.nn.functional, y, torch.tensor(t), case.outputs)
    w = torch.tensor(np.ones(9) if weight is None else weight)
    expected = (w * each).sum() / w.sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(grad, np.concatenate([W.grad.numpy().ravel(), b.grad]), rtol=1e-10, atol=1e-13)


def test_the_documented_factors_to_pytorch_hold():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(2, 5, 3))
    yt, tt = torch.tensor(y), torch.tensor(t)
    assert SquaredError().value(y, t) == pytest.approx(3 / 2 * torch.nn.MSELoss()(yt, tt).item(), rel=1e-14)
    assert AbsoluteError().value(y, t) == pytest.approx(3 * torch.nn.L1Loss()(yt, tt).item(), rel=1e-14)
    assert Huber(0.5).value(y, t) == pytest.approx(3 * torch.nn.HuberLoss(delta=0.5)(yt, tt).item(), rel=1e-13)
    smooth = torch.nn.SmoothL1Loss(beta=0.5)(yt, tt).item()
    assert Huber(0.5).value(y, t) == pytest.approx(3 * 0.5 * smooth, rel=1e-13)
    p = rng.uniform(size=(5, 3))
    bce = torch.nn.BCEWithLogitsLoss()(yt, torch.tensor(p)).item()
    assert SigmoidCrossEntropy().value(y, p) == pytest.approx(3 * bce, rel=1e-13)
    k = rng.integers(0, 3, 5)
    ce = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(yt, torch.tensor(k)).item()
    assert SoftmaxCrossEntropy(0.2).value(y, k) == pytest.approx(ce, rel=1e-13)


@every_case
def test_an_integer_weight_is_a_repeated_row(case):
    rng = np.random.default_rng(1)
    network = cr.Network(4, [Dense(5), cr.layers.Tanh(), Dense(case.outputs)], case.loss, seed=2, dtype="float64")
    x = rng.normal(size=(6, 4))
    y, t = draw(case, 11, 6)
    weight = np.array([1, 3, 0, 2, 1, 4])
    value, grad = network.loss_and_grad(x, t, sample_weight=weight)
    repeated = np.repeat(x, weight, axis=0), np.repeat(t, weight, axis=0)
    value_repeated, grad_repeated = network.loss_and_grad(*repeated)
    assert value == pytest.approx(value_repeated, rel=1e-12)
    np.testing.assert_allclose(grad, grad_repeated, rtol=1e-11, atol=1e-14)
    expected = case.loss.value(np.repeat(y, weight, axis=0), repeated[1])
    assert case.loss.value(y, t, weight) == pytest.approx(expected, rel=1e-12)


@every_dtype
@every_case
def test_planned_buffers_give_what_fresh_memory_gives_also_for_short_batches(case, dtype):
    network = cr.Network(2, [Dense(case.outputs)], case.loss, seed=0, dtype=dtype)
    workspace = network.workspace(6)
    for turn, rows in enumerate((6, 2, 1, 6, 5)):
        y, t = draw(case, turn, rows, dtype=dtype)
        before = y.copy(), t.copy()
        y.flags.writeable = t.flags.writeable = False
        workspace.resize(rows)
        results = []
        for memo in (workspace.loss_memo, Memo()):
            with np.errstate(all="raise", under="ignore"):
                values = case.loss.forward(y, t, memo).copy()
                results.append((values, case.loss.backward(t, memo).copy()))
        for what, a, b in zip(("value", "dy"), *results, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{case.loss}: {what} of batch {turn}, {rows} rows")
            assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(y, before[0])
        np.testing.assert_array_equal(t, before[1])
        planned = case.loss.buffers(case.outputs)
        for name, buffer in ((name, getattr(workspace.loss_memo, name)) for name in planned):
            assert buffer.dtype == dtype, f"{case.loss}: memo.{name} left {dtype}"
            assert len(buffer) == rows, f"{case.loss}: memo.{name} was replaced by an array of another size"


# Extremes ------------------------------------------------------------------------------------------------------------

HUGE = [-1e4, -710.0, -89.0, -30.0, -0.0, 0.0, 1e-30, 8.0, 30.0, 89.0, 710.0, 1e4]


@every_dtype
@every_case
def test_extreme_logits_give_the_right_values_without_a_warning(case, dtype):
    pairs = [(a, b) for a in HUGE for b in HUGE]
    if isinstance(case.loss, Poisson):
        pairs = [(a, b) for a, b in pairs if max(a, b) < 80]  # e^y must fit: infinite is infinite
    y = np.array([(a, b, 0.0) for a, b in pairs], dtype)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        t = case.loss.targets(case.targets(rng, len(y), 3), 3, np.dtype(dtype))
        memo = Memo()
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            values, dy = case.loss.forward(y, t, memo), case.loss.backward(t, memo)
        rtol, atol = (2e-6, 3e-7) if dtype == "float32" else (1e-13, 1e-14)
        scale = 30 if isinstance(case.loss, SquaredError | Huber | Poisson) else 1  # e^y − t y ..., large terms
        expected = np.array(rows_of(case.value, y, t))
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol * scale, err_msg=f"{case.loss}")
        slopes = rows_of(case.slope, y, t)
        np.testing.assert_allclose(dy, slopes, rtol=rtol, atol=atol * scale, err_msg=f"{case.loss}: dy")


@pytest.mark.parametrize("y", [-12.0, -3.0, 5.0, 9.0, 12.0, 15.0, 100.0])
def test_a_confident_and_right_answer_has_a_small_loss_with_right_digits(y):
    """−log σ(y) = log(1 + e^−y): to subtract two large numbers in float32 would leave none of its digits."""
    for t in (0.0, 1.0):
        expected = -(t * log_sigma(y) + (1 - t) * log_sigma(-y))
        value = SigmoidCrossEntropy().value(np.array([[y]], "float32"), np.array([[t]], "float32"))
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-42), f"y = {y}, t = {t}"


def test_a_poisson_rate_that_does_not_fit_ends_training_with_a_sentence():
    network = cr.Network(1, [Dense(1, weights=cr.initializers.Constant(1e4))], Poisson(), seed=0)
    with pytest.raises(cr.DivergenceError, match="the loss is inf in epoch 1, batch 1"):
        cr.train(network, [[1.0], [1.0]], [1.0, 2.0], epochs=1)
    with np.errstate(over="raise"):
        assert np.isfinite(network.predict([[1.0]])).all()


# Links ---------------------------------------------------------------------------------------------------------------

LINKS = {
    "SquaredError": lambda y: y,
    "AbsoluteError": lambda y: y,
    "Huber": lambda y: y,
    "Quantile": lambda y: y,
    "Poisson": lambda y: [math.exp(v) for v in y],
    "SigmoidCrossEntropy": lambda y: [sigma(v) for v in y],
    "SoftmaxCrossEntropy": softmax,
}


@every_dtype
@every_case
def test_the_link_turns_logits_into_predictions(case, dtype):
    largest = 80.0 if isinstance(case.loss, Poisson) else 1e4
    y = np.array([[0.0, 1.0, -2.0], [-1e4, largest, 0.5], [-89.0, 3.0, -0.0]], dtype)
    y.flags.writeable = False
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        p = case.loss.inverse_link(y)
    expected = [LINKS[type(case.loss).__name__](row) for row in y.tolist()]
    np.testing.assert_allclose(p, expected, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-37)
    assert p.dtype == dtype
    network = cr.Network(3, [cr.layers.Identity()], case.loss, dtype=dtype)
    np.testing.assert_array_equal(network.predict(y), p)
    if isinstance(case.loss, SoftmaxCrossEntropy):
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def is_canonical(case):
    if getattr(case.loss, "label_smoothing", 0):
        return False
    return isinstance(case.loss, SquaredError | Poisson | SigmoidCrossEntropy | SoftmaxCrossEntropy)


@cases(is_canonical)
def test_the_gradient_is_prediction_minus_target_where_link_and_loss_belong_together(case):
    y, t = draw(case, 0, 5)
    memo = Memo()
    case.loss.forward(y, t, memo)
    target = one_hot(t, 3, "float64") if t.ndim == 1 else t
    np.testing.assert_allclose(case.loss.backward(t, memo), case.loss.inverse_link(y) - target, rtol=1e-12, atol=1e-14)


# Targets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs", "t", "message"),
    [
        (SquaredError(), 2, [1.0, 2.0], r"t: expected targets of shape \(rows, 2\) for SquaredError, got shape \(2,\)"),
        (SquaredError(), 2, np.zeros((3, 1)), r"got shape \(3, 1\)\. The last layer has 2 unit\(s\)"),
        (Huber(), 1, np.zeros((3, 2)), r"expected targets of shape \(rows, 1\) for Huber, got shape \(3, 2\)"),
        (SquaredError(), 1, [1.0, math.nan], "t: expected finite numbers, got nan in row 1"),
        (Quantile(0.1), 1, [math.inf, 1.0], "t: expected finite numbers, got inf in row 0"),
        (AbsoluteError(), 1, [1e300], "the value 1e.300 in row 0, column 0 overflows float32"),
        (SquaredError(), 1, [[1.0], [1.0, 2.0]], "t: expected a rectangular array of numbers"),
        (Poisson(), 1, [1, 0, -2], "t: Poisson expects counts of at least 0, got -2.0 in row 2"),
        (SigmoidCrossEntropy(), 1, [0, 2, 1], r"SigmoidCrossEntropy expects 0, 1 or between, got \[2.0\] in row 1"),
        (SigmoidCrossEntropy(), 1, [1, -1], r"got \[-1.0\] in row 1.* −1 and 1 become \(t \+ 1\) / 2"),
        (SoftmaxCrossEntropy(), 1, [0, 0], r"at least 2 units, got 1: use Dense\(2\), or SigmoidCrossEntropy"),
        (
            SoftmaxCrossEntropy(),
            3,
            [0, 3, 1],
            r"labels from 0 to 2 \(3 outputs\), got 3 in row 1\. Do the labels start",
        ),
        (SoftmaxCrossEntropy(), 3, [0, 1, -1], r"labels from 0 to 2 \(3 outputs\), got -1 in row 2"),
        (SoftmaxCrossEntropy(), 3, [0.0, 1.5], "t: expected whole numbers as class labels, got 1.5 in row 1"),
        (SoftmaxCrossEntropy(), 3, [0.0, math.nan], "t: expected finite numbers, got nan in row 1"),
        (SoftmaxCrossEntropy(), 3, [0.0, 1e300], "labels from 0 to 2"),
        (SoftmaxCrossEntropy(), 2, [[0.5, 0.5], [0.5, 0.6]], "probabilities, .* that sum to 1, got .* in row 1"),
        (SoftmaxCrossEntropy(), 2, [[1.5, -0.5]], "probabilities, rows of numbers of at least 0"),
        (SoftmaxCrossEntropy(), 3, np.zeros((2, 2)), r"expected targets of shape \(rows, 3\)"),
        (SoftmaxCrossEntropy(), 3, np.zeros((2, 3, 1)), r"expected targets of shape \(rows, 3\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, outputs, t, message):
    with pytest.raises(ValueError, match=message):
        loss.targets(t, outputs, np.dtype("float32"))


@pytest.mark.parametrize("t", [["cat", "dog"], [None, 1], np.array([1, 2], object), np.array([1j, 2])], ids=repr)
@pytest.mark.parametrize("loss", [SquaredError(), SoftmaxCrossEntropy(), SigmoidCrossEntropy()], ids=repr)
def test_targets_that_are_no_numbers_are_refused(loss, t):
    with pytest.raises(TypeError, match=r"t: expected numbers, got an array of dtype .*Encode text"):
        loss.targets(t, 2, np.dtype("float32"))


def test_targets_are_taken_in_many_forms():
    float32 = np.dtype("float32")
    for t in ([0, 2, 1], np.array([0, 2, 1], "uint8"), np.array([0.0, 2.0, 1.0])):
        checked = SoftmaxCrossEntropy().targets(t, 3, float32)
        assert checked.tolist() == [0, 2, 1]
        assert checked.dtype.kind == "i"
    assert SoftmaxCrossEntropy().targets([True, False], 2, float32).tolist() == [1, 0]
    for loss in (SquaredError(), SigmoidCrossEntropy(), Poisson()):
        for t in ([1, 0], [[1], [0]], np.array([True, False])):
            checked = loss.targets(t, 1, float32)
            assert checked.tolist() == [[1], [0]]
            assert checked.dtype == np.float32
    t = np.zeros((4, 2), "float32")
    assert SquaredError().targets(t, 2, float32) is t, "targets that fit are not copied"


def test_rounded_probabilities_are_made_to_sum_to_1_so_that_value_and_gradient_agree():
    loss, given = SoftmaxCrossEntropy(), np.array([[0.333, 0.333, 0.333], [0.5, 0.25, 0.25]])
    kept = given.copy()
    t = loss.targets(given, 3, np.dtype("float64"))
    np.testing.assert_allclose(t, [[1 / 3] * 3, [0.5, 0.25, 0.25]], rtol=1e-15)
    np.testing.assert_array_equal(given, kept, err_msg="the caller's array stays as it is")
    memo, y = Memo(), np.array([[1.0, 2.0, 4.0], [0.0, 1.0, -1.0]])
    loss.forward(y, t, memo)
    np.testing.assert_allclose(loss.backward(t, memo).sum(axis=1), 0, atol=1e-15)
    exact = np.array([[0.0, 1.0], [0.5, 0.5]], "float32")
    assert loss.targets(exact, 2, np.dtype("float32")) is exact, "targets that fit are not copied"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SquaredError().value([1.0, 2.0], [1.0, 2.0]), r"y: expected .*\(rows, outputs\), got shape \(2,\)"),
        (
            lambda: SquaredError().value([[1.0], [2.0]], [[1.0]]),
            "y and t: expected the same number of rows, got 2 and 1",
        ),
        (
            lambda: SquaredError().value([[1.0], [2.0]], [1.0, 2.0], [1.0]),
            "y and sample_weight: expected the same number of rows, got 2 and 1",
        ),
        (lambda: SquaredError().value([[1.0]], [1.0], [0.0]), "sample_weight: .* not all zero, got zeros only"),
        (lambda: SquaredError().value([[1.0], [1.0]], [1.0, 1.0], [2.0, -1.0]), "sample_weight: .* a negative number"),
    ],
)
def test_value_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_value_takes_lists_and_integers():
    assert SquaredError().value([[3], [5]], [1, 1]) == 5.0
    assert SquaredError().value([[3], [5]], [1, 1], [3, 1]) == 3.5


# one_hot, arguments and losses of one's own --------------------------------------------------------------------------


def test_one_hot_is_1_at_the_label():
    rows = one_hot([2, 0, 1, 2], 4)
    assert rows.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert rows.dtype == np.float32
    assert one_hot(np.array([1.0, 0.0]), 2, dtype="float64").dtype == np.float64
    assert one_hot([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("t", "classes", "message"),
    [
        ([0, 3], 3, "labels from 0 to 2 .* got 3 in row 1"),
        ([-1, 0], 3, "labels from 0 to 2 .* got -1 in row 0"),
        ([0.5], 3, "whole numbers as class labels, got 0.5 in row 0"),
        ([[0], [1]], 3, r"one label per row, shape \(rows,\), got shape \(2, 1\)\. Flatten it: t.ravel\(\)"),
        ([0], 0, "one_hot: classes: expected a whole number of at least 1, got 0"),
    ],
)
def test_one_hot_refuses_what_is_no_label(t, classes, message):
    with pytest.raises(ValueError, match=message):
        one_hot(t, classes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(0.0), r"Huber: delta: expected a number in \(0, inf\), got 0.0"),
        (lambda: Huber(math.nan), "Huber: delta: .* got nan"),
        (lambda: Quantile(0.0), r"Quantile: quantile: expected a number in \(0, 1\), got 0.0"),
        (lambda: Quantile(1.0), r"Quantile: quantile: expected a number in \(0, 1\), got 1.0"),
        (lambda: SoftmaxCrossEntropy(1.0), r"label_smoothing: expected a number in \[0, 1\), got 1.0"),
        (lambda: SoftmaxCrossEntropy(-0.1), r"label_smoothing: expected a number in \[0, 1\), got -0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_numbers_as_arguments_do_not_change_the_dtype():
    """A float64 scalar of NumPy turns float32 arrays into float64; a Python float does not."""
    y, t = np.array([[1.0, 2.0]], "float32"), np.array([[0.0, 5.0]], "float32")
    for loss in (Huber(np.float64(0.5)), Quantile(np.float64(0.5)), SquaredError()):
        memo = Memo()
        assert loss.forward(y, t, memo).dtype == np.float32, f"{loss}"
        assert loss.backward(t, memo).dtype == np.float32, f"{loss}"


def test_a_loss_of_ones_own_is_forward_and_backward():
    class LogCosh(Loss):
        def forward(self, y, t, memo):
            memo.error = y - t
            return np.log(np.cosh(memo.error)).sum(axis=1)

        def backward(self, t, memo):
            return np.tanh(memo.error)

    network = cr.Network(2, [Dense(3)], LogCosh(), seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    value, grad = network.loss_and_grad(x, t)
    direction = rng.normal(size=grad.size)
    theta = network.theta.copy()
    ends = []
    for h in (1e-6, -1e-6):
        network.theta[:] = theta + h * direction
        ends.append(network.loss_and_grad(x, t)[0])
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(grad @ direction, rel=1e-7)
    assert value == pytest.approx(sum(ends) / 2, rel=1e-9)


# ---------------------------------------------------------------- custom losses and their targets


class CrossEntropy(cr.Loss):
    """As one would write it: integer labels pick the probability of their class."""

    def forward(self, y, t, memo):
        e = np.exp(y - y.max(axis=1, keepdims=True))
        memo.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(memo.p[np.arange(len(t)), t])

    def backward(self, t, memo):
        dy = memo.p.copy()
        dy[np.arange(len(t)), t] -= 1
        return dy

    def inverse_link(self, y):
        return cr.losses.SoftmaxCrossEntropy().inverse_link(y)


class OneHotCrossEntropy(CrossEntropy):
    def targets(self, t, outputs, dtype):
        return t if np.ndim(t) == 2 else cr.one_hot(t, outputs, dtype)

    def forward(self, y, t, memo):
        super().forward(y, t.argmax(axis=1), memo)
        return -(t * np.log(memo.p)).sum(axis=1)

    def backward(self, t, memo):
        return memo.p - t


@pytest.mark.parametrize("loss", [CrossEntropy(), OneHotCrossEntropy()], ids=repr)
def test_a_custom_cross_entropy_takes_labels_and_trains_as_ours_does(loss):
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    found = []
    for chosen in (loss, "softmax_cross_entropy"):
        network = cr.Network(
            3, [cr.layers.Dense(4), cr.layers.Tanh(), cr.layers.Dense(3)], chosen, seed=0, dtype="float64"
        )
        history = cr.train(network, X, labels, epochs=3, batch_size=8, validation=0.2, seed=0)
        assert cr.check_gradient(network, X, labels)
        found.append((history["loss"], history["val_loss"]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_labels_are_checked_and_only_where_they_are_labels():
    dtype = np.dtype("float64")
    with pytest.raises(ValueError, match="expected labels from 0 to 2"):
        CrossEntropy().targets([0, 3], 3, dtype)
    assert CrossEntropy().targets([0, 2], 3, dtype).dtype.kind == "i"
    assert CrossEntropy().targets([0, 2], 1, dtype).shape == (2, 1)  # one output: numbers
    for loss in (cr.losses.SquaredError(), cr.losses.Huber(), cr.losses.SigmoidCrossEntropy()):
        with pytest.raises(ValueError, match=r"expected targets of shape \(rows, 3\)"):
            loss.targets([0, 1], 3, dtype)
