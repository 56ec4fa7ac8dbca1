"""Max pooling, forward and backward.

Pooling makes images smaller. In every block of 2 × 2, each channel keeps its largest entry:

    y_n,i,j,c = max over u, v in {0, 1} of x_n,2i+u,2j+v,c

Backward sends dy to the entry that was the largest, since only this one reaches L; all others have dx = 0. If height or
width is odd, the last row or column is in no block: it is ignored forward and has dx = 0.

x is (batch, height, width, channels), y and dy are (batch, height // 2, width // 2, channels). Return y and dx. No two
entries of a block are equal here.

The four places of the blocks are x[:, 0:2 * rows:2, 0:2 * columns:2] and its three neighbors.

Source: Zhou and Chellappa, "Computation of optical flow using a neural network" (1988).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def max_pooling(x, dy):
    """Return y, the maxima of the blocks of 2 × 2, and dx."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    places = [(slice(None), slice(u, 2 * rows, 2), slice(v, 2 * columns, 2)) for u in (0, 1) for v in (0, 1)]
    y = np.maximum.reduce([x[place] for place in places])
    dx = np.zeros_like(x)
    for place in places:
        dx[place] = np.where(x[place] == y, dy, 0)
    return y, dx


def cases(rng):
    """Yield images."""
    for images, height, width, channels, about in (
        (3, 4, 4, 2, ""),
        (2, 5, 7, 1, "with an odd height and width"),
        (1, 2, 2, 3, "with one block"),
    ):
        x = rng.normal(size=(images, height, width, channels)) - 1
        yield Case((x, rng.normal(size=(images, height // 2, width // 2, channels))), about)


def _everywhere(dy, x):
    """Return dy, repeated for the four entries of its block."""
    dx = np.zeros_like(x)
    big = dy.repeat(2, axis=1).repeat(2, axis=2)
    dx[:, : big.shape[1], : big.shape[2]] = big
    return dx


def _blocks(x):
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    return x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2, -1)


EXERCISE = Exercise(
    max_pooling, cases, ("y", "dx"), points=6,
    gradients=lambda x, dy: {"dx": (lambda x: float(np.sum(dy * max_pooling(x, dy)[0])), x)},
    hints=(
        "Compare each of the four places of the blocks with y: where they are equal, dx is dy.",
        "dx = np.zeros_like(x); for each place: dx[place] = np.where(x[place] == y, dy, 0)",
    ),
    mistakes=(
        Mistake("mean", lambda x, dy: {"y": _blocks(x).mean(axis=(2, 4))}, "This is the mean of each block, not "
                "its maximum.", "np.maximum"),
        Mistake("from zero", lambda x, dy: {"y": np.maximum(_blocks(x).max(axis=(2, 4)), 0)}, "The maxima begin at "
                "0: a block of negative entries has a negative maximum.",
                "Begin with an entry of the block, or with -np.inf."),
        Mistake("everywhere", lambda x, dy: {"dx": _everywhere(dy, x)}, "dx sends dy to all four entries of a "
                "block: only the largest gets it.", "np.where(x[place] == y, dy, 0)"),
        Mistake("shared", lambda x, dy: {"dx": _everywhere(dy, x) / 4}, "dx shares dy among the four entries of a "
                "block, as mean pooling does.", "Only the largest entry gets dy."),
        Mistake("first place", lambda x, dy: {"dx": _corner(dy, x)}, "dx sends dy to the first entry of each "
                "block, not to the largest.", "np.where(x[place] == y, dy, 0)"),
    ),
)  # fmt: skip


def _corner(dy, x):
    """Return dy at the first entry of each block."""
    dx = np.zeros_like(x)
    dx[:, : 2 * dy.shape[1] : 2, : 2 * dy.shape[2] : 2] = dy
    return dx
