"""Time of one training step against scikit-learn and, where it is installed, PyTorch.

    python benchmarks/steps.py [--repeats 7]

Same network, same batch size, same float32 arithmetic, SGD with momentum 0.9. All use one thread, which is the best for
products as small as these: a second one makes every contestant slower, and some a hundred times on a busy machine. The
contestants take turns in one process (A B C A B C ...); the table has medians over the repeats, ratios of medians, and
the loss that each one reached from its own start, so that nobody is fast and wrong.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

import chainrule as cr
from chainrule.layers import Dense, ReLU, Tanh

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

RATE = 0.01
# name: (inputs, hidden, outputs), activation, rows, batch, epochs
WORK = {
    "digits 64-15-10, batch 15": ((64, 15, 10), "relu", 1797, 15, 3),
    "moons 2-10-2, batch 100": ((2, 10, 2), "tanh", 1000, 100, 20),
    "MNIST 784-30-10, batch 128": ((784, 30, 10), "tanh", 12800, 128, 2),
}


def data(inputs: int, outputs: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images with labels that a linear rule gives."""
    rng = np.random.default_rng(0)
    X = rng.random((rows, inputs), dtype=np.float32)
    return X, (X @ rng.normal(size=(inputs, outputs))).argmax(axis=1)


def ours(sizes: tuple[int, int, int], activation: str, X: np.ndarray, t: np.ndarray, batch: int, epochs: int) -> float:
    inputs, hidden, outputs = sizes
    layers = [Dense(hidden), ReLU() if activation == "relu" else Tanh(), Dense(outputs)]
    network = cr.Network(inputs, layers, cr.losses.SoftmaxCrossEntropy(), seed=0)
    history = cr.train(network, X, t, optimizer=cr.optimizers.Momentum(RATE), epochs=epochs, batch_size=batch, seed=0)
    return float(history["loss"][-1])


def scikit(
    sizes: tuple[int, int, int], activation: str, X: np.ndarray, t: np.ndarray, batch: int, epochs: int
) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        sizes[1:2], activation=activation, solver="sgd", alpha=0, batch_size=batch, learning_rate_init=RATE,
        max_iter=epochs, n_iter_no_change=epochs + 1, nesterovs_momentum=False, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(model.fit(X, t).loss_)


def pytorch(
    sizes: tuple[int, int, int], activation: str, X: np.ndarray, t: np.ndarray, batch: int, epochs: int
) -> float:
    torch.manual_seed(0)
    inputs, hidden, outputs = sizes
    middle = torch.nn.ReLU() if activation == "relu" else torch.nn.Tanh()
    network = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), middle, torch.nn.Linear(hidden, outputs))
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9)
    x, labels, mean = torch.from_numpy(X), torch.from_numpy(t), torch.nn.CrossEntropyLoss()
    total = 0.0
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = mean(network(x[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return total / len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    contestants: dict[str, Callable[..., float]] = {"chainrule": ours, "scikit-learn": scikit}
    if torch is not None:
        contestants["PyTorch"] = pytorch
    import sklearn

    versions = f"chainrule {cr.__version__}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}"
    versions += f", PyTorch {torch.__version__}" if torch is not None else ""
    print(f"{versions}, Python {platform.python_version()}, {platform.machine()}; median of {repeats}\n")
    print("| network | " + " | ".join(f"{name}, µs a step (loss)" for name in contestants), end="")
    print(" | " + " | ".join(f"{name} / chainrule" for name in list(contestants)[1:]) + " |")
    print("|---" * (2 * len(contestants)) + "|")
    for name, (sizes, activation, rows, batch, epochs) in WORK.items():
        X, t = data(sizes[0], sizes[2], rows)
        times: dict[str, list[float]] = {c: [] for c in contestants}
        losses = {}
        for repeat in range(repeats + 1):
            for contestant, run in contestants.items():
                start = time.perf_counter()
                losses[contestant] = run(sizes, activation, X, t, batch, epochs)
                if repeat:  # the first round warms up
                    times[contestant].append((time.perf_counter() - start) / epochs / -(-rows // batch) * 1e6)
        medians = {c: statistics.median(values) for c, values in times.items()}
        cells = [f"{medians[c]:.0f} ({losses[c]:.3f})" for c in contestants]
        ratios = [f"{medians[c] / medians['chainrule']:.1f}" for c in list(contestants)[1:]]
        print("| " + " | ".join([name, *cells, *ratios]) + " |")


if __name__ == "__main__":
    main()
