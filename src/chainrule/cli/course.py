"""``chainrule course``: exercises for learners, grades and handouts for teachers."""

from __future__ import annotations

import secrets
import shlex
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule._internal.checks import check_count, check_real
from chainrule.cli import json_output
from chainrule.cli.errors import FAILED, in_one_sentence
from chainrule.cli.options import Overwrite, option
from chainrule.cli.output import say, tell
from chainrule.files.writing import write_atomically
from chainrule.pages.formatting import rows as counted

SECONDS, MEMORY = 10.0, 512
WIDTH = 100


Number = Annotated[int, typer.Argument(metavar="N", help="The number of an exercise.")]


@in_one_sentence
def start(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder for your files, new or begun.")],
) -> None:
    """Write the exercises: for each a file with one function to fill, and a page beside it.

    Files that exist are left as they are.
    """
    from chainrule.course import learning  # noqa: PLC0415  (start-up time)

    written = learning.start(folder)
    tell(f"{folder}: {len(learning.NUMBERS)} exercises, {learning.OUT_OF} points; {len(written)} files written")
    json_output.record(folder=folder, files=written)
    first = learning.stem(1)
    tell(f"next     read {folder / first}.md and fill {folder / first}.py; then, in that folder:")
    tell("         chainrule course check 1")


@in_one_sentence
def check(
    number: Annotated[
        int | None,
        typer.Argument(metavar="N", help="The number of an exercise; by default, those that you began."),
    ] = None,
    folder: Annotated[Path, option(None, "The folder with your files.")] = Path(),
    seconds: Annotated[float, option(None, "Limit for each exercise, in seconds of processor time.")] = SECONDS,
) -> None:
    """Check your functions against finite differences and the contract, and say in words what is wrong.

    A second failure for the same reason gives a stronger hint. The points are kept in progress.json.

    Exit status: 0 if everything that was checked is right, 1 if not.
    """
    from chainrule.course import learning  # noqa: PLC0415  (start-up time)
    from chainrule.course.worker import Limits  # noqa: PLC0415  (start-up time)

    check_real("course check", "--seconds", seconds, 0, open_low=True)
    numbers = learning.NUMBERS if number is None else [number]
    for n in numbers:
        learning.find(n)
    results = []
    for result in learning.check(folder, numbers, Limits(seconds, MEMORY)):
        results.append(result)
        exercise = learning.find(result.number)
        if number is not None or result.state not in ("not started", "missing"):
            _print(result, exercise.points)
    progress = learning.read_progress(folder)
    kept = {n: progress.get(learning.find(n).name, {}).get("points", 0) for n in learning.NUMBERS}
    for result in results:
        kept[result.number] = result.points  # also where nothing can be written
    left = [n for n, points in kept.items() if points < learning.find(n).points]
    points = sum(kept.values())
    tell(f"{points} of {learning.OUT_OF} points; done: {len(kept) - len(left)} of {len(kept)} exercises")
    if left:
        tell(f"left     {', '.join(map(str, left))}")
        tell(f"next     {learning.find(left[0]).title}: {learning.stem(left[0])}.md")
    else:
        tell("All exercises are done: you have written every part of a neural network by hand.")
    json_output.record(
        folder=folder, points=points, out_of=learning.OUT_OF, left=left,
        exercises=[
            {
                "number": r.number, "name": learning.find(r.number).name, "state": r.state, "points": r.points,
                "out_of": learning.find(r.number).points, "reason": r.kind, "message": r.message, "hint": r.hint,
                "gradient_error": r.error,
            }
            for r in results
        ],
    )  # fmt: skip
    judged = [r for r in results if number is not None or r.state not in ("not started", "missing")]
    if any(r.state != "done" for r in judged):
        raise typer.Exit(FAILED)


def _print(result: Any, out_of: int) -> None:
    from chainrule.course import learning  # noqa: PLC0415  (start-up time)

    tell(f"{result.number:2}  {learning.find(result.number).title}   {result.points} of {out_of} points")
    message = result.message
    if result.state == "done":
        error = "" if result.error is None else f" The gradient check finds an error of {result.error:.0e}."
        message = f"Right.{error}"
    printed = [f"printed: {line}" for line in result.printed.splitlines() if line.strip()]
    printed[10:] = ["printed: more than is shown here"] * (len(printed) > 10)
    for text in filter(None, (message, result.hint and f"Hint: {result.hint}", *printed)):
        for line in textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    "):
            tell(line)
    tell()


@in_one_sentence
def solution(number: Number) -> None:
    """Print a solution of an exercise."""
    from chainrule.course import learning  # noqa: PLC0415  (start-up time)

    exercise = learning.find(number)
    tell(exercise.answer.rstrip("\n"))
    json_output.record(number=number, name=exercise.name, code=exercise.answer)


@in_one_sentence
def grade(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders with exercises, or folders of such folders.")
    ],
    file: Annotated[Path | None, option(None, "Write the grades to this CSV file.", "--csv", metavar="FILE")] = None,
    seconds: Annotated[float, option(None, "Limit for each exercise, in seconds of processor time.")] = SECONDS,
    memory: Annotated[int, option(None, "Memory limit for each exercise, in MB (Linux).")] = MEMORY,
    seed: Annotated[int | None, option(None, "Seed of the cases; random by default.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Grade the submissions of a class, each in its own process, with limits, on hidden cases."""
    from chainrule.course import grading, learning  # noqa: PLC0415  (start-up time)
    from chainrule.course.worker import Limits  # noqa: PLC0415  (start-up time)

    check_real("course grade", "--seconds", seconds, 0, open_low=True)
    check_count("course grade", "--memory", memory, 16)
    seed = secrets.randbits(31) if seed is None else check_count("course grade", "--seed", seed, 0)
    if file is not None and file.exists() and not overwrite:
        raise FileExistsError(f"{file} already exists: choose another name, or replace it with --overwrite.")
    found = grading.submissions(folders)
    tell(f"{counted(len(found), 'submission')}, seed {seed}")
    grades = grading.grade_all(
        found, Limits(seconds, memory), seed, lambda g: tell(f"{g.points:4} of {learning.OUT_OF}  {g.submission}")
    )
    if file is not None:
        write_atomically(file, grading.to_csv(grades).encode("utf-8-sig"))
        say(f"Wrote {file}.")
    json_output.record(
        seed=seed, out_of=learning.OUT_OF, csv=file,
        submissions=[
            {
                "folder": g.submission, "points": g.points, "remarks": g.remarks,
                "exercises": [mark.points for mark in g.marks],
            }
            for g in grades
        ],
    )  # fmt: skip


@in_one_sentence
def handout(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder for the pages.")],
    students: Annotated[str, option(None, "A CSV file with names, or a number.", metavar="FILE|N")],
    form: Annotated[str, option(None, "markdown or latex.", "--format")] = "markdown",
    seed: Annotated[int, option(None, "Random seed; a different one changes all numbers.")] = 0,
) -> None:
    """Write small exercises for paper and pencil, with different numbers for each student, and the answers.

    The numbers depend on the name and the seed. Keep the seed to yourself: whoever has it can print the answers.
    """
    from chainrule.course import handouts  # noqa: PLC0415  (start-up time)

    check_count("course handout", "--seed", seed, 0)
    names = handouts.read_students(students)
    files, answers = handouts.write(folder, names, form, seed)
    tell(
        f"{folder}: {len(files)} page{'s' * (len(files) > 1)}, and the answers in {shlex.quote(str(folder / answers))}"
    )
    json_output.record(folder=folder, files=files, students=names, answers=answers)
