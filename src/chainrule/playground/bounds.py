"""Limits of the playground, and the refusal of everything beyond them."""

from __future__ import annotations

import math
from typing import Any

SAMPLES = 20_000  # rows
COLUMNS = 256
CLASSES = 50  # of a CSV file or of points
NUMBERS = 20  # different whole numbers in a target up to which they are classes
CSV = 4_000_000  # characters
MESSAGE = 2**23  # bytes of a message
LAYERS = 32
PARAMETERS = 200_000
WIDEST = 4096  # the largest whole number in a layer's arguments
WORK = 500_000  # values that all layers read for one sample: what 30 frames a second allow
VALUES = 8_000  # values that all layers give for one sample, of which some thousands are kept
EPOCHS = 100_000
EDITS = 1_000  # by hand
SHOWN = 2_000  # rows of each part that are measured and drawn

LIMITS = {
    "samples": SAMPLES, "columns": COLUMNS, "classes": CLASSES, "csv": CSV, "message": MESSAGE, "layers": LAYERS,
    "parameters": PARAMETERS, "work": WORK, "values": VALUES, "epochs": EPOCHS, "shown": SHOWN,
}  # fmt: skip


class RefusedError(ValueError):
    """A refusal in one sentence; ``about`` is the field of the state or the message that it concerns."""

    def __init__(self, about: str | None, text: str) -> None:
        super().__init__(text)
        self.about = about


def check_object(about: str, value: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return an object with all known fields: those that are missing have their defaults."""
    if not isinstance(value, dict):
        raise RefusedError(about, f"{about}: expected an object, got {type(value).__name__}.")
    if unknown := [name for name in value if name not in known]:
        raise RefusedError(about, f"{about}: unknown field {unknown[0][:80]!r}. Known: {', '.join(known)}.")
    return known | value


def check_whole(about: str, value: Any, least: int, most: int) -> int:
    """Return a whole number between two bounds."""
    if isinstance(value, float) and value.is_integer():  # JavaScript has one kind of number
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RefusedError(about, f"{about}: expected a whole number from {least:,} to {most:,}, got {_short(value)}.")
    return value


def check_number(about: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite number between two bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedError(about, f"{about}: expected a number, got {_short(value)}.")
    if not least <= value <= most:
        raise RefusedError(about, f"{about}: expected a number from {least:g} to {most:g}, got {value:g}.")
    return float(value)


def check_text(about: str, value: Any, most: int) -> str:
    """Return a text of at most so many characters."""
    if not isinstance(value, str):
        raise RefusedError(about, f"{about}: expected a text, got {_short(value)}.")
    if len(value) > most:
        raise RefusedError(about, f"{about}: expected at most {most:,} characters, got {len(value):,}.")
    return value


def check_list(about: str, value: Any, most: int) -> list[Any]:
    """Return a list of at most so many entries."""
    if not isinstance(value, list | tuple):
        raise RefusedError(about, f"{about}: expected a list, got {_short(value)}.")
    if len(value) > most:
        raise RefusedError(about, f"{about}: expected at most {most:,} entries, got {len(value):,}.")
    return list(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
