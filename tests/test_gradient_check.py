"""The gradient check finds every mistake that from-scratch tutorials make, says where, and raises no false alarm."""

import math

import numpy as np
import pytest

import chainrule as cr
import variants
from chainrule import layers, losses
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from chainrule.penalties import L1, L2, MaxNorm
from planted import (
    DropoutWithoutScale,
    ForgottenL2,
    HalfInPlace,
    L2OnBiases,
    LossWithoutHalf,
    NeverWritten,
    NotANumber,
    SigmoidOfActivated,
    SigmoidWithoutDerivative,
    SoftmaxWithoutJacobian,
    SummedWeights,
    TanhInPlace,
)

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 5))
LABELS = np.arange(12) % 3
NUMBERS = RNG.normal(size=(12, 3))
TARGETS = {type(loss).__name__: variants.targets(loss, RNG, 12, 3) for loss in variants.every_loss()}


def network(*stack, loss="softmax_cross_entropy", **options):
    return cr.Network(5, stack, loss, seed=0, **options)


# ---------------------------------------------------------------- what is right passes


@pytest.mark.few(3)
@pytest.mark.parametrize("name", sorted(public_classes(losses, losses.Loss)))
def test_every_loss_is_right_with_order_two(name):
    report = cr.check_gradient(network(Dense(7), Tanh(), Dense(3), loss=name), X, TARGETS[name])
    assert report, str(report)
    assert abs(report.order - 2) < 0.1, f"{name}: order {report.order}"
    assert report.error < 1e-7, f"{name}: error {report.error}"


@pytest.mark.few(3)
@pytest.mark.parametrize("name", public_classes(layers, layers.Activation))
def test_every_activation_is_right_with_order_two(name):
    stack = Dropout(0.2), Dense(7), getattr(layers, name)(), Dropout(0.4), Dense(3)
    report = cr.check_gradient(network(*stack), X, LABELS, penalties=[L2(0.1)])
    assert report, str(report)
    assert abs(report.order - 2) < 0.1, f"{name}: order {report.order}"
    assert report.error < 1e-7, f"{name}: error {report.error}"


@pytest.mark.slow
@pytest.mark.parametrize("inside", [False, True])
def test_a_mistake_behind_an_embedding_or_inside_of_a_residual_is_found_there(inside):
    x = X[:, :3].copy()
    x[:, 1] = np.arange(12) % 4  # categories, which the search must not move
    wrong = [layers.Residual([layers.BatchNorm(), Dense(4), SigmoidWithoutDerivative()])]
    wrong = wrong if inside else [SigmoidWithoutDerivative(), layers.Residual([Dense(4), Tanh()])]
    stack = [layers.Embedding([4], 2, columns=[1]), Dense(4), *wrong, Dense(3)]
    report = cr.check_gradient(cr.Network(3, stack, "softmax_cross_entropy", seed=0), x, LABELS)
    assert not report
    assert all(suspect.startswith("layer 2, ") for suspect in report.suspects), report.suspects
    assert any("the dx returned by backward" in suspect for suspect in report.suspects)


def test_weights_smoothing_penalties_and_every_entry():
    loss = losses.SoftmaxCrossEntropy(label_smoothing=0.1)
    report = cr.check_gradient(
        network(Dense(4), Tanh(), Dense(3), loss=loss),
        X,
        LABELS,
        penalties=[L1(0.01), L2(0.1, layers=-1, biases=True), MaxNorm(1.0)],
        sample_weight=RNG.random(12),
        entries=None,
    )
    assert report, str(report)
    assert [p.checked for p in report.parameters] == [20, 4, 12, 3]
    assert all(p.numeric_norm > 0 for p in report.parameters)


def test_the_network_and_the_batch_are_left_as_they_were():
    checked, x = network(Dense(4), Dropout(0.5), Dense(3)), X.copy()
    before = checked.theta.copy()
    cr.check_gradient(checked, x, LABELS)
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked.theta, before)
    np.testing.assert_array_equal(x, X)


def test_the_order_is_two_inside_every_parameter():
    report = cr.check_gradient(network(Dense(7), Tanh(), Dense(3)), X, LABELS)
    assert [round(p.order, 1) for p in report.parameters] == [2.0] * 4
    summed = cr.check_gradient(network(Dense(4), Tanh(), SummedWeights(3)), X, LABELS)
    assert [round(p.order) for p in summed.parameters] == [2, 2, 1, 2]  # only where the gradient is wrong
    linear = cr.check_gradient(network(Dense(3), loss="quantile"), X, NUMBERS)
    assert all(math.isnan(p.order) for p in linear.parameters), "no remainder, no order"


