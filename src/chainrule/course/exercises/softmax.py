"""Softmax, without overflow.

Softmax turns a row of numbers z, the logits, into probabilities p: all positive, with the sum 1.

    p_j = e^{z_j} / Σ_k e^{z_k}

z is (batch, classes), and so is p; each row has its own sum. e¹⁰⁰⁰ is too large for a float, and infinity divided by
infinity is NaN. But p does not change if the same number is subtracted from all logits of a row, since e^{z−m} =
e^z / e^m. Subtract the row's maximum: the largest exponential is then e⁰ = 1.

For z = [[0, 0]], p = [[0.5, 0.5]]; for z = [[1000, 1000]] as well.

Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990); Blanchard, Higham
and Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def softmax(z):
    """Return the probabilities of logits z, (batch, classes)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cases(rng):
    """Yield logits."""
    yield Case((rng.normal(size=(4, 4)),))
    yield Case((rng.normal(size=(1, 3)),), "with a batch of one row")
    yield Case((1000 + rng.normal(size=(5, 3)),), "with large logits, about 1000")
    yield Case((rng.normal(size=(5, 3)) * 30 + 1000 * np.arange(5)[:, None],), "with rows of very different sizes")


def _shifted(z):
    """Return the exponentials without overflow."""
    return np.exp(z - z.max(axis=1, keepdims=True))


def _divided(kind, total, words, stronger):
    """Return a mistake in the sum, with and without the row's maximum subtracted."""
    return [Mistake(kind, lambda z, exp=exp: exp(z) / total(exp(z)), words, stronger) for exp in (np.exp, _shifted)]


EXERCISE = Exercise(
    softmax, cases, ("p",), points=4,
    hints=(
        "Every row of p has the sum 1: divide by the row's own sum.",
        "e = np.exp(z - z.max(axis=1, keepdims=True)), then e / e.sum(axis=1, keepdims=True).",
    ),
    mistakes=(
        Mistake("no maximum", lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), "The row's maximum is "
                "not subtracted: e^z overflows for large logits, and infinity / infinity is NaN.",
                "Subtract the row's maximum first: z - z.max(axis=1, keepdims=True)."),
        Mistake("maximum of the batch",
                lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(axis=1, keepdims=True), "The maximum is "
                "that of the whole batch: in a row of small logits every exponential becomes 0, and 0 / 0 is NaN.",
                "Take each row's own maximum: z.max(axis=1, keepdims=True)."),
        Mistake("keepdims of the maximum",
                lambda z: np.exp(z - z.max(axis=1)) / np.exp(z - z.max(axis=1)).sum(axis=1, keepdims=True),
                "The rows' maxima are subtracted along the wrong axis: keepdims is missing.",
                "max(axis=1, keepdims=True) is a column, (batch, 1)."),
        *_divided("wrong axis", lambda e: e.sum(axis=0), "The sum is over the wrong axis: over the rows, not over the "
                  "classes of one row.", "Use axis=1, keepdims=True: each row of p has the sum 1."),
        *_divided("keepdims", lambda e: e.sum(axis=1), "Each entry is divided by the sum of another row: keepdims is "
                  "missing.", "sum(axis=1, keepdims=True) is a column, (batch, 1): it divides row by row."),
        *_divided("sum of everything", lambda e: e.sum(), "The sum is over the whole batch: each row of p should have "
                  "the sum 1.", "Sum within each row: axis=1, keepdims=True."),
        Mistake("sigmoid", lambda z: 1 / (1 + np.exp(-z)), "This is the sigmoid of each logit: the rows of p do not "
                "have the sum 1.", "Divide e^z by the row's sum of e^z."),
        Mistake("not normalized", lambda z: np.exp(z - z.max(axis=1, keepdims=True)), "The division by the sum is "
                "missing: the rows of p do not have the sum 1.", "Divide by e.sum(axis=1, keepdims=True)."),
        Mistake("sign", lambda z: softmax(-z), "The sign is flipped: larger logits get smaller probabilities.",
                "e^z, not e^{−z}."),
        Mistake("no exponential", lambda z: z / z.sum(axis=1, keepdims=True), "The exponential is missing: p would "
                "be negative for negative logits.", "p_j = e^{z_j} / Σ_k e^{z_k}: np.exp first."),
    ),
)  # fmt: skip
