"""Stability for large inputs: y and dx must be finite if their true values are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.same import listed

SCALES = (30, 300, 1000)
EXTREME = 10_000  # factor for one row, with the others unchanged
REMEDY = (
    "an intermediate value such as exp(x) overflows. Subtract the row's maximum before exp (softmax), use "
    "np.logaddexp(0, x) for log(1 + exp(x)), or np.where for large |x|"
)

Pass = Callable[[Array], dict[str, Array]]


def overflows(bench: Bench) -> Iterator[str]:
    """Yield the results that are not finite for large inputs, in either dtype, with the scale of the inputs."""
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
    """Describe results that are not finite although ``reference`` is, with the multiple of x.

    The reference uses the widest floats available, whose exponent range is larger: if the true value itself overflows,
    as for the exponential, that is not an error. ``fixed`` columns are not scaled.
    """
    for what, large in _larger(x, fixed):
        try:
            got = work(large.copy())
        except Exception:  # noqa: BLE001, S112  (it rejects such numbers)
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
            what = f"if the numbers of one row are {scale:,} times as large"
        else:
            large *= scale
            what = f"if x is {scale:,} times as large"
        if kept is not None:
            large[:, list(fixed)] = kept
        yield what, large


def _representable(got: dict[str, Array], bad: list[str], x: Array, reference: Pass) -> list[str]:
    """Return the results that are not finite although their true values are; none if these are unknown."""
    wide: Any = np.dtype(np.longdouble if np.finfo(np.longdouble).max > np.finfo(np.float64).max else np.float64)
    if np.finfo(wide).max == np.finfo(x.dtype).max:
        return []
    try:
        true = reference(x.astype(wide))
    except Exception:  # noqa: BLE001  (it accepts no other floats)
        return []
    largest = np.finfo(x.dtype).max
    with np.errstate(all="ignore"):
        return [n for n in bad if np.shape(true[n]) == got[n].shape and _lost(got[n], true[n], float(largest))]


def _lost(got: Array, true: Array, largest: float) -> bool:
    return bool((~np.isfinite(got) & np.isfinite(true) & (np.abs(true) <= largest)).any())
