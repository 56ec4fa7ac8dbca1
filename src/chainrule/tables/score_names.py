"""The names of scores, of which several numbers have one each."""

from __future__ import annotations

METRICS = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1": "F1 score", "roc_auc": "ROC AUC",
}  # fmt: skip
"""The names of the estimators' metrics of classes."""
STANDARDIZED = "standardized RMSE"  # of several numbers, each divided by its standard deviation in the rows


def plain(name: str) -> str:
    """Return the name of a score without that of its target.

    >>> plain("RMSE of price"), plain("R²"), plain("standardized RMSE")
    ('RMSE', 'R²', 'RMSE')
    """
    return name.partition(" of ")[0].removeprefix("standardized ")
