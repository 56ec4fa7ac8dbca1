"""A Python script that does with a file what ``train`` does."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tokenize
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler

from chainrule.estimators.tabular_regressor import is_skewed
from chainrule.tables import (
    casting,
    date_words,
    dates,
    models,
    positive,
    preparation,
    scores,
    splitting,
    targets,
    weights,
)
from chainrule.tables.inputs import prepared
from chainrule.tables.loading import Loaded
from chainrule.tables.options import Options
from chainrule.tables.task import target_values

WIDTH = 120
MODULES = {
    "sklearn": "metrics",
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor",
    "sklearn.decomposition": "TruncatedSVD",
    "sklearn.feature_extraction.text": "HashingVectorizer TfidfTransformer",
    "sklearn.impute": "MissingIndicator SimpleImputer",
    "sklearn.model_selection": "GroupShuffleSplit KFold train_test_split",
    "sklearn.pipeline": "make_pipeline",
    "sklearn.preprocessing": "FunctionTransformer OneHotEncoder StandardScaler TargetEncoder",
    "skrub": "ApplyToCols DatetimeEncoder SquashingScaler",
    "chainrule": "MLPClassifier MLPRegressor TabularClassifier TabularRegressor tables",
    "chainrule.schedules": "OneCycle",
    "chainrule.tables": "PositiveTarget quantities",
    "chainrule.tables.dates": "to_dates",
    "chainrule.training.callbacks": "EarlyStopping",
}
"""The names that a script may import, by module."""

VARIABLES = {
    "number": "numbers", "missing": "with_missing", "yes-no": "yes_no", "category": "categories",
    "many": "high_cardinality", "date": "dates",
}  # fmt: skip
"""The parts of the preparation that have several columns, and the variables for the names of these columns."""


def script(
    source: str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    command: str = "",
    **options: Any,
) -> str:
    r"""Return a Python script that trains on a file as :func:`chainrule.tables.train` does, and prints the same scores.

    Parameters
    ----------
    source : path, or "-"
    target : str or sequence of str
    command : str
        The command to name in the first line.
    **options
        The fields of :class:`~chainrule.tables.Options`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file or an option cannot be used, as in ``train``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "points.csv")
    >>> _ = path.write_text("x,y\n" + "\n".join(f"{i / 7},{'ab'[i % 2]}" for i in range(40)))
    >>> [line for line in script(path, "y").splitlines() if "Classifier" in line]
    ['from chainrule import TabularClassifier', 'network = TabularClassifier(random_state=0)']
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"script: expected a file, which the script can read, got {type(source).__name__}.")
    given = Options.of("script", options)
    if given.folds is not None:
        raise ValueError("folds: a script evaluates on held-out rows, not by cross-validation: omit it.")
    loaded = given.load(source, target)
    arguments = given.arguments(len(loaded.train), loaded.schema.task)
    prepare = preparation.preparation(loaded.schema.columns, len(loaded.train), given.seed, scaled=given.single)
    named = {VARIABLES[part]: names for part, _, names in prepare.transformers if part in VARIABLES}
    if given.single:
        network = models.network(loaded.schema.task, arguments, given.patience)
    else:
        network = models.ensemble(loaded.schema.task, arguments)
    if given.single and loaded.schema.task == "regression":
        network.transformer = _scaler(loaded, prepare, arguments, given.seed)
    sections = [
        _rows(loaded), _shared_out(loaded), _columns(loaded, named), _fitted(loaded, prepare, network, named),
        _scored(loaded),
    ]  # fmt: skip
    body = _double_quoted("\n\n".join("\n".join(lines) for lines in sections))
    about = command or f"a network on {os.fspath(source)}"
    first = ascii(f"The same as {about}")[1:-1].replace('"', '\\"')
    return f'"""{first}"""\n\n{_imports(body)}\n\n{body}\n'


