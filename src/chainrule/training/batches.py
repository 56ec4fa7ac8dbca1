"""Mini-batches: rows reshuffled every epoch and gathered into a reused buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from chainrule._internal.typing import Array, is_sparse
from chainrule.training.windows import window


@runtime_checkable
class Shuffler(Protocol):
    """Interface of objects that shuffle the rows: a numpy.random.Generator or a custom object."""

    def shuffle(self, x: Array, /) -> Any:
        """Change the order of x in place."""


class Batch(NamedTuple):
    """Rows x in the network's dtype, their targets and, if given, their weights."""

    x: Any  # sparse if X is
    t: Array
    weight: Array | None


@runtime_checkable
class Augmenter(Protocol):
    """Interface of :class:`chainrule.training.augmentation.Augmented`, which changes batches."""

    rng: np.random.Generator
    parts: Sequence[Any]  # the augmentations
    classes: int  # number of probabilities that replace each class label; 0 if targets are not converted

    def __call__(self, batch: Batch) -> Batch:
        """Return a batch, possibly the given one, changed in place."""


class Batches:
    """The mini-batches of successive epochs: the rows in ``order``, ``batch_size`` at a time.

    X is neither copied nor converted as a whole: each batch is gathered, and converted if its dtype differs from the
    network's. If the number of rows is not a multiple of the batch size, the last batch is smaller; it is not dropped.

    Parameters
    ----------
    X, t, weight : arrays with one entry per row
    rows : (used,) int array or None
        The rows to use; None for all.
    batch_size : int
    dtype : numpy.dtype
        That of the network.
    rng : numpy.random.Generator, Shuffler or None
        Its ``shuffle`` changes the order in place before every epoch. None keeps the order; batches are then views of X
        if the dtype allows.
    augment : Augmenter, optional
        Changes every batch, which is then a copy.

    Examples
    --------
    >>> X = np.arange(5, dtype="float32").reshape(5, 1)
    >>> batches = Batches(X, X[:, 0], None, None, 2, X.dtype, None)
    >>> [x.ravel().tolist() for x, t, weight in batches]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        X: Any,
        t: Array,
        weight: Array | None,
        rows: Array | None,
        batch_size: int,
        dtype: np.dtype[Any],
        rng: Shuffler | None,
        augment: Augmenter | None = None,
    ) -> None:
        self.X, self.t, self.weight, self.rng, self.augment = X, t, weight, rng, augment
        self.rows = X.shape[0] if rows is None else len(rows)
        self.batch_size = batch_size
        self.gathers = rng is not None or rows is not None or augment is not None
        self.order = np.arange(self.rows) if rows is None else rows.copy()
        self._unsigned, self._checked = self.order.view(np.uintp), False  # negative numbers become large
        self.sparse = is_sparse(X)
        self._window = window(X) if self.gathers and not self.sparse else None
        self._dtype = dtype
        self._x = np.empty((0 if self.sparse else batch_size, *X.shape[1:]), dtype)
        self._raw = None if X.dtype == dtype else np.empty((len(self._x), *X.shape[1:]), X.dtype)
        self._t = np.empty((batch_size, *t.shape[1:]), t.dtype)
        self._weight = None if weight is None else np.empty(batch_size, dtype)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return (self.rows + self.batch_size - 1) // self.batch_size

    def shuffle(self) -> None:
        """Shuffle the rows for the next epoch, and check the order, which compiled code uses as memory offsets.

        NumPy's own generators need no check: they permute.
        """
        if self.rng is not None:
            self.rng.shuffle(self.order)
        if self._window is not None:
            self._window.forget()
        if not self._checked or type(self.rng) not in {np.random.Generator, np.random.RandomState, type(None)}:
            if np.maximum.reduce(self._unsigned) >= self.X.shape[0]:
                wrong = self.order[(self.order < 0) | (self.order >= self.X.shape[0])][0]
                raise ValueError(
                    f"shuffle: expected the numbers of rows, 0 to {self.X.shape[0] - 1}, in another order, got {wrong}."
                )
            self._checked = True

    def __iter__(self) -> Iterator[Batch]:
        self.shuffle()
        return map(self.take, range(len(self)))

    def take(self, batch: int) -> Batch:
        """Return batch number ``batch`` of the current epoch, counted from 0. The next call overwrites it."""
        start = batch * self.batch_size
        stop = min(start + self.batch_size, self.rows)
        taken = self._take(start, stop) if self.gathers else self._slice(slice(start, stop))
        return taken if self.augment is None else self.augment(taken)

    @property
    def in_memory(self) -> bool:
        """Whether rows can be gathered one by one, at no cost for a disk."""
        return self._window is None

    def gather(self, start: int, stop: int) -> Any:
        """Return the rows of X from place ``start`` to ``stop`` in the order of this epoch."""
        if self._window is not None:
            return self._window.take(self.order, start, stop)
        return self.X[self.order[start:stop]]

    def room(self) -> tuple[Array, Array | None]:
        """Allocate arrays for the targets and weights of all rows, with the dtypes and shapes of the batches."""
        classes = self.augment.classes if self.augment else 0
        shape, dtype = ((classes,), self._dtype) if classes else (self.t.shape[1:], self.t.dtype)
        return np.empty((self.rows, *shape), dtype), None if self.weight is None else np.empty(self.rows, self._dtype)

    def _take(self, start: int, stop: int) -> Batch:
        index, n = self.order[start:stop], stop - start
        x, t = self._x[:n], self._t[:n]
        # take(): mode "raise" would fill a copy of out first, and an X that is not C-contiguous would be copied whole.
        if self.sparse:
            x = self.gather(start, stop).astype(self._dtype, copy=False)
        elif self._window is not None or not self.X.flags.c_contiguous:
            x[...] = self.gather(start, stop)
        elif self._raw is None:
            self.X.take(index, axis=0, out=x, mode="clip")
        else:
            x[...] = self.X.take(index, axis=0, out=self._raw[:n], mode="clip")
        self.t.take(index, axis=0, out=t, mode="clip")
        weight = None
        if self.weight is not None and self._weight is not None:
            weight = self.weight.take(index, out=self._weight[:n], mode="clip")
        return Batch(x, t, weight)

    def _slice(self, where: slice) -> Batch:
        x = self.X[where]
        if self.sparse:
            x = x.astype(self._dtype, copy=False)
        elif self._raw is not None:
            x = self._x[: len(x)]
            x[...] = self.X[where]
        return Batch(x, self.t[where], None if self.weight is None else self.weight[where])
