"""The recipe of the ensembles for tables: their networks, learning rates and epochs, and how they fit a time limit."""

from __future__ import annotations

import contextvars
import copy
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from chainrule._internal.names import lookup
from chainrule._internal.typing import Array
from chainrule.encoding import TableEncoding
from chainrule.ensemble import Unit
from chainrule.estimators._folds import FOLDS, folds
from chainrule.estimators._members import Member, Members
from chainrule.estimators._settings import ACTIVATIONS
from chainrule.initializers import LeCunNormal, Normal
from chainrule.layers import Dense, Layer, Scale
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.optimizers import AdamW
from chainrule.schedules import CosineLog

FEW = 1_000  # rows; below, there are twice as many members
BATCH = 64  # rows
SCALE_RATE = 6.0  # the factor of the learning rate for Scale, the first layer
PILOT = 10_000  # rows, for a trial
EXTENDED = 5_000  # rows; above, there are not more epochs than planned
CHANCE = 1.5  # standard errors
TRIAL = 50  # steps that are timed for ``max_minutes``
FEWEST_EPOCHS = 4  # that are worth training; rows are left out for them
PLANNED = 0.85  # share of ``max_minutes`` for the epochs, and
IN_TRAINING = 0.95  # the share after which none begins, even if they take longer than planned


@dataclass
class Target:
    """The targets of the networks, what the folds are stratified by, and the loss."""

    t: Array  # (rows,) labels from 0, or (rows, outputs) numbers
    strata: Array  # (rows,)
    outputs: int
    loss: Loss
    unit: Unit | None = None  # of numbers


def make_members(
    model: Any,
    encoding: TableEncoding,
    z: Array,
    target: Target,
    weight: Array | None,
    groups: Any,
    rng: np.random.Generator,
) -> Members:
    """Return the untrained members that an estimator's parameters ask for, each with its folds and seed."""
    inputs, plain = encoding.encode(z), encoding.plain
    count = FOLDS * (2 if len(z) < FEW else 1) if model.n_estimators == "auto" else int(model.n_estimators)
    batch = BATCH if model.batch_size == "auto" else int(model.batch_size)
    steps = math.ceil(len(z) * (FOLDS - 1) / FOLDS / batch)
    epochs, least_steps = model._epochs
    passes = max(1, round(least_steps / epochs / steps)) if model.max_iter == "auto" else 1
    epochs = epochs if model.max_iter == "auto" else int(model.max_iter)
    optimizer = AdamW(model.learning_rate_init, beta_2=0.95, weight_decay=model.weight_decay)
    given = model.hidden_layer_sizes
    sizes = [given] if isinstance(given, Integral) else list(given)
    layers = _layers(sizes, model.activation, target.outputs)
    members, first = [], np.zeros(0)
    for i in range(count):
        if i % FOLDS == 0:
            fold = folds(target.strata, groups, rng)
            first = first if i else fold
        seed = np.random.SeedSequence(int(rng.integers(2**63)))
        network = Network(inputs.shape[1], layers, target.loss, seed=seed)
        state = optimizer.start(network.theta, network.weights)
        rows = np.flatnonzero(fold != i % FOLDS)
        if not len(rows):
            raise ValueError("groups: all rows are in one group: expected at least two groups, to hold one out.")
        members.append(Member(network, rows, np.flatnonzero(fold == i % FOLDS), seed, state))
    fans = [plain + (inputs.shape[1] - plain) / 4, *sizes]
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    rates = {0: SCALE_RATE} | {i: 1 / math.sqrt(max(fan, 1)) for i, fan in zip(dense, fans, strict=True)}
    return Members(
        members, first, inputs, target.t, weight, model._measure, optimizer, CosineLog(), epochs, batch, rates, passes,
        may_extend=model.max_iter == "auto" and len(z) <= EXTENDED,
    )  # fmt: skip


