"""The fit of a table's pipeline to its training rows: the preparation, and the networks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from chainrule._internal.typing import Array
from chainrule.tables import models, positive
from chainrule.tables.inputs import prepared
from chainrule.tables.loading import Loaded
from chainrule.tables.options import Options
from chainrule.tables.preparation import preparation
from chainrule.tables.schema import Schema
from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.training.ranks import Ranks, Reduce


class Fitted(NamedTuple):
    """A fitted pipeline, the history and the arguments of its estimator, and notes on what was decided."""

    pipeline: Pipeline
    history: History
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()


def fit(
    given: Options,
    loaded: Loaded,
    *,
    callbacks: Sequence[Callback] = (),
    resume: str | os.PathLike[str] | None = None,
    show: Callable[[Any], Any] | None = None,
    started: Callable[[tuple[str, ...]], Any] | None = None,
    reduce: Reduce | None = None,
) -> Fitted:
    """Fit the pipeline to the training rows of a table; ``started`` gets the notes before the network is trained.

    With ``reduce``, this process prepares and learns its share of the rows.
    """
    schema, y, rows, rows_val = loaded.schema, loaded.y, loaded.train, loaded.validation
    single, ranks, share = given.single, Ranks(reduce), None
    if ranks.size > 1 and not single:
        raise ValueError("reduce: an ensemble is trained in one process: give fast=True or stream=True.")
    arguments = given.arguments(len(rows), schema.task)
    prepare = preparation(schema.columns, len(rows), given.seed, scaled=single)
    if ranks.size > 1:
        classes = y[rows] if schema.is_classification and y.ndim == 1 else None
        share = ranks.deal(len(rows), classes), ranks.deal(len(rows_val))
    X, X_val = prepared(prepare, loaded, given.seed, show, np.float32 if single else np.float64, share)
    everyone = y[rows]
    if share is not None:
        rows, rows_val = rows[share[0]], rows_val[share[1]]
    weight = loaded.weights(rows)
    scaler: Any = None
    notes: tuple[str, ...] = ()
    if single and schema.task == "regression":
        scaler, notes = positive.choose(X, y[rows], X_val, y[rows_val], arguments)
        scaler = positive.agreed(scaler, ranks)
        scaler.fit(everyone.reshape(len(everyone), -1))
    if started is not None:
        started(notes)

    def scaled(y: Array) -> Array:
        return y if scaler is None else scaler.transform(y.reshape(len(y), -1)).reshape(y.shape)

    if single:
        network = models.network(schema.task, arguments, given.patience, [*callbacks])
        model = getattr(network, "regressor", network)
        batch_size = model.batch_size
        model.set_params(resume=resume, batch_size=_of_a_rank(model.batch_size, ranks))
        model._reduce = reduce  # noqa: SLF001  (no parameter: it is not a property of the model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the schedule ends with the last epoch, on purpose
            model.fit(X, scaled(y[rows]), sample_weight=weight, X_val=X_val, y_val=scaled(y[rows_val]))
        model.set_params(resume=None, batch_size=batch_size)  # later fits start over, in one process
        del model._reduce  # noqa: SLF001
        if scaler is not None:
            models.put_inside(network, model, scaler, y.ndim)
        else:
            notes = (*notes, *_thresholds(model, schema))
    else:
        network = model = models.ensemble(schema.task, arguments, progress=show or False, checkpoint=resume)
        model.fit(X, y[rows], sample_weight=weight, groups=loaded.groups())
        model.set_params(progress=False, checkpoint=None)
        notes = (*notes, *_thresholds(model, schema))
    pipeline = Pipeline([("prepare", prepare), ("network", network)])
    return Fitted(pipeline, model.history_, arguments, notes)


def _of_a_rank(batch_size: Any, ranks: Ranks) -> Any:
    """Return how many rows of a batch are a rank's."""
    return batch_size if batch_size == "auto" or ranks.size == 1 else max(1, batch_size // ranks.size)


def _thresholds(model: Any, schema: Schema) -> tuple[str, ...]:
    """Return a note on the thresholds of the classes, if there are any."""
    thresholds = None if schema.task == "regression" else models.thresholds(model)
    if thresholds is None:
        return ()
    if schema.task == "binary":
        which = f"{schema.classes[1]!r} is predicted where its probability is above {thresholds[1]:.3g}"
    else:
        names = [column.name for column in schema.targets] if schema.task == "multilabel" else schema.classes
        each = ", ".join(f"{name} {t:.3g}" for name, t in zip(names, thresholds, strict=True))
        how = "a label is predicted where its probability is above"
        which = f"{how if schema.task == 'multilabel' else 'each probability is divided by'} its threshold ({each})"
    if not models.is_ensemble(model):
        return (f"{which}.",)
    metric = {"f1": "F1 score"}.get(model.eval_metric, "balanced accuracy")
    why = "as asked" if model.threshold else f"the best {metric} on the rows that each network was not trained on"
    return (f"{which}: {why}.",)
