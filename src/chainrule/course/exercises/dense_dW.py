"""A dense layer: the gradient of the weights.

W_kj is used in every row i: y_ij = Σ_k x_ik W_kj + b_j, so ∂y_ij/∂W_kj = x_ik. The chain rule adds the rows:

    dW_kj = Σ_i x_ik dy_ij

A sum over the first index of both arrays is a product with the first one transposed. Shapes decide which: dW has the
shape of W, (inputs, outputs); x is (batch, inputs) and dy is (batch, outputs). Only one product of the two fits.

For x = [[1, 2]] and dy = [[3, 4]], dW = [[1·3, 1·4], [2·3, 2·4]] = [[3, 4], [6, 8]].

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986), Nature 323.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def dense_dW(x, dy):
    """Return dW = dL/dW for x, (batch, inputs), and dy = dL/dy, (batch, outputs)."""
    return x.T @ dy


def cases(rng):
    """Yield batches."""
    for rows, inputs, outputs, about in (
        (5, 3, 3, ""),
        (5, 4, 2, "with 4 inputs and 2 outputs"),
        (1, 3, 3, "with a batch of one row"),
    ):
        yield Case((rng.normal(size=(rows, inputs)), rng.normal(size=(rows, outputs))), about)


EXERCISE = Exercise(
    dense_dW, cases, ("dW",), points=4,
    gradients=lambda x, dy: {"dW": (lambda W: float(np.sum(dy * (x @ W))), np.ones((x.shape[1], dy.shape[1])))},
    hints=(
        "dW has the shape of W, (inputs, outputs). Which product of x, dy and a transpose has it?",
        "The sum in dW_kj runs over the rows i of x and dy: transpose x, and write x.T @ dy.",
    ),
    mistakes=(
        Mistake("transposed", lambda x, dy: dy.T @ x, "This is the transposed product, dyᵀ x: it has the shape "
                "(outputs, inputs).", "Swap the two: dW = xᵀ dy, in NumPy x.T @ dy."),
        Mistake("per row", lambda x, dy: x[:, :, None] * dy[:, None, :], "There is a dW for every row: sum them "
                "over the rows.", "x.T @ dy computes the sum at once."),
        Mistake("one row", lambda x, dy: np.outer(x[0], dy[0]), "Only the first row of the batch is used.",
                "x.T @ dy uses all rows."),
        Mistake("sums first", lambda x, dy: np.outer(x.sum(axis=0), dy.sum(axis=0)), "x and dy are summed over the "
                "rows before they are multiplied: multiply within each row first.", "Σ_i x_ik dy_ij is x.T @ dy."),
    ),
)  # fmt: skip
