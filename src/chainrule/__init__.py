"""Neural networks whose every gradient is written by hand, checked, and fast enough to use at work."""

from typing import TYPE_CHECKING, Any

from chainrule import initializers, layers, losses, metrics
from chainrule.layers import Layer
from chainrule.losses import Loss, one_hot
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.workspace import Workspace

if TYPE_CHECKING:
    from chainrule import (
        augmentation,
        averaging,
        batches,
        callbacks,
        checkpoints,
        clipping,
        datasets,
        estimators,
        gradient_check,
        onnx,
        optimizers,
        penalties,
        persistence,
        plotting,
        range_test,
        schedules,
        serving,
        tables,
        tracing,
        training,
    )
    from chainrule.averaging import EMA, SWA
    from chainrule.callbacks import Callback, EarlyStopping, Progress
    from chainrule.checkpoints import Checkpoint
    from chainrule.estimators import MLPClassifier, MLPRegressor
    from chainrule.gradient_check import (
        GradientReport,
        LayerReport,
        OptimizerReport,
        check_function,
        check_gradient,
        check_layer,
        check_optimizer,
    )
    from chainrule.history import History
    from chainrule.persistence import ModelFileError
    from chainrule.range_test import lr_range_test
    from chainrule.serving import load
    from chainrule.tracing import Trace
    from chainrule.training import DivergenceError, evaluate, train

__version__ = "0.1.0"

# Loaded on first use: what prediction does not need. A name, and the module that has it ("" for a module itself).
_LAZY = {
    "Callback": "callbacks",
    "Checkpoint": "checkpoints",
    "DivergenceError": "training",
    "EMA": "averaging",
    "EarlyStopping": "callbacks",
    "GradientReport": "gradient_check",
    "History": "history",
    "LayerReport": "gradient_check",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "ModelFileError": "persistence",
    "OptimizerReport": "gradient_check",
    "Progress": "callbacks",
    "SWA": "averaging",
    "Trace": "tracing",
    "augmentation": "",
    "averaging": "",
    "batches": "",
    "callbacks": "",
    "check_function": "gradient_check",
    "check_gradient": "gradient_check",
    "check_layer": "gradient_check",
    "check_optimizer": "gradient_check",
    "checkpoints": "",
    "clipping": "",
    "datasets": "",
    "estimators": "",
    "evaluate": "training",
    "gradient_check": "",
    "load": "serving",
    "lr_range_test": "range_test",
    "onnx": "",
    "optimizers": "",
    "penalties": "",
    "persistence": "",
    "plotting": "",
    "range_test": "",
    "schedules": "",
    "serving": "",
    "tables": "",
    "tracing": "",
    "train": "training",
    "training": "",
}


def __getattr__(name: str) -> Any:
    import importlib  # noqa: PLC0415

    if name not in _LAZY:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    module = importlib.import_module(f"chainrule.{_LAZY[name] or name}")
    value = globals()[name] = getattr(module, name) if _LAZY[name] else module  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "EMA",
    "SWA",
    "Callback",
    "Checkpoint",
    "DivergenceError",
    "EarlyStopping",
    "GradientReport",
    "History",
    "Layer",
    "LayerReport",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "Memo",
    "ModelFileError",
    "Network",
    "OptimizerReport",
    "Progress",
    "Trace",
    "Workspace",
    "augmentation",
    "averaging",
    "batches",
    "callbacks",
    "check_function",
    "check_gradient",
    "check_layer",
    "check_optimizer",
    "checkpoints",
    "clipping",
    "datasets",
    "estimators",
    "evaluate",
    "gradient_check",
    "initializers",
    "layers",
    "load",
    "losses",
    "lr_range_test",
    "metrics",
    "one_hot",
    "onnx",
    "optimizers",
    "penalties",
    "persistence",
    "plotting",
    "range_test",
    "schedules",
    "serving",
    "tables",
    "tracing",
    "train",
    "training",
]
