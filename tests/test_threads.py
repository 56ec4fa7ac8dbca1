"""The number of BLAS threads: one for small products, given back at the end, whatever happens."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import chainrule as cr
from chainrule._threads import SMALL, blas_threads, choose_threads
from chainrule.layers import Dense

if not any(pool["user_api"] == "blas" for pool in threadpool_info()):
    pytest.skip("NumPy's BLAS has no threads to count", allow_module_level=True)


def threads():
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


class Look(cr.Callback):
    def on_epoch(self, run):
        self.seen = threads()


def test_training_a_small_network_uses_one_thread_and_gives_the_others_back():
    look = Look()
    network = cr.Network(3, [Dense(2)], "squared_error", seed=0)
    cr.train(network, np.ones((8, 3)), np.ones((8, 2)), epochs=1, callbacks=[look])
    assert look.seen == 1
    assert threads() == 2


def test_large_products_keep_their_threads():
    assert choose_threads(SMALL + 1).blas == 2
    assert choose_threads(SMALL).blas == 1


def test_an_error_gives_them_back_too():
    class Fail(cr.Callback):
        def on_epoch(self, run):
            raise RuntimeError

    network = cr.Network(3, [Dense(2)], "squared_error", seed=0)
    with pytest.raises(RuntimeError):
        cr.train(network, np.ones((8, 3)), np.ones((8, 2)), callbacks=[Fail()])
    assert threads() == 2


def test_trainings_in_several_threads_leave_the_number_as_it_was():
    def fit():
        network = cr.Network(3, [Dense(2)], "squared_error", seed=0)
        cr.train(network, np.ones((8, 3)), np.ones((8, 2)), epochs=50)

    workers = [threading.Thread(target=fit) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert threads() == 2


def test_blocks_that_overlap_give_back_what_was_there_before_the_first():
    first, second = blas_threads(1), blas_threads(2)
    first.__enter__()
    assert threads() == 1
    second.__enter__()
    assert threads() == 1  # the first decides
    first.__exit__(None, None, None)
    assert threads() == 1
    second.__exit__(None, None, None)
    assert threads() == 2


def test_predicting_leaves_the_number_as_it_was():
    network = cr.Network(300, [Dense(100), Dense(2)], "squared_error", seed=0)
    network.predict(np.ones((100, 300)))
    assert threads() == 2


def test_the_environment_and_the_argument_override_the_choice(monkeypatch):
    def seen(**settings):
        look = Look()
        network = cr.Network(3, [Dense(2)], "squared_error", seed=0)
        cr.train(network, np.ones((8, 3)), np.ones((8, 2)), epochs=1, callbacks=[look], **settings)
        return look.seen

    monkeypatch.setenv("CHAINRULE_NUM_THREADS", "2")
    assert seen() == 2
    assert seen(threads=1) == 1
    monkeypatch.setenv("CHAINRULE_NUM_THREADS", "")
    assert seen(threads=2) == 2
    monkeypatch.setenv("CHAINRULE_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="CHAINRULE_NUM_THREADS: expected a whole number of at least 1, got 'many'"):
        seen()
    with pytest.raises(ValueError, match="threads: expected a whole number of at least 1, got 0"):
        seen(threads=0)


def test_libraries_loaded_later_are_limited_too():
    """SciPy brings a BLAS of its own, which is not there before its first import."""
    code = """
import numpy as np, threadpoolctl, chainrule as cr
from chainrule._threads import blas_threads
with blas_threads(1):
    pass
import scipy.linalg
with threadpoolctl.threadpool_limits(2, user_api="blas"), blas_threads(1):
    print(*{pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["1"]
