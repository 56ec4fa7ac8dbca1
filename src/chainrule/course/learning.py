"""A learner's folder: the files, the checks, and what is done."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.course.exercise import Exercise
from chainrule.course.exercises import EXERCISES
from chainrule.course.marking import Mark, failed, mark
from chainrule.course.worker import USUAL, FailureError, Limits, Worker, read_source
from chainrule.files.writing import write_atomically

PROGRESS = "progress.json"
FORMAT = 1
SEED = 0  # of the cases; a grade has its own
NUMBERS = range(1, len(EXERCISES) + 1)
OUT_OF = sum(exercise.points for exercise in EXERCISES)


def find(number: int) -> Exercise:
    """Return the exercise of a number.

    >>> find(3).name
    'dense_dW'
    """
    if number not in NUMBERS:
        raise ValueError(f"there is no exercise {number}: expected a number from 1 to {len(EXERCISES)}.")
    return EXERCISES[number - 1]


def stem(number: int) -> str:
    """Return the name of an exercise's files, without suffix.

    >>> stem(3)
    '03_dense_dW'
    """
    return f"{number:02}_{find(number).name}"


# ------------------------------------------------------------ files


def page(number: int) -> str:
    """Return the text of an exercise as Markdown."""
    exercise, name = find(number), stem(number)
    task = f"{'Mend' if exercise.planted else 'Fill'} `{exercise.name}` in `{name}.py` ({exercise.points} points)"
    command = f"chainrule course check {number}"
    return f"# {number}. {exercise.title}\n\n{task}, and type `{command}`.\n\n{exercise.text}\n"


def start(folder: Path) -> list[str]:
    """Write the files that are not there yet; return their names."""
    make_folder(folder)
    contents = {"README.md": _contents()}
    for number in NUMBERS:
        contents |= {f"{stem(number)}.py": find(number).starter, f"{stem(number)}.md": page(number)}
    written = [name for name in contents if not (folder / name).exists()]
    for name in written:
        write_atomically(folder / name, contents[name].encode())
    return written


def make_folder(folder: Path) -> None:
    """Make a folder if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{folder} is a file, or in one: give a folder, new or begun.") from error


def _contents() -> str:
    rows = "".join(f"| {n} | [{find(n).title}]({stem(n)}.md) | {find(n).points} |\n" for n in NUMBERS)
    return f"""# Backpropagation by hand

{len(EXERCISES)} exercises, {OUT_OF} points, in plain NumPy. Begin with the first: read its page, fill the function in
the file beside it, and check it:

    chainrule course check 1

`chainrule course check` checks everything that you have begun, and lists what is done and what is left. An answer that
fails twice for the same reason gets a stronger hint. `chainrule course solution 1` prints a solution.

| | exercise | points |
|---:|---|---:|
{rows}"""


# ------------------------------------------------------------ marking


class Marker:
    """Marks files in a process, and begins another after every file that fails; a context manager."""

    def __init__(self, limits: Limits = USUAL, seed: int = SEED) -> None:
        self.limits, self.seed, self.printed = limits, seed, ""
        self._worker: Worker | None = None
        self.is_closed, self._lock = False, threading.Lock()

    def __enter__(self) -> Marker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, from another thread too: a file that is being marked fails."""
        with self._lock:
            self.is_closed = True
            self._end()

    def mark(self, number: int, source: str) -> Mark:
        """Mark the text of a file."""
        is_fresh = self._worker is None
        found = self._once(number, source)
        if found.complaint is not None and found.complaint.kind not in ("unwritten", "time"):
            self._end()
            if not is_fresh:  # an earlier file may have changed NumPy
                found = self._once(number, source)
                self._end()
        return found

    def _once(self, number: int, source: str) -> Mark:
        exercise = find(number)
        with self._lock:
            if self.is_closed:
                return failed(FailureError("closed", "the marking was interrupted."))
            self._worker = worker = self._worker or Worker(self.limits)

        try:
            worker.open(source, f"{stem(number)}.py", exercise.name)
        except FailureError as failure:
            if failure.kind == "missing":
                failure = FailureError("missing", f"the file has no function {exercise.name}: keep its name.")
            found = failed(failure)
        else:
            found = mark(exercise, worker.call, self.seed)
        self.printed = worker.printed
        if worker.is_closed:
            self._worker = None
        return found

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = None


# ------------------------------------------------------------ checks and progress


class Result(NamedTuple):
    """The state of an exercise in a learner's folder: done, partly, wrong, not started or missing."""

    number: int
    state: str
    points: int
    kind: str = ""
    message: str = ""
    hint: str = ""
    error: float | None = None
    printed: str = ""


