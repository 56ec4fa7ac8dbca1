"""Find the mistake: a ReLU that saves memory.

Forward: z = x W, a = max(z, 0), y = z + a, a shortcut around the ReLU. Backward gets dy and returns dx. To save
memory, someone computed the ReLU in place. The results look plausible, and no error is raised.

The file returns y and dx. Find the mistake and fix it. Print an array before and after the ReLU.

    dz = dy + dy ⊙ 1[z > 0]        dx = dz Wᵀ

Source: for the shortcut, He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2016).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_in_place(x, W, dy):
    """Return y and dx."""
    z = x @ W
    a = np.maximum(z, 0)
    y = z + a
    dz = dy + dy * (z > 0)
    return y, dz @ W.T


def planted(x, W, dy):
    """Return y and dx."""
    z = x @ W
    a = np.maximum(z, 0, out=z)
    y = z + a
    dz = dy + dy * (z > 0)
    return y, dz @ W.T


def cases(rng):
    """Yield data."""
    for rows, about in ((5, ""), (1, "with a batch of one row")):
        yield Case(tuple(rng.normal(size=shape) for shape in ((rows, 4), (4, 3), (rows, 3))), about)


EXERCISE = Exercise(
    find_in_place, cases, ("y", "dx"), points=4, planted=planted,
    gradients=lambda x, W, dy: {"dx": (lambda x: float(np.sum(dy * find_in_place(x, W, dy)[0])), x)},
    hints=(
        "y should be negative where z is: y = z + a, and a is 0 there. Is z still what it was?",
        "out=z writes the ReLU into z: leave it out.",
    ),
    mistakes=(
        Mistake("planted", planted, "y is never negative, but z + max(z, 0) is, where z is negative.",
                "The ReLU is computed in place: out=z overwrites the z that the next line needs."),
        Mistake("shortcut lost", lambda x, W, dy: {"dx": dy * (x @ W > 0) @ W.T}, "dx lacks the shortcut: z "
                "reaches y directly, too.", "dz = dy + dy * (z > 0)"),
    ),
)  # fmt: skip
