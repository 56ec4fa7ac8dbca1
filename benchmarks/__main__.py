"""The command line: ``python -m benchmarks [workload or group ...]``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks import (
    __doc__ as about,
)
from benchmarks import (
    accuracy,
    compiling,
    data,
    defaults,
    first_use,
    growth,
    images,
    lenet,
    memory,
    prediction,
    report,
    search,
    small,
    startup,
    steps,
)
from benchmarks.contestants import CONTESTANTS
from benchmarks.measure import Options, Pool, Result, Workload, measure

GROUPS: dict[str, ModuleType] = {
    "steps": steps, "defaults": defaults, "accuracy": accuracy, "prediction": prediction, "search": search,
    "startup": startup, "memory": memory, "first-use": first_use, "compiling": compiling, "growth": growth,
    "images": images, "lenet": lenet, "small": small,
}  # fmt: skip
QUICK = ("chainrule", "chainrule, NumPy", "scikit-learn", "bare products")


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.repeats is not None and arguments.repeats < 1:
        sys.exit(f"python -m benchmarks: --repeats: expected at least 1, got {arguments.repeats}")
    if arguments.keep and arguments.quick:
        sys.exit("python -m benchmarks: --keep and --quick are mutually exclusive: --quick does not measure real sizes")
    if arguments.list:
        for group, module in GROUPS.items():
            print(f"{group}: {' '.join(workload.name for workload in module.WORKLOADS)}")
        return 0
    chosen = _chosen(arguments.workloads)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            arguments.repeats or (1 if arguments.quick else 5), arguments.quick,
            arguments.contestants or (QUICK if arguments.quick else None), Path(folder), _say,
        )  # fmt: skip
        if not arguments.json:
            print(report.heading(options.repeats))
        groups = _measure(chosen, options, tables=not arguments.json)
    for group in groups if arguments.keep else ():
        report.keep(group, report.figures(groups[group]), **_everything({group: groups[group]}, options))
    if "growth" in groups:
        _draw(groups["growth"], arguments.picture)
    results = [result for group in groups.values() for result in group]
    if arguments.json:
        print(json.dumps(_everything(groups, options), indent=1, ensure_ascii=False))
    else:
        print(f"\n## Ratios\n\n{report.summary(results)}\n")
        print("\n".join(report.without(results)))
    return int(any(result.failed for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=about.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="workloads or groups, as printed by --list; all by default")
    parser.add_argument("--list", action="store_true", help="print every group and its workloads")
    parser.add_argument("--repeats", type=int, help="number of counted runs per contestant, 5 by default")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write benchmarks/results/GROUP.json, from which the documents take their figures",
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one repeat, to check that everything runs")
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, metavar="NAME", help=f"only these, of {', '.join(CONTESTANTS)}"
    )
    parser.add_argument("--picture", type=Path, default=Path("growth.png"), help="file for the plot of growth")
    return parser


def _chosen(names: list[str]) -> dict[str, list[Workload]]:
    """Return the requested workloads by group; exit if one is unknown."""
    known = {name for group, module in GROUPS.items() for name in (group, *(w.name for w in module.WORKLOADS))}
    if unknown := sorted({*names} - known):
        sys.exit(f"python -m benchmarks: unknown workload {', '.join(unknown)}: --list prints them all")
    chosen = {
        group: [w for w in module.WORKLOADS if not names or group in names or w.name in names]
        for group, module in GROUPS.items()
    }
    return {group: workloads for group, workloads in chosen.items() if workloads}


def _measure(chosen: dict[str, list[Workload]], options: Options, *, tables: bool) -> dict[str, list[Result]]:
    pool, groups = Pool(options), {}
    try:
        for group, workloads in chosen.items():
            groups[group] = [_one(workload, pool) for workload in workloads]
            if not options.quick:
                pool.close()
            if tables and any(result.values for result in groups[group]):
                print(f"\n## {group}\n\n{GROUPS[group].NOTE}\n\n{report.table(groups[group])}", flush=True)
    finally:
        pool.close()
    return groups


def _one(workload: Workload, pool: Pool) -> Result:
    if workload.mnist and not data.has_mnist():
        result = Result(workload)
        result.left_out["this workload"] = "it needs CHAINRULE_DATA, a folder with the four MNIST files"
        return result
    return measure(workload, pool)


def _draw(results: list[Result], path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        _say("growth: no plot, matplotlib is not installed")
        return
    growth.draw(results, path)
    _say(f"growth: plot saved to {path}")


def _everything(groups: dict[str, list[Result]], options: Options) -> dict[str, object]:
    return {
        "machine": report.machine(),
        "versions": report.versions(),
        "repeats": options.repeats,
        "quick": options.quick,
        "results": [result.as_dict(group) for group, results in groups.items() for result in results],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
