"""Scaling of the time per epoch with rows, width, depth and batch size, with a plot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Entry, Result, Workload

NOTE = """One epoch of 100-100-10 on 10,000 rows, batch 128, SGD with momentum, float32, as one quantity varies: rows,
units of the hidden layer, number of hidden layers of 100 units, batch size. Bare products: only the matrix products and
the gathering of rows."""

ENTRIES = [Entry("chainrule"), Entry("chainrule, NumPy"), Entry("bare products")]
# quantity: (axis label, values)
PANELS = {
    "rows": ("rows", (1000, 3000, 10_000, 30_000, 100_000)),
    "width": ("units of the hidden layer", (10, 30, 100, 300, 1000, 3000)),
    "depth": ("hidden layers of 100 units", (1, 2, 4, 8, 16)),
    "batch": ("rows a batch", (8, 32, 128, 512, 2048)),
}
STYLES = {
    "chainrule": {"label": "chainrule with Numba", "color": "tab:blue", "marker": "o"},
    "chainrule, NumPy": {"label": "chainrule with NumPy", "color": "tab:orange", "marker": "s"},
    "bare products": {
        "label": "bare matrix products of NumPy, its floor",
        "color": "0.35",
        "marker": "",
        "linestyle": "--",
    },
}


def _work(panel: str, value: int) -> dict[str, Any]:
    rows = value if panel == "rows" else 10_000
    width = value if panel == "width" else 100
    depth = value if panel == "depth" else 1
    batch = value if panel == "batch" else 128
    return {"sizes": [100, *[width] * depth, 10], "rows": rows, "batch": batch, "epochs": max(1, 50_000 // rows)}


WORKLOADS = [
    Workload(
        f"{panel}-{value}", f"{called}: {value:,}", "ms an epoch", ENTRIES, "train", _work(panel, value),
        quick={"rows": 1000, "batch": min(_work(panel, value)["batch"], 1000), "epochs": 1}, per="epochs",
    )
    for panel, (called, values) in PANELS.items()
    for value in values
]  # fmt: skip


def draw(results: Sequence[Result], path: Path) -> None:
    """Plot four panels on log-log axes and save them to a file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained", sharey=True)
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    for (panel, (called, _)), ax in zip(PANELS.items(), axes.flat, strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        for result in results:
            if match := re.fullmatch(rf"{panel}-(\d+)", result.workload.name):
                for label, median in result.medians().items():
                    lines.setdefault(label, []).append((int(match[1]), median))
        for label, points in lines.items():
            ax.plot(*zip(*sorted(points), strict=True), **STYLES[label])
        ax.set(xscale="log", yscale="log", xlabel=called)
        if lines:
            ax.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
        ax.minorticks_off()
        ax.xaxis.set_major_formatter(plain)
        ax.yaxis.set_major_formatter(plain)
        ax.grid(alpha=0.3)
    for ax in axes[:, 0]:
        ax.set_ylabel("ms an epoch")
    figure.suptitle("Time of an epoch: 100-100-10, 10,000 rows, batch 128, where one of them changes")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(STYLES), frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
