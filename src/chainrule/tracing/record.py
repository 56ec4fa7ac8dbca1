"""The operations of a computation: inputs and outputs of every layer, with entries worked out and checked."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule import losses
from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.optimizers import Optimizer
from chainrule.pages.blocks import Matrix
from chainrule.pages.formatting import factor, number
from chainrule.pages.formula import filled, sides
from chainrule.tracing.computation import Computation, Watched
from chainrule.tracing.entries import DIGITS, Seen, line, work
from chainrule.tracing.equations import Equations, equations_of, lines, symbol
from chainrule.tracing.operations import Check, Index, Operation
from chainrule.tracing.verify import verify


def record(computation: Computation, optimizer: Optimizer) -> tuple[tuple[Operation, ...], float]:
    """Return the operations of a computation that has run, and L after one optimizer step."""
    checks, loss_check = verify(computation)
    after, state = computation.step(optimizer)
    with np.errstate(over="ignore", invalid="ignore"):  # after too large a step, which the text reports
        value_after = after.run()
    origins: dict[int, tuple[str, str]] = {}
    _origins(computation.layers, "", "dy of the loss", origins)
    views = [_View(w, computation, c, origins[id(w)]) for w, c in zip(computation.all, checks, strict=True)]
    steps = [view.forward() for view in views]
    steps.append(_loss(computation, loss_check))
    for top in reversed(computation.layers):
        steps += [view.backward() for view in _backwards(top, views)]
    steps += [_update(computation, after, optimizer, state, view) for view in views if view.moves]
    return tuple(steps), value_after


def _origins(layers: Sequence[Watched], x: str, dy: str, found: dict[int, tuple[str, str]]) -> None:
    """Find where x and dy of every layer come from; an inner layer takes those of the enclosing layer."""
    for i, layer in enumerate(layers):
        from_x = f"y of layer {layers[i - 1].label}" if i else x
        from_dy = f"dx of layer {layers[i + 1].label}" if i < len(layers) - 1 else dy
        found[id(layer)] = from_x, from_dy
        _origins(layer.inside, from_x, from_dy, found)


def _backwards(layer: Watched, views: Sequence[_View]) -> Iterator[_View]:
    """Yield layers in the order of the backward pass: inner layers, last one first, then the enclosing one."""
    for inside in reversed(layer.inside):
        yield from _backwards(inside, views)
    yield next(view for view in views if view.watched is layer)


def _title(watched: Watched) -> str:
    """Return the layer's constructor call; for one with inner layers, which are listed separately, where they are."""
    if not watched.inside:
        return repr(watched.layer)
    first, last = (watched.inside[i].label for i in (0, -1))
    places = f"layers {first} to {last}" if first != last else f"layer {first}"
    return f"{type(watched.layer).__name__} around {places}"


class _View:
    """One layer of a computation, with everything needed to record it."""

    def __init__(
        self, watched: Watched, computation: Computation, checks: tuple[Check, ...], origins: tuple[str, str]
    ) -> None:
        self.watched, self.checks = watched, checks
        self.x_origin, self.dy_origin = origins
        self.layer, self.memo = watched.layer, watched.memo
        self.equations = equations_of(self.layer, training=self.memo.training)
        self.title = _title(watched)
        self.shapes = f"{watched.x.shape} -> {watched.y.shape}"
        self.symbols = _symbols(self.equations, self.layer)
        self.entries = {check.gradient: check.at for check in checks}
        self.parameters = {symbol(name): computation.parameter(e).copy() for name, e in watched.names.items()}
        self.gradients = {f"d{symbol(name)}": computation.gradient(e) for name, e in watched.names.items()}
        self.extras = {symbol: self._extra(source) for symbol, source in self.equations.memo.items()}
        arrays = {"x": watched.x, "y": watched.y, "dy": watched.dy, "dx": watched.dx}
        arrays |= {**self.parameters, **self.gradients, **self.extras}
        arrays |= {symbol: np.asarray(value) for symbol, value in self.symbols.items()}
        if watched.inside:
            arrays |= {"f": watched.inside[-1].y, "df": watched.inside[0].dx}
        self.worked = work(Seen(self.layer, arrays, self.entries, self.equations))

    def _extra(self, source: Any) -> Array:
        """Return an array that the equations name in addition to x, y and the parameters."""
        return np.asarray(
            source(self.layer, self.memo, self.watched.x) if callable(source) else getattr(self.memo, source)
        )

    @property
    def moves(self) -> bool:
        """Whether a training step changes the layer."""
        return bool(self.watched.names) or (self.memo.training and bool(self.equations.after))

    def forward(self) -> Operation:
        y, entry = self.watched.y, self.worked.y
        arrays = [Matrix("x", self.watched.x, self.x_origin, self.worked.x)]
        arrays += [
            Matrix(name, values, "", self.entries["d" + name], batch=False) for name, values in self.parameters.items()
        ]
        arrays += [
            Matrix(name, values, "", entry if values.shape == y.shape else None, batch=len(values.shape) > 1)
            for name, values in self.extras.items()
        ]
        arrays += self.worked.more
        if self.watched.inside:
            last = self.watched.inside[-1]
            arrays.append(Matrix("f", last.y, f"y of layer {last.label}", entry))
        arrays.append(Matrix("y", y, "", entry))
        return self._step("forward", self.equations.forward, arrays, self.worked.forward, ())

    def backward(self) -> Operation:
        arrays = [Matrix("dy", self.watched.dy, self.dy_origin, self.worked.y)]
        arrays += [Matrix(name, values, "", self.entries[name], batch=False) for name, values in self.gradients.items()]
        if self.watched.inside:
            first = self.watched.inside[0]
            arrays.append(Matrix("df", first.dx, f"dx of layer {first.label}", self.worked.x))
        arrays.append(Matrix("dx", self.watched.dx, "", self.entries.get("dx")))
        return self._step("backward", self.equations.backward, arrays, self.worked.backward, self.checks)

    def _step(
        self,
        phase: str,
        equations: str,
        arrays: list[Matrix],
        worked: Sequence[str],
        checks: tuple[Check, ...],
    ) -> Operation:
        texts = f"{self.equations.forward} {self.equations.backward}"
        symbols = {s: v for s, v in self.symbols.items() if s in texts or not self.equations.after}
        label = self.watched.label
        return Operation(
            phase, label, self.title, self.shapes, lines(equations), tuple(arrays), tuple(worked), checks, symbols
        )


