"""Exercises on paper, with small integers that differ from student to student, and the answers."""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.course.learning import make_folder
from chainrule.files.writing import write_atomically

SUFFIXES = {"markdown": ".md", "latex": ".tex"}
ANSWERS = "answers"
SPECIAL = re.compile(r"[\\`*_{}<>#|~[\]]")  # in Markdown
NUMBER = re.compile(r"\d+\. ")  # of the task, in front of an answer
SYMBOL = re.compile(r"(?<![A-Za-z-])(d?[xyWb]|da|[nLtvg]|a(?= [=−]))(?![A-Za-z-]|\.\w)")  # but not in a file name
NOT_IN_LATEX = "ĦħĸĿŀŉŦŧſ"  # of the letters below U+0180, those that its T1 fonts lack
MOST = 10_000  # students
Values = dict[str, Any]


class Task(NamedTuple):
    """A task: what is given, what is asked, and the answers."""

    title: str
    formula: str
    given: Values
    answers: Values


def tasks(name: str, seed: int) -> list[Task]:
    """Return the tasks of a student: all numbers, the answers too, are integers.

    >>> tasks("Ada", 0)[4].given["x"][0], tasks("Grace", 0)[4].given["x"][0]
    (array([ 0, -1, -4, -2]), array([3, 5, 0, 2]))
    """
    rng = np.random.default_rng([*hashlib.sha256(f"{seed}:{name}".encode()).digest()])
    return [_layer(rng), _backward(rng), _momentum(rng), _convolution(rng), _pooling(rng)]


def _integers(rng: np.random.Generator, *shape: int, most: int = 3) -> Any:
    """Return integers other than 0."""
    return rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape)


def _layer(rng: np.random.Generator) -> Task:
    while True:
        x, W, b = _integers(rng, 2, 2), _integers(rng, 2, 2), _integers(rng, 2)
        y = x @ W + b
        if (y > 0).sum() == 2 and (y < 0).sum() == 2:  # the ReLU does something
            break
    error = 2 * _integers(rng, 2, 2, most=2)
    a = np.maximum(y, 0)
    return Task(
        "A layer forward",
        "y = x W + b, a = max(y, 0), L = (1/n) Σ ½ (a − t)², with the n = 2 rows of x as samples",
        {"x": x, "W": W, "b": b, "t": a - error},
        {"y": y, "a": a, "L": int((error**2).sum() // 4)},
    )


def _backward(rng: np.random.Generator) -> Task:
    y, x, W, da = _integers(rng, 2, 2), _integers(rng, 2, 2), _integers(rng, 2, 2), _integers(rng, 2, 2)
    y[0, 0], y[1, 0] = abs(y[0, 0]), -abs(y[1, 0])
    dy = da * (y > 0)
    dW = x.T @ dy
    return Task(
        "A layer backward",
        "dy = da where y > 0, else 0; dW = xᵀ dy; db = Σ dy over the rows; dx = dy Wᵀ; and W after a step of rate 1",
        {"x": x, "W": W, "y": y, "da": da},
        {"dy": dy, "dW": dW, "db": dy.sum(axis=0), "dx": dy @ W.T, "W after": W - dW},
    )


def _momentum(rng: np.random.Generator) -> Task:
    theta, g1, g2 = _integers(rng, 2), 2 * _integers(rng, 2), _integers(rng, 2)
    v1 = -g1
    v2 = v1 // 2 - g2
    return Task(
        "Two steps of momentum",
        "v ← ½ v − g, then θ ← θ + v, first with the gradient g₁ and then with g₂; v is 0 at first",
        {"θ": theta, "g₁": g1, "g₂": g2},
        {"v after 1": v1, "θ after 1": theta + v1, "v after 2": v2, "θ after 2": theta + v1 + v2},
    )


def _convolution(rng: np.random.Generator) -> Task:
    x, W, dy = _integers(rng, 3, 3), _integers(rng, 2, 2), _integers(rng, 2, 2)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2))
    return Task(
        "A convolution",
        "y: the sum of the products of each window of 2 × 2 with the kernel W, which is not flipped; and dW: for each "
        "weight, the sum of dy times the entries of x that it was multiplied with",
        {"x": x, "W": W, "dy": dy},
        {"y": np.einsum("ijuv,uv->ij", windows, W), "dW": np.einsum("ijuv,ij->uv", windows, dy)},
    )


def _pooling(rng: np.random.Generator) -> Task:
    x, dy = rng.permutation(16).reshape(4, 4) - 8, _integers(rng, 2, 2, most=9)
    y = x.reshape(2, 2, 2, 2).max(axis=(1, 3))
    dx = np.where(x == y.repeat(2, axis=0).repeat(2, axis=1), dy.repeat(2, axis=0).repeat(2, axis=1), 0)
    return Task("Max pooling", "y: the maximum of each block of 2 × 2; and dx", {"x": x, "dy": dy}, {"y": y, "dx": dx})


# ------------------------------------------------------------ pages


def _markdown(title: str, parts: Sequence[tuple[str, str, Values]]) -> str:
    lines = ["# " + _plain(title)]
    for i, (heading, text, values) in enumerate(parts, 1):
        lines += ["", f"## {i}. {_plain(heading)}", "", text, ""]
        lines += [f"    {line}".rstrip() for name, value in values.items() for line in _drawn(name, value)]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)


def _drawn(name: str, value: Any) -> list[str]:
    rows = np.atleast_2d(value)
    width = max(len(str(entry)) for entry in rows.ravel())
    text = ["[" + "  ".join(str(entry).rjust(width) for entry in row) + "]" for row in rows]
    text = text if np.ndim(value) else [str(value)]
    return [f"{name if not i else '':12} {'=' if not i else ' '} {row}" for i, row in enumerate(text)] + [""]


