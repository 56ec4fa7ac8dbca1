"""Test errors on MNIST: six configurations, from 30 hidden units to convolutional networks with shifted images.

    export CHAINRULE_DATA=folder/with/mnist
    python examples/mnist_records.py --validate              # to choose: 50,000 training, 10,000 held out
    python examples/mnist_records.py --seeds 0 1 2           # to measure: 60,000 training, and the test images
    python examples/mnist_records.py conv --json records.json --picture records.png

All settings were chosen with --validate, on the last 10,000 training images and without the test images. Without this
option, a configuration is trained on all 60,000 images for the chosen number of epochs, and the test images are used
once, at the end. Results are added to the JSON file as they are computed, so that a run can be stopped and resumed.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import numpy as np

import chainrule as cr
from chainrule.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    MaxPool2D,
    ReLU,
    Reshape,
    Tanh,
)
from chainrule.optimizers import Adam, Momentum
from chainrule.penalties import MaxNorm
from chainrule.schedules import Cosine, OneCycle
from chainrule.training.augmentation import RandomShift

HELD_OUT = 10_000


@dataclass(frozen=True)
class Record:
    """A configuration: its layers, how it is trained, and the goals for its error and training time."""

    title: str
    error: float  # percent
    minutes: float
    layers: Callable[[], list] = list
    training: Callable[[], dict] = dict
    members: int = 1
    of: str = ""  # the configuration of each member, which is also reported on its own


def with_dropout(*units):
    hidden = [layer for n in units for layer in (Dense(n), ReLU(), Dropout(0.5))]
    return [Dropout(0.2), *hidden, Dense(10)]


def with_noise(*units, deviation=0.3):
    """Noise on the inputs and before every ReLU, as in the encoder of a ladder network (Rasmus et al., 2015)."""
    hidden = [
        layer
        for n in units
        for layer in (Dense(n, biases=None), BatchNorm(), GaussianNoise(deviation), ReLU())
    ]  # fmt: skip
    return [GaussianNoise(deviation), *hidden, Dense(10)]


def convolutions(*filters):
    """Two 3 x 3 convolutions with BatchNorm and ReLU for each number of filters, then 2 x 2 max pooling."""
    blocks = []
    for n in filters:
        blocks += [Conv2D(n, 3, biases=None), BatchNorm(), ReLU()] * 2 + [MaxPool2D(2)]
    return [Reshape((28, 28, 1)), *blocks, Flatten(), Dropout(0.4), Dense(10)]


RECORDS = {
    "plain": Record(
        "784-30-10, tanh, no extras", 3.5, 0.5,
        lambda: [Dense(30), Tanh(), Dense(10)],
        lambda: {"optimizer": Momentum(0.02), "schedule": Cosine(), "epochs": 15, "batch_size": 32},
    ),
    "dropout": Record(
        "784-512-512-10, dropout, max-norm", 1.25, 8,
        lambda: with_dropout(512, 512),
        lambda: {"optimizer": Adam(0.001), "schedule": Cosine(), "epochs": 120, "batch_size": 128,
                 "penalties": [MaxNorm(2.0)]},
    ),
    "dense": Record(
        "784-1000-500-250-250-250-10, BatchNorm and noise", 1.05, 25,
        lambda: with_noise(1000, 500, 250, 250, 250),
        lambda: {"optimizer": Adam(0.002), "schedule": Cosine(), "epochs": 80, "batch_size": 128},
    ),
    "ensemble": Record("five of these", 0.95, 45, members=5, of="dense"),
    "conv": Record(
        "convolutional, no augmentation", 0.70, 10,
        lambda: convolutions(32, 64),
        lambda: {"optimizer": Adam(0.003), "schedule": OneCycle(), "epochs": 8, "batch_size": 128},
    ),
    "shifts": Record(
        "convolutional, images shifted by up to 2 pixels", 0.45, 30,
        lambda: convolutions(32, 64),
        lambda: {"optimizer": Adam(0.003), "schedule": OneCycle(), "epochs": 25, "batch_size": 128,
                 "augment": [RandomShift(2, shape=(28, 28))]},
    ),
}  # fmt: skip


def run(name, seed, jobs, options):
    """Train; return the error on the held-out or test images, the time and the curve, then those of any members."""
    record, begin = RECORDS[name], time.perf_counter()
    numbers, members, probabilities = range(record.members * seed, record.members * (seed + 1)), [], []
    for first in range(0, len(numbers), jobs):
        beside = numbers[first : first + jobs]
        fits = partial(fit, record.of or name, options=options, threads=max(1, (os.cpu_count() or 1) // len(beside)))
        if len(beside) > 1:
            with ProcessPoolExecutor(len(beside), get_context("spawn")) as pool:
                done = [*pool.map(fits, beside)]
        else:
            done = [fits(beside[0])]
        members += [member for member, _ in done]
        probabilities += [p for _, p in done]
    if record.members == 1:
        return members
    return [
        {
            "seed": seed,
            "error": wrong(np.mean(probabilities, axis=0), parts(options)[3]),
            "seconds": time.perf_counter() - begin,
            "parameters": sum(member["parameters"] for member in members),
        },
        *members,
    ]


def fit(name, seed, *, options, threads):
    """Train one network; return its results, and the probabilities of the held-out or test images."""
    X, t, X_test, t_test = parts(options)
    arguments = RECORDS[name].training() | ({"epochs": options.epochs} if options.epochs else {})
    network = cr.Network(784, RECORDS[name].layers(), "softmax_cross_entropy", seed=seed)
    begin = time.perf_counter()
    history = cr.train(
        network, X, t, **arguments, seed=seed, threads=threads, callbacks=[cr.Progress()],
        validation=(X_test, t_test) if options.validate else None,
    )  # fmt: skip
    seconds, p = time.perf_counter() - begin, network.predict(X_test)
    curve = [100 * (1 - a) for a in history["val_accuracy"]] if options.validate else [*history["loss"]]
    found = {"seed": seed, "error": wrong(p, t_test), "seconds": seconds, "parameters": network.theta.size}
    return found | {"curve": curve}, p


def wrong(p, t):
    """Return the percentage of misclassified images."""
    return 100 * float((p.argmax(axis=1) != t).mean())


def parts(options):
    """Return the training images and labels, and those to evaluate on: held-out ones, or the test images."""
    train = cr.datasets.load_mnist("train")
    X, t = train.X[: options.rows], train.t[: options.rows]
    if not options.validate:
        test = cr.datasets.load_mnist("test")
        return X, t, test.X, test.t
    rows = len(X) - min(HELD_OUT, len(X) // 6)
    return X[:rows], t[:rows], X[rows:], t[rows:]


def table(results):
    """Return a Markdown table of the results, a list of runs for each configuration."""
    lines = [
        "| network | parameters | test error, mean (best … worst) | goal | training time | goal |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, record in RECORDS.items():
        runs = results.get(name, [])
        if not runs:
            continue
        errors, seconds = [run["error"] for run in runs], mean(run["seconds"] for run in runs)
        spread = f" ({min(errors):.2f} … {max(errors):.2f})" if len(runs) > 1 else ""
        lines.append(
            f"| {record.title} | {runs[0]['parameters']:,} | {mean(errors):.2f} %{spread} | {record.error:.2f} % "
            f"| {f'{seconds / 60:.1f} min' if seconds >= 60 else f'{seconds:.0f} s'} | {record.minutes:g} min |"
        )
    return "\n".join(lines)


def draw(results, path, *, validate):
    """Plot a curve for every run, the first of each configuration in full color."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  (only for the picture)

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for i, (name, record) in enumerate((n, r) for n, r in RECORDS.items() if not r.of):
        for number, run in enumerate(results.get(name, [])):
            curve = run["curve"]
            label, alpha = (None, 0.4) if number else (record.title, 1)
            axes.plot(range(1, len(curve) + 1), curve, color=f"C{i}", lw=1.5, alpha=alpha, label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="epoch",
        ylabel="error on 10,000 held-out images (%)" if validate else "mean loss of the epoch's batches",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"configurations, of {', '.join(RECORDS)}; all by default"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--validate", action="store_true", help="evaluate on 10,000 held-out training images instead of the test images"
    )
    parser.add_argument("--epochs", type=int, help="number of epochs, for a quick look")
    parser.add_argument("--rows", type=int, help="number of training images, for a quick look")
    parser.add_argument("--jobs", type=int, default=2, help="number of ensemble members to train in parallel")
    parser.add_argument("--json", type=Path, help="file to read earlier results from and add new ones to")
    parser.add_argument("--picture", type=Path, help="file for a plot of the learning curves, PNG or SVG")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in RECORDS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(RECORDS)}")
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for name in sorted(options.names or RECORDS, key=lambda name: -RECORDS[name].members):
        for seed in options.seeds:
            if any(run["seed"] == seed for run in results.get(name, [])):
                continue
            print(f"{RECORDS[name].title}, seed {seed}", flush=True)
            runs = run(name, seed, options.jobs, options)
            results.setdefault(name, []).append(runs[0])
            if RECORDS[name].of:
                results.setdefault(RECORDS[name].of, []).extend(runs[1:])
            if options.json:
                options.json.write_text(json.dumps(results))
    print(table(results))
    if options.picture:
        draw(results, options.picture, validate=options.validate)


if __name__ == "__main__":
    main()
