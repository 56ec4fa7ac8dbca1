"""The options of ``chainrule train`` in one table: their types, their help, and the kind of source that knows them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli import table_options as table
from chainrule.cli.table_options import TABLE

NET, LEARN, RUN = "The network", "How it learns", "The run"
DATA_SETS_ONLY = ("schedule", "warm_up", "data")
TABLES_ONLY = (
    "target", "task", "categorical", "numeric", "drop", "date", "test", "validation", "time_column", "group",
    "class_weight", "delimiter", "decimal", "stream", "print_python",
)  # fmt: skip
RUN_ONLY = ("data", "stream", "print_python", "out", "overwrite", "resume", "quiet")  # not kept with a training
PARAMETERS = {
    "activation": "activation", "dropout": "dropout", "input_dropout": "input_dropout", "l1": "l1", "l2": "alpha",
    "max_norm": "max_norm", "optimizer": "solver", "learning_rate": "learning_rate_init", "clip_norm": "gradient_clip",
    "epochs": "max_iter", "batch_size": "batch_size", "label_smoothing": "label_smoothing",
    "class_weight": "class_weight",
}  # fmt: skip
"""The options for a network, and the estimators' names for them."""


def _option(panel: str, text: str, *names: str, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(*names, help=text, metavar=metavar, rich_help_panel=panel)
    return found


@dataclass(frozen=True)
class TrainOptions:
    """What was given to ``chainrule train``; None, False or an empty list where nothing was."""

    target: Annotated[str | None, _option(TABLE, "The column to predict; several with commas.")] = None
    task: table.Task = None
    categorical: table.Categorical = None
    numeric: table.Numeric = None
    drop: table.Drop = None
    date: table.Date = None
    test: table.Test = None
    validation: table.Validation = None
    time_column: table.TimeColumn = None
    group: table.Group = None
    class_weight: Annotated[str | None, _option(TABLE, '"balanced": rare classes count as much as frequent ones.')] = (
        None
    )
    delimiter: table.Delimiter = None
    decimal: table.Decimal = None
    stream: Annotated[bool, _option(TABLE, "Read the file block by block, as large files are.", "--stream")] = False
    print_python: Annotated[
        bool, _option(TABLE, "Print a Python script that does the same, and train nothing.", "--print-python")
    ] = False
    layers: Annotated[str | None, _option(NET, 'Sizes of the hidden layers: "64,32", or "none".')] = None
    activation: Annotated[str | None, _option(NET, "Between the layers: relu, tanh, sigmoid, gelu, ...")] = None
    dropout: Annotated[float | None, _option(NET, "Dropout rate after each hidden layer.")] = None
    input_dropout: Annotated[float | None, _option(NET, "Dropout rate of the inputs.")] = None
    l1: Annotated[float | None, _option(NET, "Strength of the L1 penalty.", "--l1")] = None
    l2: Annotated[float | None, _option(NET, "Strength of the L2 penalty.", "--l2")] = None
    max_norm: Annotated[float | None, _option(NET, "Largest norm of a unit's weights; 0 for no limit.")] = None
    optimizer: Annotated[str | None, _option(LEARN, "An optimizer's name, such as adam, adamw, momentum or sgd.")] = (
        None
    )
    learning_rate: Annotated[float | None, _option(LEARN, "By default, one that suits the optimizer.")] = None
    schedule: Annotated[
        str | None,
        _option(LEARN, "constant, inverse-time, inverse-scaling, exponential, step, cosine or one-cycle."),
    ] = None
    warm_up: Annotated[float | None, _option(LEARN, "Epochs of warm-up before the schedule.")] = None
    clip_norm: Annotated[float | None, _option(LEARN, "Largest norm of the gradient; 0 for no limit.")] = None
    epochs: Annotated[int | None, _option(LEARN, "Passes over the training rows.")] = None
    batch_size: Annotated[int | None, _option(LEARN, "Rows per step.")] = None
    patience: Annotated[
        int | None,
        _option(LEARN, "Epochs without a better validation loss before stopping; the best is kept. 0: never stop."),
    ] = None
    label_smoothing: Annotated[float | None, _option(LEARN, "Share of a target spread evenly over all classes.")] = None
    seed: Annotated[int | None, _option(RUN, "Seed of the data, the split and the training; 0 by default.")] = None
    data: Annotated[Path | None, _option(RUN, "Where the files of mnist are.", metavar="FOLDER")] = None
    out: Annotated[Path | None, _option(RUN, "Where results are saved; runs/DATASET by default.", metavar="FOLDER")] = (
        None
    )
    overwrite: Annotated[bool, _option(RUN, "Replace the results in the folder.", "--overwrite")] = False
    resume: Annotated[Path | None, _option(RUN, "Resume the unfinished training in this folder.", metavar="FOLDER")] = (
        None
    )
    quiet: Annotated[bool, _option(RUN, "Print only the result and the folder.", "--quiet")] = False

    def given(self) -> dict[str, Any]:
        """Return what was given of the options that a training is begun with, each value in one spelling.

        >>> TrainOptions(drop=["id, name"], layers="8, 4", epochs=3, quiet=True).given()
        {'drop': ['id', 'name'], 'layers': '8,4', 'epochs': 3}
        """
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in RUN_ONLY}
        found |= {name: names(value) for name, value in found.items() if isinstance(value, list)}
        if self.layers is not None:
            found["layers"] = as_text(hidden_sizes(self.layers))
        if self.test is not None:
            found["test"] = str(part_or_file(self.test))
        return {name: value for name, value in found.items() if value not in (None, [])}

    def refuse(self, options: tuple[str, ...], why: str) -> None:
        """Refuse options if one of them was given."""
        for name in options:
            if getattr(self, name) not in (None, False, []):
                raise ValueError(f"{spelled(name)}: {why}")


def names(given: list[str] | None) -> list[str]:
    """Return names that were given with commas between them, or by repeating the option.

    >>> names(["a, b", "c"])
    ['a', 'b', 'c']
    """
    return [part.strip() for text in given or () for part in text.split(",") if part.strip()]


def part_or_file(text: str) -> float | str:
    """Return a part of the rows, or the name of a file.

    >>> part_or_file("0.3"), part_or_file("test.csv")
    (0.3, 'test.csv')
    """
    try:
        return float(text)
    except ValueError:
        return text


def hidden_sizes(text: str) -> tuple[int, ...]:
    """Return the sizes of the hidden layers.

    >>> hidden_sizes("64, 32"), hidden_sizes("none")
    ((64, 32), ())
    """
    if text.strip().lower() in ("", "none"):
        return ()
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise ValueError(f'--layers: expected sizes of at least 1 such as "64,32", or "none", got "{text}".')
    return sizes


def as_text(sizes: Iterable[Any]) -> str:
    """Return the sizes of hidden layers as they are typed."""
    return ",".join(map(str, sizes)) or "none"


def spelled(name: str) -> str:
    """Return an option as it is typed."""
    return "--" + name.replace("_", "-")


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose last parameter is ``options: TrainOptions``, an option for each field instead."""
    own = [*inspect.signature(command, eval_str=True).parameters.values()]
    more = [*inspect.signature(TrainOptions, eval_str=True).parameters.values()]
    parameters = [*own[:-1], *more]

    def wrapped(**given: Any) -> None:
        options = TrainOptions(**{field.name: given.pop(field.name) for field in fields(TrainOptions)})
        command(**given, options=options)

    functools.update_wrapper(wrapped, command)
    del vars(wrapped)["__wrapped__"]  # whose annotations are others
    vars(wrapped)["__signature__"] = inspect.Signature(parameters)
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
