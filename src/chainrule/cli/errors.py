"""What a user can get wrong ends in one sentence on standard error, not in a traceback."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from chainrule._internal.names import reword
from chainrule.cli.output import say
from chainrule.training.checkpoints import CheckpointWarning
from chainrule.training.loop import DivergenceError

BAD_INPUT, FAILED = 2, 1
TYPED = {r"Try \w+\(([\d.e+-]+)\)": r"Try --learning-rate \1", r", or look for a rate with lr_range_test": ""}
"""What advice to a program is called on the command line."""


def in_one_sentence(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that errors of input end it with status 2, and failures with status 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            raise  # `chainrule predict ... | head` is no error: typer ends quietly
        except DivergenceError as error:
            say(f"Error: {error} Nothing was saved; the options to change are --learning-rate and --clip-norm.")
            raise typer.Exit(FAILED) from error
        except ImportError as error:
            say(f"Error: {error}")
            raise typer.Exit(FAILED) from error
        except MemoryError as error:
            say("Error: there is not enough memory for this. Try a smaller batch, fewer units or fewer rows.")
            raise typer.Exit(FAILED) from error
        except (ValueError, TypeError, OSError) as error:
            say(f"Error: {error}")
            raise typer.Exit(BAD_INPUT) from error

    return wrapped


@contextmanager
def warnings_at_the_end() -> Iterator[None]:
    """Say what the block warned of when it has ended, each once, without where in the code; of a checkpoint at once.

    Advice belongs to a training that worked: where the block fails, its error says enough.
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
