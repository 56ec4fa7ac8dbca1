"""What ``chainrule check`` prints: tables and sentences for people, or data for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import typer

from chainrule.cli.check_result import Check
from chainrule.cli.checks import table
from chainrule.cli.output import printable, say, tell, write_data
from chainrule.gradient_check.engines import LARGEST, Comparison
from chainrule.pages.text import columns


def is_terminal() -> bool:
    """Say whether somebody reads it on a terminal."""
    return sys.stdout.isatty()


class Text:
    """Tables and sentences, as wide as the terminal."""

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size().columns if is_terminal() else None
        self._first = True

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        """Report what was asked for, and what could not be made."""
        for c in checks:
            self._part(*filter(None, (c.description, c.table(self.width) if c.parameters or c.steps else "")))
            self._say(c.verdict, ok=c.ok)
        if len(checks) > 1:
            self._part()
            self._say(_count(checks), ok=all(c.ok for c in checks))
        for what in not_made:
            say(f"Not checked: {what}.")
        for c in checks:
            if not c.ok and not c.wrong:
                say(f"Not checked: {c.name}.")

    def library(self, checks: Sequence[Check]) -> None:
        """Report what chainrule ships."""
        self._part(table(checks, self.width))
        for c in checks:
            if not c.ok:
                self._say(c.verdict, ok=False)
        self._say(_count(checks), ok=all(c.ok for c in checks))

    def kernels(self, compared: Sequence[Comparison] | None, missing: str) -> None:
        """Report the comparison of the kernels, or that there is none."""
        if compared is None:
            self._part()
            self._say(missing)
            return
        rows = [("compiled and reference", "", *LARGEST, "")]
        for c in compared:
            numbers = [f"{c.differences[dtype]:.1e}" if c.differences else "-" for dtype in LARGEST]
            state = "not compiled" if not c.differences else "ok" if c.ok else "WRONG"
            rows.append((c.name, c.kind, *numbers, state))
        self._part(columns(rows, self.width))
        wrong = [c.name for c in compared if not c.ok]
        largest = ", ".join(
            f"{max((c.differences[d] for c in compared if c.differences), default=0.0):.1e} in {d}" for d in LARGEST
        )
        verdict = f"DIFFER from the reference for {', '.join(wrong)}" if wrong else "give what the reference gives"
        self._say(f"The compiled kernels {verdict}: the largest difference is {largest}.", ok=not wrong)

    def end(self) -> None:
        """Nothing is left to say."""

    def _part(self, *texts: str) -> None:
        """Leave a line free after what was printed before, and print texts, with a line between them."""
        if not self._first:
            tell()
        if texts:
            tell("\n\n".join(texts))
        self._first = not texts

    def _say(self, text: str, *, ok: bool | None = None) -> None:
        self._first = False
        colour = None if ok is None else typer.colors.GREEN if ok else typer.colors.RED
        for i, line in enumerate(text.splitlines()):
            indent = line[: len(line) - len(line.lstrip())]
            wrapped = textwrap.wrap(line, self.width, subsequent_indent=indent + "  ") if self.width else [line]
            for part in wrapped:
                typer.secho(printable(part), fg=colour) if colour and not i else tell(part)


class Json:
    """One object with everything."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {"ok": True, "checks": [], "not_checked": []}

    def checks(self, checks: Sequence[Check], not_made: Sequence[str]) -> None:
        """Report what was asked for, and what could not be made."""
        self._data["checks"] += [c.to_json() for c in checks]
        self._data["not_checked"] += [
            *not_made,
            *(f"{c.name}: {'; '.join(c.unchecked)}" for c in checks if c.unchecked),
        ]
        self._data["ok"] &= all(c.ok for c in checks) and not not_made

    def library(self, checks: Sequence[Check]) -> None:
        """Report what chainrule ships."""
        self.checks(checks, [])

    def kernels(self, compared: Sequence[Comparison] | None, missing: str) -> None:
        """Report the comparison of the kernels, or that there is none."""
        if compared is None:
            self._data["kernels"] = None
            say(missing)
            return
        self._data["kernels"] = [
            {"kind": c.kind, "name": c.name, "ok": c.ok, "differences": c.differences} for c in compared
        ]
        self._data["ok"] &= all(c.ok for c in compared)

    def end(self) -> None:
        """Print it."""
        write_data(json.dumps(self._data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _count(given: Sequence[Check]) -> str:
    checks = [c for c in given if c.ok or c.wrong]
    wrong = [c.name for c in checks if c.wrong]
    if not checks:
        return "Nothing could be checked."
    if not wrong:
        return f"All {len(checks)} that were checked are right." if len(checks) > 1 else "What was checked is right."
    verb = "is" if len(wrong) == 1 else "are"
    return f"Of {len(checks)} that were checked {len(wrong)} {verb} WRONG: {', '.join(wrong)}."
