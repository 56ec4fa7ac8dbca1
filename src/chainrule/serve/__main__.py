"""``python -m chainrule.serve``: the command without the packages of the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from chainrule.serve.bounds import HELP, Bounds
from chainrule.serve.running import serve
from chainrule.tables.unpacking import size_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve predictions; an error is one sentence."""
    usual = Bounds()
    parser = argparse.ArgumentParser("python -m chainrule.serve", description="Serve predictions of a trained table.")
    parser.add_argument("folder", help=HELP["folder"])
    parser.add_argument("--host", default="127.0.0.1", help=HELP["host"])
    parser.add_argument("--port", type=int, default=8000, help=HELP["port"])
    parser.add_argument("--rows", type=int, default=usual.rows, help=HELP["rows"])
    parser.add_argument("--body", default="10MB", help=HELP["body"])
    parser.add_argument("--seconds", type=float, default=usual.seconds, help=HELP["seconds"])
    given = parser.parse_args(arguments)
    try:
        bounds = Bounds(given.rows, size_of(given.body, "--body"), given.seconds)
        serve(given.folder, given.host, given.port, bounds)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
