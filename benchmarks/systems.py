"""What the README says was measured: the commands and the four examples, each run as a user would, in turn.

    CHAINRULE_DATA=folder/with/mnist python -m benchmarks.systems --keep

Every row is a process of its own, timed from its start to its end; the accuracy is what it prints.
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
TRAIN = [sys.executable, "-m", "chainrule.cli", "train"]
# what is run: the command, what it shows, and where that stands in its output
WORK = {
    "`chainrule train digits`": ([*TRAIN, "digits"], "accuracy on held-out images", r"accuracy ([\d.]+)"),
    "`chainrule train mnist`": ([*TRAIN, "mnist"], "accuracy on the 10,000 test images", r"accuracy ([\d.]+)"),
    "`mnist_tanh.py`, 784-30-10, 5 epochs": ("mnist_tanh.py", "test accuracy", r"mini-batches.*?% +([\d.]+ %)"),
    "`digits_relu_sigmoid.py`, 64-15-10": ("digits_relu_sigmoid.py", "wrong of 1,797", r"(\d+) of 1797"),
    "`moons_from_likelihood.py`": ("moons_from_likelihood.py", "largest gradient error", r"relative error ([\d.e-]+)"),
    "`digits_validated.py`": ("digits_validated.py", "test accuracy, used once", r"test accuracy ([\d.]+ %)"),
}


def main() -> None:
    print(f"{report.heading(1)}\n\n| run | what it shows | shown | seconds in all |\n|---|---|---:|---:|")
    rows: dict[str, dict[str, str]] = {}
    for name, (what, shows, pattern) in WORK.items():
        command = [sys.executable, str(EXAMPLES / what)] if isinstance(what, str) else what
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - start
        found = re.findall(pattern, result.stdout)
        rows[name] = {"what it shows": shows, "shown": found[-1], "seconds in all": f"{seconds:.1f}"}
        print(f"| {name} | {shows} | {found[-1]} | {seconds:.1f} |", flush=True)

    times = [(seconds_of("import chainrule"), seconds_of("import numpy")) for _ in range(15)]
    beyond = 1000 * statistics.median(ours - numpys for ours, numpys in times)
    print(f"| `import chainrule` | milliseconds beyond `import numpy` | {beyond:.0f} | |")
    rows["`import chainrule`"] = {"what it shows": "milliseconds beyond `import numpy`", "shown": f"{beyond:.0f}"}
    if sys.argv[1:] == ["--keep"]:
        report.keep("systems", rows)


def seconds_of(code: str) -> float:
    """Return how long a new process takes for ``code``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
