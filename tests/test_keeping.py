"""Compiled code: from any installation, whatever the state of the files in which it is kept, and without Numba."""

import compileall
import contextlib
import functools
import importlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import progress
from chainrule.training import engine

pytest.importorskip("numba")

from chainrule.training.compiled import compiling, keeping, sharing

PACKAGE = Path(cr.__file__).parent
set_integer = compiling.inlined("set_integer")[0]


@compiling.operation
def double(out, value):
    set_integer(out, 0, 2 * value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder for machine code, as a new process would find it."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    known = keeping._folder
    known.cache_clear()
    keeping._say_once.cache_clear()
    yield tmp_path
    known.cache_clear()


def compiles(monkeypatch):
    """Use the function as a new process does; return whether it was compiled."""
    count, compile_ = [], compiling.Operation._compile
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "_loaded", {})
        patch.setattr(compiling, "_engine", functools.cache(compiling._engine.__wrapped__))
        patch.setattr(compiling.Operation, "_compile", lambda *given: count.append(1) or compile_(*given))
        out = np.zeros(1, np.int64)
        compiling.function(double, np.dtype("float32"))(compiling.address_of(out), 3)
    assert out[0] == 6
    return bool(count)


# ------------------------------------------------------------ files


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def cut_early(path):
    path.write_bytes(path.read_bytes()[:10])


def other(path):
    path.write_bytes(b"<html>not found</html>")


def gone(path):
    path.unlink()


def flipped(at):
    """Flip one bit: machine code with a wrong one can end the process."""

    def flip(path):
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return flip


def without_a_checksum(path):
    path.write_bytes(path.read_bytes()[4:])


def a_folder(path):
    path.unlink()
    path.mkdir()


HARM = [empty, cut, cut_early, other, gone, without_a_checksum, *(flipped(at) for at in (0, 0.3, 0.5, 0.7, 0.9, 1))]


@pytest.mark.few(3)
@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_file_is_made_anew(folder, harm, monkeypatch):
    assert compiles(monkeypatch)
    assert not compiles(monkeypatch)
    (path,) = folder.rglob("*double.o")
    harm(path)
    assert compiles(monkeypatch)
    assert not compiles(monkeypatch)


def test_a_folder_in_the_place_of_a_file_is_no_error(folder, monkeypatch, capsys):
    assert compiles(monkeypatch)
    a_folder(*folder.rglob("*double.o"))
    assert compiles(monkeypatch)
    assert "cannot be kept in " in capsys.readouterr().err
    assert [path.name for path in folder.rglob("*") if path.is_file()] == []  # and nothing half-done is left


def test_where_there_is_no_place_it_says_so_and_what_to_set(folder, monkeypatch, capsys):
    monkeypatch.setattr(keeping, "_folder", lambda: None)
    assert compiles(monkeypatch)
    assert capsys.readouterr().err == (
        "chainrule: compiling, which takes a few seconds; the result cannot be kept. "
        "Set NUMBA_CACHE_DIR to a writable folder, or each process compiles again.\n"
    )


def test_a_user_without_a_home_compiles(folder, monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(keeping.Path, "home", homeless)
    assert compiles(monkeypatch)
    assert "the result cannot be kept" in capsys.readouterr().err


def test_an_empty_variable_is_one_that_is_not_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, "")
    assert keeping._place().is_relative_to(keeping.Path.home())


