"""PyTorch, as in its tutorials (eager), and with the whole step compiled by torch.compile."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import data
from benchmarks.contestants import estimators
from benchmarks.contestants.images_pytorch import predict_images, train_images  # noqa: F401  (workloads)
from benchmarks.task import Task

Step = Callable[[Tensor], Tensor]  # maps rows to the loss before the step


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


def _eager(task: Task, X: Tensor, t: Tensor) -> tuple[Step, Callable[[Tensor], Tensor]]:
    """Return a step, and the network as a function."""
    network, mean = _network(task), torch.nn.CrossEntropyLoss()
    optimizers = {"adam": torch.optim.Adam, "momentum": torch.optim.SGD}
    more = {} if task.optimizer == "adam" else {"momentum": 0.9}
    optimizer = optimizers[task.optimizer](network.parameters(), task.rate, **more)

    def step(rows: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = mean(network(X[rows]), t[rows])
        loss.backward()
        optimizer.step()
        return loss

    return step, network


def _compiled(task: Task, X: Tensor, t: Tensor) -> tuple[Step, Callable[[Tensor], Tensor]]:
    """Return the same with gathering, forward, backward and update in one compiled graph, 3 times as fast as eager."""
    theta = [p.detach() for p in _network(task).parameters()]
    m, v = ([torch.zeros_like(p) for p in theta] for _ in range(2))
    count = torch.zeros(())
    compiled = _compiled_step(task.activation, task.optimizer, task.rate, task.dropout)

    def step(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return compiled(theta, m, v, count, X, t, rows)

    return step, lambda x: _forward(theta, x, task.activation, 0.0)


def _forward(theta: list[Tensor], x: Tensor, activation: str, dropout: float) -> Tensor:
    for i in range(0, len(theta) - 2, 2):
        x = functional.linear(x, theta[i], theta[i + 1])
        x = torch.tanh(x) if activation == "tanh" else torch.relu(x)
        x = functional.dropout(x, dropout) if dropout else x
    return functional.linear(x, theta[-2], theta[-1])


@lru_cache
def _compiled_step(activation: str, optimizer: str, rate: float, dropout: float) -> Callable[..., Tensor]:
    def loss(theta: list[Tensor], x: Tensor, t: Tensor) -> Tensor:
        return functional.cross_entropy(_forward(theta, x, activation, dropout), t)

    def step(
        theta: list[Tensor], m: list[Tensor], v: list[Tensor], count: Tensor, X: Tensor, t: Tensor, rows: Tensor
    ) -> Tensor:
        grads, value = torch.func.grad_and_value(loss)(theta, X[rows], t[rows])
        if optimizer == "adam":
            count += 1
            one, two = 1 - 0.9**count, 1 - 0.999**count
            for p, mean, square, grad in zip(theta, m, v, grads, strict=True):
                mean.lerp_(grad, 0.1)
                square.mul_(0.999).addcmul_(grad, grad, value=0.001)
                p.sub_(rate * (mean / one) / ((square / two).sqrt() + 1e-8))
        else:
            for p, velocity, grad in zip(theta, m, grads, strict=True):
                velocity.mul_(0.9).add_(grad)
                p.sub_(velocity, alpha=rate)
        return value

    return torch.compile(step, dynamic=False)


def _epoch(step: Step, order: data.Order, rows: np.ndarray, batch: int) -> float:
    """Run one epoch and return the mean loss."""
    order.shuffle(rows)
    total = 0.0
    for chosen in torch.from_numpy(rows).split(batch):
        total += step(chosen).item() * len(chosen)
    return total / len(rows)


def _prepare(task: Task) -> tuple[Step, Callable[[Tensor], Tensor]]:
    torch.manual_seed(0)
    X, t = map(torch.from_numpy, task.data())
    return (_compiled if task.compiled else _eager)(task, X, t)


def train(**work: Any) -> dict[str, Any]:
    """Train for some epochs."""
    task = Task(**work)
    step, _ = _prepare(task)
    order, rows, loss = data.start(task.sizes)[1], np.arange(task.rows), 0.0
    begin = time.perf_counter()
    for _ in range(task.epochs):
        loss = _epoch(step, order, rows, task.batch)
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
        _epoch(step, order, rows, task.batch)
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
