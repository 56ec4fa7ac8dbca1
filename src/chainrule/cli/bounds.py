"""The bounds of the numeric options of all commands, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule._internal.checks import check_count, check_real, check_split_seed

REALS: dict[str, dict[str, Any]] = {
    **{name: {"low": 0.0, "high": 1.0, "open_high": True} for name in ("dropout", "input_dropout", "label_smoothing")},
    **{name: {"low": 0.0} for name in ("l1", "l2", "max_norm", "clip_norm", "warm_up")},
    "validation": {"low": 0.0, "high": 1.0, "open_low": True, "open_high": True},
    "learning_rate": {"low": 0.0, "open_low": True},
}
COUNTS = {"epochs": 1, "batch_size": 1, "patience": 0, "rows": 2}
UNBOUNDED = ("max_norm", "clip_norm")  # 0 means no bound

__all__ = ["UNBOUNDED", "check"]


def check(command: str, options: Mapping[str, Any]) -> None:
    """Refuse a numeric option that is out of its bounds; None, and options without bounds, pass.

    >>> check("train", {"dropout": 0.5, "max_norm": 0.0, "seed": None})
    >>> check("train", {"input_dropout": 1.0})
    Traceback (most recent call last):
    ...
    ValueError: train: --input-dropout: expected a number in [0, 1), got 1.0.
    """
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is None:
            continue
        if name in REALS:
            check_real(command, option, value, **REALS[name])
        elif name in COUNTS:
            check_count(command, option, value, least=COUNTS[name])
        elif name == "seed":
            check_split_seed(command, value, option)
