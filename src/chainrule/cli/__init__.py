"""The command line: ``chainrule train``, ``evaluate``, ``predict`` and more, one module per command."""

from __future__ import annotations

import codecs
import os
import signal
import sys

from chainrule._internal.extras import install

__all__ = ["main"]

PLAIN = {"−": "-", "→": "->", "≤": "<=", "≥": ">=", "≈": "~", "✓": "ok"}  # where Unicode is missing


def main() -> None:
    """Run the command line; if its packages are missing, say how to install them."""
    try:
        try:
            _run()
        except SystemExit as done:
            if isinstance(done.__context__, BrokenPipeError):  # typer would end with status 1
                raise done.__context__ from None
            if done.code:
                _flush()
                raise
        if failure := _flush():
            raise failure
    except KeyboardInterrupt:  # during imports; commands catch their own
        sys.exit(130)  # the status that shells give after Ctrl-C
    except BrokenPipeError:  # `chainrule predict ... | head`: end as other Unix tools do
        _flush()
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)  # for shells, status 141
        sys.exit(1)
    except OSError as error:  # a full disk, for example; commands say those of files
        _flush()
        print(f"Error: {error.filename or 'standard output'}: {error.strerror or error}.", file=sys.stderr)
        sys.exit(1)


def _flush() -> OSError | None:
    """Write what is left; if that is not possible, drop it, so that Python does not try again, and return the error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that a terminal or pipe does not have: a lost minus sign would change a number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("chainrule", _plainly)


def _run() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the calling process, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="chainrule")
    try:
        import rich  # noqa: F401, PLC0415  (an extra)
        import typer  # noqa: F401, PLC0415  (an extra)
    except ModuleNotFoundError as error:
        if sys.argv[1:2] == ["serve"]:  # needs neither: a service is often installed without them
            from chainrule.serve.__main__ import main as serve  # noqa: PLC0415  (an extra)

            serve(sys.argv[2:])
            return
        print(f"Error: the {error.name!r} package is required. Type: {install('cli')}", file=sys.stderr)
        sys.exit(1)
    from chainrule.cli.app import app  # noqa: PLC0415  (an extra)

    app(prog_name="chainrule")
