"""Neural networks whose every gradient is written by hand, checked, and fast enough to use at work."""

from typing import TYPE_CHECKING, Any

from chainrule import initializers, layers, losses, metrics
from chainrule._version import __version__
from chainrule.layers import Layer
from chainrule.losses import Loss, one_hot
from chainrule.memo import Memo
from chainrule.network import Engine, Network
from chainrule.workspace import Workspace

if TYPE_CHECKING:
    from chainrule import (
        datasets,
        estimators,
        files,
        gradient_check,
        onnx,
        optimizers,
        penalties,
        plotting,
        schedules,
        tables,
        tracing,
        training,
    )
    from chainrule.estimators import MLPClassifier, MLPRegressor
    from chainrule.files.folding import fold
    from chainrule.files.networks import ModelFileError, save
    from chainrule.files.serving import load
    from chainrule.gradient_check import (
        GradientReport,
        LayerReport,
        OptimizerReport,
        check_function,
        check_gradient,
        check_layer,
        check_optimizer,
    )
    from chainrule.tracing import Trace
    from chainrule.tracing.example import trace  # (mypy takes it for a second definition from the package)
    from chainrule.training import (
        EMA,
        SWA,
        Callback,
        Checkpoint,
        DivergenceError,
        EarlyStopping,
        History,
        Progress,
        evaluate,
        lr_range_test,
        train,
    )

# Loaded on first use: what prediction does not need. A name, and the module that has it ("" for a module itself).
_LAZY = {
    "Callback": "training",
    "Checkpoint": "training",
    "DivergenceError": "training",
    "EMA": "training",
    "EarlyStopping": "training",
    "GradientReport": "gradient_check",
    "History": "training",
    "LayerReport": "gradient_check",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "ModelFileError": "files.networks",
    "OptimizerReport": "gradient_check",
    "Progress": "training",
    "SWA": "training",
    "Trace": "tracing",
    "check_function": "gradient_check",
    "check_gradient": "gradient_check",
    "check_layer": "gradient_check",
    "check_optimizer": "gradient_check",
    "datasets": "",
    "estimators": "",
    "evaluate": "training",
    "files": "",
    "gradient_check": "",
    "fold": "files.folding",
    "load": "files.serving",
    "lr_range_test": "training",
    "onnx": "",
    "optimizers": "",
    "penalties": "",
    "plotting": "",
    "save": "files.networks",
    "schedules": "",
    "tables": "",
    "tracing": "",
    "trace": "tracing",
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


def _many_rows(network: Network, X: Any) -> Any:
    from chainrule.training import engine  # noqa: PLC0415  (start-up time: a prediction of few rows does without)

    return engine.logits(network, X)


Engine.many_rows = staticmethod(_many_rows)  # type: ignore[assignment]


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
    "__version__",
    "check_function",
    "check_gradient",
    "check_layer",
    "check_optimizer",
    "datasets",
    "estimators",
    "evaluate",
    "files",
    "fold",
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
    "plotting",
    "save",
    "schedules",
    "tables",
    "trace",
    "tracing",
    "train",
    "training",
]
