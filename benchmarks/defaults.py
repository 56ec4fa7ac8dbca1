"""A complete fit, with scikit-learn's defaults or with SGD."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """MLPClassifier(random_state=0).fit(X, y) and nothing else: float64 input, 100 hidden units, Adam, batches of
200, up to 200 epochs, each library's default threads. In float64, both learn the same model, epoch by epoch; accuracy
is on the training rows. "float32" is chainrule with dtype="float32" on the same X. The row with SGD has float32 input
for all."""

ENTRIES = [Entry("chainrule"), Entry("chainrule, NumPy"), Entry("scikit-learn")]
FLOAT32 = Entry("chainrule, float32", "chainrule", {"dtype": "float32"})
SGD = {"hidden_layer_sizes": [15], "solver": "sgd", "batch_size": 15, "n_iter_no_change": 20}


def _workload(label: str, title: str, entries: list[Entry], **work: object) -> Workload:
    return Workload(
        f"defaults-{label}", title, "s", entries, "fit", work, quick={"rows": 400, "max_iter": 2},
        warm_up={"max_iter": 2}, settings=("",), mnist=label == "mnist",
    )  # fmt: skip


WORKLOADS = [
    _workload("digits", "defaults on digits, 1,797 × 64", [*ENTRIES, FLOAT32], name="digits"),
    _workload("tabular", "defaults on a table, 30,000 × 50", [*ENTRIES, FLOAT32], name="tabular"),
    _workload("mnist", "defaults on MNIST, 60,000 × 784", [*ENTRIES, FLOAT32], name="mnist"),
    _workload("digits-20", "defaults on digits, 20 epochs", [*ENTRIES, FLOAT32], name="digits", max_iter=20),
    _workload(
        "digits-sgd", "64-15-10 on digits, SGD, batch 15, 20 epochs, float32", ENTRIES, name="digits",
        precision="float32", max_iter=20, **SGD,
    ),
]  # fmt: skip
