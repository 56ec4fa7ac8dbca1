"""The rules of the layer contract, each a function that yields violations. A correct layer has none.

``self`` holds what is learned, the memo everything about the current batch, and x and dy belong to other layers. A
layer that breaks these rules often trains well alone, but gives wrong gradients together with other layers, batches or
threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.failing import UnfinishedError, describe, pass_of, raised
from chainrule.gradient_check.in_prediction import backward_in_prediction
from chainrule.gradient_check.same import came, differ, differing, equal, listed, same
from chainrule.gradient_check.stability import overflows
from chainrule.memo import Memo
from chainrule.parameters import locate

THREADS, BATCHES = 4, 12


class Violation(NamedTuple):
    """A broken rule, with a description."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def violations(bench: Bench) -> list[Violation]:
    """Return the violations; a rule that would only repeat an earlier violation is skipped.

    Raises ``UnfinishedError`` if a pass raises NotImplementedError.
    """
    found: list[Violation] = []
    for rule, (check, implied_by) in RULES.items():
        if not implied_by.isdisjoint(v.rule for v in found):
            continue
        try:
            found += [Violation(rule, what) for what in check(bench)]
        except NotImplementedError as error:
            raise UnfinishedError(f"{_SITUATION.get(rule, '')}{raised(pass_of(error), error)}") from error
        except Exception as error:  # noqa: BLE001  (the layer is user code)
            found.append(Violation(rule, f"{_SITUATION.get(rule, '')}{pass_of(error)} raises {describe(error)}"))
    return found


def _runs(bench: Bench) -> Iterator[str]:
    layer, x, dy = bench.layer, bench.batch(), bench.dy()
    for training in (False, True):
        memo = bench.memo(training=training)
        y = layer.forward(x.copy(), memo)
        wanted = (len(x), *layer.output_shape)
        if getattr(y, "shape", None) != wanted:
            remedy = "return its shape from output(self, input_shape)" if hasattr(y, "shape") else "return y"
            yield f"forward returns {came(y)}, but y has shape {wanted} for output() = {layer.output_shape}: {remedy}"
            return
    dx = layer.backward(dy.copy(), memo)
    if getattr(dx, "shape", None) != x.shape:
        yield f"backward returns {came(dx)}, but x has shape {x.shape}: return dL/dx"
    for name in bench.parameters:
        w, dw = bench.parameter(name), bench.gradient(memo, name)
        if np.shape(dw) != w.shape:
            left = "no" if dw is None else f"shape {np.shape(dw)} in"
            yield f"backward sets {left} memo.d{name}, but {name} has shape {w.shape}{_reason(dw, w, dy)}"


def _reason(dw: Any, w: Array, dy: Array) -> str:
    if dw is None:
        return ""
    if np.ndim(dw) == 0:
        axes = "axis=0" if dy.ndim == 2 else f"axis={tuple(range(dy.ndim - 1))}"
        return f": it is a sum over everything; sum over the rows only, dy.sum({axes})"
    return ": it is transposed" if w.ndim > 1 and np.shape(dw) == w.shape[::-1] else ""


def _dtype(bench: Bench) -> Iterator[str]:
    for dtype in ("float32", "float64"):
        other = bench.astype(dtype)
        results = other.passes(other.batch(), other.dy(), other.memo())
        if wrong := [name for name, value in results.items() if value is not None and value.dtype != dtype]:
            found = listed(sorted({str(results[name].dtype) for name in wrong}))
            yield (
                f"{listed(wrong)} {'is' if len(wrong) == 1 else 'are'} {found} where x is {dtype}: an array made "
                "without dtype=x.dtype, or a NumPy scalar such as np.sqrt(2.0) in place of math.sqrt(2.0)"
            )


def _inputs(bench: Bench) -> Iterator[str]:
    x, dy = bench.batch(), bench.dy()
    given, given_dy = x.copy(), dy.copy()
    bench.layer.forward(given, bench.memo(training=False))
    memo = bench.memo()
    bench.layer.forward(given, memo)
    if not np.array_equal(given, x):
        yield "forward modifies x in place, but the previous layer may need it in backward; write to memo.y or a copy"
        given[...] = x
    bench.layer.backward(given_dy, memo)
    if not np.array_equal(given, x):
        yield "backward modifies x in place: write to memo.dx or a copy"
    if not np.array_equal(given_dy, dy):
        yield "backward modifies dy in place: write to memo.dx or a copy"


