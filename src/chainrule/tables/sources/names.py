"""The names of sources: files, members of archives, patterns, databases and addresses; none is shown with a secret."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

DATABASES = ("sqlite", "duckdb", "postgresql", "postgres")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
SECRET = r"[^=&?#\s]*(?:pass|pwd|secret|token|key|sig|credential|auth)[^=&#\s]*"  # noqa: S105  (a pattern)
HARMLESS = "(?:user|host|hostaddr|port|dbname|sslmode|connect_timeout|application_name|mode)"


def scheme(source: str) -> str:
    """Return the part before ``://``, or "" for a file.

    >>> scheme("https://example.org/t.csv"), scheme("t.csv")
    ('https', '')
    """
    found = SCHEME.match(source)
    return found[1].lower() if found else ""


def is_database(source: str) -> bool:
    """Return whether a source is the connection string of a database."""
    return scheme(source) in DATABASES


def is_local(source: str) -> bool:
    """Return whether a source is a path."""
    return not scheme(source) and source != "-"


def is_pattern(source: str) -> bool:
    """Return whether a source is a pattern of files, such as ``sales/*.parquet``; a file of that name comes first."""
    return is_local(source) and any(mark in source for mark in "*?[") and not Path(source).exists()


def is_remote_pattern(source: str) -> bool:
    """Return whether a source is a pattern or a folder at an address that can be listed.

    >>> is_remote_pattern("s3://shop/sales/*.parquet"), is_remote_pattern("s3://shop/sales/")
    (True, True)
    >>> is_remote_pattern("s3://shop/t.csv"), is_remote_pattern("https://example.org/?q=*")
    (False, False)
    """
    kind = scheme(source)
    listed = bool(kind) and kind not in (*DATABASES, "http", "https")
    return listed and (any(mark in source for mark in "*?[") or source.endswith("/"))


def is_several(source: str) -> bool:
    """Return whether a source is a folder or a pattern."""
    if is_pattern(source) or is_remote_pattern(source):
        return True
    return is_local(source) and source != "" and Path(source).is_dir()


def place(source: str) -> str:
    """Return a source without the query and the fragment of an address.

    >>> place("https://example.org/t.csv?version=3"), place("what?.csv")
    ('https://example.org/t.csv', 'what?.csv')
    """
    return re.split(r"[?#]", source, maxsplit=1)[0] if scheme(source) else source


def split_member(source: str) -> tuple[str, str]:
    """Return the archive and the member that ``archive.zip/inner.csv`` names, or the source and "".

    >>> split_member("data/all.zip/2024/sales.csv"), split_member("data/all.zip")
    (('data/all.zip', '2024/sales.csv'), ('data/all.zip', ''))
    """
    found = re.match(r"(.+?\.zip)/(.+)$", source, re.IGNORECASE | re.DOTALL)
    return (found[1], found[2]) if found else (source, "")


def stem(source: str) -> str:
    """Return the name for the folder of a run on this source.

    >>> stem("data/sales.csv.gz"), stem("sqlite:///shop.db"), stem("sales/2024/*.parquet"), stem("a.zip/t.csv")
    ('sales', 'shop', '2024', 't')
    >>> stem("https://example.org"), stem("-")
    ('example', 'table')
    """
    parts = re.split(r"[/\\]+", unquote(SCHEME.sub("/", place(shown(source)))))
    plain = [part.split(".")[0] for part in parts if not any(mark in part for mark in "*?[")]
    return next((part for part in reversed(plain) if part.strip("- ")), "table")


def shown(text: str) -> str:
    """Return a source, or a word of a command, without its passwords: this is what is printed and stored.

    >>> shown("postgresql://ann:s3cret@db.example.org/shop?sslmode=require&password=x")
    'postgresql://ann@db.example.org/shop?sslmode=require'
    >>> shown("--test=https://u:p@example.org:8080/t.csv?sig=abc"), shown("sales.csv")
    ('--test=https://u@example.org:8080/t.csv', 'sales.csv')
    """
    at = SCHEME.search(text)
    if at is None:
        return text
    start, rest = text[: at.end()], text[at.end() :]
    # a password may have any character: in the string of a database all up to the last @ is one
    name = r"^([^:@/?#]*):(?:.*)@" if at[1].lower() in DATABASES else r"^([^:@/?#]*):(?!\d+(?:[/?#]|$)).*@"
    rest = re.sub(name, r"\1@", rest, flags=re.DOTALL)
    secret = rf"(?!{HARMLESS}=)[^&#]*" if at[1].lower() in DATABASES else rf"{SECRET}=[^&#]*"
    rest = re.sub(rf"(?<=[?&]){secret}&?", "", rest, flags=re.IGNORECASE)
    return start + re.sub(r"[?&]+(?=#|$)", "", rest)
