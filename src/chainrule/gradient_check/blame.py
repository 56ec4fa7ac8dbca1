"""Locating the error: every layer, the loss and every penalty checked on their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.failing import pass_of, raised
from chainrule.gradient_check.laws import law_of
from chainrule.gradient_check.objective import BESIDE, NetworkObjective, differs, direction
from chainrule.layers import Layer
from chainrule.memo import Memo
from chainrule.parameters import locate


def blame(objective: NetworkObjective, rng: np.random.Generator) -> list[str]:
    """Check the loss, every layer and every penalty on their own; return the errors found."""
    suspects = []
    network = objective.network
    network.theta[:] = objective.theta
    x, inputs = objective.x, []
    draw = objective.rewind()
    for layer in network.layers:
        inputs.append(x.copy())
        x = layer.forward(x.copy(), Memo(training=True, rng=draw)).copy()
    for i, layer in enumerate(network.layers):
        # Away from kinks: the layer is checked at inputs moved a little.
        moved = inputs[i] + BESIDE * direction(rng, inputs[i].shape, layer.integer_columns())
        try:
            alone = check_alone(layer, moved, rng, lambda: Memo(training=True, rng=objective.rewind()))
        except Exception as error:  # noqa: BLE001  (the layer is user code)
            alone = [raised(pass_of(error), error)]
        suspects += [f"layer {i}, {layer!r}: {what}" for what in alone]
    suspects += [f"{network.loss!r}: {what}" for what in _check_loss(objective, x, rng)]
    for penalty in objective.penalties:
        for e in network.layout.select(None, biases=penalty.biases):
            w = network.layout.view(objective.theta, e) + BESIDE * rng.normal(size=e.shape)
            dw = np.zeros_like(w)
            penalty.add_gradient(w, dw, np.empty_like(w))
            if differs(penalty.value, w, dw, rng):
                suspects.append(f"{penalty!r}: add_gradient is not the derivative of value, for {e.key}")
    return suspects


def check_alone(layer: Layer, x: Array, rng: np.random.Generator, fresh: Callable[[], Memo]) -> list[str]:
    """Return the errors in a bound layer's passes at x; ``fresh`` returns memos with the same random draws."""

    def forward(x: Array) -> tuple[Array, Memo]:
        memo = fresh()
        return layer.forward(x, memo), memo

    wrong: list[str] = []
    given = x.copy()
    y, memo = forward(given)
    if not np.array_equal(given, x):
        wrong.append("forward modifies its input in place, but the previous layer may need it in backward")
    dy = rng.normal(size=y.shape)
    given_dy = dy.copy()
    dx = layer.backward(given_dy, memo)
    if not np.array_equal(given_dy, dy):
        wrong.append("backward modifies dy in place")
    if dx is None or dx.shape != x.shape:
        got = "None" if dx is None else f"a dx of shape {dx.shape}"
        return [*wrong, f"backward returns {got}, but x has shape {x.shape}"]
    if differs(lambda x: float(np.vdot(dy, forward(x.copy())[0])), x, dx, rng, layer.integer_columns()):
        wrong.append(f"the dx returned by backward is not the derivative of forward{_law(layer, x, dy, fresh, 'x')}")
    wrong += _check_parameters(layer, x, dy, memo, rng, fresh)
    return wrong


def _law(layer: Layer, x: Array, dy: Array, fresh: Callable[[], Memo], name: str) -> str:
    found = law_of(layer, x, dy, fresh, name)
    return f": {found}" if found else ""


def _check_parameters(
    layer: Layer, x: Array, dy: Array, memo: Memo, rng: np.random.Generator, fresh: Callable[[], Memo]
) -> list[str]:
    """Return the gradients in the memo that are not the derivatives of forward."""
    wrong = []
    for name in layer.parameters():
        (part, last), (inside, _) = locate(layer, name), locate(memo, name)
        w, dw = getattr(part, last), getattr(inside, f"d{last}")
        if dw is None or np.shape(dw) != w.shape:
            wrong.append(f"backward does not set memo.d{name} with shape {w.shape}")
            continue

        def value(new: Array, w: Array = w) -> float:
            old = w.copy()
            w[...] = new
            result = float(np.vdot(dy, layer.forward(x.copy(), fresh())))
            w[...] = old
            return result

        if differs(value, w.copy(), dw, rng):
            wrong.append(
                f"the d{name} set by backward is not the derivative of forward{_law(layer, x, dy, fresh, name)}"
            )
    return wrong


def _check_loss(objective: NetworkObjective, y: Array, rng: np.random.Generator) -> list[str]:
    loss, t = objective.network.loss, objective.t
    y = y + BESIDE * rng.normal(size=y.shape)
    memo = Memo(training=True)
    given = y.copy()
    loss.forward(given, t, memo)
    dy = loss.backward(t, memo)
    wrong = [] if np.array_equal(given, y) else ["forward modifies y in place"]
    if np.shape(dy) != y.shape:
        return [*wrong, f"backward returns a dy of shape {np.shape(dy)}, but y has {y.shape}"]
    if differs(lambda y: float(np.add.reduce(loss.forward(y.copy(), t, Memo(training=True)))), y, dy, rng):
        wrong.append("backward is not the derivative of forward")
    return wrong
