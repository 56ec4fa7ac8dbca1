"""The inputs of a table's network: the inputs of given rows, the names of inputs, and made-up rows to check it with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.files.values import ModelFileError, shown
from chainrule.tables import models
from chainrule.tables._polars import pl
from chainrule.tables.casting import cast
from chainrule.tables.checking import Checker, empty_row
from chainrule.tables.fitted_model import seen_values
from chainrule.tables.fitted_steps import first_step
from chainrule.tables.formats import HOLE
from chainrule.tables.result import SavedRun, Trained
from chainrule.tables.schema import Column

RARE = "infrequent_sklearn"  # scikit-learn's name for the input of rare and new categories


def prepared(run: SavedRun, frame: pl.DataFrame, numbers: Array | None = None) -> tuple[Array, tuple[str, ...]]:
    """Return the inputs of the network (rows, inputs) for rows as read, and notes on them.

    ``numbers`` are their row numbers in the file, for error messages; 1, 2, 3, ... by default.
    """
    checker = Checker(run.schema, seen=seen_values(run.pipeline), numbers=numbers)
    try:
        rows = cast(checker(frame), run.schema.columns)
    except ValueError as error:
        raise ValueError(str(error).replace(", or pass --coerce", "")) from None
    try:
        X = np.asarray(run.pipeline[0].transform(rows))
    except Exception as error:  # noqa: BLE001  (scikit-learn and skrub raise anything for bad attributes)
        raise ModelFileError(f"the pipeline is damaged: it cannot prepare these rows ({shown(error)}).") from None
    return X, checker.notes()


def as_learned(run: SavedRun, y: Array) -> Array:
    """Return y of rows as the network's loss takes it: scaled numbers, class indices, or 0 and 1."""
    schema, model = run.schema, run.pipeline[-1]
    if schema.task == "regression" and models.is_ensemble(model):
        return np.asarray(model.ensemble_.unit.standardized(np.asarray(y, np.float64).reshape(len(y), -1)))
    if schema.task == "regression":
        return np.asarray(model.transformer_.transform(np.asarray(y, np.float64).reshape(len(y), -1)))
    if schema.task == "multilabel":
        return np.asarray(y)
    number = {label: i for i, label in enumerate(schema.classes)}
    which = np.array([number[label] for label in np.asarray(y).tolist()], int)
    one_output = schema.task == "binary" and not models.is_ensemble(model)
    return which.reshape(-1, 1) if one_output else which


def names(run: SavedRun | Trained) -> list[tuple[str, str]]:
    """Return for each input its column, and its meaning there: "" for the number itself.

    For example, ``("age", ""), ("age", "is missing"), ("port", "= S"), ("born", "year")``.
    """
    try:
        found = [name for part in run.pipeline[0].transformers_ for name in _names(run, *part)]
        start = {column.name: i for i, column in enumerate(run.schema.used)}
        known = all(name in start for name, _ in found)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"the pipeline is damaged: its inputs have no names ({shown(error)}).") from None
    if not known:
        raise ModelFileError("the pipeline is damaged: its inputs do not match the columns of the schema.")
    return found


def encoded_names(model: Any, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the same for what the networks of an estimator take: an ensemble encodes the inputs once more."""
    if not models.is_ensemble(model):
        return names
    encoding = model.ensemble_.encoding
    missing = [(names[i][0], f"{names[i][1]} is missing".strip()) for i in encoding.missing]
    bins = [(names[i][0], f"{names[i][1]} part {k}".strip())
            for i, q in zip(encoding.encoded, encoding.quantiles, strict=True) for k in range(1, len(q))]  # fmt: skip
    return [*names, *missing, *bins]


def _names(run: SavedRun | Trained, part: str, fitted: Any, which: Any) -> list[tuple[str, str]]:
    """Return the names of the inputs from one part of the preparation."""
    if part == "category":
        return _categories(fitted, which)
    if part == "many":
        schema = run.schema
        labels = [f" = {label}" for label in schema.classes] if schema.task == "multiclass" else [""]
        return [(name, f"mean of {schema.targets[0].name}{label}") for name in which for label in labels]
    if part == "date":
        encoder = first_step(fitted)
        outputs = {name: encoder.transformers_[name].get_feature_names_out() for name in which}
        return [(name, str(o).removeprefix(f"{name}_").replace("_", " ")) for name in which for o in outputs[name]]
    if part.startswith("text"):
        return [(str(which), f"words, direction {i}") for i in range(fitted[-1].n_features_in_)]
    yes = {column.name: f"= {column.categories[1]}" for column in run.schema.used if column.kind == "yes/no"}
    if part == "missing":
        yes = {}
    what = {"number": "", "yes-no": "", "missing": "is missing", "hole": "is missing"}  # "hole" in older files
    return [(name, yes.get(name, "") or what[part]) for name in which if part != "remainder"]


def _categories(encoder: Any, which: Any) -> list[tuple[str, str]]:
    labels, at, found = encoder.get_feature_names_out(), 0, []
    for name, known, rare in zip(which, encoder.categories_, encoder.infrequent_categories_, strict=True):
        count = len(known) if rare is None else len(known) - len(rare) + 1
        for label in labels[at : at + count]:
            category = str(label).removeprefix(f"{name}_")
            what = {RARE: "is rare or new", HOLE: "is missing"}.get(category, f"= {category}")
            found.append((name, what))
        at += count
    return found


def made_up(run: SavedRun, rows: int, seed: int = 0) -> pl.DataFrame:
    """Return random rows with values in the range of the training rows, or from their categories."""
    rng, seen = np.random.default_rng(seed), seen_values(run.pipeline)
    try:
        columns = [
            _made_up(column, seen.get(column.name, ()), empty.dtype, rows, rng).alias(column.name)
            for empty, column in zip(empty_row(run.schema), run.schema.used, strict=True)
        ]
        return pl.DataFrame(columns)
    except (ArithmeticError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise ModelFileError(f"the schema is damaged: its ranges have no values ({shown(error)}).") from None


def _made_up(column: Column, seen: Any, dtype: Any, rows: int, rng: np.random.Generator) -> pl.Series:
    if column.kind == "date":
        low, high = (dt.datetime.fromisoformat(str(end)).replace(tzinfo=None) for end in (column.low, column.high))
        return pl.Series([low + (high - low) * share for share in rng.random(rows).tolist()], dtype=pl.Datetime("us"))
    if column.kind == "number" and column.low is not None and column.high is not None:
        numbers = rng.uniform(float(column.low), float(column.high), rows)
        return pl.Series(numbers.round() if column.read_as == "whole" else numbers)
    known = [*(column.categories or seen)] or [None]  # free text: missing
    texts = pl.Series([known[i] for i in rng.integers(0, len(known), rows)], dtype=pl.String)
    return texts.str.to_lowercase() == "true" if dtype == pl.Boolean else texts.cast(dtype, strict=False)
