"""A complete fit with scikit-learn's defaults."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """MLPClassifier(random_state=0).fit(X, y) and nothing else: float64 input, 100 hidden units, Adam, batches of
200, up to 200 epochs, each library's default threads. In float64, both learn the same model, epoch by epoch; accuracy
is on the training rows. "float32" is chainrule with dtype="float32" on the same X."""

ENTRIES = [
    Entry("chainrule"),
    Entry("chainrule, NumPy"),
    Entry("chainrule, float32", "chainrule", {"dtype": "float32"}),
    Entry("scikit-learn"),
]
TITLES = {
    "digits": "defaults on digits, 1,797 × 64",
    "tabular": "defaults on a table, 30,000 × 50",
    "mnist": "defaults on MNIST, 60,000 × 784",
}
WORKLOADS = [
    Workload(
        f"defaults-{name}", title, "s", ENTRIES, "fit", {"name": name}, quick={"rows": 400, "max_iter": 2},
        warm_up={"max_iter": 2}, settings=False, mnist=name == "mnist",
    )
    for name, title in TITLES.items()
]  # fmt: skip
