"""The state of the playground: what a link to it holds, checked, and the call of ``train`` that it describes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chainrule import losses, training
from chainrule._internal.names import named
from chainrule.files.descriptions import build, describe, table
from chainrule.files.values import ModelFileError
from chainrule.layers import Dense, Layer, Tanh
from chainrule.losses import Loss, SoftmaxCrossEntropy, SquaredError
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Adam, Optimizer
from chainrule.penalties import Constraint, Penalty
from chainrule.playground import bounds
from chainrule.playground.bounds import RefusedError, check_list, check_number, check_object, check_text, check_whole
from chainrule.playground.data import Data, Prepared, prepare
from chainrule.schedules import Constant, Schedule
from chainrule.training.callbacks import Callback

DEEPEST = 20  # parts, such as a Residual in a Residual, and lists of them

BEGIN: dict[str, Any] = {
    "data": {},
    "network": {
        "layers": [describe("a layer", layer, "Layer") for layer in (Dense(8), Tanh(), Dense(8), Tanh(), Dense(2))],
        "loss": describe("the loss", SoftmaxCrossEntropy(), "Loss"),
        "seed": 0,
    },
    "training": {
        "optimizer": describe("the optimizer", Adam(0.03), "Optimizer"),
        "schedule": describe("the schedule", Constant(), "Schedule"),
        "batch_size": 10,
        "penalties": [],
        "epochs": 10_000,
        "seed": 0,
    },
    "lesson": {"hide": [], "task": "", "goal": None},
}
"""The state to begin with."""


class Plan(NamedTuple):
    """A checked state: everything that determines what is seen, to the bit."""

    data: Data
    rows: Prepared
    layers: Sequence[Layer]
    loss: Loss
    seed: int
    """Of the initialization of the network."""
    optimizer: Optimizer
    schedule: Schedule
    penalties: Sequence[Penalty | Constraint]
    batch_size: int
    epochs: int
    training_seed: int
    json: Mapping[str, Any]
    """The state, complete."""

    @property
    def inputs(self) -> int:
        """Return the number of inputs."""
        return int(self.rows.X.shape[1])

    def network(self, layers: Sequence[Layer] | None = None) -> Network:
        """Return a new network; ``layers`` replaces those of the state, with an edited backward."""
        return Network(self.inputs, layers or self.layers, self.loss, seed=self.seed)

    def train(self, network: Network, callbacks: Sequence[Callback], state: Memo | None = None) -> None:
        """Train a network as ``state`` says: the one call of ``train`` in the playground."""
        rows = self.rows
        training.train(
            network, rows.X, rows.t, optimizer=self.optimizer, schedule=self.schedule, penalties=self.penalties,
            batch_size=self.batch_size, epochs=self.epochs, seed=self.training_seed, callbacks=callbacks, state=state,
            validation=(rows.X_test, rows.t_test) if len(rows.X_test) else None,
        )  # fmt: skip


def read(state: Any) -> Plan:
    """Return the plan of a state; raise a RefusedError that names the field."""
    state = check_object("state", state, BEGIN)
    network = check_object("network", state["network"], BEGIN["network"])
    run = check_object("training", state["training"], BEGIN["training"])
    lesson = _lesson(state["lesson"])
    layers = [
        _part("network.layers", layer, "Layer")
        for layer in check_list("network.layers", network["layers"], bounds.LAYERS)
    ]
    if not layers:
        raise RefusedError("network.layers", "network.layers: expected at least one layer.")
    loss = _loss(network["loss"])
    data = Data.read(state["data"])
    rows = prepare(data)
    _check_size(rows.X.shape[1], layers, loss)
    plan = Plan(
        data, rows, layers, loss,
        check_whole("network.seed", network["seed"], 0, 2**32 - 1),
        _part("training.optimizer", run["optimizer"], "Optimizer"),
        _part("training.schedule", run["schedule"], "Schedule"),
        [_penalty(term) for term in check_list("training.penalties", run["penalties"], 8)],
        check_whole("training.batch_size", run["batch_size"], 1, len(rows.X)),
        check_whole("training.epochs", run["epochs"], 1, bounds.EPOCHS),
        check_whole("training.seed", run["seed"], 0, 2**32 - 1),
        {},
    )  # fmt: skip
    return plan._replace(json=_complete(plan, lesson))


def begin_with(csv: str) -> dict[str, Any]:
    """Return a state to begin with for a CSV text: the last column is the target, and a network fits it."""
    rows = prepare(Data.read({"name": "csv", "csv": csv}))
    outputs = len(rows.classes) or 1
    loss = SoftmaxCrossEntropy() if rows.classes else SquaredError()
    layers = [*BEGIN["network"]["layers"][:-1], describe("a layer", Dense(outputs), "Layer")]
    return BEGIN | {
        "data": {"name": "csv", "csv": csv},
        "network": BEGIN["network"] | {"layers": layers, "loss": describe("the loss", loss, "Loss")},
        "training": BEGIN["training"] | {"batch_size": min(10, len(rows.X))},
    }


def _complete(plan: Plan, lesson: dict[str, Any]) -> dict[str, Any]:
    """Return the state with every argument of every part."""
    points = plan.data.points
    return {
        "data": vars(plan.data)
        | {"points": points and [list(p) for p in points]}
        | {name: list(getattr(plan.data, name)) for name in ("columns", "features")},
        "network": {
            "layers": [describe("a layer", layer, "Layer") for layer in plan.layers],
            "loss": describe("the loss", plan.loss, "Loss"),
            "seed": plan.seed,
        },
        "training": {
            "optimizer": describe("the optimizer", plan.optimizer, "Optimizer"),
            "schedule": describe("the schedule", plan.schedule, "Schedule"),
            "batch_size": plan.batch_size,
            "penalties": [
                describe("a penalty", term, "Penalty" if isinstance(term, Penalty) else "Constraint")
                for term in plan.penalties
            ],
            "epochs": plan.epochs,
            "seed": plan.training_seed,
        },
        "lesson": lesson,
    }


def _part(about: str, value: Any, base: str) -> Any:
    """Return the part of the library that a description names."""
    _check_sizes(about, value)
    try:
        return build(about, value, base)
    except ModelFileError as error:
        raise RefusedError(about, str(error).replace(" Is the file from a newer version?", "")) from None


def _check_sizes(about: str, value: Any, depth: int = 0) -> None:
    """Refuse large whole numbers, such as units, before anything has their size."""
    if depth > DEEPEST:
        raise RefusedError(about, f"{about}: nested more than {DEEPEST} deep.")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_sizes(f"{about}, {name}"[:120], inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_sizes(about, inner, depth + 1)
    elif isinstance(value, int) and abs(value) > bounds.WIDEST:
        raise RefusedError(about, f"{about}: expected at most {bounds.WIDEST:,}, got {value:,}.")


def _loss(value: Any) -> Loss:
    if isinstance(value, dict):
        loss: Loss = _part("network.loss", value, "Loss")
        return loss
    try:
        found: Loss = named("loss", check_text("network.loss", value, 80), Loss, losses)
    except (TypeError, ValueError) as error:
        raise RefusedError("network.loss", f"network.loss: {error}") from None
    return found


def _penalty(value: Any) -> Penalty | Constraint:
    name = value.get("type") if isinstance(value, dict) else None
    base = "Constraint" if isinstance(name, str) and name in table("Constraint") else "Penalty"
    term: Penalty | Constraint = _part("training.penalties", value, base)
    return term


def _check_size(inputs: int, layers: Sequence[Layer], loss: Loss) -> None:
    """Refuse a network whose shapes do not fit or that is too large, before its memory is reserved."""
    about = "network.layers"
    try:
        network = Network.blank(inputs, layers, loss, "float32")
    except (TypeError, ValueError) as error:
        raise RefusedError(about, str(error)) from None
    work = sum(layer.operations() for layer in network.layers)
    values = _values(network.layers)
    if network.layout.size > bounds.PARAMETERS or work > bounds.WORK or values > bounds.VALUES:
        raise RefusedError(
            about, f"{about}: {network.layout.size:,} parameters, {work:,} operations and {values:,} units: the "
            f"playground takes at most {bounds.PARAMETERS:,}, {bounds.WORK:,} and {bounds.VALUES:,}. train has no such "
            "limits.",
        )  # fmt: skip


def _values(layers: Sequence[Layer]) -> int:
    """Return the number of values that layers and those inside them give for one sample."""
    return sum(math.prod(layer.output_shape) + _values(layer.inner) for layer in layers)


def _lesson(value: Any) -> dict[str, Any]:
    lesson = check_object("lesson", value, BEGIN["lesson"])
    goal = lesson["goal"]
    if goal is not None:
        goal = check_object("lesson.goal", goal, {"metric": "val_accuracy", "at_least": 1.0})
        goal = {
            "metric": check_text("lesson.goal", goal["metric"], 80),
            "at_least": check_number("lesson.goal", goal["at_least"]),
        }
    hide = [check_text("lesson.hide", name, 80) for name in check_list("lesson.hide", lesson["hide"], 100)]
    return {"hide": hide, "task": check_text("lesson.task", lesson["task"], 4000), "goal": goal}
