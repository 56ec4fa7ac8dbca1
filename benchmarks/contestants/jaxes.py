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
from benchmarks.contestants import jax_step
from benchmarks.contestants.images_jax import train_images  # noqa: F401  (workload)
from benchmarks.task import Task


@lru_cache
def _dense(activation: str) -> Callable[..., Any]:
    act = jnp.tanh if activation == "tanh" else jax.nn.relu

    def forward(theta: Any, x: Any) -> Any:
        for W, b in theta[:-1]:
            x = act(x @ W + b)
        W, b = theta[-1]
        return x @ W + b

    return forward


@lru_cache
def _epoch(activation: str, loss: str, optimizer: str, rate: float, batch: int) -> Callable[..., Any]:
    """Return a function that runs (theta, m, v, t) and the ordered rows through an epoch."""
    step = jax_step.step(_dense(activation), getattr(jax_step, loss), optimizer, rate)

    @jax.jit
    def epoch(state: Any, X: Any, t: Any, order: Any) -> Any:
        if batch >= len(X):
            return step(state, X, t)
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
    state, rows, loss = jax_step.start(parameters), np.arange(task.rows), 0.0
    epoch = _epoch(task.activation, task.loss, task.optimizer, task.rate, task.batch)
    jax.block_until_ready((X, state))
    begin = time.perf_counter()
    for _ in range(task.epochs):
        if not task.whole:
            order.shuffle(rows)
        state, loss = epoch(state, X, t, jnp.asarray(rows.astype(np.int32)))
    jax.block_until_ready((state, loss))
    return task.trained(time.perf_counter() - begin, loss)
