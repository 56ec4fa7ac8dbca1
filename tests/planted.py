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

    def parameters(self):
        return Dense.parameters(_bound_like(self))

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
    def parameters(self):
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


class DyWithoutTranspose(Layer):
    """dx = dy W, instead of dy Wᵀ: it shows only where W is square, and there it runs."""

    def parameters(self):
        n = self.input_shape[0]
        return {"W": cr.layers.Parameter((n, n), cr.initializers.GlorotUniform(), cr.initializers.Fans(n, n))}

    def forward(self, x, memo):
        memo.x = x
        return x @ self.W

    def backward(self, dy, memo):
        memo.dW = memo.x.T @ dy
        return dy @ self.W


class SoftmaxDiagonal(Layer):
    """Only the diagonal y (1 − y) of the softmax's Jacobian, as if it were a sigmoid."""

    def forward(self, x, memo):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        memo.p = p / p.sum(axis=1, keepdims=True)
        return memo.p

    def backward(self, dy, memo):
        return dy * memo.p * (1 - memo.p)


class BatchNormConstant(Layer):
    """Batch normalization whose backward takes the batch's mean and variance for constants."""

    def forward(self, x, memo):
        if not memo.training:
            memo.std = np.ones(x.shape[1:], x.dtype)
            return x.copy()
        memo.std = np.sqrt(x.var(axis=0) + x.dtype.type(1e-5))
        return (x - x.mean(axis=0)) / memo.std

    def backward(self, dy, memo):
        return dy / memo.std


class BatchNormConstantVariance(BatchNormConstant):
    """The mean's term is there, that of the variance is missing."""

    def backward(self, dy, memo):
        return (dy - dy.mean(axis=0) * memo.training) / memo.std


class LayerNormConstant(Layer):
    """Layer normalization with a gain, whose backward takes each row's mean and variance for constants."""

    def parameters(self):
        return {"g": cr.layers.Parameter(self.input_shape, cr.initializers.Normal(), cr.initializers.Fans(5, 5))}

    def forward(self, x, memo):
        memo.std = np.sqrt(x.var(axis=1, keepdims=True) + x.dtype.type(1e-5))
        memo.unit = (x - x.mean(axis=1, keepdims=True)) / memo.std
        return memo.unit * self.g

    def backward(self, dy, memo):
        memo.dg = (dy * memo.unit).sum(axis=0)
        return dy * self.g / memo.std


