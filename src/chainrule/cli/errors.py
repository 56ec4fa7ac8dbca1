"""Errors and warnings of the commands: one sentence on standard error, not a traceback."""

from __future__ import annotations

import errno
import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from chainrule._internal.names import reword
from chainrule.cli import json_output
from chainrule.cli.output import say
from chainrule.training.checkpoints import CheckpointWarning
from chainrule.training.loop import DivergenceError

FAILED, BAD_INPUT, MOVED = 1, 2, 3  # exit statuses
INTERRUPTED = 130  # what shells give after Ctrl-C
TYPED = {r"Try \w+\(([\d.e+-]+)\)": r"Try --learning-rate \1", r", or look for a rate with lr_range_test": ""}
"""Advice for Python code, reworded for the command line."""


def in_one_sentence(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that invalid input ends it with status 2, and a failure with status 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            raise  # `chainrule predict ... | head`: see `main`
        except (DivergenceError, ImportError, MemoryError, ValueError, TypeError, OSError) as error:
            said, status = str(error), FAILED
            if isinstance(error, DivergenceError):
                said += " Nothing was saved. Try changing --learning-rate or --clip-norm."
            elif isinstance(error, MemoryError):
                said = "out of memory. Try a smaller batch, fewer units or fewer rows."
            elif not isinstance(error, ImportError | ConnectionError):
                status = BAD_INPUT
            if isinstance(error, OSError) and error.strerror:  # of the system, not of chainrule
                said = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
                if error.errno == errno.ENOSPC:
                    status, said = FAILED, f"{said} Free some space, or choose another place."
            say(f"Error: {said}")
            json_output.record(error=said)
            raise typer.Exit(status) from error

    return wrapped


@contextmanager
def warnings_at_the_end() -> Iterator[None]:
    """Print the warnings of the block after it, each once, without a place in the code; those of checkpoints at once.

    Advice belongs to a training run that succeeded: if the block fails, its error is enough.
    """
    later: dict[str, None] = {}

    def show(message: Warning | str, category: type[Warning], *_args: Any, **_kwargs: Any) -> None:
        if issubclass(category, CheckpointWarning):
            say(f"Warning: {message}")
        else:
            later[reword(str(message), TYPED)] = None

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield
    for message in later:
        say(f"Warning: {message}")
