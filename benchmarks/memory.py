"""Memory of a fit in addition to the data."""

from __future__ import annotations

import importlib.util

from benchmarks import data, processes
from benchmarks.measure import Answer, Entry, Pool, Result, Workload, in_turn

NOTE = """Peak resident memory (ru_maxrss) of a process that creates 1,000,000 × 50 float32 numbers and labels and calls
MLPClassifier().fit on them for one epoch with the defaults, minus that of the same process without the call. Imports
during the call are included, also Numba and LLVM. "data" is the memory of the process without the call for X and y."""

CODE = """
import resource
import sys
import numpy as np
from {module} import MLPClassifier
rows, columns, fits = map(int, sys.argv[1:])
scale = 2**20 if sys.platform == "darwin" else 2**10
X = np.empty((rows, columns), np.float32)
np.random.default_rng(0).standard_normal(dtype=np.float32, out=X)
y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
accuracy = 0.0
if fits:
    import warnings
    warnings.simplefilter("ignore")
    model = MLPClassifier(max_iter=1, random_state=0).fit(X, y)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accuracy = model.score(X[:10000], y[:10000])
else:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(most / scale, (X.nbytes + y.nbytes) / 2**20, accuracy)
"""
MODULES = {"chainrule": "chainrule", "chainrule, NumPy": "chainrule", "scikit-learn": "sklearn.neural_network"}
ENTRIES = [Entry(label) for label in MODULES]


def _measure(workload: Workload, pool: Pool) -> Result:
    result = Result(workload)
    entries = pool.entries(result)
    if importlib.util.find_spec("resource") is None:
        result.left_out = {entry.label: "this system has no ru_maxrss" for entry in entries}
        return result
    return in_turn(result, {entry.label: lambda e=entry: _fit(e, pool) for entry in entries}, pool.options)


def _fit(entry: Entry, pool: Pool) -> Answer:
    rows = 1000 if pool.options.quick else 1_000_000
    most, accuracy, size = [], 0.0, 0.0
    for fits in (0, 1):
        code = CODE.format(module=MODULES[entry.label])
        _, _, line = processes.run(
            code, str(rows), "50", str(fits), pool=pool, environment=entry.contestant.environment
        )
        peak, size, accuracy = map(float, line.split())
        most.append(peak)
    extra = most[1] - most[0]
    return data.result(extra, data_MiB=size, data_and_extra_MiB=size + extra, accuracy=accuracy)


WORKLOADS = [Workload("memory", "fit of 1,000,000 × 50 float32", "MiB beyond the data", ENTRIES, measure=_measure)]