def test_a_full_disk_is_no_error(folder, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping.tempfile, "mkstemp", full)
    assert compiles(monkeypatch)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("; the result is kept for later")
    assert "cannot be kept in " in second
    assert "(No space left on device). Set NUMBA_CACHE_DIR" in second
    assert not list(folder.rglob("*double.o"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_read(folder, monkeypatch):
    assert compiles(monkeypatch)
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o500 if place.is_dir() else 0o400)
    keeping._folder.cache_clear()
    assert not compiles(monkeypatch)


# ------------------------------------------------------------ installations


def zipped(folder, name):
    path = folder / name
    with zipfile.ZipFile(path, "w") as file:
        for source in PACKAGE.rglob("*"):
            if source.is_file() and source.suffix != ".pyc":
                file.write(source, source.relative_to(PACKAGE.parent))
    return path


def without_sources(folder, name):
    shutil.copytree(PACKAGE, folder / name / "chainrule", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder / name, legacy=True, quiet=1)
    for source in (folder / name).rglob("*.py"):
        source.unlink()
    return folder / name


def run(installation, code, **environment):
    kept = {"NUMBA_CACHE_DIR": str(installation.parent / "kept"), "CHAINRULE_KERNELS": "numba"}
    settings = {**os.environ, "PYTHONPATH": str(installation), **kept, **environment}
    result = subprocess.run(
        [sys.executable, "-c", code], env=settings, capture_output=True, text=True, cwd=installation.parent, check=False
    )
    assert result.returncode == 0, result.stderr
    return result


TRAIN = """
import numpy as np
import chainrule as cr
network = cr.Network(3, [cr.layers.Dense(2)], "softmax_cross_entropy", seed=0, dtype="float32")
history = cr.train(network, np.eye(3, dtype="float32"), [0, 1, 1], epochs=2, seed=0)
print(cr.__file__, network.theta.tobytes().hex())
"""

INSTALLATIONS = [(zipped, "app.pyz"), (without_sources, "bytecode")]


@pytest.mark.slow
@pytest.mark.parametrize(("install", "name"), [(zipped, "app.zip"), *INSTALLATIONS])
def test_the_version_of_compiled_code_is_found_in_any_installation(tmp_path, install, name):
    code = "from chainrule.training.compiled.keeping import _version; print(_version())"
    assert int(run(install(tmp_path, name), code).stdout) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("install", "name"), INSTALLATIONS)
def test_compiled_training_works_in_any_installation_and_is_compiled_once(tmp_path, install, name):
    network = cr.Network(3, [cr.layers.Dense(2)], "softmax_cross_entropy", seed=0)
    cr.train(network, np.eye(3, dtype="float32"), [0, 1, 1], epochs=2, seed=0)
    installation = install(tmp_path, name)
    first, second = run(installation, TRAIN), run(installation, TRAIN)
    assert first.stderr.endswith("the result is kept for later\n")
    assert second.stderr == ""
    for result in (first, second):
        where, theta = result.stdout.split()
        assert name in where
        np.testing.assert_allclose(np.frombuffer(bytes.fromhex(theta), "float32"), network.theta, rtol=1e-5)


PROCESSORS = [("haswell", "+avx,+avx2,+fma"), ("generic", "")]  # without 512-bit vectors; without any of these


@pytest.fixture(scope="module")
def code_of_this_processor(tmp_path_factory):
    """A folder where compiled code is kept from one test to the next."""
    return tmp_path_factory.mktemp("kept")


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="these are names of x86 processors")
@pytest.mark.parametrize(("name", "features"), PROCESSORS)
def test_code_for_other_processors_trains_to_the_same_parameters(code_of_this_processor, tmp_path, name, features):
    train = """
import numpy as np
import chainrule as cr
from chainrule.layers import *
# Biases before BatchNorm have no gradient but rounding, which Adam scales up.
stack = [Conv2D(5, 3, padding=1), ReLU(), MaxPool2D(2), Flatten(), Dense(37, biases=None), BatchNorm(), Tanh(), Dense(3)]
network = cr.Network((6, 6, 2), stack, "softmax_cross_entropy", seed=0)
rng = np.random.default_rng(0)
X, t = rng.normal(size=(40, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 40)
print(cr.train(network, X, t, epochs=2, batch_size=19, seed=0).engine, network.theta.tobytes().hex())
"""
    results = []
    other = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    for folder, settings in ((code_of_this_processor, {}), (tmp_path, other)):
        printed = run(PACKAGE.parent, train, NUMBA_CACHE_DIR=str(folder), **settings).stdout
        engine_used, theta = printed.split()
        assert engine_used == "compiled"
        results.append(np.frombuffer(bytes.fromhex(theta), "float32"))
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=2e-6)


# ------------------------------------------------------------ without Numba


@pytest.fixture
def said(monkeypatch, capsys):
    monkeypatch.delenv("CHAINRULE_KERNELS", raising=False)
    engine._say_once.cache_clear()
    return lambda: capsys.readouterr().err


