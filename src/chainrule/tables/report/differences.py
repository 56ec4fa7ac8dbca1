r"""Which groups of rows have other losses than all other rows, by more than chance.

If a group is like any other set of as many rows, the sum of its rows' losses (0 for a correct and 1 for a wrong
prediction, or the squared error) is that of rows drawn at random without replacement. For right and wrong, that is
Fisher's exact test. Other losses have a gamma distribution with the three moments of such a sum, and a few huge errors
could mislead it: the ranks of the losses must agree. The p-values are corrected for the number of groups (Holm).

Sources: Fisher, "The design of experiments" (1935); Mielke and Berry, "Permutation methods: a distance function
approach" (2007), on the gamma distribution; Wilcoxon, "Individual comparisons by ranking methods" (1945); Holm, "A
simple sequentially rejective multiple test procedure" (1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule._internal.typing import Array
from chainrule.tables.report.data import LEVEL


def tested(losses: Array, parts: Sequence[Array], n: Array, total: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Return the p-values of groups after Holm's correction, and whether they are too small for twice the mean loss.

    ``sizes`` are the numbers of groups of each column; the two groups of a column are one test.
    """
    p_value, small = np.full(len(n), np.nan), np.zeros(len(n), bool)
    if len(losses) < 3 or not np.isfinite(losses).all() or not len(n):
        return p_value, small
    starts = np.cumsum([0, *sizes[:-1]])
    twin = np.array([start + 1 for start, size in zip(starts, sizes, strict=True) if size == 2], int)
    tests = np.setdiff1d(np.flatnonzero(n < len(losses)), twin)
    if not len(tests) or losses.min() == losses.max():
        return p_value, small
    losses, total = losses / losses.max(), total / losses.max()
    raw = _chance(losses, n, total)
    if not _is_right_or_wrong(losses):
        from scipy.stats import rankdata  # noqa: PLC0415  (start-up time)

        ranks = rankdata(losses)
        ranked = np.array([ranks[part].sum() for part in parts])
        agree = (total > n * losses.mean()) == (ranked > n * ranks.mean())
        raw = np.where(agree, np.maximum(raw, _chance(ranks, n, ranked)), 1.0)
    order = tests[np.argsort(raw[tests], kind="stable")]
    left = np.arange(len(tests), 0, -1)
    p_value[order] = np.minimum(1.0, np.maximum.accumulate(left * raw[order]))
    p_value[twin] = p_value[twin - 1]
    doubled = np.minimum(2 * n * losses.mean(), np.minimum(n, losses.sum()))
    doubled = np.ceil(doubled) if _is_right_or_wrong(losses) else doubled
    small = (_chance(losses, n, doubled) > LEVEL / len(tests)) & (2 * n <= len(losses))
    return p_value, small


def _is_right_or_wrong(losses: Array) -> bool:
    return bool(np.isin(losses, (0, 1)).all())


def _chance(losses: Array, n: Array, total: Array) -> Array:
    """Return twice the chance that ``n`` rows drawn at random have a sum of losses as far out as ``total``.

    >>> _chance(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), np.array([2.0]), np.array([2.0])).round(3)  # 2 / 15
    array([0.133])
    """
    from scipy.stats import hypergeom, pearson3  # noqa: PLC0415  (start-up time)

    count = len(losses)
    if _is_right_or_wrong(losses):
        of = hypergeom(count, int(losses.sum()), n.astype(int))
        total = np.round(total)
        return np.minimum(1.0, 2 * np.minimum(of.cdf(total), of.sf(total - 1)))
    d = losses - losses.mean()
    chosen = n * (count - n) / (count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(chosen * np.mean(d**2))
        skew = chosen * (count - 2 * n) / (count - 2) * np.mean(d**3) / spread**3
        z = (total - n * losses.mean()) / spread
    known = spread > 0
    p = np.ones(len(n))
    tails = pearson3.cdf(z[known], skew[known]), pearson3.sf(z[known], skew[known])
    p[known] = np.minimum(1.0, 2 * np.minimum(*tails))
    return p