class _Affine(Layer):
    """What is right; the classes below change one line of it."""

    units = 3

    def output(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError("expects rows of numbers")
        return (self.units,)

    def parameters(self):
        return Dense.parameters(_bound_like(self))

    def forward(self, x, memo):
        memo.x = x
        return x @ self.W + self.b

    def backward(self, dy, memo):
        memo.dW = memo.x.T @ dy
        memo.db = dy.sum(axis=0)
        return dy @ self.W.T


class BiasSummedOverAll(_Affine):
    """db is the sum over all of dy, the same for every unit."""

    def backward(self, dy, memo):
        dx = super().backward(dy, memo)
        memo.db = np.full_like(self.b, dy.sum())
        return dx


class LastRowOnly(_Affine):
    """dW = in a loop over the rows, where dW += is right."""

    def backward(self, dy, memo):
        dx = super().backward(dy, memo)
        for row, back in zip(memo.x, dy, strict=True):
            memo.dW = np.outer(row, back)
        return dx


class LastRowLeftOut(_Affine):
    """A loop over the rows that ends one too early."""

    def backward(self, dy, memo):
        dx = super().backward(dy, memo)
        dx[-1] = 0
        return dx


class EmbeddingOverwrites(Layer):
    """dW[rows] += does not add up where an index comes twice: np.add.at does."""

    def integer_columns(self):
        return {0: 3}

    def output(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError("expects rows of numbers")
        return (2,)

    def parameters(self):
        return {"W": cr.layers.Parameter((3, 2), cr.initializers.Normal(), cr.initializers.Fans(3, 2))}

    def forward(self, x, memo):
        memo.rows, memo.x = x[:, 0].astype(int), x
        return self.W[memo.rows]

    def backward(self, dy, memo):
        memo.dW = np.zeros_like(self.W)
        memo.dW[memo.rows] += dy
        return np.zeros_like(memo.x)


class _Convolution(Layer):
    """A 3 × 3 convolution in loops, with zeros around the image; what is right. The classes below change one line."""

    inputs = 2

    def output(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError("expects images")
        return (*input_shape[:2], 3)

    def parameters(self):
        shape = (3, 3, self.input_shape[2], 3)
        return {"W": cr.layers.Parameter(shape, cr.initializers.Normal(), cr.initializers.Fans(18, 27))}

    def windows(self, x):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        for i in range(3):
            for j in range(3):
                yield i, j, padded[:, i : i + x.shape[1], j : j + x.shape[2]]

    def forward(self, x, memo):
        memo.x = x
        return sum(part @ self.W[i, j] for i, j, part in self.windows(x))

    def backward(self, dy, memo):
        memo.dW = np.zeros_like(self.W)
        dx = np.zeros((len(dy), dy.shape[1] + 2, dy.shape[2] + 2, memo.x.shape[3]), dy.dtype)
        for i, j, part in self.windows(memo.x):
            memo.dW[i, j] = np.tensordot(part, dy, ((0, 1, 2), (0, 1, 2)))
            self.back(dx, i, j, dy)
        return self.inner_part(dx)

    def back(self, dx, i, j, dy):
        dx[:, i : i + dy.shape[1], j : j + dy.shape[2]] += dy @ self.W[i, j].T

    def inner_part(self, dx):
        return dx[:, 1:-1, 1:-1].copy()


class ConvolutionOffByOne(_Convolution):
    """The padding is cut off one place too late."""

    def inner_part(self, dx):
        return dx[:, 2:, 1:-1].copy()


class ConvolutionFlipped(_Convolution):
    """dx with the kernel the wrong way round."""

    def back(self, dx, i, j, dy):
        dx[:, i : i + dy.shape[1], j : j + dy.shape[2]] += dy @ self.W[2 - i, 2 - j].T


class KernelGradientFlipped(_Convolution):
    """dW with the kernel the wrong way round."""

    def backward(self, dy, memo):
        dx = super().backward(dy, memo)
        memo.dW = memo.dW[::-1, ::-1].copy()
        return dx


class ConvolutionWrongAtBorders(_Convolution):
    """The first window of every row is left out of dx."""

    def inner_part(self, dx):
        dx = dx[:, 1:-1, 1:-1].copy()
        dx[:, 0] *= 0.5
        dx[:, :, -1] *= 0.5
        return dx


class WindowsOverwrite(Layer):
    """Sums over overlapping windows, and = for += in backward."""

    def output(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError("expects images")
        return (input_shape[0] - 2, input_shape[1] - 2, input_shape[2])

    def forward(self, x, memo):
        memo.x = x
        h, w = x.shape[1] - 2, x.shape[2] - 2
        return np.stack([[(x[:, i : i + 3, j : j + 3] ** 2).sum(axis=(1, 2)) for j in range(w)] for i in range(h)]).transpose(2, 0, 1, 3)  # fmt: skip

    def backward(self, dy, memo):
        dx = np.zeros_like(memo.x)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                dx[:, i : i + 3, j : j + 3] = 2 * memo.x[:, i : i + 3, j : j + 3] * dy[:, i : i + 1, j : j + 1]
        return dx


class MaskDrawnAgain(Layer):
    """Dropout whose backward draws a mask of its own."""

    rate = 0.4

    def mask(self, x, memo):
        return (memo.rng.random(x.shape) < 1 - self.rate).astype(x.dtype) / x.dtype.type(1 - self.rate)

    def forward(self, x, memo):
        return x * self.mask(x, memo) if memo.training else x

    def backward(self, dy, memo):
        return dy * self.mask(dy, memo) if memo.training else dy


class HalfAnL2(Penalty):
    """λ ‖W‖² in the value, and λ W in the gradient, where 2 λ W is right."""

    def value(self, w, scratch=None):
        return 0.05 * float((w * w).sum())

    def add_gradient(self, w, dw, scratch):
        dw += 0.05 * w
