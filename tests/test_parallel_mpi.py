"""Real ranks: programs that mpirun starts. Skipped where mpi4py or mpirun is not installed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

MPIRUN = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MPIRUN is None, reason="mpirun is not installed (pip install mpich)"),
]
pytest.importorskip("mpi4py", reason="mpi4py is not installed")

PROGRAM = """
import os, sys

out, what = sys.argv[1:]
if what == "survive" and (child := os.fork()):  # the ranks in sessions of their own: MPICH kills the group of each
    os._exit(os.waitpid(child, 0)[1] != 0)
if what == "survive":
    os.setsid()

import numpy as np
import chainrule as cr
from chainrule.layers import BatchNorm, Dense, Dropout, ReLU, Tanh
from chainrule.parallel import MPI

ranks = MPI()
sys.stderr = open(f"{out}/error-{ranks.rank}", "w", buffering=1)
rng = np.random.default_rng(0)
X = rng.normal(size=(600, 6)).astype("float32")
t = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)

class Acts(cr.Callback):
    def on_epoch(self, run):
        if run.rank == 1 and run.epoch == 3:
            if what in ("kill", "survive"):
                os.kill(os.getpid(), 9)
            if what == "leave":
                sys.exit("I have an appointment.")

plain = what.startswith("float")
layers = [Dense(8), Tanh(), Dense(3)] if plain else [Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)]
network = cr.Network(6, layers, "softmax_cross_entropy", seed=0, dtype=what if plain else "float32")
rows = np.arange(600).reshape(-1, ranks.size, 60 // ranks.size)[:, ranks.rank].ravel() if plain else ranks.share(600)
more = {} if plain else {"callbacks": [Acts(), cr.Checkpoint(f"{out}/checkpoints")], "resume": f"{out}/checkpoints"}
x = X[rows][:, : 5 if what == "columns" and ranks.rank else 6]
history = cr.train(
    network, x, t[rows], epochs=5, batch_size=60 // ranks.size, shuffle=not plain, validation=None if plain else 0.1,
    seed=0, reduce=ranks, **more,
)
np.save(f"{out}/{what}-{ranks.rank}-of-{ranks.size}.npy", network.values)
print(f"rank {ranks.rank} of {ranks.size}: {history.engine}")
"""


@pytest.fixture
def started(tmp_path):
    """Start the program with so many ranks; kill what is left of it after the test."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    running = []

    def start(what, ranks, *flags):
        environment = os.environ | {"HWLOC_COMPONENTS": "-gl", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [MPIRUN, *flags, "-n", str(ranks), sys.executable, str(program), str(tmp_path), what]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def finish(process):
    output, _ = process.communicate(timeout=120)
    return output


def values(folder, what, ranks):
    return [np.load(folder / f"{what}-{rank}-of-{ranks}.npy") for rank in range(ranks)]


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-6), ("float64", 1e-12)])
def test_one_two_and_three_ranks_learn_the_same(started, tmp_path, dtype, close):
    for ranks in (1, 2, 3):
        process = started(dtype, ranks)
        assert f"rank 0 of {ranks}: compiled" in finish(process)
        assert process.returncode == 0
    [expected] = values(tmp_path, dtype, 1)
    for ranks in (2, 3):
        for theta in values(tmp_path, dtype, ranks):
            assert np.abs(theta - expected).max() <= close


