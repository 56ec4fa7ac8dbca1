"""Draw docs/first-picture.png: one digit through a small network, forward and backward, with the check's verdict.

    python docs/first_picture.py

Top: the image, what six of the hidden units look for, and the probabilities. Bottom: the gradients of the loss for the
same things, from right to left.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.gridspec import SubplotSpec

import chainrule as cr
from chainrule.layers import Dense, Tanh

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
UNITS = 6

digits = cr.datasets.load_digits()
network = cr.Network(64, [Dense(30), Tanh(), Dense(10)], "softmax_cross_entropy", seed=0)
cr.train(network, digits.X, digits.t, optimizer=cr.optimizers.Momentum(0.1), epochs=20, seed=0)

p = network.predict(digits.X)
loss = -np.log(p[np.arange(len(p)), digits.t])
row = int(np.argmax(loss))  # the worst prediction
x, t = digits.X[row : row + 1], digits.t[row : row + 1]
report = cr.check_gradient(network, x, t)

first, tanh, last = network.layers
W = first.W
z = x @ W + first.b
h = np.tanh(z)
dz = (p[row] - np.eye(10)[t[0]])[None]  # of the last layer
dh = dz @ last.W.T
da = dh * (1 - h**2)
gradient, dx = x.T @ da, da @ W.T
units = np.argsort(-np.abs(da[0]))[:UNITS]

fig = plt.figure(figsize=(10, 4.4), dpi=150)
grid = fig.add_gridspec(2, UNITS + 2, width_ratios=[1.6, *[1] * UNITS, 2], hspace=0.75, wspace=0.18)


def image(place: SubplotSpec, values: np.ndarray, title: str, cmap: str, bound: float | None = None) -> None:
    """Draw 64 values as an image; ``bound`` is the end of a scale of colors around 0."""
    axes = fig.add_subplot(place)
    axes.imshow(values.reshape(8, 8), cmap=cmap, vmin=None if bound is None else -bound, vmax=bound)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    for side in axes.spines.values():
        side.set(color="0.6", linewidth=0.8)


def number(value: float) -> str:
    """Return a number with its sign."""
    return f"{value:+.2f}".replace("-", "−")


image(grid[0, 0], x, f"x, a {t[0]}", "gray_r")
image(grid[1, 0], dx, "∂L/∂x", "PuOr", np.abs(dx).max())
for i, unit in enumerate(units):
    image(grid[0, 1 + i], W[:, unit], number(h[0, unit]), "PuOr", np.abs(W[:, units]).max())
    image(grid[1, 1 + i], gradient[:, unit], number(dh[0, unit]), "PuOr", np.abs(gradient[:, units]).max())
for place, values, title in ((grid[0, -1], p[row], "p, the probabilities"), (grid[1, -1], dz[0], "∂L/∂z = p − t")):
    axes = fig.add_subplot(place)
    axes.bar(range(10), values, color=[BLUE if k == t[0] else "0.7" for k in range(10)])
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set_title(title, fontsize=9)
    axes.set_xticks(range(10), range(10), fontsize=8)
    axes.set_yticks([])
    axes.spines[["top", "left", "right", "bottom"]].set_visible(False)
rows = (
    ("→  Forward", BLUE, "64-30-10: six hidden units, each drawn as its weights W, with its value h"),
    ("←  Backward", ORANGE, "the gradients of the loss: dW for each of these units, with ∂L/∂h"),
)
for r, (name, color, text) in enumerate(rows):
    y = 0.985 - 0.487 * r
    fig.text(0.125, y, name, color=color, fontsize=12, weight="bold")
    fig.text(0.255, y, text, fontsize=9.5, color="0.3")
verdict = f"✓  Every gradient agrees with finite differences: largest relative error {report.error:.0e}"
fig.text(0.125, 0.0, verdict, fontsize=10.5, color=GREEN, family="DejaVu Sans")
fig.savefig(Path(__file__).with_name("first-picture.png"), bbox_inches="tight", facecolor="white")
