"""A training loop.

Train y = x W by gradient descent on mini-batches. X is (n, inputs), t is (n, outputs), and the loss of a batch of m
rows is L = (1/m) Σ ½ (y − t)², so that dW = xᵀ (y − t) / m. In every epoch:

1. Draw a new order of the rows: `order = rng.permutation(len(X))`.
2. Take batch_size rows at a time in this order. The last batch may have fewer rows; it counts, too.
3. For each batch: W ← W − η dW.

Return the trained W, and leave the arguments as they are. A new order in each epoch keeps the batches from being alike;
m is the number of rows that the batch really has.

With n = 5 and batch_size = 2, an epoch has three steps, with 2, 2 and 1 rows.

Source: Bottou, "Stochastic gradient descent tricks" (2012), in Neural Networks: Tricks of the Trade.
"""

import numpy as np

from chainrule.course.child import Seed
from chainrule.course.exercise import Case, Exercise, Mistake


def training_loop(W, X, t, rate, epochs, batch_size, rng):
    """Return W after these epochs of gradient descent on mini-batches."""
    W = W.copy()
    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            error = X[rows] @ W - t[rows]
            W -= rate * X[rows].T @ error / len(rows)
    return W


def cases(rng):
    """Yield data and settings."""
    for n, epochs, batch, about in (
        (10, 2, 4, ""),
        (6, 3, 6, "with one batch per epoch"),
        (5, 1, 8, "with fewer rows than batch_size"),
    ):
        W, X, t = rng.normal(size=(3, 2)), rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
        yield Case((W, X, t, 0.1, epochs, batch, Seed(int(rng.integers(2**31)))), about)


def _trained(
    W, X, t, rate, epochs, batch_size, rng, *, once=False, shuffled=True, ends=False, size=None, gradient=None, sign=-1
):
    """Return W of a loop with a mistake."""
    W, n = W.copy(), len(X)
    fixed = rng.permutation(n) if once else np.arange(n)
    for _ in range(epochs):
        order = rng.permutation(n) if shuffled and not once else fixed
        for start in range(0, n - n % batch_size if ends else n, batch_size):
            rows = order[start : start + batch_size]
            dW = X[rows].T @ (X[rows] @ W - t[rows])
            W = W + sign * rate * dW / (len(rows) if size is None else size(n, batch_size))
    return W


def _targets_left(W, X, t, rate, epochs, batch_size, rng):
    """Return W of a loop that shuffles X alone."""
    for _ in range(epochs):
        X = rng.permutation(X)
        for i in range(0, len(X), batch_size):
            x = X[i : i + batch_size]
            W = W - rate * x.T @ (x @ W - t[i : i + batch_size]) / len(x)
    return W


def _loop(**how):
    return lambda *arguments: _trained(*arguments, **how)


def _reshuffled(W, X, t, rate, epochs, batch_size, rng):
    """Return W of a loop that shuffles the order of the last epoch."""
    for _ in range(epochs):
        order = rng.permutation(len(X))
        X, t = X[order], t[order]
        for i in range(0, len(X), batch_size):
            x = X[i : i + batch_size]
            W = W - rate * x.T @ (x @ W - t[i : i + batch_size]) / len(x)
    return W


EXERCISE = Exercise(
    training_loop, cases, ("W",), points=5, others=(_reshuffled,),
    hints=(
        "Two loops, one in the other: over epochs, and over the starts of the batches, range(0, n, batch_size).",
        "rows = order[start:start + batch_size]; W = W - rate * X[rows].T @ (X[rows] @ W - t[rows]) / len(rows)",
    ),
    mistakes=(
        Mistake("no mean", _loop(size=lambda n, b: 1), "The batch's mean is missing: dW is summed over the rows.",
                "Divide by len(rows)."),
        Mistake("batch size assumed", _loop(size=lambda n, b: b), "The last batch is divided by batch_size, but it "
                "has fewer rows.", "Divide by len(rows), the number of rows that the batch really has."),
        Mistake("divided by all", _loop(size=lambda n, b: n), "Each batch is divided by the number of all rows: "
                "divide by its own.", "Divide by len(rows)."),
        Mistake("last batch dropped", _loop(ends=True), "The last, short batch of each epoch is left out.",
                "range(0, len(X), batch_size): a slice may end beyond the last row."),
        Mistake("not shuffled", _loop(shuffled=False), "The rows are not shuffled: every epoch has the same "
                "batches, in the order of the data.", "order = rng.permutation(len(X)) at the start of every epoch."),
        Mistake("targets left", _targets_left, "X is shuffled and t is not: inputs and targets no longer belong "
                "together.", "Take X[rows] and t[rows] with the same rows."),
        Mistake("shuffled once", _loop(once=True), "The rows are shuffled once, before the epochs: draw a new "
                "order in each.", "Move rng.permutation into the loop over epochs."),
        Mistake("ascent", _loop(sign=1), "The sign of the step is wrong: the loss rises.", "W - rate * dW"),
        Mistake("one epoch", lambda W, X, t, rate, epochs, b, rng: _trained(W, X, t, rate, 1, b, rng),
                "It stops after the first epoch: is the return inside the loop?",
                "The return stands under the loops, not in them."),
    ),
)  # fmt: skip
