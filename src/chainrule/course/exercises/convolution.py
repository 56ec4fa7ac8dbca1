"""Convolution.

A convolution applies one small dense layer to every window of an image. x is (batch, height, width, channels), the
kernels W are (kernel height, kernel width, channels, filters), and b is (filters,). Without padding, with stride 1,

    y_n,i,j,f = b_f + Σ_{u,v,c} x_n,i+u,j+v,c W_u,v,c,f

so y is (batch, height − kernel height + 1, width − kernel width + 1, filters). The kernel is not flipped: networks
compute what signal processing calls a cross-correlation.

Two loops over the kernel's places are enough: for each (u, v), a shifted part of x, times W[u, v], is added to all of y
at once. `part @ W[u, v]` multiplies the last axis of the part, the channels.

Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def convolution(x, W, b):
    """Return y for images x, (batch, height, width, channels), kernels W and biases b."""
    rows, columns = x.shape[1] - W.shape[0] + 1, x.shape[2] - W.shape[1] + 1
    y = np.zeros((len(x), rows, columns, W.shape[3]), x.dtype)
    for u in range(W.shape[0]):
        for v in range(W.shape[1]):
            y += x[:, u : u + rows, v : v + columns] @ W[u, v]
    return y + b


def cases(rng):
    """Yield images and kernels."""
    for images, height, width, kernel, channels, about in (
        (3, 6, 6, (3, 3), 3, ""),
        (2, 5, 7, (2, 3), 1, "with a kernel of 2 × 3 and one channel"),
        (1, 4, 4, (1, 1), 2, "with a kernel of 1 × 1"),
        (1, 3, 3, (3, 3), 2, "with a kernel as large as the image"),
    ):
        W = rng.normal(size=(*kernel, channels, 3))
        yield Case((rng.normal(size=(images, height, width, channels)), W, rng.normal(size=3)), about)


def _padded(x, W, b):
    u, v = W.shape[0] // 2, W.shape[1] // 2
    return convolution(np.pad(x, ((0, 0), (u, u), (v, v), (0, 0))), W, b)


EXERCISE = Exercise(
    convolution, cases, ("y",), points=6,
    hints=(
        "y has height − kernel height + 1 rows: count the windows that fit.",
        "For each (u, v): y += x[:, u:u + rows, v:v + columns] @ W[u, v]. Add b once, at the end.",
    ),
    mistakes=(
        Mistake("flipped", lambda x, W, b: convolution(x, W[::-1, ::-1], b), "The kernel is flipped: networks do "
                "not flip it.", "x_{i+u} W_u, with plus."),
        Mistake("transposed", lambda x, W, b: convolution(x, W.transpose(1, 0, 2, 3), b), "Height and width of the "
                "kernel are swapped.", "W[u, v]: u goes with the height, v with the width."),
        Mistake("channels", lambda x, W, b: convolution(x, W.transpose(0, 1, 3, 2), b), "Channels and filters of "
                "the kernel are swapped.", "x_c W_c,f: the sum is over the third axis of W."),
        Mistake("no bias", lambda x, W, b: convolution(x, W, 0 * b), "The bias is missing.",
                "Add b to the last axis of y."),
        Mistake("sign of bias", lambda x, W, b: convolution(x, W, -b), "The bias is subtracted, but it should be "
                "added.", "Write + b."),
        Mistake("bias at every place", lambda x, W, b: convolution(x, W, W.shape[0] * W.shape[1] * b),
                "The bias is added once for every place of the kernel: it is inside the loop.",
                "Add b once, after the loops."),
        Mistake("padded", _padded, "The image is padded: here, windows lie inside the image.", "No np.pad."),
    ),
)  # fmt: skip