@pytest.mark.parametrize("asked", ["", "numba"])
def test_where_compiling_is_switched_off_numpy_trains_and_it_is_said_once(said, monkeypatch, asked):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setenv("CHAINRULE_KERNELS", asked)
    assert engine.choose()[0] == engine.choose()[0] == "reference"
    assert said() == "chainrule: training with NumPy, not with compiled code: NUMBA_DISABLE_JIT is set.\n"


def trained():
    network = cr.Network(3, [cr.layers.Dense(2)], "softmax_cross_entropy", seed=0)
    return cr.train(network, np.eye(3, dtype="float32"), [0, 1, 1], epochs=1, seed=0).engine


def test_a_numba_that_cannot_be_imported_is_done_without_unless_it_is_asked_for(said, folder, monkeypatch):
    monkeypatch.setattr(engine, "installed", lambda: True)
    monkeypatch.setattr(compiling, "_loaded", {})
    monkeypatch.setitem(sys.modules, "numba", None)  # an import of it raises an ImportError
    assert trained().startswith("numpy: Numba cannot be imported (")
    assert said().splitlines()[-1].startswith("chainrule: training with NumPy, not with compiled code: Numba cannot be")
    monkeypatch.setenv("CHAINRULE_KERNELS", "numba")
    with pytest.raises(ImportError, match="numba"):
        trained()


