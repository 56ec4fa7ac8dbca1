"""scikit-learn-compatible estimators, built on :func:`chainrule.train`. Loaded on first use; requires ``sklearn``."""

from chainrule._internal.extras import require

require("sklearn", "sklearn")

from chainrule.estimators.classifier import MLPClassifier  # noqa: E402  (after the check, for its message)
from chainrule.estimators.regressor import MLPRegressor  # noqa: E402
from chainrule.estimators.tabular_classifier import TabularClassifier  # noqa: E402
from chainrule.estimators.tabular_regressor import TabularRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]
