"""``chainrule train`` on a data set: the run, from its plan to the files in its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import time
from pathlib import Path

from chainrule._internal.interrupt import deferred_interrupt
from chainrule.cli import config as config_module
from chainrule.cli import data, json_output, recipes, report, resuming
from chainrule.cli.config import Config
from chainrule.cli.folder import CONFIG, HISTORY, MODEL, OURS
from chainrule.cli.options import TrainOptions, as_text
from chainrule.cli.output import say, tell
from chainrule.cli.progress import LiveBar, terminal
from chainrule.cli.resuming import Plan
from chainrule.datasets.images import has_images
from chainrule.files import networks
from chainrule.files.writing import replacing
from chainrule.training.callbacks import Callback, EarlyStopping, Progress, Run
from chainrule.training.loop import train as fit


def begin(source: str, asked: TrainOptions) -> Plan:
    """Return the plan of a training run on a data set, with every option decided."""
    name = data.find(source)
    recipe = recipes.resolve(name, **asked.given())
    folder = asked.data
    if name == data.IMAGES and has_images(source):
        if asked.data is not None:
            raise ValueError("--data: only mnist is read from another folder; omit it for images.")
        folder = Path(source)
    arguments = data.arguments(name, recipe.seed, folder, asked.image_size)
    if name == data.IMAGES and asked.batch_size is None:
        rows = (1 - data.TEST) * (1 - data.VALIDATION) * data.count(arguments) - 2  # to train on, at least
        recipe = dataclasses.replace(recipe, batch_size=max(1, min(recipe.batch_size, int(rows))))
    kept = dataclasses.asdict(recipe) | {"layers": as_text(recipe.layers)}
    return Plan(resuming.DATA_SET, name, kept, arguments)


def run(plan: Plan, folder: Path, asked: TrainOptions) -> None:
    """Train by the plan, or resume the run in the folder, and save and print the results."""
    name, quiet = plan.source, asked.quiet
    recipe = recipes.resolve(name, **plan.options)
    rows, test = data.load(name, plan.arguments, recipe.seed)
    image = data.image_shape(plan.arguments) if name == data.IMAGES else None
    network = recipes.network(recipe, rows.X.shape[1], len(rows.classes), image)
    settings = recipes.arguments(recipe)
    part = data.VALIDATION_MNIST if name == "mnist" else data.VALIDATION
    validation = max(1, round(part * len(rows)))
    counts = {"train": len(rows) - validation, "validation": validation, "test": len(test)}
    shown = [settings[key] for key in ("optimizer", "schedule", "clip") if settings[key]] + settings["penalties"]
    header = (
        f"data       {name}: {counts['train']:,} training, {validation:,} validation, {len(test):,} test rows\n"
        f"{network}\n"
        f"learning   {', '.join(map(repr, shown))}\n"
        f"           {_epochs(recipe.epochs)}, batch size {recipe.batch_size}\n"
        f"results    {folder}\n"
    )
    start = time.perf_counter()
    with resuming.training(folder), contextlib.ExitStack() as stack:
        callbacks = [_Started(folder, plan, "" if quiet else header), resuming.checkpoint(folder)]
        callbacks += [EarlyStopping(patience=recipe.patience)] if recipe.patience else []
        if not quiet:
            console = terminal()
            callbacks.append(stack.enter_context(LiveBar(console)) if console else Progress())
        history = fit(
            network, rows.X, rows.t, **settings, validation=part, callbacks=callbacks, resume=resuming.place(folder)
        )
    seconds = time.perf_counter() - start
    interrupted = history.stopped.startswith("interrupted")
    if interrupted:
        say("Training interrupted: evaluating and saving the network trained so far.")
    with deferred_interrupt():  # a Ctrl-C that comes too late to end training must not lose the result
        outcome = report.measure(network, test)
        config = Config(
            dataset=name, arguments=plan.arguments, seed=recipe.seed, test=data.TEST, classes=rows.classes,
            image_shape=rows.image_shape, input_range=(float(rows.X.min()), float(rows.X.max())),
            test_sha256=data.digest(test),
        )  # fmt: skip
        results = {
            "accuracy": outcome.accuracy, "right": outcome.right, "loss": outcome.loss, "epochs": len(history),
            "seconds": round(seconds, 3), "stopped": history.stopped,
        }  # fmt: skip
        with replacing(folder, OURS, CONFIG) as new:
            networks.save(network, new / MODEL)
            history.to_csv(new / HISTORY)
            report.draw(new, network, history, test, outcome)
            (new / CONFIG).write_text(config_module.to_json(config, recipe, counts, results), encoding="utf-8")
        if not interrupted:
            resuming.remove(folder)
    json_output.record(
        kind="data set", source=name, folder=folder, rows=counts, classes=rows.classes, epochs=len(history),
        seconds=seconds, interrupted=interrupted, scores={"accuracy": outcome.accuracy, "loss": outcome.loss},
        by_class=report.by_class(test.t, outcome.labels, test.classes),
    )  # fmt: skip
    if not quiet:
        tell(f"\n{report.table(test.t, outcome.labels, test.classes)}\n")
    tell(report.sentence(outcome))
    if not quiet:
        tell(f"time     {seconds:.1f} s, {_epochs(len(history))}")
    tell(f"results  {folder}")
    if not quiet:
        tell(f"pictures {', '.join(path.name for path in sorted(folder.glob('*.png')))}")
        tell(f"next     chainrule explain {shlex.quote(str(folder))}")
    if interrupted:
        say(f"To resume: chainrule train --resume {folder}")


class _Started(Callback):
    """Keeps the plan and prints the header once :func:`chainrule.train` has accepted its arguments."""

    def __init__(self, folder: Path, plan: Plan, header: str) -> None:
        self._folder, self._plan, self._header = folder, plan, header

    def on_start(self, run: Run) -> None:
        resuming.keep(self._folder, self._plan)
        if self._header:
            tell(self._header)


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"
