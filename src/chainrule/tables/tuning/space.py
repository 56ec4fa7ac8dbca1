"""The search space as data, and the arguments of the estimator at a point in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.schedules import Cosine, OneCycle, Schedule

if TYPE_CHECKING:
    from optuna import Trial
else:
    Trial = Any

CLASSES = ("binary", "multiclass")
EVERY = (*CLASSES, "regression", "multilabel")
SCHEDULES: dict[str, Schedule | str] = {"one-cycle": OneCycle(), "cosine": Cosine(), "constant": "constant"}


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter: a number between two bounds, or one of several values, and the reason for this range.

    >>> Dimension("units", "hidden_layer_sizes", "an example", low=16, high=512, log=True).shown()
    '16 to 512, on a logarithmic scale'
    """

    name: str
    argument: str
    why: str
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[Any, ...] = ()
    tasks: tuple[str, ...] = EVERY

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return not self.choices and isinstance(self.low, int)

    def suggest(self, trial: Trial) -> Any:
        """Return the value that Optuna's sampler suggests."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        suggest: Any = trial.suggest_int if self.whole else trial.suggest_float
        return suggest(self.name, self.low, self.high, log=self.log)

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return type(value) in (int, str) and value in self.choices
        return type(value) in ((int,) if self.whole else (int, float)) and self.low <= value <= self.high

    def shown(self) -> str:
        """Return the range in words."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}{', on a logarithmic scale' if self.log else ''}"


SPACE = (
    Dimension("layers", "hidden_layer_sizes", "tables seldom need more, and one is often enough", low=1, high=3),
    Dimension(
        "units", "hidden_layer_sizes", "per hidden layer, around the default of 128 or 256",
        low=16, high=512, log=True,
    ),
    Dimension(
        "activation", "activation", "a kink, two smooth variants of it, and a bounded one for very noisy columns",
        choices=("relu", "gelu", "silu", "tanh"),
    ),
    Dimension("dropout", "dropout", "from none to half of the units; higher rates seldom learn", low=0.0, high=0.5),
    Dimension(
        "alpha", "alpha", "L2 penalty, from negligible to one that keeps the weights near zero",
        low=1e-6, high=10.0, log=True,
    ),
    Dimension(
        "learning_rate", "learning_rate_init", "for Adam, a tenth to ten times the default; larger ones diverge",
        low=3e-4, high=3e-2, log=True,
    ),
    Dimension(
        "batch_size", "batch_size", "smaller ones take time, larger ones take too few steps; at most half the rows",
        choices=(16, 32, 64, 128, 256),
    ),
    Dimension(
        "schedule", "learning_rate", "a learning rate that rises and falls, only falls, or is constant",
        choices=tuple(SCHEDULES),
    ),
    Dimension(
        "label_smoothing", "label_smoothing", "helps if labels are wrong; above a fifth, it blurs the classes",
        low=0.0, high=0.2, tasks=CLASSES,
    ),
)  # fmt: skip


def space(task: str, rows: int, defaults: Mapping[str, Any], fixed: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Return the dimensions to search for a task with this many rows, without those that the user has fixed.

    >>> fixed = {"alpha": 0.1, "hidden_layer_sizes": (8,)}
    >>> [dimension.name for dimension in space("regression", 1000, {"batch_size": 32}, fixed)]
    ['activation', 'dropout', 'learning_rate', 'batch_size', 'schedule']
    """
    found = []
    for dimension in SPACE:
        if task not in dimension.tasks or dimension.argument in fixed:
            continue
        if dimension.name == "batch_size":
            sizes = {size for size in dimension.choices if 2 * size <= rows} | {defaults["batch_size"]}
            dimension = Dimension("batch_size", "batch_size", dimension.why, choices=tuple(sorted(sizes)))  # noqa: PLW2901
        found.append(dimension)
    return tuple(found)


def point(defaults: Mapping[str, Any], dimensions: tuple[Dimension, ...]) -> dict[str, Any]:
    """Return the default of ``train`` as a point in the space.

    Raises
    ------
    ValueError
        When the space does not contain it.
    """
    sizes = defaults["hidden_layer_sizes"]
    names = {schedule: name for name, schedule in SCHEDULES.items()}
    values = {
        "layers": len(sizes),
        "units": sizes[0] if sizes else 0,
        "activation": defaults["activation"],
        "dropout": defaults["dropout"],
        "alpha": defaults["alpha"],
        "learning_rate": defaults["learning_rate_init"],
        "batch_size": defaults["batch_size"],
        "schedule": names.get(defaults["learning_rate"]),
        "label_smoothing": defaults.get("label_smoothing", 0.0),
    }
    for dimension in dimensions:
        if values[dimension.name] not in dimension:
            raise ValueError(f"the default of {dimension.name}, {values[dimension.name]}, is not in the search space.")
    return {dimension.name: values[dimension.name] for dimension in dimensions}


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the estimator at a point in the space.

    >>> arguments({"layers": 2, "units": 32, "learning_rate": 0.01})
    {'learning_rate_init': 0.01, 'hidden_layer_sizes': (32, 32)}
    """
    found = {d.argument: values[d.name] for d in SPACE if d.name in values and d.argument != "hidden_layer_sizes"}
    if "learning_rate" in found:
        found["learning_rate"] = SCHEDULES[found["learning_rate"]]
    if "layers" in values:
        found["hidden_layer_sizes"] = (values["units"],) * values["layers"]
    return found
