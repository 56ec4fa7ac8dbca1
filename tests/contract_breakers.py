"""Layers that break the contract, one rule each; most of their gradients are right."""

import time

import numpy as np

import chainrule as cr
from chainrule.initializers import Constant, Fans
from chainrule.layers import Layer, Parameter

RNG = np.random.default_rng(0)


class Double(Layer):
    """What is right: the breakers change one thing of it."""

    def forward(self, x, memo):
        return 2 * x

    def backward(self, dy, memo):
        return 2 * dy


class Scale(Layer):
    """What is right, with a parameter: y = x ⊙ s."""

    def parameters(self):
        return {"s": Parameter(self.input_shape, Constant(1.5), Fans(1, 1))}

    def forward(self, x, memo):
        memo.x = x
        return x * self.s

    def backward(self, dy, memo):
        memo.ds = (dy * memo.x).sum(axis=0)
        return dy * self.s


class NothingReturned(Double):
    def forward(self, x, memo):
        memo.y = 2 * x


class ListReturned(Double):
    def forward(self, x, memo):
        return super().forward(x, memo).tolist()


class OtherShape(Double):
    def forward(self, x, memo):
        return 2 * x[:, :-1]


class NoDx(Double):
    def backward(self, dy, memo):
        memo.dx = 2 * dy


class WrongShapeOfGradient(Scale):
    def backward(self, dy, memo):
        memo.ds = dy * memo.x
        return dy * self.s


class Raises(Double):
    def backward(self, dy, memo):
        return dy * memo.never_set


class Float64(Double):
    def forward(self, x, memo):
        return x * (2 * np.ones(x.shape[1:]))


class ScalesDy(Double):
    def backward(self, dy, memo):
        dy *= 2
        return dy


class BackwardWritesX(Double):
    def forward(self, x, memo):
        memo.x = x
        return 2 * x

    def backward(self, dy, memo):
        memo.x[...] = 0
        return 2 * dy


class Decays(Scale):
    def backward(self, dy, memo):
        memo.ds = (dy * memo.x).sum(axis=0)
        dx = dy * self.s
        self.s *= 0.999
        return dx


class Rebinds(Scale):
    def forward(self, x, memo):
        self.s = self.s.copy()
        memo.x = x
        return x * self.s


class KeepsX(Layer):
    def forward(self, x, memo):
        self.x = x
        return x * x

    def backward(self, dy, memo):
        return dy * 2 * self.x


class KeepsANumber(Double):
    def forward(self, x, memo):
        self.rows = len(x)
        return 2 * x


class Appends(Double):
    def __init__(self):
        self.seen = []

    def forward(self, x, memo):
        self.seen.append(len(x))
        return 2 * x


class AppendsToItsClass(Double):
    seen = []  # noqa: RUF012

    def forward(self, x, memo):
        self.seen.append(len(x))
        return 2 * x


class GlobalChance(Double):
    def forward(self, x, memo):
        memo.mask = RNG.random(x.shape) < 0.5 if memo.training else np.ones_like(x)
        return x * memo.mask

    def backward(self, dy, memo):
        return dy * memo.mask


class FillsHalf(Double):
    def forward(self, x, memo):
        y = np.zeros_like(x) if memo.y is None else memo.y
        y[x > 0] = x[x > 0]
        return y

    def backward(self, dy, memo):
        return dy * (memo.y > 0) if memo.y is not None else dy


class Accumulates(Scale):
    def backward(self, dy, memo):
        memo.ds = (0 if memo.ds is None else memo.ds) + (dy * memo.x).sum(axis=0)
        return dy * self.s


class KeepsTheFirstMask(Double):
    def forward(self, x, memo):
        if memo.kept is None:
            memo.kept = x > 0
        return x * memo.kept

    def backward(self, dy, memo):
        return dy * memo.kept


class ReadsTheLastBatch(Double):
    def forward(self, x, memo):
        if memo.first is None:
            memo.first = x.mean()
        return x * x + memo.first * memo.training - memo.first * memo.training + 2 * memo.first * (memo.turn or 0)

    def backward(self, dy, memo):
        memo.turn = 1
        return dy


SHARED = {}


class SharesAnArray(Double):
    def forward(self, x, memo):
        return np.multiply(x, 2, out=SHARED.setdefault((x.shape, x.dtype), np.empty_like(x)))


class SharesWhatBackwardReads(Layer):
    def forward(self, x, memo):
        SHARED["x"] = x
        return x * x

    def backward(self, dy, memo):
        return dy * 2 * SHARED["x"]


class ChanceInPrediction(Double):
    def forward(self, x, memo):
        return 2 * x if memo.training else x * RNG.random(x.shape)


class CentersInPrediction(Layer):
    def forward(self, x, memo):
        return x - x.mean(axis=0)

    def backward(self, dy, memo):
        return dy - dy.mean(axis=0)


class TutorialDropout(Layer):
    """The dropout of every tutorial: forward returns x early in prediction, and backward uses the mask all the same."""

    def forward(self, x, memo):
        if not memo.training:
            return x
        memo.mask = (memo.rng.random(x.shape) < 0.6).astype(x.dtype)
        return x * memo.mask / 0.6

    def backward(self, dy, memo):
        return dy * memo.mask / 0.6


class NothingInPrediction(Layer):
    """What backward needs is left in the memo in training only."""

    def forward(self, x, memo):
        if memo.training:
            memo.x = x
        return x * x

    def backward(self, dy, memo):
        return 2 * dy * memo.x


