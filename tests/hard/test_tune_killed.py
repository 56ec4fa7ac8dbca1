"""Studies that are killed by SIGKILL at random moments and end with the trials that they would have had.

A few in every run of the tests, 40 with CHAINRULE_HARD=1.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("polars")
optuna = pytest.importorskip("optuna")

from chainrule.tables.tuning import study as studies  # noqa: E402
from chainrule.tables.tuning.workers import workers  # noqa: E402
from small_tuning import problem, run  # noqa: E402

SCRIPT = Path(__file__).parents[1] / "small_tuning.py"
RUNS = 40 if os.environ.get("CHAINRULE_HARD") else 2
TRIALS = 12

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")


def start(folder, jobs):
    command = [sys.executable, SCRIPT, folder, TRIALS, jobs]
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)


def kill(process):
    process.kill()
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL, "it ended too soon for this test"


def untimed(records):
    return [(r.state, r.value, r.folds, r.point) for r in records]


def trials_in(folder):
    """Read the trials as Optuna's own tools do."""
    journal = optuna.storages.journal.JournalFileBackend(str(folder / studies.FILE))
    return optuna.load_study(storage=optuna.storages.JournalStorage(journal), study_name=studies.NAME).trials


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return untimed(run(tmp_path_factory.mktemp("whole"), TRIALS))


@pytest.mark.parametrize("number", range(RUNS))
def test_killed_and_started_again(number, whole, tmp_path):
    rng = np.random.default_rng(number)
    finished = 0
    for _ in range(int(rng.integers(1, 3))):
        process = start(tmp_path, 1)
        for _ in range(int(rng.integers(1, 4))):
            finished = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.2))
        kill(process)
        states = [trial.state.name for trial in trials_in(tmp_path)]
        assert states.count("COMPLETE") + states.count("PRUNED") >= finished, (
            "a trial that was said to be finished is lost"
        )
    assert untimed(run(tmp_path, TRIALS)) == whole


def test_killed_with_two_workers(tmp_path):
    process = start(tmp_path, 2)
    finished = [int(process.stdout.readline()) for _ in range(3)][-1]
    kill(process)
    records = run(tmp_path, TRIALS)
    assert len(records) == TRIALS
    trials = trials_in(tmp_path)
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    assert len(failed) <= 2, "more was lost than the trials in flight"
    points = [trial.params for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert all(trial.params in points for trial in failed if trial.params), "a trial in flight was not tried again"
    assert finished >= 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_it_at_once_and_loses_no_trial(jobs, tmp_path):
    command = [sys.executable, SCRIPT, tmp_path, 1000, jobs]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finished = [int(process.stdout.readline()) for _ in range(3)][-1]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert len(rest.splitlines()) < 900, "it went on"
    states = [trial.state.name for trial in trials_in(tmp_path)]
    assert states.count("COMPLETE") + states.count("PRUNED") >= finished + len(rest.splitlines())
    assert states.count("FAIL") <= 2 * jobs


def test_a_worker_that_is_killed_is_said_in_a_sentence():
    of = problem()
    with workers(of, 1) as evaluate:
        multiprocessing.active_children()[0].kill()
        with pytest.raises(ChildProcessError, match="perhaps for lack of memory: use fewer --n-jobs"):
            evaluate(of.default, lambda step, losses: None)
