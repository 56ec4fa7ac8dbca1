"""Find the mistake: sum and mean.

The gradients of a dense layer with a squared error, L = (1/n) Σ ½ (y − t)² with y = x W + b. The network trains with
small batches and diverges with large ones, as if the learning rate depended on the batch size.

The file computes L, dW and db. Find the mistake and fix it. Ask of each array: where does the factor 1/n come in, and
how often?

Source: as in exercise 8.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_mean(x, t, W, b):
    """Return L, dW and db."""
    error = x @ W + b - t
    L = 0.5 * np.sum(error**2) / len(x)
    dW = x.T @ error / len(x)
    db = error.mean(axis=0)
    return L, dW, db


def planted(x, t, W, b):
    """Return L, dW and db."""
    error = x @ W + b - t
    L = 0.5 * np.sum(error**2) / len(x)
    dW = x.T @ error
    db = error.mean(axis=0)
    return L, dW, db


def cases(rng):
    """Yield data and parameters."""
    for rows, about in ((6, ""), (1, "with a batch of one row")):
        yield Case(tuple(rng.normal(size=shape) for shape in ((rows, 4), (rows, 3), (4, 3), (3,))), about)


EXERCISE = Exercise(
    find_mean, cases, ("L", "dW", "db"), points=4, planted=planted,
    gradients=lambda x, t, W, b: {
        "dW": (lambda W: find_mean(x, t, W, b)[0], W), "db": (lambda b: find_mean(x, t, W, b)[0], b)
    },
    hints=(
        "L and db are means over the rows. Is dW?",
        "dW = x.T @ error / len(x)",
    ),
    mistakes=(
        Mistake("planted", planted, "dW is 6 times what finite differences find, and the batch has 6 rows; db is "
                "right.", "dW is summed over the rows where db is averaged: divide it by len(x)."),
        Mistake("both summed", lambda x, t, W, b: {"db": (x @ W + b - t).sum(axis=0)}, "Now db is summed, too, but "
                "L is a mean: all gradients have the factor 1/n.", "Divide both by len(x)."),
    ),
)  # fmt: skip
