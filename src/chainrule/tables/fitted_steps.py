"""The steps of a fitted preparation: what a ColumnTransformer computes, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables._polars import pl
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.steps import Dates, Filled, Lookup, Missing, Numbers, Squashed, Step, Words

NONE_OF_THEM = "\0"  # text that is not a category


def steps_of(prepare: Any, schema: Schema) -> list[Step]:
    """Return the steps of a fitted :func:`~chainrule.tables.preparation.preparation`, in the order of its inputs."""
    columns = {column.name: column for column in schema.used}
    found: list[Step] = []
    for name, fitted, which in prepare.transformers_:
        names = (which,) if isinstance(which, str) else tuple(which)
        if name in ("category", "many"):
            found += _looked_up(fitted, [columns[one] for one in names])
        elif name == "yes-no":
            found.append(Filled(names, np.array(fitted.statistics_, np.float64)))
        elif name in ("missing", "hole"):  # "hole" in older files
            found.append(Missing(names))
        elif name == "date":
            found.append(_dates(fitted, names))
        elif name.startswith("text-"):
            _, weighted, reduced, scaled = (step for _, step in fitted.steps)
            arrays = (weighted.idf_, reduced.components_, scaled.mean_, scaled.scale_)
            found.append(Words(names, *(np.array(array, np.float64) for array in arrays)))
        else:
            scaler = first_step(fitted) if hasattr(fitted, "steps") else None  # an ensemble scales its inputs itself
            found.append(Numbers(names) if scaler is None else Squashed(names, *_scales(scaler)))
    return found


def prepared(prepare: Any, schema: Schema) -> Callable[[pl.DataFrame], Array]:
    """Return a fitted preparation as a faster function of a frame, which looks categories up."""
    columns = {column.name: column for column in schema.used}
    parts: list[Callable[[pl.DataFrame], Array]] = []
    for name, fitted, which in prepare.transformers_:
        if name in ("category", "many"):
            parts += [partial(_rows_of, step) for step in _looked_up(fitted, [columns[one] for one in which])]
        else:
            parts.append(partial(_transformed, fitted, which))
    return lambda frame: np.hstack([part(frame) for part in parts])


def of_frames(steps: Sequence[Step]) -> Callable[[pl.DataFrame], Array]:
    """Return the steps of a model file as a function of a frame, as :func:`prepared` does for a pipeline."""
    return lambda frame: np.hstack([_computed(step, frame) for step in steps])


def _computed(step: Step, frame: pl.DataFrame) -> Array:
    if isinstance(step, Lookup):
        return _rows_of(step, frame)
    return step({name: _array(frame[name]) for name in step.columns})


def _array(values: pl.Series) -> Array:
    """Return the values of a column as steps take them: dates are seconds since 1970."""
    if values.dtype.is_temporal():
        return values.dt.timestamp("us").to_numpy() / 1e6
    return values.to_numpy()


def _rows_of(step: Lookup, frame: pl.DataFrame) -> Array:
    """Return the row of the lookup table for each value of a column."""
    (name,), others = step.columns, len(step.keys)
    index = frame[name].cast(pl.Enum(step.keys), strict=False).to_physical().cast(pl.UInt32).fill_null(others)
    return np.asarray(step.table[index.to_numpy()])


def _transformed(fitted: Any, which: Any, frame: pl.DataFrame) -> Array:
    return np.asarray(fitted.transform(frame[which]))


def first_step(fitted: Any) -> Any:
    """Return the encoder of a part of the preparation: the first step where the part is a pipeline."""
    return fitted[0] if hasattr(fitted, "steps") else fitted


def _scales(scaler: Any) -> tuple[Array, Array, float]:
    """Return the center, the factor and the bound of a SquashingScaler."""
    center, factor = np.zeros((2, len(scaler.robust_cols_)))
    if scaler.robust_scaler_ is not None:
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        factor[scaler.robust_cols_] = 1 / scaler.robust_scaler_.scale_
    if scaler.minmax_scaler_ is not None:
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        factor[scaler.minmax_cols_] = scaler.minmax_scaler_.scale_
    return center, factor, float(scaler.max_absolute_value)


def _dates(fitted: Any, names: tuple[str, ...]) -> Dates:
    encoders = first_step(fitted).transformers_
    parts = tuple(tuple(encoders[name].extracted_features_) for name in names)
    center, factor, most = _scales(fitted[1]) if hasattr(fitted, "steps") else (np.zeros(0), np.zeros(0), 1.0)
    return Dates(names, parts, center, factor, most)


def _looked_up(fitted: Any, columns: Sequence[Column]) -> list[Lookup]:
    """Return a table of the outputs for each value, which the transformer itself computes."""
    keys = [[str(value) for value in first_step(fitted).categories_[i]] for i in range(len(columns))]
    rows = 1 + max(map(len, keys))
    padded = [[*known, *[NONE_OF_THEM] * (rows - len(known))] for known in keys]
    given = pl.DataFrame({column.name: values for column, values in zip(columns, padded, strict=True)})
    made = np.asarray(fitted.transform(given), np.float64)
    ends = np.cumsum(_widths(fitted, columns, made.shape[1]))[:-1]
    return [
        Lookup((column.name,), tuple(known), np.ascontiguousarray(part[[*range(len(known)), -1]]))
        for column, known, part in zip(columns, keys, np.split(made, ends, axis=1), strict=True)
    ]


def _widths(fitted: Any, columns: Sequence[Column], total: int) -> list[int]:
    """Return the number of outputs of each column."""
    if columns[0].kind != "category":
        return [total // len(columns)] * len(columns)
    rare = fitted.infrequent_categories_
    return [
        len(known) - (0 if few is None else max(0, len(few) - 1))
        for known, few in zip(fitted.categories_, rare, strict=True)
    ]
