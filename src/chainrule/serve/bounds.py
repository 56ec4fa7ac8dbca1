"""The bounds of a service, and requests that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule._internal.checks import check_count, check_real

HELP = {
    "folder": "The folder of a run on a table, such as runs/customers, or the model.safetensors in it.",
    "host": "Address to listen on. By default, only programs on this computer can reach the service; 0.0.0.0 lets "
    "every computer on its networks use it, without a password.",
    "port": "Port to listen on; 0 picks a free one.",
    "rows": "Largest number of rows in one request.",
    "body": "Largest body of a request, such as 10MB.",
    "seconds": "Seconds that a request may take to arrive, and then to be answered.",
}
"""Help texts of the command's options."""
LONGEST = 500  # characters of a sentence


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a text of at most so many characters: it may quote a value of megabytes.

    >>> shortened("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True)
class Bounds:
    """The largest request that a service answers.

    Parameters
    ----------
    rows : int
        Rows of a request.
    body : int
        Bytes of its body. Bodies that wait together take at most ten times as many.
    seconds : float
        Seconds to send a request, and seconds to wait for its answer.
    requests : int
        Predictions that are asked for at the same time.

    Examples
    --------
    >>> Bounds(rows=100)
    Bounds(rows=100, body=10000000, seconds=30.0, requests=256)
    """

    rows: int = 10_000
    body: int = 10_000_000
    seconds: float = 30.0
    requests: int = 256

    def __post_init__(self) -> None:
        for name in ("rows", "body", "requests"):
            check_count("serve", name, getattr(self, name))
        check_real("serve", "seconds", self.seconds, 0.0, open_low=True)


class RefusedError(Exception):
    """A request that is answered with a status of HTTP and a sentence.

    Parameters
    ----------
    status : int
    sentence : str
    field : str, optional
        The column with the fault.
    row : int, optional
        Its row in the request, from 1.
    rows : int
        Number of rows that are refused with it.
    headers : mapping
        Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        *,
        field: str | None = None,
        row: int | None = None,
        rows: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.field, self.row, self.rows = status, sentence, field, row, rows
        self.headers = dict(headers or {})

    def content(self) -> dict[str, Any]:
        """Return the answer."""
        return {
            "error": shortened(self.sentence),
            **({} if self.field is None else {"field": self.field}),
            **({} if self.row is None else {"row": self.row}),
        }
