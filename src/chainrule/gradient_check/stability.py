"""Large inputs: y and dx stay finite wherever their true values are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.same import listed

SCALES = (30, 300, 1000)
EXTREME = 10_000  # of one row, beside others as they are
REMEDY = (
    "an intermediate value such as exp(x) overflows. Subtract the row's maximum before exp (softmax), use "
    "np.logaddexp(0, x) for log(1 + exp(x)), or np.where for large |x|"
)

Pass = Callable[[Array], dict[str, Array]]


def overflows(bench: Bench) -> Iterator[str]:
    """Yield what is not finite for a batch of large numbers, in either dtype, and by how much they are larger."""
    for dtype in ("float32", "float64"):
        small, exact = bench.astype(dtype), bench.astype("float64")

        def work(x: Array, bench: Bench = small) -> dict[str, Array]:
            results = bench.passes(x, bench.dy().astype(x.dtype), bench.memo())
            return {name: results[name] for name in ("y", "dx")}

        def reference(x: Array, bench: Bench = exact) -> dict[str, Array]:
            return work(x, bench)

        fixed = list(bench.layer.integer_columns())
        if what := not_finite(small.batch(), work, reference, fixed):
            yield f"{what} in {dtype}, although the true values are: {REMEDY}"
            return


def not_finite(x: Array, work: Pass, reference: Pass, fixed: Any = ()) -> str:
    """Return which results are not finite for which multiple of x, where ``reference`` says that they could be.

    The reference gets the widest floats there are, whose exponents are larger: the exponential itself has no value
    that fits, and that is no mistake. Columns that are ``fixed`` stay as they are.
    """
    for what, large in _larger(x, fixed):
        try:
            got = work(large.copy())
        except Exception:  # noqa: BLE001, S112  (it refuses such numbers)
            continue
        bad = [name for name, value in got.items() if not np.isfinite(value).all()]
        if bad and (named := _representable(got, bad, large, reference)):
            return f"{listed(named)} {'is' if len(named) == 1 else 'are'} not finite {what}"
    return ""


def _larger(x: Array, fixed: Any) -> Iterator[tuple[str, Array]]:
    kept = x[:, list(fixed)] if fixed else None
    for scale in (*SCALES, EXTREME):
        large = x.copy()
        if scale == EXTREME:
            large[0] *= scale
            what = f"where the numbers of one row are {scale:,} times as large"
        else:
            large *= scale
            what = f"where x is {scale:,} times as large"
        if kept is not None:
            large[:, list(fixed)] = kept
        yield what, large


def _representable(got: dict[str, Array], bad: list[str], x: Array, reference: Pass) -> list[str]:
    """Return the results that are not finite although their true values fit; none where nobody knows."""
    wide: Any = np.dtype(np.longdouble if np.finfo(np.longdouble).max > np.finfo(np.float64).max else np.float64)
    if np.finfo(wide).max == np.finfo(x.dtype).max:
        return []
    try:
        true = reference(x.astype(wide))
    except Exception:  # noqa: BLE001  (it takes no other floats)
        return []
    largest = np.finfo(x.dtype).max
    with np.errstate(all="ignore"):
        return [n for n in bad if np.shape(true[n]) == got[n].shape and _lost(got[n], true[n], float(largest))]


def _lost(got: Array, true: Array, largest: float) -> bool:
    return bool((~np.isfinite(got) & np.isfinite(true) & (np.abs(true) <= largest)).any())
