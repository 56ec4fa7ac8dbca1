"""Tables in SQLite, DuckDB and PostgreSQL, by connection string and query; a database is only read."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from chainrule._internal.extras import require
from chainrule._internal.names import did_you_mean
from chainrule.tables import unpacking
from chainrule.tables._polars import first_line, pl
from chainrule.tables.sources.columns import column, joined
from chainrule.tables.sources.names import SCHEME, scheme, shown

BATCH = 20_000  # rows
SECONDS = 10  # to connect
READS = ("SELECT", "WITH", "VALUES", "FROM", "TABLE")
LOST = re.compile(r'(?:no such table: |relation "|Table with name |with name )"?([\w.]+)')

__all__ = ["Found", "read"]


class Found(NamedTuple):
    """The rows of a query, and a note on where they are from."""

    frame: pl.DataFrame
    note: str


def read(source: str, query: str | None) -> Found:
    """Return the rows of a query, or of a table by its name; by default of the only table.

    Raises
    ------
    ConnectionError, FileNotFoundError
        If there is no such database.
    ImportError
        If the driver is not installed.
    ValueError
        If the query is not one that reads, fails, or gives no rows.
    """
    name = shown(source)
    with KINDS[scheme(source)](source) as database:
        statement, said = _statement(database, query, name)
        with database.explained():
            names = list(map(str, database.start(statement)))
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise _QueryError(f"two columns of the result are called {twice[0]!r}: rename one with AS.")
            batches, size = list[list[pl.Series]](), 0
            while rows := database.batch():
                columns = [column(values) for values in zip(*rows, strict=True)]
                size += sum(int(values.estimated_size()) for values in columns)
                unpacking.check(size, 0, name)
                batches.append(columns)
    if not batches:
        raise ValueError(f"{name}: {said} gave no rows.")
    columns = [
        joined(list(parts)).alias(column) for column, parts in zip(names, zip(*batches, strict=True), strict=True)
    ]
    kind = type(database).__name__
    return Found(pl.DataFrame(columns), f"{kind}, {said}")


class _QueryError(ValueError):
    """A sentence about a query, to which the name of the database is added."""


class _Database(ABC):
    """A connection that cannot write, open inside a ``with`` block."""

    tables_query: str
    errors: tuple[type[Exception], ...]

    def __init__(self, source: str) -> None:
        self.source, self.name = source, shown(source)
        self.connection: Any = None
        self.cursor: Any = None

    def __enter__(self) -> _Database:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (self.cursor, self.connection):
            with contextlib.suppress(*self.errors):
                if opened is not None:
                    opened.close()

    @abstractmethod
    def connect(self) -> None:
        """Open the connection."""

    def start(self, statement: str) -> Sequence[str]:
        """Run a statement, and return the names of its columns."""
        self.cursor = self.connection.execute(statement)
        return [column[0] for column in self.cursor.description or ()]

    def batch(self) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        return self.cursor.fetchmany(BATCH)

    def tables(self) -> dict[str, str]:
        """Return the tables and views by name, as they are written in a statement."""
        with self.explained():
            found = self.connection.execute(self.tables_query).fetchall()
        main = ("", "main", "public")
        listed = [(schema, table, table if schema in main else f"{schema}.{table}") for schema, table in found]
        return {name: ".".join(_quoted(part) for part in (schema, table) if part) for schema, table, name in listed}

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the errors of the driver into a sentence, with the nearest name if a table does not exist."""
        try:
            yield
        except _QueryError as error:
            raise ValueError(f"{self.name}: {error}") from None
        except self.errors as error:
            said = self.scrubbed(error)
            lost, hint = LOST.search(said), ""
            if lost:
                with contextlib.suppress(*self.errors):  # PostgreSQL answers nothing else after an error
                    self.connection.rollback()
                hint = f" {did_you_mean(lost[1], self.tables()).replace('Known:', 'It has:')}"
            raise ValueError(f"{self.name}: the query failed: {said.rstrip('.')}.{hint}") from None

    def scrubbed(self, error: Exception) -> str:
        """Return the first line of an error without the password."""
        said = first_line(error).replace(self.source, self.name)
        found = re.match(r"[^:@/?#]*:(.*)@", SCHEME.sub("", self.source, count=1), re.DOTALL)
        secrets = {found[1], unquote(found[1])} if found else set[str]()
        for name, value in re.findall(r"[?&]([^=&]*)=([^&#]*)", self.source):
            if f"{name}=" not in self.name:
                secrets |= {value, unquote(value)}
        for secret in sorted(secrets - {""}, key=len, reverse=True):
            said = said.replace(secret, "***")
        return said

    def path(self) -> Path:
        """Return the file of ``sqlite:///FILE``."""
        place = unquote(self.source.partition("://")[2].partition("?")[0])
        path = Path(place[1:])
        if not place.startswith("/") or not place[1:]:
            raise ValueError(f"{self.name}: expected {scheme(self.source)}:/// and a file, such as sqlite:///shop.db.")
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}, the database of {self.name}.")
        return path


