"""The cost of a storage in a shared search: ``python -m benchmarks.tune_storage`` prints milliseconds per trial.

The trials are those of ``chainrule tune --storage`` without training: a point is drawn, ten epochs in each of three
folds are reported, the pruner decides after each, and the outcome is written. Each line is the median of runs in turns,
each with a study of its own. The PostgreSQL server runs on this machine, and does not wait for the disk; over a
network, each of the hundreds of queries of a trial takes longer.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # with the module that starts a PostgreSQL server

EPOCHS, FOLDS = 10, 3
MEMORY = "in memory"


def make_problem() -> Any:
    """Return the search for a small table, whose trials take no time."""
    import polars as pl

    from chainrule.tables import tuning
    from chainrule.tables.options import Options
    from chainrule.tables.tuning.objective import Outcome

    x = np.random.default_rng(0).normal(size=(100, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "same": x[:, 0] * x[:, 1] > 0})
    _, problem = tuning.prepare(frame, "same", FOLDS, Options())

    def evaluate(_point: Any, report: Any) -> Outcome:
        for step in range(FOLDS * EPOCHS):
            report(step, [0.5] * (1 + step // EPOCHS))
        return Outcome([0.5] * FOLDS, [EPOCHS] * FOLDS, 0.001)

    problem.evaluate = evaluate
    return problem


@contextlib.contextmanager
def study_in(storage: Any, problem: Any) -> Iterator[Any]:
    """Start a study in one of Optuna's own storages."""
    from chainrule.tables.tuning import study as studies

    with studies.quiet():
        study = studies.create(storage, studies.NAME, problem)
        studies.join(study, problem, {}, "", "")
        study.pruner, study.sampler = studies.pruner(), studies.sampler(None)
        yield study


def sqlite(path: Path) -> Any:
    """Return a SQLite storage with a write-ahead log."""
    import optuna
    import sqlalchemy

    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    with storage.engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def milliseconds(opened: Callable[[], Any], problem: Any, trials: int) -> float:
    """Search, and return the milliseconds per trial."""
    from chainrule.tables.tuning import Search

    with opened() as study:
        start = time.perf_counter()
        Search(study, problem, 0, trials, shared=True).run()
        return 1000 * (time.perf_counter() - start) / trials


def main() -> None:
    """Measure the storages in turns, and print the medians."""
    from chainrule.tables.tuning import shared

    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_storage", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50, help="trials of a run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="write results/tune_storage.json")
    given = parser.parse_args()
    problem = make_problem()
    found: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None
        try:
            import postgres

            server = stack.enter_context(postgres.server())
        except BaseException as error:  # noqa: BLE001  (pytest's Skipped is not an Exception)
            print(f"Without PostgreSQL: {error}", file=sys.stderr)
        for turn in range(given.repeats):
            ways = {
                MEMORY: partial(study_in, None, problem),
                "journal": partial(shared.opened, f"journal:{folder / str(turn)}", {}, problem),
                "SQLite with WAL": lambda turn=turn: study_in(sqlite(folder / f"{turn}.db"), problem),
            }
            if server:
                ways["PostgreSQL"] = partial(shared.opened, f"{server}#{turn}", {}, problem)
            for name, opened in ways.items():
                found.setdefault(name, []).append(milliseconds(opened, problem, given.trials))
    kept = {}
    for name, times in found.items():
        median = statistics.median(times)
        ratio = median / statistics.median(found["journal"])
        kept[name] = {"a trial": f"{report.number(median)} ms", "/ journal": f"{report.number(ratio)} ×"}
        print(f"{name:16}{median:8.1f} ms a trial  ({min(times):.1f} to {max(times):.1f}), {ratio:.2f} x journal")
    if given.keep:
        report.keep("tune_storage", kept)


if __name__ == "__main__":
    main()
