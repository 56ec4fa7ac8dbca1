"""The options of the commands, each declared once: its type, help text, bounds and the kind of source that has it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule._internal.checks import check_count, check_real, check_split_seed
from chainrule.cli.json_output import with_parameters
from chainrule.tables.unpacking import VARIABLE, size_of

TABLE, NET, LEARN, SEARCH, RUN = "Tables", "Network", "Training", "Search", "Run"
DATA_SETS_ONLY = ("schedule", "warm_up", "data", "image_size")
TABLES_ONLY = (
    "target", "task", "categorical", "numeric", "drop", "date", "test", "validation", "time_column", "group", "weight",
    "by", "folds", "class_weight", "delimiter", "decimal", "na", "header", "skip", "encoding", "sheet", "query",
    "stream", "print_python", "fast", "metric", "threshold", "minutes",
)  # fmt: skip
# not kept with a training run
RUN_ONLY = ("data", "image_size", "stream", "print_python", "out", "overwrite", "resume", "quiet")
PARAMETERS = {
    "activation": "activation", "dropout": "dropout", "input_dropout": "input_dropout", "l1": "l1", "l2": "alpha",
    "max_norm": "max_norm", "optimizer": "solver", "learning_rate": "learning_rate_init", "clip_norm": "gradient_clip",
    "epochs": "max_iter", "batch_size": "batch_size", "label_smoothing": "label_smoothing",
    "class_weight": "class_weight",
}  # fmt: skip
"""The options for a network, and the estimators' names for them."""

REALS: dict[str, dict[str, Any]] = {
    **{name: {"low": 0.0, "high": 1.0, "open_high": True} for name in ("dropout", "input_dropout", "label_smoothing")},
    **{name: {"low": 0.0} for name in ("l1", "l2", "max_norm", "clip_norm", "warm_up")},
    "validation": {"low": 0.0, "high": 1.0, "open_low": True, "open_high": True},
    "learning_rate": {"low": 0.0, "open_low": True},
    "minutes": {"low": 0.0, "open_low": True},
}
COUNTS = {"image_size": 1, "folds": 2, "epochs": 1, "batch_size": 1, "patience": 0, "rows": 2, "steps": 1}
UNBOUNDED = ("max_norm", "clip_norm")  # 0 means no bound


def check_bounds(command: str, options: Mapping[str, Any]) -> None:
    """Reject a numeric option that is out of bounds; None and options without bounds pass.

    >>> check_bounds("train", {"dropout": 0.5, "max_norm": 0.0, "seed": None})
    >>> check_bounds("train", {"input_dropout": 1.0})
    Traceback (most recent call last):
    ...
    ValueError: train: --input-dropout: expected a number in [0, 1), got 1.0.
    """
    for name, value in options.items():
        if value is None:
            continue
        if name in REALS:
            check_real(command, spelled(name), value, **REALS[name])
        elif name in COUNTS:
            check_count(command, spelled(name), value, least=COUNTS[name])
        elif name == "seed":
            check_split_seed(command, value, spelled(name))


def option(panel: str | None, text: str, *names: str, **more: Any) -> typer.models.OptionInfo:
    """Return an option of a command, with its panel in the help page and its help text."""
    found: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel, **more)
    return found


def _set_limit(value: str | None) -> str | None:
    """Set the variable that all readers look up, also in worker processes."""
    if value is not None:
        try:
            os.environ[VARIABLE] = str(size_of(value, "--max-unpacked"))
        except ValueError as error:
            raise typer.BadParameter(str(error).removeprefix("--max-unpacked: ")) from None
    return value


Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="A folder written by chainrule train, such as runs/digits.")
]
Data = Annotated[Path | None, option(None, "Folder with the MNIST files.", metavar="FOLDER")]
Overwrite = Annotated[bool, option(None, "Overwrite the file if it exists.", "--overwrite")]
MaxUnpacked = Annotated[
    str | None,
    option(
        None, "Largest size of a compressed table in memory, such as 8GB. Default: 1.07GB, or 20 times the file size.",
        "--max-unpacked", metavar="SIZE", callback=_set_limit, expose_value=False,
    ),
]  # fmt: skip
Names = list[str] | None
Text = str | None
Count = int | None
Real = float | None
File = Path | None