def _parameters(bench: Bench) -> Iterator[str]:
    before = {name: bench.parameter(name).copy() for name in bench.parameters}
    views = {name: bench.parameter(name) for name in bench.parameters}
    bench.passes(bench.batch(), bench.dy(), bench.memo())
    for name, value in before.items():
        if bench.parameter(name) is not views[name]:
            yield f"self.{name} was replaced by another array: only the optimizer may change parameters, in place"
        elif not np.array_equal(views[name], value):
            yield f"self.{name} was changed: only the optimizer may do that; store its gradient in memo.d{name}"
        views[name][...] = value
        part, last = locate(bench.layer, name)
        setattr(part, last, views[name])


def _state(bench: Bench) -> Iterator[str]:
    with contextlib.suppress(Exception):  # other rules' passes already wrote values; these write different ones
        for turn, rows in ((1, bench.rows), (2, bench.rows // 2)):
            bench.passes(bench.batch(turn, rows), bench.dy(turn, rows), bench.memo())
    for name, value in bench.state().items():
        if name not in bench.before or not equal(value, bench.before[name]):
            yield (
                f"forward or backward writes self.{name}: another batch or thread would overwrite it. Store values of "
                f"the current batch in the memo, as memo.{name}"
            )


def _seed(bench: Bench) -> Iterator[str]:
    first, second = (bench.passes(bench.batch(), bench.dy(), bench.memo()) for _ in range(2))
    if different := differing(first, second):
        yield (
            f"{listed(different)} of the same batch {differ(different)} from call to call: draw from memo.rng, which "
            "is seeded, and keep state only in the memo"
        )


def _planned(bench: Bench) -> Iterator[str]:
    memo = bench.workspace()[1]
    for name in ("y", "dx", *bench.layer.buffers()):
        getattr(memo, name).fill(np.nan)
    planned = bench.passes(bench.batch(), bench.dy(), memo)
    if different := differing(planned, bench.passes(bench.batch(), bench.dy(), bench.memo())):
        yield (
            f"{listed(different)} {differ(different)} between a new memo and one with preallocated buffers: every "
            "buffer must be filled completely, whatever it held"
        )


def _reuse(bench: Bench) -> Iterator[str]:
    workspace, memo = bench.workspace()
    rng = np.random.default_rng(bench.seed)
    last: dict[str, Any] = {}
    for turn, rows in enumerate((bench.rows, max(1, bench.rows // 2), bench.rows)):
        workspace.resize(rows)
        x, dy = bench.batch(turn, rows), bench.dy(turn, rows)
        got = bench.passes(x, dy, memo)
        expected = bench.passes(x, dy, bench.memo(rng=rng))
        for name in differing(got, expected):
            if turn and name in last and name not in {"y", "dx"} and same(got[name], expected[name] + last[name]):
                yield (
                    f"{name} of a second batch includes that of the first: assign memo.{name} (=) instead of "
                    "adding to it (+=)"
                )
            elif turn == 1:
                yield (
                    f"{name} of a batch of {rows} rows is wrong after one of {bench.rows}: values of the earlier "
                    "batch are still used"
                )
            else:
                yield f"{name} is wrong if the memo was used before: values of an earlier batch are used again"
        if differing(got, expected):
            return
        last = got


def _reentrancy(bench: Bench) -> Iterator[str]:
    layer = bench.layer
    memos, ys, alone = [], [], []
    for turn in (0, 1):
        alone.append(bench.passes(bench.batch(turn), bench.dy(turn), bench.memo()))
        memos.append(bench.memo())
    ys = [layer.forward(bench.batch(turn), memo) for turn, memo in enumerate(memos)]
    if not same(ys[0], alone[0]["y"]):
        yield "a second forward changes the result of the first: two memos share an array"
        return
    for turn, memo in enumerate(memos):
        got = {"y": ys[turn], "dx": layer.backward(bench.dy(turn), memo)}
        got |= {f"d{name}": bench.gradient(memo, name) for name in bench.parameters}
        if different := differing(got, alone[turn]):
            yield (
                f"{listed(different)} {differ(different)} if two batches are in flight: backward must read what it "
                "needs only from its memo"
            )
            return


def _prediction(bench: Bench) -> Iterator[str]:
    x = bench.batch()
    alone = np.array(bench.layer.forward(x, Memo()))
    planned = bench.layer.forward(x, bench.workspace(training=False)[1])
    if not same(planned, alone):
        yield "prediction gives a different y with and without a workspace: every buffer must be filled completely"
    if not same(bench.layer.forward(x, Memo()), alone):
        yield "two predictions for the same rows differ: use randomness and state only in training (memo.training)"


def _rows(bench: Bench) -> Iterator[str]:
    x = bench.batch()
    y = np.array(bench.layer.forward(x, Memo()))
    order = np.random.default_rng(bench.seed).permutation(len(x))
    for rows in (order, order[:1]):
        if not same(bench.layer.forward(x[rows].copy(), Memo()), y[rows]):
            yield (
                "in prediction a row's y depends on other rows: reduce over the sample's axes, not over axis 0 "
                "(use batch statistics in training, but running statistics in prediction)"
            )
            return


def _unwanted(bench: Bench) -> Iterator[str]:
    """Before the first layer with parameters, dx is not needed."""
    memo = bench.memo()
    memo.dx_wanted = False
    expected = bench.passes(bench.batch(), bench.dy(), bench.memo())
    got = bench.passes(bench.batch(), bench.dy(), memo)
    if got["dx"] is None:
        expected["dx"] = None
    if different := differing(got, expected):
        yield f"{listed(different)} {differ(different)} if memo.dx_wanted is false: only dx may be omitted"


def _threads(bench: Bench) -> Iterator[str]:
    def work(turn: int) -> dict[str, Any]:
        return bench.passes(bench.batch(turn), bench.dy(turn), bench.memo())

    serial = [work(turn) for turn in range(BATCHES)]
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            results = pool.map(work, range(BATCHES))
        except RuntimeError:  # no thread can be started, as in a browser: then no other thread uses the layer
            return
        parallel = list(results)
    different = sorted({name for a, b in zip(parallel, serial, strict=True) for name in differing(a, b)})
    if different:
        yield (
            f"{listed(different)} {differ(different)} if {THREADS} threads use the layer at once: it writes to "
            "something other than the memo, such as a global array"
        )


Rule = Callable[[Bench], Iterator[str]]
_shared = frozenset({"x and dy", "parameters", "state"})
RULES: dict[str, tuple[Rule, frozenset[str]]] = {
    "passes": (_runs, frozenset()),
    "dtype": (_dtype, frozenset({"passes"})),
    "x and dy": (_inputs, frozenset({"passes"})),
    "parameters": (_parameters, frozenset({"passes"})),
    "state": (_state, frozenset({"passes"})),
    "seed": (_seed, frozenset({"passes"}) | _shared),
    "planned buffers": (_planned, frozenset({"passes", "seed"}) | _shared),
    "reuse": (_reuse, frozenset({"passes", "seed", "planned buffers"}) | _shared),
    "re-entrancy": (_reentrancy, frozenset({"passes", "seed"}) | _shared),
    "prediction": (_prediction, frozenset({"passes", "planned buffers"}) | _shared),
    "backward in prediction": (backward_in_prediction, frozenset({"passes", "prediction"}) | _shared),
    "rows": (_rows, frozenset({"passes", "prediction"}) | _shared),
    "dx_wanted": (_unwanted, frozenset({"passes", "seed"}) | _shared),
    "threads": (_threads, frozenset({"passes", "seed", "re-entrancy"}) | _shared),
    "stability": (overflows, frozenset({"passes", "dtype", "seed"}) | _shared),
}
"""Every rule by name, with the rules whose violations it would only repeat."""

_SITUATION = {
    "dtype": "in float32, ",
    "planned buffers": "with the memo of a workspace, ",
    "reuse": "with a memo that an earlier, longer batch has used, ",
    "re-entrancy": "if two batches are in flight, ",
    "prediction": "in prediction, where memo.training is false and memo.rng is None, ",
    "rows": "in prediction, with the rows in another order, or one alone, ",
    "dx_wanted": "where memo.dx_wanted is false, ",
    "threads": f"in {THREADS} threads at once, ",
}
