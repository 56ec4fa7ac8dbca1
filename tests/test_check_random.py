"""No false alarm: over a hundred random layers that are right, of chainrule's and of other kinds, are called right."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers
from chainrule.layers import Layer

FUNCTIONS = {
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "exponential": (np.exp, np.exp),
    "sine": (np.sin, np.cos),
    "bump": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "soft sign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "asinh": (np.arcsinh, lambda x: 1 / np.sqrt(x * x + 1)),
}


class Elementwise(Layer):
    """Any function with its derivative, scaled by a learned gain."""

    def __init__(self, name, gain):
        self.name, self.gain = name, gain

    def parameters(self):
        return {"g": layers.Parameter(self.input_shape, cr.initializers.Normal(), cr.initializers.Fans(1, 1))} if self.gain else {}  # fmt: skip

    def forward(self, x, memo):
        memo.x = x
        y = FUNCTIONS[self.name][0](x)
        return y * self.g if self.gain else y

    def backward(self, dy, memo):
        f, slope = FUNCTIONS[self.name]
        if self.gain:
            memo.dg = (dy * f(memo.x)).sum(axis=0)
            dy = dy * self.g
        return dy * slope(memo.x)


def simple(rng):
    """Return a random layer for rows of numbers."""
    units, kind = int(rng.integers(1, 9)), int(rng.integers(7))
    activations = ["Tanh", "ReLU", "GELU", "Softplus", "Sigmoid", "Softmax", "ELU"]
    if kind == 0:
        return layers.Dense(units, biases=None if rng.random() < 0.3 else "normal")
    if kind == 1:
        return layers.Dropout(float(rng.uniform(0.1, 0.8)))
    if kind == 2:
        return getattr(layers, str(rng.choice(["BatchNorm", "LayerNorm", "RMSNorm"])))()
    if kind == 3:
        return layers.Residual([layers.Dense(5), layers.Tanh()][: int(rng.integers(1, 3))])
    if kind == 4:
        return layers.Scale(float(rng.normal()))
    if kind == 5:
        return getattr(layers, str(rng.choice(activations)))()
    return Elementwise(str(rng.choice(list(FUNCTIONS))), bool(rng.random() < 0.5))


def images(rng):
    """Return a random layer for small images."""
    options = {"size": int(rng.integers(1, 4)), "stride": int(rng.integers(1, 3))}
    options["padding"] = str(rng.choice(["same", "valid"]))
    kind = int(rng.integers(5))
    if kind == 0:
        return layers.Conv2D(int(rng.integers(1, 4)), **options)
    if kind == 1:
        return layers.MaxPool2D(**options)
    if kind == 2:
        return layers.AveragePool2D(**options)
    return layers.BatchNorm() if kind == 3 else layers.GlobalAveragePool2D()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_random_right_layers_are_right(seed):
    rng = np.random.default_rng(seed)
    for draw in [simple, images] if seed % 2 else [simple] * 3:
        layer = draw(rng)
        shape = (int(rng.integers(2, 9)),) if draw is simple and not isinstance(layer, layers.Residual) else (5,)
        if draw is images:
            shape = (int(rng.integers(4, 6)), int(rng.integers(4, 6)), int(rng.integers(1, 3)))
        report = cr.check_layer(layer, shape, rows=int(rng.integers(2, 5)), entries=2, seed=seed)
        assert report, f"{shape}\n{report}"


@pytest.mark.few(2)
@pytest.mark.parametrize("seed", range(10))
def test_random_right_networks_are_right(seed):
    rng = np.random.default_rng([seed, 1])
    for loss in ("squared_error", "softmax_cross_entropy"):
        stack = [layer for _ in range(int(rng.integers(1, 5))) if not isinstance(layer := simple(rng), layers.Residual)]
        stack = [layer for layer in stack if getattr(layer, "name", "") not in {"cube", "exponential"}]
        rows = int(rng.integers(3, 12))
        t = rng.integers(0, 3, rows) if loss.startswith("softmax") else rng.normal(size=(rows, 3))
        network = cr.Network(4, [*stack, layers.Dense(3)], loss, seed=seed)
        report = cr.check_gradient(network, rng.normal(size=(rows, 4)), t, entries=3, seed=seed)
        assert report, f"{network}\n{report}"