@dataclass(frozen=True)
class ReadOptions:
    """The options that say how a table is read; by default, what is detected in training, and then what was stored."""

    delimiter: Annotated[Text, option(TABLE, "CSV delimiter.")] = None
    decimal: Annotated[Text, option(TABLE, "Decimal mark, '.' or ','.", metavar="MARK")] = None
    na: Annotated[
        Names, option(TABLE, "Additional words that mean missing, such as unknown,-999.", "--na", metavar="WORDS")
    ] = None
    header: Annotated[
        bool | None, option(TABLE, "Whether the first row has the column names.", "--header/--no-header")
    ] = None
    skip: Annotated[Count, option(TABLE, "Lines to skip above the header.", metavar="N")] = None
    encoding: Annotated[Text, option(TABLE, "Encoding of text, such as cp1252.", metavar="NAME")] = None
    sheet: Annotated[Text, option(TABLE, "Sheet of an Excel workbook; the first by default.", metavar="NAME|N")] = None
    query: Annotated[Text, option(TABLE, "SELECT statement or table, for a database.", metavar="SELECT|TABLE")] = None

    def reading(self) -> dict[str, Any]:
        """Return the options that were given, as arguments of :func:`chainrule.tables.read`.

        >>> ReadOptions(na=["unknown, -999"], header=False).reading()
        {'na': ['unknown', '-999'], 'header': False}
        """
        found = {f.name: getattr(self, f.name) for f in fields(ReadOptions)}
        return {name: listed(value) for name, value in found.items() if value not in (None, [])}


