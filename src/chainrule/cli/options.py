"""The options of a training: their good defaults for each data set, and what is built from them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from chainrule import layers as layers_module
from chainrule import optimizers, schedules
from chainrule._internal.names import lookup, public_classes
from chainrule.cli import bounds
from chainrule.cli.train_options import hidden_sizes
from chainrule.layers import Dense, Dropout, Layer
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import L1, L2, MaxNorm
from chainrule.schedules import Schedule
from chainrule.training.clipping import ClipNorm


@dataclass(frozen=True)
class Options:
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


_PLANE = Options(layers=(32, 32), activation="tanh", epochs=60, batch_size=32, learning_rate=0.01)
RECIPES = {
    "digits": Options(
        layers=(256, 256),
        activation="gelu",
        dropout=0.4,
        input_dropout=0.1,
        epochs=60,
        batch_size=64,
        learning_rate=0.005,
    ),
    "mnist": Options(layers=(256,), dropout=0.2, epochs=10, batch_size=128, learning_rate=0.002),
    "moons": _PLANE,
    "circles": _PLANE,
    "spirals": _PLANE,
}


def resolve(dataset: str, layers: str | None = None, **given: Any) -> Options:
    """Return the data set's defaults with what was given in their place.

    >>> resolve("mnist", "100,50", epochs=3).layers, resolve("mnist").epochs
    ((100, 50), 10)
    """
    changes = {name: value for name, value in given.items() if value is not None}
    recipe = RECIPES[dataset]
    if changes.get("optimizer", recipe.optimizer) != recipe.optimizer:  # which has a good learning rate of its own
        changes.setdefault("learning_rate", None)
    if layers is not None:
        changes["layers"] = hidden_sizes(layers)
    options = dataclasses.replace(recipe, **changes)
    bounds.check("train", dataclasses.asdict(options))
    return dataclasses.replace(options, learning_rate=optimizer(options).learning_rate)


def network(options: Options, inputs: int, outputs: int) -> Network:
    """Build the network: hidden layers, each with its activation and dropout, and a last layer for the classes."""
    activation = lookup("activation", options.activation, public_classes(layers_module, layers_module.Activation))
    stack: list[Layer] = [Dropout(options.input_dropout)] if options.input_dropout else []
    for size in options.layers:
        stack += [Dense(size), activation()]
        if options.dropout:
            stack.append(Dropout(options.dropout))
    loss = SoftmaxCrossEntropy(label_smoothing=options.label_smoothing)
    return Network(inputs, [*stack, Dense(outputs)], loss, seed=options.seed)


def optimizer(options: Options) -> Optimizer:
    """Return the optimizer, with its own learning rate where none is given."""
    cls = lookup("optimizer", options.optimizer, public_classes(optimizers, Optimizer))
    chosen: Optimizer = cls() if options.learning_rate is None else cls(learning_rate=options.learning_rate)
    return chosen


def schedule(options: Options) -> Schedule:
    """Return the schedule, with arguments that suit the number of epochs.

    >>> schedule(Options((), epochs=30, batch_size=32, learning_rate=0.1, schedule="step"))
    Step(10)
    """
    epochs = max(1, options.epochs)
    table: dict[str, Schedule] = {
        "constant": schedules.Constant(),
        "inverse-time": schedules.InverseTime(0.1),
        "inverse-scaling": schedules.InverseScaling(),
        "exponential": schedules.Exponential(0.01 ** (1 / epochs)),  # down to a hundredth
        "step": schedules.Step(max(1, epochs // 3)),  # a tenth after each third
        "cosine": schedules.Cosine(),
        "one-cycle": schedules.OneCycle(),
    }
    chosen = lookup("schedule", options.schedule, table)
    if not options.warm_up:
        return chosen
    if options.warm_up >= options.epochs:
        raise ValueError(
            f"--warm-up: expected fewer than the {options.epochs} epochs, got {options.warm_up:g}: "
            "the full learning rate would never be reached."
        )
    return schedules.WarmUp(options.warm_up, then=chosen)


def arguments(options: Options) -> dict[str, Any]:
    """Return the arguments of :func:`chainrule.train` that follow from the options."""
    penalties = (L1, options.l1), (L2, options.l2), (MaxNorm, options.max_norm)
    return {
        "optimizer": optimizer(options),
        "schedule": schedule(options),
        "penalties": [cls(strength) for cls, strength in penalties if strength],
        "clip": ClipNorm(options.clip_norm) if options.clip_norm else None,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "seed": options.seed,
    }
