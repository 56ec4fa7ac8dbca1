"""What a user can get wrong ends in one sentence on standard error, not in a traceback."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from chainrule.cli.output import say
from chainrule.training.loop import DivergenceError

BAD_INPUT, FAILED = 2, 1


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
    """Say what was warned of within the block when it has ended, each once, without where in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"Warning: {message}")
