"""Predictions for several requests in one pass, each of which is read and answered apart from the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.serve import bodies
from chainrule.serve.bounds import RefusedError
from chainrule.tables.schema import Schema
from chainrule.tables.serving.model import TableModel


class Answer(NamedTuple):
    """The body of an answer, and the number of its rows."""

    body: bytes
    rows: int


class _Read(NamedTuple):
    request: bodies.Request
    columns: Mapping[str, Array]
    rows: int
    interval: float | None
    notes: tuple[str, ...]


class Answers:
    """Answers requests: the work of a :class:`~chainrule.serve.batching.Batcher`.

    Parameters
    ----------
    model : TableModel
    most : int
        Rows of a request.
    """

    def __init__(self, model: TableModel, most: int) -> None:
        self._model, self._most = model, most

    def __call__(self, requests: Sequence[bodies.Request]) -> list[Answer | Exception]:
        """Return an answer, or an exception, for each request."""
        read = [tried(self._read, request) for request in requests]
        answers = iter(self._together([one for one in read if isinstance(one, _Read)]))
        return [next(answers) if isinstance(one, _Read) else one for one in read]

    def _read(self, request: bodies.Request) -> _Read:
        rows, count, interval = bodies.read(request, self._model.schema, self._most)
        try:
            columns = self._model.read(rows)
        except ValueError as error:
            raise refused(error, self._model.schema, count) from None
        return _Read(request, columns, count, interval, self._model.notes)

    def _together(self, read: Sequence[_Read]) -> list[Answer | Exception]:
        """Return the answers for requests, from one pass; if it fails, one by one."""
        if not read:
            return []
        try:
            columns = {name: np.concatenate([one.columns[name] for one in read]) for name in read[0].columns}
            y, p = self._model.predictions(columns)
        except Exception as error:  # noqa: BLE001  (of one request, it must not be the others')
            return [error] if len(read) == 1 else [self._together([one])[0] for one in read]
        ends = np.cumsum([one.rows for one in read]).tolist()
        return [
            tried(self._answer, one, y[end - one.rows : end], None if p is None else p[end - one.rows : end])
            for one, end in zip(read, ends, strict=True)
        ]

    def _answer(self, read: _Read, y: Array, p: Array | None) -> Answer:
        if bad := np.flatnonzero(~np.isfinite((y if p is None else p).reshape(len(y), -1).sum(axis=1))).tolist():
            raise RefusedError(422, f"row {bad[0] + 1} has no finite prediction.", row=bad[0] + 1, rows=read.rows)
        entries = self._numbers(y, read) if p is None else self._classes(y, p)
        body = bodies.written(entries, read.notes, self._model.schema, as_csv=read.request.wants_csv)
        return Answer(body, read.rows)

    def _numbers(self, y: Array, read: _Read) -> list[dict[str, Any]]:
        found = {"prediction": y}
        if read.interval is not None:
            try:
                found["low"], found["high"] = self._model.interval(y, read.interval)
            except ValueError as error:
                raise RefusedError(400, str(error)) from None
        if y.ndim == 1:
            return _entries(found)
        names = [column.name for column in self._model.schema.targets]
        each = [_entries({name: values[:, i] for name, values in found.items()}) for i in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*each, strict=True)]

    def _classes(self, y: Array, p: Array) -> list[dict[str, Any]]:
        schema = self._model.schema
        if schema.task == "multilabel":
            values = [column.categories for column in schema.targets]
            return [
                {
                    column.name: {"prediction": of[at], "probabilities": {of[0]: 1 - share, of[1]: share}}
                    for column, of, at, share in zip(schema.targets, values, chosen, shares, strict=True)
                }
                for chosen, shares in zip(y.tolist(), p.tolist(), strict=True)
            ]
        names = [str(label) for label in schema.classes]
        return [
            {"prediction": label, "probabilities": dict(zip(names, shares, strict=True))}
            for label, shares in zip(y.tolist(), p.tolist(), strict=True)
        ]


def _entries(found: dict[str, Array]) -> list[dict[str, Any]]:
    """Return a dictionary for each row, from arrays by name."""
    return [dict(zip(found, row, strict=True)) for row in np.stack([*found.values()], axis=1).tolist()]


def refused(error: ValueError, schema: Schema, count: int) -> RefusedError:
    """Return the refusal of rows with the sentence of the reader, and the column and row that it names."""
    sentence = str(error)
    names = [column.name for column in schema.used]
    of_value = [name for name in names if sentence.startswith(f"{name!r} ")]
    absent = [name for name in names if sentence.startswith((f"The column {name!r} ", f"The columns {name!r}, "))]
    field = max(of_value or absent, key=len, default=None)
    row = re.match(r".{,99}?, but row (\d+) has ", sentence[len(repr(field)) :]) if of_value else None
    return RefusedError(422, sentence, field=field, row=int(row[1]) if row else None, rows=count)


def tried(work: Callable[..., Any], *given: Any) -> Any:
    """Return a result, or the exception."""
    try:
        return work(*given)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer to one request)
        return error
