"""The command line: ``chainrule train``, ``evaluate``, ``predict`` and more, one module per command."""

from __future__ import annotations

import os
import sys

from chainrule._internal.extras import install

__all__ = ["main"]


def main() -> None:
    """Run the command line; if its packages are missing, say how to install them."""
    try:
        _run()
    except KeyboardInterrupt:  # during imports; commands catch their own
        sys.exit(130)  # the status that shells give after Ctrl-C


def _run() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the calling process, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without "−" gets "?", not a traceback
    try:
        import rich  # noqa: F401, PLC0415  (an extra)
        import typer  # noqa: F401, PLC0415  (an extra)
    except ModuleNotFoundError as error:
        print(f"Error: the {error.name!r} package is required. Type: {install('cli')}", file=sys.stderr)
        sys.exit(1)
    from chainrule.cli.app import app  # noqa: PLC0415  (an extra)

    app(prog_name="chainrule")
