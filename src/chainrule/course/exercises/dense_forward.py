"""A dense layer: forward.

A dense layer with weights W and biases b turns a batch x into

    y = x W + b        y_ij = Σ_k x_ik W_kj + b_j

Rows are samples: x is (batch, inputs), W is (inputs, outputs), b is (outputs,) and y is (batch, outputs). One product
of matrices computes all rows at once; NumPy adds b to every row by broadcasting.

With x = [[1, 2]], W = [[3, 4], [5, 6]] and b = [10, 20], y = [[1·3 + 2·5 + 10, 1·4 + 2·6 + 20]] = [[23, 36]].

Source: Nielsen, "Neural Networks and Deep Learning" (2015), chapter 1, with rows for columns.
"""

from chainrule.course.exercise import Case, Exercise, Mistake


def dense_forward(x, W, b):
    """Return y = x W + b: x is (batch, inputs), W is (inputs, outputs), b is (outputs,)."""
    return x @ W + b


def cases(rng):
    """Yield batches."""
    for rows, inputs, outputs, about in (
        (5, 3, 3, ""),
        (5, 4, 2, "with 4 inputs and 2 outputs"),
        (1, 3, 3, "with a batch of one row"),
    ):
        yield Case(
            (rng.normal(size=(rows, inputs)), rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)), about
        )


EXERCISE = Exercise(
    dense_forward, cases, ("y",), points=3,
    hints=(
        "y has a row for every row of x and a column for every unit: x @ W has this shape.",
        "The whole function is one line: a product, x @ W, and a sum, + b.",
    ),
    mistakes=(
        Mistake("transposed", lambda x, W, b: x @ W.T + b, "The product is with the transposed W: y = x W, not x "
                "Wᵀ.", "W is (inputs, outputs): column j has the weights of unit j. Write x @ W."),
        Mistake("no bias", lambda x, W, b: x @ W, "The bias is missing: y is x W, without b.",
                "Add b to the product: NumPy adds it to every row."),
        Mistake("sign of bias", lambda x, W, b: x @ W - b, "The bias is subtracted, but y = x W + b.", "Write + b."),
        Mistake("elementwise", lambda x, W, b: x * W[0] + b, "x and W are multiplied entry by entry: y needs the "
                "product of matrices.", "In NumPy, * multiplies entries and @ multiplies matrices."),
        Mistake("mean", lambda x, W, b: x @ W / x.shape[1] + b, "The sum over the inputs is a mean: in y = x W + b, "
                "nothing is divided.", "Remove the division: y_ij is a plain sum over k."),
    ),
)  # fmt: skip