def test_a_narrow_table_leaves_out_shapes_and_shortens_names():
    report = cr.check_gradient(network(Dense(40, weights="he_normal"), Tanh(), Dense(3)), X, LABELS)
    assert max(map(len, report.table().splitlines())) > 80
    for width in (80, 70):
        assert max(map(len, report.table(width).splitlines())) <= width
    assert "…" in report.table(70)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ValueError, match="has no parameters"):
        cr.check_gradient(network(Tanh()), X, X)


def test_the_report_is_a_table_with_a_verdict():
    text = str(cr.check_gradient(network(Dense(4), Tanh(), Dense(3)), X, LABELS))
    assert "0  Dense(4)  dW         (5, 4)" in text
    assert "The gradient is correct" in text
    assert "shrinks like h^2.0" in text


# ---------------------------------------------------------------- kinks are recognised, not reported


def test_relu_at_exactly_zero_is_a_kink_and_no_mistake():
    report = cr.check_gradient(network(Dense(6), ReLU(), Dense(3)), np.zeros((4, 5)), [0, 1, 2, 0])
    assert report, str(report)
    assert report.kinks > 0
    assert "at kinks" in report.verdict


@pytest.mark.slow
def test_one_row_of_zeros_among_others():
    x = X.copy()
    x[3] = 0
    for layer in (ReLU(), LeakyReLU(0.1), layers.HardSigmoid()):
        assert cr.check_gradient(network(Dense(6), layer, Dense(3)), x, LABELS), layer


def test_absolute_error_at_its_minimum_and_l1_at_zero_are_kinks():
    flat = network(Dense(3, weights="zeros"), loss="absolute_error")
    report = cr.check_gradient(flat, X, np.zeros((12, 3)), penalties=[L1(0.3)])
    assert report, str(report)
    assert report.kinks > 0


def test_a_symmetric_kink_of_a_linear_loss_is_no_mistake():
    """L1 on zero biases beside a loss that is linear: central differences cancel the kink, one-sided ones do not."""
    linear = network(Dense(3), loss="quantile")
    report = cr.check_gradient(linear, X, NUMBERS, penalties=[L1(0.5, biases=True)])
    assert report, str(report)
    assert report.kinks > 0
    assert math.isnan(report.order)


def test_many_units_near_their_kinks():
    wide = network(Dense(100), ReLU(), Dense(100), ReLU(), Dense(3))
    report = cr.check_gradient(wide, RNG.normal(size=(60, 5)), np.arange(60) % 3)
    assert report, str(report)


@pytest.mark.slow
def test_a_kink_does_not_hide_a_mistake():
    x = X.copy()
    x[3] = 0
    assert not cr.check_gradient(network(Dense(6), ReLU(), SigmoidOfActivated(), Dense(3)), x, LABELS)


class TiedMaximum(Layer):
    """The largest number of a row, whose gradient goes to every tie."""

    def output(self, input_shape):
        return (1,)

    def forward(self, x, memo):
        memo.largest = x == x.max(axis=1, keepdims=True)
        return x.max(axis=1, keepdims=True)

    def backward(self, dy, memo):
        return dy * memo.largest


def test_where_every_entry_lies_on_a_kink_nothing_is_called_right():
    """A maximum of ties: the numeric and the analytic slope differ, and there is nothing to compare."""
    report = cr.check_layer(TiedMaximum(), X=np.ones((4, 3)))
    assert not report
    assert report.violations == []
    assert "is correct" not in report.verdict
    assert "TiedMaximum() cannot be checked:\n  every sampled entry of dx lies on a kink" in report.verdict
    assert report.parameters[0].state == "not checked: kinks"
    assert report.parameters[0].numeric_norm == report.parameters[0].analytic_norm == 0.0  # not 0.33 beside 0.66
    apart = cr.check_layer(TiedMaximum(), X=RNG.normal(size=(4, 3)))
    assert apart, str(apart)


def test_a_parameter_of_which_all_lies_on_kinks_is_said_to_be_unchecked():
    report = cr.check_gradient(network(Dense(6), ReLU(), Dense(3)), np.zeros((4, 5)), [0, 1, 2, 0])
    assert [p.unchecked for p in report.parameters] == [False, True, False, False]
    assert "The gradient is correct where it was checked" in report.verdict
    assert "Not checked: layer 0, Dense(6): db (all sampled entries lie on a kink)." in report.verdict


