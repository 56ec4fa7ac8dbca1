"""Adapters for checked optimizers, chainrule's or custom ones, as a function that updates arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.same import copied
from chainrule.gradient_check.update_rules import Settings
from chainrule.optimizers import Optimizer

ALIASES: dict[str, tuple[str, ...]] = {
    "rate": ("learning_rate", "lr", "eta", "step_size", "rate"),
    "momentum": ("momentum", "mu", "gamma", "beta"),
    "beta_1": ("beta_1", "beta1", "b1", "beta_one"),
    "beta_2": ("beta_2", "beta2", "b2", "beta_two"),
    "rho": ("rho", "decay_rate", "decay", "alpha", "gamma", "beta"),
    "epsilon": ("epsilon", "eps"),
    "weight_decay": ("weight_decay", "wd", "lambd", "lam"),
}
METHODS = ("update", "step", "update_params", "apply")

Move = Callable[[Array, Array], Array]
Form = Callable[[Callable[..., Any], list[Array], list[Array]], Sequence[Any]]


def in_array(function: Callable[..., Any], arrays: list[Array], gradients: list[Array]) -> Sequence[Any]:
    """Call a function of an array and its gradient; return the updated array, in a list."""
    result = function(arrays[0], gradients[0])
    return arrays if result is None else [result]


def in_list(function: Callable[..., Any], arrays: list[Array], gradients: list[Array]) -> Sequence[Any]:
    """Call a function of lists; return the updated arrays: the returned ones, or else those changed in place."""
    result = function(arrays, gradients)
    return arrays if result is None else list(result)


def in_dict(function: Callable[..., Any], arrays: list[Array], gradients: list[Array]) -> Sequence[Any]:
    """Call a function of dicts; return the updated arrays."""
    given = dict(zip(("W", "b"), arrays, strict=False))
    result = function(given, {f"{d}{name}": g for d in ("", "d") for name, g in zip(given, gradients, strict=True)})
    return [(given if result is None else result)[name] for name in given]


FORMS: tuple[Form, ...] = (in_array, in_list, in_dict)
"""The forms of arguments: an array and its gradient, lists of them, or dicts."""


class Subject:
    """An optimizer: ``moves()`` starts over and returns a function of θ and g that returns the next θ."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.is_ours = isinstance(optimizer, Optimizer)
        self.owner = optimizer if self.is_ours else getattr(optimizer, "__self__", optimizer)
        self.name = type(self.owner).__name__ if not callable(self.owner) or self.is_ours else _called(self.owner)
        if isinstance(optimizer, type):
            raise TypeError(
                f"check_optimizer: got the class {optimizer.__name__}; give an object of it: {optimizer.__name__}(...)."
            )
        method = next((m for m in METHODS if callable(getattr(optimizer, m, None))), None)
        if not self.is_ours and not callable(optimizer) and method is None:
            raise TypeError(
                "check_optimizer: expected an Optimizer, a function of the parameters and the gradients, or an object "
                f"with update(parameters, gradients), got {optimizer!r}."
            )
        self.method = None if callable(optimizer) else method
        self._chosen: Form | None = None

    def given(self, name: str) -> float | None:
        """Return a setting of the optimizer, under any of its usual names."""
        betas = getattr(self.owner, "betas", None)
        if name in {"beta_1", "beta_2"} and isinstance(betas, Sequence) and len(betas) == 2:
            return float(betas[name == "beta_2"])
        for alias in ALIASES[name]:
            value = getattr(self.owner, alias, None)
            if isinstance(value, int | float | np.floating) and not isinstance(value, bool):
                return float(value)
        return None

    def settings(self) -> Settings:
        """Return all settings, with the usual values for those without a name."""
        known = {name: value for name in Settings._fields if (value := self.given(name)) is not None}
        return Settings(**({"rate": 0.1} | known))

    def moves(self, factor: float = 1.0, *, shared: Any = None) -> Move:
        """Start over; ``factor`` scales the learning rate, ``shared`` is an object also used elsewhere."""
        one = self.twin() if shared is None else shared
        return self._ours(one, factor) if self.is_ours else self._other(one, factor)

    def _ours(self, one: Any, factor: float) -> Move:
        held: list[Any] = []

        def move(theta: Array, g: Array) -> Array:
            if not held:
                own = theta.copy()
                held.extend((own, one.start(own, [own])))
            own, state = held
            own[:] = theta
            one.update(own, g, state, factor)
            return own.copy()

        return move

    def _other(self, one: Any, factor: float) -> Move:
        if factor != 1:
            self._scale(one, factor)
        form = self._form()
        function = self.function(one)
        return lambda theta, g: np.array(form(function, [theta.copy()], [g])[0], np.float64)

    def function(self, one: Any) -> Callable[..., Any]:
        """Return the function of the parameters and the gradients."""
        return one if self.method is None else getattr(one, self.method)

    def _form(self) -> Form:
        """Return the form of its arguments: the first in which θ moves, or else one in which it runs."""
        if self._chosen is None:
            theta, problem = np.array([1.0, 2.0]), None
            runs: list[tuple[bool, int, Form]] = []
            for form in FORMS:
                try:
                    after = form(self.function(self.twin()), [theta.copy()], [np.ones(2)])
                    result = np.array(after[0], np.float64)
                except NotImplementedError:
                    raise
                except Exception as error:  # noqa: BLE001  (the optimizer is user code)
                    problem = problem or error
                    continue
                if result.shape == theta.shape:
                    runs.append((not (result != theta).any(), len(runs), form))
            if not runs:
                raise problem or ValueError("it does not return an array of the parameters' shape")
            self._chosen = min(runs, key=lambda run: run[:2])[2]
        return self._chosen

    def _scale(self, one: Any, factor: float) -> None:
        owner = getattr(one, "__self__", one)
        for alias in ALIASES["rate"]:
            if isinstance(getattr(owner, alias, None), int | float):
                setattr(owner, alias, getattr(owner, alias) * factor)
                return
        raise LookupError("learning rate")

    def twin(self) -> Any:
        """Return a copy of the optimizer, to be shared by two sets of parameters."""
        return copied(self.optimizer)


def _called(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
