"""What somebody says of columns, in place of what is found out."""

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
    """Return the kinds that somebody gave, by name; a date may have its format after a colon: "born:%d/%m/%Y".

    A ValueError where two options, ``drop`` among them, name one column.

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
                raise ValueError(f"{name!r} is named by --{said[name]} and by --{option}: give one of them.")
            if kind:
                found[name] = (kind, dated.get(name) if kind == "date" else None)
    return found


def _format(entry: str) -> tuple[str, str | None]:
    name, _, date_format = entry.partition(":")
    return name, date_format or None


def known(option: str, given: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that were given for an option; a ValueError where the table has no such column."""
    for name in given:
        if name not in names:
            raise ValueError(f"--{option}: there is no column {name!r} to learn from. {did_you_mean(name, names)}")
    return list(given)
