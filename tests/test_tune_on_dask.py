"""``chainrule tune --dask``: trials on a real cluster of two worker processes, one of which is killed, and bad input."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.slow

for package in ("distributed", "optuna", "polars", "skrub"):
    pytest.importorskip(package)

from typer.testing import CliRunner  # noqa: E402

from chainrule.cli.app import app  # noqa: E402
from chainrule.tables.tuning import Search, on_dask, shared, tune  # noqa: E402
from chainrule.tables.tuning import study as studies  # noqa: E402
from chainrule.tables.tuning.objective import Problem  # noqa: E402
from small_tuning import SHORT, frame, problem  # noqa: E402

LONG = {**SHORT, "max_iter": 10**6}  # epochs that no test waits for
TIMEOUT = "distributed.comm.timeouts.connect"


@contextmanager
def local(workers, **more):
    """Start a cluster on this machine, and connect to it."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  (takes seconds)

    more |= {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}
    with LocalCluster(n_workers=workers, threads_per_worker=1, **more) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with local(2, host="127.0.0.1", local_directory=str(tmp_path_factory.mktemp("dask"))) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def busy(client):
    """Return the number of trials that the workers are training."""
    return sum(client.run(lambda dask_worker: dask_worker.state.executing_count).values())


def test_the_command_trains_on_the_workers(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame(60).write_csv("people.csv")
    command = ["tune", "people.csv", "--target", "target", "--epochs", "3", "--folds", "2", "--out", "a"]

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(Problem, "evaluate", lambda *_: pytest.fail("a trial was trained in this process"))
        done = CliRunner().invoke(app, [*command, "--trials", "3", "--dask", client.scheduler.address])
    assert done.exit_code == 0, done.output
    assert f"dask       2 trials at a time, at {client.scheduler.address}\n" in done.stdout
    assert "\ntrial 3/3 " in done.stdout
    assert len((tmp_path / "a" / "trials.csv").read_text().splitlines()) == 4
    assert (tmp_path / "a" / studies.FILE).stat().st_size, "the study is here"
    with studies.opened(tmp_path / "b", 0, {"seed": 0}, of := problem()) as study:
        Search(study, of, 0, 1).run()
        here = study.trials[0].value
    with studies.opened(tmp_path / "c", 0, {"seed": 0}, of) as study, on_dask.connected(client) as cluster:
        Search(study, of, 0, 1, jobs=2, cluster=cluster).run()
        assert study.trials[0].value == pytest.approx(here, rel=1e-5)


def test_a_worker_that_is_killed_loses_nothing_but_its_running_trial(client, tmp_path):
    """The trial begins again on another worker."""
    killed = []

    def kill(trial, finished):
        if not killed:
            killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    of = problem(fixed={**SHORT, "max_iter": 30})
    with shared.opened(f"journal:{tmp_path}", {"seed": 0}, of) as study, on_dask.connected(client) as cluster:
        Search(study, of, 0, 8, jobs=cluster.jobs, on_trial=kill, shared=True, cluster=cluster).run()
        assert [trial.state.name for trial in study.trials if trial.state.name not in studies.FINISHED] == []
        assert len(study.trials) == 8
    assert killed


@pytest.mark.parametrize("ended_by", ["pruning", "Ctrl-C"])
def test_a_trial_that_is_no_longer_wanted_ends_on_its_worker(client, ended_by):
    of, reported = problem(fixed=LONG), threading.Event()

    def report(step, values):
        reported.set()
        if ended_by == "pruning":
            raise studies.optuna.TrialPruned

    with on_dask.connected(client.scheduler.address) as cluster, ThreadPoolExecutor(1) as pool:
        with cluster.workers(of) as evaluate:
            running = pool.submit(evaluate, of.default, report)
            assert reported.wait(60)
            assert ended_by == "pruning" or busy(client) == 1
        expected = studies.optuna.TrialPruned if ended_by == "pruning" else ConnectionError
        with pytest.raises(expected):
            running.result(timeout=20)
    end = time.monotonic() + 20
    while busy(client):
        assert time.monotonic() < end
        time.sleep(0.1)


# ---------------------------------------------------------------- bad input


def refused(**more):
    with pytest.raises((ValueError, ConnectionError)) as error:
        tune(frame(), "target", trials=1, **more)
    return str(error.value)


def test_an_address_of_no_scheduler(client, monkeypatch):
    monkeypatch.setattr(on_dask, "SECONDS", 0.5)
    for address in ("nonsense", "http://127.0.0.1:1", "tcp://ann:s3c@127.0.0.1:1", 8786):
        assert refused(dask=address).startswith("--dask: expected the address of a scheduler, tcp://HOST:PORT, got ")
    assert "s3c" not in refused(dask="tcp://ann:s3c@127.0.0.1:1")
    nobody = "cannot connect to the Dask scheduler at tcp://127.0.0.1:"
    assert refused(dask="tcp://127.0.0.1:1").startswith(f"{nobody}1: ")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert refused(dask=f"tcp://127.0.0.1:{port}") == f"{nobody}{port}: no scheduler answered."
    worker = next(iter(client.nthreads()))
    assert refused(dask=worker) == f"{worker} is a Dask worker: give the scheduler's address."
    assert refused(dask=client, jobs=2).startswith("--n-jobs: with --dask, each thread of a worker runs a trial")


def test_workers_that_cannot_run_a_trial(client, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(on_dask, "__version__", "9.9")
        assert "has chainrule 0." in (said := refused(dask=client))
        assert said.endswith(", but this process has 9.9: install the same version everywhere.")
    monkeypatch.setattr(on_dask, "NEEDED", ("optuna", "no_such_package"))
    assert " lacks no_such_package. Run there: pip install -e " in refused(dask=client)


def test_a_trial_that_kills_every_worker_is_an_error(client, monkeypatch):
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    of = problem(fixed=LONG)

    processes = client.run(os.getpid)

    def kill(step, values):
        for worker, tasks in client.processing().items():
            if tasks and (process := processes.pop(worker, None)):
                os.kill(process, signal.SIGKILL)

    with (
        on_dask.connected(client) as cluster,
        pytest.raises(ChildProcessError, match=r"^a trial has killed several Dask workers, .*The same command resumes"),
        cluster.workers(of) as evaluate,
    ):
        evaluate(of.default, kill)


def test_a_cluster_without_workers_and_one_that_goes_away(monkeypatch, caplog):
    caplog.set_level("CRITICAL", "distributed")
    of, reported = problem(fixed=LONG), threading.Event()
    gone = r"^--dask inproc:\S+: its scheduler or all of its workers are gone\. Finished trials are kept"

    def removed(client):
        client.cluster.scale(0)
        client.cluster.sync(client.cluster._correct_state)

    with local(1, processes=False) as client, ThreadPoolExecutor(1) as pool, on_dask.connected(client) as cluster:
        with cluster.workers(of) as evaluate:
            waiting = pool.submit(evaluate, of.default, lambda *_: reported.set())
            assert reported.wait(60)
            removed(client)
            with pytest.raises(ConnectionError, match=gone):
                waiting.result(timeout=60)
        monkeypatch.setattr(on_dask, "ALONE", 0.2)
        assert "has no workers: start one with `dask worker inproc:" in refused(dask=client)


def test_a_scheduler_that_goes_away(caplog):
    import dask  # noqa: PLC0415  (it takes long)

    caplog.set_level("CRITICAL", "distributed")
    of, reported = problem(fixed=LONG), threading.Event()
    with (
        dask.config.set({TIMEOUT: 30}),
        local(1, protocol="tcp", processes=False) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        address = client.scheduler.address
        with on_dask.connected(address) as cluster, cluster.workers(of) as evaluate:
            waiting = pool.submit(evaluate, of.default, lambda *_: reported.set())
            assert reported.wait(60)
            dask.config.set({TIMEOUT: 1})  # the end of a cluster waits for it
            client.cluster.sync(client.cluster.scheduler.close)
            with pytest.raises(
                ConnectionError, match=rf"^--dask {address}: .* Finished trials are kept: once it works"
            ):
                waiting.result(timeout=60)
