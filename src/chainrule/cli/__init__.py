"""The command line: ``chainrule train``, ``evaluate``, ``predict`` and more, one module a command."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

INTERRUPTED = 130  # the status that shells give to what Ctrl-C has ended


def main() -> None:
    """Run the command line; without its packages, say how to get them."""
    try:
        _run()
    except KeyboardInterrupt:  # while packages are imported; commands catch their own
        sys.exit(INTERRUPTED)


def _run() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this process, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without "−" gets "?", not a traceback
    try:
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        command = 'pip install "chainrule[cli]"'
        print(f"Error: the command line needs the package {error.name!r}. Type: {command}", file=sys.stderr)
        sys.exit(1)
    from chainrule.cli.app import app  # noqa: PLC0415

    app(prog_name="chainrule")
