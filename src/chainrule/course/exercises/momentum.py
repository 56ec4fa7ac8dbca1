"""Momentum.

Plain gradient descent zigzags where the loss is steep in one direction and flat in another. Momentum adds up steps: a
velocity v keeps the share μ of its past, so that steps in one direction grow and steps back and forth cancel.

    v ← μ v − η g
    θ ← θ + v

θ (theta), v and the gradient g are arrays of one shape; η is the learning rate. Return the new theta and the new v, and
leave the arguments as they are.

With θ = 0, v = 0, g = 1, η = 0.1 and μ = 0.9, two steps give v = −0.1, θ = −0.1, and v = −0.19, θ = −0.29.

Source: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Sutskever, Martens, Dahl and
Hinton, "On the importance of initialization and momentum in deep learning" (2013).
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def momentum(theta, v, grad, rate, mu):
    """Return the new theta and the new v after one step."""
    v = mu * v - rate * grad
    return theta + v, v


def cases(rng):
    """Yield parameters, velocities and gradients."""
    for shape, about in (((4,), ""), ((3, 2), "for a matrix of parameters")):
        yield Case((*(rng.normal(size=shape) for _ in range(3)), 0.2, 0.9), about)
    yield Case((np.ones(3), np.zeros(3), np.ones(3), 0.5, 0.0), "in the first step, where v is 0")


EXERCISE = Exercise(
    momentum, cases, ("theta", "v"), points=4,
    hints=(
        "Compute the new v first, and move theta by the new v.",
        "v = mu * v - rate * grad, then return theta + v, v.",
    ),
    mistakes=(
        Mistake("old velocity", lambda theta, v, grad, rate, mu: {"theta": theta + v}, "theta is moved by the old "
                "v: compute the new v first.", "v = mu * v - rate * grad comes before theta + v."),
        Mistake("no velocity", lambda theta, v, grad, rate, mu: {"theta": theta - rate * grad}, "theta moves by "
                "the gradient alone: the velocity is not used.", "theta + v, with the new v."),
        Mistake("sign", lambda theta, v, grad, rate, mu: {"v": mu * v + rate * grad}, "The sign of the gradient is "
                "wrong in v: v ← μ v − η g is the step itself, and is added to θ.", "Subtract rate * grad."),
        Mistake("other convention", lambda theta, v, grad, rate, mu: {"v": mu * v + grad}, "This v has no η: some "
                "libraries write v ← μ v + g and θ ← θ − η v. Here v is the step itself.",
                "v = mu * v - rate * grad, then theta + v."),
        Mistake("sign of step", lambda theta, v, grad, rate, mu: {"theta": theta - (mu * v - rate * grad)},
                "theta moves against v: v already has the minus sign.", "theta + v"),
        Mistake("no rate", lambda theta, v, grad, rate, mu: {"v": mu * v - grad}, "The learning rate is missing in "
                "v.", "v = mu * v - rate * grad"),
        Mistake("average", lambda theta, v, grad, rate, mu: {"v": mu * v - (1 - mu) * rate * grad},
                "The gradient is multiplied by 1 − μ: this v is an average of gradients, with steps ten times as "
                "small for μ = 0.9.", "v = mu * v - rate * grad"),
        Mistake("no decay", lambda theta, v, grad, rate, mu: {"v": v - rate * grad}, "The old velocity keeps its "
                "whole size: the factor μ is missing.", "mu * v"),
    ),
)  # fmt: skip
