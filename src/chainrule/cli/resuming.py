"""``chainrule train --resume``: what a run that has not ended leaves in its folder, and how another one goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from chainrule.cli.data import check_arguments, find
from chainrule.cli.folder import CHECKPOINTS, CONFIG
from chainrule.cli.options import Options
from chainrule.files.values import parse, shown
from chainrule.files.writing import refuse_link, remove_parts, write_atomically
from chainrule.training.callbacks import Callback, Run
from chainrule.training.checkpoints import Checkpoint

PLAN = "run.json"
EVERY = timedelta(seconds=10)
LARGEST = 2**20  # bytes of PLAN
KINDS = {
    "tuple[int, ...]": ("int",),
    "int": ("int",),
    "float": ("int", "float"),
    "float | None": ("int", "float", "NoneType"),
    "str": ("str",),
}
"""The types of values that the options may have in a file, by how they are declared."""


class Kept(Callback):
    """Writes what the run is, once :func:`chainrule.train` has found nothing to refuse."""

    def __init__(self, folder: Path, dataset: str, arguments: dict[str, Any], options: Options) -> None:
        self._path = place(folder) / PLAN
        content = {"dataset": dataset, "arguments": arguments, "options": dataclasses.asdict(options)}
        self._text = json.dumps(content, indent=2) + "\n"

    def on_start(self, run: Run) -> None:
        self._path.parent.mkdir(exist_ok=True)
        write_atomically(self._path, self._text.encode(), follow=False)


def place(folder: Path) -> Path:
    """Return the folder of a run's checkpoints; a link there would lead writing and deleting out of the run."""
    return refuse_link(folder / CHECKPOINTS)


def checkpoint(folder: Path) -> Checkpoint:
    """Return the callback that keeps the state of a run."""
    return Checkpoint(place(folder), every=EVERY)


def read(folder: Path) -> tuple[str, dict[str, Any], Options]:
    """Return data set, arguments and options of a run that has not ended."""
    path = place(folder) / PLAN
    if not folder.is_dir():
        raise NotADirectoryError(f"--resume: {folder} is no folder: give one that chainrule train has made.")
    if not path.is_file():
        finished = (folder / CONFIG).is_file()
        why = "has ended: chainrule evaluate tests it again" if finished else f"left no {CHECKPOINTS}/{PLAN}"
        raise ValueError(f"--resume: the training in {folder} {why}. To train anew, leave out --resume.")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        content = parse(path.read_bytes(), PLAN)
        name = find(str(content["dataset"]))
        return name, check_arguments(name, content["arguments"]), _options(content["options"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}). To train anew, leave out --resume.") from error


def _options(given: Any) -> Options:
    """Return the options, each of the type that it is declared with."""
    names = {field.name: str(field.type) for field in dataclasses.fields(Options)}
    if not isinstance(given, dict) or given.keys() != names.keys():
        raise ValueError(f"options: expected {', '.join(names)}")
    for name, kind in names.items():
        value = given[name]
        for part in value if kind.startswith("tuple") else [value]:
            if type(part).__name__ not in KINDS[kind]:
                raise ValueError(f"options: {name}: expected {kind}, got {shown(value)}")
            if isinstance(part, int | float) and abs(part) >= 2**63:
                raise ValueError(f"options: {name}: expected a smaller number, got {shown(part)}")
    return Options(**given | {"layers": tuple(given["layers"])})


def check_same(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Refuse options that are not those of the run; only ``epochs`` may become more."""
    for name, value in there.items():
        more = name == "epochs" and here[name] >= value
        if here[name] != value and not more:
            option = "DATASET" if name == "dataset" else "--" + name.replace("_", "-")
            raise ValueError(
                f"{option}: the training in {folder} was started with {value}, got {here[name]}: "
                "leave it out with --resume, or train anew without."
            )


def remove(folder: Path) -> None:
    """Take away what only a run that has not ended needs."""
    checkpoints = place(folder)
    remove_parts(checkpoints)
    for pattern in ("checkpoint-*.safetensors", PLAN):  # no file that somebody else put there
        for path in checkpoints.glob(pattern):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        checkpoints.rmdir()
