"""Find the mistake: the hidden layer.

This network has one hidden layer with the sigmoid, and a squared error: a = σ(x W), y = a V, L = (1/n) Σ ½ (y − t)².
The file computes L, dW and dV. It trains, though slowly: one of the gradients is wrong.

Find the mistake and fix it; one line is enough. The check says which gradient disagrees with finite differences. Go
backward through the formulas:

    dy = (y − t) / n        dV = aᵀ dy        da = dy Vᵀ        dz = da ⊙ σ′(z)        dW = xᵀ dz

Source: Nielsen, "Neural Networks and Deep Learning" (2015), chapter 2.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_hidden_layer(x, t, W, V):
    """Return L, dW and dV."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def slope(z):
        return sigmoid(z) * (1 - sigmoid(z))

    a = sigmoid(x @ W)
    dy = (a @ V - t) / len(x)
    dz = dy @ V.T * slope(x @ W)
    return 0.5 * np.sum((a @ V - t) ** 2) / len(x), x.T @ dz, a.T @ dy


def planted(x, t, W, V):
    """Return L, dW and dV."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def slope(z):
        return sigmoid(z) * (1 - sigmoid(z))

    a = sigmoid(x @ W)
    dy = (a @ V - t) / len(x)
    dz = dy @ V.T * slope(a)
    return 0.5 * np.sum((a @ V - t) ** 2) / len(x), x.T @ dz, a.T @ dy


def cases(rng):
    """Yield data and weights."""
    for rows, about in ((5, ""), (1, "with a batch of one row")):
        yield Case(tuple(rng.normal(size=shape) for shape in ((rows, 4), (rows, 2), (4, 3), (3, 2))), about)


def _gradients(x, t, W, V):
    return {
        "dW": (lambda W: find_hidden_layer(x, t, W, V)[0], W),
        "dV": (lambda V: find_hidden_layer(x, t, W, V)[0], V),
    }


EXERCISE = Exercise(
    find_hidden_layer, cases, ("L", "dW", "dV"), points=4, gradients=_gradients, planted=planted,
    hints=(
        "dV is right, so everything up to dy is. The mistake is in the lines that only dW needs.",
        "σ′ is taken at z = x W, the value before the sigmoid: slope(x @ W), not slope(a).",
    ),
    mistakes=(
        Mistake("planted", planted, "dW differs from the finite differences of L, but dV is right: something "
                "between dy and dW is wrong.",
                "slope(z) wants the value before the sigmoid. Here it gets σ′ of an activated value."),
        Mistake("no slope", lambda x, t, W, V: {"dW": _linear(x, t, W, V)}, "The slope is missing: dz is da, as "
                "without a sigmoid.", "dz = da ⊙ σ′(z)"),
    ),
)  # fmt: skip


def _linear(x, t, W, V):
    """Return dW as if the hidden layer had no sigmoid."""
    a = 1 / (1 + np.exp(-(x @ W)))
    return x.T @ ((a @ V - t) / len(x) @ V.T)
