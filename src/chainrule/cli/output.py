"""What the command line prints: sentences for people, with nothing in them that a terminal obeys, and data as bytes."""

from __future__ import annotations

import sys
import unicodedata

import typer

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's categories: controls, formats, half pairs, breaks of lines


def printable(text: str) -> str:
    r"""Return text with every character that a terminal would obey written as Python writes it.

    Names, labels and messages come from files, which may be a stranger's: an escape sequence in one could clear the
    screen, change its title or hide what is printed. Line feeds and tabs stay.

    >>> printable("caf\u00e9\n"), printable("\x1b[2J\u202eabc")
    ('café\n', '\\x1b[2J\\u202eabc')
    """
    if text.isprintable():
        return text
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in OBEYED and c not in "\n\t\u200d\u200c" else c for c in text
    )


def tell(message: str = "") -> None:
    """Print lines on standard output."""
    typer.echo(printable(message))


def say(message: str) -> None:
    """Print a line on standard error."""
    typer.echo(printable(message), err=True)


def write_data(content: bytes | str) -> None:
    """Write data to standard output: bytes, text as UTF-8, whatever encoding the terminal or pipe asks for."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content.encode() if isinstance(content, str) else content)
    sys.stdout.buffer.flush()
