"""A loss and its gradient in plain NumPy, which know nothing of layers: the same questions, table and words."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._checks import check_count, check_real
from chainrule._objective import Objective
from chainrule._typing import Array
from chainrule.gradient_check import array_laws
from chainrule.gradient_check.arrays import matched, named_leaves, rebuilt
from chainrule.gradient_check.calls import called, how, names
from chainrule.gradient_check.failing import raised
from chainrule.gradient_check.questions import Answers, ask
from chainrule.gradient_check.report import NO_LAW, GradientReport, ParameterCheck, reasons, verdict
from chainrule.parameters import Entry

SMALL = 400  # entries of a parameter whose whole gradient is worth two calls each
COARSE_STEPS = (3e-2, 1e-2, 3e-3)  # in float32
COARSE_TOLERANCE = 1e-2


def check_function(
    loss: Callable[..., Any],
    parameters: Any,
    gradients: Any = None,
    *,
    directions: int = 5,
    entries: int | None = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Check the gradient of a loss written in plain NumPy, and say in words what is wrong.

    For code that does not use chainrule at all: the network of a from-scratch tutorial, with its weights in a dict.

    .. code-block:: text

        numeric = (L(θ + hv) − L(θ − hv)) / 2h        against        analytic = gradients · v

    Parameters
    ----------
    loss : callable
        Returns L, one number. It is called in the way that its arguments ask for: ``loss(parameters)``; ``loss(W1, b1)``
        with one argument for each array, by name where ``parameters`` is a dict; or ``loss()``, which reads the very
        arrays in ``parameters``. Arguments with a default keep it. Where it returns a tuple, L is the first element.
    parameters : dict, list or array
        The arrays that L depends on, of floats: ``{"W1": W1, "b1": b1}``, ``[W1, b1]``, one array, or lists of dicts.
    gradients : dict, list, array or callable, optional
        dL/dW for every array: a dict with the same keys or with ``dW1`` for ``W1`` (others in it are passed over), a list
        in the same order, or one vector of everything. A function is called right after ``loss``, as ``loss`` is, and
        returns these; then kinks are recognized more surely. Without it ``loss`` returns ``(L, gradients)``.
    directions : int
        How many random directions.
    entries : int or None
        How many entries of each array, drawn at random; None for all.
    tolerance : float
        The relative error that passes.
    seed : int
        For directions and entries.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        When arguments do not fit together: whole numbers as parameters, a gradient of another shape, a loss that returns
        an array or takes arguments that nobody gives.

    Notes
    -----
    The arrays hold the same bits afterwards, whatever happens: a loss with arguments gets copies, in float64, and one
    without is given its arrays back. ``np.random`` and ``random`` draw the same numbers in every call, so that dropout from
    these does not disturb; a loss that draws from a generator of its own is recognized, and cannot be checked.

    In float32 differences are coarse: only errors of more than 1 % are found then, and the verdict says so.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    >>> parameters = {"W": rng.normal(size=(3, 1)), "b": np.zeros(1)}
    >>> def loss(p):
    ...     return np.mean((X @ p["W"] + p["b"] - y) ** 2)
    >>> error = X @ parameters["W"] + parameters["b"] - y
    >>> gradients = {"dW": 2 * X.T @ error / 20, "db": 2 * error.sum(axis=0)}        # a mistake: db is not averaged
    >>> print(check_function(loss, parameters, gradients).verdict.splitlines()[1].strip())
    db: the analytic gradient is 20 times the numeric one: a sum over 20 rows where the loss has a mean, if your batch has 20.
    """
    directions = check_count("check_function", "directions", directions)
    entries = None if entries is None else check_count("check_function", "entries", entries)
    tolerance = check_real("check_function", "tolerance", tolerance, 0, open_low=True)
    with Guarded(parameters, loss) as arrays, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        objective = FunctionObjective(loss, parameters, gradients, arrays)
        try:
            unchecked = objective.begin()
            if unchecked:
                return _not_checked(unchecked)
            if objective.is_coarse:
                tolerance = max(tolerance, COARSE_TOLERANCE)
            answers = ask(objective, directions, entries, tolerance, seed)
            answers = dataclasses.replace(answers, parameters=[_explained(objective, p) for p in answers.parameters])
        except (_RefusedError, NotImplementedError) as error:
            if isinstance(error, NotImplementedError):
                return _not_checked(raised("the loss or its gradient", error))
            raise error.reason from error.__cause__
        return answers.report([], _verdict(objective, answers))


