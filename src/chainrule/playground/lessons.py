"""Lessons: states to begin with, each with a task, that chapters of the book open by name; and states from links."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.files.descriptions import describe
from chainrule.initializers import Normal
from chainrule.layers import Conv2D, Dense, Flatten, Layer, ReLU, Reshape, Tanh
from chainrule.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.optimizers import SGD, Adam, Optimizer
from chainrule.playground.bounds import MESSAGE, RefusedError
from chainrule.playground.state import BEGIN, begin_with, read


class Lesson(NamedTuple):
    """A state with a task; ``chapter`` is the page of the book that it belongs to."""

    title: str
    chapter: str
    state: dict[str, Any]


def _lesson(
    title: str, chapter: str, task: str, layers: Sequence[Layer], *, data: dict[str, Any] | None = None,
    loss: Loss | None = None, optimizer: Optimizer | None = None, goal: float | None = None, hide: Sequence[str] = (),
) -> Lesson:  # fmt: skip
    network = {
        "layers": [describe("a layer", layer, "Layer") for layer in layers],
        "loss": describe("the loss", loss or SoftmaxCrossEntropy(), "Loss"),
    }
    state = BEGIN | {
        "data": data or {},
        "network": BEGIN["network"] | network,
        "training": BEGIN["training"] | {"optimizer": describe("the optimizer", optimizer or Adam(0.03), "Optimizer")},
        "lesson": {
            "hide": [*hide],
            "task": task,
            "goal": None if goal is None else {"metric": "val_accuracy", "at_least": goal},
        },
    }
    return Lesson(title, chapter, state)


def _faint(units: int) -> Dense:
    return Dense(units, weights=Normal(0.001))


LESSONS = {
    "neuron": _lesson(
        "One neuron", "01-neuron",
        "One neuron draws a straight line. Train it. How many held-out points does it get right, and why not all?",
        [Dense(1)], data={"name": "moons"}, loss=SigmoidCrossEntropy(), goal=0.87, hide=["lab", "badge"],
    ),
    "classes": _lesson(
        "Three classes", "02-classes",
        "Three classes need three outputs. Train the network, then click a point on the map: under Loss, "
        "compare p with t.",
        [Dense(3)], data={"name": "blobs"}, goal=0.9,
    ),
    "hidden-layer": _lesson(
        "A hidden layer", "04-hidden-layer",
        "No straight line separates these classes: training does not help. Add a hidden layer with +, and train again.",
        [Dense(2)], data={"name": "xor", "noise": 0.05}, goal=0.95, hide=["lab", "badge"],
    ),
    "chain-rule": _lesson(
        "The chain rule", "05-chain-rule",
        "Trace a training row. In Backward, choose a number in dx of a Tanh layer, and multiply its two factors "
        "yourself.",
        [Dense(2), Tanh(), Dense(2)], data={"samples": 100},
    ),
    "backpropagation": _lesson(
        "Backpropagation", "06-backpropagation",
        "Trace a training row and go through Backward. Each dy is the dx of the step before. Which layer's dx is never "
        "needed?",
        [Dense(4), Tanh(), Dense(4), Tanh(), Dense(2)], data={"samples": 100},
    ),
    "gradient-check": _lesson(
        "Is the gradient right?", "07-is-it-right",
        "Under Check and break, plant each mistake and train. With which does the loss fall all the same? Read "
        "what the check says.",
        [Dense(6), Tanh(), Dense(2)],
    ),
    "learning-rate": _lesson(
        "The learning rate", "08-learning",
        "The learning rate is far too small. Find a better one with a sweep, or choose another optimizer.",
        [Dense(16), Tanh(), Dense(16), Tanh(), Dense(2)], data={"name": "moons"}, optimizer=SGD(0.0001), goal=0.95,
    ),
    "starting-well": _lesson(
        "Starting well", "09-starting-well",
        "The weights start so near 0 that hardly any gradient reaches the first layers. Look at ‖∇‖ below each "
        "layer, then change the initial weights.",
        [_faint(8), Tanh(), _faint(8), Tanh(), _faint(8), Tanh(), _faint(2)], optimizer=SGD(0.1), goal=0.95,
    ),
    "overfitting": _lesson(
        "Overfitting", "10-overfitting",
        "The training loss falls while the held-out loss rises. Keep the curves, add an L2 penalty or Dropout, "
        "and compare.",
        [Dense(32), Tanh(), Dense(32), Tanh(), Dense(2)], data={"name": "moons", "samples": 120, "noise": 0.35},
    ),
    "convolution": _lesson(
        "Convolution", "12-convolution",
        "The 64 pixels are an image again, and each filter looks at windows of 3 by 3. Train it, then try other "
        "filters.",
        [Reshape((8, 8, 1)), Conv2D(4), ReLU(), Flatten(), Dense(10)], data={"name": "digits", "samples": 800},
        optimizer=Adam(0.01), goal=0.9,
    ),
}  # fmt: skip
"""The lessons, by the name that ``chainrule playground`` takes."""


def from_link(link: str) -> Any:
    """Return the state in a link of the page, not yet checked: JSON, deflated, in base64url, after ``#``."""
    text = link.rpartition("#")[2].partition(".")[0]  # a second network may follow
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, MESSAGE)
        if unpacking.unconsumed_tail:
            raise ValueError(f"more than {MESSAGE:,} bytes")
        return json.loads(content)
    except (ValueError, zlib.error, RecursionError) as error:
        raise RefusedError(None, f"the link holds no state of the playground ({error}): copy all of it.") from None


def opened(begin: str | None) -> dict[str, Any]:
    """Return the state to begin with: that of a lesson or a link, or of a file with rows or a whole state."""
    if begin is None:
        return BEGIN
    if begin in LESSONS:
        return LESSONS[begin].state
    if "#" in begin:
        return dict(read(from_link(begin)).json)
    file = Path(begin)
    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".json"):
        raise ValueError(
            f"{file}: expected a .csv or .json file, a link with a #, or a lesson ({', '.join(LESSONS)}), "
            f"got {kind or 'no ending'}."
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: expected UTF-8 text, got other bytes: save the file as UTF-8.") from None
    try:
        return dict(read(json.loads(text)).json) if kind == ".json" else begin_with(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: {str(error).removeprefix('data.csv: ')}") from None
