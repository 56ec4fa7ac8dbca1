"""The options for tables that several commands share, each with its one help text."""

from __future__ import annotations

from typing import Annotated

import typer

TABLE = "A table"


def _option(text: str, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=text, metavar=metavar, rich_help_panel=TABLE)
    return found


Names = list[str] | None
Task = Annotated[str | None, _option("binary, multiclass, regression or multilabel.")]
Categorical = Annotated[Names, _option("Columns that are categories.", "NAMES")]
Numeric = Annotated[Names, _option("Columns that are numbers.", "NAMES")]
Drop = Annotated[Names, _option("Columns to drop.", "NAMES")]
Date = Annotated[Names, _option("Columns that are dates: NAME or NAME:%d/%m/%Y.", "NAMES")]
Test = Annotated[str | None, _option("Share of rows to hold out for the test, or a file with them; 0.2.", "PART|FILE")]
Validation = Annotated[float | None, _option("Share of the other rows for early stopping; 0.125.")]
TimeColumn = Annotated[str | None, _option("Hold out the last rows by this column.")]
Group = Annotated[str | None, _option("Keep rows with the same value in this column together.")]
Delimiter = Annotated[str | None, _option("Delimiter of a CSV file; detected by default.")]
Decimal = Annotated[str | None, _option("Decimal mark, '.' or ','; detected by default.", "MARK")]
