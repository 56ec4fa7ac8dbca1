"""The number of BLAS threads: one for small products, given back at the end, whatever happens."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import chainrule as cr
from chainrule._internal import threads as _threads
from chainrule._internal.threads import SMALL, blas_threads, choose_threads, work_alone
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


def seen_by_a_fit(_=None):
    """Return how many threads BLAS has in the middle of a fit."""
    look = Look()
    network = cr.Network(3, [Dense(2)], "squared_error", seed=0)
    cr.train(network, np.ones((8, 3)), np.ones((8, 2)), epochs=2, callbacks=[look])
    return look.seen


def in_an_executor(work, count):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, range(count)))


def with_joblib(work, count):
    return joblib.Parallel(2, backend="threading")(joblib.delayed(work)(i) for i in range(count))


def with_dask(work, count):
    dask = pytest.importorskip("dask")
    return list(dask.compute(*(dask.delayed(work)(i) for i in range(count)), scheduler="threads", num_workers=2))


@pytest.mark.parametrize("run", [in_an_executor, with_joblib, with_dask])
def test_any_thread_of_the_process_can_limit_blas_and_gives_it_back(run):
    """threadpoolctl lets the first thread that has set OpenBLAS's threads keep them: here the main one, by a limit."""
    assert seen_by_a_fit() == 1
    assert run(seen_by_a_fit, 4) == [1] * 4
    assert threads() == 2
    assert run(lambda _: choose_threads(0).allowed, 2) == [2, 2]


def test_a_thread_that_called_threadpool_limits_once_for_all_does_not_keep_others_from_it():
    threadpool_limits(2, user_api="blas")  # no block: this thread owns OpenBLAS from here on
    assert in_an_executor(seen_by_a_fit, 1) == [1]
    assert threads() == 2


def test_threadpool_limits_of_other_code_work_after_a_training_in_every_thread():
    def limited(count):
        with threadpool_limits(count, user_api="blas"):
            return threads()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(seen_by_a_fit).result()
        assert limited(1) == 1  # while the thread that trained is alive
        seen_by_a_fit()
        assert pool.submit(limited, 1).result() == 1
    assert threads() == 2


def test_a_limit_that_began_before_a_training_and_ends_within_it_leaves_no_trace():
    other = threadpool_limits(1, user_api="blas").__enter__()
    block = blas_threads(1)
    block.__enter__()
    other.__exit__(None, None, None)
    block.__exit__(None, None, None)
    assert threads() == 2


def test_blas_has_one_thread_where_trainings_overlap_and_all_may_use_what_was_there():
    large, small = blas_threads(2), blas_threads(2)
    large.__enter__()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(small.__enter__).result()
        assert threads() == 1
        assert choose_threads(SMALL + 1).allowed == 2  # what was there before
        large.__exit__(None, None, None)  # in another thread than the one that changed the number last
        assert threads() == 1
        pool.submit(small.__exit__, None, None, None).result()
    assert threads() == 2


def test_a_prediction_inside_of_a_training_leaves_it_its_threads():
    class Predict(cr.Callback):
        def on_epoch(self, run):
            cr.Network(300, [Dense(100), Dense(2)], "squared_error", seed=0).predict(np.ones((100, 300)))
            self.seen = threads()

    predict, network = Predict(), cr.Network(3, [Dense(2)], "squared_error", seed=0)
    cr.train(network, np.ones((8, 3)), np.ones((8, 2)), epochs=1, callbacks=[predict], threads=2)
    assert predict.seen == 2


class OpenMP:
    """OpenBLAS built with OpenMP: each thread of the process has a number of its own."""

    filepath, internal_api, threading_layer = "libopenblas", "openblas", "openmp"

    def __init__(self):
        self._local = threading.local()

    def get_num_threads(self):
        return getattr(self._local, "number", 2)

    def set_num_threads(self, number):
        self._local.number = number


def test_a_number_that_each_thread_has_for_itself_is_set_in_each(monkeypatch):
    library = OpenMP()
    monkeypatch.setattr(_threads, "_libraries", lambda: [library])
    both = threading.Barrier(2)

    def inside(_):
        with blas_threads(1):
            both.wait()  # the other is in its block
            seen = library.get_num_threads()
            both.wait()
        return seen, library.get_num_threads()

    assert in_an_executor(inside, 2) == [(1, 2), (1, 2)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_during_a_training_has_its_threads_back():
    with blas_threads(1):
        child = os.fork()
        if not child:
            with blas_threads(1):
                inside = threads()
            os._exit(10 * inside + threads())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 12


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


@pytest.mark.slow
def test_libraries_loaded_later_are_limited_too():
    """SciPy brings a BLAS of its own, which is not there before its first import."""
    code = """
import numpy as np, threadpoolctl, chainrule as cr
from chainrule._internal.threads import blas_threads
with blas_threads(1):
    pass
import scipy.linalg
with threadpoolctl.threadpool_limits(2, user_api="blas"), blas_threads(1):
    print(*{pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["1"]


def test_a_thread_of_several_works_alone():
    """Whatever the product and the environment; the other threads keep theirs."""
    with ThreadPoolExecutor(1, initializer=work_alone) as pool:
        assert pool.submit(choose_threads, 2 * SMALL).result()[:2] == (1, 1)
    assert choose_threads(2 * SMALL, 2)[:2] == (2, 2)
