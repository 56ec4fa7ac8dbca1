"""A dense layer: the gradient of the biases.

Backward begins with dy = dL/dy, an array of the shape of y, (batch, outputs): the derivative of L with respect to each
entry of y. What is db = dL/db?

b_j is added in every row i, so y_ij changes with b_j in all of them, each with ∂y_ij/∂b_j = 1. The chain rule adds all
ways in which b_j reaches L:

    db_j = Σ_i dy_ij

db has the shape of b, (outputs,). L is already a mean over the batch, so dy contains the factor 1/batch: db is a sum.
For dy = [[1, 2], [3, 4]], db = [4, 6].

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986), Nature 323.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def dense_db(dy):
    """Return db = dL/db for dy = dL/dy, (batch, outputs)."""
    return dy.sum(axis=0)


def cases(rng):
    """Yield batches."""
    for rows, outputs, about in ((4, 4, ""), (1, 4, "with a batch of one row"), (7, 3, "with a batch of 7 rows")):
        yield Case((rng.normal(size=(rows, outputs)),), about)


EXERCISE = Exercise(
    dense_db, cases, ("db",), points=3,
    gradients=lambda dy: {"db": (lambda b: float(np.sum(dy * (np.ones((len(dy), 1)) * b))), np.zeros(dy.shape[1]))},
    hints=(
        "db has one entry for each unit: for each column of dy.",
        "Write dy.sum(axis=0): axis 0 counts the rows, and they are what is summed.",
    ),
    mistakes=(
        Mistake("wrong axis", lambda dy: dy.sum(axis=1), "The sum is over the wrong axis: over the units, not over "
                "the rows.", "Axis 0 counts the rows: dy.sum(axis=0)."),
        Mistake("one row", lambda dy: dy[0], "db is the gradient of the first row alone: every row of the batch "
                "adds to it.", "Sum over the rows: dy.sum(axis=0)."),
    ),
)  # fmt: skip
