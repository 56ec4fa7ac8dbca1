"""One row of a table explained: the contributions of its columns, what would change the prediction, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.ensemble import Unit
from chainrule.files.values import ModelFileError
from chainrule.optimizers import Optimizer
from chainrule.pages.blocks import Block, Heading, Text
from chainrule.pages.formatting import MISSING, clean, short
from chainrule.tables import models, row_inputs
from chainrule.tables._polars import pl
from chainrule.tables.labeled import labeled
from chainrule.tables.positive import PositiveTarget
from chainrule.tables.result import SavedRun
from chainrule.tables.serving.contributions import Contributions, contributions
from chainrule.tables.serving.counterfactuals import Counterfactuals, counterfactuals
from chainrule.tables.serving.model import TableModel
from chainrule.tracing.example import Trace, trace
from chainrule.tracing.operations import Operation
from chainrule.tracing.page import about

MAX_INPUTS = 12  # inputs of one column to list, largest first

SOME = 1000  # rows of the background
FEW = 20  # fewer rows of a table are not representative: values are drawn from the distributions of training


class Asked(NamedTuple):
    """The arguments of :func:`chainrule.tables.contributions` and ``counterfactuals``.

    ``background`` are rows to compare with, by default the others of the same table, or the distributions of
    training if these are few.
    """

    background: pl.DataFrame | None = None
    label: str | None = None
    wanted: str | None = None
    fixed: Sequence[str] = ()
    seed: int = 0


NOTHING = Asked()


def check_row(frame: pl.DataFrame, row: int, source: str) -> None:
    """Reject the number of a row that a table does not have."""
    if not frame.height:
        raise ValueError(f"{source} has no rows to explain.")
    if not 1 <= row <= frame.height:
        raise ValueError(f"--row: expected a number from 1 to {frame.height:,}, the rows of {source}, got {row}.")


def explain(
    run: SavedRun,
    frame: pl.DataFrame,
    row: int,
    source: str,
    optimizer: Optimizer | None = None,
    *,
    steps: int = 1,
    training: bool = False,
    explained: Explanation | None = None,
) -> Trace:
    """Return the explanation of one row: contributions of its columns, and the numbers from these to the gradients.

    Parameters
    ----------
    run : SavedRun
    frame : polars.DataFrame (rows, columns)
        The rows as read. Without the target, the prediction is used in its place.
    row : int
        The row number, from 1, as in reports and errors.
    source : str
        The name of the table on the page.
    optimizer : Optimizer, optional
        The optimizer for the final step.
    steps : int
        Number of its steps.
    training : bool
        Whether dropout is active.
    explained : Explanation, optional
        What :func:`explanation` returns for the row, to stand before the numbers.

    Raises
    ------
    ValueError
        If there is no such row, or it does not match the schema.
    """
    check_row(frame, row, source)
    schema, one, numbers = run.schema, frame[row - 1 : row], np.array([row])
    X, notes = row_inputs.prepared(run, one, numbers)
    names = row_inputs.names(run)
    if len(names) != X.shape[1]:
        raise ModelFileError(f"the pipeline is damaged: it names {len(names)} inputs but has {X.shape[1]}.")
    goals = [column.name for column in schema.targets]
    y = labeled(one, schema, source, numbers)[2] if set(goals) <= set(one.columns) else np.empty(0)
    known = len(y) == 1
    if not known:
        y = np.asarray(run.pipeline[-1].predict(X))
        notes = (*notes, f"The row has no value for {clean(schema.target)!r}: the prediction is used in its place.")
    networks, inputs = models.networks_at(run.pipeline[-1], X)
    encoded_names = row_inputs.encoded_names(run.pipeline[-1], names)
    labeled_outputs = schema.task == "multiclass" or (schema.task == "binary" and models.is_ensemble(run.pipeline[-1]))
    classes = [clean(str(label)) for label in schema.classes] if labeled_outputs else None
    worked = trace(
        networks[0], inputs, row_inputs.as_learned(run, y), optimizer=optimizer, steps=steps, training=training,
        classes=classes,
    )  # fmt: skip
    title = f"row {row} of {clean(source)}"
    at = next(i for i, step in enumerate(worked.steps) if step.phase == "loss")
    operations = (
        Operation("preparation", None, title, "", (), (), notes, table=_cells(run, one, encoded_names, inputs[0])),
        *worked.steps[:at],
        _prediction(run, X, worked.prediction[0], len(networks)),
        *worked.steps[at:],
    )
    which = f"the first of {len(networks)} networks" if len(networks) > 1 else about(worked)
    front = (*explained.blocks(), Heading(worked.title, which, "example")) if explained else ()
    return replace(worked, steps=operations, labeled=known, title=f"R{title[1:]}", front=front)


class Explanation(NamedTuple):
    """The contributions of the columns to a prediction, what would change it, and a note on what is not known."""

    contributions: Contributions | None = None
    counterfactuals: Counterfactuals | None = None
    note: Text | None = None

    def blocks(self) -> list[Block]:
        """Return the explanation as part of a page."""
        known = [part for part in (self.contributions, self.counterfactuals) if part is not None]
        return [*(block for part in known for block in part.blocks()), *([self.note] if self.note else [])]


def explanation(model: TableModel, frame: pl.DataFrame, row: int, asked: Asked = NOTHING) -> Explanation:
    """Return the explanation of one row of a frame, counted from 1."""
    others = asked.background
    if others is None:
        others = frame[[i for i in range(frame.height) if i != row - 1]]
    if others.height > SOME:
        others = others[np.sort(np.random.default_rng(asked.seed).permutation(others.height)[:SOME])]
    given, others = others, _readable(model, others)
    if asked.background is not None and given.height and not others.height:
        try:
            model.read(given)
        except ValueError as error:
            raise ValueError(f"--background: {error}") from None
    background = others if asked.background is not None or others.height >= FEW or model.reference is None else None
    if background is not None and not background.height:
        note = Text("There are no other rows to compare the row with: give a file of rows as --background.", "warning")
        return Explanation(note=note)
    one = frame[row - 1 : row]
    seed, label = asked.seed, asked.label
    found = contributions(model, one, background, label=label, seed=seed)
    several = len(model.schema.targets) > 1
    if model.schema.task == "regression" and asked.wanted is None:
        said = "To see what would change the prediction, give a number as --wanted."
        if several and label is None:
            said = f"The target explained is the first of {len(model.schema.targets)}: choose with --class. {said}"
        note = Text(said, "soft")
        return Explanation(found, note=note)
    changes = counterfactuals(
        model,
        one,
        background,
        wanted=asked.wanted,
        label=label if several else None,
        fixed=asked.fixed,
        seed=seed,
    )
    return Explanation(found, changes)


def _readable(model: TableModel, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose values fit their columns: faults in other rows are not those of the explained one."""

    def reads(rows: pl.DataFrame) -> bool:
        try:
            model.read(rows)
        except ValueError:
            return False
        return True

    if not frame.height or reads(frame):
        return frame
    return frame[[i for i in range(frame.height) if reads(frame[i : i + 1])]]