class SQLite(_Database):
    tables_query = (
        "SELECT '', name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "ORDER BY name"
    )
    errors = (sqlite3.Error, sqlite3.Warning, OverflowError)

    def connect(self) -> None:
        with self.explained():
            where = f"file:{quote(str(self.path()))}?mode=ro"
            self.connection = sqlite3.connect(where, uri=True, timeout=SECONDS)
            self.connection.text_factory = lambda text: text.decode(errors="replace")
            self.connection.execute("PRAGMA query_only = ON")
            try:
                self.connection.execute("PRAGMA schema_version")
            except sqlite3.DatabaseError as error:
                raise _QueryError(f"cannot be opened as an SQLite database ({error}).") from None


class DuckDB(_Database):
    tables_query = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL"

    def connect(self) -> None:
        self._duckdb = require("duckdb", "sources")
        self.errors = (self._duckdb.Error,)
        options = {"autoinstall_known_extensions": "false"}  # nothing is downloaded
        with self.explained():
            self.connection = self._duckdb.connect(str(self.path()), read_only=True, config=options)

    def start(self, statement: str) -> Sequence[str]:
        found = self.connection.extract_statements(statement)
        if len(found) != 1 or found[0].type != self._duckdb.StatementType.SELECT:
            raise _QueryError("expected one SELECT statement as --query.")
        return super().start(statement)


class PostgreSQL(_Database):
    tables_query = (
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
    )

    def connect(self) -> None:
        psycopg = require("psycopg", "sources")
        self.errors = (psycopg.Error, psycopg.Warning)
        try:
            _ = urlsplit(self.source).port
            self.connection = psycopg.connect(
                self.source, connect_timeout=SECONDS, application_name="chainrule",
                options="-c default_transaction_read_only=on -c TimeZone=UTC",
            )  # fmt: skip
        except ValueError:
            raise ValueError(
                f"{self.name} is not a valid connection string: write special characters in a password as %40 for @, "
                "%2F for / and so on."
            ) from None
        except self.errors as error:
            raise ConnectionError(f"cannot connect to {self.name}: {self.scrubbed(error).rstrip('.')}.") from None

    def start(self, statement: str) -> Sequence[str]:
        self.cursor = self.connection.cursor(name="chainrule")  # on the server, which sends the rows in batches
        self.cursor.execute(statement)
        return [column.name for column in self.cursor.description or ()]


KINDS: dict[str, type[_Database]] = {
    "sqlite": SQLite, "duckdb": DuckDB, "postgresql": PostgreSQL, "postgres": PostgreSQL,
}  # fmt: skip


def _statement(database: _Database, query: str | None, name: str) -> tuple[str, str]:
    """Return the statement to run, and what to call it."""
    text = (query or "").strip().rstrip("; \n")
    word = re.fullmatch(r"[\w.$]+", text)
    if text and not word:
        first = re.sub(r"^(?:\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", text, flags=re.DOTALL)
        if first.upper().startswith(READS):
            return text, "a query"
    tables = database.tables()
    if text in tables:
        return f"SELECT * FROM {tables[text]}", f"the table {text!r}"  # noqa: S608  (a quoted name of its own)
    listed = f"It has: {', '.join(list(tables)[:20])}." if tables else "It has no table."
    if word:
        hint = did_you_mean(text, tables).replace("Known:", "It has:") if tables else listed
        raise ValueError(f"{name} has no table {text!r}. {hint}")
    if text:
        raise ValueError(f"{name}: --query: expected a SELECT statement or the name of a table, got {text[:50]!r}.")
    if len(tables) != 1:
        raise ValueError(f"{name}: name a table, or give a SELECT statement, with --query. {listed}")
    (only,) = tables
    return f"SELECT * FROM {tables[only]}", f"the table {only!r}"  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
