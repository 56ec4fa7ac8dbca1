"""Training on a data set: good defaults for each, and what is built from the options."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from chainrule import layers as layers_module
from chainrule import optimizers, schedules
from chainrule._internal.names import lookup, public_classes
from chainrule.cli.options import check_bounds, hidden_sizes
from chainrule.layers import Activation, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, Reshape
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import L1, L2, MaxNorm
from chainrule.schedules import Schedule
from chainrule.training.clipping import ClipNorm


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is built and trained; 0 means "none" where that makes sense."""

    layers: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float | None
    activation: str = "relu"
    dropout: float = 0.0
    input_dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float = 0.0
    optimizer: str = "adam"
    schedule: str = "one-cycle"
    warm_up: float = 0.0
    clip_norm: float = 0.0
    patience: int = 0
    label_smoothing: float = 0.0
    seed: int = 0


FILTERS, SMALLEST = (16, 32), 8  # of the convolutions for images, and pixels of an image that has them
RECIPES = {
    "digits": Recipe((64,), 60, 64, 0.02, label_smoothing=0.1),  # as accurate as larger ones, and can be read
    "mnist": Recipe((256,), 10, 128, 0.002, dropout=0.2),
    "images": Recipe((64,), 30, 32, 0.002, dropout=0.3),
    **dict.fromkeys(("moons", "circles", "spirals"), Recipe((32, 32), 60, 32, 0.01, activation="tanh")),
}


def resolve(dataset: str, layers: str | None = None, **given: Any) -> Recipe:
    """Return the recipe of the data set with the given options in place of its defaults.

    >>> resolve("mnist", "100,50", epochs=3).layers, resolve("mnist").epochs
    ((100, 50), 10)
    """
    changes = {name: value for name, value in given.items() if value is not None}
    default = RECIPES[dataset]
    if changes.get("optimizer", default.optimizer) != default.optimizer:  # it has its own learning rate
        changes.setdefault("learning_rate", None)
    if layers is not None:
        changes["layers"] = hidden_sizes(layers)
    recipe = dataclasses.replace(default, **changes)
    check_bounds("train", dataclasses.asdict(recipe))
    return dataclasses.replace(recipe, learning_rate=optimizer(recipe).learning_rate)


def network(recipe: Recipe, inputs: int, outputs: int, image: tuple[int, int, int] | None = None) -> Network:
    """Build the network: hidden layers, each with its activation and dropout, and an output layer.

    For images of (height, width, channels), two convolutions come first, each followed by pooling.
    """
    activation = lookup("activation", recipe.activation, public_classes(layers_module, Activation))
    stack: list[Layer] = [Dropout(recipe.input_dropout)] if recipe.input_dropout else []
    if image is not None:
        stack.append(Reshape(image))
        for filters in FILTERS if min(image[:2]) >= SMALLEST else FILTERS[:0]:
            stack += [Conv2D(filters, 3, padding="same"), MaxPool2D(2), activation()]
        stack.append(Flatten())
    for size in recipe.layers:
        stack += [Dense(size), activation()]
        if recipe.dropout:
            stack.append(Dropout(recipe.dropout))
    loss = SoftmaxCrossEntropy(label_smoothing=recipe.label_smoothing)
    return Network(inputs, [*stack, Dense(outputs)], loss, seed=recipe.seed)


def optimizer(recipe: Recipe) -> Optimizer:
    """Return the optimizer, with its own learning rate if none is given."""
    cls = lookup("optimizer", recipe.optimizer, public_classes(optimizers, Optimizer))
    chosen: Optimizer = cls() if recipe.learning_rate is None else cls(learning_rate=recipe.learning_rate)
    return chosen


def schedule(recipe: Recipe) -> Schedule:
    """Return the schedule, with arguments that suit the number of epochs.

    >>> schedule(Recipe((), epochs=30, batch_size=32, learning_rate=0.1, schedule="step"))
    Step(10)
    """
    table: dict[str, Schedule] = {
        "constant": schedules.Constant(),
        "inverse-time": schedules.InverseTime(0.1),
        "inverse-scaling": schedules.InverseScaling(),
        "exponential": schedules.Exponential(0.01 ** (1 / recipe.epochs)),  # down to a hundredth
        "step": schedules.Step(max(1, recipe.epochs // 3)),  # a tenth after each third
        "cosine": schedules.Cosine(),
        "one-cycle": schedules.OneCycle(),
    }
    chosen = lookup("schedule", recipe.schedule, table)
    if not recipe.warm_up:
        return chosen
    if recipe.warm_up >= recipe.epochs:
        raise ValueError(
            f"--warm-up: expected fewer than the {recipe.epochs} epochs, got {recipe.warm_up:g}: "
            "the full learning rate would never be reached."
        )
    return schedules.WarmUp(recipe.warm_up, then=chosen)


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of :func:`chainrule.train` that follow from the recipe."""
    penalties = (L1, recipe.l1), (L2, recipe.l2), (MaxNorm, recipe.max_norm)
    return {
        "optimizer": optimizer(recipe),
        "schedule": schedule(recipe),
        "penalties": [cls(strength) for cls, strength in penalties if strength],
        "clip": ClipNorm(recipe.clip_norm) if recipe.clip_norm else None,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
    }
