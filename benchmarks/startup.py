"""Time from process start to the first prediction."""

from __future__ import annotations

from benchmarks import data, processes
from benchmarks.measure import Answer, ContestantError, Entry, Pool, Result, Workload, in_turn

NOTE = """A new Python process loads a saved 784-100-10 network, predicts one row and prints it: safetensors, joblib and
a state_dict. Files are in the system's cache. The last line is a process that only imports NumPy."""

SIZES = [784, 100, 10]
CODES = {
    "chainrule": """
import sys
import numpy as np
import chainrule as cr
network = cr.load(sys.argv[1])
print(network.predict(np.ones((1, 784), np.float32)).max(), flush=True)
""",
    "scikit-learn": """
import sys
import joblib
import numpy as np
model = joblib.load(sys.argv[1])
print(model.predict_proba(np.ones((1, 784), np.float32)).max(), flush=True)
""",
    "PyTorch": """
import sys
import torch
network = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
network.load_state_dict(torch.load(sys.argv[1]))
with torch.inference_mode():
    print(torch.softmax(network(torch.ones(1, 784)), 1).max().item(), flush=True)
""",
    "import numpy": "import numpy\nprint(1.0, flush=True)\n",
}


def _measure(workload: Workload, pool: Pool) -> Result:
    result, runs = Result(workload), {}
    for entry in pool.entries(result):
        path = ""
        if entry.label != "import numpy":
            try:
                path = pool.worker(entry).ask("save", {"sizes": SIZES, "folder": str(pool.options.folder)})["path"]
            except ContestantError as error:
                result.fail(entry.label, error)
                continue
            if not pool.options.quick:
                pool.close((entry.label, ""))
        _start(entry, path, pool)  # the files are now in the system's cache
        runs[entry.label] = lambda e=entry, p=path: _start(e, p, pool)
    return in_turn(result, runs, pool.options)


def _start(entry: Entry, path: str, pool: Pool) -> Answer:
    code, environment = CODES[entry.label], entry.contestant.environment
    first, _, line = processes.run(code, path, pool=pool, environment=environment)
    return data.result(first, **({"largest": float(line)} if path else {}))


ENTRIES = [Entry("chainrule"), Entry("scikit-learn"), Entry("PyTorch"), Entry("import numpy", "bare products")]
WORKLOADS = [Workload("startup", "process start to first prediction", "ms", ENTRIES, measure=_measure)]
