"""Marks a learner's function: its values, its gradients and the contract, in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from chainrule.course.child import Other, fresh
from chainrule.course.differences import described, same
from chainrule.course.exercise import Case, Complaint, Exercise, Mistake
from chainrule.course.worker import FailureError, Reply
from chainrule.gradient_check import check_function

CLOSE = {4: 1e-3, 8: 1e-8}  # of the largest value, by the size of the inputs' numbers
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
        _compared(exercise, call, first)
        _judged(exercise, call, first)
        points = exercise.points // 2
        error = _checked(exercise, call, first)
        for case in cases[1:]:
            _compared(exercise, call, case)
            _judged(exercise, call, case)
        for case in cases:
            single = tuple(a.astype(np.float32) if _is_real(a) else a for a in case.arguments)
            if any(_is_real(a) for a in single):
                about = f"{case.about}, with float32 inputs".removeprefix(", ")
                _compared(exercise, call, Case(single, about))
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
    if exercise.judge is None:
        return
    failures = []

    def function(*arguments: Any) -> Any:
        try:
            return call(arguments).result
        except FailureError as failure:
            failures.append(failure)
            raise

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
    but = f"It is right for an ordinary batch, but not {case.about}. " if case.about else ""
    try:
        reply = call(case.arguments)
    except FailureError as failure:
        if case.about and failure.kind in ("raises", "unwritten", "memory", "recursion"):
            raise _WrongError(
                "case",
                f"It works for an ordinary batch, but fails {case.about}: {failure} ({_shapes(exercise, case)})",
                exercise.hints[1],
            ) from failure
        raise
    got = _results(exercise, reply.result, but)
    if reply.changed:
        which = " and ".join(_names(exercise)[i] for i in reply.changed)
        raise _WrongError(
            "in place",
            f"It changes its input in place: {which} is no longer what it was, and another function may still need it.",
            f"Write y = x * 2, not x *= 2; x -= m, x[...] = 0 and out=x change x, too. Work on {which}.copy().",
        )
    inputs = [a for a in case.arguments if _is_real(a)]
    if exercise.judge is None:
        try:
            _right(exercise, case, got, CLOSE[min((a.itemsize for a in inputs), default=8)], but)
        except _WrongError as wrong:
            again = _results(exercise, call(case.arguments).result) if wrong.complaint.kind == "value" else got
            if not all(np.array_equal(value, again[name], equal_nan=True) for name, value in got.items()):
                words = "It returns something else when it is called again with the same arguments."
                raise _WrongError("random", words, "Draw from rng alone, and only if there is one.") from wrong
            raise
    for name, value in got.items():
        if np.ndim(value) and inputs and value.dtype != inputs[0].dtype:
            if value.dtype.kind in "bi":
                raise _WrongError(
                    "dtype",
                    f"{but}{name} is {value.dtype}, and not {inputs[0].dtype} as the inputs are.",
                    "A comparison such as x > 0 gives bool, and np.where(x > 0, 1, 0) integers: add .astype(x.dtype).",
                )
            raise _WrongError(
                "dtype",
                f"For inputs in {inputs[0].dtype}, {name} is {value.dtype}: the dtype should stay the same.",
                "np.zeros, np.ones and np.eye give float64: use np.zeros_like(x) or dtype=x.dtype. A float64 scalar "
                "such as np.sqrt(0.1) has the same effect, but 0.1**0.5 does not. Integers and bool become float64, "
                "too, as in (x > 0) / 2 or x * (1 + (x > 0)): use (x > 0).astype(x.dtype).",
            )


def _results(exercise: Exercise, result: Any, but: str = "") -> dict[str, Any]:
    """Return the results by name."""
    names, many = exercise.returns, len(exercise.returns) > 1
    wanted = f"return {', '.join(names)}"
    if result is None:
        words = f"{but}The function returns None: is the return missing?"
        raise _WrongError("none", words, f"The last line should be: {wanted}")
    parts = result if many and isinstance(result, tuple) else (result,)
    if len(parts) != len(names):
        count = f"{len(parts)} results" if isinstance(result, tuple) else "one result"
        raise _WrongError("results", f"{but}It returns {count}, but {len(names)} are expected.", f"Write: {wanted}")
    for name, value in zip(names, parts, strict=True):
        if value is None or isinstance(value, str | tuple | dict):
            what = f"{but}{name} is {_kind(value)}: expected numbers in an array."
            raise _WrongError("type", what, f"Write: {wanted}. np.array makes an array of a list.")
    return dict(zip(names, parts, strict=True))


def _kind(value: Any) -> str:
    if isinstance(value, Other):
        return f"a value of type {value[:60]}"
    if isinstance(value, tuple):
        return f"a list or tuple of {len(value)} parts"
    return "a text" if isinstance(value, str) else "None"


def _right(exercise: Exercise, case: Case, got: dict[str, Any], close: float, but: str) -> None:
    with np.errstate(all="ignore"):
        answers = [_named(exercise, f(*fresh(case.arguments))) for f in (exercise.solution, *exercise.others)]
        if any(all(same(got[name], value, close) for name, value in answer.items()) for answer in answers):
            return
        right = answers[0]
        wrong = [name for name in right if not same(got[name], right[name], close)]
        for order in permutations(right):
            if all(same(got[a], right[b], close) for a, b in zip(right, order, strict=True)):
                words = f"{but}The results are in the wrong order: {', '.join(order)}."
                raise _WrongError("order", words, f"Write: return {', '.join(right)}")
        if (found := _known(exercise, case, got, right, close)) is not None:
            raise _WrongError(found.kind, but + found.words, found.stronger)
    name, slopes = wrong[0], _slopes(exercise, case)
    given = dict(zip(_names(exercise), case.arguments, strict=True))
    kind, words = described(name, np.asarray(got[name]), np.asarray(right[name]), given, slopes.get(name))
    raise _WrongError(kind, but + words, exercise.hints[0 if kind != "value" else 1])


def _named(exercise: Exercise, result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return result
    return dict(zip(exercise.returns, result if len(exercise.returns) > 1 else (result,), strict=True))


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
