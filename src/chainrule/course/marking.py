"""Marks a learner's function: its values, its gradients and the contract, in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.course.child import Other, fresh
from chainrule.course.exercise import Case, Complaint, Exercise, Mistake
from chainrule.course.worker import FailureError, Reply
from chainrule.gradient_check import array_laws, check_function
from chainrule.gradient_check.report import NO_LAW

CLOSE = {4: 2e-4, 8: 1e-8}  # of the largest value, by the size of the inputs' numbers
ONCE_MORE = "Read the page beside the file, and compute the first entry by hand."


class Mark(NamedTuple):
    """The result for one exercise; ``error`` is the largest relative error of the gradient check."""

    points: int
    complaint: Complaint | None = None
    error: float | None = None


class _WrongError(Exception):
    def __init__(self, kind: str, words: str, stronger: str) -> None:
        self.complaint = Complaint(kind, words, stronger)


def mark(exercise: Exercise, call: Callable[[tuple[Any, ...]], Reply], seed: int) -> Mark:
    """Mark a function, which ``call`` calls, on the cases of a seed.

    All points if everything is right, and half of them if it is right for an ordinary batch, but not in other cases.
    """
    cases = list(exercise.cases(np.random.default_rng(seed)))
    first, error = cases[0], None
    points = 0
    try:
        if exercise.judge is not None:
            _judged(exercise, call, first)
        _compared(exercise, call, first)
        points = exercise.points // 2
        error = _checked(exercise, call, first)
        for case in cases[1:]:
            if exercise.judge is not None:
                _judged(exercise, call, case)
            _compared(exercise, call, case)
        single = tuple(a.astype(np.float32) if _is_real(a) else a for a in first.arguments)
        if any(_is_real(a) for a in single):
            _compared(exercise, call, Case(single, "with float32 inputs"))
        _compared(exercise, call, Case(first.arguments, "when it is called a second time"))
    except _WrongError as wrong:
        return Mark(points, wrong.complaint)
    except FailureError as failure:
        if failure.kind != "raises":
            return failed(failure, points)
        words = f"{_sentence(failure)} ({_shapes(exercise, first)})"
        return Mark(points, Complaint(failure.kind, words, exercise.hints[0]))
    return Mark(exercise.points, None, error)


def failed(failure: FailureError, points: int = 0) -> Mark:
    """Return the mark of a file that gives no answer."""
    return Mark(points, Complaint(failure.kind, _sentence(failure), ONCE_MORE))


def _sentence(failure: FailureError) -> str:
    return f"{str(failure)[:1].upper()}{str(failure)[1:]}"


def _is_real(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _names(exercise: Exercise) -> list[str]:
    return [*inspect.signature(exercise.solution).parameters]


def _shapes(exercise: Exercise, case: Case) -> str:
    """Return the shapes of the arguments, for an error about shapes."""
    pairs = zip(_names(exercise), case.arguments, strict=False)
    return ", ".join(f"{name} is {np.shape(value)}" for name, value in pairs if np.ndim(value)) or "no array is given"


def _judged(exercise: Exercise, call: Callable[[tuple[Any, ...]], Reply], case: Case) -> None:
    failures = []

    def function(*arguments: Any) -> Any:
        try:
            return call(arguments).result
        except FailureError as failure:
            failures.append(failure)
            raise

    assert exercise.judge is not None  # noqa: S101  (for mypy: the caller has asked)
    try:
        complaint = next(exercise.judge(function, case), None)
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:  # from within the gradient check, or of NumPy
        if failures:
            raise failures[0] from error
        complaint = Complaint("results", f"The results cannot be used: {error}", exercise.hints[1])
    if complaint is not None:
        raise _WrongError(*complaint)


def _compared(exercise: Exercise, call: Callable[[tuple[Any, ...]], Reply], case: Case) -> None:
    """Call the function on a case; raise _WrongError with words if the results are not as they should be."""
    try:
        reply = call(case.arguments)
    except FailureError as failure:
        if case.about and failure.kind == "raises":
            raise _WrongError(
                "case",
                f"It works for an ordinary batch, but fails {case.about}: {failure} ({_shapes(exercise, case)})",
                exercise.hints[1],
            ) from failure
        raise
    got = _results(exercise, reply.result)
    if reply.changed:
        which = " and ".join(_names(exercise)[i] for i in reply.changed)
        raise _WrongError(
            "in place",
            f"It changes its input in place: {which} is no longer what it was, and another function may still need it.",
            f"Write y = x * 2, not x *= 2; x -= m, x[...] = 0 and out=x change x, too. Work on {which}.copy().",
        )
    inputs = [a for a in case.arguments if _is_real(a)]
    if exercise.judge is None:
        _right(exercise, case, got, CLOSE[min((a.itemsize for a in inputs), default=8)])
    for name, value in got.items():
        if np.ndim(value) and inputs and value.dtype != inputs[0].dtype:
            if value.dtype.kind in "bi":
                raise _WrongError(
                    "dtype",
                    f"{name} is {value.dtype}, and not {inputs[0].dtype} as the inputs are.",
                    "A comparison such as x > 0 gives bool, and np.where(x > 0, 1, 0) integers: add .astype(x.dtype).",
                )
            raise _WrongError(
                "dtype",
                f"For inputs in {inputs[0].dtype}, {name} is {value.dtype}: the dtype should stay the same.",
                "np.zeros, np.ones and np.eye give float64: use np.zeros_like(x) or dtype=x.dtype. A float64 scalar "
                "such as np.sqrt(0.1) has the same effect; 0.1**0.5 does not.",
            )


def _results(exercise: Exercise, result: Any) -> dict[str, Any]:
    """Return the results by name."""
    names, many = exercise.returns, len(exercise.returns) > 1
    wanted = f"return {', '.join(names)}"
    if result is None:
        raise _WrongError(
            "none", "The function returns None: is the return missing?", f"The last line should be: {wanted}"
        )
    parts = result if many and isinstance(result, tuple) else (result,)
    if len(parts) != len(names):
        count = f"{len(parts)} results" if isinstance(result, tuple) else "one result"
        raise _WrongError("results", f"It returns {count}, but {len(names)} are expected.", f"Write: {wanted}")
    for name, value in zip(names, parts, strict=True):
        if value is None or isinstance(value, str | tuple | dict):
            what = f"a value of type {value[:60]}" if isinstance(value, Other) else "a list" if value else repr(value)
            raise _WrongError("type", f"{name} is {what}: expected numbers in an array.", "np.array makes one.")
    return dict(zip(names, parts, strict=True))


def _right(exercise: Exercise, case: Case, got: dict[str, Any], close: float) -> None:
    with np.errstate(all="ignore"):
        right = _named(exercise, exercise.solution(*fresh(case.arguments)))
        wrong = [name for name in right if not same(got[name], right[name], close)]
        if not wrong:
            return
        but = f"It is right for an ordinary batch, but not {case.about}. " if case.about else ""
        if (found := _known(exercise, case, got, right, close)) is not None:
            raise _WrongError(found.kind, but + found.words, found.stronger)
    name = wrong[0]
    value, expected = np.asarray(got[name]), np.asarray(right[name])
    said = _shape(name, value, expected) or _law(
        name, value, expected, case, is_gradient=name in _slopes(exercise, case)
    )
    if not said and exercise.gradients is not None and name in _slopes(exercise, case):
        loss, at = _slopes(exercise, case)[name]
        hints = [p.hint for p in check_function(loss, at, np.asarray(value, at.dtype)).parameters if p.hint != NO_LAW]
        said = ("pattern", f"The gradient check of {name} says: {hints[0]}.") if hints else None
    kind, words = said or ("value", _example(name, value, expected))
    raise _WrongError(kind, but + words, exercise.hints[0 if kind != "value" else 1])


def _named(exercise: Exercise, result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return result
    return dict(zip(exercise.returns, result if len(exercise.returns) > 1 else (result,), strict=True))


def same(value: Any, right: Any, close: float) -> bool:
    """Return whether a result is right up to rounding, relative to its largest entry.

    >>> same(np.ones(2), np.ones(2) + 1e-12, 1e-8), same(np.ones((2, 1)), np.ones(2), 1e-8), same(np.nan, np.nan, 1e-8)
    (True, False, True)
    """
    value, right = np.asarray(value), np.asarray(right)
    if value.shape != right.shape:
        return False
    scale = float(np.abs(right[np.isfinite(right)]).max(initial=0.0)) if right.size else 0.0
    return bool(np.allclose(value, right, rtol=0, atol=close * max(scale, 1e-6), equal_nan=True))


def _known(exercise: Exercise, case: Case, got: dict[str, Any], right: dict[str, Any], close: float) -> Mistake | None:
    """Return the mistake that gives these results."""
    for mistake in exercise.mistakes:
        try:
            answer = _named(exercise, mistake.answer(*fresh(case.arguments)))
        except (ValueError, IndexError, TypeError, FloatingPointError):  # it has no answer for these shapes
            continue
        agrees = all(same(got[name], value, close) for name, value in answer.items())
        if agrees and not all(same(value, right[name], close) for name, value in answer.items()):
            return mistake
    return None


def _slopes(exercise: Exercise, case: Case) -> dict[str, Any]:
    return dict(exercise.gradients(*fresh(case.arguments))) if exercise.gradients is not None else {}


def _shape(name: str, value: Array, right: Array) -> tuple[str, str] | None:
    a, b = value.shape, right.shape
    if a == b:
        return None
    why = ""
    if a == b[::-1] and len(a) > 1:
        why = ": it is transposed"
    elif not a:
        why = ": it is a sum over everything. Sum over the axis of the rows only, axis=0"
    elif [n for n in a if n != 1] == [n for n in b if n != 1]:
        why = ": an axis of length 1 is left over or missing (keepdims)"
    elif len(a) == 2 and len(set(a)) == 1:
        why = ": a column of shape (n, 1) meets an array of shape (n,), and they broadcast to (n, n)"
    elif len(a) < len(b):
        why = ": an axis was summed over that should have stayed"
    return "shape", f"{name} has shape {a}, but should have {b}{why}."


def _law(name: str, value: Array, right: Array, case: Case, *, is_gradient: bool) -> tuple[str, str] | None:
    """Return a word and a sentence for a result that differs from the right one in a known way."""
    if not np.isfinite(value).all() and np.isfinite(right).all():
        what = "NaN" if np.isnan(value).any() else "infinite"
        return (
            "not finite",
            f"{name} is {what} where it should be finite: does an exponential overflow, or log(0) occur?",
        )
    if not value.any() and right.any():
        return "zero", f"{name} is zero everywhere: is it ever computed?"
    rows = next((len(a) for a in case.arguments if np.ndim(a) > 1), 0)
    for ratio, words in _ratios(rows):
        if same(value, right * ratio, 1e-6):
            return f"factor {words}", f"{name} is {_times(ratio)} what it should be: {words}."
    if right.ndim and len(right) > 2 and len(right) == rows:
        bad = [i for i in range(rows) if not same(value[i], right[i], 1e-6)]
        if bad in ([rows - 1], [0]):
            return (
                "loop",
                f"Only the {'last' if bad[0] else 'first'} row of {name} is wrong: does a loop end too early?",
            )
    if is_gradient and right.ndim and (law := array_laws.law(name, value, right)):
        return "law", f"{name} is wrong: {law}."
    return None


def _ratios(rows: int) -> Iterator[tuple[float, str]]:
    yield -1.0, "the sign is flipped"
    if rows > 2:
        yield float(rows), f"it is summed over the {rows} rows, and the batch's mean is missing"
        yield 1 / rows, f"it is divided by the {rows} rows one time too many"
    yield 2.0, "a factor of ½ is missing, or a square's 2 is there twice"
    yield 0.5, "the 2 of a square is missing, or a factor of ½ is there twice"


def _times(ratio: float) -> str:
    return f"{ratio:g} times" if ratio >= 1 or ratio < 0 else f"1/{round(1 / ratio)} of"


def _example(name: str, value: Array, right: Array) -> str:
    difference = np.abs(value - right)
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(difference), math.inf, difference))), right.shape)
    at = f"[{', '.join(map(str, map(int, place)))}]" if place else ""
    return f"{name} has a wrong value: {name}{at} is {value[place]:.6g}, but should be {right[place]:.6g}."


def _checked(exercise: Exercise, call: Callable[[tuple[Any, ...]], Reply], case: Case) -> float | None:
    """Run the gradient check on the learner's results; return its largest relative error."""
    if exercise.gradients is None:
        return None
    got, errors = _results(exercise, call(case.arguments).result), []
    for name, (loss, at) in _slopes(exercise, case).items():
        report = check_function(loss, at, np.asarray(got[name], np.float64))
        if not report.ok:
            raise _WrongError("gradient", f"The gradient check of {name}: {report.verdict}", exercise.hints[1])
        errors.append(report.error)
    return max(errors)