def second_is_better(
    model: Any,
    first: tuple[TableEncoding, Target],
    second: tuple[TableEncoding, Target],
    losses: Callable[[Target, Array, Array], Array],
    z: Array,
    weight: Array | None,
    groups: Any,
    seed: int,
    threads: int,
    *,
    count: int = 1,
    epochs: float = 0.25,
    chance: float = CHANCE,
) -> bool:
    """Return whether the second of two encodings or targets is better than the first, by more than chance.

    ``count`` networks for each are trained on four folds of up to 10,000 rows, for a share of the epochs. The losses of
    their predictions for the rows of the fifth, a function of the target, the rows and the outputs, are compared row by
    row: their mean difference must exceed ``chance`` standard errors.
    """
    rng, some = np.random.default_rng([seed, 1]), np.arange(len(z))
    if len(z) > PILOT:
        some = np.sort(rng.choice(len(z), PILOT, replace=False))
        weight, groups = (None if values is None else values[some] for values in (weight, groups))
    both = []
    for encoding, target in (first, second):
        part = replace(target, t=target.t[some], strata=target.strata[some])
        made = make_members(model, encoding, z[some], part, weight, groups, np.random.default_rng([seed, 2]))
        made = replace(made, members=made.members[:count], scores=[], may_end=epochs == 1, may_extend=False)
        both.append(replace(made, epochs=max(1, int(epochs * made.epochs))))
    if sum(len(member.held_out) for member in both[0].members) < 2:
        return False

    def run(made: Members, target: Target) -> Array:
        made.run(made.epochs, 1, _no_report, lambda: False)
        if not made.scores:  # diverged
            return np.full(1, np.inf)
        made.finish()
        rows, out = made.out_of_fold()
        return losses(target, some[rows], out)

    with ThreadPoolExecutor(min(2, threads)) as pool:
        futures = [
            pool.submit(contextvars.copy_context().run, run, made, target)
            for made, (_, target) in zip(both, (first, second), strict=True)
        ]
        one, other = (future.result() for future in futures)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return False
    better = one - other
    with np.errstate(over="ignore"):
        return bool(better.mean() > chance * better.std(ddof=1) / math.sqrt(len(better)))


def fit_to_time(made: Members, rng: np.random.Generator, threads: int, seconds: float) -> None:
    """Reduce the epochs, and if necessary the rows, to what the time allows, by the time of a few steps."""
    began, member = time.monotonic(), made.members[0]
    for steps in (2, TRIAL):  # the first compiles
        some = member.rows[: steps * made.batch_size]
        trial = replace(
            member, network=copy.copy(member.network), state=copy.deepcopy(member.state), rows=some,
            held_out=member.held_out[: len(some) // (FOLDS - 1)], losses=[], values={}, logits={},
        )  # fmt: skip
        start = time.monotonic()
        timed = replace(made, members=[trial], scores=[], measure=_nothing, may_end=False, may_extend=False)
        timed.run(1, 1, _no_report, lambda: False)
        step = (time.monotonic() - start) / math.ceil(len(some) / made.batch_size)
    left = seconds - (time.monotonic() - began)
    per_epoch = step * math.ceil(len(member.rows) / made.batch_size) * len(made.members) / threads
    affordable = PLANNED * left / per_epoch if per_epoch > 0 else math.inf
    if affordable < FEWEST_EPOCHS:
        for one in made.members:
            count = max(2, int(len(one.rows) * affordable / FEWEST_EPOCHS))
            one.rows = np.sort(rng.choice(one.rows, min(count, len(one.rows)), replace=False))
    made.may_extend &= affordable >= made.epochs
    made.epochs = int(min(made.epochs, max(FEWEST_EPOCHS, affordable)))


def _layers(sizes: list[Any], activation: str, outputs: int) -> list[Layer]:
    between = lookup("activation", activation, ACTIVATIONS)
    stack: list[Layer] = [Scale()]
    for size in sizes:
        stack += [Dense(size, weights=LeCunNormal(), biases=Normal(1.0)), between()]
    return [*stack, Dense(outputs, weights="zeros")]


def _nothing(t: Array, out: Array, weight: Array | None) -> tuple[float, float, float]:  # noqa: ARG001  (a measure)
    return 0.0, 0.0, 0.0


def _no_report(member: int, epoch: int) -> None:
    pass
