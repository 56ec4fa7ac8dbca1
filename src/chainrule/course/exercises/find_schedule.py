"""Find the mistake: a rate that vanishes.

The learning rate should fall as η_e = η / (1 + decay · e) in the epochs e = 0, 1, 2, ... The file returns the rates of
the epochs. Training slows down after a few epochs and soon stands still.

Find the mistake and fix it. With η = 1 and decay = 1, the first four rates should be 1, 1/2, 1/3 and 1/4.

Source: Robbins and Monro, "A stochastic approximation method" (1951): the rates must have an infinite sum.
"""

import numpy as np

from chainrule.course.exercise import Case, Exercise, Mistake


def find_schedule(rate, decay, epochs):
    """Return the learning rates of the epochs, (epochs,)."""
    rates = np.zeros(epochs)
    for epoch in range(epochs):
        rates[epoch] = rate / (1 + decay * epoch)
    return rates


def planted(rate, decay, epochs):
    """Return the learning rates of the epochs, (epochs,)."""
    rates = np.zeros(epochs)
    for epoch in range(epochs):
        rate = rate / (1 + decay * epoch)
        rates[epoch] = rate
    return rates


def cases(rng):
    """Yield settings."""
    for epochs, about in ((6, ""), (1, "with one epoch"), (50, "with 50 epochs")):
        yield Case((float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1)), epochs), about)


EXERCISE = Exercise(
    find_schedule, cases, ("rates",), points=3, planted=planted,
    hints=(
        "The first two rates are right. Which value of rate does the third division begin with?",
        "rates[epoch] = rate / (1 + decay * epoch), without changing rate.",
    ),
    mistakes=(
        Mistake("planted", planted, "The first two rates are right; from the third on, they are far too small.",
                "The rate is divided again in each epoch: divide the initial rate, and do not assign to rate."),
        Mistake("constant", lambda rate, decay, epochs: np.full(epochs, rate), "The rate is now constant: it "
                "should fall.", "rate / (1 + decay * epoch)"),
        Mistake("one epoch off", lambda rate, decay, epochs: rate / (1 + decay * (1 + np.arange(epochs))),
                "The rates are one epoch ahead: the first one is η itself.", "Epochs count from 0."),
    ),
)  # fmt: skip
