"""The script that somebody could have written: what ``train`` does with a file, as Python."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tokenize
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from chainrule.tables import casting, dates, models, positive, preparation, scores, splitting, targets
from chainrule.tables.loading import Loaded, load
from chainrule.tables.task import target_values

__all__ = ["script"]

WIDTH = 120
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
    "make_pipeline": "from sklearn.pipeline import make_pipeline",
    "OneHotEncoder": "from sklearn.preprocessing import OneHotEncoder",
    "StandardScaler": "from sklearn.preprocessing import StandardScaler",
    "TargetEncoder": "from sklearn.preprocessing import TargetEncoder",
    "ApplyToCols": "from skrub import ApplyToCols",
    "DatetimeEncoder": "from skrub import DatetimeEncoder",
    "SquashingScaler": "from skrub import SquashingScaler",
    "MLPClassifier": "from chainrule import MLPClassifier",
    "MLPRegressor": "from chainrule import MLPRegressor",
    "EarlyStopping": "from chainrule.training.callbacks import EarlyStopping",
    "OneCycle": "from chainrule.schedules import OneCycle",
    "tables": "from chainrule import tables",
    "quantities": "from chainrule.tables import quantities",
    "to_dates": "from chainrule.tables.dates import to_dates",
    "PositiveTarget": "from chainrule.tables import PositiveTarget",
}
"""A name that a script may use, and the line that imports it."""

VARIABLES = {
    "number": "numbers", "hole": "with_holes", "yes-no": "yes_no", "category": "categories", "many": "many_valued",
    "date": "dates",
}  # fmt: skip
"""The parts of the preparation that have several columns, and what their names are called."""


def script(
    source: str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    parameters: Mapping[str, Any] | None = None,
    patience: int = models.PATIENCE,
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
    parts = preparation.code(loaded.schema.columns, len(loaded.train), seed)
    sections = [
        _rows(loaded), _shared_out(loaded), _columns(loaded, parts),
        _fitted(loaded, parts, arguments, patience, _scaler(loaded, arguments, seed)),
        _scored(loaded),
    ]  # fmt: skip
    body = _double_quoted("\n\n".join("\n".join(lines) for lines in sections))
    about = command or f"a network on {os.fspath(source)}"
    first = ascii(f"The same as: {about}")[1:-1].replace('"', '\\"')
    return f'"""{first}"""\n\n{_imports(body)}\n\n{body}\n'


def _rows(loaded: Loaded) -> list[str]:
    """Read the rows that have a target, and the target of each."""
    types = _types(loaded)
    start = f"frame = {_broken(loaded.reads)}{_with_target(loaded)}"
    lines = ["# The rows that have a target.", start, f"y = {targets.code(loaded.schema, 'frame', types)}"]
    if loaded.given is not None:
        lines += [f"frame_test = {_broken(loaded.reads_test)}{_with_target(loaded)}", *_dates(loaded)]
        lines += [f"y_test = {targets.code(loaded.schema, 'frame_test', types)}"]
    return lines


def _types(loaded: Loaded) -> dict[str, Any]:
    """Return the types of the columns, as far as they are those of a test file as well."""
    if loaded.given is None:
        return dict(loaded.frame.schema)
    flags = {column.name for column in loaded.schema.used if column.kind == "yes/no"}  # other values may be there
    given = loaded.given.schema
    return {name: t for name, t in loaded.frame.schema.items() if name not in flags and given.get(name) == t}


def _dates(loaded: Loaded) -> list[str]:
    """Write or read the dates of a test file as the other table has them."""
    assert loaded.given is not None  # noqa: S101
    ours, theirs = [], []
    for column in (c for c in loaded.schema.used if c.kind == "date"):
        name, fmt, zone = column.name, column.date_format, column.notation.zone
        kind, given = loaded.frame.schema[name], loaded.given.schema[name]
        if given == kind or (fmt is not None and not given.is_temporal()):
            continue
        if fmt is not None:
            first = fmt.partition(dates.SEPARATOR)[0].replace("%z", "+0000")
            shown = dates.clock_code(given, zone).replace("NAMES", repr(name))
            theirs.append(f"{shown}.dt.strftime({first!r})")
            continue
        if getattr(kind, "time_zone", None):
            ours.append(dates.clock_code(kind, zone).replace("NAMES", repr(name)))
        if given.is_temporal():
            theirs.append(dates.clock_code(given, zone).replace("NAMES", repr(name)))
        elif (found := dates.find(loaded.given[name])) is not None:
            formats = dates.SEPARATOR.join(found.formats)
            shown = f'.dt.replace_time_zone("UTC").dt.convert_time_zone({zone!r}).dt.replace_time_zone(None)'
            theirs.append(dates.code(name, formats) + (shown if zone and dates.zone(formats) else ""))
    lines = [("frame", ours), ("frame_test", theirs)]
    return [f"{frame} = {frame}.with_columns({', '.join(made)})" for frame, made in lines if made]


def _with_target(loaded: Loaded) -> str:
    names = [column.name for column in loaded.schema.targets]
    if loaded.given is None and not loaded.left_out:
        return ""
    floats = [name for name in names if loaded.frame.schema[name].is_float()]
    return (f".with_columns(pl.col({floats}).fill_nan(None))" if floats else "") + f".drop_nulls({names})"


def _shared_out(loaded: Loaded) -> list[str]:
    rare = splitting.has_rare(loaded.plan, loaded.y)
    return ["# Which of them are for what.", *splitting.code(loaded.plan, loaded.frame, rare=rare)]


def _columns(loaded: Loaded, parts: Sequence[tuple[str, tuple[str, ...], Any]]) -> list[str]:
    """Make of every column what the pipeline takes."""
    types = _types(loaded)
    lines = ["# What the columns are: numbers, words without holes, dates."]
    named = [(VARIABLES[part], [*names]) for part, _, names in parts if part in VARIABLES]
    lines += [_wrapped(f"{variable} = ", names) for variable, names in named]
    known = {tuple(names): variable for variable, names in reversed(named)}
    expressions = [
        f"    {_with_names(text, known.get(tuple(names)) or ', '.join(map(repr, names)))},"
        for text, names in casting.code(loaded.schema.columns, types)
    ]
    if loaded.given is None:
        return [*lines, "X = frame.select(", *expressions, ")"]
    return [*lines, "inputs = [", *expressions, "]", "X, X_test = frame.select(inputs), frame_test.select(inputs)"]


def _with_names(text: str, names: str) -> str:
    """Return an expression with names for NAMES; a column may be called that, too."""
    start = "pl.col(NAMES)"
    return f"pl.col({names}){text.removeprefix(start)}" if text.startswith(start) else text


def _fitted(
    loaded: Loaded, parts: Sequence[tuple[str, tuple[str, ...], Any]], arguments: Mapping[str, Any], patience: int,
    scaler: Any,
) -> list[str]:  # fmt: skip
    task = loaded.schema.task
    looks = any(part == "many" for part, _, _ in parts)
    y = ", y[train, 0]" if looks and task == "multilabel" else ", y[train]" if looks else ""
    y_val = "y[validation]"
    scaled = []
    if task == "regression":  # the estimator standardizes what it is trained on, not what it is given beside it
        y_val = "y_val"
        scaled = [
            f"scaler = {scaler!r}.fit(y[train].reshape(-1, 1))",
            "y_val = scaler.transform(y[validation].reshape(-1, 1)).ravel()",
        ]
    return [
        "# Medians, categories and means are those of the rows to train on.",
        "prepare = ColumnTransformer([",
        *(_step(part, steps, VARIABLES.get(part) or repr(names)) for part, steps, names in parts),
        "])",
        f"X_train = prepare.fit_transform(X[train]{y})",
        "X_val = prepare.transform(X[validation])",
        "",
        *models.code(task, arguments, patience, scaler),
        *scaled,
        f"network.fit(X_train, y[train], X_val=X_val, y_val={y_val})",
        "model = make_pipeline(prepare, network)",
    ]


def _scaler(loaded: Loaded, arguments: Mapping[str, Any], seed: int) -> Any:
    """Return what standardizes the target, which for a skewed one ``train`` decides by two short trainings."""
    if loaded.schema.task != "regression":
        return None
    if not positive.is_skewed(loaded.y[loaded.train]):
        return StandardScaler()
    y, inputs = loaded.y, casting.cast(loaded.frame, loaded.schema.columns)
    prepare = preparation.preparation(loaded.schema.columns, len(loaded.train), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = np.asarray(prepare.fit_transform(inputs[loaded.train], y[loaded.train]), dtype=np.float32)
        X_val = np.asarray(prepare.transform(inputs[loaded.validation]), dtype=np.float32)
        return positive.choose(X, y[loaded.train], X_val, y[loaded.validation], arguments)[0]


def _scored(loaded: Loaded) -> list[str]:
    schema = loaded.schema
    auc = schema.is_classification and scores.has_auc(target_values(loaded.test, schema), schema.classes)
    return [
        "# How good it is on rows that it never saw.",
        *([] if loaded.given is not None else ["X_test, y_test = X[test], y[test]"]),
        "predictions = model.predict(X_test)",
        *scores.code(schema.task, classes=len(schema.classes), auc=auc),
    ]


def _step(part: str, steps: tuple[str, ...], names: str) -> str:
    """Return a part of the ColumnTransformer."""
    whole = steps[0] if len(steps) == 1 else f"make_pipeline({', '.join(steps)})"
    text = f"    ({part!r}, {whole}, {names}),"
    if len(steps) == 1 or len(text) <= WIDTH:
        return text
    return "\n".join([f"    ({part!r}, make_pipeline(", *(f"        {step}," for step in steps), f"    ), {names}),"])


def _broken(text: str) -> str:
    """Return a call of a function, with a line for each argument if it is long."""
    call = ast.parse(text, mode="eval").body
    if len(text) <= WIDTH or not isinstance(call, ast.Call):
        return text
    arguments = [ast.unparse(part) for part in (*call.args, *call.keywords)]
    return "\n".join([f"{ast.unparse(call.func)}(", *(f"    {argument}," for argument in arguments), ")"])


def _wrapped(start: str, names: list[str]) -> str:
    """Return a list of names, on lines that are not too long."""
    if len(start) + len(repr(names)) <= WIDTH:
        return f"{start}{names!r}"
    lines: list[str] = []
    line = "   "
    for name in names:
        if len(line) + len(repr(name)) + 2 > WIDTH and line.strip():
            lines, line = [*lines, line], "   "
        line += f" {name!r},"
    return "\n".join([f"{start}[", *lines, line, "]"])


def _double_quoted(text: str) -> str:
    """Return Python with double quotes around texts, where that is as readable."""
    lines = text.split("\n")
    found = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type == tokenize.STRING]
    for token in reversed(found):
        value = ast.literal_eval(token.string)
        if token.string[0] == "'" and value.isprintable() and '"' not in value and "\\" not in value:
            (row, start), (_, end) = token.start, token.end
            line = lines[row - 1]
            lines[row - 1] = f"{line[:start]}{json.dumps(value, ensure_ascii=False)}{line[end:]}"
    return "\n".join(lines)


def _imports(body: str) -> str:
    """Return the imports in three groups: Python's own, those of others, and ours; one line for each module."""
    modules: dict[str, list[str]] = {}
    used = {token.string for token in tokenize.generate_tokens(io.StringIO(body).readline)}
    for name, line in IMPORTS.items():
        if name in used:
            module = line if line.startswith("import") else line.removeprefix("from ").partition(" import ")[0]
            modules.setdefault(module, []).append(name)
    lines = [k if k.startswith("import") else f"from {k} import {', '.join(sorted(v))}" for k, v in modules.items()]

    def group(line: str) -> int:
        top = line.split()[1].partition(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == "chainrule" else 1

    groups = [sorted((x for x in lines if group(x) == n), key=lambda x: (x[0] == "f", x)) for n in range(3)]
    return "\n\n".join("\n".join(lines) for lines in groups if lines)
