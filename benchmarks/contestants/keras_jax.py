"""Keras 3 on JAX: ``fit``, which compiles a step."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks import data
from benchmarks.task import Task


class _Batches(keras.utils.PyDataset):
    """The batches that all contestants see; ``fit`` is faster with them than with arrays that it shuffles itself."""

    def __init__(self, X: np.ndarray, t: np.ndarray, batch: int, order: data.Order) -> None:
        super().__init__()
        self.X, self.t, self.batch, self.order, self.rows = X, t, batch, order, np.arange(len(X))

    def __len__(self) -> int:
        return math.ceil(len(self.X) / self.batch)

    def __getitem__(self, i: int) -> data.Arrays:
        if len(self) == 1:
            return self.X, self.t
        rows = self.rows[i * self.batch : (i + 1) * self.batch]
        return self.X[rows], self.t[rows]

    def on_epoch_begin(self) -> None:
        if len(self) > 1:
            self.order.shuffle(self.rows)


def _squared_error(t: Any, y: Any) -> Any:
    return 0.5 * keras.ops.sum(keras.ops.square(y - t), axis=-1)


@lru_cache
def _compiled(loss: str, rate: float, network: str, sizes: tuple[int, ...], activation: str) -> tuple[Any, Any]:
    """Return a model, which keeps its compiled step, and the state of its optimizer before the first one."""
    if network == "lenet":
        inner = [layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D()]
        inner += [layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
        shape, sizes = (28, 28, 1), (0, 120, 84, 10)
    else:
        inner, shape = [], sizes[:1]
    dense = [layers.Dense(units, activation=activation) for units in sizes[1:-1]]
    model = keras.Sequential([keras.Input(shape), *inner, *dense, layers.Dense(sizes[-1])])
    losses = {
        "cross_entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "squared_error": _squared_error,
    }  # fmt: skip
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-8), losses[loss])
    model.optimizer.build(model.trainable_variables)
    return model, [np.array(variable) for variable in model.optimizer.variables]


def _fit(model: Any, state: Any, weights: list[np.ndarray], batches: _Batches, epochs: int) -> tuple[float, float]:
    """Return the seconds and the last loss of a training run from these weights."""
    model.set_weights(weights)
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)
    begin = time.perf_counter()
    history = model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return time.perf_counter() - begin, history.history["loss"][-1]


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs. The first call in a process compiles, which is included in its time."""
    task = Task(**work)
    if task.dropout or task.optimizer != "adam":
        raise NotImplementedError("only Adam without dropout")
    parameters, order = data.start(task.sizes)
    model, state = _compiled(task.loss, task.rate, "", tuple(task.sizes), task.activation)
    weights = [p for pair in parameters for p in pair]
    return task.trained(*_fit(model, state, weights, _Batches(*task.data(), task.batch, order), task.epochs))


def train_images(*, network: str, rows: int, batch: int, epochs: int) -> dict[str, Any]:
    """Train LeNet-5 for some epochs."""
    if network != "lenet":
        raise NotImplementedError(f"only LeNet-5, not {network}")
    model, state = _compiled("cross_entropy", 0.001, network, (), "relu")
    shapes = [p.shape for p in model.weights[::2]]
    weights = [p for W in data.he_normal(shapes) for p in (W, np.zeros(W.shape[-1], np.float32))]
    X, t = data.random_rows(784, 10, rows)
    batches = _Batches(X.reshape(-1, 28, 28, 1), t, batch, data.start([])[1])
    seconds, loss = _fit(model, state, weights, batches, epochs)
    return data.trained_images(seconds, loss, rows=rows, batch=batch, epochs=epochs)
