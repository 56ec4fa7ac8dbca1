"""What all tests share."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's "&" does that; the tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Workers of pytest-xdist share the cores, where threads of BLAS would wait for each other: each worker has one.

    Tests of threads ask for theirs. This process is the one that starts the workers, before they import NumPy.
    """
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker a stretch of the tests, so that most fixtures of a module are made once; who is done takes more."""
    if config.getoption("dist") == "load":  # by -n
        from xdist.scheduler import WorkStealingScheduling  # noqa: PLC0415  (only where it is installed)

        return WorkStealingScheduling(config, log)
    return None


def pytest_collection_modifyitems(items):
    """The tests in ``hard`` kill processes and break files for minutes: they are slow, and come last.

    So are those that import PyTorch, and all cases but n of a function that is marked ``few(n)``. The n are spread over
    all cases, and take turns in the values of the innermost parameter.
    """
    items.sort(key=lambda item: item.path.parent.name == "hard")
    cases = {}
    for item in items:
        if item.path.parent.name == "hard" or "torch" in item.nodeid.partition("[")[0].lower():
            item.add_marker(pytest.mark.slow)
        few = item.get_closest_marker("few")
        if few and not item.get_closest_marker("slow"):
            cases.setdefault((item.parent, item.originalname), (few.args[0], []))[1].append(item)
    for few, those in cases.values():
        apart = max(1, len(those) // few)
        fast = {i * len(those) // few + i % apart for i in range(few)}
        for i, item in enumerate(those):
            if i not in fast:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _compile_once():
    """Let the compiler say that it compiles before the tests that look at what is said."""
    import chainrule as cr  # noqa: PLC0415  (after the hook that checks shapes)

    for dtype in ("float32", "float64"):
        network = cr.Network(1, [cr.layers.Dense(1)], "squared_error", seed=0, dtype=dtype)
        cr.train(network, [[0.0]], [0.0], epochs=1)


@pytest.fixture
def unpainted():
    """Write figures without painting them, which takes most of the time of a short command; ``undo()`` paints again."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (an extra)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, path, **how: Path(path).write_bytes(b"\x89PNG"))
        yield patch


@pytest.fixture
def other_user():
    """Yield a folder that others may see, and a call that makes this process one of them; root alone can do that."""
    if not hasattr(os, "seteuid") or os.geteuid() != 0:
        pytest.skip("only root can become another user, and root itself may read and write everything")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder, lambda: os.seteuid(65534)
        finally:
            os.seteuid(0)
