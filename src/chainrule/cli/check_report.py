"""Output of ``chainrule check``: tables and sentences for people, or data for programs."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import typer

from chainrule.cli import json_output
from chainrule.cli.checks import Check
from chainrule.cli.output import printable, say, tell
from chainrule.gradient_check.engines import LARGEST, MISSING, Comparison
from chainrule.gradient_check.report import order_text
from chainrule.pages.text import columns


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


class Text:
    """Tables and sentences, as wide as the terminal."""

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size().columns if is_terminal() else None
        self._first = True

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        """Report the checks of the target, and the classes of which there is no object."""
        for c in checks:
            self._part(*filter(None, (c.description, c.table(self.width))))
            self._say(c.verdict, ok=c.ok)
        if len(checks) > 1:
            self._part()
            self._count(checks)
        for what in (*not_made, *(c.name for c in checks if not c.ok and not c.wrong)):
            say(f"Not checked: {what}.")

    def library(self, checks: Sequence[Check]) -> None:
        """Report the checks of everything built in, one line each."""
        rows = [("checked", "", "error", "order", "")]
        rows += [(c.name, c.kind, f"{c.error:.1e}", order_text(c.order), c.state) for c in checks]
        self._part(columns(rows, self.width))
        for c in checks:
            if not c.ok:
                self._say(c.verdict, ok=False)
        self._count(checks)

    def engine(self, compared: Sequence[Comparison] | None) -> None:
        """Report the comparison of the compiled engine, or that it is not installed."""
        if compared is None:
            self._part()
            self._say(MISSING)
            return
        rows = [("compiled and reference", "", *LARGEST, "")]
        for c in compared:
            numbers = [f"{c.differences[dtype]:.1e}" if c.differences else "-" for dtype in LARGEST]
            state = "not compiled" if not c.differences else "ok" if c.ok else "WRONG"
            rows.append((c.name, c.kind, *numbers, state))
        self._part(columns(rows, self.width))
        wrong = [c.name for c in compared if not c.ok]
        most = {d: max((c.differences.get(d, 0.0) for c in compared), default=0.0) for d in LARGEST}
        largest = ", ".join(f"{value:.1e} in {d}" for d, value in most.items())
        verdict = f"DIFFERS from the reference for {', '.join(wrong)}" if wrong else "matches the reference"
        self._say(f"The compiled engine {verdict}; largest difference: {largest}.", ok=not wrong)

    def end(self) -> None:
        """Everything has been printed."""

    def _count(self, given: Sequence[Check]) -> None:
        checks = [c for c in given if c.ok or c.wrong]
        wrong = [c.name for c in checks if c.wrong]
        said = f"All {len(checks)} checks passed." if len(checks) > 1 else "The check passed."
        if wrong:
            said = f"{len(wrong)} of {len(checks)} checks FAILED: {', '.join(wrong)}."
        self._say(said if checks else "Nothing could be checked.", ok=all(c.ok for c in given))

    def _part(self, *texts: str) -> None:
        """Print an empty line after earlier output, then the texts, separated by empty lines."""
        if not self._first:
            tell()
        if texts:
            tell("\n\n".join(texts))
        self._first = not texts

    def _say(self, text: str, *, ok: bool | None = None) -> None:
        self._first = False
        color = None if ok is None else typer.colors.GREEN if ok else typer.colors.RED
        for i, line in enumerate(text.splitlines()):
            indent = line[: len(line) - len(line.lstrip())]
            wrapped = textwrap.wrap(line, self.width, subsequent_indent=indent + "  ") if self.width else [line]
            for part in wrapped:
                typer.secho(printable(part), fg=color) if color and not i else tell(part)


class Json:
    """The fields of the JSON object."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {"ok": True, "checks": [], "not_checked": []}

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        """Report the checks of the target, and the classes of which there is no object."""
        self._data["checks"] += [c.to_json() for c in checks]
        left = [f"{c.name}: {'; '.join(c.unchecked)}" for c in checks if c.unchecked]
        self._data["not_checked"] += [*not_made, *left]
        self._data["ok"] &= all(c.ok for c in checks) and not not_made

    def library(self, checks: Sequence[Check]) -> None:
        """Report the checks of everything built in."""
        self.checks(checks, [])

    def engine(self, compared: Sequence[Comparison] | None) -> None:
        """Report the comparison of the compiled engine, or that it is not installed."""
        if compared is None:
            say(MISSING)
        self._data["engine"] = compared and [
            {"kind": c.kind, "name": c.name, "ok": c.ok, "differences": c.differences} for c in compared
        ]
        self._data["ok"] &= all(c.ok for c in compared or ())

    def end(self) -> None:
        """Add the fields to the object."""
        json_output.record(**self._data)
