"""Batches: every row once, in a new order every epoch, from arrays of any layout and dtype."""

from __future__ import annotations

import threading
import tracemalloc
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.training.batches import Batches
from chainrule.training.windows import Window

F32, F64 = np.dtype("float32"), np.dtype("float64")


def table(rows=11, features=3, dtype="float32", order="C"):
    """Row i holds i in all its columns; its target is i and its weight i + 1/2."""
    X = np.repeat(np.arange(rows)[:, np.newaxis], features, axis=1).astype(dtype, order=order)
    return X, np.arange(rows), np.arange(rows, dtype="float32") + 0.5


def epoch(batches):
    """Copies of an epoch's batches (the buffers are used again), and the rows in their order."""
    copies = [(x.copy(), t.copy(), None if w is None else w.copy()) for x, t, w in batches]
    return copies, [int(i) for _, t, _ in copies for i in t]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 40),
    share=st.floats(0, 1),
    dtype=st.sampled_from(["float32", "float64", "uint8", "int16", "bool"]),
    layout=st.sampled_from(["C", "F", "every second row", "backwards", "columns of a wider table"]),
    target=st.sampled_from([F32, F64]),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_row_comes_once_an_epoch_with_its_target_and_weight(rows, share, dtype, layout, target, shuffle, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 200, (rows, 3)).astype(dtype)
    X = {
        "C": values,
        "F": np.asfortranarray(values),
        "every second row": np.repeat(values, 2, axis=0)[::2],
        "backwards": values[::-1].copy()[::-1],
        "columns of a wider table": np.concatenate([values, values], axis=1)[:, :3],
    }[layout]
    X.flags.writeable = False
    t, weight = np.arange(rows), rng.uniform(size=rows).astype(target)
    size = 1 + int(share * (rows - 1))
    batches = Batches(X, t, weight, None, size, target, np.random.default_rng(seed) if shuffle else None)
    for _ in range(2):
        copies, order = epoch(batches)
        assert sorted(order) == list(range(rows)), "every row exactly once"
        assert len(copies) == len(batches)
        assert [len(x) for x, _, _ in copies[:-1]] == [size] * (len(copies) - 1)
        assert len(copies[-1][0]) == rows - size * (len(copies) - 1), "the last short batch is used"
        for x, index, w in copies:
            assert x.dtype == w.dtype == target
            np.testing.assert_array_equal(x, values[index].astype(target))
            np.testing.assert_array_equal(w, weight[index], err_msg="weights follow their rows")
        if not shuffle:
            assert order == list(range(rows))


def test_every_epoch_has_another_order_and_the_same_seed_the_same_orders():
    X, t, _ = table(50)
    first, second = (Batches(X, t, None, None, 8, F32, np.random.default_rng(3)) for _ in range(2))
    orders = [epoch(first)[1] for _ in range(4)]
    assert len({tuple(order) for order in orders}) == 4
    assert [epoch(second)[1] for _ in range(4)] == orders
    assert epoch(Batches(X, t, None, None, 8, F32, np.random.default_rng(4)))[1] != orders[0]


def test_every_row_comes_first_equally_often():
    X, t, _ = table(5)
    batches = Batches(X, t, None, None, 5, F32, np.random.default_rng(0))
    firsts = np.bincount([epoch(batches)[1][0] for _ in range(2000)], minlength=5)
    assert (np.abs(firsts - 400) < 5 * np.sqrt(2000 * 0.2 * 0.8)).all(), f"{firsts}"


@pytest.mark.parametrize("order", ["C", "F"])
def test_without_shuffling_batches_are_views_where_the_dtype_fits(order):
    X, t, weight = table(order=order)
    for x, target, w in Batches(X, t, weight, None, 4, F32, None):
        assert np.shares_memory(x, X)
        assert np.shares_memory(target, t)
        assert np.shares_memory(w, weight)


