"""A short training run in a new process, including compilation, against JAX."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """The training call alone, in a process that has imported everything and has the data; import times are listed
separately. JAX compiles in every process; Numba's compiled code is loaded from its cache, which the first use on the
machine fills (see first-use for its time). 784-30-10, batch 128, SGD with momentum, 60,000 rows, float32."""

ENTRIES = [Entry("chainrule"), Entry("chainrule, NumPy"), Entry("JAX")]
WORK = {"sizes": [784, 30, 10], "rows": 60_000, "batch": 128, "activation": "tanh"}
WORKLOADS = [
    Workload(
        f"epochs-{epochs}", f"{epochs} epoch{'s' if epochs > 1 else ''} of MNIST 784-30-10 in a new process", "s",
        ENTRIES, "train", {**WORK, "epochs": epochs}, quick={"rows": 500, "epochs": 1}, fresh=True,
        warm_up={"epochs": 1},
    )
    for epochs in (1, 3, 10)
]  # fmt: skip
