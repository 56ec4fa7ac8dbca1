"""Adam.

Adam keeps two running averages for every parameter: m of the gradient and v of its square. The step is the mean divided
by the root of the mean square: each parameter moves by about one learning rate or less, whatever the size of its
gradient.

    m ← β₁ m + (1 − β₁) g                m̂ = m / (1 − β₁ᵗ)
    v ← β₂ v + (1 − β₂) g²               v̂ = v / (1 − β₂ᵗ)
    θ ← θ − η m̂ / (√v̂ + ε)

m and v begin at 0 and are too small at first. m̂ and v̂ correct this bias: t counts the steps, from 1. Return the new
theta, m and v; m and v without the correction, which is made anew in each step.

In the first step, m̂ = g and v̂ = g², so every entry of θ moves by η (up to ε) against the sign of its gradient.

Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def adam(theta, m, v, grad, t, rate, beta_1, beta_2, epsilon):
    """Return the new theta, m and v after step t, which is 1 for the first step."""
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    return theta - rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def cases(rng):
    """Yield parameters, averages, gradients and settings."""
    for shape, step, about in (((4,), 3, ""), ((3, 2), 1, "in the first step"), ((4,), 5000, "after 5000 steps")):
        theta, m, grad = (rng.normal(size=shape) for _ in range(3))
        yield Case((theta, m, rng.random(shape), grad, step, 0.2, 0.9, 0.99, 1e-3), about)


def _step(theta, m, v, grad, t, rate, beta_1, beta_2, epsilon, *, how):
    """Return theta with a mistake in its step."""
    _, m, v = adam(theta, m, v, grad, t, rate, beta_1, beta_2, epsilon)
    return {"theta": theta - rate * how(m, v, 1 - beta_1**t, 1 - beta_2**t, epsilon)}


def _stepping(how):
    return lambda *arguments: _step(*arguments, how=how)


EXERCISE = Exercise(
    adam, cases, ("theta", "m", "v"), points=5,
    hints=(
        "Compute m and v, then m̂ and v̂ from them, then theta: in the order of the formulas.",
        "m_hat = m / (1 - beta_1**t) and v_hat = v / (1 - beta_2**t); np.sqrt(v_hat) + epsilon divides.",
    ),
    mistakes=(
        Mistake("no correction", _stepping(lambda m, v, a, b, e: m / (np.sqrt(v) + e)), "The bias correction is "
                "missing: m and v begin at 0 and are too small in the first steps.",
                "Divide by 1 - beta_1**t and 1 - beta_2**t."),
        Mistake("one correction", _stepping(lambda m, v, a, b, e: m / a / (np.sqrt(v) + e)), "The bias correction "
                "of v is missing.", "v_hat = v / (1 - beta_2**t)"),
        Mistake("one correction", _stepping(lambda m, v, a, b, e: m / (np.sqrt(v / b) + e)), "The bias correction "
                "of m is missing.", "m_hat = m / (1 - beta_1**t)"),
        Mistake("correction of one step",
                lambda *a: _step(*a, how=lambda m, v, _a, _b, e: m / (1 - a[6]) / (np.sqrt(v / (1 - a[7])) + e)),
                "The bias correction does not depend on the step: the power t is missing.",
                "1 - beta_1**t, not 1 - beta_1."),
        Mistake("epsilon inside", _stepping(lambda m, v, a, b, e: m / a / np.sqrt(v / b + e)), "ε is inside the "
                "square root: Adam adds it to the root.", "np.sqrt(v_hat) + epsilon"),
        Mistake("no root", _stepping(lambda m, v, a, b, e: m / a / (v / b + e)), "The square root is missing: the "
                "step is divided by v̂, not by √v̂.", "np.sqrt(v_hat)"),
        Mistake("ascent", _stepping(lambda m, v, a, b, e: -m / a / (np.sqrt(v / b) + e)), "The sign of the step is "
                "wrong: the loss rises.", "theta - rate * m_hat / (np.sqrt(v_hat) + epsilon)"),
        Mistake("no epsilon", _stepping(lambda m, v, a, b, e: m / a / np.sqrt(v / b)), "ε is missing.",
                "np.sqrt(v_hat) + epsilon"),
        Mistake("step", lambda *a: {"theta": _step(*a, how=lambda m, v, *_: m / (1 - a[6] ** (a[4] + 1))
                / (np.sqrt(v / (1 - a[7] ** (a[4] + 1))) + a[8]))["theta"]}, "t is one too large: it counts from 1 "
                "already.", "1 - beta_1**t, not t + 1."),
        Mistake("averages", lambda *a: {"m": (1 - a[6]) * a[1] + a[6] * a[3]}, "β₁ and 1 − β₁ are swapped in m: it "
                "keeps the share β₁ of its past.", "m = beta_1 * m + (1 - beta_1) * grad"),
        Mistake("v of m", lambda *a: {"v": a[7] * a[2] + (1 - a[7]) * a[3]}, "v is an average of g, not of its "
                "square.", "v = beta_2 * v + (1 - beta_2) * grad**2"),
        Mistake("corrected average", lambda *a: {"m": adam(*a)[1] / (1 - a[6] ** a[4])}, "The corrected m̂ is "
                "returned as m: in the next step it would be corrected again.",
                "Return m and v as they are before the correction."),
    ),
)  # fmt: skip