# ---------------------------------------------------------------- passes that do not run


class Fails(Layer):
    def __init__(self, where, error):
        self.where, self.error = where, error

    def forward(self, x, memo):
        if self.where == "forward":
            raise self.error
        return x

    def backward(self, dy, memo):
        if self.where == "backward":
            raise self.error
        return None if self.where == "None" else dy[:, :-1] if self.where == "shape" else dy


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Fails("forward", TypeError("no")), "layer 1, Fails(): forward raises TypeError: no (line"),
        (Fails("backward", KeyError("W")), "layer 1, Fails(): backward raises KeyError: 'W' (line"),
        (Fails("None", None), "layer 1, Fails(): backward returns None, but x has shape (12, 4)"),
        (Fails("shape", None), "layer 1, Fails(): backward returns shape (12, 3), but x has shape (12, 4)"),
    ],
)
def test_no_exception_escapes_and_the_layer_is_named(layer, said):
    net = network(Dense(4), layer, Dense(3))
    report = cr.check_gradient(net, X, LABELS)
    assert not report
    assert said in report.suspects[0]
    assert report.verdict.startswith("The gradient is WRONG, it cannot be computed:\n  layer 1, Fails(): ")
    with pytest.raises(ValueError, match=r"^trace: in prediction, .*layer 1, Fails\(\): "):
        cr.trace(net, X[0], 1)
    assert not cr.check_layer(layer)


def test_what_is_not_implemented_yet_is_not_called_wrong():
    layer = Fails("backward", NotImplementedError())
    for report in (cr.check_gradient(network(Dense(4), layer, Dense(3)), X, LABELS), cr.check_layer(layer)):
        assert not report
        assert "WRONG" not in report.verdict
        assert "cannot be checked:\n  " in report.verdict
        assert "backward is not implemented yet (line" in report.verdict
        assert len(report.unchecked) == 1
    with pytest.raises(ValueError, match="backward is not implemented yet"):
        cr.trace(network(Dense(4), layer, Dense(3)), X[0], 1)


class TutorialDropout(Layer):
    def forward(self, x, memo):
        if not memo.training:
            return x
        memo.mask = (memo.rng.random(x.shape) < 0.5) / 0.5
        return x * memo.mask

    def backward(self, dy, memo):
        return dy * memo.mask


def test_the_dropout_of_tutorials_in_a_network_and_in_a_trace():
    """It trains and its gradient is right; only a backward in prediction has no mask, and that is said, not raised."""
    with pytest.raises(ValueError, match="forward returns float64 for float32 x"):
        cr.trace(network(Dense(4), TutorialDropout(), Dense(3)), X[0], 1, training=True)
    net = network(Dense(4), TutorialDropout(), Dense(3), dtype="float64")
    assert cr.check_gradient(net, X, LABELS)
    assert len(cr.trace(net, X[0], 1, training=True).steps) > 0
    with pytest.raises(ValueError, match=r"layer 1, TutorialDropout\(\): backward raises TypeError.*check_layer says"):
        cr.trace(net, X[0], 1)


class LossOfOneNumber(cr.Loss):
    def forward(self, y, t, memo):
        memo.error = y - t
        return np.mean(memo.error**2)

    def backward(self, t, memo):
        return memo.error


def test_a_loss_that_returns_the_mean_is_told_to_return_each_row():
    report = cr.check_gradient(network(Dense(3), loss=LossOfOneNumber()), X, NUMBERS)
    assert report.suspects == [
        "LossOfOneNumber(): forward returns shape (), but must return the loss of each row, not their mean: shape (12,)"
    ]


# ---------------------------------------------------------------- planted mistakes


