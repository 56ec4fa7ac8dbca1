"""Speed of an NVIDIA GPU: ``python -m benchmarks.gpu`` (extra ``cuda``; with PyTorch if a build for CUDA is installed).

- Training steps of 784-8192-8192-10 on MNIST, with batches of 1,024 and Adam, in turns with PyTorch's and its fused
  Adam: milliseconds, and the share that the products of a step reach of the card's rate for one product of 8192 x 8192
  matrices.
- The Adam step alone.
- The width from which a 784-width-width-10 network is faster on the GPU than on this machine's cores.
- ``--error``: 784-1024-1024-10 with dropout, trained to 0.95 % error on the test images.

Each figure is the median of several runs in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks import data, report
from chainrule._internal import backend
from chainrule.layers import Dense, Dropout, ReLU
from chainrule.training.compiled import cuda

DEVICE = "cuda:0"
BATCH, WIDE, SIDE = 1024, 8192, 8192
GOAL = 0.0095  # error on the test images
WIDTHS = (64, 128, 256, 512, 1024, 2048)


def network(width: int, dropout: float = 0.0) -> cr.Network:
    """Return 784-width-width-10."""
    drop = [Dropout(dropout)] if dropout else []
    layers = [Dense(width), ReLU(), *drop, Dense(width), ReLU(), *drop, Dense(10)]
    return cr.Network(784, layers, "softmax_cross_entropy", seed=0)


def multiplications(width: int, batch: int) -> float:
    """Return the multiplications of a step: x W, xᵀ dy, and dy Wᵀ except in the first layer."""
    return batch * (2 * 784 * width + 3 * (width * width + 10 * width))


def ours(X: Any, t: Any, width: int, batch: int, device: str, precision: str) -> Callable[[], float]:
    """Return a function that trains an epoch, and returns the seconds of a step."""
    there = network(width).to(device)
    state = cr.optimizers.Adam().start(there.theta, there.weights)

    def run() -> float:
        history = cr.train(there, X, t, epochs=1, batch_size=batch, state=state, seed=0, precision=precision)
        return float(history["seconds"][0]) / (len(X) // batch)

    return run


def torchs(X: Any, t: Any, width: int, batch: int, precision: str) -> Callable[[], float] | None:
    """Return such a function for PyTorch on the same card; None if PyTorch has no GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    from torch import nn

    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    model = nn.Sequential(
        nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    ).cuda()
    adam = torch.optim.Adam(model.parameters(), fused=True)
    x, y = torch.from_numpy(X).cuda(), torch.from_numpy(np.asarray(t)).cuda()

    def run() -> float:
        order = torch.randperm(len(x), device="cuda")
        torch.cuda.synchronize()
        began = time.perf_counter()
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            adam.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            adam.step()
        torch.cuda.synchronize()
        return (time.perf_counter() - began) / (len(x) // batch)

    return run


def seconds(queue: Callable[[], Any], repeats: int = 20) -> float:
    """Return the seconds that the queued work takes on the GPU, from one read to the next."""
    float(queue())
    began = time.perf_counter()
    for _ in range(repeats):
        last = queue()
    float(last)
    return (time.perf_counter() - began) / repeats


def product_rate(precision: str) -> float:
    """Return the multiplications per second of one large product."""
    a = backend.to(np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32), DEVICE)
    out = np.empty_like(a)

    def multiply() -> Any:
        np.dot(a, a, out=out)
        return out[0, 0]

    with backend.using(DEVICE), backend.precision(precision):
        return SIDE**3 / seconds(multiply)


def adam_seconds(width: int) -> float:
    """Return the seconds of the Adam step of a network."""
    there = network(width).to(DEVICE)
    optimizer = cr.optimizers.Adam()
    with backend.using(DEVICE):
        state, step, grad = optimizer.start(there.theta), cuda.step(optimizer), np.zeros_like(there.theta)
        assert step is not None

        def take() -> Any:
            step(grad, 0.001, 1.0, 1.0, np.inf, 1, there.theta, state.m, state.v)
            return there.theta[0]

        return seconds(take)


def medians(runs: Mapping[str, Callable[[], float] | None], repeats: int) -> dict[str, float]:
    """Return the median of each, measured in turns; the first run does not count."""
    there = {name: run for name, run in runs.items() if run is not None}
    turns = [{name: run() for name, run in there.items()} for _ in range(repeats + 1)][1:]
    return {name: statistics.median(turn[name] for turn in turns) for name in there}


class _Reached(cr.Callback):
    """Stop at the goal."""

    def on_epoch(self, run: Any) -> None:
        if run.history["val_accuracy"][-1] >= 1 - GOAL:
            run.stop("the goal is reached")


def to_error(X: Any, t: Any, X_test: Any, t_test: Any, most: int) -> tuple[float, int, float]:
    """Train the network with dropout; return its error on the test images, the epochs and the seconds."""
    there = network(1024, 0.5)
    began = time.perf_counter()
    history = cr.train(
        there, X, t, epochs=most, batch_size=128, optimizer=cr.optimizers.Adam(0.001), schedule="cosine",
        validation=(X_test, t_test), callbacks=[_Reached()], device=DEVICE, precision="tf32", seed=0,
    )  # fmt: skip
    return 1 - max(history["val_accuracy"]), len(history), time.perf_counter() - began


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--error", type=int, metavar="EPOCHS", help="train the network with dropout for up to EPOCHS")
    parser.add_argument("--keep", action="store_true", help="write results/gpu.json")
    given = parser.parse_args()
    X, t = data.mnist("train")
    X_test, t_test = data.mnist("test")
    kept: dict[str, dict[str, str]] = {}

    def said(name: str, cells: dict[str, str]) -> None:
        kept[name] = cells
        print(f"{name}: {'; '.join(f'{what} {cell}' for what, cell in cells.items())}", flush=True)

    print(backend.gpu_name(DEVICE))
    for precision in ("float32", "tf32"):
        runs = {
            "chainrule": ours(X, t, WIDE, BATCH, DEVICE, precision),
            "PyTorch": torchs(X, t, WIDE, BATCH, precision),
        }
        found, rate = medians(runs, given.repeats), product_rate(precision)
        cells = {name: f"{1000 * value:.2f} ms" for name, value in found.items()}
        share = multiplications(WIDE, BATCH) / found["chainrule"] / rate
        said(f"step, {precision}", {**cells, "product rate": f"{2e-12 * rate:.0f} TFLOP/s", "share": f"{share:.0%}"})
    said("Adam alone", {"step": f"{1000 * adam_seconds(WIDE):.2f} ms"})
    for width in WIDTHS:
        both = {device: ours(X[:12_800], t[:12_800], width, 128, device, "float32") for device in ("cpu", DEVICE)}
        found = medians(both, given.repeats)
        cells = {name: f"{1e6 * value:.0f} µs" for name, value in found.items()}
        said(f"width {width}, batches of 128", {**cells, "CPU / GPU": f"{found['cpu'] / found[DEVICE]:.2f}"})
    if given.error:
        error, epochs, taken = to_error(X, t, X_test, t_test, given.error)
        said("dropout", {"error": f"{error:.2%}", "epochs": str(epochs), "time": f"{taken:.0f} s"})
    if given.keep:
        report.keep("gpu", kept)


if __name__ == "__main__":
    main()