@pytest.mark.slow
def test_machine_code_that_is_there_needs_no_numba(tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first = run(PACKAGE.parent, TRAIN, **settings)
    later = run(PACKAGE.parent, TRAIN + "import sys; assert 'numba' not in sys.modules", **settings)
    assert later.stdout == first.stdout


def test_training_with_compiling_switched_off_in_a_process(tmp_path):
    result = run(PACKAGE.parent, TRAIN, NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert result.stderr.count("NUMBA_DISABLE_JIT is set") == 1
    assert result.stdout


IN_ORDER = """
import numpy as np
import chainrule as cr
from chainrule.training.compiled import updates
T = np.dtype("float64")
for operation in {order}:
    operation.address(T)
rng = np.random.default_rng(0)
network = cr.Network(5, [cr.layers.Dense(9), cr.layers.Tanh(), cr.layers.Dense(3)], "squared_error", seed=0, dtype=T)
terms = [cr.penalties.L1(0.01), cr.penalties.L2(0.02)]
cr.train(network, rng.normal(size=(23, 5)), rng.normal(size=(23, 3)), optimizer="sgd", penalties=terms, seed=0)
print(network.theta.tobytes().hex())
"""


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_order_in_which_operations_are_compiled(tmp_path):
    """A function that both call may not take over the freedom of the sums to add in any order."""
    sgd = 'updates.KNOWN["SGD"][0]'
    thetas = [
        run(PACKAGE.parent, IN_ORDER.format(order=order), NUMBA_CACHE_DIR=str(tmp_path / str(i))).stdout
        for i, order in enumerate((f"[{sgd}, updates.measure]", f"[updates.measure, {sgd}]"))
    ]
    assert thetas[0] == thetas[1]


# ------------------------------------------------------------ while it compiles


@compiling.operation
def triple(out, value):
    set_integer(out, 0, 3 * value)


@pytest.fixture
def nothing_loaded(folder, monkeypatch):
    """Forget, for a test, what was loaded."""
    monkeypatch.setattr(compiling, "_loaded", {})
    monkeypatch.setattr(compiling, "_engine", functools.cache(compiling._engine.__wrapped__))
    monkeypatch.setattr(sharing, "FEWEST_TO_SHARE", 99)


@pytest.fixture
def watched():
    seen = []
    token = keeping.watcher.set(lambda done, total: seen.append((done, total)))
    yield seen
    keeping.watcher.reset(token)


def test_a_watcher_is_told_what_is_compiled_instead_of_a_line(nothing_loaded, watched, capsys):
    sharing.prepare([double, triple, double], np.dtype("float32"))
    assert watched == [(0, 2), (1, 2), (2, 2)]
    sharing.prepare([double, triple], np.dtype("float32"))
    assert len(watched) == 3  # all is there
    assert capsys.readouterr().err == ""


def test_a_watcher_does_not_hide_that_the_result_cannot_be_kept(nothing_loaded, watched, monkeypatch, capsys):
    monkeypatch.setattr(keeping, "_folder", lambda: None)
    sharing.prepare([double], np.dtype("float32"))
    assert "cannot be kept. Set NUMBA_CACHE_DIR" in capsys.readouterr().err


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_the_command_line_shows_a_clock_on_a_terminal_and_erases_it(nothing_loaded, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.compiling(quiet=False):
        sharing.prepare([double, triple], np.dtype("float32"))
    first, second, *rest = re.split("\r(?=.)", screen.getvalue())[1:]
    assert re.fullmatch(r"Compiling, first use only: 0 of 2 operations, \d+ s", first)
    assert re.fullmatch(r"Compiling, first use only: 1 of 2 operations, \d+ s", second)
    assert rest == [" " * len(second) + "\r"]


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_line_prints_one_line_on_a_pipe_and_none_if_quiet(quiet, nothing_loaded, capsys):
    with progress.compiling(quiet=quiet):
        sharing.prepare([double, triple], np.dtype("float32"))
    expected = "" if quiet else "chainrule: compiling, which takes a few seconds; the result is kept for later\n"
    assert capsys.readouterr().err == expected
    assert keeping.watcher.get() is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_the_first_training_on_a_terminal(tmp_path):
    pty = importlib.import_module("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "CHAINRULE_KERNELS": "numba", "NUMBA_CACHE_DIR": str(tmp_path), "COLUMNS": "100"}
    command = [sys.executable, "-m", "chainrule", "train", "moons", "--epochs", "2", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path
    ) as process:
        os.close(theirs)
        screen = b""
        with contextlib.suppress(OSError):  # the end of a pseudo-terminal
            while some := os.read(ours, 4096):
                screen += some
    os.close(ours)
    assert process.returncode == 0
    before, _, after = screen.decode().partition("data       moons")
    assert re.match(r"\rCompiling, first use only: 0 of \d+ operations, \d s\rCompiling", before)
    assert re.search(r"\r +\r$", before)  # erased
    assert "accuracy" in after
    assert "chainrule: compiling" not in before + after


SHARED = """
import os, sys, time
os.getloadavg = lambda: ({load}, 0.0, 0.0)
sys.executable = {python!r} or sys.executable
import numpy as np
from chainrule.training.compiled import compiling, keeping, product, sharing
from chainrule.training.compiled.layers import activation, dense

compile_, here, T = compiling.Operation._compile, [], np.dtype("float32")
operations = [dense.forward, dense.backward, dense.weights, product.product, activation.softmax, activation.softmax_slope]

def slow(self, dtype):
    here.append(self.name)
    end = time.monotonic() + {wait}
    while time.monotonic() < end and not any(keeping.there(operation.key(T)) for operation in operations):
        time.sleep(0.01)
    return compile_(self, dtype)

compiling.Operation._compile = slow
sharing.prepare(operations, T)
print(len(here), all(operation.address(T) for operation in operations))
"""
IDLE = {"load": 0.0, "python": "", "wait": 0, "cores": "2"}
ALONE = {
    "no core is idle": {"load": 1.5}, "one core": {"cores": "1"}, "no Python": {"python": "/bin/true"},
    "no process can be started": {"python": "/nowhere/python3"},
}  # fmt: skip


def shared(tmp_path, **settings):
    """Return how many of six operations are compiled by the process itself."""
    cores = {"CHAINRULE_NUM_THREADS": settings["cores"], "NUMBA_CACHE_DIR": str(tmp_path)}
    here, there = run(PACKAGE.parent, SHARED.format(**settings), **cores).stdout.split()
    assert there == "True"
    assert len(list(tmp_path.rglob("*.o"))) == 6
    return int(here)


@pytest.mark.slow
@pytest.mark.parametrize("why", ALONE)
def test_one_process_compiles_everything_where_a_second_would_not_help(tmp_path, why):
    assert shared(tmp_path, **IDLE | ALONE[why]) == 6


@pytest.mark.slow
def test_a_second_process_compiles_a_part(tmp_path):
    assert shared(tmp_path, **IDLE | {"wait": 100}) < 6
