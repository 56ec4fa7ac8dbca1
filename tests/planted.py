"""The mistakes of real from-scratch code, each in a class of its own: the gradient check must find and name them."""

import math

import numpy as np

import chainrule as cr
from chainrule.layers import Dense, Layer
from chainrule.penalties import Penalty


class SigmoidOfActivated(Layer):
    """The derivative σ(y)(1 − σ(y)) of an already activated value y, where y (1 − y) is right."""

    def forward(self, x, memo):
        memo.y = 1 / (1 + np.exp(-x))
        return memo.y

    def backward(self, dy, memo):
        s = 1 / (1 + np.exp(-memo.y))
        return dy * s * (1 - s)


class SummedWeights(Layer):
    """The weights' gradient is summed over the batch once more, where the bias's is averaged."""

    def __init__(self, units):
        self.units = units

    def output(self, input_shape):
        return (self.units,)

    def parameters(self, following=None):
        return Dense.parameters(_bound_like(self), following or cr.initializers.GlorotUniform())

    def forward(self, x, memo):
        memo.x = x
        return x @ self.W + self.b

    def backward(self, dy, memo):
        memo.dW = len(dy) * memo.x.T @ dy
        memo.db = dy.sum(axis=0)
        return dy @ self.W.T


def _bound_like(layer):
    dense = Dense(layer.units)
    dense.input_shape = layer.input_shape
    return dense


class SoftmaxWithoutJacobian(Layer):
    """The softmax whose backward passes dy on, right only under cross-entropy's p − t."""

    def forward(self, x, memo):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def backward(self, dy, memo):
        return dy


class TanhInPlace(Layer):
    """An activation that overwrites the x which its own backward reads."""

    def forward(self, x, memo):
        memo.x = x
        return np.tanh(x, out=x)

    def backward(self, dy, memo):
        return dy * (1 - np.tanh(memo.x) ** 2)


class HalfInPlace(Layer):
    """A layer that overwrites what the backward of the layer before it reads."""

    def forward(self, x, memo):
        return np.multiply(x, 0.5, out=x)

    def backward(self, dy, memo):
        return dy * 0.5


class ForgottenL2(Penalty):
    """A penalty that is added to L but not to the gradient."""

    def value(self, w, scratch=None):
        return 0.05 * float((w * w).sum())

    def add_gradient(self, w, dw, scratch):
        pass


class L2OnBiases(Penalty):
    """A penalty whose value is for weights only, while its gradient is added for biases too."""

    biases = True

    def value(self, w, scratch=None):
        return 0.05 * float((w * w).sum()) if w.ndim > 1 else 0.0

    def add_gradient(self, w, dw, scratch):
        dw += 0.1 * w


class DropoutWithoutScale(Layer):
    """Dropout that divides by the keep probability forward, and forgets it backward."""

    rate = 0.4

    def forward(self, x, memo):
        memo.mask = memo.rng.random(x.shape) < 1 - self.rate
        return x * memo.mask / (1 - self.rate)

    def backward(self, dy, memo):
        return dy * memo.mask


class SigmoidWithoutDerivative(Layer):
    """A last layer whose activation's derivative is missing."""

    def forward(self, x, memo):
        return 1 / (1 + np.exp(-x))

    def backward(self, dy, memo):
        return dy


class NeverWritten(Layer):
    def parameters(self, following=None):
        return {"w": cr.layers.Parameter(self.input_shape, cr.initializers.Normal(), cr.initializers.Fans(5, 5))}

    def forward(self, x, memo):
        memo.x = x
        return x * self.w

    def backward(self, dy, memo):
        return dy * self.w


class NotANumber(Layer):
    def forward(self, x, memo):
        return x

    def backward(self, dy, memo):
        return dy * math.nan


class LossWithoutHalf(cr.Loss):
    def forward(self, y, t, memo):
        memo.error = y - t
        return (memo.error**2).sum(axis=1)

    def backward(self, t, memo):
        return memo.error