def _latex(title: str, parts: Sequence[tuple[str, str, Values]]) -> str:
    lines = [
        r"\documentclass[a4paper]{article}", r"\usepackage[utf8]{inputenc}", r"\usepackage[T1]{fontenc}",
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}", r"\usepackage{amsmath}",
        r"\usepackage[margin=25mm]{geometry}", r"\begin{document}",
        rf"\section*{{{_escaped(title)}}}",
    ]  # fmt: skip
    for i, (heading, text, values) in enumerate(parts, 1):
        groups = [list(names) for _, names in groupby(values, lambda name: (NUMBER.match(name) or [name])[0])]
        rows = [names[k : k + 3] for names in groups for k in range(0, len(names), 3)]
        equations = [r",\quad ".join(rf"{_symbol(name)} = {_matrix(values[name])}" for name in row) for row in rows]
        lines += [rf"\subsection*{{{i}. {_escaped(heading)}}}", _formula(text), r"\begin{gather*}"]
        lines += [" \\\\\n".join(equations), r"\end{gather*}"]
    return "\n".join([*lines, r"\end{document}", ""])


def _matrix(value: Any) -> str:
    if not np.ndim(value):
        return str(value)
    rows = r" \\ ".join(" & ".join(map(str, row)) for row in np.atleast_2d(value))
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "^": r"\^{}",
    "~": r"\~{}", "_": r"\_", "θ": r"$\theta$", "Σ": r"$\Sigma$", "½": r"$\frac12$", "²": "$^2$", "ᵀ": r"$^\top$",
    "←": r"$\leftarrow$", "−": "$-$", "×": r"$\times$", "₁": "$_1$", "₂": "$_2$", ">": "$>$", "<": "$<$",
}  # fmt: skip


def _formula(text: str) -> str:
    return "".join(f"${part}$" if i % 2 else _escaped(part) for i, part in enumerate(SYMBOL.split(text)))


def _escaped(text: str) -> str:
    r"""Return text for LaTeX; a letter that its Latin fonts lack loses its accent, or becomes a question mark.

    >>> _escaped("Jürgen & Việt 李")
    'Jürgen \\& Viet ?'
    """
    return "".join(LATEX.get(c) or _letter(c) for c in text)


def _letter(c: str) -> str:
    if c < "\u0180" and c not in NOT_IN_LATEX:
        return c
    base = unicodedata.normalize("NFKD", c)[0]
    return base if base.isascii() else "?"


def _symbol(name: str) -> str:
    symbols = {"θ": r"\theta", "g₁": "g_1", "g₂": "g_2"}
    *before, symbol, after = re.fullmatch(r"(\d+\. )?(\S+)( after.*)?", name).groups("")  # type: ignore[union-attr]
    return (
        "".join(rf"\text{{{part}}}" if part else "" for part in before)
        + symbols.get(symbol, symbol)
        + (rf"\text{{{after}}}" if after else "")
    )


# ------------------------------------------------------------ files


def read_students(text: str) -> list[str]:
    """Return the names of students: those of a file, in its column "name" or else its first one, or of a number.

    >>> read_students("2")
    ['Student 1', 'Student 2']
    """
    if text.isdecimal():
        if not 1 <= len(text) <= 6 or not 1 <= int(text) <= MOST:
            raise ValueError(f"--students: expected a number from 1 to {MOST:,}, or a file, got {text}.")
        return [f"Student {i}" for i in range(1, int(text) + 1)]
    path = Path(text)
    if not path.is_file():
        raise FileNotFoundError(f"--students: no such file: {path}. Give a CSV file with names, or a number.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: save it as UTF-8 (in Excel: CSV UTF-8).") from error
    delimiter = max(",;\t", key=content.partition("\n")[0].count)
    rows = [row for row in csv.reader(content.splitlines(), delimiter=delimiter) if any(cell.strip() for cell in row)]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = head.index("name") if "name" in head else 0
    names = [
        " ".join(row[column].split()) for row in rows["name" in head :] if len(row) > column and row[column].strip()
    ]
    if not names:
        raise ValueError(f"{path} has no names: expected a column name, or one name per line.")
    return names


def write(folder: Path, students: Sequence[str], form: str, seed: int) -> tuple[list[str], str]:
    """Write a page for each student, and one with all answers; return the names of the files."""
    if form not in SUFFIXES:
        raise ValueError(f"--format: expected markdown or latex, got {form!r}.")
    page, suffix = (_markdown if form == "markdown" else _latex), SUFFIXES[form]
    make_folder(folder)
    files: dict[str, None] = {}
    answers = []
    for i, name in enumerate(students, 1):
        found = tasks(name if students.count(name) == 1 else f"{name} {i}", seed)
        stem = _stem(name)
        file = next(f for n in range(1, len(students) + 2) if (f := f"{stem}{f'-{n}' * (n > 1)}{suffix}") not in files)
        files[file] = None
        write_atomically(folder / file, page(name, [(t.title, f"{t.formula}.", t.given) for t in found]).encode())
        values = {f"{j}. {key}": value for j, task in enumerate(found, 1) for key, value in task.answers.items()}
        answers.append((name, f"{file}:", values))
    write_atomically(folder / f"{ANSWERS}{suffix}", page("Answers", answers).encode())
    return [*files], f"{ANSWERS}{suffix}"


def _stem(name: str) -> str:
    """Return a name for files: letters and digits of ASCII.

    >>> _stem("Jürgen Groß"), _stem("../x"), _stem("李"), _stem("answers")
    ('jurgen-gro', 'x', 'student', 'answers-1')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "student"
    return f"{stem}-1" if stem == ANSWERS else stem
