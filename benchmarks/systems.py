"""The commands and example systems of the README, run one after another as a user would.

    CHAINRULE_DATA=folder/with/mnist python -m benchmarks.systems --keep

Each row is a separate process, timed from start to exit; the result is read from its output.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report

EXAMPLES = Path(__file__).parents[1] / "examples"
TRAIN = [sys.executable, "-m", "chainrule", "train"]
# name: (example or command, what it measures, pattern that finds the result in its output)
WORK = {
    "`chainrule train digits`": ([*TRAIN, "digits"], "accuracy on held-out images", r"accuracy ([\d.]+)"),
    "`chainrule train mnist`": ([*TRAIN, "mnist"], "accuracy on the 10,000 test images", r"accuracy ([\d.]+)"),
    "`mnist_tanh.py`, 784-30-10, 5 epochs": ("mnist_tanh.py", "test accuracy", r"mini-batches.*?% +([\d.]+ %)"),
    "`digits_relu_sigmoid.py`, 64-15-10": ("digits_relu_sigmoid.py", "misclassified, out of 1,797", r"(\d+) of 1797"),
    "`moons_from_likelihood.py`": ("moons_from_likelihood.py", "largest gradient error", r"relative error ([\d.e-]+)"),
    "`digits_validated.py`": (
        "digits_validated.py",
        "test accuracy (test set evaluated once)",
        r"test accuracy ([\d.]+ %)",
    ),
}
IMPORT = "import time in ms, in addition to `import numpy`"


def main() -> None:
    print(f"{report.heading(1)}\n\n| run | measure | result | total time (s) |\n|---|---|---:|---:|")
    rows: dict[str, dict[str, str]] = {}
    for name, (what, measure, pattern) in WORK.items():
        command = [sys.executable, str(EXAMPLES / what)] if isinstance(what, str) else what
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - start
        found = re.findall(pattern, result.stdout)
        rows[name] = {"measure": measure, "result": found[-1], "total time (s)": f"{seconds:.1f}"}
        print(f"| {name} | {measure} | {found[-1]} | {seconds:.1f} |", flush=True)

    times = [(seconds_of("import chainrule"), seconds_of("import numpy")) for _ in range(15)]
    extra = 1000 * statistics.median(ours - numpys for ours, numpys in times)
    rows["`import chainrule`"] = {"measure": IMPORT, "result": f"{extra:.0f}"}
    print(f"| `import chainrule` | {IMPORT} | {extra:.0f} | |")
    if sys.argv[1:] == ["--keep"]:
        report.keep("systems", rows)


def seconds_of(code: str) -> float:
    """Return the seconds that a new process takes to run ``code``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
