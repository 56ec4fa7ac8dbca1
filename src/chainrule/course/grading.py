"""Grades for a class: every submission in a process of its own, with limits, on cases that nobody has seen.

This process computes what is expected and compares; a submission can only return arrays. That protects the grades from
mistakes, accidents and attempts at points. It is not a complete sandbox: docs/course.md says what it is.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from chainrule.course.exercise import Complaint
from chainrule.course.learning import NUMBERS, OUT_OF, Marker, stem
from chainrule.course.marking import Mark
from chainrule.course.worker import Limits, read_source

MISSING = Mark(0, Complaint("missing", "Not handed in.", ""))


class Grade(NamedTuple):
    """The marks of a submission, in the order of the exercises."""

    submission: str
    marks: tuple[Mark, ...]

    @property
    def points(self) -> int:
        """The sum of the points."""
        return sum(mark.points for mark in self.marks)

    @property
    def remarks(self) -> list[str]:
        """A sentence for each exercise that is not right, without those not handed in or not begun."""
        found = zip(NUMBERS, (mark.complaint for mark in self.marks), strict=True)
        return [f"{n}: {c.words}" for n, c in found if c is not None and c.kind not in ("missing", "unwritten")]


def submissions(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that have exercises: those given, and those in a folder given that has none itself.

    Raises FileNotFoundError if there are none.
    """
    names = [f"{stem(number)}.py" for number in NUMBERS]
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder: give folders with exercises, or a folder of these.")
        inside = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._")
        is_one = not inside or any((folder / name).is_file() for name in names)
        found |= dict.fromkeys([folder] if is_one else inside)
    if not any((folder / name).is_file() for folder in found for name in names):
        raise FileNotFoundError(f"no exercises in {', '.join(map(str, folders))}: files are named like {names[0]}.")
    return [*found]


def grade(folder: Path, marker: Marker) -> Grade:
    """Grade a submission."""
    marks = []
    with marker:
        for number in NUMBERS:
            path = folder / f"{stem(number)}.py"
            if not path.exists() or marker.is_closed:
                marks.append(MISSING)
                continue
            try:
                source = read_source(path)
                marks.append(marker.mark(number, source))
            except Exception as error:  # noqa: BLE001  (whatever happens with one file, the others are graded)
                marks.append(Mark(0, Complaint("error", f"Cannot be marked: {error}", "")))
    return Grade(str(folder), tuple(marks))


def grade_all(
    folders: Sequence[Path], limits: Limits, seed: int, on_grade: Callable[[Grade], None] = lambda _: None
) -> list[Grade]:
    """Grade submissions, several at a time; ``on_grade`` is called with each, in order."""
    grades, markers = [], [Marker(limits, seed) for _ in folders]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for found in pool.map(grade, folders, markers):
                on_grade(found)
                grades.append(found)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for marker in markers:  # the files that are being marked
                marker.close()
            raise
    return grades


def to_csv(grades: Sequence[Grade]) -> str:
    """Return a table: submission, points, out_of, the points of each exercise, remarks."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["submission", "points", "out_of", *map(stem, NUMBERS), "remarks"])
    for found in grades:
        points = [mark.points for mark in found.marks]
        writer.writerow([_cell(found.submission), found.points, OUT_OF, *points, _cell("; ".join(found.remarks))])
    return text.getvalue()


def _cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
