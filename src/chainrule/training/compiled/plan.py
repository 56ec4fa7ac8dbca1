"""The program of a training run: its operations in phases, and the integers and reals that they read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.network import Network
from chainrule.penalties import L1, L2, BoundPenalties, Constraint, MaxNorm, Penalty
from chainrule.training.clipping import Clip, ClipNorm, ClipValue
from chainrule.training.compiled import losses, updates
from chainrule.training.compiled.epoch import AT_THE_END, CHECK, CHECK_ALL, OF_PARAMETERS, OF_ROWS, ONCE, WITH_BARRIER
from chainrule.training.compiled.program import NotCompiled, Program, Table
from chainrule.training.state import Work

FEWEST = 200_000  # multiplications of a step, about 5 µs, from which on a second thread is worth waiting for
MANY = 50_000_000  # and from which on more than two threads are


class Plan:
    """The parts of a training run that do not change from step to step.

    Attributes
    ----------
    program : Program
    parts : int
        Of a batch, and of the parameters, each of which one thread can do. It depends on the work alone, not on the
        threads, so that the sums, and with them the result, do not either.
    by_rows : bool
        Whether each part of the batch gives a gradient of all parameters, and these are added up.
    """

    def __init__(self, work: Work) -> None:
        network = work.network
        _check(work)
        self.program = Program(network, sparse=work.batches.sparse)
        batch = work.batches.batch_size
        self.parts = _parts(batch, self.program.work)
        # What one thread writes and another reads is the slowest: the gradients, or else the activations of a batch.
        self.by_rows = network.layout.size <= batch * (math.prod(network.input_shape) + self.program.widths)
        self._work = work
        self._sums = work.accumulate > 1 or work.ranks.size > 1  # whether Σ n g is kept apart from the gradient

    def table(self, gather: Sequence[Any], norms: int, exchange: Any = None) -> Table:
        """Return its operations.

        ``gather`` are those that get the rows, ``norms`` is room for a MaxNorm, ``exchange`` sums over the ranks.
        """
        work, program = self._work, self.program
        outputs = work.network.output_shape[0]
        run, reals = _form(work.network.loss, losses)  # type: ignore[misc]  # checked above
        loss = (run, {"y": program.y, "outputs": outputs, "reals": reals})
        update, reals = _form(work.optimizer, updates)  # type: ignore[misc]
        operands = self._of_parameters(reals)
        measure, step = [(updates.measure, operands)], (update, operands)
        rows = [*gather, *program.forwards, loss, *program.backwards]
        table = Table(program.dtype)
        table.phase(OF_ROWS, [*rows, *program.gradients] if self.by_rows else rows)
        table.phase(CHECK, [], 0)
        shares = [] if self.by_rows else program.gradients
        if self._sums:
            table.phase(OF_PARAMETERS, [*shares, (updates.accumulate, operands)])
            shares = [(updates.average, operands)]
        if program.afterwards:
            table.phase(ONCE, program.afterwards, 0)
        if exchange is not None:
            table.phase(ONCE, [(updates.pack, operands), (exchange, {})], AT_THE_END | WITH_BARRIER)
            table.phase(OF_PARAMETERS, [(updates.unpack, operands)], AT_THE_END)
            table.phase(CHECK_ALL, [], AT_THE_END)
        if isinstance(work.clip, ClipNorm):
            table.phase(OF_PARAMETERS, [*shares, *measure], AT_THE_END | WITH_BARRIER)
            shares, measure = [], []
        table.phase(OF_PARAMETERS, [*shares, *measure, step], AT_THE_END | WITH_BARRIER)
        projections = _projections(work.network, work.penalties, norms)
        if projections:
            table.phase(ONCE, projections, AT_THE_END | WITH_BARRIER)
        return table

    def _of_parameters(self, reals: Sequence[float]) -> dict[str, Any]:
        work, program, layout = self._work, self.program, self._work.network.layout
        runs, strengths = _runs(work)
        blocks = [(e.where.start, _units(e.shape), math.prod(e.shape) // _units(e.shape)) for e in layout.entries]
        code, limit = _clip(work.clip)
        own = (
            program.constant(runs), program.address(strengths), program.constant(blocks), len(runs), code,
            self.parts if self.by_rows and not self._sums else 1, layout.size, len(blocks),
            self.parts if self.by_rows else 1,
        )  # fmt: skip
        return {"own": own, "reals": (*reals, *[0.0] * (7 - len(reals)), limit)}


def _check(work: Work) -> None:
    """Say what has no compiled form, apart from the layers."""
    for name, value, known in (
        ("the loss", work.network.loss, _form(work.network.loss, losses)),
        ("the optimizer", work.optimizer, _form(work.optimizer, updates)),
        ("clip", work.clip, work.clip is None or type(work.clip) in {ClipNorm, ClipValue} or None),
        *(("penalty", penalty, type(penalty) in {L1, L2, MaxNorm} or None) for penalty in work.penalties),
    ):
        if known is None:
            raise NotCompiled(f"{name}, {value!r}, has no compiled form")


def _form(part: Any, module: Any) -> tuple[Any, tuple[float, ...]] | None:
    """Return the operation of a loss or an optimizer, and its constants; None if it has no compiled form."""
    name = type(part).__name__
    if type(part).__module__ not in ("chainrule.losses", "chainrule.optimizers") or name not in module.KNOWN:
        return None
    run, names = module.KNOWN[name]
    return run, tuple(float(getattr(part, name, False)) for name in names)  # AdamW has no epsilon_hat


def _parts(batch: int, multiplications: int) -> int:
    if batch < 4 or 3 * batch * multiplications < FEWEST:
        return 1
    return 2 if 3 * batch * multiplications < MANY or batch < 32 else 4


def _units(shape: Sequence[int]) -> int:
    """Return into how many pieces an array of parameters can be cut: a vector into its values, W into its rows."""
    return math.prod(shape[:-1]) if len(shape) > 1 else shape[0]


def _clip(clip: Clip | None) -> tuple[int, float]:
    if clip is None:
        return updates.NO_CLIP, math.inf
    return (updates.CLIP_NORM if isinstance(clip, ClipNorm) else updates.CLIP_VALUE), float(clip.limit)  # type: ignore[attr-defined]


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


def _projections(network: Network, penalties: Sequence[Penalty | Constraint], norms: int) -> list[Any]:
    """Return the operations that keep weights within a MaxNorm, in the order of projection."""
    return [
        (updates.project, {"own": (e.where.start, math.prod(e.shape[:-1]), e.shape[-1], norms), "reals": (p.limit,)})
        for p in penalties
        if isinstance(p, MaxNorm)
        for e in BoundPenalties.entries(p, network.layout, len(network.layers))
    ]
