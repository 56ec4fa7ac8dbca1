"""The operations of a computation: inputs and outputs of every layer, with entries worked out and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule import losses
from chainrule._internal.typing import Array
from chainrule.optimizers import Optimizer
from chainrule.pages.blocks import Matrix
from chainrule.pages.formatting import factor, number
from chainrule.pages.formula import filled, sides
from chainrule.tracing.computation import Computation, Watched
from chainrule.tracing.entries import DIGITS, line
from chainrule.tracing.equations import Equations, equations_of, lines
from chainrule.tracing.operations import Check, Index, Operation
from chainrule.tracing.source import code_of
from chainrule.tracing.updates import Update, record_update
from chainrule.tracing.verify import NONE, Entries, verify
from chainrule.tracing.view import View, symbols_of


def record(
    computation: Computation, optimizer: Optimizer, steps: int = 1, entries: Entries = NONE
) -> tuple[list[Operation], list[float]]:
    """Return the operations of a computation that has run and of optimizer steps, and L after each step.

    The passes of the first step are recorded in full; of the others, which are the same passes with other parameters,
    only the updates. The steps end early if L is not finite.
    """
    checks, loss_check = verify(computation, entries)
    views = _views(computation, checks)
    found = [view.forward() for view in views]
    found.append(_loss(computation, loss_check))
    for top in reversed(computation.layers):
        found += [view.backward() for view in _backwards(top, views)]
    state = optimizer.start(computation.plain.theta, computation.plain.weights)
    values: list[float] = []
    for count in range(1, steps + 1):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # too large a step, which the text reports
            before = {slot: getattr(state, slot).copy() for slot in optimizer.slots}
            after = computation.step(optimizer, state)
            values.append(after.run())
            update = Update(count, computation, after, optimizer, before, state)
            moved = [view for view in views if view.moves]
            found += [record_update(update, view, code=count == 1 and view is moved[0]) for view in moved]
        if not np.isfinite(values[-1]):
            break
        computation, views = after, _views(after, checks)
    return found, values


def _views(computation: Computation, checks: Sequence[tuple[Check, ...]]) -> list[View]:
    origins: dict[int, tuple[str, str]] = {}
    _origins(computation.layers, "", "dy of the loss", origins)
    return [View(w, computation, c, origins[id(w)]) for w, c in zip(computation.all, checks, strict=True)]


def _origins(layers: Sequence[Watched], x: str, dy: str, found: dict[int, tuple[str, str]]) -> None:
    """Find where x and dy of every layer come from; an inner layer takes those of the enclosing layer."""
    for i, layer in enumerate(layers):
        from_x = f"y of layer {layers[i - 1].label}" if i else x
        from_dy = f"dx of layer {layers[i + 1].label}" if i < len(layers) - 1 else dy
        found[id(layer)] = from_x, from_dy
        _origins(layer.inside, from_x, from_dy, found)


def _backwards(layer: Watched, views: Sequence[View]) -> Iterator[View]:
    """Yield layers in the order of the backward pass: inner layers, last one first, then the enclosing one."""
    for inside in reversed(layer.inside):
        yield from _backwards(inside, views)
    yield next(view for view in views if view.watched is layer)


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
        symbols_of(equations, loss),
        code=code_of(loss, "forward", "backward"),
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
