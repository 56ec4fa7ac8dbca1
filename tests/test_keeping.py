"""Compiled code: from any installation, whatever the state of the files in which it is kept, and without Numba."""

import compileall
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import engine

numba = pytest.importorskip("numba")
pytest.importorskip("scipy")

from chainrule.training.compiled import compiling, keeping  # noqa: E402

PACKAGE = Path(cr.__file__).parent


def make(version):
    def double(x):
        return 2 * x + 0 * version

    return double


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiling._Notice, "said", False)
    return tmp_path


def used():
    """Compile, or load, and call; return the function."""
    function = compiling.kept(make)
    compiling.announce(function)
    assert function(3) == 6
    return function


def hits(function):
    return sum(function.stats.cache_hits.values())


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


@pytest.mark.parametrize("harm", [empty, cut, cut_early, other, gone])
@pytest.mark.parametrize("name", ["*.nbi", "*.nbc"])
def test_files_that_cannot_be_read_are_made_anew(folder, harm, name):
    assert not hits(used())
    assert hits(used()) == 1
    (path,) = folder.rglob(name)
    harm(path)
    assert not hits(used())
    assert hits(used()) == 1


def test_where_there_is_no_place_it_says_so_and_what_to_set(folder, monkeypatch, capsys):
    monkeypatch.setattr(keeping._Places, "_locator_classes", [])
    used()
    assert capsys.readouterr().err == (
        "chainrule: compiling, which takes about ten seconds; the result cannot be kept. "
        "Set NUMBA_CACHE_DIR to a folder that can be written, or each process compiles anew.\n"
    )


def test_a_full_disk_is_no_error(folder, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping.FunctionCache, "save_overload", full)
    used()
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("; the result is kept for later")
    assert "cannot be kept in " in second
    assert "(No space left on device). Set NUMBA_CACHE_DIR" in second


def test_files_that_can_be_neither_read_nor_written_are_no_error(folder, monkeypatch, capsys):
    def denied(*arguments):
        raise PermissionError(13, "Permission denied")

    used()
    empty(next(folder.rglob("*.nbi")))
    monkeypatch.setattr(keeping.FunctionCache, "flush", denied)
    monkeypatch.setattr(compiling._Notice, "said", False)
    capsys.readouterr()
    used()
    first, second = capsys.readouterr().err.splitlines()
    assert "cannot be kept in " in first
    assert "cannot be kept. Set NUMBA_CACHE_DIR" in second


def test_a_function_without_a_file_of_source_is_kept_too(folder):
    code = Path(__file__).read_text(encoding="utf-8").partition("def make")[2].partition("@pytest")[0]

    def used_elsewhere(version):
        known = {}
        exec(compile("def make" + code, "/no/such/app.pyz/epoch.py", "exec"), known)
        function = compiling.kept(lambda _: known["make"](version))
        assert function(3) == 6
        return function

    assert not hits(used_elsewhere(1))
    assert hits(used_elsewhere(1)) == 1
    assert not hits(used_elsewhere(2))


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


@pytest.mark.parametrize(("install", "name"), [(zipped, "app.zip"), *INSTALLATIONS])
def test_the_version_of_compiled_code_is_found_in_any_installation(tmp_path, install, name):
    code = "from chainrule.training.compiled.compiling import _version; print(_version())"
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


# ------------------------------------------------------------ without Numba


@pytest.fixture
def said(monkeypatch, capsys):
    monkeypatch.delenv("CHAINRULE_KERNELS", raising=False)
    kernels._say_once.cache_clear()
    return lambda: capsys.readouterr().err


@pytest.mark.parametrize("asked", [None, "numba"])
def test_where_compiling_is_switched_off_numpy_trains_and_it_is_said_once(said, monkeypatch, asked):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert engine.select(asked).__name__ == "chainrule.training.step"
    assert engine.select(asked).__name__ == "chainrule.training.step"
    assert said() == "chainrule: training with NumPy, not with compiled code: NUMBA_DISABLE_JIT is set.\n"


def test_a_numba_that_cannot_be_imported_is_done_without_unless_it_is_asked_for(said, monkeypatch):
    monkeypatch.setattr(engine, "installed", lambda: True)
    monkeypatch.setitem(sys.modules, "numba", None)  # an import of it raises an ImportError
    assert engine.select().__name__ == "chainrule.training.step"
    assert said().startswith("chainrule: training with NumPy, not with compiled code: Numba cannot be imported (")
    with pytest.raises(ImportError, match="numba"):
        engine.select("numba")


def test_training_with_compiling_switched_off_in_a_process(tmp_path):
    result = run(PACKAGE.parent, TRAIN, NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert result.stderr.count("NUMBA_DISABLE_JIT is set") == 1
    assert result.stdout
