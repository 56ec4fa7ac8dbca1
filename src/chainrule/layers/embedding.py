"""Embeddings of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from chainrule._internal.backend import empty, host, like
from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array, Float, Int
from chainrule.initializers import Fans, Initializer, Normal
from chainrule.layers.base import Layer, as_initializer
from chainrule.memo import Memo
from chainrule.parameters import Parameter, Shape

__all__ = ["Embedding"]

MAX_INPUTS = 1_000_000  # columns of x; some lists of them are made before there is any x


@final
@dataclass(eq=False, repr=False)
class Embedding(Layer):
    """Embedding: a column of category numbers is replaced by a learned vector for each category.

    .. formula::

        y = [the other columns of x, W₀[x₀], W₁[x₁], …]       W stacks the tables of all columns

        dW[k] = Σ dy           over the rows and columns with category k
        dx = dy                for the other columns, 0 for these: there is no derivative with respect to a category

    Equivalent to a product of one-hot rows with W, without the zeros.

    Parameters
    ----------
    categories : int or sequence of int
        Number of categories, which are numbered 0 … categories − 1. A sequence has one number per column, and each
        column has its own table. With an int, all columns share one table, like the words of a text.
    size : int
        Length of the vectors.
    columns : sequence of int, optional
        The columns of x that hold categories; all by default.
    weights : Initializer or str, optional
        Initializer of W; ``Normal(0.05)`` by default.

    Attributes
    ----------
    W : (rows of all tables, size) array

    Raises
    ------
    ValueError
        If x lacks a column, or for an invalid category, with its row and column. Checked before training begins.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(3, [Embedding([7], 2, columns=[1])], "squared_error", seed=0)
    >>> network.layers[0].output_shape                     # two other columns and one vector of length 2
    (4,)
    >>> network.predict([[0.5, 6, 2.0]])[0, :2]
    array([0.5, 2. ], dtype=float32)

    Notes
    -----
    ``Embedding`` in Keras and PyTorch corresponds to ``categories`` as an int and accepts only integers. There, y has a
    separate axis for the columns; here, add ``Reshape((columns, size))`` after this layer.

    Source: Bengio et al., "A neural probabilistic language model" (2003); for tables, Guo and Berkhahn, "Entity
    embeddings of categorical variables" (2016).
    """

    categories: int | Sequence[int]
    size: int
    columns: Sequence[int] | None = None
    weights: Initializer | str = Normal(0.05)  # noqa: RUF009  (frozen)

    W: Float[Array, "rows size"] = field(init=False)

    def __post_init__(self) -> None:
        self.size = check_count("Embedding", "size", self.size)
        if isinstance(self.categories, Sequence):
            self.categories = tuple(check_count("Embedding", "categories", n) for n in self.categories)
        else:
            self.categories = check_count("Embedding", "categories", self.categories)
        if self.columns is not None:
            self.columns = tuple(check_count("Embedding", "columns", n, 0) for n in self.columns)
            if len(set(self.columns)) < len(self.columns) or not self.columns:
                raise ValueError(f"Embedding: columns: expected different columns, got {self.columns}.")
        self.weights = as_initializer("weights", self.weights, needed=True)  # type: ignore[assignment]

    def output(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError("expects rows of numbers, shape (inputs,)")
        if input_shape[0] > MAX_INPUTS:
            raise ValueError(f"expects at most {MAX_INPUTS} inputs")
        chosen = tuple(range(input_shape[0])) if self.columns is None else self.columns
        if max(chosen) >= input_shape[0]:
            raise ValueError(f"expects at least {max(chosen) + 1} inputs, for column {max(chosen)}")
        many = self.categories if isinstance(self.categories, tuple) else (self.categories,) * len(chosen)
        if len(many) != len(chosen):
            raise ValueError(f"expects {len(many)} columns, one for each number in categories")
        self._chosen = np.array(chosen)
        self._others = np.setdiff1d(np.arange(input_shape[0]), self._chosen)
        self._many = np.array(many)
        first = np.cumsum([0, *many[:-1]]) if isinstance(self.categories, tuple) else np.zeros(len(many))
        self._first = first.astype(np.int64)  # first row of each column's table
        return (len(self._others) + len(chosen) * self.size,)

    def parameters(self) -> dict[str, Parameter]:
        rows = int(self._first[-1] + self._many[-1])
        return {"W": Parameter((rows, self.size), self.weights, Fans(rows, self.size))}  # type: ignore[arg-type]

    def integer_columns(self) -> dict[int, int]:
        return dict(zip(self._chosen.tolist(), self._many.tolist(), strict=True))

    def forward(self, x: Float[Array, "batch inputs"], memo: Memo) -> Float[Array, "batch outputs"]:
        memo.rows = self._rows(x[:, self._chosen], self._chosen, "the batch")
        y = empty((len(x), *self.output_shape), x) if memo.y is None else memo.y
        others = len(self._others)
        y[:, :others] = x[:, self._others]
        y[:, others:] = self.W[memo.rows].reshape(len(x), -1)  # W[x]
        return y

    def backward(self, dy: Float[Array, "batch outputs"], memo: Memo) -> Float[Array, "batch inputs"] | None:
        others = len(self._others)
        memo.dW = np.zeros_like(self.W) if memo.dW is None else memo.dW
        memo.dW[...] = 0
        rows, errors = memo.rows.ravel(), dy[:, others:].reshape(-1, self.size)
        order = np.argsort(rows, kind="stable")
        there, starts = np.unique(rows[order], return_index=True)
        memo.dW[there] = np.add.reduceat(errors[order], starts, axis=0)  # dW[k] = Σ dy of category k
        if not memo.dx_wanted:
            return None
        dx = empty((len(dy), *self.input_shape), dy) if memo.dx is None else memo.dx
        dx[...] = 0
        dx[:, self._others] = dy[:, :others]
        return dx

    def check_rows(self, X: Array, columns: Int[Array, "inputs"], name: str) -> Int[Array, "outputs"]:
        """Raise an error for an invalid category in any row of X; return the columns of X that y contains.

        ``columns`` has the index in X of each column of x. Entries of a vector have none: −1.
        """
        wanted = columns[self._chosen]
        if (wanted >= 0).all():
            self._rows(X[:, wanted].astype(self.W.dtype, copy=False), wanted, name)
        return np.append(columns[self._others], np.full(len(wanted) * self.size, -1))

    def _rows(self, given: Array, columns: Int[Array, "columns"], name: str) -> Array:
        """Return the rows of W for these columns; raise an error for an invalid category."""
        with np.errstate(invalid="ignore"):
            numbers = given.astype(np.int64)
        wrong = (numbers != given) | (numbers < 0) | (numbers >= like(self._many, given))
        if wrong.any():
            row, column = host(np.argwhere(wrong))[0]
            raise ValueError(
                f"Embedding: expected categories 0 ... {self._many[column] - 1} in column {columns[column]}, got "
                f"{float(given[row, column]):g} in row {row} of {name}. "
                "Number the categories first, for example with OrdinalEncoder."
            )
        return numbers + like(self._first, numbers)
