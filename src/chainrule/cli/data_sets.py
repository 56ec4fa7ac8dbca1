"""``chainrule train`` on a data set: the run, from its plan to the files in its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from pathlib import Path

from rich.console import Console

from chainrule._internal.interrupt import deferred_interrupt
from chainrule.cli import config as config_module
from chainrule.cli import data, pictures, report, resuming
from chainrule.cli import options as build
from chainrule.cli.config import Config
from chainrule.cli.errors import warnings_at_the_end
from chainrule.cli.folder import CONFIG, HISTORY, MODEL, OURS
from chainrule.cli.output import say, tell
from chainrule.cli.progress import LiveBar
from chainrule.cli.resuming import Plan
from chainrule.cli.train_options import TrainOptions, as_text
from chainrule.files import networks
from chainrule.files.writing import replacing
from chainrule.training.callbacks import Callback, EarlyStopping, Progress, Run
from chainrule.training.loop import DivergenceError
from chainrule.training.loop import train as fit


def begin(source: str, asked: TrainOptions) -> Plan:
    """Return the plan of a training on a data set, every option decided."""
    name = data.find(source)
    options = build.resolve(name, **asked.given())
    arguments = data.arguments(name, options.seed, asked.data)
    kept = dataclasses.asdict(options) | {"layers": as_text(options.layers)}
    return Plan(resuming.DATA_SET, name, kept, arguments)


def run(plan: Plan, folder: Path, asked: TrainOptions) -> None:
    """Train by the plan, or resume what it left in the folder, and save and print the results."""
    name, quiet = plan.source, asked.quiet
    options = build.resolve(name, **plan.options)
    rows, test = data.load(name, plan.arguments, options.seed)
    network = build.network(options, rows.X.shape[1], len(rows.classes))
    settings = build.arguments(options)
    part = data.validation_part(name)
    validation = max(1, round(part * len(rows)))
    counts = {"train": len(rows) - validation, "validation": validation, "test": len(test)}
    shown = [settings[key] for key in ("optimizer", "schedule", "clip") if settings[key]] + settings["penalties"]
    header = (
        f"data       {name}: {counts['train']:,} rows to train, {counts['validation']:,} to validate, "
        f"{counts['test']:,} to test\n"
        f"{network}\n"
        f"learning   {', '.join(map(repr, shown))}\n"
        f"           {_epochs(options.epochs)} in batches of {options.batch_size}\n"
        f"results    {folder}\n"
    )
    start = time.perf_counter()
    with warnings_at_the_end(), contextlib.ExitStack() as stack:
        callbacks = [_Begun(folder, plan, "" if quiet else header), resuming.checkpoint(folder)]
        callbacks += [EarlyStopping(patience=options.patience)] if options.patience else []
        callbacks += [] if quiet else [_progress(stack)]
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
            arguments=plan.arguments,
            seed=options.seed,
            test=data.TEST,
            classes=rows.classes,
            image_shape=rows.image_shape,
            input_range=(float(rows.X.min()), float(rows.X.max())),
            test_sha256=data.digest(test),
        )
        results = {
            "accuracy": outcome.accuracy, "right": outcome.right, "loss": outcome.loss, "epochs": len(history),
            "seconds": round(seconds, 3), "stopped": history.stopped,
        }  # fmt: skip
        with replacing(folder, OURS, CONFIG) as new:
            networks.save(network, new / MODEL)
            history.to_csv(new / HISTORY)
            pictures.draw(new, network, history, test, outcome)
            text = config_module.to_json(config, options, counts, results)
            (new / CONFIG).write_text(text, encoding="utf-8")
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


class _Begun(Callback):
    """Keeps the plan and says what will be done, once :func:`chainrule.train` has found nothing to refuse."""

    def __init__(self, folder: Path, plan: Plan, header: str) -> None:
        self._folder, self._plan, self._header = folder, plan, header

    def on_start(self, run: Run) -> None:
        resuming.keep(self._folder, self._plan)
        if self._header:
            tell(self._header)


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _progress(stack: contextlib.ExitStack) -> Callback:
    """Return a live bar on a terminal, and one plain line an epoch elsewhere."""
    console = Console()
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        return Progress()
    return stack.enter_context(LiveBar(console))
