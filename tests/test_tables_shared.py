"""Studies that several processes share, in a folder and in PostgreSQL: one is killed, or stopped, or of something else."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

optuna = pytest.importorskip("optuna")
psycopg = pytest.importorskip("psycopg")

from typer.testing import CliRunner  # noqa: E402

import postgres  # noqa: E402
from chainrule.cli.app import app  # noqa: E402
from chainrule.tables.tuning import Search, shared, tune  # noqa: E402
from chainrule.tables.tuning import study as studies  # noqa: E402
from chainrule.tables.tuning.objective import Outcome  # noqa: E402
from small_tuning import frame, problem  # noqa: E402

ABOUT = {"seed": 0}
LONG = 10**6  # trials, or seconds


@pytest.fixture(scope="module")
def server():
    with postgres.server() as address:
        yield address


@pytest.fixture(params=["journal", "postgresql"])
def storage(request, tmp_path):
    if request.param == "journal":
        return f"journal:{tmp_path / 'shared'}"
    return f"{request.getfixturevalue('server')}#{tmp_path.name}"


@contextlib.contextmanager
def processes(storage, count, trials, *more):
    """Start processes that search one study, and kill those that are left."""
    command = [sys.executable, Path(__file__).with_name("small_tuning.py"), storage, str(trials), "1", *more]
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(count)
        ]
        try:
            yield started
        finally:
            for process in started:
                process.kill()


def trials_of(storage, *states):
    with shared.opened(storage, ABOUT, problem()) as study:
        return studies.finished(study, *states)


def test_two_processes_make_one_study_with_the_trials_asked_for(storage):
    with processes(storage, 2, 12) as started:
        said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert [out.splitlines()[-1] for out, _ in said] == ["12 in the study"] * 2, "both end when the study has all"
    ended = [sum(map(str.isdigit, out.splitlines())) for out, _ in said]
    assert sum(ended) == 12
    assert min(ended) > 0
    trials = trials_of(storage)
    assert [trial.params for trial in trials].count(problem().default) == 1
    assert len({str(trial.params) for trial in trials}) == 12


def test_a_process_that_is_killed_loses_its_running_trial_only(storage):
    with processes(storage, 2, 14, "slowly") as (killed, other):
        begun = [killed.stdout.readline() for _ in range(3)]
        killed.send_signal(signal.SIGKILL)
        assert begun[::2] == ["begins\n"] * 2, "it has finished a trial, and is in the second"
        left = trials_of(storage)
        out, err = other.communicate(timeout=300)
    assert other.returncode == 0, err
    assert out.splitlines()[-1] == "14 in the study"
    found = trials_of(storage)
    assert len(found) == 14
    assert {trial.number for trial in left} <= {trial.number for trial in found}, "no finished trial is lost"
    lost = [trial for trial in trials_of(storage, "FAIL") if len(trial.params) == len(problem().space)]
    assert len(lost) == 1
    assert lost[0].params in [trial.params for trial in found], "its point is tried by the other process"
    assert not trials_of(storage, "RUNNING")


def test_a_running_trial_of_a_living_process_is_left_alone(storage, monkeypatch):
    monkeypatch.setattr(shared, "BEAT", 0.1)
    monkeypatch.setattr(shared, "SILENT", 0.5)
    silent, of = shared.Silent(), problem()
    with shared.opened(storage, ABOUT, of) as study:
        trial = study.ask()
        for dimension in of.space:
            dimension.suggest(trial)
        with shared.beating(trial):
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                silent.give_up(study, of)
                time.sleep(0.05)
            assert study.trials[0].state.name == "RUNNING"
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            silent.give_up(study, of)
        assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]


def test_a_process_that_was_stopped_for_long_resumes_with_another_trial(storage, monkeypatch):
    """Others have given up its trial meanwhile."""
    of = problem()

    def evaluate(point, report):
        if point != of.default and not given_up:
            given_up.append(point)
            study.tell(1, state=optuna.trial.TrialState.FAIL)
        report(0, [1.0])
        return Outcome([1.0], [1], 0.1)

    given_up = []
    monkeypatch.setattr(of, "evaluate", evaluate)
    with shared.opened(storage, ABOUT, of) as study:
        Search(study, of, 0, 3, shared=True).run()
        assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_threads_and_worker_processes_share_a_study_too(tmp_path):
    storage = f"journal:{tmp_path}"
    with shared.opened(storage, ABOUT, problem()) as study:
        Search(study, problem(), 0, 4, jobs=2, shared=True).run()
    assert len(trials_of(storage)) == 4


def test_an_error_in_one_thread_ends_the_others(tmp_path, monkeypatch):
    of = problem()
    with shared.opened(f"journal:{tmp_path}", ABOUT, of) as study:
        search = Search(study, of, 0, LONG, jobs=2, shared=True)

        def one(evaluate):
            if threading.current_thread() in seen:
                raise ChildProcessError("a worker process was killed")
            seen.append(threading.current_thread())
            search._ending.wait(0.2)

        seen = []
        monkeypatch.setattr(search, "one", one)
        with pytest.raises(ChildProcessError):
            search.run()


def test_a_default_that_nobody_runs_any_more_is_run(storage, monkeypatch):
    """Its process has ended with an error; a study without it has nothing to compare with."""
    of = problem()
    monkeypatch.setattr(of, "evaluate", lambda point, report: Outcome([1.0], [1], 0.1))
    with shared.opened(storage, ABOUT, of) as study:
        study.tell(study.ask().number, state=optuna.trial.TrialState.FAIL)
        Search(study, of, 0, 1, shared=True).run()
        assert [trial.params for trial in studies.finished(study)] == [of.default]


def test_a_limit_of_time_ends_this_process_only(storage, monkeypatch):
    of = problem()
    monkeypatch.setattr(of, "evaluate", lambda point, report: Outcome([1.0], [1], 0.1))
    start = time.monotonic()
    with shared.opened(storage, ABOUT, of) as study:
        Search(study, of, 0, None, 1.0, shared=True).run()
        assert studies.finished(study)
    assert time.monotonic() - start < 10


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("address", ["sqlite:///study.db", "journal:", "runs", "postgresql://", "mysql://ann:pw@db/x"])
def test_a_storage_of_another_kind_is_refused(address):
    with pytest.raises(ValueError, match=r"--storage: expected journal:FOLDER or postgresql://USER@HOST/D") as error:
        tune(frame(), "target", trials=1, storage=address)
    assert "pw" not in str(error.value)


def test_a_storage_of_another_study_is_refused(storage):
    with shared.opened(storage, ABOUT, problem()):
        pass
    remedy = "choose another folder for --storage" if storage.startswith("journal") else "add #NAME to --storage"
    with (
        pytest.raises(ValueError, match=rf"is the study of another search \(seed\): {remedy}"),
        shared.opened(storage, {"seed": 1}, problem()),
    ):
        pass


def test_a_point_that_a_stranger_put_into_the_study_is_refused(storage):
    with shared.opened(storage, ABOUT, problem()) as study:
        study.enqueue_trial({**problem().default, "dropout": 7.0})
    with (
        pytest.raises(ValueError, match=r"damaged or not an Optuna study .*dropout=7\.0, which is not in the search"),
        shared.opened(storage, ABOUT, problem()),
    ):
        pass


def address(server, user, *, own):
    """Make a user, and a database that belongs to them or not."""
    with psycopg.connect(server, autocommit=True) as base:
        base.execute(f"CREATE ROLE {user} LOGIN PASSWORD 's3cret'")
        base.execute(f"CREATE DATABASE {user} OWNER {user if own else 'ann'}")
    return f"postgresql://{user}:s3cret@{server.partition('@')[2].replace('/postgres', f'/{user}')}"


def test_a_server_that_is_not_there_or_goes_away(server):
    away = re.sub(r":\d+/", ":1/", server)
    with pytest.raises(
        ConnectionError, match=r"^cannot connect to postgresql://ann@127\.0\.0\.1:1/p.*refused"
    ) as error:
        tune(frame(), "target", trials=1, storage=away)
    assert "s3c" not in str(error.value)

    def lost():
        with shared.opened(address(server, "eve", own=True), ABOUT, problem()) as study:
            trial = study.ask()
            with psycopg.connect(server, autocommit=True) as base:
                base.execute("ALTER ROLE eve NOLOGIN")
                base.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'eve'")
            trial.report(1.0, 0)

    with pytest.raises(ConnectionError, match=r"--storage postgresql://eve@127.*: .*the same command resumes") as error:
        lost()
    assert "s3c" not in str(error.value)


def test_a_user_who_may_not_make_tables(server):
    with (
        pytest.raises(ConnectionError, match=r"--storage postgresql://bob@127.*: permission denied for schema public"),
        shared.opened(address(server, "bob", own=False), ABOUT, problem()),
    ):
        pass


def test_a_lock_that_another_process_holds_is_not_waited_for_for_ever(server, monkeypatch):
    monkeypatch.setattr(shared, "SECONDS", 1)
    with psycopg.connect(server) as base:
        base.execute(f"SELECT pg_advisory_lock({shared.LOCK})")
        with (
            pytest.raises(ValueError, match="canceling statement due to lock timeout"),
            shared.opened(f"{server}#lock", ABOUT, problem()),
        ):
            pass


def test_a_folder_that_is_a_file_or_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file is a file, or in one: choose another --storage"):
        tune(frame(), "target", trials=1, storage=f"journal:{tmp_path / 'file'}")
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(OSError, match=r"cannot write to the folder .*: choose another --storage"):
            tune(frame(), "target", trials=1, storage=f"journal:{tmp_path / 'closed'}")
    (tmp_path / shared.FILE).symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="link"):
        tune(frame(), "target", trials=1, storage=f"journal:{tmp_path}")


def test_a_line_that_a_kill_has_cut_off_does_not_spoil_the_journal(tmp_path):
    storage = f"journal:{tmp_path}"
    with shared.opened(storage, ABOUT, problem()) as study:
        with (tmp_path / shared.FILE).open("ab") as file:
            file.write(b'{"op_code":4,"worker_id":"a')
        study.ask()
        with shared.opened(storage, ABOUT, problem()) as other:
            assert len(other.trials) == 1


# ---------------------------------------------------------------- the command


def test_the_command(tmp_path, monkeypatch, storage):
    monkeypatch.chdir(tmp_path)
    frame(60).write_csv("people.csv")
    command = ["tune", "people.csv", "--target", "target", "--epochs", "3", "--folds", "2", "--storage", storage]
    runner = CliRunner()
    done = runner.invoke(app, [*command, "--trials", "2", "--out", "a"])
    assert done.exit_code == 0, done.output
    done = runner.invoke(app, [*command, "--trials", "3", "--out", "b"])
    assert done.exit_code == 0, done.output
    assert "resumed: 2 trials are finished" in done.stdout
    assert "\ntrial 3/3 " in done.stdout
    assert Path("b/tuning.html").exists()
    assert not Path("b", studies.FILE).exists()
    assert not [path for path in Path("b").iterdir() if b"s3c" in path.read_bytes()]
    done = runner.invoke(app, [*command, "--trials", "3", "--out", "b"])
    assert done.exit_code == 0, "the same command may be run again"
    Path("c").mkdir()
    Path("c/notes.txt").touch()
    done = runner.invoke(app, [*command, "--trials", "3", "--out", "c"])
    assert done.stderr == "Error: the folder c is not empty and has no .study.lock: choose another --out.\n"
    runner.invoke(app, [*command[:-2], "--trials", "1", "--out", "d"])
    done = runner.invoke(app, [*command, "--trials", "3", "--out", "d"])
    assert done.stderr == "Error: the folder d has a study of its own, study.log: choose another --out.\n"