def _symbols(equations: Equations, thing: Any) -> dict[str, float]:
    """Return the values of the symbols in the equations."""
    return {symbol: getattr(thing, attribute) for symbol, attribute in equations.symbols.items()}


def _loss(computation: Computation, check: Check) -> Operation:
    loss, seen, t = computation.loss.loss, computation.loss.seen, computation.t
    equations = equations_of(loss)
    rows, weight = len(t), computation.weight
    mean = "L = ℓ" if rows == 1 else f"L = Σᵢ ℓᵢ / {rows}"
    scale = f" · 1/{rows}" if rows > 1 else ""
    if weight is not None:
        mean, scale = "L = Σᵢ wᵢ ℓᵢ / Σᵢ wᵢ", " · w / Σᵢ wᵢ"
    extras = {symbol: getattr(seen, str(name)) for symbol, name in equations.memo.items()}
    r = check.at[0]
    arrays = [Matrix("y", seen.y, f"y of layer {len(computation.layers) - 1}", check.at)]
    arrays.append(Matrix("t", t, "", (r,) if t.ndim == 1 else check.at))
    arrays += [Matrix(symbol, values, "", check.at) for symbol, values in extras.items()]
    if weight is not None:
        arrays.append(Matrix("w", weight))
    arrays += [Matrix("ℓ", seen.values, "", (r,)), Matrix("dy", seen.dy, "", check.at)]
    return Operation(
        "loss",
        None,
        repr(loss),
        f"{seen.y.shape} -> L",
        (*lines(equations.forward), mean, *lines(equations.backward), f"dy = ∂L/∂y = ∂ℓ/∂y{scale}"),
        tuple(arrays),
        tuple(_loss_lines(loss, equations, computation, extras, check.at)),
        (check,),
        _symbols(equations, loss),
    )


def _loss_lines(
    loss: losses.Loss, equations: Equations, computation: Computation, extras: dict[str, Array], index: Index
) -> list[str]:
    (r, k), t, seen, weight = index, computation.t, computation.loss.seen, computation.weight
    found = []
    if isinstance(loss, losses.SoftmaxCrossEntropy) and t.ndim == 1 and not loss.label_smoothing:
        found += line("ℓ", (r,), f"−log p[{r}, {t[r]}] = −log {factor(seen.p[r, t[r]])}", seen.values[r])
    numbers = {symbol: values[index] for symbol, values in extras.items()}
    numbers |= {"y": seen.y[index], "t": float(t[r] == k) if t.ndim == 1 else t[index]}
    right = filled(sides(equations.backward)[1], numbers, factor)
    if right and weight is not None:
        right = f"({right}) · {factor(weight[r])} / {number(weight.sum(), DIGITS)}"
    elif right and len(t) > 1:
        right = f"({right}) / {len(t)}"
    return found + line("dy", index, right, seen.dy[index])


def _update(before: Computation, after: Computation, optimizer: Optimizer, state: Memo, view: _View) -> Operation:
    equations, layout, label = equations_of(optimizer), before.plain.layout, view.watched.label
    symbols = _symbols(equations, optimizer)
    arrays: list[Matrix] = []
    worked: list[str] = []
    steps = [right for name, right in map(sides, lines(equations.forward)) if name in ("θ", "W")]
    for local, parameter in view.watched.names.items():
        name, gradient_name = symbol(local), f"d{symbol(local)}"
        index = view.entries[gradient_name]
        vectors = (before.plain.theta, before.workspace.grad, after.plain.theta)
        old, gradient, new = (layout.view(vector, parameter) for vector in vectors)
        slots = {slot: layout.view(getattr(state, slot), parameter) for slot in optimizer.slots}
        arrays += [
            Matrix(name, old.copy(), f"{name} of layer {label}", index, batch=False),
            Matrix(gradient_name, gradient, f"{gradient_name} of layer {label}", index, batch=False),
            *(Matrix(f"{slot} of {name}", values, "", index, batch=False) for slot, values in slots.items()),
            Matrix(f"{name} after", new, "", index, batch=False),
        ]
        numbers = {"θ": old[index], "g": gradient[index], "Δ": new[index] - old[index], **symbols}
        numbers |= {slot: values[index] for slot, values in slots.items()}
        right = filled(steps[0], numbers, factor) if len(steps) == 1 else ""  # otherwise there is more than one
        worked += line(name, index, right or filled("θ + Δ", numbers, factor), new[index], "←")
    rules = lines(equations.forward) if view.watched.names else ()
    moved, how = _statistics(view) if view.memo.training and view.equations.after else ([], [])
    if moved:
        rules += lines(view.equations.after)
        symbols |= {symbol: value for symbol, value in view.symbols.items() if symbol in view.equations.after}
        arrays, worked = arrays + moved, worked + how
    return Operation("update", label, view.title, "", rules, tuple(arrays), tuple(worked), (), symbols)


def _statistics(view: _View) -> tuple[list[Matrix], list[str]]:
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
