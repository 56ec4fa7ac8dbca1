"""The time that Numba adds to the first process on a machine, and to every later one."""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks import data, processes
from benchmarks.measure import Answer, ContestantError, Entry, Pool, Result, Workload, in_turn

NOTE = """A new Python process that trains 64-15-10 for one epoch, timed from start to exit, minus the same process
without compiled code: first with an empty cache (NUMBA_CACHE_DIR), then with the cache that the first run filled."""

CODE = """
import numpy as np
import chainrule as cr
from chainrule.layers import Dense, ReLU
X = np.random.default_rng(0).random((1797, 64), dtype=np.float32)
t = np.arange(1797) % 10
network = cr.Network(64, [Dense(15), ReLU(), Dense(10)], cr.losses.SoftmaxCrossEntropy(), seed=0)
history = cr.train(network, X, t, optimizer=cr.optimizers.Momentum(0.01), epochs=1, batch_size=15, seed=0)
print(history["loss"][-1])
"""
FIRST, LATER, NUMPY = "first process", "later process", "process with NumPy"


def _measure(workload: Workload, pool: Pool) -> Result:
    """Measure the three in turn; the differences are those of one round."""
    result = Result(workload)
    entries = {entry.label: entry for entry in pool.entries(result)}
    if not {FIRST, LATER, NUMPY} <= {*entries}:
        return result
    state: dict[str, Any] = {}

    def whole(label: str) -> tuple[float, float]:
        environment = {**entries[label].contestant.environment, "NUMBA_CACHE_DIR": state["cache"]}
        _, seconds, line = processes.run(CODE, pool=pool, environment=environment)
        return seconds, float(line)

    def numpy() -> Answer:
        state.clear()
        state["cache"] = tempfile.mkdtemp(dir=pool.options.folder)
        state["seconds"], loss = whole(NUMPY)
        return data.result(state["seconds"], loss=loss)

    def compiled(label: str) -> Answer:
        if "seconds" not in state:
            raise ContestantError("the process with NumPy failed")
        seconds, loss = whole(label)
        return data.result(seconds - state["seconds"], loss=loss, whole_seconds=seconds)

    runs = {NUMPY: numpy, FIRST: lambda: compiled(FIRST), LATER: lambda: compiled(LATER)}
    return in_turn(result, runs, pool.options)


ENTRIES = [Entry(NUMPY, "chainrule, NumPy"), Entry(FIRST, "chainrule"), Entry(LATER, "chainrule")]
WORKLOADS = [Workload("first-use", "time added by Numba", "s", ENTRIES, measure=_measure)]