def test_a_killed_rank_ends_the_others_with_a_sentence_and_the_job_resumes(started, tmp_path):
    finish(started("whole", 2))
    shutil.move(tmp_path / "checkpoints", tmp_path / "of-the-whole")
    process = started("survive", 2)
    finish(process)
    assert process.returncode != 0
    said, limit = tmp_path / "error-0", time.monotonic() + 60
    while "ConnectionError" not in said.read_text() and time.monotonic() < limit:
        time.sleep(0.1)
    assert "ConnectionError: rank 1 of 2 has ended, so rank 0 cannot continue." in said.read_text()
    finish(started("resumed", 2))
    for one, other in zip(values(tmp_path, "resumed", 2), values(tmp_path, "whole", 2), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_rank_that_leaves_ends_the_others_with_a_sentence(started, tmp_path):
    process = started("leave", 2)
    finish(process)
    assert process.returncode != 0
    assert "ConnectionError: rank 1 of 2 has ended" in (tmp_path / "error-0").read_text()
    assert (tmp_path / "error-1").read_text().rstrip().endswith("I have an appointment.")


def test_a_killed_rank_ends_the_job_of_the_launcher_too(started):
    process = started("kill", 2)
    assert "Killed (signal 9)" in finish(process)
    assert process.returncode != 0


def test_wrong_rows_of_one_rank_are_told_to_all(started, tmp_path):
    process = started("columns", 3)
    finish(process)
    assert process.returncode != 0
    assert "ValueError: X: expected 6 features, got 5" in (tmp_path / "error-1").read_text()
    assert "ParallelError: rank 1 failed with ValueError: X: expected 6" in (tmp_path / "error-0").read_text()


def test_gloo_of_pytorch_is_a_reduce_too(tmp_path):
    """The recipe of docs/data-parallel.md, in two processes."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    page = Path(__file__).parents[1] / "docs/data-parallel.md"
    if not page.exists():
        pytest.skip("the documents are not here")
    recipe = next(block for block in page.read_text().split("```")[1::2] if "torch.distributed" in block)
    program = tmp_path / "gloo.py"
    program.write_text(recipe.partition("\n")[2])
    environment = os.environ | {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }  # fmt: skip
    processes = [
        subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env=environment | {"RANK": str(rank)}, cwd=tmp_path)
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0].split()[-1] == outputs[1].split()[-1]


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# ------------------------------------------------------------ chainrule train


def run(folder, *arguments, ranks=2, flags=()):
    """Start a command of chainrule in several processes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    launcher = [MPIRUN, *flags, "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, sys.executable, "-m", "chainrule", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder
    )


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("customers")
    assert "customers.csv" in finish(run(folder, "sample", "customers.csv", "--rows", 1500, ranks=1))
    return folder


def scores(folder):
    return json.loads((folder / "config.json").read_text())["scores"]


def test_mpirun_trains_a_streamed_table_in_several_processes(customers):
    options = ("--target", "churned", "--stream", "--epochs", 6)
    for name, ranks in (("one", 1), ("two", 2)):
        process = run(customers, "train", "customers.csv", *options, "--out", name, ranks=ranks)
        output = finish(process)
        assert process.returncode == 0, output
        assert output.count("results  ") == 1  # of rank 0
        assert output.count("epoch 6/6") == 1
        assert not (customers / name / "checkpoints").exists()
    one, two = (scores(customers / name)["ROC AUC"] for name in ("one", "two"))
    assert abs(one - two) < 0.05
    assert "p_yes" in finish(run(customers, "predict", "two", "customers.csv", ranks=1))


def test_a_warning_is_printed_once(customers):
    header, *lines = (customers / "customers.csv").read_text().splitlines()
    leaking = [f"copy,{header}", *(f"{line.rsplit(',', 1)[1]},{line}" for line in lines)]
    (customers / "leaking.csv").write_text("\n".join(leaking))
    output = finish(run(customers, "train", "leaking.csv", "--target", "churned", "--epochs", 1))
    assert output.count("Warning: possible target leakage") == 1, output


def test_a_killed_run_on_a_table_resumes(customers):
    options = ("--target", "monthly_fee", "--stream", "--epochs", 60, "--patience", 1000)
    assert "results" in finish(run(customers, "train", "customers.csv", *options, "--out", "whole"))
    process = run(customers, "train", "customers.csv", *options, "--out", "killed")
    kept = customers / "killed/checkpoints/rank-1-of-2"
    limit = time.monotonic() + 90
    while not any(kept.glob("checkpoint-00000[2-9].safetensors")) and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.005)
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_rank(path, customers)]
    os.kill(max(pids), signal.SIGKILL)
    assert "signal 9" in finish(process)
    output = finish(run(customers, "train", "customers.csv", "--resume", "killed"))
    assert "results" in output, output
    one, other = (finish(run(customers, "predict", name, "customers.csv", ranks=1)) for name in ("whole", "killed"))
    assert one == other


def _is_rank(process, folder):
    """Return whether a process is a rank of the run that works in a folder."""
    try:
        command, where = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
    except OSError:
        return False
    return b"-m\0chainrule\0" in command and b"mpirun" not in command and b"hydra" not in command and where == folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "customers.csv", "--target", "churned"), "an ensemble is trained in one process: add --fast or --stream"),
        (("train", "digits"), "mpirun: a data set is trained in one process"),
        (("train", "nothing.csv", "--target", "x", "--fast"), "nothing.csv"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_trained_in_several_processes_is_said(customers, arguments, message):
    process = run(customers, *arguments)
    output = finish(process)
    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output