PLANTED = {
    "sigmoid's derivative of an activated value": (
        network(Dense(4), SigmoidOfActivated(), Dense(3)),
        LABELS,
        [],
        "layer 1, SigmoidOfActivated(): the dx returned by backward is not the derivative of forward",
    ),
    "weights summed, biases averaged": (
        network(Dense(4), Tanh(), SummedWeights(3)),
        LABELS,
        [],
        "layer 2, SummedWeights(): the dW set by backward is not the derivative of forward",
    ),
    "softmax without its Jacobian": (
        network(Dense(4), Tanh(), Dense(3), SoftmaxWithoutJacobian(), loss="squared_error"),
        NUMBERS,
        [],
        "layer 3, SoftmaxWithoutJacobian(): the dx returned by backward",
    ),
    "activation overwrites its own input": (
        network(Dense(4), TanhInPlace(), Dense(3)),
        LABELS,
        [],
        "layer 1, TanhInPlace(): forward modifies its input in place",
    ),
    "activation overwrites its neighbour's output": (
        network(Dense(4), Tanh(), HalfInPlace(), Dense(3)),
        LABELS,
        [],
        "layer 2, HalfInPlace(): forward modifies its input in place",
    ),
    "penalty's gradient forgotten": (
        network(Dense(4), Tanh(), Dense(3)),
        LABELS,
        [ForgottenL2()],
        "ForgottenL2(): add_gradient is not the derivative of value, for layers.0.W",
    ),
    "penalty's gradient added for biases": (
        network(Dense(4, biases="normal"), Tanh(), Dense(3, biases="normal")),
        LABELS,
        [L2OnBiases()],
        "L2OnBiases(): add_gradient is not the derivative of value, for layers.0.b",
    ),
    "dropout's scale missing in backward": (
        network(Dense(4), DropoutWithoutScale(), Dense(3)),
        LABELS,
        [],
        "layer 1, DropoutWithoutScale(): the dx returned by backward",
    ),
    "last activation's derivative missing": (
        network(Dense(4), Tanh(), Dense(3), SigmoidWithoutDerivative(), loss="squared_error"),
        NUMBERS,
        [],
        "layer 3, SigmoidWithoutDerivative(): the dx returned by backward",
    ),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found_and_named(mistake):
    planted, t, penalties, name = PLANTED[mistake]
    report = cr.check_gradient(planted, X, t, penalties=penalties)
    assert not report, f"{mistake}: not noticed\n{report}"
    assert any(name in suspect for suspect in report.suspects), f"{mistake}: blamed {report.suspects}"
    assert "The gradient is WRONG" in report.verdict
    assert report.order < 1.1, f"{mistake}: the remainder of a wrong gradient shrinks as h, got {report.order}"


@pytest.mark.few(1)
@pytest.mark.parametrize("mistake", PLANTED)
def test_only_the_planted_mistake_is_named(mistake):
    planted, t, penalties, name = PLANTED[mistake]
    report = cr.check_gradient(planted, X, t, penalties=penalties)
    culprit = name.split(":", maxsplit=1)[0]
    assert all(culprit in suspect for suspect in report.suspects), report.suspects


@pytest.mark.slow
def test_hints_name_the_law():
    summed = cr.check_gradient(PLANTED["weights summed, biases averaged"][0], X, LABELS)
    (wrong,) = [p for p in summed.parameters if p.error > 1e-6]
    assert (wrong.layer, wrong.name) == (2, "W")
    assert "12 times the numeric one: summed over the 12 rows, but L is a mean" in wrong.hint
    forgotten = cr.check_gradient(PLANTED["penalty's gradient forgotten"][0], X, LABELS, penalties=[ForgottenL2()])
    assert "-0.1 · W: a penalty's gradient is missing" in forgotten.parameters[0].hint
    keep = cr.check_gradient(PLANTED["dropout's scale missing in backward"][0], X, LABELS)
    assert "0.6 times" in keep.parameters[0].hint


def test_a_gradient_that_was_never_written_is_said_so():
    report = cr.check_gradient(network(NeverWritten(), Dense(3)), X, LABELS)
    assert not report
    assert "is it written" in report.parameters[0].hint
    assert any("layer 0, NeverWritten(): backward does not set memo.dw" in s for s in report.suspects), report.suspects


def test_a_gradient_that_is_not_finite_is_wrong():
    report = cr.check_gradient(network(Dense(3), NotANumber()), X, LABELS)
    assert not report
    assert "not finite" in report.parameters[0].hint


def test_a_wrong_loss_is_blamed_and_not_the_layers():
    report = cr.check_gradient(network(Dense(4), Sigmoid(), Dense(3), loss=LossWithoutHalf()), X, NUMBERS)
    assert report.suspects == ["LossWithoutHalf(): backward is not the derivative of forward"]
    assert "0.5 times the numeric one" in report.parameters[-1].hint


def test_softmax_layer_under_squared_error_is_right():
    assert cr.check_gradient(network(Dense(4), Tanh(), Dense(3), Softmax(), loss="squared_error"), X, NUMBERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": 0}, "directions: expected a whole number of at least 1, got 0"),
        ({"entries": 0}, "entries: expected a whole number of at least 1, got 0"),
        ({"tolerance": 0.0}, "tolerance: expected a number in"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        cr.check_gradient(network(Dense(3)), X, LABELS, **options)
