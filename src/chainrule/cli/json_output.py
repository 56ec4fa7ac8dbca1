"""``--json``: one JSON object on standard output for programs; everything else goes to standard error.

The commands say what they found with :func:`record`, which does nothing without ``--json``. The keys are in
``docs/cli.md``.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any

import numpy as np
import typer
from typer.core import TyperCommand, TyperGroup

from chainrule._version import __version__

FORMAT = 1  # of the object: keys may be added, but none is removed or changes its meaning
INTERRUPTED = 130
UsageError: Any = typer.BadParameter.__mro__[1]  # of click, which typer has inside since version 0.26
HELP = "Print one JSON object for programs on standard output, and everything else on standard error."
KINDS = {"Note: ": "notes", "Warning: ": "warnings"}
NUMBERS = {"int": "a whole number, such as 10", "float": "a number, such as 0.5"}


class _Object:
    """The object of a command: its fields, and where it is written."""

    def __init__(self, command: str) -> None:
        self.fields: dict[str, Any] = {"command": command, "version": __version__, "format": FORMAT, "status": 0}
        self.stream, self.written = sys.stdout, False

    def write(self) -> None:
        if not self.written:
            text = json.dumps(plain(self.fields), allow_nan=False) + "\n"
            self.stream.flush()
            self.stream.buffer.write(text.encode())
            self.stream.flush()
        self.written = True


_current: ContextVar[_Object | None] = ContextVar("json", default=None)


def is_asked() -> bool:
    """Return whether the command was called with ``--json``."""
    return _current.get() is not None


def record(**fields: Any) -> None:
    """Add fields to the object, if there is one; those of ``notes`` and ``warnings`` are added to those before."""
    if (found := _current.get()) is not None:
        for name in KINDS.values():
            if name in fields:
                before = found.fields.get(name, [])
                fields[name] = [*before, *(text for text in fields[name] if text not in before)]
        found.fields |= fields


def heard(message: str) -> None:
    """Record a note or a warning that is printed on standard error."""
    for start, name in KINDS.items():
        if message.startswith(start):
            record(**{name: [message.removeprefix(start)]})


def finish() -> None:
    """Write the object now, as a service does that has started."""
    if (found := _current.get()) is not None:
        found.write()


def plain(value: Any) -> Any:
    """Return a value as JSON has it: arrays as lists, and null for a number that is not finite.

    >>> plain({"a": np.array([1.5, np.nan]), "b": (np.int64(2), None), 3: "c"})
    {'a': [1.5, None], 'b': [2, None], '3': 'c'}
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def scored(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores with names for programs.

    >>> scored({"log loss": 0.4, "R²": 0.9})
    {'log_loss': 0.4, 'r2': 0.9}
    """
    return {re.sub(r"\W+", "_", name.lower().replace("²", "2")).strip("_"): value for name, value in scores.items()}


# ------------------------------------------------------------ commands


def takes_json(command: Callable[..., None], name: str) -> Callable[..., None]:
    """Add the option ``--json`` to a command; its name is that in the object."""
    parameters = [*inspect.signature(command, eval_str=True).parameters.values()]
    option = Annotated[bool, typer.Option("--json", help=HELP)]
    added = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)

    def wrapped(*, as_json: bool = False, **given: Any) -> None:
        with _reported(name) if as_json else contextlib.nullcontext():
            command(**given)

    return with_parameters(wrapped, command, [*parameters, added])


def with_parameters(
    wrapped: Callable[..., None], command: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Return a function that stands for a command, with its name and help, and with other parameters."""
    functools.update_wrapper(wrapped, command)
    del vars(wrapped)["__wrapped__"]  # its annotations differ
    vars(wrapped)["__signature__"] = inspect.Signature(parameters)
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


@contextlib.contextmanager
def _reported(command: str) -> Iterator[None]:
    """Write the object of a command after the block, also if it fails."""
    found = _Object(command)
    token = _current.set(found)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except BrokenPipeError:
        found.written = True  # nobody reads it
        raise
    except BaseException as error:
        record(status=(status := _status(error)))
        if status == INTERRUPTED:
            record(error="interrupted")
        elif not isinstance(error, typer.Exit):
            said = error.format_message() if isinstance(error, UsageError) else str(error)
            record(error=said or type(error).__name__)
        raise
    finally:
        found.write()
        _current.reset(token)


def _status(error: BaseException) -> int:
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else int(getattr(error, "exit_code", 1))


@contextlib.contextmanager
def _usage(command: str, args: list[str]) -> Iterator[None]:
    """Say what an option expects; if ``--json`` is among the arguments, write an object for wrong ones."""
    asked = "--json" in args
    try:
        yield
    except UsageError as error:
        faults: Any = getattr(error.__cause__, "errors", list)()  # of pydantic, in newer typers
        if faults and (kind := faults[0]["type"].partition("_")[0]) in NUMBERS:
            error.message = f"expected {NUMBERS[kind]}, got {faults[0]['input']!r}."
        if asked:
            found = _Object(command)
            found.fields |= {"status": error.exit_code, "error": error.format_message()}
            found.write()
        raise


def _full_name(parent: Any, name: str) -> str:
    """Return the name of a command with those of its groups, such as "course check"."""
    groups = [] if parent is None else parent.command_path.split()[1:]
    return " ".join([*groups, name])


class Command(TyperCommand):
    """A command whose wrong arguments are also reported as JSON."""

    def make_context(self, info_name: Any, args: list[str], *more: Any, **extra: Any) -> Any:
        """Parse the arguments."""
        with _usage(_full_name(more[0] if more else extra.get("parent"), str(self.name)), args):
            return super().make_context(info_name, args, *more, **extra)


class Group(TyperGroup):
    """The commands; an unknown one is also reported as JSON."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command."""
        with _usage(_full_name(ctx, args[0] if args else ""), args):
            return super().resolve_command(ctx, args)