def _cells(run: SavedRun, one: pl.DataFrame, names: Sequence[tuple[str, str]], x: Array) -> tuple[tuple[str, ...], ...]:
    """Return the columns of a row with their values, beside their inputs."""
    of: dict[str, list[int]] = {column.name: [] for column in run.schema.used}
    for i, (name, _) in enumerate(names):
        of[name].append(i)
    rows = [("column", "value", "input", "", "prepared")]
    for name, places in of.items():
        value = one[name][0] if name in one.columns else None
        left = clean(name, 30), MISSING if value is None else clean(str(value), 40)
        shown = sorted(sorted(places, key=lambda i: -abs(x[i]))[:MAX_INPUTS])
        for i in shown:
            rows.append((*left, f"x[0, {i}]", names[i][1] and clean(names[i][1], 40), short(x[i])))
            left = "", ""
        if len(shown) < len(places):
            rest = max(abs(x[i]) for i in places if i not in shown)
            rows.append(("", "", "…", f"{len(places) - len(shown):,} more", f"at most {short(rest)}" if rest else "0"))
    return tuple(rows)


def _prediction(run: SavedRun, X: Array, y: Array, networks: int) -> Operation:
    """Return the step from the network's output to the prediction."""
    schema, model = run.schema, run.pipeline[-1]
    title = clean(schema.target)
    lines = [f"The prediction is the mean of {networks} networks, of which the first is shown."] if networks > 1 else []
    if schema.task == "regression":
        whole = ", ".join(short(value, 6) for value in np.ravel(model.predict(X)).tolist())
        scaler = model.ensemble_.unit if models.is_ensemble(model) else model.transformer_
        back = [_back(scaler, clean(column.name), y, i) for i, column in enumerate(schema.targets)]
        lines = [*back, *(f"{line} It is {whole}." for line in lines)]
        return Operation("prediction", None, title, "", (), (), tuple(lines))
    p = np.asarray(model.predict_proba(X))[0]
    labels = [column.name for column in schema.targets] if schema.task == "multilabel" else schema.classes
    rows = [(clean(str(label), 40), f"{value:.4f}") for label, value in zip(labels, p.tolist(), strict=True)]
    rows = sorted(rows, key=lambda r: -float(r[1]))[:MAX_INPUTS] if len(rows) > MAX_INPUTS else rows
    head = "label" if schema.task == "multilabel" else "class"
    return Operation("prediction", None, title, "", (), (), tuple(lines), table=((head, "probability"), *rows))


def _back(scaler: Any, name: str, outputs: Array, i: int) -> str:
    """Return the formula that undoes the scaling of a target, with its numbers."""
    if isinstance(scaler, Unit):
        numbers: tuple[Any, ...] = (scaler.center, scaler.scale, scaler.shift)
        value = float(scaler(outputs.reshape(1, -1))[0, i])
    else:
        shift = scaler.shift_ if isinstance(scaler, PositiveTarget) and scaler.log else None
        numbers = (scaler.mean_, scaler.scale_, shift)
        value = float(np.ravel(scaler.inverse_transform(outputs.reshape(1, -1)))[i])
    y = float(outputs[i])
    mean, scale, back = (np.nan if of is None else float(np.ravel(of)[i]) for of in numbers)
    inside = f"{short(mean, 6)} + {short(scale, 6)} · {short(y, 6)}".replace("+ −", "− ").replace("· −", "· (−")
    inside += ")" * inside.count("(")
    raw = mean + scale * y
    if numbers[2] is not None:
        inside = f"exp({inside}){f' − {short(back)}' if back else ''}"
        raw = float(np.exp(min(raw, 700.0))) - back
    cut = "" if np.isclose(raw, value, rtol=1e-4) else f", bounded to {short(value, 6)}"
    return f"{name} = {inside} = {short(raw, 6)}{cut}"