def _rows(loaded: Loaded) -> list[str]:
    """Read the rows that have a target, and their targets."""
    types = _types(loaded)
    lines = [
        "# The rows that have a target.",
        *_read("frame", loaded.reads, loaded),
        f"y = {targets.code(loaded.schema, 'frame', types)}",
    ]
    if loaded.weight_column is not None:
        lines += [f"weight = {weights.code(loaded.weight_column, types)}"]
    if loaded.given is not None:
        lines += [*_read("frame_test", loaded.reads_test, loaded), *_dates(loaded)]
        lines += [f"y_test = {targets.code(loaded.schema, 'frame_test', types)}"]
    return lines


def _read(variable: str, reads: str, loaded: Loaded) -> list[str]:
    return _lines(ast.parse(reads, mode="eval").body, f"{variable} = ", _with_target(loaded))


def _types(loaded: Loaded) -> dict[str, Any]:
    """Return the types of the columns, if a test file has the same ones."""
    if loaded.given is None:
        return dict(loaded.frame.schema)
    flags = {column.name for column in loaded.schema.used if column.kind == "yes/no"}  # which may have other values
    given = loaded.given.schema
    return {name: t for name, t in loaded.frame.schema.items() if name not in flags and given.get(name) == t}


def _dates(loaded: Loaded) -> list[str]:
    """Convert the dates of a test file to the types in the table, or the other way round."""
    assert loaded.given is not None  # noqa: S101
    ours, theirs = [], []
    for column in (c for c in loaded.schema.used if c.kind == "date"):
        name, fmt, zone = column.name, column.date_format, column.notation.zone
        kind, given = loaded.frame.schema[name], loaded.given.schema[name]
        if given == kind or (fmt is not None and not given.is_temporal()):
            continue
        if fmt is not None:
            first = fmt.partition(date_words.SEPARATOR)[0].replace("%z", "+0000")
            shown = dates.clock_code(given, zone).replace("NAMES", repr(name))
            theirs.append(f"{shown}.dt.strftime({first!r})")
            continue
        if getattr(kind, "time_zone", None):
            ours.append(dates.clock_code(kind, zone).replace("NAMES", repr(name)))
        if given.is_temporal():
            theirs.append(dates.clock_code(given, zone).replace("NAMES", repr(name)))
        elif (found := dates.find(loaded.given[name])) is not None:
            formats = date_words.SEPARATOR.join(found.formats)
            shown = f'.dt.replace_time_zone("UTC").dt.convert_time_zone({zone!r}).dt.replace_time_zone(None)'
            theirs.append(dates.code(name, formats) + (shown if zone and date_words.zone(formats) else ""))
    lines = [("frame", ours), ("frame_test", theirs)]
    return [f"{frame} = {frame}.with_columns({', '.join(made)})" for frame, made in lines if made]


def _with_target(loaded: Loaded) -> str:
    names = [column.name for column in loaded.schema.targets]
    if loaded.given is None and not loaded.left_out:
        return ""
    floats = [name for name in names if loaded.frame.schema[name].is_float()]
    return (f".with_columns(pl.col({floats}).fill_nan(None))" if floats else "") + f".drop_nulls({names})"


def _shared_out(loaded: Loaded) -> list[str]:
    lines = splitting.code(loaded.rule, loaded.frame, rare=splitting.has_rare(loaded.rule, loaded.y))
    parts = "training, validation and test" if loaded.rule.validation else "training and test"
    return [f"# Split them into {parts} rows.", *lines]


def _columns(loaded: Loaded, named: dict[str, list[str]]) -> list[str]:
    """Convert every column to the type that the pipeline takes."""
    types = _types(loaded)
    lines = ["# Convert the columns: numbers, text without missing values, dates."]
    lines += [line for variable, names in named.items() for line in _assigned(variable, names)]
    known = {tuple(names): variable for variable, names in reversed(named.items())}
    expressions = [
        f"    {_with_names(text, known.get(tuple(names)) or ', '.join(map(repr, names)))},"
        for text, names in casting.code(loaded.schema.columns, types)
    ]
    if loaded.given is None:
        return [*lines, "X = frame.select(", *expressions, ")"]
    return [*lines, "inputs = [", *expressions, "]", "X, X_test = frame.select(inputs), frame_test.select(inputs)"]