class _RefusedError(Exception):
    """What the loss or the gradients return is nothing that can be checked."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class Guarded:
    """The parameters' arrays by name; when the block ends, they and the global generators are as they were."""

    def __init__(self, parameters: Any, loss: Any) -> None:
        count = len(parameters) if isinstance(parameters, list | tuple) else 1
        known = names(loss, count)
        self.arrays = named_leaves(parameters, known)

    def __enter__(self) -> dict[str, Any]:
        self._kept = [(a, a.copy()) for a in self.arrays.values() if isinstance(a, np.ndarray)]
        self._draws = np.random.get_state(), random.getstate()  # noqa: NPY002
        return self.arrays

    def __exit__(self, *_: object) -> None:
        for array, kept in self._kept:
            if array.flags.writeable:
                array[...] = kept
        np.random.set_state(self._draws[0])  # noqa: NPY002
        random.setstate(self._draws[1])


class FunctionObjective(Objective):
    """L of a function."""

    or_half = ", or only a part of it is there"
    written_to = ""

    def __init__(self, loss: Callable[..., Any], parameters: Any, gradients: Any, arrays: dict[str, Any]) -> None:
        self.loss, self.parameters, self.arrays = loss, parameters, arrays
        self.way = how(loss, "loss", parameters)
        self.gradients, self.gradients_way = (
            gradients,
            None if not callable(gradients) else how(gradients, "gradients", parameters),
        )
        self.has_gradient_elsewhere = gradients is None or callable(gradients)
        self.in_place = self.way == "nothing"
        if self.in_place:
            self._check_writable()
        self.entries, start = [], 0
        for name, array in arrays.items():
            size = int(np.size(array))
            self.entries.append(Entry(0, name, slice(start, start + size), np.shape(array), weight=True))
            start += size
        self.theta = np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays.values()])
        self._draws = np.random.get_state(), random.getstate()  # noqa: NPY002
        self.is_coarse = False

    def _check_writable(self) -> None:
        for name, array in self.arrays.items():
            if not isinstance(array, np.ndarray):
                raise TypeError(
                    f"parameters: {name} is a plain number, and a loss without arguments cannot see it change: let the loss "
                    f"take the parameters, or write {name} = np.array({float(array)})."
                )
            if not array.flags.writeable:
                raise ValueError(
                    f"parameters: {name} is read-only, and a loss without arguments reads it in place: let the loss take "
                    f"the parameters, or give a copy, {name}.copy()."
                )

    def begin(self) -> str:
        """Look at L and its gradient once; return why they cannot be checked, where they cannot."""
        self.value_here, gradient = self.value_and_grad(self.theta)
        self.grad = gradient.copy()
        again = self.value(self.theta)
        if not math.isfinite(self.value_here):
            raise _RefusedError(
                ValueError(f"the loss is {self.value_here} at these parameters: expected a finite number.")
            )
        if abs(again - self.value_here) > 1e-12 * max(1.0, abs(again)):
            return (
                f"the loss gives {self.value_here:.6g} and then {again:.6g} for the same parameters: it draws at random, or "
                "remembers something. Let it draw the same every time, with rng = np.random.default_rng(0) inside the loss"
            )
        self.is_coarse = self._is_coarse()
        if self.is_coarse:
            self.steps, self.coarse, self.rounding = COARSE_STEPS, 1e-2, float(np.finfo(np.float32).eps)
        return ""

    def _is_coarse(self) -> bool:
        """Say whether L is computed in float32: steps that are too small for it show as noise."""
        if self.in_place and any(a.dtype.itemsize < 8 for a in self.arrays.values()):
            return True
        u = np.random.default_rng(0).normal(size=self.theta.size)
        values = [self.value(self.theta + k * 1e-9 * u) for k in range(5)]
        return bool(np.abs(np.diff(values, 2)).max() > 1e-10 * max(1.0, abs(self.value_here)))

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        value, given, structure = self._call(theta)
        if self.gradients_way is not None:
            try:
                given = called(self.gradients, self.gradients_way, structure)
            except NotImplementedError:
                raise
            except Exception as error:
                raise _RefusedError(
                    ValueError(f"the gradients cannot be computed: {raised('gradients', error)}.")
                ) from error
        elif self.gradients is not None:
            given = self.gradients
        elif given is None:
            raise _RefusedError(
                TypeError("gradients: expected them as the third argument, or from the loss: return L, gradients.")
            )
        try:
            gradient = matched(given, self.arrays)
        except (TypeError, ValueError) as error:
            raise _RefusedError(error) from error
        return value, gradient

    def value(self, theta: Array) -> float:
        return self._call(theta)[0]

    def _call(self, theta: Array) -> tuple[float, Any, Any]:
        """Return L, what came beside it, and the parameters that it saw."""
        pieces = [theta[e.where].reshape(e.shape) for e in self.entries]
        if self.in_place:
            for array, piece in zip(self.arrays.values(), pieces, strict=True):
                array[...] = piece
            structure = self.parameters
        else:
            new = [
                p.copy() if isinstance(a, np.ndarray) else float(p)
                for a, p in zip(self.arrays.values(), pieces, strict=True)
            ]
            structure = rebuilt(self.parameters, iter(new))
        np.random.set_state(self._draws[0])  # noqa: NPY002
        random.setstate(self._draws[1])
        try:
            result = called(self.loss, self.way, structure)
        except NotImplementedError:
            raise
        except Exception as error:
            raise _RefusedError(ValueError(f"the loss cannot be computed: {raised('loss', error)}.")) from error
        beside = None
        if isinstance(result, tuple) and result:
            result, beside = result[0], result[1] if len(result) > 1 else None
        return _number(result), beside, structure

    def kink(self, direction: Array, tolerance: float, rng: np.random.Generator) -> bool:
        if self.has_gradient_elsewhere:
            return super().kink(direction, tolerance, rng)
        # Without a gradient beside θ: the slopes to both sides differ, however small the step, and ours is between them.
        analytic, jumps = float(self.grad @ direction), []
        for h in self.steps[:2]:
            right = (self.value(self.theta + h * direction) - self.value_here) / h
            left = (self.value_here - self.value(self.theta - h * direction)) / h
            slack = 1e-3 * abs(right - left)
            if not min(left, right) - slack <= analytic <= max(left, right) + slack:
                return False
            jumps.append(abs(right - left))
        size = max(abs(left), abs(right))
        return jumps[0] > 1e-3 * size and jumps[1] > 0.5 * jumps[0]


