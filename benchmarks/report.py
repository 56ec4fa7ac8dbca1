"""Output: the machine, a table for each group of workloads, the ratios; and the result files."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.measure import Result

PACKAGES = {
    "chainrule": "chainrule", "NumPy": "numpy", "SciPy": "scipy", "Numba": "numba", "scikit-learn": "scikit-learn",
    "PyTorch": "torch", "JAX": "jax", "Keras": "keras",
}  # fmt: skip
RESULTS = Path(__file__).parent / "results"
TEXT = ("workload", "contestant", "reached", "with", "ours")  # columns of words


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages."""
    found = {"Python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int | float]:
    """Return a description of the machine."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    described: dict[str, str | int | float] = {
        "cpu": cpu, "cores": os.cpu_count() or 0, "system": platform.system(), "architecture": platform.machine(),
    }  # fmt: skip
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        described["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return described


def heading(repeats: int) -> str:
    """Return the first lines of the output."""
    about = machine()
    memory = f", {about['memory_gib']:.0f} GiB" if "memory_gib" in about else ""
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    on = f"{about['cpu']}, {about['cores']} cores{memory}, {about['system']} {about['architecture']}"
    return f"{installed}\n{on}; medians of {repeats} runs in turns"


def number(value: float) -> str:
    """Format with three significant digits, or as an integer from 100 on."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _reached(values: Mapping[str, float]) -> str:
    shown = []
    for name, value in values.items():
        whole = name.endswith(("_taken", "_MiB"))
        text = f"{value:.2%}" if "accuracy" in name else f"{value:,.0f}" if whole else f"{value:.4f}"
        shown.append(f"{name.removesuffix('_taken').replace('_', ' ')} {text}")
    return ", ".join(shown)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---" if name in TEXT else "---:" for name in header], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def table(results: Sequence[Result]) -> str:
    """Return a table with one line per workload and contestant."""
    unit = results[0].workload.unit
    labels = list(dict.fromkeys(entry.label for result in results for entry in result.workload.entries))
    roles = {e.label: e.contestant.role for result in results for e in result.workload.entries}
    measured = [label for label in labels if any(label in result.values for result in results)]
    compared = {"peer", "floor"} & {roles[label] for label in measured}
    bases = [label for label in measured if compared and roles[label] != "peer"]
    header = ["workload", "contestant", unit, "least … most", *(f"/ {base}" for base in bases), "reached", "with"]
    if not any(result.remarks for result in results):
        header.pop()
    lines = []
    for result in results:
        medians = result.medians()
        for i, (label, median) in enumerate(medians.items()):
            values = result.values[label]
            ratios = [number(median / medians[b]) if medians.get(b, 0) > 0 and b != label else "" for b in bases]
            line = [
                "" if i else result.workload.title, label, number(median),
                f"{number(min(values))} … {number(max(values))}", *ratios,
                _reached(result.reached[label]), ", ".join(result.remarks.get(label, [])),
            ]  # fmt: skip
            lines.append(line[: len(header)])
    return _table(header, lines)


def without(results: Sequence[Result]) -> list[str]:
    """Return a line for each contestant that was left out or failed."""
    lines: dict[str, list[str]] = {}
    for result in results:
        for label, reason in {**result.left_out, **{x: f"failed: {y}" for x, y in result.failed.items()}}.items():
            lines.setdefault(f"{label}: {reason}", []).append(result.workload.name)
    return [f"Without {line} ({', '.join(names)})" for line, names in lines.items()]


def summary(results: Sequence[Result]) -> str:
    """Return the table of ratios: each peer to chainrule, and chainrule to the floor."""
    peers = [name for name in CONTESTANTS if any(name in result.medians("peer") for result in results)]
    lines = []
    for result in results:
        theirs, floor = result.medians("peer"), [*result.medians("floor").values()]
        for label, median in result.medians("ours").items():
            if theirs and median > 0:
                ratios = [number(theirs[peer] / median) if peer in theirs else "" for peer in peers]
                above = number(median / floor[0]) if floor else ""
                lines.append([result.workload.title, label, *ratios, above])
    header = ["workload", "ours", *(f"{peer} / ours" for peer in peers), "ours / floor"]
    return _table(header, lines) if lines else "No peer took part."


def figures(results: Sequence[Result]) -> dict[str, dict[str, str]]:
    """Return the cells of the documents, by row and column: times of chainrule, and all others as multiples of them."""
    rows = {}
    for result in results:
        ours, unit = result.medians("ours"), result.workload.unit.split()[0]
        row = {label: f"{number(median)} {unit}" for label, median in ours.items()}
        for i, (base, median) in enumerate(ours.items()):
            for peer, theirs in (result.medians("peer") | result.medians("floor")).items():
                row |= {f"{peer} / {base}": f"{number(theirs / median)} ×"} if median > 0 else {}
                if not i:
                    row[peer] = row[f"{peer} / {base}"]
        rows[result.workload.title] = row
    return rows


def keep(name: str, rows: Mapping[str, Mapping[str, str]], **more: Any) -> None:
    """Write a result file, from which ``docs/figures.py`` updates README.md and docs."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    kept = {"command": command, "machine": machine(), "versions": versions(), "figures": rows, **more}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"saved to {path}", file=sys.stderr, flush=True)