@dataclass(frozen=True)
class TableOptions(ReadOptions):
    """The options that describe a table and its split; None or an empty list if not given."""

    target: Annotated[Text, option(TABLE, "Column to predict; separate several with commas.")] = None
    task: Annotated[Text, option(TABLE, "binary, multiclass, regression, multilabel or classification.")] = None
    categorical: Annotated[Names, option(TABLE, "Columns to treat as categorical.", metavar="NAMES")] = None
    numeric: Annotated[Names, option(TABLE, "Columns to treat as numeric.", metavar="NAMES")] = None
    drop: Annotated[Names, option(TABLE, "Columns to drop.", metavar="NAMES")] = None
    date: Annotated[Names, option(TABLE, "Columns to parse as dates: NAME or NAME:%d/%m/%Y.", metavar="NAMES")] = None
    test: Annotated[
        Text, option(TABLE, "Test set: a fraction of the rows, or a file. Default: 0.2.", metavar="PART|FILE")
    ] = None
    validation: Annotated[
        Real, option(TABLE, "Fraction of the other rows used for early stopping. Default: 0.125.")
    ] = None
    time_column: Annotated[Text, option(TABLE, "Split by time: hold out the last rows by this column.")] = None
    group: Annotated[Text, option(TABLE, "Group column: rows with the same value stay together.")] = None
    weight: Annotated[Text, option(TABLE, "Column with the weight of each row in training.", metavar="COLUMN")] = None
    by: Annotated[
        Names, option(TABLE, "Columns whose groups are scored separately, such as a region.", metavar="NAMES")
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given and belong to the plan of a run, in one spelling.

        >>> TrainOptions(drop=["id, name"], layers="8, 4", epochs=3, quiet=True).given()
        {'drop': ['id', 'name'], 'layers': '8,4', 'epochs': 3}
        """
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in RUN_ONLY}
        unset = {f.name for f in fields(self) if f.default is False}  # a flag that is not given
        found = {name: listed(value) for name, value in found.items()}
        if found.get("layers") is not None:
            found["layers"] = as_text(hidden_sizes(found["layers"]))
        if self.test is not None:
            found["test"] = str(part_or_file(self.test))
        return {
            name: value
            for name, value in found.items()
            if value not in (None, []) and not (value is False and name in unset)
        }

    def refuse(self, options: tuple[str, ...], why: str) -> None:
        """Reject these options if any of them was given."""
        for name in options:
            value, flag = getattr(self, name), getattr(type(self), name) is False
            if value not in (None, []) and not (value is False and flag):
                raise ValueError(f"{spelled(name)} {why}")


@dataclass(frozen=True)
class TableTraining(TableOptions):
    """The options of training on a table."""

    folds: Annotated[
        Count,
        option(TABLE, "Evaluate by cross-validation with this many folds; the network is trained on all rows."),
    ] = None
    class_weight: Annotated[Text, option(TABLE, '"balanced" weights rare classes as much as common ones.')] = None
    fast: Annotated[
        bool,
        option(TABLE, "Train one network instead of an ensemble. Any option for a network implies this.", "--fast"),
    ] = False
    metric: Annotated[
        Text,
        option(
            TABLE, "Metric to optimize: accuracy, balanced-accuracy, f1, auc or log-loss; rmse or mae for a number."
        ),
    ] = None
    threshold: Annotated[
        Text,
        option(
            TABLE,
            "Probability from which yes is predicted: 0.3, auto for the best F1 score, or cost:10:1 if missing a "
            "case costs ten times as much as a false alarm.",
        ),
    ] = None
    minutes: Annotated[Real, option(TABLE, "Time limit for training an ensemble, in minutes.")] = None
    stream: Annotated[bool, option(TABLE, "Read the file in chunks (automatic for large files).", "--stream")] = False
    print_python: Annotated[
        bool, option(TABLE, "Print an equivalent Python script instead of training.", "--print-python")
    ] = False


@dataclass(frozen=True)
class NetworkOptions(TableOptions):
    """The options for one network, and for its training."""

    layers: Annotated[Text, option(NET, 'Hidden layer sizes, such as "64,32", or "none".')] = None
    activation: Annotated[Text, option(NET, "Activation of the hidden layers: relu, tanh, sigmoid, gelu, ...")] = None
    dropout: Annotated[Real, option(NET, "Dropout rate after each hidden layer.")] = None
    input_dropout: Annotated[Real, option(NET, "Dropout rate on the inputs.")] = None
    l1: Annotated[Real, option(NET, "L1 penalty strength.", "--l1")] = None
    l2: Annotated[Real, option(NET, "L2 penalty strength.", "--l2")] = None
    max_norm: Annotated[Real, option(NET, "Maximum norm of each unit's weights; 0 for no limit.")] = None
    optimizer: Annotated[Text, option(LEARN, "Optimizer, such as adam, adamw, momentum or sgd.")] = None
    learning_rate: Annotated[Real, option(LEARN, "Learning rate; the default depends on the optimizer.")] = None
    schedule: Annotated[
        Text, option(LEARN, "constant, inverse-time, inverse-scaling, exponential, step, cosine or one-cycle.")
    ] = None
    warm_up: Annotated[Real, option(LEARN, "Warm-up epochs before the schedule starts.")] = None
    clip_norm: Annotated[Real, option(LEARN, "Maximum gradient norm; 0 disables clipping.")] = None
    epochs: Annotated[Count, option(LEARN, "Number of passes over the training rows.")] = None
    batch_size: Annotated[Count, option(LEARN, "Rows per step.")] = None
    patience: Annotated[
        Count,
        option(
            LEARN, "Stop after this many epochs without a lower validation loss, and restore the best parameters; 0 "
            "disables early stopping.",
        ),
    ] = None  # fmt: skip
    label_smoothing: Annotated[Real, option(LEARN, "Share of each target spread evenly over all classes.")] = None


@dataclass(frozen=True)
class TrainOptions(TableTraining, NetworkOptions):
    """The options of ``chainrule train``; None, False or an empty list if not given."""

    seed: Annotated[Count, option(RUN, "Random seed for the data, split and training. Default: 0.")] = None
    data: Annotated[File, option(RUN, "Folder with the MNIST files.", metavar="FOLDER")] = None
    image_size: Annotated[
        Count, option(RUN, "Resize images to N x N pixels; by default, all must have the same size.")
    ] = None
    out: Annotated[
        File, option(RUN, "Output folder. Default: runs/DATASET, or runs/DATASET-2 if that exists.", metavar="FOLDER")
    ] = None
    overwrite: Annotated[bool, option(RUN, "Overwrite the results in the output folder.", "--overwrite")] = False
    resume: Annotated[File, option(RUN, "Resume the interrupted training run in this folder.", metavar="FOLDER")] = None
    quiet: Annotated[bool, option(RUN, "Print only the result and the output folder.", "--quiet")] = False


@dataclass(frozen=True)
class TuneOptions(TableTraining, NetworkOptions):
    """The options of ``chainrule tune``: those of ``train`` for a network are fixed, and not searched."""

    trials: Annotated[Count, option(SEARCH, "Total number of trials, including those of a resumed study.")] = None
    minutes: Annotated[Real, option(SEARCH, "Time limit in minutes, including the final fit.")] = None
    folds: Annotated[Count, option(SEARCH, "Cross-validation folds. Default: 5 for up to 2,000 rows, otherwise 3.")] = (
        None
    )
    n_jobs: Annotated[int, option(SEARCH, "Trials to run in parallel, sharing the cores.")] = 1
    storage: Annotated[
        Text,
        option(
            SEARCH, "Share the study with other processes: journal:FOLDER, or postgresql://USER@HOST/DATABASE#NAME.",
            metavar="ADDRESS",
        ),
    ] = None  # fmt: skip
    dask: Annotated[
        Text, option(SEARCH, "Run trials on the Dask cluster of a scheduler, tcp://HOST:PORT.", metavar="ADDRESS")
    ] = None
    seed: Annotated[int, option(RUN, "Random seed for the split, search and training.")] = 0
    out: Annotated[
        File, option(RUN, "Output folder for the study and results. Default: runs/FILE-tune.", metavar="FOLDER")
    ] = None
    quiet: Annotated[bool, option(RUN, "Print only the result and the output folder.", "--quiet")] = False
    fast: Annotated[bool, option(None, "", "--fast", hidden=True)] = False  # hidden ones are refused
    stream: Annotated[bool, option(None, "", "--stream", hidden=True)] = False
    print_python: Annotated[bool, option(None, "", "--print-python", hidden=True)] = False
    schedule: Annotated[Text, option(None, "", hidden=True)] = None
    warm_up: Annotated[Real, option(None, "", hidden=True)] = None
    overwrite: Annotated[bool, option(None, "", "--overwrite", hidden=True)] = False
    resume: Annotated[File, option(None, "", hidden=True)] = None


NOT_TUNED = {
    "fast": "is not needed: tune always searches for one network. Omit it.",
    "stream": "does not go with tune, which needs the table in memory: omit it, or give a sample of the rows.",
    "print_python": "does not go with tune. Omit it.",
    "schedule": "applies only to data sets, not tables: omit it.",
    "warm_up": "applies only to data sets, not tables: omit it.",
    "overwrite": "does not go with tune, which resumes the study in its folder: choose another folder with --out.",
    "resume": "is not needed: the same command resumes the study in its folder. Omit it.",
}
"""Options of ``train`` that ``tune`` refuses, and why."""


def of_table(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of :func:`chainrule.tables.train` that describe a table, from options that were given.

    >>> of_table({"date": ["born"], "test": "0.3", "epochs": 5})
    {'dates': ['born'], 'test': 0.3}
    """
    known = {f.name for f in fields(TableOptions)} - {"target"} | {"patience", "seed"}
    found = {"dates" if name == "date" else name: value for name, value in given.items() if name in known}
    return found | ({"test": part_or_file(found["test"])} if "test" in found else {})


def of_network(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the estimator, from options that were given.

    >>> of_network({"layers": "8,4", "l2": 0.1, "clip_norm": 0.0, "target": "y"})
    {'alpha': 0.1, 'hidden_layer_sizes': (8, 4)}
    """
    found = {
        PARAMETERS[name]: given[name] for name in given if name in PARAMETERS and (given[name] or name not in UNBOUNDED)
    }
    return found | ({"hidden_layer_sizes": hidden_sizes(given["layers"])} if "layers" in given else {})


def part_or_file(text: str) -> float | str:
    """Return a fraction of the rows, or the name of a file.

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


def listed(value: Any) -> Any:
    """Return the names in a list of texts with commas; anything else as it is.

    >>> listed(["id, name", "age"]), listed("id, name")
    (['id', 'name', 'age'], 'id, name')
    """
    if not isinstance(value, list):
        return value
    return [part.strip() for text in value for part in text.split(",") if part.strip()]


def spelled(name: str) -> str:
    """Return an option as it is typed."""
    return "--" + name.replace("_", "-")


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the last parameter of a command, ``options``, by one option for each field of its dataclass."""
    *own, last = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [*own, *inspect.signature(last.annotation, eval_str=True).parameters.values()]

    def wrapped(**given: Any) -> None:
        options = last.annotation(**{field.name: given.pop(field.name) for field in fields(last.annotation)})
        command(**given, options=options)

    return with_parameters(wrapped, command, parameters)
