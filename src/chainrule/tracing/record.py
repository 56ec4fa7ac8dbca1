"""From a computation to steps: what each layer was given and gave, and its entries worked out and checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import layers as layers_module
from chainrule import losses
from chainrule._typing import Array
from chainrule.memo import Memo
from chainrule.optimizers import Optimizer
from chainrule.tracing import worked
from chainrule.tracing.computation import Computation
from chainrule.tracing.equations import Equation, Equations, equations_of
from chainrule.tracing.numbers import DIGITS, factor, number
from chainrule.tracing.steps import Check, Index, NamedArray, Step
from chainrule.tracing.verify import verify


def record(computation: Computation, optimizer: Optimizer) -> tuple[tuple[Step, ...], float]:
    """Return the steps of a computation that has run, and L after one step of the optimizer."""
    checks, loss_check = verify(computation)
    after, state = computation.step(optimizer)
    with np.errstate(over="ignore", invalid="ignore"):  # of a step that is too large, which the text says
        value_after = after.run()
    count = len(computation.layers)
    views = [_Layer(computation, i, checks[i]) for i in range(count)]
    steps = [view.forward() for view in views]
    steps.append(_loss(computation, loss_check))
    steps += [view.backward() for view in reversed(views)]
    steps += [
        _update(computation, after, optimizer, state, i, checks[i])
        for i in range(count)
        if any(e.layer == i for e in computation.plain.layout.entries)
    ]
    return tuple(steps), value_after


class _Layer:
    """One layer of a computation, about to be written down."""

    def __init__(self, computation: Computation, i: int, checks: tuple[Check, ...]) -> None:
        self.computation, self.i, self.checks = computation, i, checks
        self.watched = computation.layers[i]
        self.layer = self.watched.layer
        self.memo = computation.workspace.memos[i]
        self.equations = equations_of(self.layer, training=self.memo.training)
        self.entries = {check.gradient: check.at for check in checks}
        self.parameters = [e.name for e in computation.plain.layout.entries if e.layer == i]
        self.dense = isinstance(self.layer, layers_module.Dense)
        self.title = repr(self.layer)
        self.shapes = f"{self.watched.x.shape} -> {self.watched.y.shape}"
        self.symbols = worked.symbols(self.equations, self.layer)

    def forward(self) -> Step:
        x, y = self.watched.x, self.watched.y
        entry = self._y_entry()
        x_entry = entry if not self.dense else (entry[0], self.entries["dW"][0]) if entry else None
        arrays = [NamedArray("x", x, f"y of layer {self.i - 1}" if self.i else "", x_entry)]
        arrays += [
            NamedArray(name, getattr(self.layer, name).copy(), "", self.entries["d" + name], batch=False)
            for name in self.parameters
        ]
        arrays += [
            NamedArray(symbol, values, "", entry if values.shape == y.shape else None)
            for symbol, values in self._extras().items()
        ]
        arrays.append(NamedArray("y", y, "", entry))
        lines: list[str] = []
        if isinstance(self.layer, layers_module.Dense) and entry is not None:
            lines.append(worked.linear(x, self.layer.W, self.layer.b, y, entry))
        elif entry is not None:
            lines = worked.entry("y", entry, self.equations.y_entry, y[entry], **self._numbers(entry))
        return self._step("forward", self.equations.forward, arrays, lines, ())

    def backward(self) -> Step:
        dy, dx = self.watched.dy, self.watched.dx
        last = self.i == len(self.computation.layers) - 1
        entry = self._y_entry()
        arrays = [NamedArray("dy", dy, "dy of the loss" if last else f"dx of layer {self.i + 1}", entry)]
        arrays += [
            NamedArray("d" + name, self.computation.gradient(self.i, name), "", self.entries["d" + name], batch=False)
            for name in self.parameters
        ]
        arrays.append(NamedArray("dx", dx, "", self.entries.get("dx")))
        lines: list[str] = []
        if self.dense:
            dW = self.computation.gradient(self.i, "W")
            lines.append(worked.linear_backward(self.watched.x, dy, dW, self.entries["dW"]))
        elif entry is not None:
            numbers = {**self._numbers(entry), "dy": dy[entry]}
            lines = worked.entry("dx", entry, self.equations.dx_entry, dx[entry], **numbers)
        return self._step("backward", self.equations.backward, arrays, lines, self.checks)

    def _y_entry(self) -> Index | None:
        """Return which entry of y to work out: the one that belongs to the checked gradient."""
        if self.dense:
            i, j = self.entries["dW"]
            row = int(np.argmax(np.abs(self.watched.x[:, i] * self.watched.dy[:, j])))
            return row, j
        index = self.entries.get("dx")
        return index if self.watched.x.shape == self.watched.y.shape else None

    def _extras(self) -> dict[str, Array]:
        """Return what the equations name besides x, y and the parameters, from the memo."""
        return {symbol: getattr(self.memo, name) for symbol, name in self.equations.memo.items()}

    def _numbers(self, entry: Index) -> dict[str, Any]:
        arrays = {"x": self.watched.x, "y": self.watched.y, **self._extras()}
        return {symbol: values[entry] for symbol, values in arrays.items() if values.shape == self.watched.y.shape}

    def _step(
        self,
        phase: str,
        equations: tuple[Equation, ...],
        arrays: list[NamedArray],
        lines: list[str],
        checks: tuple[Check, ...],
    ) -> Step:
        symbols = self.symbols
        return Step(phase, self.i, self.title, self.shapes, equations, tuple(arrays), tuple(lines), checks, symbols)


def _loss(computation: Computation, check: Check) -> Step:
    loss, seen, t = computation.loss.loss, computation.loss.seen, computation.t
    equations = equations_of(loss)
    rows, weight = len(t), computation.weight
    forward = [*equations.forward, _mean(rows, weighted=weight is not None)]
    scale = Equation(
        "dy = ∂L/∂y = ∂ℓ/∂y", r"\mathrm{d}y = \frac{\partial L}{\partial y} = \frac{\partial \ell}{\partial y}"
    )
    if weight is not None:
        scale = Equation(f"{scale.text} · w / Σ w", rf"{scale.latex} \cdot \frac{{w}}{{\sum w}}")
    elif rows > 1:
        scale = Equation(f"{scale.text} / {rows}", rf"{scale.latex} \cdot \frac{{1}}{{{rows}}}")
    extras = {symbol: getattr(seen, name) for symbol, name in equations.memo.items()}
    r = check.at[0]
    arrays = [NamedArray("y", seen.y, f"y of layer {len(computation.layers) - 1}", check.at)]
    arrays.append(NamedArray("t", t, "", (r,) if t.ndim == 1 else check.at))
    arrays += [NamedArray(symbol, values, "", check.at) for symbol, values in extras.items()]
    if weight is not None:
        arrays.append(NamedArray("w", weight))
    arrays += [NamedArray("ℓ", seen.values, "", (r,)), NamedArray("dy", seen.dy, "", check.at)]
    lines = _loss_lines(loss, equations, computation, extras, check.at)
    return Step(
        "loss",
        None,
        repr(loss),
        f"{seen.y.shape} -> L",
        (*forward, *equations.backward, scale),
        tuple(arrays),
        tuple(lines),
        (check,),
        worked.symbols(equations, loss),
    )


def _mean(rows: int, *, weighted: bool) -> Equation:
    if weighted:
        return Equation("L = Σᵢ wᵢ ℓᵢ / Σᵢ wᵢ", r"L = \frac{\sum_i w_i \ell_i}{\sum_i w_i}")
    if rows == 1:
        return Equation("L = ℓ", r"L = \ell")
    return Equation(f"L = (1/{rows}) Σᵢ ℓᵢ", rf"L = \frac{{1}}{{{rows}}} \sum_i \ell_i")


def _loss_lines(
    loss: losses.Loss, equations: Equations, computation: Computation, extras: dict[str, Array], index: Index
) -> list[str]:
    (r, k), t, seen, weight = index, computation.t, computation.loss.seen, computation.weight
    lines = []
    if isinstance(loss, losses.SoftmaxCrossEntropy) and t.ndim == 1 and not loss.label_smoothing:
        p = factor(seen.p[r, t[r]], DIGITS)
        lines.append(f"ℓ[{r}] = −log p[{r}, {t[r]}] = −log {p} = {number(seen.values[r], DIGITS)}")
    template = equations.dx_entry
    if template and weight is not None:
        template = f"({template}) · {factor(weight[r], DIGITS)} / {number(weight.sum(), DIGITS)}"
    elif template and len(t) > 1:
        template = f"({template}) / {len(t)}"
    target = float(t[r] == k) if t.ndim == 1 else t[index]
    numbers = {symbol: values[index] for symbol, values in extras.items()}
    return lines + worked.entry("dy", index, template, seen.dy[index], y=seen.y[index], t=target, **numbers)


def _update(
    before: Computation, after: Computation, optimizer: Optimizer, state: Memo, i: int, checks: tuple[Check, ...]
) -> Step:
    equations, layout = equations_of(optimizer), before.plain.layout
    symbols = worked.symbols(equations, optimizer)
    arrays: list[NamedArray] = []
    lines: list[str] = []
    for parameter in (e for e in layout.entries if e.layer == i):
        name, index = parameter.name, next(c.at for c in checks if c.gradient == "d" + parameter.name)
        vectors = (before.plain.theta, before.workspace.grad, after.plain.theta)
        old, gradient, new = (layout.view(vector, parameter) for vector in vectors)
        slots = {slot: layout.view(getattr(state, slot), parameter) for slot in optimizer.slots}
        arrays += [
            NamedArray(name, old.copy(), f"{name} of layer {i}", index, batch=False),
            NamedArray("d" + name, gradient, f"d{name} of layer {i}", index, batch=False),
            *(NamedArray(f"{slot} of {name}", values, "", index, batch=False) for slot, values in slots.items()),
            NamedArray(f"{name} after", new, "", index, batch=False),
        ]
        numbers = {"θ": old[index], "g": gradient[index], "Δ": new[index] - old[index], **symbols}
        numbers |= {slot: values[index] for slot, values in slots.items()}
        template = equations.y_entry or "{θ} + {Δ}"
        lines += worked.entry(name, index, template, new[index], sign="←", **numbers)
    title = repr(before.plain.layers[i])
    return Step("update", i, title, "", equations.forward, tuple(arrays), tuple(lines), (), symbols)
