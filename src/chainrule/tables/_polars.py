"""Polars, imported once; if it is not installed, the error gives the command to type."""

from chainrule._internal.extras import require

require("polars", "tables")

import polars as pl  # noqa: E402

__all__ = ["first_line", "pl"]


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error of polars, without the query plan.

    >>> first_line(ValueError("no such column\n\nThis error occurred ..."))
    'no such column'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
