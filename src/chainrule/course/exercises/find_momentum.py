"""Find the mistake: momentum without memory.

This momentum adds μ times the last step to the new one, and yet it is not even twice as fast as plain gradient descent.
The file takes the gradients of several steps, (steps, parameters), one after the other, and returns θ.

Find the mistake and fix it. Compute three steps by hand with θ = 0, all gradients 1, η = 1 and μ = 0.5: the steps
should be −1, −1.5 and −1.75.

Source: as in exercise 10.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_momentum(theta, gradients, rate, mu):
    """Return theta after one step for each row of gradients."""
    last = np.zeros_like(theta)
    for grad in gradients:
        last = mu * last - rate * grad
        theta = theta + last
    return theta


def planted(theta, gradients, rate, mu):
    """Return theta after one step for each row of gradients."""
    last = np.zeros_like(theta)
    for grad in gradients:
        step = mu * last - rate * grad
        theta = theta + step
        last = -rate * grad
    return theta


def cases(rng):
    """Yield gradients."""
    for steps, about in ((5, ""), (1, "with one step"), (40, "after 40 steps")):
        yield Case((rng.normal(size=4), rng.normal(size=(steps, 4)), 0.2, 0.9), about)


EXERCISE = Exercise(
    find_momentum, cases, ("theta",), points=3, planted=planted,
    hints=(
        "The first two steps are right. What does the third one know of the first?",
        "The velocity is the whole last step: last = step.",
    ),
    mistakes=(
        Mistake("planted", planted, "The first two steps are right; from the third on, theta moves too little.",
                "last keeps the gradient alone, not a velocity: write last = step."),
        Mistake("sum of gradients", lambda theta, gradients, rate, mu: theta - rate * gradients.sum(axis=0),
                "This is plain gradient descent: momentum is gone.", "last = mu * last - rate * grad"),
    ),
)  # fmt: skip
