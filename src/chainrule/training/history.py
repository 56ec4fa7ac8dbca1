"""The training history: one row per epoch."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

from chainrule._internal.names import did_you_mean
from chainrule._internal.showing import Shown
from chainrule.files.writing import write_atomically


class History(Shown):
    """Training history: the measurements of every epoch.

    Columns: ``epoch`` (from 1); ``loss``, the mean training loss over the rows during the epoch; ``penalty``, the mean
    of the penalties, if any; ``val_loss`` and one ``val_`` column per metric, if there is a validation set;
    ``learning_rate`` at the end of the epoch; ``seconds`` for training and validation. ``loss`` and ``val_loss`` both
    exclude penalties, so they can be compared; L is ``loss + penalty``.

    Attributes
    ----------
    stopped : str
        Why training ended before its last epoch; empty if it did not.
    engine : str
        The engine that trained: "compiled", or "numpy" with the reason, such as
        "numpy: layer 1, Conv2D(8), has no compiled form".

    Examples
    --------
    >>> history = History(("epoch", "loss"))
    >>> history.append([1, 0.5]); history.append([2, 0.25])
    >>> history["loss"], history.last(), len(history)
    ([0.5, 0.25], {'epoch': 2, 'loss': 0.25}, 2)
    >>> history.to_dict()                     # pandas.DataFrame(history.to_dict()), polars.DataFrame(...)
    {'epoch': [1, 2], 'loss': [0.5, 0.25]}
    """

    engine = ""

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in columns}
        self.stopped = ""

    def append(self, row: Iterable[Any]) -> None:
        """Add one epoch, with its values in the order of the columns."""
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)

    def add(self, name: str, values: Iterable[Any]) -> None:
        """Add a column, with one value per recorded epoch."""
        column = list(values)
        if name in self._columns or len(column) != len(self):
            raise ValueError(f"history: expected a new column of {len(self)} values, got {name!r} with {len(column)}.")
        self._columns[name] = column

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def __getitem__(self, name: str) -> list[Any]:
        try:
            return self._columns[name]
        except KeyError:
            raise KeyError(f"no column {name!r} in this history. {did_you_mean(name, self._columns)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return len(self._columns["epoch"])

    def last(self) -> dict[str, Any]:
        """Return the last epoch as a dictionary."""
        return {name: values[-1] for name, values in self._columns.items()}

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a copy of the columns, for example for a DataFrame."""
        return {name: list(values) for name, values in self._columns.items()}

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns to a CSV file."""
        import csv  # noqa: PLC0415  (start-up time)

        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self._columns)
        writer.writerows(zip(*self._columns.values(), strict=True))
        write_atomically(path, text.getvalue().encode())

    def __repr__(self) -> str:
        end = f", stopped: {self.stopped}" if self.stopped else ""
        return f"History({len(self)} epoch{'s' * (len(self) != 1)}: {', '.join(self._columns)}{end})"
