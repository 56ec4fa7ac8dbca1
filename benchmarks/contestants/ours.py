"""chainrule, with the engine selected by CHAINRULE_KERNELS."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

import chainrule as cr
from benchmarks import data
from benchmarks.contestants import estimators
from benchmarks.contestants.images_ours import predict_images, train_images  # noqa: F401  (pieces of work)
from benchmarks.task import Task
from chainrule.layers import Dense, Dropout, Layer, ReLU, Tanh
from chainrule.training import engine

# imports Numba: a peer's imports do not count either
importlib.import_module(f"chainrule.training.{engine.MODULES[engine.choose()[0]]}")


def _network(task: Task, parameters: list[data.Arrays]) -> cr.Network:
    layers: list[Layer] = []
    for units in task.sizes[1:-1]:
        layers += [Dense(units), Tanh() if task.activation == "tanh" else ReLU()]
        layers += [Dropout(task.dropout)] if task.dropout else []
    loss = cr.losses.SquaredError() if task.loss == "squared_error" else cr.losses.SoftmaxCrossEntropy()
    network = cr.Network(task.sizes[0], [*layers, Dense(task.sizes[-1])], loss, seed=0)
    for layer, (W, b) in zip([x for x in network.layers if isinstance(x, Dense)], parameters, strict=True):
        layer.W[...], layer.b[...] = W, b
    return network


def _optimizer(task: Task) -> cr.optimizers.Optimizer:
    return cr.optimizers.Adam(task.rate) if task.optimizer == "adam" else cr.optimizers.Momentum(task.rate, 0.9)


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs."""
    task = Task(**work)
    X, t = task.data()
    parameters, order = data.start(task.sizes)
    network, optimizer = _network(task, parameters), _optimizer(task)
    begin = time.perf_counter()
    history = cr.train(
        network, X, t, optimizer=optimizer, epochs=task.epochs, batch_size=task.batch,
        shuffle=False if task.whole else order, seed=0,
    )  # fmt: skip
    return task.trained(time.perf_counter() - begin, history["loss"][-1])


class _Clock(cr.Callback):
    """Stop at the target; the time excludes evaluating it."""

    def __init__(self, task: Task) -> None:
        self.target, (self.X, self.t) = task.target, task.test()
        self.seconds, self.accuracy, self.epochs = 0.0, 0.0, 0
        self.begin = time.perf_counter()

    def on_epoch(self, run: cr.training.Run) -> None:
        self.seconds += time.perf_counter() - self.begin
        self.accuracy, self.epochs = float((run.network.predict(self.X).argmax(axis=1) == self.t).mean()), run.epoch
        if self.accuracy >= self.target:
            run.stop("the target is reached")
        self.begin = time.perf_counter()


def reach(**work: Any) -> dict[str, Any]:
    """Train until the accuracy on the test images is reached."""
    task = Task(**work)
    X, t = task.data()
    parameters, order = data.start(task.sizes, anew=True)
    network, optimizer, clock = _network(task, parameters), _optimizer(task), _Clock(task)
    clock.begin = time.perf_counter()
    cr.train(
        network, X, t, optimizer=optimizer, epochs=task.epochs, batch_size=task.batch, shuffle=order,
        callbacks=[clock], seed=0,
    )  # fmt: skip
    return task.arrived(clock.seconds, clock.epochs, clock.accuracy)


def fit(**work: Any) -> dict[str, Any]:
    """Fit an estimator with its defaults."""
    return estimators.fit(cr.MLPClassifier, **work)


def search(**work: Any) -> dict[str, Any]:
    """Run a grid search."""
    return estimators.search(cr.MLPClassifier, **work)


def predict(*, sizes: list[int], rows: int, calls: int, estimator: bool = False) -> dict[str, Any]:
    """Predict with ``Network.predict`` or with the estimator."""
    if estimator:
        return estimators.predict(cr.MLPClassifier, sizes=sizes, rows=rows, calls=calls)
    network = _network(Task(sizes, rows, rows, 1), data.start(sizes)[0])
    return estimators.time_calls(network.predict, sizes, rows, calls)


def save(*, sizes: list[int], folder: str) -> dict[str, Any]:
    """Save a network for the startup benchmark."""
    path = Path(folder) / "model.safetensors"
    cr.save(_network(Task(sizes, 1, 1, 1), data.start(sizes)[0]), path, overwrite=True)
    return {"path": str(path)}
