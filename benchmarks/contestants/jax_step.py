"""A training step in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

State = tuple[Any, Any, Any, int]  # parameters, m, v and the number of steps


def start(parameters: Any) -> State:
    """Return the state before the first step."""
    theta = jax.tree.map(jnp.asarray, parameters)
    zeros = jax.tree.map(jnp.zeros_like, theta)
    return theta, zeros, zeros, 0


def cross_entropy(y: Any, t: Any) -> Any:
    """Return the mean of the softmax cross-entropy."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], axis=1))


def squared_error(y: Any, t: Any) -> Any:
    """Return the mean of ½ ‖y - t‖²."""
    return 0.5 * jnp.mean(jnp.sum((y - t) ** 2, axis=1))


def step(
    forward: Callable[..., Any], loss: Callable[..., Any], optimizer: str, rate: float
) -> Callable[[State, Any, Any], tuple[State, Any]]:
    """Return a function that maps the state and a batch to the state after a step and the loss before it."""
    tree = jax.tree.map

    def function(state: State, x: Any, t: Any) -> tuple[State, Any]:
        theta, m, v, count = state
        value, grad = jax.value_and_grad(lambda theta: loss(forward(theta, x), t))(theta)
        count += 1
        if optimizer == "adam":
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, grad)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, grad)
            one, two = 1 - 0.9**count, 1 - 0.999**count
            theta = tree(lambda p, m, v: p - rate * (m / one) / (jnp.sqrt(v / two) + 1e-8), theta, m, v)
        else:
            m = tree(lambda m, g: 0.9 * m + g, m, grad)
            theta = tree(lambda p, m: p - rate * m, theta, m)
        return (theta, m, v, count), value

    return function
