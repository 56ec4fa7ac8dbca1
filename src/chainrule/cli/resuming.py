"""``chainrule train --resume``: the plan that an unfinished run keeps in its folder, whatever its kind of source."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shlex import join, quote
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer

from chainrule._internal.names import key
from chainrule.cli.data import IMAGES, check_arguments, find
from chainrule.cli.errors import warnings_at_the_end
from chainrule.cli.folder import CHECKPOINTS, CONFIG
from chainrule.cli.options import DATA_SETS_ONLY, RUN_ONLY, TrainOptions, as_text, part_or_file, spelled
from chainrule.cli.output import printable
from chainrule.cli.recipes import Recipe
from chainrule.files.values import ModelFileError, check_fields, parse, shown
from chainrule.files.writing import refuse_link, remove_parts, write_atomically
from chainrule.tables.sources.names import is_local, is_pattern, split_member
from chainrule.tables.sources.names import shown as shown_source
from chainrule.training.checkpoints import Checkpoint
from chainrule.training.loop import DivergenceError

PLAN = "run.json"
ENSEMBLE = "ensemble-checkpoint.safetensors"  # as in estimators/_ensemble_checkpoints.py, which needs an extra
EVERY = timedelta(seconds=10)
LARGEST = 2**20  # bytes of PLAN
DATA_SET, TABLE = "data set", "table"


@dataclass(frozen=True)
class Plan:
    """The source and the options of a training run.

    Attributes
    ----------
    kind : "data set" or "table"
    source : the name of the data set, or the file
    options : the given options, by their names in :class:`TrainOptions`; for a data set, the whole recipe
    arguments : the arguments with which the data set was loaded
    command : the command line
    """

    kind: str
    source: str
    options: dict[str, Any]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    command: str = dataclasses.field(
        default_factory=lambda: join(["chainrule", *(shown_source(w) for w in sys.argv[1:] if w != "--print-python")])
    )


def place(folder: Path) -> Path:
    """Return the folder of a run's checkpoints, but not a link, through which files elsewhere could be deleted."""
    return refuse_link(folder / CHECKPOINTS)


def checkpoint(folder: Path, *, timed: bool = True) -> Checkpoint:
    """Return the callback that writes checkpoints, some seconds apart or after every epoch."""
    return Checkpoint(place(folder), every=EVERY if timed else 1)


@contextlib.contextmanager
def training(folder: Path) -> Iterator[None]:
    """Print warnings after the block; if training diverges, remove the checkpoints: it would diverge again."""
    with warnings_at_the_end():
        try:
            yield
        except DivergenceError:
            remove(folder)
            raise


def keep(folder: Path, plan: Plan) -> None:
    """Write the plan, which is needed to resume; passwords are left out."""
    place(folder).mkdir(exist_ok=True)
    options = plan.options | ({"test": shown_source(plan.options["test"])} if plan.options.get("test") else {})
    plan = dataclasses.replace(plan, source=shown_source(plan.source), options=options)
    text = json.dumps(dataclasses.asdict(plan), indent=1, ensure_ascii=False) + "\n"
    write_atomically(place(folder) / PLAN, text.encode(), follow=False)


