"""Data-parallel training: the exchange between the processes that train one network together.

Each process, or rank, has some of the rows and a copy of the network. One function sums a vector over the ranks. It
adds up their gradients; with a part of the vector for each rank, it also tells all ranks the texts and rows of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np

from chainrule._internal.typing import Array
from chainrule.training.callbacks import Run

HINTS = {
    "chainrule": "Install the same version for every rank.",
    "batches": "Give every rank the same number of rows, or as many as make the same number of batches.",
    "parameters": "Create the network with the same seed on every rank.",
    "seed": "Pass the same seed on every rank: its streams differ between the ranks all the same.",
    "engine": "Install the same packages for every rank.",
}


class ParallelError(RuntimeError):
    """Raised on every rank if the ranks cannot train together: they differ, or one of them failed."""


@runtime_checkable
class Reduce(Protocol):
    """Interface of ``reduce=``: the rank of this process, the number of ranks, and a sum over all of them.

    >>> class Alone:
    ...     rank, size = 0, 1
    ...
    ...     def __call__(self, vector):
    ...         pass
    >>> isinstance(Alone(), Reduce)
    True
    """

    rank: int
    size: int

    def __call__(self, vector: Array, /) -> Any:
        """Replace a contiguous float32 or float64 vector by its sum over all ranks, in place."""


class Ranks:
    """The ranks that train one network together; without ``reduce``, this process alone, and every method is cheap.

    Attributes
    ----------
    rank, size : int
        Which rank this is, counted from 0, and how many there are.
    local : int
        How many of them run on this machine.
    """

    def __init__(self, reduce: Any) -> None:
        if reduce is not None and not isinstance(reduce, Reduce):
            raise TypeError(
                f"reduce: expected a function with the attributes rank and size, such as chainrule.parallel.MPI(), got "
                f"{reduce!r}."
            )
        self.sum: Any = reduce
        self.rank, self.size = (0, 1) if reduce is None else (int(reduce.rank), int(reduce.size))
        self.local = int(getattr(reduce, "local", 1))
        if not 0 <= self.rank < self.size:
            raise ValueError(f"reduce: expected a rank from 0 to {self.size - 1}, got {self.rank}.")

    def gather(self, rows: Array) -> Array:
        """Return the rows of all ranks, one rank after the other."""
        if self.size == 1:
            return rows
        counts = np.zeros(self.size)
        counts[self.rank] = len(rows)
        self.sum(counts)
        stops = np.cumsum(counts).astype(np.int64)
        everything = np.zeros((stops[-1], *rows.shape[1:]))  # float64: labels stay exact
        everything[stops[self.rank] - len(rows) : stops[self.rank]] = rows
        self.sum(everything.reshape(-1))
        return everything.astype(rows.dtype)

    def texts(self, text: str) -> list[str]:
        """Return the texts of all ranks."""
        if self.size == 1:
            return [text]
        content = np.frombuffer(text.encode(), np.uint8)
        stops = np.cumsum(self.gather(np.array([len(content)])))
        everything = self.gather(content).tobytes()
        return [everything[stop - size : stop].decode() for stop, size in zip(stops, np.diff(stops, prepend=0))]  # noqa: B905

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Raise an error on every rank if the ranks differ in one of these."""
        mine = json.dumps(facts)
        if len(set(self.texts(hashlib.sha256(mine.encode()).hexdigest()))) == 1:
            return
        first, *others = map(json.loads, self.texts(mine))
        for rank, other in enumerate(others, 1):
            for name in first:
                if other.get(name) != first[name]:
                    raise ParallelError(
                        f"the ranks differ: {name}: {first[name]} on rank 0, {other.get(name)} on rank {rank}. "
                        f"{HINTS.get(name, 'Give the same arguments on every rank.')}"
                    )

    @contextmanager
    def together(self) -> Iterator[None]:
        """If one rank raises an error in the block, raise one on every rank."""
        if self.size == 1:
            yield
            return
        problem: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  (raised again below)
            problem = error
        messages = self.texts("" if problem is None else f"{type(problem).__name__}: {problem}")
        if problem is not None:
            raise problem
        for rank, message in enumerate(messages):
            if message:
                raise ParallelError(f"rank {rank} failed with {message}")

    def end_epoch(self, run: Run) -> None:
        """Stop if one of the ranks stops; raise an error on every rank if their parameters differ."""
        if self.size == 1:
            return
        reasons = self.texts(run.stopped)
        if any(reasons):
            run.stopped = next(filter(None, reasons))
        digest = hashlib.sha256(run.network.values.data).hexdigest()
        if len(set(self.texts(digest))) > 1:
            raise ParallelError(
                f"the parameters of the ranks differ after epoch {run.epoch}: reduce must give every rank the same "
                "sum, and callbacks must change the network in the same way on every rank."
            )

    def average(self, statistics: Array, rows: int) -> None:
        """Replace the running statistics of this rank by the mean over all ranks, weighted by their rows."""
        if self.size > 1 and statistics.size:
            sums = np.append(rows * statistics.astype(np.float64), rows)
            self.sum(sums)
            statistics[:] = sums[:-1] / sums[-1]

    def deal(self, rows: int, classes: Array | None = None) -> Array:
        """Return the numbers of this rank's rows: equally many for each, and of each class, if these are given."""
        order = np.arange(rows) if classes is None else np.argsort(classes, kind="stable")
        return np.sort(order[self.rank : rows // self.size * self.size : self.size])

    def own(self, seed: np.random.SeedSequence) -> np.random.SeedSequence:
        """Return this rank's stream of a seed; that of rank 0 is the seed's own."""
        if self.rank == 0:
            return seed
        return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, self.rank), pool_size=seed.pool_size)


ALONE = Ranks(None)
"""This process, which trains by itself."""
