"""Weight decay: an L2 penalty.

Large weights fit noise. An L2 penalty adds their squares to the loss, and the strength λ says how much they cost:

    L ← L + ½ λ Σ W²        dW ← dW + λ W

Each step of gradient descent then also multiplies W by 1 − η λ: the weights decay. Biases are exempt: they only shift
outputs, and hardly fit noise. The penalty is not divided by the batch size.

Take the loss L of the data, W, b, and their gradients dW and db; return the penalized L, dW and db.

With W = [[2]], λ = 0.1, L = 1 and dW = [[0.5]], L becomes 1 + ½·0.1·4 = 1.2 and dW becomes [[0.7]].

Source: Krogh and Hertz, "A simple weight decay can improve generalization" (1991).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def weight_decay(L, W, b, dW, db, strength):
    """Return L, dW and db with an L2 penalty on W."""
    return L + 0.5 * strength * np.sum(W**2), dW + strength * W, db


def cases(rng):
    """Yield losses, parameters and gradients."""
    for inputs, outputs, strength, about in (
        (4, 3, 0.3, ""),
        (1, 1, 0.1, "with one weight"),
        (3, 2, 0.0, "with the strength 0"),
    ):
        W, dW = rng.normal(size=(2, inputs, outputs))
        b, db = rng.normal(size=(2, outputs))
        yield Case((1.5, W, b, dW, db, strength), about)


def _gradients(L, W, b, dW, db, strength):
    def loss(W):  # of data with the constant gradient dW
        return L + float(np.sum(dW * W)) + 0.5 * strength * float(np.sum(W**2))

    return {"dW": (loss, W)}


EXERCISE = Exercise(
    weight_decay, cases, ("L", "dW", "db"), points=4, gradients=_gradients,
    hints=(
        "The derivative of ½ λ W² is λ W. Biases stay as they are.",
        "return L + 0.5 * strength * np.sum(W**2), dW + strength * W, db",
    ),
    mistakes=(
        Mistake("biases", lambda L, W, b, dW, db, s: {"db": db + s * b}, "The biases are penalized, too: they are "
                "exempt.", "Return db as it is."),
        Mistake("biases", lambda L, W, b, dW, db, s: {"L": L + 0.5 * s * (np.sum(W**2) + np.sum(b**2))},
                "The biases are in the penalty, too: they are exempt.", "Only W**2."),
        Mistake("gradient missing", lambda L, W, b, dW, db, s: {"dW": dW}, "The penalty is missing in dW: L has "
                "it, but its gradient does not.", "dW + strength * W"),
        Mistake("loss missing", lambda L, W, b, dW, db, s: {"L": L}, "The penalty is missing in L: only its "
                "gradient is there.", "0.5 * strength * np.sum(W**2)"),
        Mistake("half", lambda L, W, b, dW, db, s: {"dW": dW + 2 * s * W}, "dW has a factor 2 too many: the ½ of "
                "the penalty cancels it.", "dW + strength * W"),
        Mistake("half", lambda L, W, b, dW, db, s: {"L": L + s * np.sum(W**2)}, "The factor ½ of the penalty is "
                "missing in L.", "0.5 * strength * np.sum(W**2)"),
        Mistake("sign", lambda L, W, b, dW, db, s: {"dW": dW - s * W}, "The sign is wrong: the weights would grow.",
                "dW + strength * W"),
        Mistake("mean", lambda L, W, b, dW, db, s: {"L": L + 0.5 * s * np.mean(W**2)}, "The penalty is a mean over "
                "the weights: it is their sum.", "np.sum(W**2)"),
    ),
)  # fmt: skip
