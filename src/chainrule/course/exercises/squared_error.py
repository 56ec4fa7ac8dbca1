"""The batch's mean: a squared error.

L is the **mean** over the rows of the batch, so that the same learning rate fits batches of all sizes:

    L = (1/n) Σ_i ½ Σ_j (y_ij − t_ij)²        dy = (y − t) / n

Within a row the squares are summed; the factor ½ cancels the 2 of the derivative. y and t are (n, outputs). Return L,
one number, and dy with the shape of y. The factor 1/n occurs here, once. Nothing after it divides again: dW = xᵀ dy and
db = Σ dy are sums. Dividing twice, or averaging one gradient and summing another, is a common mistake.

For y = [[1], [3]] and t = [[0], [1]], L = (½·1 + ½·4) / 2 = 1.25 and dy = [[0.5], [1]].

Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.1, with a mean for the sum.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def squared_error(y, t):
    """Return L = (1/n) Σ ½ (y − t)² and dy = dL/dy; y and t are (n, outputs)."""
    error = y - t
    return 0.5 * (error**2).sum() / len(y), error / len(y)


def cases(rng):
    """Yield outputs and targets."""
    for rows, outputs, about in ((5, 3, ""), (1, 3, "with a batch of one row"), (8, 1, "with one output")):
        yield Case((rng.normal(size=(rows, outputs)), rng.normal(size=(rows, outputs))), about)


EXERCISE = Exercise(
    squared_error, cases, ("L", "dy"), points=4,
    gradients=lambda y, t: {"dy": (lambda y: squared_error(y, t)[0], y)},
    hints=(
        "n is the number of rows, len(y): not the number of entries.",
        "L = 0.5 * ((y - t) ** 2).sum() / n, and dy = (y - t) / n.",
    ),
    mistakes=(
        Mistake("mean over entries", lambda y, t: {"L": 0.5 * ((y - t) ** 2).mean()}, "L is a mean over all "
                "entries, not over the rows: within a row, the squares are summed.",
                "np.mean divides by y.size. Write .sum() / len(y)."),
        Mistake("mean over entries", lambda y, t: {"dy": (y - t) / y.size}, "dy is divided by the number of "
                "entries, not by the number of rows.", "Divide by len(y), not by y.size."),
        Mistake("mean over entries", lambda y, t: {"L": ((y - t) ** 2).mean()}, "L is a mean over all entries, "
                "and lacks the ½: the squares of a row should be summed.", "0.5 * ((y - t) ** 2).sum() / len(y)"),
        Mistake("no square", lambda y, t: {"L": 0.5 * np.abs(y - t).sum() / len(y)}, "The square is missing in L: "
                "this is the absolute error.", "(y - t) ** 2"),
    ),
)  # fmt: skip
