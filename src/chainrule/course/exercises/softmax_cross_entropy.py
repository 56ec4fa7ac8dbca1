"""Softmax with cross-entropy: the loss and its gradient.

The cross-entropy of one row is −log of the probability that the network gives to the right class t. L is the mean over
the batch:

    L = (1/n) Σ_i [ log Σ_k e^{z_ik} − z_i,t_i ]

Softmax and logarithm are one formula here: no probability is rounded to 0 before its logarithm is taken. Subtract the
row's maximum inside the log-sum-exp, and add it back outside. The gradient is short:

    dz = (softmax(z) − onehot(t)) / n

z is (n, classes); t has n integers, the classes. Return L, one number, and dz with the shape of z. `z[np.arange(n), t]`
takes one entry of each row.

For z = [[0, 0]] and t = [0], L = log 2 ≈ 0.693 and dz = [[−0.5, 0.5]].

Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4; Goodfellow, Bengio and Courville,
"Deep Learning" (2016), section 6.2.2.3.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake
from chainrule.course.exercises.softmax import softmax


def softmax_cross_entropy(z, t):
    """Return L, the mean over the rows, and dz = dL/dz, for logits z, (n, classes), and classes t, (n,)."""
    rows = np.arange(len(z))
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    dz = np.exp(log_p)
    dz[rows, t] -= 1
    return -log_p[rows, t].mean(), dz / len(z)


def cases(rng):
    """Yield logits and classes."""
    for rows, classes, scale, about in (
        (5, 3, 1, ""),
        (1, 4, 1, "with a batch of one row"),
        (6, 3, 1000, "with large logits, about 1000"),
    ):
        yield Case((scale * rng.normal(size=(rows, classes)), rng.integers(classes, size=rows)), about)


def _both(z, t):
    """Return L, dz, p and the one-hot targets."""
    return *softmax_cross_entropy(z, t), softmax(z), np.eye(z.shape[1])[t]


def _loss(p, t):
    """Return the mean of −log p at the classes t."""
    return -np.log(p[np.arange(len(p)), t]).mean()


def _overflowing(z, t):
    """Return L and dz without the row's maximum subtracted."""
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return _loss(p, t), (p - np.eye(z.shape[1])[t]) / len(z)


EXERCISE = Exercise(
    softmax_cross_entropy, cases, ("L", "dz"), points=6,
    gradients=lambda z, t: {"dz": (lambda z: softmax_cross_entropy(z, t)[0], z)},
    hints=(
        "Compute log p = z − log Σ e^z for each row, with the row's maximum subtracted first.",
        "L = -log_p[np.arange(n), t].mean(); dz = np.exp(log_p), minus 1 at [np.arange(n), t], divided by n.",
    ),
    mistakes=(
        Mistake("mean over entries", lambda z, t: {"L": _both(z, t)[0] / z.shape[1]}, "L is divided by the number "
                "of classes, too: it is a mean over all entries, not over the rows.",
                "One number per row, -log_p[np.arange(n), t], and then the mean of these n numbers."),
        Mistake("mean over entries", lambda z, t: {"dz": _both(z, t)[1] / z.shape[1]}, "dz is divided by the "
                "number of classes, too: L is a mean over the rows, not over all entries.",
                "Divide by len(z), not by z.size."),
        Mistake("no onehot", lambda z, t: {"dz": _both(z, t)[2] / len(z)}, "The one-hot targets are not "
                "subtracted: dz is softmax(z) / n.", "Subtract 1 at the right class: dz[np.arange(n), t] -= 1."),
        Mistake("right class only", lambda z, t: {"dz": _both(z, t)[1] * _both(z, t)[3]}, "dz is 0 except at "
                "the right class: the others get softmax(z) / n.", "Subtract onehot(t) from all of softmax(z)."),
        Mistake("columns", lambda z, t: {"dz": (_both(z, t)[2] - np.eye(z.shape[1])[t].any(axis=0)) / len(z)},
                "1 is subtracted in every row for the classes of all rows: dz[:, t] takes whole columns.",
                "dz[np.arange(n), t] takes one entry of each row."),
        Mistake("maximum lost", lambda z, t: {"L": _both(z, t)[0] - z.max(axis=1).mean()},
                "The row's maximum is subtracted in the log-sum-exp, but not added again.",
                "Subtract it from z first, and use this z everywhere."),
        Mistake("derivative twice", lambda z, t: {"dz": _both(z, t)[1] * _both(z, t)[2] * (1 - _both(z, t)[2])},
                "dz is multiplied by p (1 − p), too: softmax(z) − onehot(t) already is the derivative with respect "
                "to z.", "Remove the factor p (1 − p): it belongs to a squared error after a sigmoid."),
        Mistake("without log", lambda z, t: {"L": -(_both(z, t)[2] * _both(z, t)[3]).sum(axis=1).mean()},
                "The logarithm is missing: L is the mean of −p, not of −log p.", "Take log p."),
        Mistake("overflow", _overflowing,
                "e^z overflows: the row's maximum is not subtracted.",
                "z = z - z.max(axis=1, keepdims=True) changes neither L nor dz."),
        Mistake("log of zero", lambda z, t: {"L": _loss(softmax(z), t)},
                "The logarithm is taken of a probability that was rounded to 0: L is infinite.",
                "Compute log p directly: z − m − log Σ e^{z−m}."),
        Mistake("epsilon", lambda z, t: {"L": _loss(softmax(z) + 1e-8, t)},
                "A small number is added inside the logarithm: it hides log(0) and changes L.",
                "Compute log p directly: z − m − log Σ e^{z−m}."),
        Mistake("columns", lambda z, t: {"L": -np.log(_both(z, t)[2][:, t]).mean()},
                "L takes the classes of all rows in every row: log_p[:, t] is a matrix.",
                "log_p[np.arange(n), t] takes one entry of each row."),
    ),
)  # fmt: skip
