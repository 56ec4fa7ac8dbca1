"""L as a function in plain NumPy, and the arrays that it depends on."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.arrays import matched, named_leaves, rebuilt
from chainrule.gradient_check.calls import called, how, names
from chainrule.gradient_check.failing import raised
from chainrule.gradient_check.objective import Objective
from chainrule.parameters import Entry

COARSE_STEPS = (3e-2, 1e-2, 3e-3)  # in float32


class RefusedError(Exception):
    """Raised when the loss or the gradients return something that cannot be checked."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


class Guarded:
    """The parameter arrays by name. At the end of the block, they and the global generators are restored."""

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

    or_half = ", or only part of it is present"
    written_to = ""

    def __init__(self, loss: Callable[..., Any], parameters: Any, gradients: Any, arrays: dict[str, Any]) -> None:
        self.loss, self.parameters, self.arrays = loss, parameters, arrays
        self.way = how(loss, "loss", parameters)
        self.gradients = gradients
        self.gradients_way = how(gradients, "gradients", parameters) if callable(gradients) else None
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
                    f"parameters: {name} is a plain number, so a loss without arguments cannot see changes: pass the "
                    f"parameters to the loss, or write {name} = np.array({float(array)})."
                )
            if not array.flags.writeable:
                raise ValueError(
                    f"parameters: {name} is read-only, but a loss without arguments reads it in place: pass the "
                    f"parameters to the loss, or give a copy, {name}.copy()."
                )

    def begin(self) -> str:
        """Evaluate L and its gradient once; return the reasons if they cannot be checked."""
        self.value_here, gradient = self.value_and_grad(self.theta)
        self.grad = gradient.copy()
        again = self.value(self.theta)
        if not math.isfinite(self.value_here):
            raise RefusedError(
                ValueError(f"the loss is {self.value_here} at these parameters: expected a finite number.")
            )
        if abs(again - self.value_here) > 1e-12 * max(1.0, abs(again)):
            return (
                f"the loss gives {self.value_here:.6g} and then {again:.6g} for the same parameters: it is random "
                "or has state. If it is random, start it with rng = np.random.default_rng(0)"
            )
        self.is_coarse = self._is_coarse()
        if self.is_coarse:
            self.steps, self.coarse, self.rounding = COARSE_STEPS, 1e-2, float(np.finfo(np.float32).eps)
        return ""

    def _is_coarse(self) -> bool:
        """Return whether L is computed in float32: its values fit into float32, or small steps show as noise."""
        if self.in_place and any(a.dtype.itemsize < 8 for a in self.arrays.values()):
            return True
        u = np.random.default_rng(0).normal(size=self.theta.size)
        u /= np.linalg.norm(u)
        values = np.array([self.value(self.theta + k * 1e-6 * u) for k in range(1, 6)])
        noise = np.abs(np.diff(values, 2)).max() > 1e-8 * max(1.0, abs(self.value_here))
        return bool(noise or (values == values.astype(np.float32)).all())

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        value, given, structure = self._call(theta)
        if self.gradients_way is not None:
            try:
                given = called(self.gradients, self.gradients_way, structure)
            except NotImplementedError:
                raise
            except Exception as error:
                raise RefusedError(
                    ValueError(f"the gradients cannot be computed: {raised('gradients', error)}.")
                ) from error
        elif self.gradients is not None:
            given = self.gradients
        elif given is None:
            raise RefusedError(
                TypeError("gradients: expected them as the third argument, or from the loss: return L, gradients.")
            )
        try:
            gradient = matched(given, self.arrays)
        except (TypeError, ValueError) as error:
            raise RefusedError(error) from error
        return value, gradient

    def value(self, theta: Array) -> float:
        return self._call(theta)[0]

    def _call(self, theta: Array) -> tuple[float, Any, Any]:
        """Return L, the rest of the result, and the parameters used."""
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
            raise RefusedError(ValueError(f"the loss cannot be computed: {raised('loss', error)}.")) from error
        beside = None
        if isinstance(result, tuple) and result:
            result, beside = result[0], result[1] if len(result) > 1 else None
        return _number(result), beside, structure

    def kink(self, direction: Array, tolerance: float, rng: np.random.Generator) -> bool:
        if self.has_gradient_elsewhere:
            return super().kink(direction, tolerance, rng)
        # Without gradients near θ: the slopes on both sides differ, however small the step, and ours lies between them.
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
        raise RefusedError(TypeError("the loss returns None: is the return missing?"))
    try:
        array = np.asarray(result, np.float64)
    except (TypeError, ValueError) as error:
        raise RefusedError(TypeError(f"the loss returns {type(result).__name__}: expected one number.")) from error
    if array.size != 1 or np.iscomplexobj(result):
        raise RefusedError(
            ValueError(f"the loss returns an array of shape {array.shape}: expected one number, its mean or its sum.")
        )
    return float(array.reshape(()))
