"""The examples: each is run as its reader would run it, and the numbers that it prints are what it promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
MNIST = Path(os.environ.get("CHAINRULE_DATA") or ROOT.parent / "shared" / "data" / "mnist")
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


def run(folder, name, *arguments, width=100):
    """Run an example in an empty folder, with every warning an error, and return the lines that it prints."""
    # One thread: the products are small, and the machine may be busy.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "CHAINRULE_DATA": str(MNIST)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.sub(r"chainrule: compiling.*\n", "", done.stderr) == ""
    assert max(map(len, done.stdout.splitlines())) <= width
    return done.stdout.splitlines()


def after(lines, label):
    """Return the number that follows a label."""
    (line,) = [line for line in lines if label in line]
    return float(re.search(NUMBER, line.split(label)[1]).group())


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not here, and tests download nothing")
def test_mnist_tanh(tmp_path):
    lines = run(tmp_path, "mnist_tanh.py", "--full-batch", "2")
    rows = {
        match["name"].strip(): match
        for line in lines
        if (match := re.match(r"(?P<name>.{28})  +(?P<epochs>\d+) +(?P<train>[\d.]+) % +(?P<test>[\d.]+) % ", line))
    }
    full_batch = rows.pop("full-batch gradient descent")
    assert full_batch["epochs"] == "2"
    assert float(full_batch["test"]) < 90  # two steps
    assert [*rows] == ["momentum, mini-batches of 64", "with L2(5e-4)", "with L1(1e-4)", "with Dropout(0.1)"]
    for row in rows.values():
        assert int(row["epochs"]) <= 5
        assert float(row["test"]) >= 95
        assert float(row["train"]) >= 96


def test_digits_relu_sigmoid(tmp_path):
    lines = run(tmp_path, "digits_relu_sigmoid.py")
    rows = [line.split() for line in lines if re.match(r" +\d +[01]\.", line)]
    assert [row[0] for row in rows] == list("0123456789")
    for _, precision, recall, f1, _ in rows:
        assert min(map(float, (precision, recall, f1))) >= 0.99
    assert sum(int(row[-1]) for row in rows) == 1797


def test_moons_from_likelihood(tmp_path):
    lines = run(tmp_path, "moons_from_likelihood.py", "--pictures", "here")
    assert after(lines, "largest difference to 1 / (1 + exp(-(x w + b))):") < 1e-12
    loss = after(lines, "loss of the network:")
    assert loss == pytest.approx(after(lines, "-mean(t log p + (1 - t) log(1 - p)):"), abs=1e-13)
    assert after(lines, "largest deviation of a row's sum of probabilities from 1:") < 1e-12

    checks = [line.split() for line in lines if re.match(r"\d  Dense\(\d+\) +d[Wb] ", line)]
    assert [(row[1], row[2]) for row in checks] == [
        (f"Dense({units})", parameter) for units in (100, 50, 40, 10) for parameter in ("dW", "db")
    ]
    for row in checks:
        assert float(row[-3]) < 1e-6
        assert abs(float(row[-2]) - 2) < 0.1
        assert row[-1] == "ok"
    assert after(lines, "The gradient is correct: largest relative error") < 1e-6

    seeds = [line.split() for line in lines if re.match(r" +\d  ", line)]
    assert [int(row[0]) for row in seeds] == list(range(10))
    for row in seeds:
        assert float(row[2]) < 0.1
        assert row[3] == "yes"
    for picture in ("moons_loss.png", "moons_boundary.png"):
        assert (tmp_path / "here" / picture).read_bytes().startswith(b"\x89PNG")


def test_digits_validated(tmp_path):
    lines = run(tmp_path, "digits_validated.py")
    assert lines[0] == "721 images for training, 482 for validation, 594 for testing"
    losses = {}
    for line in lines:
        if match := re.match(r" +(\d+), +(\d+)   ", line):
            cells = re.findall(r"([\d.]+) \([\d.]+\)", line[match.end() :])
            losses |= {(match[1], match[2], column): float(loss) for column, loss in enumerate(cells)}
    (chosen,) = [re.search(r"layers of (\d+) and (\d+), L2\((.*)\)", line) for line in lines if "chosen" in line]
    first, second, _ = min(losses, key=losses.get)
    assert len(losses) == 24
    assert (chosen[1], chosen[2]) == (first, second)
    assert after(lines, "test accuracy") >= 96


def test_digits_convolutional(tmp_path):
    lines = run(tmp_path, "digits_convolutional.py", "--epochs", "8")
    assert lines[0] == "721 images for training, 482 for validation, 594 for testing"
    rows = [match for line in lines if (match := re.match(r" +(\d+) +(yes|no) +(\d) +([\d.]+) +[\d.]+ %", line))]
    assert len(rows) == 8
    best = min(rows, key=lambda row: float(row[4]))
    (chosen,) = [line for line in lines if line.startswith("chosen")]
    assert (best[3], best[1]) == re.search(r"(\d) network\(s\) of width (\d+)", chosen).groups()
    assert ("shifted" in chosen) == (best[2] == "yes")
    assert after(lines, "test accuracy") >= 98


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not here, and tests download nothing")
def test_mnist_records(tmp_path):
    few = ["--rows", "1200", "--epochs", "1", "--json", "records.json", "--picture", "records.png"]
    lines = run(tmp_path, "mnist_records.py", *few, "--validate", width=200)
    table = [line for line in lines if line.startswith("| ") and " % |" in line]
    assert len(table) == 6  # a row for each configuration
    assert (tmp_path / "records.png").stat().st_size > 10_000
    kept = json.loads((tmp_path / "records.json").read_text())
    assert [run["seed"] for run in kept["dense"]] == [0, 1, 2, 3, 4]  # the members of the ensemble
    again = run(tmp_path, "mnist_records.py", *few, "--validate", width=200)
    assert not any("seed" in line for line in again)  # everything was there already
