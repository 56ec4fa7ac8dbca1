"""Time to a given test accuracy on MNIST."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """Seconds of training until the accuracy on the 10,000 test images, evaluated after every epoch (not counted),
reaches the target: 784-256-10, ReLU, Adam with rate 0.001, batch 128, float32, 60,000 images, the same start and the
same order for all. Rounding alone may shift the result by an epoch or two. scikit-learn: one partial_fit per epoch."""

ENTRIES = [Entry(x) for x in ("chainrule", "chainrule, NumPy", "scikit-learn", "PyTorch", "torch.compile")]
WORK = {
    "sizes": [784, 256, 10], "rows": 60_000, "batch": 128, "epochs": 40, "optimizer": "adam", "rate": 0.001,
    "real": True,
}  # fmt: skip
WORKLOADS = [
    Workload(
        f"accuracy-{percent}", f"{percent} % test accuracy on MNIST", "s", ENTRIES, "reach",
        {**WORK, "target": percent / 100}, mnist=True,
        quick={"rows": 2000, "sizes": [784, 30, 10], "epochs": 3, "target": 0.3, "test_rows": 500},
        warm_up={"epochs": 1, "target": 0.5},
    )
    for percent in (97, 98)
]  # fmt: skip
