"""The contributions of the columns to the prediction for one row, in bounded time."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chainrule.serve import bodies
from chainrule.serve.answers import Answer, refused, tried
from chainrule.serve.bounds import RefusedError, shortened
from chainrule.tables.serving.contributions import contributions
from chainrule.tables.serving.model import TableModel

WAITING = 16  # explanations that are asked for at the same time
EVALUATIONS, ROWS = 2**12, 20  # predictions for one explanation, about, and rows of its background: some 50 ms
COLUMNS = 1000  # for which one takes seconds


class Explanations:
    """Explains requests one by one: the work of a :class:`~chainrule.serve.batching.Batcher` of its own.

    The background is drawn from the distributions of training, always the same.
    """

    def __init__(self, model: TableModel) -> None:
        self._model = model

    def __call__(self, requests: Sequence[bodies.Request]) -> list[Answer | Exception]:
        """Return an answer, or an exception, for each request."""
        return [tried(self._explained, request) for request in requests]

    def _explained(self, request: bodies.Request) -> Answer:
        schema = self._model.schema
        if self._model.reference is None:
            raise RefusedError(422, "the model was saved without the distributions of training: train it again.")
        if len(schema.used) > COLUMNS:
            raise RefusedError(422, f"the model has {len(schema.used):,} columns: at most {COLUMNS:,} are explained.")
        rows, count, _ = bodies.read(request, schema, 1)
        try:
            self._model.read(rows)
            notes = [shortened(note) for note in self._model.notes]
            found = contributions(self._model, rows, label=request.label, rows=ROWS, evaluations=EVALUATIONS)
        except ValueError as error:
            raise refused(error, schema, count) from None
        answer = {
            "about": found.about,
            "base": found.base,
            "prediction": found.prediction,
            "exact": not found.orders,
            "contributions": [
                {"column": one.column, "contribution": one.amount, "standard_error": one.standard_error}
                for one in found.columns
            ],
            "notes": notes,
        }
        return Answer(json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"), 0)
