"""A fitted pipeline as predictions need it: its inputs, its outputs, and the values that it knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables import models
from chainrule.tables.fitted_steps import first_step, prepared
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.result import SavedRun, Trained
from chainrule.tables.schema import Schema


class FittedModel:
    """The parts of a run that predict frames.

    Attributes
    ----------
    seen : dict of str to list of str
        The known values of each high-cardinality column.
    inputs : int
        The number of inputs.
    least : float, or array (targets,)
        The least number that is predicted: 0 or -∞.
    """

    def __init__(self, run: SavedRun | Trained) -> None:
        self._schema, self._network = run.schema, run.pipeline[-1]
        self.prepare = prepared(run.pipeline[0], run.schema)
        self.seen = seen_values(run.pipeline)
        self.inputs = int(getattr(models.inside(self._network), "n_features_in_", len(run.schema.used)))
        self._widths = run.widths

    def half(self, coverage: float) -> Any:
        """Return half the width of intervals with this coverage."""
        return self._widths.half(coverage)

    def outputs(self, X: Array) -> tuple[Array, Array | None]:
        """Return the predictions for prepared rows, as :func:`outputs` does."""
        return outputs(self._network, self._schema, X)

    @property
    def least(self) -> Any:
        if models.is_ensemble(self._network):
            return np.where(self._network.ensemble_.unit.low >= 0, 0.0, -np.inf)
        return 0.0 if isinstance(self._network.transformer_, PositiveTarget) else -np.inf


def seen_values(pipeline: Any) -> dict[str, list[str]]:
    """Return the known values of each high-cardinality column."""
    for name, fitted, names in pipeline[0].transformers_:
        if name == "many":
            known = first_step(fitted).categories_
            return {column: list(map(str, seen)) for column, seen in zip(names, known, strict=True)}
    return {}


def outputs(network: Any, schema: Schema, X: Array) -> tuple[Array, Array | None]:
    """Return predictions (numbers, class indices, or 0 and 1 for each label) and probabilities (None for numbers)."""
    if schema.task == "regression":
        return network.predict(X), None
    p = network.predict_proba(X)
    limits = models.thresholds(network)
    if schema.task == "multilabel":
        return (p > (0.5 if limits is None else limits)).astype(int), p
    return (p if limits is None else p / limits).argmax(axis=1), p