def check(folder: Path, numbers: Sequence[int] = NUMBERS, limits: Limits = USUAL) -> Iterator[Result]:
    """Check exercises, yield their results, and keep them in the folder."""
    if not any((folder / f"{stem(number)}.py").exists() for number in NUMBERS):
        raise FileNotFoundError(
            f"{folder} has no exercises. Name their folder with --folder, or start: chainrule course start FOLDER"
        )
    progress = read_progress(folder)
    with Marker(limits) as marker:
        for number in numbers:
            before = progress.get(find(number).name, {})
            result, entry = _checked(marker, folder, number, before, is_asked=len(numbers) == 1)
            progress[find(number).name] = entry
            content = json.dumps({"format": FORMAT, "exercises": progress}, indent=1) + "\n"
            with contextlib.suppress(OSError):  # a folder that cannot be written to can be checked all the same
                write_atomically(folder / PROGRESS, content.encode())
            yield result


def read_progress(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the progress in each exercise by name: points, kind and times, without damaged entries."""
    found: dict[str, dict[str, Any]] = {}
    try:
        content = json.loads((folder / PROGRESS).read_bytes()[: 2**20])
        entries = content["exercises"].items() if content["format"] == FORMAT else ()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    most = {exercise.name: exercise.points for exercise in EXERCISES}
    for name, entry in entries:
        if name in most and isinstance(entry, dict):
            points, times = (entry.get(key) if type(entry.get(key)) is int else 0 for key in ("points", "times"))
            kind = str(entry.get("kind", ""))[:80]
            found[name] = {"points": min(max(points or 0, 0), most[name]), "kind": kind, "times": max(times or 0, 0)}
    return found


def _checked(
    marker: Marker, folder: Path, number: int, before: dict[str, Any], *, is_asked: bool
) -> tuple[Result, dict[str, Any]]:
    exercise, path = find(number), folder / f"{stem(number)}.py"
    nothing = {"points": 0, "kind": "", "times": 0}
    if not path.exists():
        again = f"{path.name} is not there: chainrule course start {folder} writes it again."
        return Result(number, "missing", 0, "missing", again), nothing
    try:
        source = read_source(path)
    except FailureError as failure:
        return Result(number, "wrong", 0, failure.kind, f"{path.name}: {failure}"), nothing
    if source == exercise.starter and not (exercise.planted and is_asked):
        what = "mend the mistake" if exercise.planted else "fill the function"
        message = f"Not started: read {stem(number)}.md, and {what} in {path.name}."
        return Result(number, "not started", 0, "unwritten", message), nothing
    points, complaint, error = marker.mark(number, source)
    if complaint is None:
        return Result(number, "done", points, error=error, printed=marker.printed), nothing | {"points": points}
    if complaint.kind == "unwritten":
        return Result(number, "wrong", 0, "unwritten", complaint.words, printed=marker.printed), nothing
    times = before["times"] + 1 if before.get("kind") == complaint.kind else 1
    hints = [complaint.stronger] * (times > 1)
    if times > 2:
        hints += [exercise.hints[1]] * (exercise.hints[1] != complaint.stronger)
        hints.append(f"A solution: chainrule course solution {number}")
    state = "partly" if points else "wrong"
    result = Result(number, state, points, complaint.kind, complaint.words, " ".join(hints), None, marker.printed)
    return result, {"points": points, "kind": complaint.kind, "times": times}
