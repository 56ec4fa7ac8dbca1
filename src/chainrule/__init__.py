"""Neural networks whose every gradient is written by hand, checked, and fast enough to use at work."""

from typing import TYPE_CHECKING, Any

from chainrule import callbacks, clipping, initializers, layers, losses, metrics, optimizers, penalties, schedules
from chainrule.callbacks import Callback, EarlyStopping, Progress
from chainrule.history import History
from chainrule.layers import Layer
from chainrule.losses import Loss, one_hot
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.training import DivergenceError, evaluate, train
from chainrule.workspace import Workspace

if TYPE_CHECKING:
    from chainrule import datasets, gradient_check, persistence, plotting
    from chainrule.gradient_check import GradientReport, check_gradient

__version__ = "0.1.0"

# Loaded on first use: what training and prediction do not need.
_LAZY = {
    "GradientReport": "chainrule.gradient_check",
    "check_gradient": "chainrule.gradient_check",
    "datasets": "",
    "gradient_check": "",
    "persistence": "",
    "plotting": "",
}


def __getattr__(name: str) -> Any:
    import importlib  # noqa: PLC0415

    if name not in _LAZY:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f"chainrule.{name}")
    return getattr(importlib.import_module(_LAZY[name]), name)


__all__ = [
    "Callback",
    "DivergenceError",
    "EarlyStopping",
    "GradientReport",
    "History",
    "Layer",
    "Loss",
    "Memo",
    "Network",
    "Progress",
    "Workspace",
    "callbacks",
    "check_gradient",
    "clipping",
    "datasets",
    "evaluate",
    "gradient_check",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "one_hot",
    "optimizers",
    "penalties",
    "persistence",
    "plotting",
    "schedules",
    "train",
]