def read(folder: Path) -> Plan:
    """Return the plan of an unfinished run."""
    path = place(folder) / PLAN
    if not folder.is_dir():
        raise NotADirectoryError(f"--resume: {folder} is not a folder: give one written by chainrule train.")
    if not path.is_file():
        finished = (folder / CONFIG).is_file()
        why = "is complete: evaluate it with chainrule evaluate" if finished else f"left no {CHECKPOINTS}/{PLAN}"
        raise ValueError(f"--resume: the training run in {folder} {why}. To start over, omit --resume.")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return _checked(_upgraded(parse(path.read_bytes(), PLAN)))
    except (ModelFileError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is corrupt ({error}). To start over, omit --resume.") from error


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return a plan of version 0.1, which had two forms, in the present form."""
    if "dataset" in content:
        options = {**content["options"], "layers": as_text([*content["options"]["layers"]])}
        return {"kind": DATA_SET, "source": find(str(content["dataset"])), "options": options, "command": "",
                "arguments": content["arguments"]}  # fmt: skip
    if "network" in content:
        table = {"date" if name == "dates" else name: value for name, value in content.pop("table").items()}
        if isinstance(table.get("test"), float):
            table["test"] = str(table["test"])
        given = {name: content.pop(name) for name in ("target", "layers")} | content.pop("network") | table
        return {**content, "options": given, "arguments": {}}
    return content


def _checked(content: dict[str, Any]) -> Plan:
    check_fields("the plan", content, {field.name for field in dataclasses.fields(Plan)})
    for name, value in content.items():
        if not isinstance(value, dict if name in ("options", "arguments") else str):
            raise TypeError(f"{name}: expected {'names and values' if name in ('options', 'arguments') else 'text'}")
    plan = Plan(**content)
    known = {f.name for f in dataclasses.fields(TrainOptions)} - {*RUN_ONLY, *DATA_SETS_ONLY}
    if plan.kind == DATA_SET:
        find(plan.source)
        check_arguments(plan.source, plan.arguments)
        known = {f.name for f in dataclasses.fields(Recipe)}
    elif plan.kind != TABLE or not isinstance(plan.options.get("target"), str):
        raise ValueError(f"expected a {DATA_SET}, or a {TABLE} with a target")
    if plan.options.keys() - known or (plan.kind == DATA_SET and plan.options.keys() != known):
        raise ValueError(f"options: expected {', '.join(sorted(known))}")
    hints = get_type_hints(TrainOptions)
    for name, value in plan.options.items():
        if value is not None or (plan.kind == DATA_SET and name != "learning_rate"):
            _check_value(name, get_args(hints[name]) or (hints[name],), value)
    return plan


def _check_value(name: str, declared: tuple[Any, ...], value: Any) -> None:
    """Reject a value of another type than those declared; integers are numbers, too."""
    kinds = {*declared, *([int] if float in declared else [])} - {NoneType}
    names = isinstance(value, list) and list[str] in kinds and all(isinstance(text, str) for text in value)
    if not names and type(value) not in kinds:
        expected = " or ".join(sorted(getattr(kind, "__name__", str(kind)) for kind in kinds))
        raise ValueError(f"options: {name}: expected {expected}, got {shown(value)}")
    if isinstance(value, int | float) and not abs(value) < 2**63:
        raise ValueError(f"options: {name}: expected a smaller number, got {shown(value)}")


def continued(folder: Path, plan: Plan, source: str | None, options: TrainOptions) -> Plan:
    """Return the plan of a resumed run with these options; only the epochs on a data set may be increased."""
    options.refuse(
        ("out", "overwrite", "stream", "print_python"),
        "does not go with --resume, which continues in the same folder with the original options: omit it.",
    )
    given = options.given()
    if options.data is not None:
        given["data"] = str(options.data.expanduser().absolute())
    if options.image_size is not None:
        given["image_size"] = options.image_size
    known = {**plan.options, "data": plan.arguments.get("folder"), "image_size": plan.arguments.get("width")}
    table = plan.kind == TABLE
    if plan.source == IMAGES and source is not None:
        given, known = given | {"source": str(Path(source).expanduser().absolute())}, known | {"source": known["data"]}
    elif source is not None and not (shown_source(source) == plan.source if table else key(source) == key(plan.source)):
        given, known = {"source": source}, {"source": plan.source}
    for name, value in given.items():
        before: Any = known.get(name)
        now: Any = shown_source(value) if isinstance(value, str) else value
        if now != before and not (name == "epochs" and not table and now > before):
            option = ("FILE" if table else "DATASET") if name == "source" else spelled(name)
            raise ValueError(
                f"{option}: the run in {folder} was started with {before}, got {now}. "
                "Omit it with --resume, or start over without --resume."
            )
    if table:
        test = part_or_file(plan.options.get("test") or "0.2")
        _confirm(folder, [(source, plan.source), (options.test, test), (options.query, plan.options.get("query"))])
    now = source or plan.source if table else plan.source
    return dataclasses.replace(plan, source=now, options=plan.options | options.given())


def _confirm(resume: Path, files: list[tuple[Any, Any]]) -> None:
    """Reject files that only the folder names, as it may be from a stranger; ``files`` are pairs: given, and there."""
    *sources, (_, query) = files
    named = [there for _, there in sources if isinstance(there, str)]
    for path in named:
        place = Path(split_member(path)[0])
        if is_local(path) and not (is_pattern(path) or place.is_file() or place.is_dir()):
            raise FileNotFoundError(f"--resume: the training run in {resume} reads {path}, which is not a file here.")
    asked = [there for now, there in files if now is None and isinstance(there, str)]
    if asked and sys.stdin.isatty():
        typer.confirm(printable(f"Resume training on {' and '.join(asked)}?"), abort=True)
    elif asked:
        more = f" --query {quote(query)}" if query else ""
        raise ValueError(
            f"--resume: the training run in {resume} reads {' and '.join(asked)}: give it again, as in chainrule train "
            f"{quote(named[0])} --resume {quote(str(resume))}{more}."
        )


def remove(folder: Path) -> None:
    """Remove the plan and the checkpoints, but no other file."""
    checkpoints = place(folder)
    for place_of in (*checkpoints.glob("rank-*-of-*"), checkpoints):
        remove_parts(place_of)
        for pattern in ("checkpoint-*.safetensors", ENSEMBLE, PLAN):
            for path in place_of.glob(pattern):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            place_of.rmdir()
