"""What the README says was measured: the commands and the four examples, each run as a user would, in turn.

    CHAINRULE_DATA=folder/with/mnist python benchmarks/systems.py

Every row is a process of its own, timed from its start to its end; the accuracy is what it prints.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import chainrule

EXAMPLES = Path(__file__).parents[1] / "examples"
COMMAND = [sys.executable, "-m", "chainrule.cli"]
ACCURACY = r"accuracy ([\d.]+)"
# what is run: the command, what it shows, and where in its output
WORK = {
    "`chainrule train digits`": ([*COMMAND, "train", "digits"], "accuracy on 360 held-out rows", ACCURACY),
    "`chainrule train mnist`": ([*COMMAND, "train", "mnist"], "accuracy on the 10,000 test images", ACCURACY),
}


def main() -> None:
    print(f"chainrule {chainrule.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, ", end="")
    print(f"{platform.machine()}, {os.cpu_count()} cores\n\n| run | what it shows | | seconds |\n|---|---|---|---|")
    for name, (command, shows, pattern) in WORK.items():
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - start
        found = re.findall(pattern, result.stdout)
        print(f"| {name} | {shows} | {found[-1]} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
