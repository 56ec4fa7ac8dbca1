"""The model card: what a network was trained on, how well and for whom it works, its limits, and how to repeat it.

Source: Mitchell, Wu, Zaldivar, Barnes, Vasserman, Hutchinson, Spitzer, Raji and Gebru, "Model cards for model
reporting" (2019). Two runs with one seed have the same card: it has no date, duration or machine.
"""

from __future__ import annotations

import shlex

import numpy as np

from chainrule._internal.code import code_digest
from chainrule.pages.blocks import Block, Code, Heading, Row, Table, Text
from chainrule.pages.formatting import NONE, apart, clean, listed, percent, rows, short
from chainrule.pages.page import Page
from chainrule.tables import models
from chainrule.tables.report import groups, limits, scoring
from chainrule.tables.report.collect import versions
from chainrule.tables.report.data import ReportData
from chainrule.tables.report.limits import MIDNIGHT
from chainrule.tables.report.sections import COLUMNS, TYPES
from chainrule.tables.result import Trained
from chainrule.tables.schema import Column

CLASSES = 30  # in the table of the target
VALUES = 12  # categories of a column
PREPARED = {
    "number": "numbers are centered on the median and divided by the interquartile range",
    "yes/no": "yes/no becomes 1 or 0",
    "category": "each value of a category is an input",
    "many": "values of high-cardinality columns become the target's mean for them",
    "text": "texts become up to 32 components of their words",
    "date": "dates become year, month, day, weekday and seconds",
}
OWN = {"--overwrite": 0, "--quiet": 0, "--out": 1}  # options that do not change the network, and their values
FOLDER = "FOLDER"


def card(trained: Trained, data: ReportData) -> Page:
    """Return the model card of a trained table; ``data`` are those of its report.

    Examples
    --------
    >>> import polars as pl
    >>> from chainrule import tables
    >>> from chainrule.tables.report.collect import collect
    >>> x = np.random.default_rng(0).normal(size=60)
    >>> run = tables.train(pl.DataFrame({"x": x, "y": 2 * x}), "y", parameters={"max_iter": 2})
    >>> card(run, collect(run, seconds=0)).markdown.splitlines()[0]
    '# Model card: predicting y'
    """
    blocks: list[Block] = [
        *_model(trained, data),
        *_data(trained),
        *scoring.sections(data),
        *groups.sections(data),
        *limits.sections(data),
        *_watching(),
        *_repeating(trained),
    ]
    return Page(f"Model card: predicting {clean(data.target, 80)}", _about(trained), tuple(blocks))


def _about(trained: Trained) -> str:
    task = trained.schema.task
    return f"{clean(trained.source, 80)} · {scoring.TASKS.get(task, task)} · chainrule {versions()['chainrule']}"


def _model(trained: Trained, data: ReportData) -> list[Block]:
    schema, model = trained.schema, trained.pipeline[-1]
    used, ensemble = schema.used, models.is_ensemble(model)
    networks = model.members_ if ensemble else [models.inside(model).network_]
    what = "a number" if len(schema.targets) == 1 else rows(len(schema.targets), "number")
    if schema.task == "multilabel":
        what = f"{len(schema.targets)} labels, each yes or no"
    elif schema.task != "regression":
        what = f"one of {rows(len(schema.classes), 'class')}: {listed([clean(name) for name in data.classes], VALUES)}"
    which = f"an ensemble of {len(networks)} networks" if ensemble else "a network"
    size = sum(network.theta.size for network in networks)
    made = [PREPARED[kind] for kind in PREPARED if any(column.kind == kind for column in used)]
    inputs = models.inside(model).n_features_in_
    text = (
        f"It predicts {clean(schema.target, 80)} ({what}) from {rows(len(used), 'column')}, with {which} of "
        f"{rows(size, 'parameter')} in total."
    )
    prepared = f"{'; '.join(made)}: {rows(inputs, 'input')}." if made else ""
    blocks: list[Block] = [Heading("Model", "", "model"), Text(text), Text(prepared[:1].upper() + prepared[1:])]
    thresholds = models.thresholds(model) if schema.task != "regression" else None
    if thresholds is not None:
        names = [clean(name) for name in data.classes]
        shown = [f"{name} {short(float(at), 3)}" for name, at in zip(names, np.ravel(thresholds), strict=True)]
        blocks.append(Text(f"Thresholds of the probabilities: {listed(shown, VALUES)}."))
    return blocks


