"""Trainings that are killed by SIGKILL at random moments, and end bit for bit as if nothing had happened.

A handful in every run of the tests, 60 with CHAINRULE_HARD=1.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

RUNS = 60 if os.environ.get("CHAINRULE_HARD") else 4
SCRIPT = Path(__file__).with_name("training_to_kill.py")
KINDS = ("adam", "momentum", "classifier", "regressor")

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


def start(kind, kernels, folder, result):
    environment = os.environ | {"CHAINRULE_KERNELS": kernels}
    command = [sys.executable, SCRIPT, kind, folder, result]
    return subprocess.Popen([*map(str, command)], env=environment, stdout=subprocess.PIPE, text=True)


def finish(process):
    try:
        process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the result of a kind of training without a break."""
    known = {}

    def result(kind, kernels):
        if (kind, kernels) not in known:
            place = tmp_path_factory.mktemp("whole")
            process = start(kind, kernels, place / "checkpoints", place / "result.npz")
            finish(process)
            known[kind, kernels] = dict(np.load(place / "result.npz"))
        return known[kind, kernels]

    return result


@pytest.mark.parametrize("number", range(RUNS))
def test_killed_and_resumed(number, whole, tmp_path):
    rng = np.random.default_rng(number)
    kind, kernels = KINDS[number % 4], ("numba", "reference")[number // 4 % 2 if RUNS > 4 else number % 2]
    expected = whole(kind, kernels)
    folder, result = tmp_path / "checkpoints", tmp_path / "result.npz"
    kills = 0
    for _ in range(int(rng.integers(1, 4))):
        process = start(kind, kernels, folder, result)
        for _ in range(int(rng.integers(1, 12))):  # an epoch and its checkpoint take some milliseconds
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.006))
        process.kill()
        process.wait(timeout=120)
        process.stdout.close()
        kills += process.returncode == -signal.SIGKILL
    finish(start(kind, kernels, folder, result))
    found = np.load(result)
    assert kills, "nothing was killed: training ended too soon for this test"
    assert {*found.files} == expected.keys()
    for name in found.files:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{kind}, {kernels}: {name}")


def test_killed_again_and_again_while_writing(tmp_path):
    """Writing to the disk is most of what this one does: however often it is killed, it comes to its end."""
    folder, result = tmp_path / "checkpoints", tmp_path / "result.npz"
    for milliseconds in (5, 20, 35, 50):
        process = start("adam", "reference", folder, result)
        process.stdout.readline()
        time.sleep(milliseconds / 1000)
        process.kill()
        process.wait(timeout=120)
        process.stdout.close()
        assert not [path for path in folder.iterdir() if path.stat().st_size == 0 and path.suffix != ".part"]
    finish(start("adam", "reference", folder, result))
    assert result.exists()
    assert not [*folder.glob(".chainrule-*.part")]