def _with_names(text: str, names: str) -> str:
    """Return an expression with names in place of NAMES, which may also be a column's name."""
    start = "pl.col(NAMES)"
    return f"pl.col({names}){text.removeprefix(start)}" if text.startswith(start) else text


def _fitted(loaded: Loaded, prepare: Any, network: Any, named: dict[str, list[str]]) -> list[str]:
    looks = "many" in [part for part, _, _ in prepare.transformers]
    several = len(loaded.schema.targets) > 1
    y = ", y[train, 0]" if looks and several else ", y[train]" if looks else ""
    weight = "" if loaded.weight is None else ", sample_weight=weight[train]"
    one, more = not models.is_ensemble(network), ""
    lines = [
        f"# Fit the preprocessing to the training rows, then train the network{'' if one else 's'}.",
        *_assigned("prepare", prepare, named),
        f"X_train = prepare.fit_transform(X[train]{y})",
        *(["X_val = prepare.transform(X[validation])"] if one else []),
        "",
        *_assigned("network", network),
    ]
    if one and loaded.schema.task == "regression":  # the estimator standardizes the training targets only
        column, flat = ("", "") if several else (".reshape(-1, 1)", ".ravel()")
        lines += [
            f"scaler = {network.transformer!r}.fit(y[train]{column})",
            f"y_val = scaler.transform(y[validation]{column}){flat}",
        ]
        more = ", X_val=X_val, y_val=y_val"
    elif one:
        more = ", X_val=X_val, y_val=y[validation]"
    elif loaded.rule.group is not None:
        more = ", groups=groups[train]"
    return [*lines, f"network.fit(X_train, y[train]{weight}{more})", "model = make_pipeline(prepare, network)"]


def _scaler(loaded: Loaded, prepare: Any, arguments: Mapping[str, Any], seed: int) -> Any:
    """Return the transformer of the target; for a skewed one, two short training runs decide, as in ``train``."""
    y = loaded.y
    if y.ndim == 2 or not is_skewed(y[loaded.train]):
        return StandardScaler()
    X, X_val = prepared(clone(prepare), loaded, seed)
    return positive.choose(X, y[loaded.train], X_val, y[loaded.validation], arguments)[0]


def _scored(loaded: Loaded) -> list[str]:
    schema = loaded.schema
    auc = schema.is_classification and scores.has_auc(target_values(loaded.test, schema), schema.classes)
    measured = scores.metrics_of(schema.task, schema.classes, auc=auc)
    lines = [] if loaded.given is not None else ["X_test, y_test = X[test], y[test]"]
    lines += ["predictions = model.predict(X_test)"]
    lines += ["p = model.predict_proba(X_test)"] if schema.task != "regression" else []
    printed = [(score, "", "") for score in measured]
    if schema.task == "regression" and len(schema.targets) > 1:
        each = [(f" of {column.name}", f"[:, {i}]") for i, column in enumerate(schema.targets)]
        printed = [(measured[-1], "", ""), *((score, *of) for score in measured for of in each)]
    for score, name, part in printed:
        function, truth = score.function, score.truth.replace("y", "y_test", 1)
        options = "".join(f", {name}={value!r}" for name, value in function.keywords.items())
        call = f"metrics.{function.func.__name__}({truth}{part}, {score.given}{part}{options})"
        lines += _lines(ast.parse(f"print({score.name + name!r}, {call})", mode="eval").body)
    return ["# Evaluate it on the held-out rows.", *lines]


# ---------------------------------------------------------------- objects as Python


