"""Bring newly measured training times into docs/mnist.json: ``python -m benchmarks.mnist records.json``.

``examples/mnist_records.py --json records.json`` measures. Only times are replaced. If an error differs from that in
docs/mnist.json, which rounding alone can cause, it is printed and nothing is written, unless ``--errors`` is given,
which replaces these runs as a whole.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs" / "mnist.json"
Run = dict[str, Any]


def merge(known: dict[str, list[Run]], measured: dict[str, list[Run]]) -> list[str]:
    """Replace the time of each run whose error is unchanged, and the others as a whole; return a line for those."""
    lines = []
    for name, runs in measured.items():
        by_seed = {run["seed"]: run for run in known.setdefault(name, [])}
        for run in map(_rounded, runs):
            before = by_seed.get(run["seed"])
            if before and round(before["error"], 2) == run["error"]:
                before["seconds"] = run["seconds"]
                continue
            was = f"{before['error']:.2f} %" if before else "not known"
            lines.append(f"{name}, seed {run['seed']}: {run['error']:.2f} %, was {was}")
            by_seed[run["seed"]] = run
        known[name] = [*by_seed.values()]
    return lines


def _rounded(run: Run) -> Run:
    curve = {"curve": [round(value, 6) for value in run["curve"]]} if "curve" in run else {}
    return run | {"error": round(run["error"], 2), "seconds": round(run["seconds"], 1)} | curve


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.mnist", description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, help="file written by examples/mnist_records.py")
    parser.add_argument("--errors", action="store_true", help="replace runs with another error too, curve included")
    arguments = parser.parse_args()
    known = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    lines = merge(known, json.loads(arguments.records.read_text(encoding="utf-8")))
    print("\n".join(lines) or "every error is unchanged")
    if lines and not arguments.errors:
        sys.exit("nothing was written: --errors replaces these runs")
    DOCUMENT.write_text(json.dumps(known), encoding="utf-8")


if __name__ == "__main__":
    main()
