"""The gallery: each script is run as its reader would run it, and the numbers that it prints are what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

pytestmark = pytest.mark.slow
GALLERY = Path(__file__).resolve().parents[1] / "examples" / "gallery"


def run(folder, name):
    """Run a script in an empty folder, with every warning an error, and return the lines that it prints."""
    # One thread: the products are small, and the machine may be busy.
    done = subprocess.run(
        [sys.executable, "-W", "error", str(GALLERY / f"{name}.py"), "--pictures", "here"],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.sub(r"chainrule: compiling.*\n", "", done.stderr) == ""
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert (folder / "here" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in folder.iterdir()] == ["here"]
    return done.stdout.splitlines()


def table(lines, pattern):
    """Return {first cell: the numbers after it} of the lines whose beginning has the pattern."""
    found = {}
    for line in lines:
        if match := re.match(rf" *({pattern})  +(?=[\d.]+)", line):
            found[match[1]] = [float(cell) for cell in re.findall(r"[\d.]+", line[match.end() :])]
    return found


def after(lines, label):
    """Return the number that follows a label."""
    (line,) = [line for line in lines if label in line]
    return float(re.match(r" *([\d.]*\d)", line.split(label)[1])[1])


def test_every_script_is_tested():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in GALLERY.glob("*.py")} <= tested


def test_class_weights(tmp_path):
    rows = table(run(tmp_path, "class_weights"), r"none|\{1: 5\}|balanced")
    assert [*rows] == ["none", "{1: 5}", "balanced"]
    recall, precision, balanced, _ = zip(*rows.values(), strict=True)
    assert recall[0] < 0.4
    assert recall[2] > 0.6
    assert list(recall) == sorted(recall)
    assert list(precision) == sorted(precision, reverse=True)  # the price
    assert list(balanced) == sorted(balanced)


def test_quantile_band(tmp_path):
    lines = run(tmp_path, "quantile_band")
    below = table(lines, r"0\.05|0\.50|0\.95")
    assert [*below] == ["0.05", "0.50", "0.95"]
    for quantile, (share, epochs) in below.items():
        assert share == pytest.approx(100 * float(quantile), abs=4)
        assert epochs < 1000
    assert after(lines, "coverage of the band:") == pytest.approx(90, abs=3)
    parts = table(lines, r"0\.\d\d - [01]\.\d\d")
    assert len(parts) == 4
    for coverage, width, true in parts.values():
        assert coverage == pytest.approx(90, abs=5)
        assert width == pytest.approx(true, rel=0.15)


def test_dropout_overfitting(tmp_path):
    rows = table(run(tmp_path, "dropout_overfitting"), r"0\.\d\d")
    assert [*rows] == ["0.00", "0.30", "0.60"]
    train, held_out, wrong = zip(*rows.values(), strict=True)
    assert list(train) == sorted(train, reverse=True)
    assert list(wrong) == sorted(wrong, reverse=True)
    assert wrong[0] > 50 > 20 > wrong[2]
    assert held_out[2] > held_out[0] + 0.05


def test_learning_curves(tmp_path):
    lines = run(tmp_path, "learning_curves")
    assert "val_loss" in lines[1]
    rows = table(lines, r"\d+  (?:first|lowest|last)")
    (first, lowest, last) = rows.values()
    assert first[0] > lowest[0] > last[0]  # the training loss falls on
    assert lowest[1] < 0.7 * last[1]  # that of validation does not
    epochs = int([*rows][2].split()[0])
    assert after(lines, "with early stopping:") < epochs / 3
    stopped, free = re.findall(r"0\.\d+", next(line for line in lines if line.startswith("test accuracy")))
    assert float(stopped) > float(free)


def test_grid_search(tmp_path):
    lines = run(tmp_path, "grid_search")
    rows = table(lines, r"relu|tanh|GELU")
    assert [*rows] == ["relu", "tanh", "GELU"]
    for row in rows.values():
        assert len(row) == 4
        assert max(row[1:]) > row[0]  # dropout helps
    (chosen,) = [
        re.match(r"chosen: (\w+) with dropout=([\d.]+), R² ([\d.]+)", line) for line in lines if "chosen" in line
    ]
    assert float(chosen[3]) == max(rows[chosen[1]]) == max(max(row) for row in rows.values())
    assert after(lines, "test R²") > 0.3
