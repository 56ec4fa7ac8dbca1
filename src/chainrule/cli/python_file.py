"""A user's own Python file, run because the user named it, and what in it can be checked."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """A loss in plain NumPy, the parameters that it depends on, and its gradient."""

    loss: Any
    parameters: Any
    gradients: Any


KINDS = (Network, Layer, Loss, Penalty, Optimizer)
WANTED = (
    "a Network, or a Layer, a Loss, a Penalty or an Optimizer (the class or an object of it), or a function loss with "
    "parameters and gradients"
)
LOSSES = ("loss", "cost", "loss_function", "cost_function", "compute_loss", "compute_cost", "objective")
PARAMETERS = ("parameters", "params", "weights", "theta")
GRADIENTS = ("gradients", "grads", "gradient", "grad", "compute_gradients", "backward", "backprop")


@dataclass(frozen=True)
class Found:
    """What is to be checked, by its name in the file, and the classes of which there is no object to check."""

    subjects: dict[str, Any]
    not_made: list[str]


def is_python(target: str) -> bool:
    """Say whether a target is a Python file, or a name in one.

    >>> is_python("layer.py"), is_python("net.py:network"), is_python("model.safetensors")
    (True, True, False)
    """
    return target.endswith(".py") or ".py:" in target


@contextlib.contextmanager
def opened(target: str) -> Iterator[Found]:
    """Run the file, as ``python FILE`` does but not as ``__main__``, and give what is to be checked in it.

    With a name after a colon that alone; else every Network under a name of the file, every layer, loss, penalty and
    optimizer under one, and every class of these that the file defines and of which no object was found; and a function
    ``loss`` with ``parameters`` and ``gradients``. Names that start with an underscore are passed over.
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
            f"there is no file {path}: give the path of a Python file, from this folder."
        ) from error
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}.") from error
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"{path}{where}: {type(error).__name__}: {error.msg}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no Python file: {error}.") from error
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
            f"{path}{where}: {what} (while the file was run). What a check does not need belongs under "
            'if __name__ == "__main__":'
        ) from error
    return module


@contextlib.contextmanager
def _imports_beside(path: Path) -> Iterator[None]:
    """Let the file import its neighbours, and find its own name where its arguments would be."""
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
    known = [key for key, value in vars(module).items() if _is_one(value) and not key.startswith("_")]
    if name not in vars(module):
        listed = did_you_mean(name, known) if known else f"It has no name for {WANTED}."
        raise ValueError(f"{file} has no {name!r}. {listed}")
    thing = getattr(module, name)
    if (triple := _triple(module, [name])) is not None:
        return Found({name: triple}, [])
    if not _is_one(thing):
        raise ValueError(f"{file}: {name}: expected {WANTED}, got {thing!r}.")
    if not isinstance(thing, type):
        return Found({name: thing}, [])
    made = _object(thing)
    if made is None:
        raise ValueError(f"{file}: {name} needs arguments: {_remedy(thing)}.")
    return Found({name: made}, [])


def _all(module: ModuleType, file: str) -> Found:
    values = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_one(value)}
    things = {name: value for name, value in values.items() if not isinstance(value, type)}
    things = {name: things[name] for name in {id(value): name for name, value in reversed(things.items())}.values()}
    parts = [part for n in things.values() if isinstance(n, Network) for part in (*n.layers, n.loss)]
    have = {type(thing) for thing in (*things.values(), *parts)}
    not_made = []
    for name, cls in values.items():
        if isinstance(cls, type) and cls.__module__ == module.__name__ and cls not in have:
            have.add(cls)
            made = _object(cls)
            if made is None:
                not_made.append(f"{name} needs arguments: {_remedy(cls)}")
            else:
                things[name] = made
    if (triple := _triple(module, LOSSES)) is not None and triple.gradients is not None:
        name = next(name for name, value in vars(module).items() if value is triple.loss)
        things[name], values[name] = triple, triple
    if not things and not not_made:
        raise ValueError(f"{file} has nothing to check: expected {WANTED}, defined in it under a name.")
    order = [name for name in values if name in things]  # as in the file
    return Found({name: things[name] for name in order}, not_made)


def _triple(module: ModuleType, losses: Sequence[str]) -> Triple | None:
    """Return the file's own function of one of these names, with the parameters and the gradients beside it."""

    def first(names: Sequence[str]) -> Any:
        found = [vars(module)[name] for name in names if name in vars(module)]
        return found[0] if found else None

    loss, parameters = first(losses), first(PARAMETERS)
    plain = callable(loss) and not isinstance(loss, (type, *KINDS))
    return Triple(loss, parameters, first(GRADIENTS)) if plain and parameters is not None else None


def _is_one(value: Any) -> bool:
    if not isinstance(value, type):
        return isinstance(value, KINDS)
    return issubclass(value, KINDS[1:]) and not getattr(value, "__abstractmethods__", None)


def _object(cls: type) -> Any:
    """Return an object of the class, with plain numbers where it has no defaults; None where that does not work."""
    try:
        return next(variants(cls))
    except Exception:  # noqa: BLE001  (a class of one's own may raise anything)
        return None


def _remedy(cls: type) -> str:
    return f"give the file an object of it to check, such as {cls.__name__.lower()} = {cls.__name__}(...)"
