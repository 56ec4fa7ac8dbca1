"""Activations and their derivatives.

Without a nonlinear function between them, two dense layers are one. Three such functions, with their derivatives:

    σ(x) = 1 / (1 + e⁻ˣ)        σ′(x) = σ(x) (1 − σ(x))
    tanh(x)                     tanh′(x) = 1 − tanh²(x)
    relu(x) = max(x, 0)         relu′(x) = 1 where x > 0, else 0

Return y and the slope dy/dx, both with the shape of x, for the name "sigmoid", "tanh" or "relu". Backward is then
dx = dy ⊙ slope, entry by entry. With y computed, the first two slopes are y (1 − y) and 1 − y²: do not apply σ or
tanh to y again. A stable σ has no e⁻ˣ that overflows; (1 + tanh(x/2)) / 2 is one way.

At x = 0: σ = 0.5 with slope 0.25, and tanh = 0 with slope 1.

Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def activation(name, x):
    """Return y and dy/dx for the name "sigmoid", "tanh" or "relu"."""
    if name == "sigmoid":
        y = 0.5 * (1 + np.tanh(0.5 * x))
        return y, y * (1 - y)
    if name == "tanh":
        y = np.tanh(x)
        return y, 1 - y**2
    return np.maximum(x, 0), (x > 0).astype(x.dtype)


def cases(rng):
    """Yield names and batches."""
    for name in ("sigmoid", "tanh", "relu"):
        yield Case((name, rng.normal(size=(5, 4))), f'for "{name}"' if name != "sigmoid" else "")
    for name in ("sigmoid", "tanh", "relu"):
        yield Case((name, np.array([[-1000.0, 0.5, 1000.0]])), f'for "{name}" and large x')


def _only(name, function):
    """Return a mistake's function for one name; it has no answer for the others."""

    def answer(given, x):
        if given != name:
            raise ValueError
        return function(x)

    return answer


def _sigmoid(x):
    return activation("sigmoid", x)[0]


EXERCISE = Exercise(
    activation, cases, ("y", "slope"), points=4,
    gradients=lambda name, x: {"slope": (lambda x: float(np.sum(activation(name, x)[0])), x)},
    hints=(
        "Compute y first, and write the slope with y: y (1 − y) for σ, 1 − y² for tanh.",
        'For "relu": np.maximum(x, 0), and (x > 0).astype(x.dtype).',
    ),
    mistakes=(
        Mistake("activated twice",
                _only("sigmoid", lambda x: {"slope": _sigmoid(_sigmoid(x)) * (1 - _sigmoid(_sigmoid(x)))}),
                "The slope is σ′ of an activated value: σ is applied to y, which is already σ(x).",
                "σ′(x) = y (1 − y) with y = σ(x): no further σ."),
        Mistake("activated twice", _only("tanh", lambda x: {"slope": 1 - np.tanh(np.tanh(x)) ** 2}), "The slope is "
                "tanh′ of an activated value: tanh is applied to y, which is already tanh(x).",
                "tanh′(x) = 1 − y² with y = tanh(x)."),
        Mistake("formula of y", _only("sigmoid", lambda x: {"slope": x * (1 - x)}), "The slope is x (1 − x): the "
                "formula y (1 − y) wants y = σ(x).", "Compute y = σ(x) first, then y * (1 - y)."),
        Mistake("formula of y", _only("tanh", lambda x: {"slope": 1 - x**2}), "The slope is 1 − x²: the formula 1 "
                "− y² wants y = tanh(x).", "Compute y = np.tanh(x) first."),
        Mistake("square", _only("tanh", lambda x: {"slope": 1 - np.tanh(x)}), "The square is missing: tanh′(x) = 1 "
                "− y².", "Write 1 - y**2."),
        Mistake("sign in the exponent", _only("sigmoid", lambda x: {"y": _sigmoid(-x)}), "The sign in the exponent "
                "is wrong: this is σ(−x), which falls.", "σ(x) = 1 / (1 + e⁻ˣ): np.exp(-x)."),
        Mistake("slope missing", _only("sigmoid", lambda x: {"slope": _sigmoid(x)}), "The slope is y itself: the "
                "derivative of σ is y (1 − y).", "Multiply by (1 - y)."),
        Mistake("slope of relu", _only("relu", lambda x: {"slope": np.maximum(x, 0)}), "The slope of relu is relu "
                "itself: it should be 1 where x > 0, and 0 elsewhere.", "(x > 0).astype(x.dtype)"),
        Mistake("slope of relu", _only("relu", lambda x: {"slope": np.ones_like(x)}), "The slope of relu is 1 "
                "everywhere: where x < 0 it is 0.", "(x > 0).astype(x.dtype)"),
        Mistake("absolute value", _only("relu", lambda x: {"y": np.abs(x)}), "This is the absolute value |x|: relu "
                "is 0 where x < 0.", "np.maximum(x, 0)"),
    ),
)  # fmt: skip
