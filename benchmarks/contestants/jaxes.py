"""JAX: a whole epoch, gathering included, in one call compiled by jax.jit."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import data
from benchmarks.task import Task


@lru_cache
def _epoch(activation: str, optimizer: str, rate: float, batch: int) -> Callable[..., Any]:
    """Return a function that runs (theta, m, v, t) and the ordered rows through an epoch."""
    act = jnp.tanh if activation == "tanh" else jax.nn.relu
    tree = jax.tree.map

    def loss(theta: Any, x: Any, t: Any) -> Any:
        for W, b in theta[:-1]:
            x = act(x @ W + b)
        W, b = theta[-1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x @ W + b), t[:, None], axis=1))

    def step(state: Any, x: Any, t: Any) -> Any:
        theta, m, v, count = state
        value, grad = jax.value_and_grad(loss)(theta, x, t)
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

    @jax.jit
    def epoch(state: Any, X: Any, t: Any, order: Any) -> Any:
        full = len(order) // batch
        state, losses = jax.lax.scan(
            lambda state, rows: step(state, X[rows], t[rows]), state, order[: full * batch].reshape(full, batch)
        )
        total = losses.sum() * batch
        if rest := len(order) - full * batch:
            rows = order[full * batch :]
            state, value = step(state, X[rows], t[rows])
            total += value * rest
        return state, total / len(order)

    return epoch


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs. The first call in a process compiles, which is included in its time."""
    task = Task(**work)
    if task.dropout:
        raise NotImplementedError("no dropout here")
    X, t = map(jnp.asarray, task.data())
    parameters, order = data.start(task.sizes)
    theta = [(jnp.asarray(W), jnp.asarray(b)) for W, b in parameters]
    zeros = jax.tree.map(jnp.zeros_like, theta)
    state, rows, loss = (theta, zeros, zeros, 0), np.arange(task.rows), 0.0
    epoch = _epoch(task.activation, task.optimizer, task.rate, task.batch)
    jax.block_until_ready((X, state))
    begin = time.perf_counter()
    for _ in range(task.epochs):
        order.shuffle(rows)
        state, loss = epoch(state, X, t, jnp.asarray(rows.astype(np.int32)))
    jax.block_until_ready((state, loss))
    return task.trained(time.perf_counter() - begin, loss)
