"""Batch normalization, forward and backward.

BatchNorm gives every feature the mean 0 and the variance 1 over the batch, and then a scale γ and a shift β that are
learned. With μ and v = mean of (x − μ)², both over the n rows, and s = √(v + ε):

    x̂ = (x − μ) / s                      y = γ x̂ + β
    dγ = Σ_i dy_i x̂_i                    dβ = Σ_i dy_i
    dx = (γ / s) (dy − mean(dy) − x̂ · mean(dy ⊙ x̂))

The means are over the rows, feature by feature. Two terms are subtracted in dx because μ and v depend on x as well: if
all x of a feature rise by the same amount, y stays, so the entries of dx must have the sum 0.

x and dy are (n, features); gamma and beta are (features,). Return y, dx, dgamma and dbeta.

Source: Ioffe and Szegedy, "Batch normalization" (2015), section 3, with the terms collected.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def batch_norm(x, gamma, beta, dy, epsilon):
    """Return y, dx, dgamma and dbeta for a batch x and dy = dL/dy."""
    centered = x - x.mean(axis=0)
    s = np.sqrt((centered**2).mean(axis=0) + epsilon)
    normal = centered / s
    dgamma, dbeta = (dy * normal).sum(axis=0), dy.sum(axis=0)
    dx = gamma / s * (dy - dy.mean(axis=0) - normal * (dy * normal).mean(axis=0))
    return gamma * normal + beta, dx, dgamma, dbeta


def cases(rng):
    """Yield batches."""
    for rows, features, about in ((6, 3, ""), (2, 3, "with a batch of two rows"), (9, 1, "with one feature")):
        x = 3 + 2 * rng.normal(size=(rows, features))
        gamma, beta = rng.normal(size=(2, features))
        yield Case((x, gamma, beta, rng.normal(size=(rows, features)), 1e-2), about)


def _dx(formula):
    def answer(x, gamma, beta, dy, epsilon):
        s = np.sqrt(x.var(axis=0) + epsilon)
        normal, scale = (x - x.mean(axis=0)) / s, gamma / s
        return {"dx": formula(dy, normal, scale)}

    return answer


def _y(formula):
    return lambda x, gamma, beta, dy, epsilon: {"y": gamma * formula(x, epsilon) + beta}


def _gradients(x, gamma, beta, dy, epsilon):
    return {
        "dx": (lambda x: float(np.sum(dy * batch_norm(x, gamma, beta, dy, epsilon)[0])), x),
        "dgamma": (lambda gamma: float(np.sum(dy * batch_norm(x, gamma, beta, dy, epsilon)[0])), gamma),
        "dbeta": (lambda beta: float(np.sum(dy * batch_norm(x, gamma, beta, dy, epsilon)[0])), beta),
    }


EXERCISE = Exercise(
    batch_norm, cases, ("y", "dx", "dgamma", "dbeta"), points=7, gradients=_gradients,
    hints=(
        "All means are over axis 0, one for each feature. Write x̂ and s first; everything else needs them.",
        "dx = gamma / s * (dy - dy.mean(axis=0) - normal * (dy * normal).mean(axis=0))",
    ),
    mistakes=(
        Mistake("wrong axis",
                _y(lambda x, e: (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + e)),
                "The means are over the wrong axis: over the features of a row, as in layer normalization.",
                "Over the rows: axis=0."),
        Mistake("everything", _y(lambda x, e: (x - x.mean()) / np.sqrt(x.var() + e)), "One mean and one variance "
                "are taken of the whole batch: each feature has its own.", "axis=0"),
        Mistake("unbiased", _y(lambda x, e: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + e)),
                "The variance is divided by n − 1: here it is the mean of the squares, divided by n.",
                "x.var(axis=0), without ddof=1."),
        Mistake("no root", _y(lambda x, e: (x - x.mean(axis=0)) / (x.var(axis=0) + e)), "The square root is "
                "missing: x − μ is divided by the variance.", "np.sqrt(v + epsilon)"),
        Mistake("epsilon outside", _y(lambda x, e: (x - x.mean(axis=0)) / (x.std(axis=0) + e)), "ε is added outside "
                "the square root: batch normalization adds it to the variance, inside.", "np.sqrt(v + epsilon)"),
        Mistake("no epsilon", _y(lambda x, e: (x - x.mean(axis=0)) / x.std(axis=0)), "ε is missing.",
                "np.sqrt(v + epsilon)"),
        Mistake("not normalized", _y(lambda x, e: x), "γ multiplies x: y = γ x̂ + β.", "gamma * normal + beta"),
        Mistake("no scale", lambda *a: {"y": batch_norm(a[0], np.ones_like(a[1]), 0 * a[2], *a[3:])[0]}, "y is x̂: "
                "the scale γ and the shift β are missing.", "gamma * normal + beta"),
        Mistake("constants", _dx(lambda dy, normal, scale: scale * dy), "dx treats the mean and the variance as "
                "constants: both depend on x.", "Subtract dy.mean(axis=0) and normal * (dy * normal).mean(axis=0)."),
        Mistake("constant variance", _dx(lambda dy, normal, scale: scale * (dy - dy.mean(axis=0))), "dx treats the "
                "variance as a constant: its term is missing.", "Subtract normal * (dy * normal).mean(axis=0)."),
        Mistake("no gamma", lambda *a: {"dx": batch_norm(a[0], np.ones_like(a[1]), *a[2:])[1]}, "γ is missing in "
                "dx.", "dx begins with gamma / s."),
        Mistake("sums",
                _dx(lambda dy, normal, scale: scale * (dy - dy.sum(axis=0) - normal * (dy * normal).sum(axis=0))),
                "The terms of dx are sums where they should be means.", "mean(axis=0)"),
        Mistake("dgamma of x", lambda x, gamma, beta, dy, epsilon: {"dgamma": (dy * x).sum(axis=0)},
                "dgamma is made with x: γ multiplies x̂.", "(dy * normal).sum(axis=0)"),
    ),
)  # fmt: skip
