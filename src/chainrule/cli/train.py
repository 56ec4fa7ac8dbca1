"""``chainrule train``: a network on a data set, and a folder with everything about it."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.names import reword
from chainrule.advice import AdviceWarning
from chainrule.cli import table_options
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.limits import MaxUnpacked
from chainrule.cli.output import say, tell
from chainrule.files.writing import replacing
from chainrule.training.callbacks import Callback, Progress, Run
from chainrule.training.checkpoints import CheckpointWarning

if TYPE_CHECKING:
    from chainrule.cli.config import Config
    from chainrule.cli.options import Options
    from chainrule.cli.report import Outcome
    from chainrule.datasets import Dataset
    from chainrule.network import Network
    from chainrule.training.history import History
else:
    Config = Options = Outcome = Dataset = History = Network = Any

TYPED = {r"Try \w+\(([\d.e+-]+)\)": r"Try --learning-rate \1", r", or look for a rate with lr_range_test": ""}
"""What advice to a program is called on the command line."""
NET, LEARN, RUN, TABLE = "The network", "How it learns", "The run", table_options.TABLE


@in_one_sentence
def train(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET|FILE",
            help="digits, mnist, moons, circles or spirals; or a table: CSV, Parquet, Arrow, JSON lines, npz, - for "
            "standard input.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict; several with commas.", rich_help_panel=TABLE)
    ] = None,
    task: table_options.Task = None,
    categorical: table_options.Categorical = None,
    numeric: table_options.Numeric = None,
    drop: table_options.Drop = None,
    date: table_options.Date = None,
    test: table_options.Test = None,
    validation: table_options.Validation = None,
    time_column: table_options.TimeColumn = None,
    group: table_options.Group = None,
    class_weight: Annotated[
        str | None, typer.Option(help='"balanced": rare classes count as much as others.', rich_help_panel=TABLE)
    ] = None,
    delimiter: table_options.Delimiter = None,
    decimal: table_options.Decimal = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Read the file piece by piece, as large ones are.", rich_help_panel=TABLE)
    ] = False,
    print_python: Annotated[
        bool,
        typer.Option(
            "--print-python", help="Print the same as a Python script, and train nothing.", rich_help_panel=TABLE
        ),
    ] = False,
    layers: Annotated[
        str | None, typer.Option(help='Sizes of the hidden layers: "64,32", or "none".', rich_help_panel=NET)
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="Between the layers: relu, tanh, sigmoid, gelu, ...", rich_help_panel=NET)
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Rate of dropout after each hidden layer.", rich_help_panel=NET)
    ] = None,
    input_dropout: Annotated[
        float | None, typer.Option(help="Rate of dropout of the inputs.", rich_help_panel=NET)
    ] = None,
    l1: Annotated[float | None, typer.Option("--l1", help="Strength of the L1 penalty.", rich_help_panel=NET)] = None,
    l2: Annotated[float | None, typer.Option("--l2", help="Strength of the L2 penalty.", rich_help_panel=NET)] = None,
    max_norm: Annotated[
        float | None, typer.Option(help="Largest norm of a unit's weights; 0 for any.", rich_help_panel=NET)
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help="An optimizer's name, such as adam, adamw, momentum or sgd.", rich_help_panel=LEARN),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="By default what suits the optimizer.", rich_help_panel=LEARN)
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="constant, inverse-time, inverse-scaling, exponential, step, cosine or one-cycle.",
            rich_help_panel=LEARN,
        ),
    ] = None,
    warm_up: Annotated[
        float | None, typer.Option(help="Epochs of warm-up before the schedule.", rich_help_panel=LEARN)
    ] = None,
    clip_norm: Annotated[
        float | None, typer.Option(help="Largest norm of the gradient; 0 for any.", rich_help_panel=LEARN)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How often every row is used.", rich_help_panel=LEARN)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.", rich_help_panel=LEARN)] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better validation loss, and go back to the best; 0: never.",
            rich_help_panel=LEARN,
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of a target given to all classes alike.", rich_help_panel=LEARN)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the data, the split and the training; 0 by default.", rich_help_panel=RUN)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the files of mnist are.", rich_help_panel=RUN)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For the results; runs/DATASET by default.", rich_help_panel=RUN),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results in the folder.", rich_help_panel=RUN)
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Go on with the training that did not end there.", rich_help_panel=RUN),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only the accuracy and the folder.", rich_help_panel=RUN)
    ] = False,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
) -> None:
    """Train a network on DATASET or FILE, test it on rows that it never saw, and keep everything in a folder.

    What is not given is chosen to suit the data set. Ctrl-C ends training early: what was learned is tested and saved.
    A training that was interrupted or killed goes on with --resume FOLDER, and ends as it would have ended.
    """
    from chainrule.cli import data as data_module  # noqa: PLC0415  (not needed for --help)
    from chainrule.cli import options as options_module  # noqa: PLC0415
    from chainrule.cli import resuming, table_plans, tables  # noqa: PLC0415
    from chainrule.cli.folder import run_folder  # noqa: PLC0415

    plan = None if resume is None else table_plans.read(resume)
    if plan is not None or tables.is_table(dataset):
        tables.refuse({"--schedule": schedule, "--warm-up": warm_up, "--data": data})
        network = {
            "activation": activation, "dropout": dropout, "input_dropout": input_dropout, "l1": l1, "l2": l2,
            "max_norm": max_norm, "optimizer": optimizer, "learning_rate": learning_rate, "clip_norm": clip_norm,
            "epochs": epochs, "batch_size": batch_size, "label_smoothing": label_smoothing,
            "class_weight": class_weight,
        }  # fmt: skip
        table = {
            "task": task, "categorical": tables.names(categorical), "numeric": tables.names(numeric),
            "drop": tables.names(drop), "dates": tables.names(date), "test": test, "validation": validation,
            "time_column": time_column, "group": group, "patience": patience, "delimiter": delimiter,
            "decimal": decimal, "seed": seed,
        }  # fmt: skip
        tables.train_or_go_on(
            dataset, target, layers=layers, network=network, table=table, plan=plan, resume=resume, out=out,
            overwrite=overwrite, quiet=quiet, stream=stream, print_python=print_python,
        )  # fmt: skip
        return
    if target is not None or print_python or validation is not None:
        option = "--print-python" if print_python else "--target" if target is not None else "--validation"
        raise ValueError(f"{option}: {dataset} is no table: give a file such as customers.csv.")
    there = None if resume is None else resuming.read(resume)
    dataset = dataset or (there[0] if there else None)
    if dataset is None:
        raise typer.BadParameter("give one, such as digits.", param_hint="DATASET")
    name = data_module.find(dataset)
    options = options_module.resolve(
        name, layers, there[2] if there else None,
        activation=activation, dropout=dropout, input_dropout=input_dropout, l1=l1, l2=l2,
        max_norm=max_norm, optimizer=optimizer, learning_rate=learning_rate, schedule=schedule, warm_up=warm_up,
        clip_norm=clip_norm, epochs=epochs, batch_size=batch_size, patience=patience, label_smoothing=label_smoothing,
        seed=seed,
    )  # fmt: skip
    arguments = data_module.arguments(name, options.seed, data)
    _check_extras()
    if resume is None or there is None:
        with run_folder(name, out, overwrite=overwrite) as folder:
            resuming.remove(folder)  # with --overwrite: what another run left
            _run(name, arguments, options, folder, quiet=quiet)
        return
    if out is not None or overwrite:
        raise ValueError("--resume: the results go where the training was: leave out --out and --overwrite.")
    arguments = there[1] if data is None else arguments
    resuming.check_same(
        resume,
        {"dataset": there[0], **dataclasses.asdict(there[2]), "data": there[1]},
        {"dataset": name, **dataclasses.asdict(options), "data": arguments},
    )
    _run(name, arguments, options, resume, quiet=quiet)


def _check_extras() -> None:
    """Refuse before training what would fail after it."""
    for package in ("sklearn", "matplotlib"):
        if find_spec(package) is None:
            raise ImportError(f'this needs the package {package!r}. Type: pip install "chainrule[cli]"')


def _run(name: str, arguments: dict[str, Any], options: Options, folder: Path, *, quiet: bool) -> None:
    from chainrule.cli import data as data_module  # noqa: PLC0415
    from chainrule.cli import options as build  # noqa: PLC0415
    from chainrule.cli import report, resuming  # noqa: PLC0415
    from chainrule.cli.config import Config  # noqa: PLC0415
    from chainrule.training.loop import DivergenceError  # noqa: PLC0415
    from chainrule.training.loop import train as fit  # noqa: PLC0415

    rows, test = data_module.load(name, arguments, options.seed)
    network = build.network(options, rows.X.shape[1], len(rows.classes))
    settings = build.arguments(options)
    part = data_module.validation_part(name)
    validation = max(1, round(part * len(rows)))
    counts = {"train": len(rows) - validation, "validation": validation, "test": len(test)}
    header = _header(name, counts, network, settings, folder)
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        callbacks: list[Callback] = [resuming.Kept(folder, name, arguments, options), resuming.checkpoint(folder)]
        callbacks += build.early_stopping(options)
        if not quiet:
            callbacks += [_Header(header), _progress(stack)]
        stack.enter_context(_warnings_in_one_line())
        try:
            history = fit(
                network, rows.X, rows.t, **settings, validation=part, callbacks=callbacks, resume=resuming.place(folder)
            )
        except DivergenceError:
            resuming.remove(folder)  # it would diverge again
            raise
    seconds = time.perf_counter() - start
    interrupted = history.stopped.startswith("interrupted")
    if interrupted:
        say("Training was interrupted: what was learned until then is tested and saved.")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose what was learned
        outcome = report.measure(network, test)
        config = Config(
            dataset=name,
            arguments=arguments,
            seed=options.seed,
            test=data_module.TEST,
            classes=rows.classes,
            image_shape=rows.image_shape,
            input_range=(float(rows.X.min()), float(rows.X.max())),
            test_sha256=data_module.digest(test),
        )
        _save(folder, network, history, config, options, counts, outcome, seconds, test)
        if not interrupted:
            resuming.remove(folder)
    if not quiet:
        tell(f"\n{report.table(test.t, outcome.labels, test.classes)}\n")
    tell(report.sentence(outcome))
    if not quiet:
        tell(f"time     {seconds:.1f} s of training, {_epochs(len(history))}")
    tell(f"results  {folder}")
    if interrupted:
        say(f"To resume it: chainrule train --resume {folder}")


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Say what is warned of, such as a damaged checkpoint, as the command line says things.

    Advice is said after a training that worked: where it diverged, the error says enough.
    """
    advice: list[str] = []

    def show(message: Warning | str, category: type[Warning], *_args: Any, **_kwargs: Any) -> None:
        if issubclass(category, AdviceWarning):
            advice.append(reword(str(message), TYPED))
        else:
            say(f"Warning: {message}")

    with warnings.catch_warnings():
        for category in (CheckpointWarning, AdviceWarning):
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield
    for message in advice:
        say(f"Warning: {message}")


