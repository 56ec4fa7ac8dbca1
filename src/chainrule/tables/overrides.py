"""Column kinds given by the user, in place of the inferred ones."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule._internal.names import did_you_mean


def told(
    names: Sequence[str],
    categorical: Sequence[str],
    numeric: Sequence[str],
    date: Sequence[str],
    drop: Sequence[str] = (),
) -> dict[str, tuple[str, str | None]]:
    """Return the kinds given by the user, by column; a date format follows after a colon: "born:%d/%m/%Y".

    Two options that name the same column, ``drop`` included, are a ValueError.

    >>> told(["a", "b"], ["a"], [], ["b:%Y"])
    {'a': ('category', None), 'b': ('date', '%Y')}
    """
    dated = dict((entry, None) if entry in names else _format(entry) for entry in date)
    found: dict[str, tuple[str, str | None]] = {}
    said: dict[str, str] = {}
    for option, kind, given in (
        ("categorical", "category", categorical), ("numeric", "number", numeric), ("date", "date", dated),
        ("drop", "", drop),
    ):  # fmt: skip
        for name in known(option, list(given), names):
            if said.setdefault(name, option) != option:
                raise ValueError(f"--{said[name]} and --{option} both name {name!r}: give one of them.")
            if kind:
                found[name] = (kind, dated.get(name) if kind == "date" else None)
    return found


def _format(entry: str) -> tuple[str, str | None]:
    name, _, date_format = entry.partition(":")
    return name, date_format or None


def known(option: str, given: Sequence[str], names: Sequence[str], lacking: str = "no input column") -> list[str]:
    """Return the names given for an option; a name that the table lacks is a ValueError."""
    for name in given:
        if name not in names:
            raise ValueError(f"--{option}: {lacking} {name!r}. {did_you_mean(str(name), names)}")
    return list(given)
