"""Loss functions on logits, each with its gradient and inverse link.

A loss receives the network's outputs y (batch, outputs) before the inverse link. ``forward`` returns the loss of every
sample, a **sum** over the outputs; L is their **mean** over the batch, weighted by the sample weights, if any:
L = Σ wᵢ ℓᵢ / Σ wᵢ. ``backward`` returns ∂ℓᵢ/∂yᵢ for every sample; the network scales it by wᵢ / Σ w.

The inverse link maps y to predictions (softmax to probabilities, exp to rates). Because each loss knows its inverse
link, value and gradient are computed together and stay accurate for tiny probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from chainrule import metrics
from chainrule._internal import special as _special
from chainrule._internal.backend import empty, like, number
from chainrule._internal.checks import check_count, check_finite, check_numbers, check_real, check_weights
from chainrule._internal.config import FrozenConfig
from chainrule._internal.rows import row_dots
from chainrule._internal.typing import Array, ArrayLike, Float, Int, Num, Number
from chainrule.memo import Memo

__all__ = [
    "AbsoluteError",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "one_hot",
]

Metric = Callable[[Array, Array], float]
Logits = Float[Array, "batch outputs"]
Targets = Num[Array, "batch *outputs"]


def mean(values: Float[Array, "batch"], dy: Logits, weight: Float[Array, "batch"] | None, memo: Memo) -> Number:
    """Return L, the (weighted) mean of the samples' losses, and scale dy in place from ∂ℓᵢ/∂yᵢ to dL/dyᵢ."""
    if weight is None:
        dy *= 1 / len(values)
        return number(np.dot(values, _special.ones(len(values), values)) / len(values))  # L = mean ℓ
    total = np.add.reduce(weight)
    scale = np.divide(weight, total + (total == 0), out=memo.scale)  # if all weights are 0, the gradient is 0
    dy *= scale[:, np.newaxis]
    return number(np.vdot(scale, values))  # L = Σ w ℓ / Σ w