class _Header(Callback):
    """Says what will be done, once :func:`chainrule.train` has found nothing to refuse."""

    def __init__(self, text: str) -> None:
        self._text = text

    def on_start(self, run: Run) -> None:
        tell(self._text)


def _header(name: str, counts: dict[str, int], network: Network, settings: dict[str, Any], folder: Path) -> str:
    parts = [repr(settings[key]) for key in ("optimizer", "schedule", "clip") if settings[key]]
    parts += map(repr, settings["penalties"])
    return (
        f"data       {name}: {counts['train']:,} rows to train, {counts['validation']:,} to validate, "
        f"{counts['test']:,} to test\n"
        f"{network}\n"
        f"learning   {', '.join(parts)}\n"
        f"           {_epochs(settings['epochs'])} in batches of {settings['batch_size']}\n"
        f"results    {folder}\n"
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _progress(stack: contextlib.ExitStack) -> Callback:
    """Return a live bar on a terminal, and one plain line an epoch elsewhere."""
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        return Progress()
    from chainrule.cli.progress import LiveBar  # noqa: PLC0415

    return stack.enter_context(LiveBar(console))


def _save(
    folder: Path,
    network: Network,
    history: History,
    config: Config,
    options: Options,
    rows: dict[str, int],
    outcome: Outcome,
    seconds: float,
    test: Dataset,
) -> None:
    """Write all files, and then put them in the place of those of an earlier run."""
    from chainrule.cli import config as config_module  # noqa: PLC0415
    from chainrule.cli import pictures  # noqa: PLC0415
    from chainrule.cli.folder import CONFIG, HISTORY, MODEL, OURS  # noqa: PLC0415
    from chainrule.files import networks  # noqa: PLC0415

    results = {
        "accuracy": outcome.accuracy,
        "right": outcome.right,
        "loss": outcome.loss,
        "epochs": len(history),
        "seconds": round(seconds, 3),
        "stopped": history.stopped,
    }
    text = config_module.to_json(config, options, rows, results)
    with replacing(folder, OURS, CONFIG) as new:
        networks.save(network, new / MODEL)
        history.to_csv(new / HISTORY)
        pictures.draw(new, network, history, test, outcome)
        (new / CONFIG).write_text(text, encoding="utf-8")
