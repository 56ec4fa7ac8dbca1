"""The script that somebody could have written: what ``train`` does with a file, as Python without it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.tables import casting, models, splitting
from chainrule.tables.loading import Loaded, load
from chainrule.tables.preparation import code as preparation_code
from chainrule.tables.targets import labels_code

__all__ = ["script"]

WIDTH = 100
IMPORTS = {
    "sys": "import sys",
    "np": "import numpy as np",
    "pl": "import polars as pl",
    "ColumnTransformer": "from sklearn.compose import ColumnTransformer",
    "TransformedTargetRegressor": "from sklearn.compose import TransformedTargetRegressor",
    "TruncatedSVD": "from sklearn.decomposition import TruncatedSVD",
    "HashingVectorizer": "from sklearn.feature_extraction.text import HashingVectorizer",
    "TfidfTransformer": "from sklearn.feature_extraction.text import TfidfTransformer",
    "MissingIndicator": "from sklearn.impute import MissingIndicator",
    "SimpleImputer": "from sklearn.impute import SimpleImputer",
    "metrics": "from sklearn import metrics",
    "GroupShuffleSplit": "from sklearn.model_selection import GroupShuffleSplit",
    "KFold": "from sklearn.model_selection import KFold",
    "train_test_split": "from sklearn.model_selection import train_test_split",
    "Pipeline": "from sklearn.pipeline import Pipeline",
    "make_pipeline": "from sklearn.pipeline import make_pipeline",
    "OneHotEncoder": "from sklearn.preprocessing import OneHotEncoder",
    "StandardScaler": "from sklearn.preprocessing import StandardScaler",
    "TargetEncoder": "from sklearn.preprocessing import TargetEncoder",
    "ApplyToCols": "from skrub import ApplyToCols",
    "DatetimeEncoder": "from skrub import DatetimeEncoder",
    "SquashingScaler": "from skrub import SquashingScaler",
    "MLPClassifier": "from chainrule import MLPClassifier",
    "MLPRegressor": "from chainrule import MLPRegressor",
    "EarlyStopping": "from chainrule.callbacks import EarlyStopping",
    "OneCycle": "from chainrule.schedules import OneCycle",
    "tables": "from chainrule import tables",
}
"""A name that a script may use, and the line that imports it."""


def script(
    source: str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    patience: int = 10,
    command: str = "",
    **options: Any,
) -> str:
    r"""Return a Python script that trains on a file as :func:`chainrule.tables.train` does, and prints the same scores.

    Parameters
    ----------
    source : path, or "-"
    target, parameters, patience
        As for :func:`~chainrule.tables.train`.
    command : str
        What stands in its first line.
    **options
        The others of :func:`~chainrule.tables.train` that decide on rows and columns.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``train`` does, where the file or an option cannot be used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "points.csv")
    >>> _ = path.write_text("x,y\n" + "\n".join(f"{i / 7},{'ab'[i % 2]}" for i in range(40)))
    >>> [line for line in script(path, "y").splitlines() if "MLP" in line]
    ['from chainrule import MLPClassifier', 'network = MLPClassifier(']
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"script: expected a file, which a script can read again, got {type(source).__name__}.")
    loaded = load(source, target, **options)
    seed = int(options.get("seed", 0))
    arguments = models.parameters(len(loaded.train), loaded.schema.task, seed, dict(parameters or {}))
    parts = [_rows(loaded), _parts(loaded), _fitted(loaded, arguments, patience, seed), _scored(loaded)]
    body = "\n\n".join(parts)
    used = [line for name, line in IMPORTS.items() if re.search(rf"(?<![\w.]){name}\b(?!\s*=)", body)]
    about = command or f"a network on {os.fspath(source)}"
    first = ascii(f"The same in Python: {about}")[1:-1].replace('"', '\\"')
    return f'"""{first}"""\n\n{_sorted(used)}\n\n{body}\n'


def _rows(loaded: Loaded) -> str:
    """Read the rows that have a target, and the target of each."""
    lines = ["# The rows that have a target.", f"frame = {loaded.reads}", _with_target(loaded, "frame")]
    lines += ["y = " + _target(loaded, "frame")]
    if loaded.reads_test:
        lines += [f"frame_test = {loaded.reads_test}", _with_target(loaded, "frame_test")]
        lines += ["y_test = " + _target(loaded, "frame_test")]
    return "\n".join(lines)


