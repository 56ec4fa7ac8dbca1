"""Augmentation: random changes to the training rows, made anew for each batch.

``train(..., augment=[RandomShift(2, shape=(28, 28)), Mixup(0.2)])`` changes only the training rows, in this order. It
uses its own random stream, so the same seed gives the same result, even if training is resumed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from chainrule._internal.checks import check_count, check_real
from chainrule._internal.config import FrozenConfig
from chainrule._internal.typing import Array
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.training.batches import Batch

__all__ = ["Augmentation", "Mixup", "RandomShift"]

Shape = tuple[int, ...]


class Augmentation(FrozenConfig, ABC):
    """A random change of a batch. A custom one changes ``batch.x`` in place, and draws from ``rng`` alone.

    ``batch`` has x (batch, ...), t and the weights or None; all three may be modified. Use ``memo`` to keep buffers
    from batch to batch.

    >>> class Noise(Augmentation):
    ...     def apply(self, batch, rng, memo):
    ...         batch.x[...] += 0.1 * rng.standard_normal(batch.x.shape, batch.x.dtype)
    """

    mixes: ClassVar[bool] = False
    """Whether targets are mixed. Class labels are then converted to probabilities (batch, classes)."""

    def check(self, inputs: Shape, loss: Loss) -> None:
        """Raise a ValueError for an incompatible sample shape or loss."""

    @abstractmethod
    def apply(self, batch: Batch, rng: np.random.Generator, memo: Memo) -> None:
        """Change the batch in place."""


@final
@dataclass(eq=False, repr=False)
class RandomShift(Augmentation):
    """Shift every image by a random number of pixels, up or down and left or right.

    .. formula::

        x'[i, j] = x[i + a, j + b]           a, b uniform in {−pixels, …, pixels}; fill outside the image

    Parameters
    ----------
    pixels : int
        The largest shift: at least 1, and less than the height and width.
    shape : (height, width) or (height, width, channels), optional
        Shape of an image, if X has one per row; not needed if X is (rows, height, width, channels).
    fill : float
        Value for pixels from outside the image: the background, 0 unless X was shifted or scaled.

    Raises
    ------
    ValueError
        Before training, if X does not hold images of this shape, or they are too small.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis" (2003), section 2.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.eye(9)[[4] * 6]                                     # a dot in the middle of 3 x 3 pixels
    >>> batch = cr.training.batches.Batch(X, np.arange(6), None)
    >>> RandomShift(1, shape=(3, 3)).apply(batch, np.random.default_rng(0), cr.Memo())
    >>> X.argmax(axis=1)
    array([2, 5, 5, 6, 7, 6])
    """

    pixels: int
    shape: Sequence[int] | None = None
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_count("RandomShift", "pixels", self.pixels)
        check_real("RandomShift", "fill", self.fill)
        if self.shape is not None:
            sides = self.shape if isinstance(self.shape, tuple) else ()
            if len(sides) not in {2, 3}:
                raise ValueError(f"RandomShift: shape: expected (height, width), got {self.shape!r}.")
            for side in sides:
                check_count("RandomShift", "shape", side)

    def check(self, inputs: Shape, loss: Loss) -> None:
        if self.shape is None and len(inputs) != 3:
            raise ValueError(
                f"{self!r}: expected images (rows, height, width, channels), but X has samples of shape {inputs}. "
                f"Give the shape of an image: RandomShift({self.pixels}, shape=(28, 28))."
            )
        height, width, _ = shape = self._image(inputs)
        if math.prod(shape) != math.prod(inputs):
            raise ValueError(
                f"{self!r}: expected samples of {math.prod(shape)} numbers, but those of X have {math.prod(inputs)}, "
                f"shape {inputs}. Is the shape that of the images?"
            )
        if self.pixels >= min(height, width):
            raise ValueError(
                f"{self!r}: pixels: expected less than the {height} x {width} pixels of an image, got {self.pixels}."
            )

    def _image(self, inputs: Shape) -> tuple[int, int, int]:
        height, width, *channels = inputs if self.shape is None else self.shape
        return height, width, math.prod(channels)

    def apply(self, batch: Batch, rng: np.random.Generator, memo: Memo) -> None:
        x, most = batch.x, self.pixels
        n = len(x)
        if memo.rows is None or len(memo.rows) < n:
            height, width, channels = memo.image = self._image(x.shape[1:])
            memo.rows = np.arange(n)
            memo.padded = np.full((n, height + 2 * most, width + 2 * most, channels), self.fill, x.dtype)
            windows = sliding_window_view(memo.padded, (height, width), axis=(1, 2))
            memo.windows = windows.transpose(0, 1, 2, 4, 5, 3)  # (n, a, b, height, width, channels)
        a, b = rng.integers(0, 2 * most + 1, (2, n))
        images = x.reshape(n, *memo.image)
        memo.padded[:n, most:-most, most:-most] = images
        images[...] = memo.windows[memo.rows[:n], a, b]


@final
@dataclass(eq=False, repr=False)
class Mixup(Augmentation):
    """Mix every row with another row of its batch, and their targets in the same proportion.

    .. formula::

        λ ~ Beta(α, α)                  one per batch
        x'ᵢ = λ xᵢ + (1 − λ) xⱼ         j: the row in place i of a random permutation of the batch
        t'ᵢ = λ tᵢ + (1 − λ) tⱼ         with labels one-hot

    For losses that are linear in t (cross-entropies), the loss is then exactly λ ℓ(y, tᵢ) + (1 − λ) ℓ(y, t_π(i)). With
    sample weights, each term has its own weight: w'ᵢ = λ wᵢ + (1 − λ) w_π(i), and t' is mixed in that proportion.

    Parameters
    ----------
    alpha : float
        α > 0. The smaller it is, the closer λ is to 0 or 1. Usual values are 0.1 to 0.4; 1 makes λ uniform.

    Raises
    ------
    ValueError
        Before training, if the loss is not linear in the targets, as in regression.

    Source: Zhang, Cissé, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization" (2018), figure 1a.

    Examples
    --------
    >>> import chainrule as cr
    >>> batch = cr.training.batches.Batch(np.array([[0.0], [10.0], [20.0]]), np.eye(3), None)
    >>> Mixup(1.0).apply(batch, np.random.default_rng(0), cr.Memo())     # λ = 0.7; the second row met itself
    >>> batch.x.ravel().round(1), batch.t.round(2)
    (array([ 6., 10., 14.]), array([[0.7, 0. , 0.3],
           [0. , 1. , 0. ],
           [0.3, 0. , 0.7]]))
    """

    alpha: float = 0.2
    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_real("Mixup", "alpha", self.alpha, 0, open_low=True)

    def check(self, inputs: Shape, loss: Loss) -> None:
        if not loss.linear_in_targets:
            raise ValueError(
                f"{self!r}: expected a loss that is linear in the targets, such as SoftmaxCrossEntropy() for class "
                f"labels, got {loss!r}: a regression should not learn the mean of two targets."
            )

    def apply(self, batch: Batch, rng: np.random.Generator, memo: Memo) -> None:
        x, t, weight = batch
        n, ours = len(x), rng.beta(self.alpha, self.alpha)
        other = rng.permutation(n)
        if memo.x is None or len(memo.x) < n:
            memo.x, memo.t = np.empty_like(x), np.empty_like(t)
        first: Any = ours
        if weight is not None:
            mixed = ours * weight + (1 - ours) * weight[other]
            first = (ours * weight / np.where(mixed > 0, mixed, 1)).astype(t.dtype)[:, np.newaxis]
            weight[...] = mixed
        _mix(x, other, ours, memo.x[:n])
        _mix(t, other, first, memo.t[:n])


def _mix(values: Array, other: Array, share: Any, buffer: Array) -> None:
    """Let v ← v + (1 − λ) (v_π − v) in place."""
    values.take(other, axis=0, out=buffer, mode="clip")
    buffer -= values
    buffer *= 1 - share
    values += buffer


class Augmented:
    """A sequence of augmentations with their random generator and buffers, applied batch by batch.

    Parameters
    ----------
    parts : sequence of Augmentation
    inputs : tuple of int
        The shape of a sample.
    loss : Loss
    classes : int
        Number of classes if targets are labels, else 0.
    dtype : numpy.dtype
    rng : numpy.random.Generator

    Attributes
    ----------
    classes : int
        Number of probabilities that replace each label; 0 if targets are not converted.
    """

    def __init__(
        self,
        parts: Sequence[Augmentation],
        inputs: Shape,
        loss: Loss,
        classes: int,
        dtype: np.dtype[Any],
        rng: np.random.Generator,
    ) -> None:
        for part in parts:
            part.check(inputs, loss)
        self.rng, self.parts = rng, parts
        self.classes = classes if any(part.mixes for part in parts) else 0
        self._labels = 0 if self.classes else classes
        self._memos = [Memo() for _ in parts]
        self._t = np.empty((0, self.classes), dtype)

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch, changed in place; labels become probabilities if targets are mixed."""
        if self.classes:
            n = len(batch.t)
            if len(self._t) < n:
                self._t = np.empty((n, self.classes), self._t.dtype)
            t = self._t[:n]
            t.fill(0)
            t[np.arange(n), batch.t] = 1
            batch = Batch(batch.x, t, batch.weight)
        for part, memo in zip(self.parts, self._memos, strict=True):
            part.apply(batch, self.rng, memo)
        if self._labels and batch.t.view(np.uintp).max() >= self._labels:  # also catches negative ones
            raise ValueError(
                f"augment: expected labels from 0 to {self._labels - 1}, got {batch.t.min()} to {batch.t.max()} after "
                f"{', '.join(map(repr, self.parts))}."
            )
        return batch


def check_augmentations(augment: Any) -> list[Augmentation]:
    """Return the augmentations as a list; raise an error for objects that are not augmentations."""
    given: list[Any] = list(augment) if isinstance(augment, list | tuple) else [None]
    if not all(isinstance(part, Augmentation) for part in given):
        raise TypeError(f"augment: expected a list of augmentations such as [RandomShift(2)], got {augment!r}.")
    return given
