"""Grid search with cross-validation."""

from __future__ import annotations

from benchmarks.measure import Entry, Workload

NOTE = """GridSearchCV with 20 candidates and 5 folds on digits, at most 50 epochs each, float64: four widths, five
penalties. With two jobs, the processes are started and do their imports in the warm-up."""

ENTRIES = [Entry("chainrule"), Entry("chainrule, NumPy"), Entry("scikit-learn")]
GRID = {"hidden_layer_sizes": [[15], [30], [50], [100]], "alpha": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
WORKLOADS = [
    Workload(
        f"search-{jobs}", f"20 candidates × 5 folds on digits, n_jobs={jobs}", "s", ENTRIES, "search",
        {"jobs": jobs, "folds": 5, "rows": None, "epochs": 50, "grid": GRID},
        quick={"rows": 200, "folds": 2, "epochs": 1, "grid": {"hidden_layer_sizes": [[5], [10]]}},
        warm_up={"epochs": 1}, settings=("",),
    )
    for jobs in (1, 2)
]  # fmt: skip