def _number(result: Any) -> float:
    if result is None:
        raise _RefusedError(TypeError("the loss returns None: is the return missing?"))
    try:
        array = np.asarray(result, np.float64)
    except (TypeError, ValueError) as error:
        raise _RefusedError(TypeError(f"the loss returns {type(result).__name__}: expected one number.")) from error
    if array.size != 1 or np.iscomplexobj(result):
        raise _RefusedError(
            ValueError(f"the loss returns an array of shape {array.shape}: expected one number, its mean or its sum.")
        )
    return float(array.reshape(()))


def _explained(objective: FunctionObjective, p: ParameterCheck) -> ParameterCheck:
    """Look at the whole array where the sampled entries follow no law."""
    (entry,) = (e for e in objective.entries if e.name == p.name)
    axis = np.zeros_like(objective.theta)
    if not (p.numeric_norm or p.analytic_norm or objective.has_gradient_elsewhere):  # both are 0 in the middle of |w|
        axis[entry.where] = 1
        return dataclasses.replace(p, unchecked=objective.kink(axis, 0.0, np.random.default_rng(0)))
    if p.hint != NO_LAW or math.prod(p.shape) > SMALL:
        return p
    analytic, numeric = objective.grad[entry.where], np.empty(math.prod(p.shape))
    for i in range(len(numeric)):
        axis[entry.where.start + i] = 1
        numeric[i] = objective.slope(objective.theta, axis, analytic[i], 0.0)
        axis[entry.where.start + i] = 0
    law = array_laws.law(p.name, analytic.reshape(p.shape), numeric.reshape(p.shape))
    return dataclasses.replace(p, hint=law or NO_LAW)


def _not_checked(why: str) -> GradientReport:
    return GradientReport(
        False, math.nan, math.nan, [], [], 0, [], f"The gradient cannot be checked:\n  {why}.", unchecked=[why]
    )


def _verdict(objective: FunctionObjective, found: Answers) -> str:
    wrong = [f"{what}." for what in reasons(found.parameters, known=False)]
    if not any(p.numeric_norm for p in found.parameters):
        arrays = "the very arrays in parameters, not copies" if objective.in_place else "the arrays that it is given"
        wrong = [f"L does not change with any parameter: the loss must compute with {arrays}."]
    coarse = (
        "Note: L is computed in float32, where differences are coarse: only errors of more than 1 % are found. With "
        "float64, as in W.astype(np.float64), they are a million times finer."
    )
    return "\n  ".join([verdict(found, wrong), *([coarse] if objective.is_coarse else [])])
