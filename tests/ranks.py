"""Ranks as threads of one process, so that tests of data-parallel training need no MPI."""

import threading

import numpy as np


class Threads:
    """``size`` ranks; ``run(f)`` returns what ``f(reduce)`` returned or raised on each."""

    def __init__(self, size):
        self.size, self.barrier, self.slots = size, threading.Barrier(size), [None] * size

    def run(self, f):
        results = [None] * self.size

        def go(rank):
            try:
                results[rank] = f(Reduce(self, rank))
            except Exception as error:
                results[rank] = error
                if isinstance(error, threading.BrokenBarrierError):
                    raise

        threads = [threading.Thread(target=go, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


class Reduce:
    def __init__(self, threads, rank):
        self._threads, self.rank, self.size, self.sums = threads, rank, threads.size, 0

    def __call__(self, vector):
        self.sums += 1
        self._threads.slots[self.rank] = vector.copy()
        self._threads.barrier.wait(timeout=60)
        vector[:] = np.sum(self._threads.slots, axis=0, dtype=vector.dtype)
        self._threads.barrier.wait(timeout=60)
