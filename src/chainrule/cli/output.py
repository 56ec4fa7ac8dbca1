"""Output of the command line: text without characters that a terminal would obey, and data as bytes."""

from __future__ import annotations

import re
import sys
import unicodedata

import typer

from chainrule.cli.json_output import finish, heard, record

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories: control, format, surrogate, line and paragraph separator


def printable(text: str) -> str:
    r"""Return text in which every character that a terminal would obey is escaped.

    Names, labels and messages come from files, which may be from a stranger: an escape sequence could clear the screen,
    change its title or hide what is printed. Line feeds and tabs stay.

    >>> printable("caf\u00e9\n"), printable("\x1b[2J\u202eabc")
    ('café\n', '\\x1b[2J\\u202eabc')
    """
    if text.isprintable():
        return text
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in OBEYED and c not in "\n\t\u200d\u200c" else c for c in text
    )


def tell(message: str = "") -> None:
    """Print text on standard output."""
    typer.echo(printable(message))


def announce(message: str) -> None:
    """Print where a service listens, and write the object of ``--json`` now: the command itself has no end."""
    tell(message)
    if address := re.search(r"http://\S+", message):
        record(url=address[0])
        finish()


def say(message: str) -> None:
    """Print text on standard error; notes and warnings are also recorded for ``--json``."""
    heard(message)
    typer.echo(printable(message), err=True)


def write_data(content: bytes | str) -> None:
    """Write bytes, or text as UTF-8 whatever the encoding of the terminal or pipe, to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content.encode() if isinstance(content, str) else content)
    sys.stdout.buffer.flush()
