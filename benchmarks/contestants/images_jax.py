"""LeNet-5 in JAX: one call compiled by jax.jit for each step; convolution in a compiled loop is several times slower.

Pooling is a maximum over axes, and images are channels last: the fastest of those that were tried.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import data
from benchmarks.contestants import jax_step

SHAPES = [(5, 5, 1, 6), (5, 5, 6, 16), (256, 120), (120, 84), (84, 10)]


def _lenet(theta: Any, x: Any) -> Any:
    for W, b in theta[:2]:
        y = jax.nn.relu(
            jax.lax.conv_general_dilated(x, W, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        )
        n, height, width, channels = y.shape
        x = y.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    x = x.reshape(len(x), -1)
    for W, b in theta[2:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = theta[-1]
    return x @ W + b


@lru_cache
def _step() -> Any:
    step = jax_step.step(_lenet, jax_step.cross_entropy, "adam", 0.001)
    return jax.jit(lambda state, X, t, rows: step(state, X[rows], t[rows]))


def train_images(*, network: str, rows: int, batch: int, epochs: int) -> dict[str, Any]:
    """Train for some epochs. The first call in a process compiles, which is included in its time."""
    if network != "lenet":
        raise NotImplementedError(f"only LeNet-5, not {network}")
    X, t = data.random_rows(784, 10, rows)
    X, t = jnp.asarray(X.reshape(-1, 28, 28, 1)), jnp.asarray(t)
    state = jax_step.start([(W, np.zeros(W.shape[-1], np.float32)) for W in data.he_normal(SHAPES)])
    order, index, step, losses = data.start([])[1], np.arange(rows), _step(), []
    jax.block_until_ready((X, t, state))
    begin = time.perf_counter()
    for _ in range(epochs):
        order.shuffle(index)
        losses = []
        for first in range(0, rows, batch):
            chosen = index[first : first + batch].astype(np.int32)
            state, value = step(state, X, t, chosen)
            losses.append(value * len(chosen))
    jax.block_until_ready((state, losses))
    seconds = time.perf_counter() - begin
    return data.trained_images(seconds, sum(map(float, losses)) / rows, rows=rows, batch=batch, epochs=epochs)
