"""PyTorch, as in its tutorials (eager), and with the whole step compiled by torch.compile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import data
from benchmarks.contestants import estimators, pytorch_step
from benchmarks.contestants.images_pytorch import predict_images, train_images  # noqa: F401  (workloads)
from benchmarks.task import Task


def _network(task: Task) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for (W, b), last in zip(data.start(task.sizes)[0], [False] * (len(task.sizes) - 2) + [True], strict=True):
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.copy_(torch.from_numpy(b))
        layers.append(linear)
        if not last:
            layers.append(torch.nn.Tanh() if task.activation == "tanh" else torch.nn.ReLU())
            layers += [torch.nn.Dropout(task.dropout)] if task.dropout else []
    return torch.nn.Sequential(*layers)


def _prepare(task: Task) -> tuple[pytorch_step.Step, torch.nn.Module]:
    """Return a step, and the network that it trains."""
    torch.manual_seed(0)
    X, t = map(torch.from_numpy, task.data())
    network = _network(task)
    step = pytorch_step.prepare(
        network, X, t, optimizer=task.optimizer, rate=task.rate, loss=task.loss, compiled=task.compiled
    )
    return step, network


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs."""
    task = Task(**work)
    step, _ = _prepare(task)
    order, rows, loss = data.start(task.sizes)[1], np.arange(task.rows), 0.0
    begin = time.perf_counter()
    for _ in range(task.epochs):
        loss = pytorch_step.epoch(step, order, rows, task.batch)
    return task.trained(time.perf_counter() - begin, loss)


def reach(**work: Any) -> dict[str, Any]:
    """Train until the test accuracy is reached."""
    task = Task(**work)
    step, network = _prepare(task)
    order, rows = data.start(task.sizes, anew=True)[1], np.arange(task.rows)
    X, t = map(torch.from_numpy, task.test())
    seconds, accuracy, epoch = 0.0, 0.0, 0
    while accuracy < task.target and epoch < task.epochs:
        epoch += 1
        begin = time.perf_counter()
        pytorch_step.epoch(step, order, rows, task.batch)
        seconds += time.perf_counter() - begin
        with torch.no_grad():
            accuracy = float((network(X).argmax(1) == t).double().mean())
    return task.arrived(seconds, epoch, accuracy)


def predict(*, sizes: list[int], rows: int, calls: int) -> dict[str, Any]:
    """Predict probabilities, from NumPy to NumPy."""
    network = _network(Task(sizes, rows, rows, 1)).eval()

    def probabilities(X: np.ndarray) -> np.ndarray:
        return torch.softmax(network(torch.from_numpy(X)), 1).numpy()

    with torch.inference_mode():
        return estimators.time_calls(probabilities, sizes, rows, calls)


def save(*, sizes: list[int], folder: str) -> dict[str, Any]:
    """Save a state_dict for the startup benchmark."""
    path = Path(folder) / "model.pt"
    torch.save(_network(Task(sizes, 1, 1, 1)).state_dict(), path)
    return {"path": str(path)}
