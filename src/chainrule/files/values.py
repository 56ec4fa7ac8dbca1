"""Values from untrusted files: validated JSON, and its display in messages."""

from __future__ import annotations

import json
import math
from typing import Any


class ModelFileError(ValueError):
    """Raised when this version of chainrule cannot read a file, or if it contains something other than requested."""


def parse(text: str | bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object with unique names and finite numbers."""
    value = parse_any(text, what)
    if not isinstance(value, dict):
        raise ModelFileError(f"corrupt, or of another kind: {what} cannot be read (not a JSON object).")
    return value


def parse_any(text: str | bytes, what: str) -> Any:
    """Parse JSON with unique names and finite numbers."""
    try:
        return json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_unique,
            parse_constant=_number,
            parse_float=_number,
            parse_int=_whole,
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(f"corrupt, or of another kind: {what} cannot be read ({shown(error)}).") from None


def check_fields(what: str, value: Any, known: set[str]) -> dict[str, Any]:
    """Return ``value`` if it is an object with exactly the known fields."""
    if not isinstance(value, dict):
        raise ModelFileError(f"{what} cannot be read: expected an object, got {shown(value)}.")
    if odd := value.keys() ^ known:
        names = shown(", ".join(sorted(odd)))
        raise ModelFileError(f"{what}: missing or unknown fields: {names}. Is the file from a newer version?")
    return value


def check_texts(what: str, values: Any) -> list[str]:
    """Return ``values`` if it is a list of valid strings."""
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise ModelFileError(f"{what} cannot be read: expected a list of strings, got {shown(values)}.")
    try:
        "".join(values).encode()  # half of a surrogate pair is not valid text
    except UnicodeEncodeError as error:
        raise ModelFileError(f"{what} cannot be read: {shown(error)}.") from None
    return values


def check_whole(what: str, value: Any, least: int = 0) -> int:
    """Return ``value`` if it is a 64-bit integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise ModelFileError(f"{what} cannot be read: expected a whole number from {least}, got {shown(value)}.")
    return value


def shown(value: Any, most: int = 200) -> str:
    """Return a value from a file for a message: short, and without terminal control characters."""
    text = str(value) if isinstance(value, str | BaseException) else repr(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return text if len(text) <= most else f"{text[:most]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _number(text: str) -> float:
    value = float(text.replace("Infinity", "inf"))
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is not finite")
    return value


def _whole(text: str) -> int:
    if len(text) > 4000:  # parsing time grows with the square of the length
        raise ValueError(f"a number with {len(text)} digits")
    return int(text)
