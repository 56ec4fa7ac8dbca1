"""Neural networks in NumPy with hand-written, verified gradients, fast enough for production."""

import os
from typing import TYPE_CHECKING, Any

from chainrule import initializers, layers, losses, metrics
from chainrule._internal.showing import Renderer, Shown
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
        export,
        files,
        gradient_check,
        onnx,
        optimizers,
        parallel,
        penalties,
        playground,
        plotting,
        schedules,
        tables,
        tracing,
        training,
    )
    from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
    from chainrule.files.folding import fold
    from chainrule.files.networks import ModelFileError, save
    from chainrule.files.serving import Classifier, Regressor
    from chainrule.gradient_check import (
        GradientReport,
        LayerReport,
        OptimizerReport,
        check_function,
        check_gradient,
        check_layer,
        check_optimizer,
    )
    from chainrule.tables.result import SavedRun
    from chainrule.tables.serving.model import TableModel
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

# Imported on first use, as prediction does not need them: a name, and the module that has it ("" for a module itself).
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
    "TabularClassifier": "estimators",
    "TabularRegressor": "estimators",
    "Trace": "tracing",
    "check_function": "gradient_check",
    "check_gradient": "gradient_check",
    "check_layer": "gradient_check",
    "check_optimizer": "gradient_check",
    "datasets": "",
    "estimators": "",
    "evaluate": "training",
    "export": "",
    "files": "",
    "gradient_check": "",
    "fold": "files.folding",
    "lr_range_test": "training",
    "onnx": "",
    "optimizers": "",
    "parallel": "",
    "penalties": "",
    "playground": "",
    "plotting": "",
    "save": "files.networks",
    "schedules": "",
    "tables": "",
    "tracing": "",
    "trace": "tracing",
    "train": "training",
    "training": "",
}


def load(path: str | os.PathLike[str]) -> "Network | Classifier | Regressor | TableModel | SavedRun":
    """Load a model file, or the folder of a run on a table.

    Parameters
    ----------
    path : path
        A file written by :func:`chainrule.save`, or a folder written by :func:`chainrule.tables.save` or by ``chainrule
        train FILE --target COLUMN``.

    Returns
    -------
    Network, Classifier or Regressor
        From a file, to predict with NumPy alone; see :func:`chainrule.files.serving.load`. To fit an estimator further,
        use ``MLPClassifier.load`` or ``MLPRegressor.load``.
    chainrule.tables.TableModel
        From the folder of a run on a table, or the ``model.safetensors`` in it: predicts rows as they are in the table,
        with NumPy alone. For a folder of an earlier version, a :class:`chainrule.tables.SavedRun`, which needs the
        extra ``tables``.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ModelFileError
        If the file is corrupt, or from another tool or a newer version.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SoftmaxCrossEntropy(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.save(network, folder + "/model.safetensors")
    ...     loaded = cr.load(folder + "/model.safetensors")
    >>> bool((loaded.theta == network.theta).all())
    True
    """
    from pathlib import Path  # noqa: PLC0415  (start-up time)

    from chainrule.files.container import has_table  # noqa: PLC0415  (start-up time)

    folder = Path(path)
    run = (folder / "schema.json").is_file()
    file = folder / "model.safetensors" if run else folder
    if has_table(file, "a model saved by chainrule"):
        from chainrule.tables.serving.model import load as load_table  # noqa: PLC0415  (start-up time)

        return load_table(file)
    if run:  # of an earlier version, whose preparation is a pipeline of scikit-learn
        from chainrule.tables.saving import load as load_run  # noqa: PLC0415  (an extra)

        return load_run(path)
    from chainrule.files.serving import load as load_model  # noqa: PLC0415  (start-up time)

    return load_model(path)


def __getattr__(name: str) -> Any:
    import importlib  # noqa: PLC0415  (start-up time)

    if name not in _LAZY:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    module = importlib.import_module(f"chainrule.{_LAZY[name] or name}")
    value = globals()[name] = getattr(module, name) if _LAZY[name] else module  # from now on, without this function
    return value


def _many_rows(network: Network, X: Any) -> Any:
    from chainrule.training import engine  # noqa: PLC0415  (start-up time: a prediction of few rows does without)

    return engine.logits(network, X)


Engine.many_rows = staticmethod(_many_rows)  # type: ignore[assignment]


def _html(thing: Shown) -> str | None:
    from chainrule import showing  # noqa: PLC0415  (start-up time: only notebooks show objects)

    return showing.html(thing)


Renderer.html = staticmethod(_html)  # type: ignore[assignment]


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
    "TabularClassifier",
    "TabularRegressor",
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
    "export",
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
    "parallel",
    "penalties",
    "playground",
    "plotting",
    "save",
    "schedules",
    "tables",
    "trace",
    "tracing",
    "train",
    "training",
]
