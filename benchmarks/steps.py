"""Time of one training step: SGD with momentum in float32, and Adam with dropout."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """One training step, float32: gather the rows, forward, backward, update; the time of all epochs divided by the
number of steps. Random rows, with labels from a linear rule. All start from the same parameters and see the same
batches, so the loss of the last epoch is the same, with two exceptions: scikit-learn has one output for the two classes
of moons, and dropout masks differ. Bare products: only the matrix products and the gathering, one NumPy call each."""

EVERYONE = [
    Entry(name)
    for name in ("chainrule", "chainrule, NumPy", "scikit-learn", "PyTorch", "torch.compile", "JAX", "bare products")
]
WITH_DROPOUT = [Entry(x) for x in ("chainrule", "chainrule, NumPy", "PyTorch", "torch.compile", "bare products")]


def _workload(name: str, title: str, entries: list[Entry], epochs: int, **work: object) -> Workload:
    quick = {"rows": 300, "epochs": 2, "batch": 15}
    if work["sizes"][0] > 100:
        quick["sizes"] = [784, 30, 10]
    return Workload(
        name, title, "µs a step", entries, "train", {"epochs": epochs, **work}, quick=quick,
        warm_up={"epochs": -(-epochs // 4)}, per="steps",
    )  # fmt: skip


WORKLOADS = [
    _workload("digits", "digits 64-15-10, batch 15", EVERYONE, 40, sizes=[64, 15, 10], rows=1797, batch=15),
    _workload(
        "moons", "moons 2-10-2, batch 100", EVERYONE, 300, sizes=[2, 10, 2], rows=1000, batch=100, activation="tanh"
    ),
    _workload(
        "mnist", "MNIST 784-30-10, batch 128", EVERYONE, 2, sizes=[784, 30, 10], rows=60_000, batch=128,
        activation="tanh",
    ),
    _workload(
        "wide", "wide 784-512-512-10, batch 128", EVERYONE, 1, sizes=[784, 512, 512, 10], rows=12_800, batch=128
    ),
    _workload(
        "dropout", "784-512-512-10, batch 128, Adam, dropout 0.2", WITH_DROPOUT, 1, sizes=[784, 512, 512, 10],
        rows=12_800, batch=128, optimizer="adam", rate=0.001, dropout=0.2,
    ),
]  # fmt: skip
