"""``chainrule train FILE`` killed by SIGKILL, and ``chainrule train --resume``: the folder of a run without a break."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from chainrule import MLPClassifier, MLPRegressor  # noqa: E402

RUNS = 12 if os.environ.get("CHAINRULE_HARD") else 2
COMMAND = (  # checkpoints after every epoch, not only every ten seconds
    "import datetime; from chainrule.cli import resuming; resuming.EVERY = datetime.timedelta(0);"
    "from chainrule.cli.app import app; app()"
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


def start(folder, *arguments):
    command = [sys.executable, "-c", COMMAND, "train", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    try:
        printed, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    return printed


def table(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 4))
    word = rng.choice(["red", "green", None], 800)
    y = x[:, 0] * x[:, 1] + (word == "red") + rng.normal(size=800) / 4
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(4)})
    frame.with_columns(word=pl.Series(word.tolist()), y=pl.Series(y), big=pl.Series(y > 0)).write_csv(folder / "t.csv")


def result(folder):
    """Return everything of a run that does not depend on the clock."""
    config = json.loads((folder / "config.json").read_text())
    del config["seconds"], config["command"], config["files"]
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    network = (MLPRegressor if config["task"] == "regression" else MLPClassifier).load(folder / "model.safetensors")
    return config, history, network.network_.theta.tobytes(), (folder / "schema.json").read_bytes()


OPTIONS = {
    "big": ["--target", "big", "--drop", "y", "--epochs", "60", "--patience", "30"],
    "y": ["--target", "y", "--drop", "big", "--epochs", "60", "--layers", "32,16"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the result of a training without a break."""
    known = {}

    def of(target):
        if target not in known:
            folder = tmp_path_factory.mktemp("whole")
            table(folder)
            finish(start(folder, "t.csv", *OPTIONS[target], "--out", "run"))
            known[target] = result(folder / "run")
        return known[target]

    return of


@pytest.mark.parametrize("number", range(RUNS))
def test_killed_and_resumed(number, whole, tmp_path):
    rng = np.random.default_rng(number)
    target = list(OPTIONS)[number % 2]
    expected = whole(target)
    table(tmp_path)
    checkpoints = tmp_path / "run" / "checkpoints"
    process = start(tmp_path, "t.csv", *OPTIONS[target], "--out", "run")
    kills = 0
    for _ in range(1 + number % 3):  # once and twice, and three times if there are more: a start takes seconds
        before = {*checkpoints.glob("checkpoint-*")}
        while process.poll() is None and not {*checkpoints.glob("checkpoint-*")} - before:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        if not (checkpoints / "run.json").exists():  # it had come to its end before
            break
        process = start(tmp_path, "t.csv", "--resume", "run")
    else:
        assert "epoch" in finish(process)
    assert kills, "nothing was killed: training ended too soon for this test"
    assert result(tmp_path / "run") == expected
    assert json.loads((tmp_path / "run" / "config.json").read_text())["command"].endswith("--out run")
    assert not checkpoints.exists()
