"""Your own loss.

Write any loss that you like for outputs y and targets t, both (n, outputs), and its gradient. It must

- be the mean over the rows of one number per row;
- be smallest where y = t;
- be differentiable almost everywhere, with dy = dL/dy.

There is no solution to compare with: finite differences of L decide whether dy is right. Ideas: the absolute
error Σ |y − t| (its derivative is a sign); the Huber loss, a square near 0 and a line farther out; log cosh(y − t),
whose derivative is tanh(y − t); an error that costs twice as much on one side.

For log cosh, log cosh(e) = |e| + log(1 + e^{−2|e|}) − log 2 does not overflow: np.logaddexp(e, -e) - np.log(2).

Source: Huber, "Robust estimation of a location parameter" (1964); Koenker and Bassett, "Regression quantiles" (1978).
"""

import numpy as np

from chainrule.course.exercise import Case, Complaint, Exercise
from chainrule.gradient_check import check_function


def own_loss(y, t):
    """Return L, a mean over the rows, and dy = dL/dy; y and t are (n, outputs)."""
    error = y - t
    value = np.logaddexp(error, -error) - error.dtype.type(np.log(2))
    return value.sum(axis=1).mean(), np.tanh(error) / len(y)


def cases(rng):
    """Yield outputs and targets."""
    for rows, outputs, about in ((5, 3, ""), (1, 2, "with a batch of one row"), (8, 1, "with one output")):
        yield Case((rng.normal(size=(rows, outputs)), rng.normal(size=(rows, outputs))), about)


def judge(loss, case):
    """Yield complaints about a loss; the first one counts."""
    y, t = case.arguments
    value, dy = loss(y, t)
    if np.ndim(value) or not isinstance(value, (int, float, np.ndarray)):
        what = f"L has shape {np.shape(value)}: it should be one number, the mean over the rows."
        yield Complaint("number", what, "Sum within a row, and take the mean over the rows.")
    if np.shape(dy) != y.shape:
        what = f"dy has shape {np.shape(dy)}, but y has shape {y.shape}."
        yield Complaint("shape", what, "dy has an entry for each entry of y.")
    if not (np.isfinite(float(value)) and np.isfinite(dy).all()):
        yield Complaint("not finite", "L or dy is not finite.", "Is there a logarithm of 0 or a division by 0?")
    if loss(y, t)[0] != value:
        what = "L differs when it is called a second time with the same y and t."
        yield Complaint("random", what, "It must depend on y and t alone.")
    least = float(loss(t, t)[0])
    steps = [s * d for d in (np.ones_like(t), y - t) for s in (0.01, -0.01, 0.1, -0.1, 1, -1)]
    if least >= float(value) or min(float(loss(t + step, t)[0]) for step in steps) < least - 1e-12 * abs(least):
        what = "L is not smallest where y = t: elsewhere it is as small or smaller."
        yield Complaint("minimum", what, "Is the sign flipped, or does L not depend on t?")
    if not np.any(dy):
        yield Complaint("zero", "dy is zero everywhere: nothing can be learned from this loss.", "Derive L by y.")
    if not np.isclose(float(loss(np.tile(y, (2, 1)), np.tile(t, (2, 1)))[0]), float(value), rtol=1e-9):
        what = "The batch's mean is missing: the same rows twice give another L."
        yield Complaint("no mean", what, "Take the mean over the rows of one number per row.")
    report = check_function(lambda y: loss(y, t)[0], y, dy)
    if not report.ok:
        what = f"dy is not the derivative of L. {report.verdict}"
        yield Complaint("gradient", what, "Derive one row's number by hand, and divide by the number of rows.")


EXERCISE = Exercise(
    own_loss, cases, ("L", "dy"), points=5, judge=judge,
    hints=(
        "Begin with the number of one row, Σ_j ℓ(y_j − t_j), and its derivative ℓ′.",
        "L = ℓ(error).sum(axis=1).mean() and dy = ℓ′(error) / len(y).",
    ),
)  # fmt: skip
