"""Dropout.

In training, dropout sets each entry of x to 0 with the probability 1 − keep, and divides the others by keep, so that
the expected value stays the same: keep · (x / keep) = x. In prediction it does nothing.

    y = x ⊙ factor        factor = mask / keep in training, 1 in prediction

Draw the mask as `rng.random(x.shape) < keep`. Return y and factor, both with the shape of x: backward needs the same
factor, dx = dy ⊙ factor. Without the scale 1/keep, the next layer gets smaller inputs in training than in prediction.

For x = [[1, 2]], keep = 0.5 and the mask [[1, 0]], factor = [[2, 0]] and y = [[2, 0]].

Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks
from overfitting" (2014), JMLR 15. They scale the weights in prediction instead.
"""

import numpy as np

from chainrule.course.child import Seed
from chainrule.course.exercise import Case, Exercise, Mistake


def dropout(x, keep, rng, training):
    """Return y and factor: entries are kept with the probability keep, if training is true."""
    if not training:
        return x.copy(), np.ones_like(x)
    mask = rng.random(x.shape) < keep
    factor = mask.astype(x.dtype) / keep
    return x * factor, factor


def cases(rng):
    """Yield batches, in training and in prediction."""
    for rows, keep, training, about in (
        (5, 0.8, True, ""),
        (5, 0.8, False, "in prediction"),
        (1, 0.5, True, "with a batch of one row"),
        (4, 1.0, True, "with keep = 1"),
    ):
        yield Case((rng.normal(size=(rows, 6)), keep, Seed(int(rng.integers(2**31))), training), about)


def _drawn(draw):
    """Return a dropout with another draw."""

    def answer(x, keep, rng, training):
        factor = draw(x, keep, rng).astype(x.dtype) / keep if training else np.ones_like(x)
        return x * factor, factor

    return answer


def _masked(x, keep, rng, training, *, scale=1.0, flipped=False):
    """Return y and factor with a mistake, in training only."""
    if not training:
        raise ValueError
    mask = (rng.random(x.shape) < keep) ^ flipped
    return x * mask * scale, mask * scale


EXERCISE = Exercise(
    dropout, cases, ("y", "factor"), points=4,
    others=(
        _drawn(lambda x, keep, rng: rng.random(x.shape) > 1 - keep),
        _drawn(lambda x, keep, rng: rng.binomial(1, keep, x.shape)),
    ),
    hints=(
        "Draw one number for every entry of x, rng.random(x.shape), and compare it with keep.",
        "In training, factor = (rng.random(x.shape) < keep).astype(x.dtype) / keep; in prediction, np.ones_like(x).",
    ),
    mistakes=(
        Mistake("no scale", _masked, "This is dropout without its scale: what is kept is not divided by keep.",
                "Divide the mask by keep: the mean of y over many masks is then x."),
        Mistake("scale of backward", lambda x, keep, rng, training: {"factor": _masked(x, keep, rng, training)[1]},
                "factor has no scale: backward needs 1 / keep as well.", "Return mask / keep as factor."),
        Mistake("multiplied", lambda x, keep, rng, training: {"y": _masked(x, keep, rng, training, scale=keep)[0]},
                "What is kept is multiplied by keep: divide by it.", "keep · (x / keep) = x."),
        Mistake("wrong side",
                lambda x, keep, rng, training: {"y": _masked(x, keep, rng, training, flipped=True, scale=1 / keep)[0]},
                "The wrong entries are dropped: keep is the probability of being kept.", "rng.random(x.shape) < keep"),
        Mistake("wrong side",
                lambda *a: {"y": _masked(*a, flipped=True, scale=1 / max(1 - a[1], 1e-9))[0]},
                "keep is taken for the probability of being dropped.",
                "rng.random(x.shape) < keep, and divide by keep."),
        Mistake("wrong side",
                lambda x, keep, rng, training: {"factor": (rng.random(x.shape) < 1 - keep) / keep},
                "Entries are kept with the probability 1 − keep: it should be keep.", "rng.random(x.shape) < keep"),
        Mistake("scale", lambda *a: {"y": _masked(*a, scale=1 / max(1 - a[1], 1e-9))[0]},
                "What is kept is divided by 1 − keep: divide by keep.", "keep · (x / keep) = x."),
        Mistake("one mask", lambda x, keep, rng, training: {"y": x * ((rng.random(x.shape[1]) < keep) / keep)},
                "All rows share one mask: draw a number for every entry.",
                "rng.random(x.shape), with the whole shape."),
        Mistake("in prediction", lambda x, keep, rng, training: {"y": x * ((rng.random(x.shape) < keep) / keep)},
                "It also drops entries in prediction, where training is false.",
                "if not training: return x.copy(), np.ones_like(x)"),
        Mistake("in prediction", lambda x, keep, rng, training: {"y": x * keep}, "It scales x by keep in "
                "prediction: the scale 1/keep in training has done that already.", "Return x as it is in prediction."),
    ),
)  # fmt: skip