class NaiveSoftmax(Layer):
    """The exponential of x itself: right, until x is large."""

    def forward(self, x, memo):
        e = np.exp(x)
        memo.p = e / e.sum(axis=1, keepdims=True)
        return memo.p

    def backward(self, dy, memo):
        return memo.p * (dy - (dy * memo.p).sum(axis=1, keepdims=True))


class NaiveSoftplus(Layer):
    """log(1 + exp(x)) is infinite where x is large, although its true value is x."""

    def forward(self, x, memo):
        memo.x = x
        return np.log(1 + np.exp(x))

    def backward(self, dy, memo):
        return dy / (1 + np.exp(-memo.x))


class SumOverEverything(Scale):
    def backward(self, dy, memo):
        memo.ds = (dy * memo.x).sum()
        return dy * self.s


class OnlyWithDx(Scale):
    def backward(self, dy, memo):
        if not memo.dx_wanted:
            return None
        return super().backward(dy, memo)


class SlowGlobal(Double):
    def forward(self, x, memo):
        SHARED["slow"] = x
        time.sleep(0.001)
        return 2 * SHARED["slow"]


class Transposed(Layer):
    def parameters(self):
        n = self.input_shape[0]
        return {"W": Parameter((n, n), cr.initializers.GlorotUniform(), Fans(n, n))}

    def forward(self, x, memo):
        memo.x = x
        return x @ self.W

    def backward(self, dy, memo):
        memo.dW = dy.T @ memo.x
        return dy @ self.W.T


class Twice(Layer):
    def forward(self, x, memo):
        memo.x = x
        return 0.5 * x * x

    def backward(self, dy, memo):
        return 2 * memo.x * dy


class WrongSlope(Layer):
    def forward(self, x, memo):
        memo.x = x
        return x**3

    def backward(self, dy, memo):
        return dy * 2 * memo.x**2


class OnlyPositive(Layer):
    """Its forward refuses some numbers, also when it is asked for the reason of a wrong gradient."""

    def forward(self, x, memo):
        if (x < -4).any() or (x == 0).all():
            raise ValueError("too small")
        memo.x = x
        return x**2 - 4

    def backward(self, dy, memo):
        return dy * np.exp(memo.x)


# class: (the rule that it breaks, what is said)
BREAKERS = {
    NothingReturned: ("passes", "forward returns None, but y has shape (8, 5)"),
    ListReturned: ("passes", "forward returns a list, not an array, but y has shape (8, 5)"),
    OtherShape: ("passes", "forward returns shape (8, 4), but y has shape (8, 5) for output() = (5,)"),
    NoDx: ("passes", "backward returns None, but x has shape (8, 5): return dL/dx"),
    WrongShapeOfGradient: ("passes", "backward sets shape (8, 5) in memo.ds, but s has shape (5,)"),
    Raises: ("passes", "backward raises TypeError: unsupported operand"),
    Float64: ("dtype", "y is float64 where x is float32"),
    ScalesDy: ("x and dy", "backward modifies dy in place"),
    BackwardWritesX: ("x and dy", "backward modifies x in place"),
    Decays: ("parameters", "self.s was changed: only the optimizer may do that"),
    Rebinds: ("parameters", "self.s was replaced by another array"),
    KeepsX: ("state", "writes self.x: another batch or thread would overwrite it"),
    KeepsANumber: ("state", "the current batch in the memo, as memo.rows"),
    Appends: ("state", "writes self.seen"),
    AppendsToItsClass: ("state", "writes self.seen"),
    GlobalChance: ("seed", "y and dx of the same batch differ from call to call: draw from memo.rng"),
    FillsHalf: ("planned buffers", "between a new memo and one with preallocated buffers"),
    Accumulates: (
        "reuse",
        "ds of a second batch includes that of the first: assign memo.ds (=) instead of adding to it (+=)",
    ),
    KeepsTheFirstMask: ("reuse", "with a memo that an earlier, longer batch has used, forward raises ValueError"),
    ReadsTheLastBatch: ("reuse", "y of a batch of 4 rows is wrong after one of 8"),
    SharesAnArray: ("re-entrancy", "a second forward changes the result of the first"),
    SharesWhatBackwardReads: ("re-entrancy", "dx differs if two batches are in flight"),
    ChanceInPrediction: ("prediction", "two predictions for the same rows differ"),
    CentersInPrediction: ("rows", "in prediction a row's y depends on other rows"),
    TutorialDropout: (
        "backward in prediction",
        "forward returns x early, and backward then raises TypeError: unsupported operand",
    ),
    NothingInPrediction: (
        "backward in prediction",
        "forward must store what backward needs in the memo, also in prediction",
    ),
    NaiveSoftmax: ("stability", "y and dx are not finite if x is 300 times as large in float32, although the true"),
    NaiveSoftplus: ("stability", "y is not finite if x is"),
    SumOverEverything: ("passes", "but s has shape (5,): it is a sum over everything; sum over the rows only"),
    OnlyWithDx: ("dx_wanted", "ds differs if memo.dx_wanted is false: only dx may be omitted"),
    SlowGlobal: ("threads", "if 4 threads use the layer at once"),
    Transposed: ("gradient", "it is the transpose of the correct gradient"),
    Twice: ("gradient", "the analytic gradient is 2 times the numeric one: a factor of ½ or 2 from a square"),
    WrongSlope: ("gradient", "the analytic gradient is 0.6667 times the numeric one"),
    OnlyPositive: ("gradient", "where x is"),
}