@pytest.mark.parametrize("shuffle", [False, True])
def test_another_dtype_is_converted_batch_by_batch(shuffle):
    X, t, _ = table(10_000, 100, "float64")
    tracemalloc.start()
    try:
        batches = Batches(X, t, None, None, 50, F32, np.random.default_rng(0) if shuffle else None)
        for x, _, _ in batches:
            assert x.dtype == np.float32
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * X.nbytes, f"{peak:,} bytes for X of {X.nbytes:,}"


@pytest.mark.parametrize("shuffle", [False, True])
def test_only_the_given_rows_are_used(shuffle):
    X, t, weight = table(12)
    rows = np.array([1, 4, 5, 8, 11])
    kept = rows.copy()
    batches = Batches(X, t, weight, rows, 2, F32, np.random.default_rng(0) if shuffle else None)
    assert len(batches) == 3
    assert batches.rows == 5
    for _ in range(3):
        copies, order = epoch(batches)
        assert sorted(order) == kept.tolist()
        assert shuffle or order == kept.tolist()
        for x, index, w in copies:
            np.testing.assert_array_equal(x[:, 0], index)
            np.testing.assert_array_equal(w, index + 0.5)
    np.testing.assert_array_equal(rows, kept, err_msg="the caller's array is not shuffled")


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_data_are_never_written_to(shuffle):
    X, t, weight = table()
    for array in (X, t, weight):
        array.flags.writeable = False
    for order in ("C", "F"):
        batches = Batches(
            np.asarray(X, order=order), t, weight, None, 4, F32, np.random.default_rng(0) if shuffle else None
        )
        assert len(epoch(batches)[1]) == 11


def test_images_and_wide_targets_keep_their_shapes():
    X = np.arange(7 * 2 * 3 * 1, dtype="uint8").reshape(7, 2, 3, 1)
    t = np.arange(14.0, dtype="float32").reshape(7, 2)
    batches = Batches(X, t, None, None, 3, F32, np.random.default_rng(0))
    shapes = [(x.shape, target.shape, w) for x, target, w in batches]
    assert shapes == [((3, 2, 3, 1), (3, 2), None)] * 2 + [((1, 2, 3, 1), (1, 2), None)]
    for x, target, _ in batches:
        row = (target[:, 0] / 2).astype(int)
        np.testing.assert_array_equal(x, X[row])


# Windows of a file ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=st.integers(1, 40), length=st.integers(1, 12), batch=st.integers(1, 15), seed=st.integers(0, 99))
def test_a_window_gives_the_rows_in_the_order_of_the_epoch(rows, length, batch, seed):
    X, rng = table(rows)[0], np.random.default_rng(seed)
    window = Window(X, length * X[0].nbytes)
    for _ in range(2):
        order = rng.permutation(rows)
        window.forget()
        for first in range(0, rows, batch):
            last = min(first + batch, rows)
            np.testing.assert_array_equal(window.take(order, first, last), X[order[first:last]])


class Watched(np.ndarray):
    """Notes the threads that read it."""

    readers: ClassVar[list[str]] = []

    def __getitem__(self, index):
        self.readers.append(threading.current_thread().name)
        return np.asarray(super().__getitem__(index))


def test_a_thread_reads_the_next_window():
    X, order = table(24)[0], np.random.default_rng(0).permutation(24)
    Watched.readers.clear()
    window = Window(X.view(Watched), 8 * X[0].nbytes)
    for first in range(0, 24, 4):
        np.testing.assert_array_equal(window.take(order, first, first + 4), X[order[first : first + 4]])
    names = [name.split("_")[0] for name in Watched.readers]
    assert names[0] == "MainThread"
    assert set(names[1:]) == {"chainrule-read"}, "only the first window is read while training waits"


def test_windows_without_threads(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    X, order = table(24)[0], np.arange(24)[::-1]
    window = Window(X, 8 * X[0].nbytes)
    monkeypatch.setattr(window._reader, "submit", refuse)
    rows = [window.take(order, first, first + 6).copy() for first in range(0, 24, 6)]
    np.testing.assert_array_equal(np.concatenate(rows), X[order])
