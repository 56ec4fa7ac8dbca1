"""check_layer: every shipped layer passes, and every way to break the contract is found and named."""

from __future__ import annotations

import functools
import re
import threading

import numpy as np
import pytest

import chainrule as cr
import planted
from chainrule._internal.names import public_classes
from chainrule.gradient_check import contract
from chainrule.gradient_check.samples import targets, variants
from chainrule.layers import Dense, Layer
from contract_breakers import BREAKERS, Double, KeepsANumber, Raises, Scale

SHIPPED = [layer for cls in public_classes(cr.layers, Layer).values() for layer in variants(cls)]


# ---------------------------------------------------------------- what is right passes


@pytest.mark.slow
@pytest.mark.parametrize("layer", SHIPPED, ids=repr)
def test_every_shipped_layer_is_right_with_order_two(layer):
    report = cr.check_layer(layer)
    assert report, str(report)
    assert abs(report.order - 2) < 0.1, f"{layer}: order {report.order}"
    assert report.error < 1e-7, f"{layer}: error {report.error}"
    assert report.violations == []
    assert not any("new array" in note for note in report.notes), f"{layer} does not use its planned buffers"
    assert "is correct: largest relative error" in report.verdict


@pytest.mark.parametrize("layer", [Double(), Scale()], ids=repr)
def test_a_layer_of_ones_own_is_right_and_is_told_how_to_save_memory(layer):
    report = cr.check_layer(layer)
    assert report, str(report)
    assert report.notes == [
        "y and dx are new arrays for every batch: out=memo.y and out=memo.dx would reuse the planned buffers"
    ]


class Centered(Layer):
    """Training centers by the batch, prediction by what is remembered: rows may depend on one another, but then only."""

    def forward(self, x, memo):
        memo.mean = x.mean(axis=0) if memo.training else 0.0
        return x - memo.mean

    def backward(self, dy, memo):
        return dy - dy.mean(axis=0) if memo.training else dy


def test_rows_that_depend_on_one_another_in_training_are_a_note_and_no_mistake():
    report = cr.check_layer(Centered())
    assert report, str(report)
    assert "in training, the rows of a batch depend on each other, as in batch normalization" in report.notes


class TrainingOnly(Centered):
    """Its backward takes every batch for one of training."""

    def backward(self, dy, memo):
        return dy - dy.mean(axis=0)


def test_a_gradient_that_is_wrong_in_prediction_only_is_found():
    report = cr.check_layer(TrainingOnly())
    assert not report
    assert "in prediction (memo.training is false), the dx returned by backward is not" in report.verdict


def test_columns_of_whole_numbers_stay_whole_and_their_dx_must_be_0():
    class Slope(Layer):
        """y = [w[x₀], x₁]: a table of two numbers, and a dx that takes x₀ for a number like others."""

        def integer_columns(self):
            return {0: 2}

        def parameters(self):
            fans = cr.initializers.Fans(1, 1)
            return {"w": cr.layers.Parameter((2,), cr.initializers.Zeros(), fans)}

        def forward(self, x, memo):
            memo.rows = x[:, 0].astype(int)
            assert (memo.rows == x[:, 0]).all()
            y = x.copy()
            y[:, 0] = self.w[memo.rows]
            return y

        def backward(self, dy, memo):
            memo.dw = np.bincount(memo.rows, dy[:, 0], 2).astype(dy.dtype)
            dx = dy.copy()
            dx[:, 0] = self.slope
            return dx

    Slope.slope = 0
    assert cr.check_layer(Slope()), str(cr.check_layer(Slope()))
    Slope.slope = 1
    assert "dx is off by" in cr.check_layer(Slope()).verdict


class Pool(Layer):
    """The mean over height and width: for images only."""

    def output(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError("expects images")
        return input_shape[2:]

    def forward(self, x, memo):
        memo.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy, memo):
        n, h, w, c = memo.shape
        return np.broadcast_to(dy[:, None, None, :] / (h * w), (n, h, w, c)).copy()


def test_a_layer_for_images_gets_images():
    report = cr.check_layer(Pool())
    assert report, str(report)
    assert (report.input_shape, report.output_shape) == ((6, 6, 2), (2,))
    assert cr.check_layer(Pool(), inputs=(3, 4, 1)).input_shape == (3, 4, 1)


class Log(Layer):
    def forward(self, x, memo):
        memo.x = x
        return np.log(x)

    def backward(self, dy, memo):
        return dy / memo.x


def test_a_layer_that_does_not_take_any_number_is_checked_at_given_rows():
    assert not cr.check_layer(Log())
    report = cr.check_layer(Log(), X=np.random.default_rng(0).uniform(1, 2, size=(6, 4)))
    assert report, str(report)
    assert report.parameters[0].shape == (6, 4)


def test_a_layer_of_a_network_is_checked_with_its_parameters():
    network = cr.Network(3, [Dense(4)], "squared_error", seed=0)
    network.layers[0].W[...] = np.nan
    assert not cr.check_layer(network.layers[0], 3)


def test_nothing_is_changed():
    network = cr.Network(5, [Dense(4), planted.TanhInPlace()], "squared_error", seed=0)
    before, attributes = network.theta.copy(), vars(network.layers[0]).keys()
    given = np.random.default_rng(0).normal(size=(6, 5))
    kept = given.copy()
    for layer in network.layers:
        cr.check_layer(layer, X=given)
    np.testing.assert_array_equal(network.theta, before)
    np.testing.assert_array_equal(given, kept)
    assert vars(network.layers[0]).keys() == attributes


