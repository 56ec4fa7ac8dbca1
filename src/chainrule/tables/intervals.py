"""Prediction intervals for a regression, from the errors on held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.values import ModelFileError, shown

KEPT = 1000  # errors


@dataclass(frozen=True)
class Widths:
    """The sorted absolute errors on the held-out rows, at most 1000 of them.

    Parameters
    ----------
    rows : int
        The number of held-out rows.
    ranks : tuple of int
        The ranks of the kept errors among all, from 1.
    values : tuple of float, or of tuples
        Their sizes; for several targets, a tuple for each.
    """

    rows: int = 0
    ranks: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, y: Array, predictions: Array) -> Widths:
        """Return the errors of predictions."""
        errors = np.sort(np.abs(y - predictions).astype(float), axis=0)
        ranks = np.unique(np.ceil(np.linspace(1, len(errors), min(KEPT, len(errors)))).astype(int))
        values = errors[ranks - 1]
        each = tuple(map(tuple, values.T.tolist())) if y.ndim == 2 else tuple(values.tolist())
        return cls(len(errors), tuple(ranks.tolist()), each)

    def half(self, share: float) -> Any:
        """Return half the width of intervals that contain a share of new values; for several targets, an array.

        With n held-out rows, this is their k-th smallest absolute error, k = ⌈(n + 1) · share⌉. If the new rows are
        exchangeable with them, an interval contains the true value with a probability of at least ``share``.

        Source: split conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005);
        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-Free Predictive Inference for Regression" (2018).

        >>> Widths(9, tuple(range(1, 10)), tuple(i / 10 for i in range(1, 10))).half(0.8)
        0.8
        """
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(f"interval: expected a share between 0 and 1, such as 0.9, got {share!r}.")
        rank = math.ceil(round((self.rows + 1) * share, 9))
        if rank > self.rows:
            most = self.rows / (self.rows + 1)
            raise ValueError(
                f"interval: {share:g} needs at least {math.ceil(round(share / (1 - share), 9))} held-out rows, and "
                + (
                    f"there are {self.rows}: give {math.floor(100 * most) / 100:g} or less."
                    if self.rows
                    else "there are none."
                )
            )
        place = next(i for i, at in enumerate(self.ranks) if at >= rank)
        return np.array([of[place] for of in self.values]) if self._several else self.values[place]

    @property
    def _several(self) -> bool:
        return bool(self.values) and isinstance(self.values[0], tuple)

    def percents(self) -> tuple[Any, ...]:
        """Return half the width for 1 %, 2 %, ..., up to 99 % if there are enough rows.

        >>> Widths(9, tuple(range(1, 10)), tuple(i / 10 for i in range(1, 10))).percents()[79:]
        (0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9)
        """
        most = min(99, 100 * self.rows // (self.rows + 1))
        return tuple(self.half(percent / 100) for percent in range(1, most + 1))

    def to_json(self) -> dict[str, Any]:
        """Return the errors as JSON."""
        values = list(map(list, self.values)) if self._several else list(self.values)
        return {"rows": self.rows, "ranks": list(self.ranks), "values": values}

    @classmethod
    def from_json(cls, data: Any, targets: int = 1) -> Widths:
        """Return the errors from what :meth:`to_json` wrote, after a check."""
        good = isinstance(data, dict) and data.keys() == {"rows", "ranks", "values"}
        good = good and all(isinstance(data[name], list) for name in ("ranks", "values"))
        good = good and all(type(rank) is int and 0 <= rank < 2**63 for rank in (data["rows"], *data["ranks"]))
        several = good and bool(data["values"]) and all(isinstance(of, list) for of in data["values"])
        each = (data["values"] if several else [data["values"]]) if good else []
        good = good and all(type(value) is float and 0 <= value < math.inf for of in each for value in of)
        good = good and all(len(data["ranks"]) == len(of) <= KEPT and sorted(of) == of for of in each)
        good = good and (not data["rows"] or len(each) == targets)
        if not good or data["ranks"] != sorted(set(data["ranks"])) or (data["ranks"] or [0])[-1] != data["rows"]:
            raise ModelFileError(f"the residuals in config.json are damaged: {shown(data)}.")
        return cls(data["rows"], tuple(data["ranks"]), tuple(map(tuple, each)) if several else tuple(each[0]))
