"""The exercises in the order of the course, each in a file of its own."""

from chainrule.course.exercise import Exercise
from chainrule.course.exercises import (
    activation,
    adam,
    batch_norm,
    convolution,
    dense_db,
    dense_dW,
    dense_dx,
    dense_forward,
    dropout,
    find_broadcast,
    find_hidden_layer,
    find_in_place,
    find_mean,
    find_momentum,
    find_schedule,
    max_pooling,
    momentum,
    own_loss,
    softmax,
    softmax_cross_entropy,
    squared_error,
    training_loop,
    weight_decay,
)

EXERCISES: tuple[Exercise, ...] = tuple(
    module.EXERCISE
    for module in (
        dense_forward, dense_db, dense_dW, dense_dx, activation, softmax, softmax_cross_entropy, squared_error, dropout,
        momentum, adam, training_loop, batch_norm, convolution, max_pooling, own_loss, weight_decay, find_hidden_layer,
        find_mean, find_in_place, find_broadcast, find_momentum, find_schedule,
    )
)  # fmt: skip
"""Exercise 1 is the first."""