class _AsWritten(ast.NodeTransformer):
    """The repr of scikit-learn's objects, rewritten with make_pipeline, np.inf and variables for names."""

    def __init__(self, named: Mapping[str, list[str]]) -> None:
        self.known = {tuple(names): variable for variable, names in reversed([*named.items()])}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse("np.inf", mode="eval").body if node.id == "inf" else node

    def visit_List(self, node: ast.List) -> ast.expr:
        self.generic_visit(node)
        names = [str(part.value) for part in node.elts if isinstance(part, ast.Constant)]
        known = self.known.get(tuple(names)) if len(names) == len(node.elts) else None
        return ast.Name(known) if known else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        called = ast.unparse(node.func)
        if called == "Pipeline":
            steps: Any = node.keywords[0].value
            return ast.Call(ast.Name("make_pipeline"), [step.elts[1] for step in steps.elts], [])
        if called == "ColumnTransformer":
            return ast.Call(node.func, [node.keywords[0].value], node.keywords[1:])
        return node


def _assigned(variable: str, value: Any, named: Mapping[str, list[str]] = MappingProxyType({})) -> list[str]:
    """Return the lines that assign an object, written as its repr, to a variable."""
    text = value.__repr__(N_CHAR_MAX=sys.maxsize) if isinstance(value, BaseEstimator) else repr(value)
    return _lines(_AsWritten(named).visit(ast.parse(text, mode="eval").body), f"{variable} = ")


def _lines(node: ast.expr, before: str = "", after: str = "", indent: str = "") -> list[str]:
    """Return an expression as lines: if it is long, one for each of its parts; strings share lines."""
    whole = f"{indent}{before}{ast.unparse(node)}{after}"
    if len(whole) <= WIDTH:
        return [whole]
    if isinstance(node, ast.Call):
        start, end = f"{ast.unparse(node.func)}(", ")"
        parts = [("", part) for part in node.args] + [(f"{k.arg}=", k.value) for k in node.keywords]
    elif isinstance(node, ast.List | ast.Tuple):
        start, end = "[]" if isinstance(node, ast.List) else "()"
        parts = [("", part) for part in node.elts]
    else:
        return [whole]
    long = [i for i, (_, part) in enumerate(parts) if isinstance(part, ast.Call | ast.List)]
    if len(long) == 1 and (isinstance(node, ast.Tuple) or len(parts) == 1):  # only its lines are indented
        texts = [name + ast.unparse(part) for name, part in parts]
        (i,) = long
        before += f"{start}{''.join(f'{text}, ' for text in texts[:i])}{parts[i][0]}"
        return _lines(parts[i][1], before, f"{''.join(f', {text}' for text in texts[i + 1 :])}{end}{after}", indent)
    inside = indent + "    "
    lines = [line for name, part in parts for line in _lines(part, name, ",", inside)]
    if len(lines) == len(parts) and all(isinstance(part, ast.Constant) for _, part in parts):
        lines = _filled(lines, inside)
    elif len(lines) == len(parts) and len(" ".join(line.strip() for line in lines)) <= WIDTH - len(inside):
        lines = [inside + " ".join(line.strip() for line in lines)]
    return [f"{indent}{before}{start}", *lines, f"{indent}{end}{after}"]


def _filled(lines: list[str], inside: str) -> list[str]:
    """Join short lines into lines of up to WIDTH characters."""
    joined = [inside]
    for line in lines:
        if len(joined[-1]) + len(line) - len(inside) > WIDTH:
            joined.append(inside)
        joined[-1] += f"{line.removeprefix(inside)} "
    return [line.rstrip() for line in joined]


def _double_quoted(text: str) -> str:
    """Return Python with double-quoted strings, except where they would need a backslash."""
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
    """Return the imports in three groups, one line per module: the standard library, other packages, and chainrule."""
    used = {token.string for token in tokenize.generate_tokens(io.StringIO(body).readline)}
    plain = {"sys": "import sys", "np": "import numpy as np", "pl": "import polars as pl"}
    lines = [line for name, line in plain.items() if name in used]
    for module, names in MODULES.items():
        if found := sorted({*names.split()} & used):
            lines.append(f"from {module} import {', '.join(found)}")

    def group(line: str) -> int:
        top = line.split()[1].partition(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == "chainrule" else 1

    groups = [sorted((x for x in lines if group(x) == n), key=lambda x: (x[0] == "f", x)) for n in range(3)]
    return "\n\n".join("\n".join(lines) for lines in groups if lines)
