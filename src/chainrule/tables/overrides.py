"""What somebody says of columns, in place of what is found out."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule._names import did_you_mean


def told(
    names: Sequence[str], categorical: Sequence[str], numeric: Sequence[str], date: Sequence[str]
) -> dict[str, tuple[str, str | None]]:
    """Return the kinds that somebody gave, by name; a date may have its format after a colon: "born:%d/%m/%Y".

    >>> told(["a", "b"], ["a"], [], ["b:%Y"])
    {'a': ('category', None), 'b': ('date', '%Y')}
    """
    found: dict[str, tuple[str, str | None]] = {}
    for option, kind, given in (("categorical", "category", categorical), ("numeric", "number", numeric)):
        found |= dict.fromkeys(known(option, given, names), (kind, None))
    for entry in date:
        name, _, date_format = (entry, "", "") if entry in names else entry.partition(":")
        known("date", [name], names)
        found[name] = ("date", date_format or None)
    return found


def known(option: str, given: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that were given for an option; a ValueError where the table has no such column."""
    for name in given:
        if name not in names:
            raise ValueError(f"--{option}: there is no column {name!r} to learn from. {did_you_mean(name, names)}")
    return list(given)
