"""Lookup by name, in fixed tables only, with suggestions for unknown names; and names in messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 20  # names in a sentence
ELSEWHERE = {
    "swish": "SiLU", "mse": "SquaredError", "meansquarederror": "SquaredError", "mae": "AbsoluteError",
    "meanabsoluteerror": "AbsoluteError", "bce": "SigmoidCrossEntropy", "binarycrossentropy": "SigmoidCrossEntropy",
    "xavier": "GlorotUniform", "kaiming": "HeNormal",
}  # fmt: skip
"""Names in other libraries, and the nearest here."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest known name and lists the known ones.

    >>> did_you_mean("rleu", ["relu", "tanh"])
    "Did you mean 'relu'? Known: relu, tanh."
    """
    import difflib  # noqa: PLC0415  (for messages only)

    known = list(known)
    lower, other = [k.lower() for k in known], ELSEWHERE.get(key(name), "").lower()
    near = [other] if other in lower else difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    guess = next((k for k in known if near and k.lower() == near[0]), None)
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    listed = f"Known: {', '.join(known[:MOST])}{more}."
    return f"Did you mean {guess!r}? {listed}" if guess else listed


def key(name: str) -> str:
    """Return the spelling used to compare names: ``HeNormal``, ``he_normal`` and ``he-normal`` are equal."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def lookup(what: str, name: str, table: Mapping[str, T]) -> T:
    """Return the entry of ``table`` under ``name``, ignoring case and underscores.

    >>> lookup("optimizer", "adam", {"Adam": 1})
    1
    >>> lookup("optimizer", "adamm", {"Adam": 1, "SGD": 2})
    Traceback (most recent call last):
    ...
    ValueError: unknown optimizer 'adamm'. Did you mean 'Adam'? Known: Adam, SGD.
    """
    wanted = key(name)
    for known, value in table.items():
        if key(known) == wanted:
            return value
    raise ValueError(f"unknown {what} {name!r}. {did_you_mean(name, table)}")


def public_classes(module: Any, base: Any) -> dict[str, Any]:
    """Return the concrete public subclasses of ``base`` in ``module``, by name: the fixed table."""
    return {
        name: value
        for name in module.__all__
        if isinstance(value := getattr(module, name), type)
        and issubclass(value, base)
        and not getattr(value, "__abstractmethods__", None)
    }


def with_article(noun: str) -> str:
    """Return a noun with its article.

    >>> with_article("Layer"), with_article("Initializer")
    ('a Layer', 'an Initializer')
    """
    return f"{'an' if noun[0] in 'AEIOaeio' else 'a'} {noun}"


def named(what: str, value: Any, base: Any, known: Any) -> Any:
    """Return ``value`` if it is a ``base``, or the class of that name with its defaults.

    ``known`` is the module that has the classes, or a table of them.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        cls = lookup(what, value, known if isinstance(known, Mapping) else public_classes(known, base))
        try:
            return cls()
        except TypeError as error:
            raise ValueError(
                f"{what}: {value!r} has no defaults; give the object, as in {cls.__name__}(...)."
            ) from error
    if isinstance(value, type) and issubclass(value, base):
        raise TypeError(f"{what}: got the class {value.__name__}; give an object of it: {value.__name__}(...).")
    raise TypeError(f"{what}: expected {with_article(base.__name__)} or its name, got {value!r}.")


def reword(message: str, names: Mapping[str, str]) -> str:
    """Return a message with other names; ``names`` maps regular expressions to their replacements.

    >>> reword("t: expected (rows, 1), got (3, 2)", {r"^t:": "y:"})
    'y: expected (rows, 1), got (3, 2)'
    """
    for pattern, name in names.items():
        message = re.sub(pattern, name, message)
    return message


@contextmanager
def reworded(names: Mapping[str, str]) -> Iterator[None]:
    """Reword errors of the block to use the caller's names: ``t`` in :func:`train` is ``y`` in an estimator."""
    try:
        yield
    except (TypeError, ValueError) as error:
        message = reword(str(error), names)
        if message == str(error):
            raise
        raise (ValueError if isinstance(error, ValueError) else TypeError)(message) from error
