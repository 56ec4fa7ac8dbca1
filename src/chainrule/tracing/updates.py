"""The update of a layer in one optimizer step: its parameters, and the statistics of the layer in training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.optimizers import Optimizer
from chainrule.pages.blocks import Matrix
from chainrule.pages.formatting import factor
from chainrule.pages.formula import filled, sides
from chainrule.tracing.computation import Computation
from chainrule.tracing.entries import line
from chainrule.tracing.equations import equations_of, lines, symbol
from chainrule.tracing.operations import Index, Operation
from chainrule.tracing.source import code_of
from chainrule.tracing.view import View, symbols_of


class Update(NamedTuple):
    """One optimizer step: the computations before and after it, and the state of the optimizer before and after it."""

    number: int
    before: Computation
    after: Computation
    optimizer: Optimizer
    slots: dict[str, Array]
    state: Memo


def record_update(update: Update, view: View, *, code: bool) -> Operation:
    """Return the update of a layer; ``code`` is whether with the lines of the optimizer."""
    number, optimizer, state = update.number, update.optimizer, update.state
    equations, layout, label = equations_of(optimizer), update.before.plain.layout, view.watched.label
    symbols = symbols_of(equations, optimizer)
    if "ᵗ" in equations.forward:
        symbols["t"] = state.t
    extras = {name: _vector(optimizer, state, update.after, source) for name, source in equations.memo.items()}
    arrays: list[Matrix] = []
    worked: list[str] = []
    for local, parameter in view.watched.names.items():
        name, gradient_name = symbol(local), f"d{symbol(local)}"
        index = view.entries[gradient_name]
        vectors = (update.before.plain.theta, update.before.workspace.grad, update.after.plain.theta)
        old, gradient, new = (layout.view(vector, parameter) for vector in vectors)
        slots = {
            slot: (layout.view(update.slots[slot], parameter), layout.view(getattr(state, slot), parameter).copy())
            for slot in optimizer.slots
        }
        origin = f"{name} of layer {label}" if number == 1 else f"{name} after step {number - 1}"
        arrays += [
            Matrix(name, old.copy(), origin, index, batch=False),
            Matrix(gradient_name, gradient.copy(), f"{gradient_name} of layer {label}" * (number == 1), index, False),
        ]
        for slot, (earlier, later) in slots.items():
            arrays += [Matrix(f"{slot} of {name} before", earlier, "", index, False)] if number > 1 else []
            arrays.append(Matrix(f"{slot} of {name}", later, "", index, False))
        arrays.append(Matrix(f"{name} after", new.copy(), "", index, batch=False))
        numbers = {"θ": old[index], "W": old[index], "g": gradient[index], **symbols}
        numbers |= {slot: earlier[index] for slot, (earlier, _) in slots.items()}
        later_numbers = {slot: later[index] for slot, (_, later) in slots.items()}
        later_numbers |= {name: layout.view(vector, parameter)[index] for name, vector in extras.items()}
        rules = [pair for pair in map(sides, lines(equations.forward)) if pair[0] != "W" or parameter.weight]
        worked += _worked(name, index, rules, numbers, later_numbers, new[index])
    rules_shown = lines(equations.forward) if view.watched.names else ()
    moved, how = _statistics(view) if view.memo.training and view.equations.after else ([], [])
    if moved:
        rules_shown += lines(view.equations.after)
        symbols |= {symbol: value for symbol, value in view.symbols.items() if symbol in view.equations.after}
        arrays, worked = arrays + moved, worked + how
    source = code_of(optimizer, "step") if code else ()
    return Operation(
        "update",
        label,
        view.title,
        "",
        rules_shown,
        tuple(arrays),
        tuple(worked),
        (),
        symbols,
        code=source,
        number=number,
    )


def _vector(optimizer: Optimizer, state: Memo, after: Computation, source: Any) -> Array:
    """Return a vector that the equations name in addition to the state."""
    return np.asarray(source(optimizer, state, after.plain.theta) if callable(source) else getattr(state, source))


def _worked(
    name: str,
    index: Index,
    rules: Sequence[tuple[str, str]],
    numbers: dict[str, Any],
    later: dict[str, Any],
    new: Any,
) -> list[str]:
    """Work out the rules of an optimizer for one entry of a parameter; ``later`` has the values after the step."""
    worked: list[str] = []
    steps = sum(left in ("θ", "W") for left, _ in rules)
    for left, right in rules:
        if left in later:
            sign = "=" if left not in numbers else "←"
            worked += line(f"{left} of {name}", index, filled(right, numbers, factor), later[left], sign)
            numbers[left] = later[left]
        elif left in ("θ", "W"):
            steps -= 1
            decayed = numbers["θ"] * (1 - numbers["η"] * numbers["λ"]) if steps and "λ" in right else None
            result = new if decayed is None else decayed
            text = filled(right, numbers, factor)
            if decayed is None and (steps or not text):  # another rule for θ, or one with names without numbers
                return [
                    *worked,
                    *line(name, index, filled("θ + Δ", {**numbers, "Δ": new - numbers["θ"]}, factor), new, "←"),
                ]
            worked += line(name, index, text, result, "←")
            numbers["θ"] = numbers["W"] = result
    return worked


def _statistics(view: View) -> tuple[list[Matrix], list[str]]:
    """Return the update of the layer's statistics, computed on a copy; nothing if the batch leaves them unchanged."""
    moved, rules = copy.copy(view.layer), dict(map(sides, lines(view.equations.after)))
    for name in rules:
        setattr(moved, name, getattr(view.layer, name).copy())
    moved.update_statistics(view.memo)
    if all(np.array_equal(getattr(moved, name), getattr(view.layer, name)) for name in rules):  # one value, no variance
        return [], []
    index = (int(np.argmax(np.abs(view.extras["μ"]))),)
    numbers = {symbol: v if v.ndim == 0 else v[index] for symbol, v in view.extras.items() if v.ndim < 2}
    arrays: list[Matrix] = []
    worked: list[str] = []
    for name, right in rules.items():
        old, new = getattr(view.layer, name), getattr(moved, name)
        arrays += [
            Matrix(name, old.copy(), "", index, batch=False),
            Matrix(f"{name} after", new, "", index, batch=False),
        ]
        given = {name: old[index], **view.symbols, **numbers}
        worked += line(name, index, filled(right, given, factor), new[index], "←")
    return arrays, worked
