"""A user's Python file, executed at the user's request, and the objects in it that can be checked."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from chainrule._internal.names import did_you_mean
from chainrule.gradient_check.samples import variants
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import Penalty


class Triple(NamedTuple):
    """A loss in plain NumPy, its parameters, and its gradient."""

    loss: Any
    parameters: Any
    gradients: Any


KINDS = (Network, Layer, Loss, Penalty, Optimizer)
WANTED = "a Network, Layer, Loss, Penalty or Optimizer, or a function loss with parameters and gradients"
LOSSES = ("loss", "cost", "loss_function", "cost_function", "compute_loss", "compute_cost", "objective")
PARAMETERS = ("parameters", "params", "weights", "theta")
GRADIENTS = ("gradients", "grads", "gradient", "grad", "compute_gradients", "backward", "backprop")


@dataclass(frozen=True)
class Found:
    """The objects to check, by name, and a message for each class that could not be instantiated."""

    subjects: dict[str, Any]
    not_made: list[str] = field(default_factory=list)


def is_python(target: str) -> bool:
    """Return whether a target is a Python file, or a name in one.

    >>> is_python("layer.py"), is_python("net.py:network"), is_python("model.safetensors")
    (True, True, False)
    """
    return target.endswith(".py") or ".py:" in target


@contextlib.contextmanager
def opened(target: str) -> Iterator[Found]:
    """Execute the file, as ``python FILE`` does but not as ``__main__``, and yield the objects to check.

    With a name after a colon, that object alone. Otherwise every module-level network, layer, loss, penalty and
    optimizer; an object of every class of these kinds that the file defines and does not use itself; and a function
    ``loss`` with ``parameters`` and ``gradients``. Names that start with an underscore are ignored.
    """
    file, _, name = (target, "", "") if target.endswith(".py") else target.rpartition(":")
    path = Path(file)
    with _imports_beside(path):
        module = _run(path)
        yield _named(module, file, name) if name else _all(module, file)


def _run(path: Path) -> ModuleType:
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no such file: {path}. Give the path of a Python file, relative to the current folder."
        ) from error
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}.") from error
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"{path}{where}: {type(error).__name__}: {error.msg}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a valid Python file: {error}.") from error
    module = ModuleType(f"_checked_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and copies look for the module of a class
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(code, vars(module))  # noqa: S102  (the user's own code, which the user asked to run)
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        where = f", line {lines[-1]}" if lines else ""
        raise ValueError(
            f"{path}{where}: {what} (while executing the file). Put code that the check does not need under "
            'if __name__ == "__main__":'
        ) from error
    return module


@contextlib.contextmanager
def _imports_beside(path: Path) -> Iterator[None]:
    """Let the file import its neighbors, and find its own name in sys.argv."""
    arguments, folder = sys.argv, str(path.absolute().parent)
    sys.argv = [str(path)]
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.argv = arguments
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _named(module: ModuleType, file: str, name: str) -> Found:
    if name not in vars(module):
        known = [key for key, value in vars(module).items() if _is_one(value) and not key.startswith("_")]
        listed = did_you_mean(name, known) if known else f"It has no name for {WANTED}."
        raise ValueError(f"{file} has no {name!r}. {listed}")
    thing = getattr(module, name)
    if (triple := _triple(module, [name])) is not None:
        return Found({name: triple})
    if not _is_one(thing):
        raise ValueError(f"{file}: {name}: expected {WANTED}, got {thing!r}.")
    made = _object(thing) if isinstance(thing, type) else thing
    if made is None:
        raise ValueError(f"{file}: {_remedy(name, thing)}.")
    return Found({name: made})


def _all(module: ModuleType, file: str) -> Found:
    values = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_one(value)}
    first = {id(value): name for name, value in reversed(values.items())}  # each object once, under its first name
    things = {name: values[name] for name in first.values() if not isinstance(values[name], type)}
    parts = [part for n in things.values() if isinstance(n, Network) for part in (*n.layers, n.loss)]
    have = {type(thing) for thing in (*things.values(), *parts)}
    not_made = []
    for name, cls in values.items():
        if isinstance(cls, type) and cls.__module__ == module.__name__ and cls not in have:
            have.add(cls)
            made = _object(cls)
            if made is None:
                not_made.append(_remedy(name, cls))
            else:
                things[name] = made
    if (triple := _triple(module, LOSSES)) is not None and triple.gradients is not None:
        name = next(name for name, value in vars(module).items() if value is triple.loss)
        things[name] = values[name] = triple
    if not things and not not_made:
        raise ValueError(f"nothing to check in {file}: expected {WANTED}, assigned to a module-level name.")
    return Found({name: things[name] for name in values if name in things}, not_made)  # in the order of the file


def _triple(module: ModuleType, losses: Sequence[str]) -> Triple | None:
    """Return the file's function of one of these names, with the parameters and gradients beside it."""

    def first(names: Sequence[str]) -> Any:
        return next((vars(module)[name] for name in names if name in vars(module)), None)

    loss, parameters = first(losses), first(PARAMETERS)
    plain = callable(loss) and not isinstance(loss, (type, *KINDS))
    return Triple(loss, parameters, first(GRADIENTS)) if plain and parameters is not None else None


def _is_one(value: Any) -> bool:
    if not isinstance(value, type):
        return isinstance(value, KINDS)
    return issubclass(value, KINDS[1:]) and not getattr(value, "__abstractmethods__", None)


def _object(cls: type) -> Any:
    """Return an object of the class, with plain numbers for required arguments; None if that fails."""
    try:
        return next(variants(cls))
    except Exception:  # noqa: BLE001  (a custom class may raise anything)
        return None


def _remedy(name: str, cls: type) -> str:
    return f"{name} needs arguments: add an object to the file, such as {cls.__name__.lower()} = {cls.__name__}(...)"
