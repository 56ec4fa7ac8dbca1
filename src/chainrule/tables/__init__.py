"""Tables: from a CSV or Parquet file to a trained network, compared with simple models, saved and explained."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.tables.options import Options
    from chainrule.tables.positive import PositiveTarget
    from chainrule.tables.predicting import predict
    from chainrule.tables.python_script import script
    from chainrule.tables.reading import Table, read
    from chainrule.tables.result import HeldOut, SavedRun, Split, Trained
    from chainrule.tables.saving import load, save
    from chainrule.tables.schema import Column, Schema
    from chainrule.tables.serving.contributions import Contribution, Contributions, contributions
    from chainrule.tables.serving.counterfactuals import Change, Counterfactual, Counterfactuals, counterfactuals
    from chainrule.tables.serving.model import TableModel
    from chainrule.tables.training import train
    from chainrule.tables.tuning import Tuned, tune

# Loaded on first use: reading a schema needs no scikit-learn, training no Optuna.
_LAZY = {
    "Change": "serving.counterfactuals", "Column": "schema", "Contribution": "serving.contributions",
    "Contributions": "serving.contributions", "Counterfactual": "serving.counterfactuals",
    "Counterfactuals": "serving.counterfactuals", "HeldOut": "result", "Options": "options",
    "PositiveTarget": "positive", "SavedRun": "result", "Schema": "schema", "Split": "result", "Table": "reading",
    "TableModel": "serving.model", "Trained": "result", "Tuned": "tuning", "contributions": "serving.contributions",
    "counterfactuals": "serving.counterfactuals", "load": "saving", "predict": "predicting", "read": "reading",
    "save": "saving", "script": "python_script", "train": "training", "tune": "tuning",
}  # fmt: skip

__all__ = [
    "Change", "Column", "Contribution", "Contributions", "Counterfactual", "Counterfactuals", "HeldOut", "Options",
    "PositiveTarget", "SavedRun", "Schema", "Split", "Table", "TableModel", "Trained", "Tuned", "contributions",
    "counterfactuals", "load", "predict", "read", "save", "script", "train", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib  # noqa: PLC0415

    if name not in _LAZY:
        raise AttributeError(f"module 'chainrule.tables' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"chainrule.tables.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