def _with_target(loaded: Loaded, frame: str) -> str:
    names = [column.name for column in loaded.schema.targets]
    floats = [name for name in names if loaded.frame[name].dtype.is_float()]
    holes = f".with_columns(pl.col({floats!r}).fill_nan(None))" if floats else ""
    return f"{frame} = {frame}{holes}.drop_nulls({names!r})"


def _target(loaded: Loaded, frame: str) -> str:
    schema = loaded.schema
    if schema.task == "multilabel":
        labels = [f"{frame}[{c.name!r}].cast(pl.String) == {c.categories[1]!r}" for c in schema.targets]
        return f"np.column_stack([{', '.join(labels)}]).astype(int)"
    (column,) = schema.targets
    if schema.task == "regression":
        return f"{frame}[{column.name!r}].cast(pl.Float64).to_numpy()"
    return labels_code(column).replace("frame[", f"{frame}[", 1)


def _parts(loaded: Loaded) -> str:
    """Share the rows out, and make of every column what the pipeline takes."""
    lines = ["# The parts of the rows."]
    lines += splitting.code(loaded.plan, splitting.has_rare(loaded.plan, loaded.y))
    casts = _list(casting.code(loaded.schema.columns))
    names = _names([column.name for column in loaded.schema.used])
    lines += ["", "# Every column as numbers, as texts without holes, or as dates."]
    for end in ("", "_test") if loaded.reads_test else ("",):
        lines += [f"columns{end} = frame{end}.with_columns({casts}).select({names})"]
    return "\n".join(lines)


def _fitted(loaded: Loaded, arguments: Mapping[str, Any], patience: int, seed: int) -> str:
    schema = loaded.schema
    first = "y[train, 0]" if schema.task == "multilabel" else "y[train]"
    lines = [
        "# Medians, categories and means of the rows to train on, and of no others.",
        f"prepare = ColumnTransformer({_list(preparation_code(schema.columns, len(loaded.train), seed))})",
        f"X = prepare.fit_transform(columns[train], {first}).astype(np.float32)",
        "X_val = prepare.transform(columns[validation]).astype(np.float32)",
        "",
        f"network = {models.code(schema.task, arguments, patience)}",
    ]
    if schema.task == "regression":
        lines += [
            "scaler = StandardScaler().fit(y[train].reshape(-1, 1))  # as the regressor does inside",
            "y_val = scaler.transform(y[validation].reshape(-1, 1)).ravel()",
            "network.fit(X, y[train], X_val=X_val, y_val=y_val)",
        ]
    else:
        lines += ["network.fit(X, y[train], X_val=X_val, y_val=y[validation])"]
    return "\n".join([*lines, 'pipeline = Pipeline([("prepare", prepare), ("network", network)])'])


def _scored(loaded: Loaded) -> str:
    task = loaded.schema.task
    columns, y = ("columns_test", "y_test") if loaded.reads_test else ("columns[test]", "y[test]")
    lines = ["# How good it is on rows that it never saw.", f"predictions = pipeline.predict({columns})"]
    if task == "regression":
        names = {"RMSE": "root_mean_squared_error", "MAE": "mean_absolute_error", "R²": "r2_score"}
        return "\n".join([*lines, *(f'print("{n}", metrics.{f}({y}, predictions))' for n, f in names.items())])
    if task == "multilabel":
        return "\n".join([*lines, f'print("accuracy", (predictions == {y}).mean())'])
    lines += [
        f"p = pipeline.predict_proba({columns})",
        f'print("accuracy", metrics.accuracy_score({y}, predictions))',
        f'print("log loss", metrics.log_loss({y}, p, labels=network.classes_))',
    ]
    return "\n".join(lines)


def _list(lines: Sequence[str]) -> str:
    return "[\n" + "".join(f"    {line},\n" for line in lines) + "]"


def _names(names: list[str]) -> str:
    return repr(names) if len(repr(names)) < WIDTH else _list([repr(name) for name in names])


def _sorted(imports: list[str]) -> str:
    """Return the imports in three groups: Python's own, those of others, and ours; one line for each module."""
    modules: dict[str, list[str]] = {}
    for line in imports:
        module, _, name = line.removeprefix("from ").partition(" import ")
        modules.setdefault(line if line.startswith("import") else module, []).append(name)
    lines = [k if k.startswith("import") else f"from {k} import {', '.join(sorted(v))}" for k, v in modules.items()]

    def group(line: str) -> int:
        top = line.split()[1].partition(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == "chainrule" else 1

    groups = [sorted((x for x in lines if group(x) == n), key=lambda x: (x[0] == "f", x)) for n in range(3)]
    return "\n\n".join("\n".join(lines) for lines in groups if lines)
