"""A dense layer: the gradient of the input.

The layer before needs dx = dL/dx, which is its own dy. Entry x_ik reaches L through every unit j of the same row:
∂y_ij/∂x_ik = W_kj, so

    dx_ik = Σ_j dy_ij W_kj

The sum runs over the second index of both arrays: a product with the second one transposed. dx has the shape of x,
(batch, inputs). Data goes forward through W, and gradients come back through Wᵀ.

For dy = [[1, 2]] and W = [[3, 4], [5, 6]], dx = [[1·3 + 2·4, 1·5 + 2·6]] = [[11, 17]].

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986), Nature 323.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def dense_dx(dy, W):
    """Return dx = dL/dx for dy = dL/dy, (batch, outputs), and W, (inputs, outputs)."""
    return dy @ W.T


def cases(rng):
    """Yield batches."""
    for rows, inputs, outputs, about in (
        (5, 3, 3, ""),
        (5, 4, 2, "with 4 inputs and 2 outputs"),
        (1, 3, 3, "with a batch of one row"),
    ):
        yield Case((rng.normal(size=(rows, outputs)), rng.normal(size=(inputs, outputs))), about)


EXERCISE = Exercise(
    dense_dx, cases, ("dx",), points=4,
    gradients=lambda dy, W: {"dx": (lambda x: float(np.sum(dy * (x @ W))), np.ones((len(dy), len(W))))},
    hints=(
        "dx has the shape of x, (batch, inputs). dy is (batch, outputs) and W is (inputs, outputs).",
        "The sum in dx_ik runs over the units j, the second index of dy and of W: dy @ W.T.",
    ),
    mistakes=(
        Mistake("transposed", lambda dy, W: dy @ W, "The transpose is missing: dx = dy Wᵀ, not dy W.",
                "Write dy @ W.T: gradients come back through the transposed weights."),
        Mistake("sum over rows", lambda dy, W: np.broadcast_to(dy.sum(axis=0) @ W.T, (len(dy), len(W))),
                "dx is summed over the rows: every row has a dx of its own.",
                "A row of x reaches only its own row of y: dy @ W.T."),
        Mistake("elementwise", lambda dy, W: dy * W.sum(axis=1), "dy and W are multiplied entry by entry: dx needs "
                "the product of matrices.", "Write dy @ W.T."),
    ),
)  # fmt: skip
