"""``chainrule train --resume`` for tables: what a training that has not ended leaves beside its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chainrule.cli.resuming import LARGEST, PLAN, place
from chainrule.files.values import ModelFileError, parse
from chainrule.files.writing import write_atomically

KIND = "table"
PARTS: dict[str, tuple[str, ...]] = {
    "network": (
        "activation", "dropout", "input_dropout", "l1", "l2", "max_norm", "optimizer", "learning_rate", "clip_norm",
        "epochs", "batch_size", "label_smoothing", "class_weight",
    ),
    "table": (
        "task", "categorical", "numeric", "drop", "dates", "test", "validation", "time_column", "group", "patience",
        "delimiter", "decimal", "seed",
    ),
}  # fmt: skip
"""The options that are kept, by who they are for."""

__all__ = ["check_same", "keep", "read"]


def keep(folder: Path, plan: dict[str, Any]) -> None:
    """Write what is needed to go on."""
    place(folder).mkdir(exist_ok=True)
    text = json.dumps({"kind": KIND, **plan}, indent=1, ensure_ascii=False) + "\n"
    write_atomically(place(folder) / PLAN, text.encode(), follow=False)


def read(folder: Path) -> dict[str, Any] | None:
    """Return what :func:`keep` wrote; None where it was not the training of a table that was left there."""
    path = place(folder) / PLAN
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        plan = parse(path.read_bytes(), PLAN)
        if plan.pop("kind", None) != KIND:
            return None
        _check(plan)
    except (ModelFileError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}). To train anew, leave out --resume.") from error
    return plan


def check_same(folder: Path, plan: dict[str, Any], here: dict[str, Any]) -> None:
    """Refuse options that are given again with another value.

    Parameters
    ----------
    folder : Path
    plan : dict
        What :func:`read` returned.
    here : dict
        The same of this call; None, an empty list or nothing where an option was not given.
    """
    pairs = [("FILE", "source"), ("--target", "target"), ("--layers", "layers")]
    there = {option: (plan[name], here.get(name)) for option, name in pairs}
    for part, names in PARTS.items():
        for name in names:
            option = "--date" if name == "dates" else "--" + name.replace("_", "-")
            there[option] = (plan[part].get(name), here.get(part, {}).get(name))
    for option, (before, now) in there.items():
        if now not in (None, []) and now != before:
            raise ValueError(
                f"{option}: the training in {folder} was started with {before}, got {now}: "
                "leave it out with --resume, or train anew without."
            )


def _check(plan: dict[str, Any]) -> None:
    if plan.keys() != {"command", "source", "target", "layers", *PARTS}:
        raise ValueError("it has other fields")
    if not all(isinstance(plan[name], str) for name in ("command", "source", "target")):
        raise ValueError("the command, the file or the target is no text")
    values = [plan["layers"]]
    for part, names in PARTS.items():
        if not isinstance(plan[part], dict) or not plan[part].keys() <= set(names):
            raise ValueError(f"{part} has other options")
        values += plan[part].values()
    for value in values:
        for entry in value if isinstance(value, list) else [value]:
            if not isinstance(entry, str | int | float | None):
                raise ModelFileError("an option is neither a number nor a text")