def one_hot(t: ArrayLike, classes: int, dtype: str | np.dtype[Any] = "float32") -> Float[Array, "batch classes"]:
    """One-hot encode class labels: 1 at the label, 0 elsewhere.

    Parameters
    ----------
    t : (batch,) array of int
        Labels in [0, classes).
    classes : int
        Number of columns.

    Raises
    ------
    ValueError
        If a label is outside [0, classes) or not an integer.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    classes = check_count("one_hot", "classes", classes)
    labels = check_labels(t, classes)
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def check_labels(t: ArrayLike, classes: int) -> Int[Array, "batch"]:
    """Validate class labels and return them as integers of shape (batch,).

    The result is a copy, so it stays valid: compiled code uses labels as memory offsets.
    """
    labels = check_numbers("t", t)
    if labels.ndim != 1:
        raise ValueError(
            f"t: expected one label per row, shape (rows,), got shape {labels.shape}. Flatten it: t.ravel()."
        )
    whole = labels.astype(np.intp) if labels.dtype.kind in "iub" else _whole(labels)
    outside = np.flatnonzero((whole < 0) | (whole >= classes))
    if outside.size:
        row = outside[0]
        raise ValueError(
            f"t: expected labels from 0 to {classes - 1} ({classes} outputs), got {labels[row]} in row {row}. "
            "Do the labels start at 1, or has the last layer too few units? np.unique(t, return_inverse=True)[1] "
            "numbers classes from 0."
        )
    return whole


def _whole(labels: Array) -> Array:
    check_finite("t", labels, labels.dtype)
    broken = np.flatnonzero(labels != np.floor(labels))
    if broken.size:
        row = broken[0]
        raise ValueError(
            f"t: expected whole numbers as class labels, got {labels[row]} in row {row}. "
            "Probabilities need a column for each class; real-valued targets need a loss such as SquaredError()."
        )
    with np.errstate(invalid="ignore"):  # values beyond the integers are not classes either
        return labels.astype(np.intp)


class Loss(FrozenConfig, ABC):
    """Base class for losses. Subclasses implement ``forward`` and ``backward``.

    Both receive the targets as :meth:`targets` returns them: by default numbers (batch, outputs), or class labels, that
    is, integers (batch,). Override ``targets`` to reject invalid targets or to convert them once before training. It
    must accept its own result and return it unchanged, because validation rows pass through it again, for example.

    Examples
    --------
    >>> class LogCosh(Loss):
    ...     def forward(self, y, t, memo):
    ...         memo.error = y - t
    ...         return np.log(np.cosh(memo.error)).sum(axis=1)     # one value per sample
    ...     def backward(self, t, memo):
    ...         return np.tanh(memo.error)                         # d log(cosh e) / de
    >>> LogCosh().value(np.array([[0.0], [0.0]]), np.array([[1.0], [0.0]]))
    0.2168904...

    A cross-entropy that converts labels to one-hot rows:

    >>> class CrossEntropy(Loss):
    ...     def targets(self, t, outputs, dtype):                      # labels (batch,) -> rows (batch, outputs)
    ...         return t if np.ndim(t) == 2 else one_hot(t, outputs, dtype)
    ...     def forward(self, y, t, memo):
    ...         e = np.exp(y - y.max(axis=1, keepdims=True))
    ...         memo.p = e / e.sum(axis=1, keepdims=True)
    ...         return -(t * np.log(memo.p)).sum(axis=1)
    ...     def backward(self, t, memo):
    ...         return memo.p - t
    >>> CrossEntropy().value(np.zeros((2, 2)), [0, 1])
    0.6931471...
    """

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({})
    """Metrics reported along with this loss, by name: functions of targets and predictions."""

    linear_in_targets: ClassVar[bool] = False
    """Whether ℓ is linear in t, so that the loss of the mean of two targets is the mean of their losses."""

    takes_labels: ClassVar[bool] = True
    """Whether integers (batch,) are class labels for this loss if the network has several outputs."""

    equations: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The equations for worked examples, as arguments of :class:`chainrule.tracing.Equations`."""

    @abstractmethod
    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        """Return the loss of every sample, and store in ``memo`` what ``backward`` needs."""

    @abstractmethod
    def backward(self, t: Targets, memo: Memo) -> Logits:
        """Return the derivative of every sample's loss with respect to its row of y."""

    def inverse_link(self, y: Logits) -> Logits:
        """Map logits y to predictions (the inverse link function)."""
        return y

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        """Return the buffers to allocate in the memo: name and shape for one sample."""
        return {}

    def targets(self, t: ArrayLike, outputs: int, dtype: np.dtype[Any]) -> Targets:
        """Validate the targets and return them for ``forward``: numbers (batch, outputs), or labels (batch,).

        ``outputs`` is the number of units of the last layer, ``dtype`` that of the network.
        """
        array = check_numbers("t", t)
        if self.takes_labels and array.ndim == 1 and outputs > 1 and array.dtype.kind in "iub":
            return check_labels(array, outputs)
        if array.ndim == 1 and outputs == 1:
            array = array.reshape(-1, 1)
        if array.ndim != 2 or array.shape[1] != outputs:
            raise ValueError(
                f"t: expected targets of shape (rows, {outputs}) for {type(self).__name__}, got shape {array.shape}. "
                f"The last layer has {outputs} unit(s): it needs one for each column of t."
            )
        check_finite("t", array, dtype)
        return array.astype(dtype, copy=False)

    def value(self, y: ArrayLike, t: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return L, the (weighted) mean over the batch, for logits y (batch, outputs) and targets t."""
        y, t, weight = self._checked(y, t, sample_weight)
        return float(np.average(self.forward(y, t, Memo()), weights=weight))

    def gradient(self, y: ArrayLike, t: ArrayLike, sample_weight: ArrayLike | None = None) -> Logits:
        """Return dL/dy (batch, outputs) for logits y and targets t."""
        y, t, weight = self._checked(y, t, sample_weight)
        memo = Memo()
        values = self.forward(y, t, memo)
        dy = self.backward(t, memo)
        mean(values, dy, weight, memo)
        return dy

    def _checked(
        self, y: ArrayLike, t: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array, Array | None]:
        y = check_numbers("y", y)
        if y.ndim != 2:
            raise ValueError(f"y: expected values of shape (rows, outputs), got shape {y.shape}.")
        y = y.astype(np.float64) if y.dtype.kind != "f" else y
        targets = self.targets(t, y.shape[1], y.dtype)
        weight = None if sample_weight is None else check_weights(sample_weight, y.dtype)
        for name, given in (("t", targets), ("sample_weight", weight)):
            if given is not None and len(given) != len(y):
                raise ValueError(f"y and {name}: expected the same number of rows, got {len(y)} and {len(given)}.")
        return y, targets, weight


@final
class SquaredError(Loss):
    """Squared error, ½ ‖y − t‖².

    .. formula::

        ℓ = ½ Σₖ (yₖ − tₖ)²           ∂ℓ/∂yₖ = yₖ − tₖ           inverse link: identity

    Summed over the outputs, with ½, as in textbooks and in scikit-learn's gradient. PyTorch's ``MSELoss`` and Keras's
    ``mean_squared_error`` are the mean over the outputs without ½: 2 / outputs times this value.

    Examples
    --------
    >>> SquaredError().value([[1.0, 2.0]], [[0.0, 0.0]])
    2.5
    """

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({"r2": metrics.r2})
    takes_labels: ClassVar[bool] = False

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"error": (outputs,), "values": ()}

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        memo.error = np.subtract(y, t, out=memo.error)
        values = row_dots(memo.error, memo.error, out=memo.values)
        values *= 0.5
        return values

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return memo.error  # d(½ e²)/dy = e


@final
class AbsoluteError(Loss):
    """Absolute error. It is minimized by the median and is robust to outliers.

    .. formula::

        ℓ = Σₖ |yₖ − tₖ|           ∂ℓ/∂yₖ = sign(yₖ − tₖ)           inverse link: identity

    Summed over the outputs (mean in PyTorch's ``L1Loss``).

    Examples
    --------
    >>> AbsoluteError().value([[1.0, -2.0]], [[0.0, 0.0]])
    3.0
    """

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({"r2": metrics.r2})
    takes_labels: ClassVar[bool] = False

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"error": (outputs,), "size": (outputs,), "values": ()}

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        memo.error = np.subtract(y, t, out=memo.error)
        memo.size = np.abs(memo.error, out=memo.size)
        return np.add.reduce(memo.size, axis=1, out=memo.values)

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return np.sign(memo.error, out=memo.size)  # d|e|/dy = sign(e)


@final
@dataclass(eq=False, repr=False)
class Huber(Loss):
    """Huber loss: squared error near the target, absolute error far from it.

    .. formula::

        e = y − t,  g = min(max(e, −δ), δ)
        ℓ = Σ g (e − g / 2)           equal to ½ e² where |e| <= δ, else δ (|e| − δ / 2)
        ∂ℓ/∂y = g                     inverse link: identity

    Parameters
    ----------
    delta : float
        Threshold δ > 0 at which the loss changes from quadratic to linear.

    Notes
    -----
    Summed over the outputs (mean in PyTorch's ``HuberLoss``). PyTorch's ``SmoothL1Loss`` is this divided by δ.

    Source: Huber, "Robust estimation of a location parameter" (1964).

    Examples
    --------
    >>> Huber().value([[0.5], [3.0]], [[0.0], [0.0]])
    1.3125
    """

    delta: float = 1.0
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({"r2": metrics.r2})
    takes_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_real("Huber", "delta", self.delta, 0, open_low=True)

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"error": (outputs,), "g": (outputs,), "half": (outputs,), "values": ()}

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        e = np.subtract(y, t, out=memo.error)
        memo.g = g = np.clip(e, -self.delta, self.delta, out=memo.g)
        e -= np.multiply(g, 0.5, out=memo.half)
        return row_dots(g, e, out=memo.values)  # Σ g (e − g / 2)

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return memo.g


@final
@dataclass(eq=False, repr=False)
class Quantile(Loss):
    """Pinball (quantile) loss. It is minimized by the q-quantile of the targets.

    .. formula::

        e = t − y
        ℓ = Σ max(q e, (q − 1) e)           ∂ℓ/∂y = −q where e > 0, else 1 − q           inverse link: identity

    The derivative is discontinuous at e = 0; 0 is used there. With q = 1/2, this is half the absolute error.

    Parameters
    ----------
    quantile : float
        q, in (0, 1).

    Source: Koenker and Bassett, "Regression quantiles" (1978).

    Examples
    --------
    >>> Quantile(0.9).value([[0.0], [0.0]], [[1.0], [-1.0]])
    0.5
    """

    quantile: float = 0.5
    takes_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_real("Quantile", "quantile", self.quantile, 0, 1, open_low=True, open_high=True)

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"error": (outputs,), "slope": (outputs,), "size": (outputs,), "values": ()}

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        error = np.subtract(y, t, out=memo.error)  # −e
        memo.slope = slope = np.sign(error, out=memo.slope)
        size = np.abs(slope, out=memo.size)
        size *= 0.5 - self.quantile
        slope *= 0.5
        slope += size  # ½ sign + (½ − q) |sign|: 1 − q where y > t, −q where y < t
        return row_dots(slope, error, out=memo.values)

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return memo.slope


@final
class Poisson(Loss):
    """Half the Poisson deviance, for counts; y is the logarithm of the rate.

    .. formula::

        ℓ = Σ (e^y − t) − t (y − log t)           ∂ℓ/∂y = e^y − t           inverse link: exp

    Zero where the rate equals the count. PyTorch's ``PoissonNLLLoss`` omits the terms that do not depend on y,
    t log t − t.

    Raises
    ------
    ValueError
        If a target is negative.

    Examples
    --------
    >>> Poisson().value([[0.0]], [[1.0]])
    0.0

    Source: McCullagh and Nelder, "Generalized linear models" (1989), section 6.2.
    """

    takes_labels: ClassVar[bool] = False

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"slope": (outputs,), "scratch": (outputs,), "values": ()}

    def targets(self, t: ArrayLike, outputs: int, dtype: np.dtype[Any]) -> Targets:
        array = super().targets(t, outputs, dtype)
        if (array < 0).any():
            row = np.flatnonzero((array < 0).any(axis=1))[0]
            raise ValueError(f"t: Poisson expects counts of at least 0, got {array[row].min()} in row {row}.")
        return array

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        log_t = np.maximum(t, np.finfo(t.dtype).tiny, out=memo.scratch)  # so that t log t is 0 at t = 0
        np.log(log_t, out=log_t)
        excess = np.subtract(y, log_t, out=log_t)
        excess *= t  # t (y − log t)
        memo.slope = np.exp(y, out=memo.slope)
        memo.slope -= t  # e^y − t
        np.subtract(memo.slope, excess, out=excess)
        return np.add.reduce(excess, axis=1, out=memo.values)

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return memo.slope

    def inverse_link(self, y: Logits) -> Logits:
        return np.exp(np.minimum(y, _special.log_max(y)))


@final
class SigmoidCrossEntropy(Loss):
    """Sigmoid cross-entropy, for binary classification (one output) or multi-label classification (several outputs).

    .. formula::

        p = σ(y)
        ℓ = −Σ t log p + (1 − t) log(1 − p) = Σ log(1 + e^y) − t y           ∂ℓ/∂y = p − t           inverse link: σ

    The second form needs no logarithm of a probability; computed as y ([y > 0] − t) + log(1 + e^−|y|), it is accurate
    for every y, even when a confident correct prediction makes the loss tiny. Targets are (batch, outputs), or (batch,)
    for one output, in [0, 1], usually 0 and 1. Summed over the outputs (mean in PyTorch's ``BCEWithLogitsLoss``).

    Raises
    ------
    ValueError
        If a target is outside [0, 1].

    Examples
    --------
    >>> SigmoidCrossEntropy().value([[0.0], [1000.0]], [1, 1])
    0.34657...
    """

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({"accuracy": metrics.binary_accuracy})
    linear_in_targets: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = False

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"p": (outputs,), "tail": (outputs,), "values": ()}

    def targets(self, t: ArrayLike, outputs: int, dtype: np.dtype[Any]) -> Targets:
        array = super().targets(t, outputs, dtype)
        outside = np.flatnonzero(((array < 0) | (array > 1)).any(axis=1))
        if outside.size:
            row = outside[0]
            raise ValueError(
                f"t: SigmoidCrossEntropy expects 0, 1 or between, got {array[row].tolist()} in row {row}. "
                "Labels of more than two classes belong to SoftmaxCrossEntropy(); −1 and 1 become (t + 1) / 2."
            )
        return array

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        memo.p = p = np.sign(y, out=memo.p)
        np.maximum(p, 0, out=p)  # [y > 0]
        p -= t
        p *= y  # max(y, 0) − t y
        tail = np.abs(y, out=memo.tail)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        p += np.log1p(tail, out=tail)  # + log(1 + e^−|y|) = log(1 + e^y) − t y
        values = np.add.reduce(p, axis=1, out=memo.values)
        _special.sigmoid(y, out=p)
        return values

    def backward(self, t: Targets, memo: Memo) -> Logits:
        return np.subtract(memo.p, t, out=memo.p)  # σ(y) − t

    def inverse_link(self, y: Logits) -> Logits:
        return _special.sigmoid(y)


@final
@dataclass(eq=False, repr=False)
class SoftmaxCrossEntropy(Loss):
    """Softmax cross-entropy for multi-class classification: softmax and negative log-likelihood combined.

    .. formula::

        p = softmax(y)
        ℓ = −Σₖ tₖ log pₖ = log Σₖ e^yₖ − Σₖ tₖ yₖ           ∂ℓ/∂yₖ = pₖ − tₖ           inverse link: softmax

    where t is one-hot or has probabilities. The row's maximum is subtracted first (log-sum-exp). With label smoothing
    ε, t is replaced by (1 − ε) t + ε / classes.

    Targets are integer labels of shape (batch,), which are never expanded to one-hot form, or probabilities of shape
    (batch, classes).

    Parameters
    ----------
    label_smoothing : float
        ε, in [0, 1).

    Raises
    ------
    ValueError
        If a label is outside [0, classes) or not an integer, or a row of probabilities does not sum to 1.

    Examples
    --------
    >>> SoftmaxCrossEntropy().value([[0.0, 0.0], [1000.0, 0.0]], [0, 0])
    0.34657...

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990); label
    smoothing: Szegedy et al., "Rethinking the Inception architecture" (2016).
    """

    label_smoothing: float = 0.0
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({"accuracy": metrics.accuracy})
    linear_in_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_real("SoftmaxCrossEntropy", "label_smoothing", self.label_smoothing, 0, 1, open_high=True)

    def buffers(self, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"p": (outputs,), "row": (1,), "values": ()}

    def targets(self, t: ArrayLike, outputs: int, dtype: np.dtype[Any]) -> Targets:
        if outputs < 2:
            raise ValueError(
                "SoftmaxCrossEntropy: expected a last layer of at least 2 units, got 1: "
                "use Dense(2), or SigmoidCrossEntropy() for one yes-or-no answer."
            )
        array = check_numbers("t", t)
        if array.ndim == 1:
            return check_labels(array, outputs)
        if array.shape[1:] == (1,):
            raise ValueError(
                f"t: expected labels of shape (rows,), got a column, shape {array.shape}. Flatten it: t.ravel()."
            )
        array = super().targets(array, outputs, dtype)
        total = array.sum(axis=1, keepdims=True)
        wrong = np.flatnonzero((array < 0).any(axis=1) | (np.abs(total[:, 0] - 1) > 1e-3))
        if wrong.size:
            row = wrong[0]
            raise ValueError(
                f"t: expected probabilities, rows of numbers of at least 0 that sum to 1, got {array[row].tolist()} in "
                f"row {row}. Several labels at once belong to SigmoidCrossEntropy()."
            )
        return array if (total == 1).all() else array / total  # the gradient p − t assumes a sum of 1

    def forward(self, y: Logits, t: Targets, memo: Memo) -> Float[Array, "batch"]:
        memo.row = np.max(y, axis=1, keepdims=True, out=memo.row)
        p = empty(y.shape, y) if memo.p is None else memo.p  # in the order of rows, unlike some y
        memo.p = p = np.subtract(y, memo.row, out=p)  # the logits, shifted by a constant per row
        smoothing, (rows, classes) = self.label_smoothing, p.shape
        if t.ndim == 1:
            memo.at = like(_special.row_starts(rows, classes), t) + t  # positions of the labels in p
            values = p.reshape(-1).take(memo.at)  # Σ t y
        else:
            values = row_dots(t, p, out=memo.values)
        if smoothing:
            values = (1 - smoothing) * values + smoothing * p.mean(axis=1)
        np.exp(p, out=p)
        np.dot(p, _special.ones(classes, p)[:, np.newaxis], out=memo.row)  # Σ e^y
        p /= memo.row
        log_sum = np.log(memo.row, out=memo.row)
        return np.subtract(log_sum[:, 0], values, out=memo.values)

    def backward(self, t: Targets, memo: Memo) -> Logits:
        dy, smoothing = memo.p, self.label_smoothing
        if t.ndim == 1:
            dy.reshape(-1)[memo.at] -= 1 - smoothing  # p − t
        else:
            dy -= (1 - smoothing) * t if smoothing else t
        if smoothing:
            dy -= smoothing / dy.shape[1]
        return dy

    def inverse_link(self, y: Logits) -> Logits:
        p = y - np.max(y, axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p
