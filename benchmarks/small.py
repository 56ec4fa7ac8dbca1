"""A small dense network on all rows at once, with the same number of threads for every library."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """One training step of 4-32-16-4, tanh, squared error, Adam, float32, on 10,000 rows at once: forward, backward,
update. Nothing is shuffled or gathered. Each process has one core, or two, and as many threads. All start from the same
parameters. torch.compile and JAX compile a whole step, Keras is fit, with one step an epoch."""

ENTRIES = [Entry(x) for x in ("chainrule", "chainrule, NumPy", "PyTorch", "torch.compile", "JAX", "Keras")]
WORK = {
    "sizes": [4, 32, 16, 4], "rows": 10_000, "batch": 10_000, "epochs": 300, "activation": "tanh", "optimizer": "adam",
    "rate": 0.001, "loss": "squared_error",
}  # fmt: skip
WORKLOADS = [
    Workload(
        f"small-{setting[:1]}", f"4-32-16-4, 10,000 rows, {setting}", "µs a step", ENTRIES, "train", WORK,
        quick={"rows": 500, "batch": 500, "epochs": 2}, warm_up={"epochs": 100}, per="steps", settings=(setting,),
    )
    for setting in ("1 thread", "2 threads")
]  # fmt: skip
