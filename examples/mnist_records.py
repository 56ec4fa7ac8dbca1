"""What networks reach on MNIST: six configurations, from 30 hidden units to convolutions of shifted images.

    export CHAINRULE_DATA=folder/with/mnist
    python examples/mnist_records.py --validate              # to choose: 50,000 images to train on, 10,000 to look at
    python examples/mnist_records.py --seeds 0 1 2           # to measure: 60,000 images, and those of the test
    python examples/mnist_records.py conv --json records.json --picture records.png

Everything was chosen on the last 10,000 training images (--validate), which never sees the test images. Without it a
configuration is trained on all 60,000, for the number of epochs that was chosen, and the test images are used once, at
the end. Results are added to the JSON file as they come, so that a run can be stopped and gone on with.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

import chainrule as cr
from chainrule.augmentation import RandomShift
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

HELD_OUT = 10_000


@dataclass(frozen=True)
class Record:
    """A configuration: its layers, how it is trained, and what it should reach in which time."""

    title: str
    layers: Callable[[], list]
    training: Callable[[], dict]
    error: float  # per cent
    minutes: float
    members: int = 1


def with_dropout(*units):
    hidden = [layer for n in units for layer in (Dense(n), ReLU(), Dropout(0.5))]
    return [Dropout(0.2), *hidden, Dense(10)]


def with_noise(*units, deviation=0.3):
    """Noise on the inputs and in front of every ReLU, as in the encoder of a ladder network (Rasmus et al., 2015)."""
    hidden = [
        layer
        for n in units
        for layer in (Dense(n, biases=None), BatchNorm(), GaussianNoise(deviation), ReLU())
    ]  # fmt: skip
    return [GaussianNoise(deviation), *hidden, Dense(10)]


def convolutions(*filters):
    """Two convolutions of 3 x 3 with BatchNorm and ReLU for each number of filters, then the largest of 2 x 2."""
    blocks = []
    for n in filters:
        blocks += [Conv2D(n, 3, biases=None), BatchNorm(), ReLU()] * 2 + [MaxPool2D(2)]
    return [Reshape((28, 28, 1)), *blocks, Flatten(), Dropout(0.4), Dense(10)]


RECORDS = {
    "plain": Record(
        "784-30-10, tanh, no extras",
        lambda: [Dense(30), Tanh(), Dense(10)],
        lambda: {"optimizer": Momentum(0.02), "schedule": Cosine(), "epochs": 15, "batch_size": 32},
        3.5, 0.5,
    ),
    "dropout": Record(
        "784-512-512-10, dropout, max-norm",
        lambda: with_dropout(512, 512),
        lambda: {"optimizer": Adam(0.001), "schedule": Cosine(), "epochs": 120, "batch_size": 128,
                 "penalties": [MaxNorm(2.0)]},
        1.25, 8,
    ),
    "dense": Record(
        "784-512-512-10, BatchNorm and noise",
        lambda: with_noise(512, 512),
        lambda: {"optimizer": Adam(0.002), "schedule": Cosine(), "epochs": 80, "batch_size": 128},
        1.05, 25,
    ),
    "ensemble": Record(
        "five of these",
        lambda: with_noise(512, 512),
        lambda: {"optimizer": Adam(0.002), "schedule": Cosine(), "epochs": 80, "batch_size": 128},
        0.95, 45, members=5,
    ),
    "conv": Record(
        "convolutional, no augmentation",
        lambda: convolutions(32, 64),
        lambda: {"optimizer": Adam(0.003), "schedule": OneCycle(), "epochs": 8, "batch_size": 128},
        0.70, 10,
    ),
    "shifts": Record(
        "convolutional, images shifted by up to 2 pixels",
        lambda: convolutions(32, 64),
        lambda: {"optimizer": Adam(0.003), "schedule": OneCycle(), "epochs": 25, "batch_size": 128,
                 "augment": [RandomShift(2, shape=(28, 28))]},
        0.45, 30,
    ),
}  # fmt: skip


def run(record, seed, train, test, *, validate, epochs):
    """Train and return what was found: the error on the held-out or the test images, the time, and the curves."""
    rows = len(train.X) - (min(HELD_OUT, len(train.X) // 6) if validate else 0)
    X_test, t_test = (train.X[rows:], train.t[rows:]) if validate else (test.X, test.t)
    arguments = record.training()
    if epochs:
        arguments["epochs"] = epochs
    probabilities, curves, parameters = np.zeros((len(X_test), 10), np.float32), [], 0
    seconds = 0.0
    for member in range(record.members):
        network = cr.Network(784, record.layers(), "softmax_cross_entropy", seed=record.members * seed + member)
        begin = time.perf_counter()
        history = cr.train(
            network, train.X[:rows], train.t[:rows], **arguments, seed=record.members * seed + member,
            validation=(X_test, t_test) if validate else None, callbacks=[cr.Progress()],
        )  # fmt: skip
        seconds += time.perf_counter() - begin
        probabilities += network.predict(X_test)
        parameters += network.theta.size
        if validate:
            curves.append([100 * (1 - accuracy) for accuracy in history["val_accuracy"]])
        else:
            curves.append(list(history["loss"]))
    error = 100 * float((probabilities.argmax(axis=1) != t_test).mean())
    return {"seed": seed, "error": error, "seconds": seconds, "parameters": parameters, "curves": curves}


def table(results):
    """Return a Markdown table of the results, which are lists by name."""
    lines = [
        "| network | parameters | wrong, mean (best … worst) | wanted | time | wanted |",
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
    """Draw a curve for every configuration: its first run, and of an ensemble every member."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  (for the picture only)

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for i, (name, record) in enumerate(RECORDS.items()):
        for member, curve in enumerate(results[name][0]["curves"] if name in results else []):
            label = record.title if member == 0 else None
            axes.plot(
                range(1, len(curve) + 1), curve, color=f"C{i}", lw=1.5, alpha=1 if member == 0 else 0.4, label=label
            )
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
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECORDS)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--validate", action="store_true", help="hold out 10,000 training images; no test images")
    parser.add_argument("--epochs", type=int, help="in place of those chosen, for a short look")
    parser.add_argument("--rows", type=int, help="so many training images, for a short look")
    parser.add_argument("--json", type=Path, help="where results are kept, and looked for")
    parser.add_argument("--picture", type=Path, help="of the learning curves, as PNG or SVG")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in RECORDS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(RECORDS)}")
    train, test = cr.datasets.load_mnist("train"), cr.datasets.load_mnist("test")
    if options.rows:
        train = replace(train, X=train.X[: options.rows], t=train.t[: options.rows])
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for name in options.names or RECORDS:
        for seed in options.seeds:
            if any(run["seed"] == seed for run in results.get(name, [])):
                continue
            print(f"{RECORDS[name].title}, seed {seed}", flush=True)
            found = run(RECORDS[name], seed, train, test, validate=options.validate, epochs=options.epochs)
            results.setdefault(name, []).append(found)
            if options.json:
                options.json.write_text(json.dumps(results))
    print(table(results))
    if options.picture:
        draw(results, options.picture, validate=options.validate)


if __name__ == "__main__":
    main()
