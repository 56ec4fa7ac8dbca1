"""Prediction time."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """One call that returns the probabilities of these rows as a NumPy array, 784-100-10, float32, with the same
parameters in all libraries. scikit-learn: predict_proba. PyTorch: softmax of the network in inference mode. Bare
products: only the two matrix products, by NumPy into arrays that exist. Rows read once: their largest value, one thread
for each core."""

ENTRIES = [
    Entry("chainrule"),
    Entry("chainrule, predict_proba", "chainrule", {"estimator": True}),
    Entry("scikit-learn"),
    Entry("PyTorch"),
    Entry("bare products"),
]
READ = Entry("rows read once", "bare products", {"read": True})
WORKLOADS = [
    Workload(
        f"predict-{rows}", f"{rows:,} row{'s' if rows > 1 else ''} through 784-100-10", "µs a call",
        ENTRIES if rows == 1 else [*ENTRIES, READ], "predict",
        {"sizes": [784, 100, 10], "rows": rows, "calls": calls}, quick={"calls": 3}, per="calls",
    )
    for rows, calls in ((1, 5000), (10_000, 20))
]  # fmt: skip