def _data(trained: Trained) -> list[Block]:
    schema, split, given = trained.schema, trained.split, trained.settings
    trained_on = split.train + split.validation
    early = f", {split.validation:,} of them for early stopping" if split.validation else ""
    weight = given.get("weight")
    facts = {
        "data": trained.source,
        "SHA-256": trained.sha256,
        "rows trained on": f"{trained_on:,}{early}",
        "rows held out": f"{split.test:,} ({split.how})" if split.test else "none",
        "period": "; ".join(_period(column) for column in schema.columns if column.kind == "date" and column.low),
        "weights": f"column {clean(weight)}" if weight else "all rows count the same",
    }
    lines = tuple((what, clean(value, 2000)) for what, value in facts.items() if value)
    blocks: list[Block] = [Heading("Training data", "", "training"), Table(("", ""), lines, "ll")]
    blocks += [_target(trained)] if trained.target_rows else []
    return [*blocks, _columns(schema.columns, schema.rows)]


def _period(column: Column) -> str:
    low, high = (str(end).removesuffix(MIDNIGHT) for end in (column.low, column.high))
    return f"{clean(column.name)}: {low} to {high}"


def _target(trained: Trained) -> Table:
    found, title = trained.target_rows, "Target in the rows trained on"
    if trained.schema.task == "regression":
        if len(trained.schema.targets) == 1:
            return Table(tuple(found), (tuple(map(short, found.values())),), "r" * len(found), title)
        head = ("target", *next(iter(found.values())))
        lines = tuple((clean(name, 40), *map(short, of.values())) for name, of in found.items())
        return Table(head, lines, "l" + "r" * (len(head) - 1), title)
    what = "label" if trained.schema.task == "multilabel" else "class"
    total = trained.split.train + trained.split.validation
    shown = sorted(found.items(), key=lambda item: -item[1])[:CLASSES]
    names = apart([name for name, _ in shown], 40)
    lines = tuple(
        (name, f"{int(count):,}", percent(count / max(total, 1))) for name, (_, count) in zip(names, shown, strict=True)
    )
    more = f"Not listed: {rows(len(found) - len(shown), what)}, with fewer rows." if len(found) > len(shown) else ""
    return Table((what, "rows", "share"), lines, "lrr", title, more)


def _columns(columns: tuple[Column, ...], count: int) -> Table:
    shown = columns[:COLUMNS]
    lines: list[Row] = [
        (
            name,
            f"dropped: {clean(column.dropped, 80)}" if column.dropped else TYPES.get(column.kind, column.kind),
            percent(min(column.missing / count, 1.0)) if count else NONE,
            _known(column),
        )
        for name, column in zip(apart([column.name for column in shown]), shown, strict=True)
    ]
    caption = f"In all {rows(count)}, held-out ones included." if count else ""
    caption += f" Not listed: {rows(len(columns) - len(shown), 'column')}." if len(columns) > len(shown) else ""
    return Table(("column", "type", "missing", "known values"), tuple(lines), "llrl", "Columns", caption.strip())


def _known(column: Column) -> str:
    if column.kind in ("number", "date") and column.low is not None:
        ends = (column.low, column.high)
        low, high = (end.removesuffix(MIDNIGHT) if isinstance(end, str) else short(end) for end in ends)
        return f"{low} to {high}"
    if column.categories and column.kind in ("category", "yes/no"):
        return listed([clean(value, 24) for value in column.categories], VALUES)
    return rows(column.distinct, "value") if column.distinct else NONE


def _watching() -> list[Block]:
    commands = (
        f"chainrule predict {FOLDER} NEW_ROWS --out predictions.csv",
        f"chainrule drift {FOLDER} NEW_ROWS",
        f"chainrule evaluate {FOLDER} LABELED_ROWS --by COLUMN",
    )
    text = (
        f"{FOLDER} is the folder of this card. Compare new rows with training before there are labels (drift), and the "
        "scores with those above when there are (evaluate)."
    )
    return [Heading("Watching it", "", "watching"), Text(text), Code("\n".join(commands))]


def _repeating(trained: Trained) -> list[Block]:
    facts = {
        "seed": str(trained.settings.get("seed", "")),
        "data SHA-256": trained.sha256,
        "code SHA-256": code_digest(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    lines = tuple((what, clean(value, 2000)) for what, value in facts.items() if value)
    command = _command(trained.command)
    blocks: list[Block] = [Heading("Repeating it", "", "repeat"), *([Code(command)] if command else [])]
    return [*blocks, Table(("", ""), lines, "ll")]


def _command(command: str) -> str:
    """Return a command without the options that do not change the network.

    >>> _command("chainrule train t.csv --target y --out 'a b' --overwrite --seed 1"), _command("train('t.csv', 'y')")
    ('chainrule train t.csv --target y --seed 1', "train('t.csv', 'y')")
    """
    if not command.startswith("chainrule "):
        return command
    kept: list[str] = []
    words = iter(shlex.split(command))
    for word in words:
        name, given, _ = word.partition("=")
        if name not in OWN:
            kept.append(word)
        elif OWN[name] and not given:
            next(words, "")
    return shlex.join(kept)
