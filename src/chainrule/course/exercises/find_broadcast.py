"""Find the mistake: a loss that hardly falls.

A regression with one output: y = x W + b, with W of shape (inputs, 1), and targets t of shape (n,). The loss is the
mean of ½ (y − t)². It falls at first, and then stays near half the variance of the targets, as if the inputs did not
matter.

The file computes L and dW. Find the mistake and fix it; the shapes of the arguments stay. Print the shape of every
array.

Source: the rules are in NumPy's manual, "Broadcasting".
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_broadcast(x, t, W, b):
    """Return L and dW; t is (n,), W is (inputs, 1), b is (1,)."""
    y = x @ W + b
    error = y - t[:, None]
    L = 0.5 * np.sum(error**2) / error.size
    dW = x.T @ error / len(x)
    return L, dW


def planted(x, t, W, b):
    """Return L and dW; t is (n,), W is (inputs, 1), b is (1,)."""
    y = x @ W + b
    error = y - t
    L = 0.5 * np.sum(error**2) / error.size
    dW = x.T @ error.mean(axis=1, keepdims=True) / len(x)
    return L, dW


def cases(rng):
    """Yield data and parameters."""
    for rows, about in ((6, ""), (1, "with a batch of one row")):
        yield Case(tuple(rng.normal(size=shape) for shape in ((rows, 3), (rows,), (3, 1), (1,))), about)


EXERCISE = Exercise(
    find_broadcast, cases, ("L", "dW"), points=4, planted=planted,
    gradients=lambda x, t, W, b: {"dW": (lambda W: find_broadcast(x, t, W, b)[0], W)},
    hints=(
        "What is the shape of y, of t, and of y - t?",
        "y - t[:, None] has shape (n, 1): each output meets its own target.",
    ),
    mistakes=(
        Mistake("planted", planted, "L is the error of every output against every target: much larger than the "
                "mean of ½ (y − t)².", "(n, 1) minus (n,) broadcasts to (n, n): make t a column, t[:, None]."),
    ),
)  # fmt: skip
