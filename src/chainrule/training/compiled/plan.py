"""A network and all that trains it as numbers, which is what compiled code can read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.threads import SMALL, Threads
from chainrule.layers import Dense, Dropout, Identity, Softmax
from chainrule.network import Network
from chainrule.penalties import L1, L2, BoundPenalties, Constraint, MaxNorm, Penalty
from chainrule.training.compiled import activations, losses, updates
from chainrule.training.compiled.columns import DENSE, DROPOUT, ELEMENTWISE, INPUTS, KIND, SOFTMAX
from chainrule.training.state import Work

FEWEST = 200_000  # multiplications of a step, about 5 µs, from which on a second thread is worth waiting for
FASTEST = 1_000_000  # multiplications up to which OpenBLAS has faster code for a product


class Plan(NamedTuple):
    """A network, its loss, optimizer, penalties and clip: what does not change while training."""

    layers: Any  # int64 (layers, 9)
    numbers: Any  # float64 (layers, 2): an activation's a and b, or dropout's keep
    first: int  # the first layer with parameters: none before it gets a gradient
    width: int  # activations of a row, all layers together
    draws: int  # numbers that dropout draws for a row
    loss: int
    loss_number: float
    optimizer: int
    optimizer_numbers: Any  # float64
    runs: Any  # int64 (runs, 2): the parts of theta with the same penalties and rate
    strengths: Any  # float64 (runs, 6)
    columns: Any  # int64 (k, 3): the weights that have a MaxNorm
    limits: Any  # float64 (k,)
    clip: int
    limit: float
    batch_size: int
    parts: int  # of a batch, and of the parameters, each of which one thread can do
    by_rows: bool  # whether each part of the batch gives a gradient of all parameters, and these are added up


def make_plan(work: Work) -> Plan | str:
    """Return the plan, or what has no compiled form."""
    network = work.network
    layers = _layers(network)
    loss = losses.encode(network.loss)
    optimizer, clip = updates.encode(work.optimizer), updates.encode_clip(work.clip)
    if isinstance(layers, str):
        return layers
    for name, value, code in (
        ("the loss", network.loss, loss), ("the optimizer", work.optimizer, optimizer), ("clip", work.clip, clip),
        *(("penalty", penalty, type(penalty) in {L1, L2, MaxNorm} or None) for penalty in work.penalties),
    ):  # fmt: skip
        if code is None:
            return f"{name}, {value!r}, has no compiled form"
    if work.batches.sparse:
        return "sparse rows have no compiled form"
    if work.accumulate > 1:
        return "steps of several batches (accumulate) have no compiled form"
    assert loss is not None and optimizer is not None and clip is not None  # noqa: S101, PT018  (said above)
    table, numbers, width, draws = layers
    runs, strengths = _runs(work)
    columns, limits = _columns(network, work.penalties)
    return Plan(
        table,
        numbers,
        next(i for i, row in enumerate(table) if row[KIND] == DENSE) if (table[:, KIND] == DENSE).any() else len(table),
        width,
        draws,
        *loss,
        optimizer[0],
        np.array(optimizer[1], dtype=np.float64),
        runs,
        strengths,
        columns,
        limits,
        *clip,
        work.batches.batch_size,
        _parts(work.batches.batch_size, network.layout.size, work.threads),
        # What one thread writes and another reads is the slowest: the gradients, or else the activations of a batch.
        network.layout.size <= work.batches.batch_size * (int(table[0, INPUTS]) + width),
    )


def _parts(batch: int, parameters: int, threads: Threads) -> int:
    """Return into how many parts a step is cut.

    It depends on the work alone, not on the threads, so that the sums, and with them the result, do not either; but for
    large products, which BLAS itself shares among more than two threads. Many small products are faster than one of
    medium size.
    """
    largest = threads.multiplications
    if batch < 4 or batch * parameters < FEWEST or (largest > SMALL and threads.allowed > 2):
        return 1
    return 4 if 2 * FASTEST < largest <= 4 * FASTEST else 2


def _layers(network: Network) -> tuple[Any, Any, int, int] | str:
    """Return the table of layers and their numbers, and what a row needs of activations and draws."""
    where = {(e.layer, e.name): e.where.start for e in network.layout.entries}
    table: list[list[int]] = []
    numbers: list[tuple[float, float]] = []
    at, end, draws = -1, 0, 0
    for i, layer in enumerate(network.layers):
        if type(layer) is Identity:
            continue
        inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape)
        kind, code, pair = DENSE, 0, (0.0, 0.0)
        activation = activations.encode(layer)
        if activation is not None:
            kind, (code, *ab) = ELEMENTWISE, activation
            pair = (ab[0], ab[1])
        elif type(layer) is Softmax:
            kind = SOFTMAX
        elif type(layer) is Dropout:
            kind, pair = DROPOUT, (1 - layer.rate, 0.0)
        elif type(layer) is not Dense:
            return f"layer {i}, {layer!r}, has no compiled form"
        # An activation right after Dense overwrites what it does not need again.
        in_place = kind == ELEMENTWISE and code not in activations.NEEDS_Z and table and table[-1][KIND] == DENSE
        y = at if in_place else end
        table.append([kind, code, inputs, outputs, where.get((i, "W"), -1), where.get((i, "b"), -1), at, y, draws])
        numbers.append(pair)
        at, end = y, max(end, y + outputs)
        draws += outputs if kind == DROPOUT else 0
    if not table:
        return "there is no layer to compile"
    return np.array(table, dtype=np.int64), np.array(numbers), end, draws


def _runs(work: Work) -> tuple[Any, Any]:
    """Return the parts of theta with the same penalties, weight decay and rate, and how strong these are."""
    layout, count = work.network.layout, len(work.network.layers)
    strength = {entry.key: [0.0] * 5 + [work.layer_rates.get(entry.layer, 1.0)] for entry in layout.entries}
    for penalty in work.penalties:
        if isinstance(penalty, L1 | L2):
            for entry in BoundPenalties.entries(penalty, layout, count):
                strength[entry.key][isinstance(penalty, L2) + 2 * penalty.per_row] += penalty.strength
    for entry in layout.select(None, biases=work.optimizer.biases):
        strength[entry.key][4] = work.optimizer.weight_decay
    runs: list[list[int]] = []
    strengths: list[list[float]] = []
    for entry in layout.entries:
        if strengths and strengths[-1] == strength[entry.key]:
            runs[-1][1] = entry.where.stop
        else:
            runs.append([entry.where.start, entry.where.stop])
            strengths.append(strength[entry.key])
    return np.array(runs, dtype=np.int64).reshape(-1, 2), np.array(strengths).reshape(-1, 6)


def _columns(network: Network, penalties: Sequence[Penalty | Constraint]) -> tuple[Any, Any]:
    """Return where the weights with a MaxNorm are, their shapes and limits, in the order of projection."""
    bound = [
        (entry.where.start, *entry.shape, penalty.limit)
        for penalty in penalties
        if isinstance(penalty, MaxNorm)
        for entry in BoundPenalties.entries(penalty, network.layout, len(network.layers))
    ]
    table = np.array(bound, dtype=np.float64).reshape(-1, 4)
    return np.ascontiguousarray(table[:, :3].astype(np.int64)), np.ascontiguousarray(table[:, 3])