def test_the_report_is_a_table_with_a_verdict():
    text = str(cr.check_layer(Dense(3)))
    assert text.splitlines()[0].split() == ["layer", "parameter", "shape", "numeric", "analytic", "error", "order"]
    assert [line.split()[1] for line in text.splitlines()[1:4]] == ["dx", "dW", "db"]
    assert "Dense(3) is correct" in text


def test_what_holds_a_lock_or_itself_can_be_checked():
    class Odd(Double):
        def __init__(self):
            self.lock = threading.Lock()
            self.itself = self

    assert cr.check_layer(Odd())


# ---------------------------------------------------------------- planted violations


@functools.cache
def broken(breaker):
    return cr.check_layer(breaker())


@pytest.mark.few(10)
@pytest.mark.parametrize("breaker", BREAKERS, ids=lambda cls: cls.__name__)
def test_a_broken_rule_is_found_by_name(breaker):
    rule, what = BREAKERS[breaker]
    report = broken(breaker)
    assert not report, f"{breaker.__name__}: not noticed\n{report}"
    found = [v.what for v in report.violations if v.rule == rule]
    assert any(what in said for said in found), f"{breaker.__name__}: {report.violations}"
    assert f"{breaker.__name__}() is WRONG" in report.verdict
    assert "\n" not in " ".join(v.what for v in report.violations)


def test_every_rule_has_a_layer_that_breaks_it():
    assert {rule for rule, _ in BREAKERS.values()} == {*contract.RULES, "gradient"}


class Logarithm(Layer):
    """Right, but only for positive x."""

    def forward(self, x, memo):
        memo.x = x
        with np.errstate(invalid="ignore"):
            return np.log(x)

    def backward(self, dy, memo):
        return dy / memo.x


def test_a_forward_that_is_not_defined_for_x_is_not_called_a_wrong_gradient():
    assert "L is not finite: choose x for which forward is defined" in cr.check_layer(Logarithm(), 3).verdict
    assert cr.check_layer(Logarithm(), 3, X=np.linspace(1, 2, 12).reshape(4, 3)).ok


@pytest.mark.few(6)
@pytest.mark.parametrize("breaker", [b for b, (rule, _) in BREAKERS.items() if rule != "passes"])
def test_a_broken_rule_is_not_said_in_many_ways(breaker):
    rules = {v.rule for v in broken(breaker).violations}
    assert rules <= {BREAKERS[breaker][0], "gradient", "threads"}, rules


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (planted.SigmoidOfActivated(), "dx is off by .*evaluated at y, the layer's output, instead of at x"),
        (planted.SummedWeights(3), "dW is off by .*8 times the numeric one: summed over the 8 rows, but L is a mean"),
        (planted.SoftmaxWithoutJacobian(), "it is dy, unchanged: the layer's own derivative is missing"),
        (planted.TanhInPlace(), "forward modifies x in place"),
        (planted.HalfInPlace(), "forward modifies x in place"),
        (planted.DropoutWithoutScale(), "0.6 times the numeric one: dropout's scale"),
        (planted.SigmoidWithoutDerivative(), "it is dy, unchanged"),
        (planted.NeverWritten(), "backward sets no memo.dw"),
        (planted.NotANumber(), "the analytic gradient is not finite"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Layer) else "",
)
def test_a_planted_mistake_is_found_with_its_likely_cause(layer, what):
    report = cr.check_layer(layer)
    assert not report
    assert re.search(what, report.verdict), report.verdict


def test_what_an_earlier_use_left_does_not_hide_a_mistake():
    layer = KeepsANumber()
    layer.forward(np.ones((8, 5)), cr.Memo())
    assert [v.rule for v in cr.check_layer(layer).violations] == ["state"]


def test_where_a_layer_raises_its_own_line_is_given():
    (violation,) = broken(Raises).violations
    assert "return dy * memo.never_set)" in violation.what


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cr.check_layer(Pool(), inputs=5),
            ValueError,
            r"Pool\(\) does not accept inputs of shape \(5,\): expects",
        ),
        (lambda: cr.check_layer(Dense(3), rows=1), ValueError, "rows: expected a whole number of at least 2, got 1"),
        (lambda: cr.check_layer(Dense(3), tolerance=0), ValueError, "tolerance"),
        (lambda: cr.check_layer(Dense(3), entries=0), ValueError, "entries"),
        (lambda: cr.check_layer(Dense(3), X=np.ones(4)), ValueError, r"X: expected at least 2 rows.* got shape \(4,\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


class NoShapeFits(Double):
    def output(self, input_shape):
        if input_shape != (17,):
            raise ValueError("expects 17")
        return input_shape


def test_an_unusual_shape_is_asked_for():
    with pytest.raises(
        ValueError, match=r"accepts none of the usual shapes: give the shape of a sample, as inputs=\(8,\)"
    ):
        cr.check_layer(NoShapeFits())
    assert cr.check_layer(NoShapeFits(), 17)


class Choosy(cr.Loss):
    def forward(self, y, t, memo):
        raise RuntimeError("never")

    def backward(self, t, memo):
        return t


def test_a_loss_that_takes_no_targets_says_why():
    with pytest.raises(ValueError, match="never"):
        targets(Choosy(), 4, 3, np.random.default_rng(0))
