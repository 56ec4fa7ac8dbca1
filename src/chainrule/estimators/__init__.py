"""scikit-learn's contract, built on :func:`chainrule.train`: loaded on first use, with the extra ``sklearn``."""

from chainrule._internal.extras import require

require("sklearn", "sklearn")

from chainrule.estimators.classifier import MLPClassifier  # noqa: E402  (after the check, for its message)
from chainrule.estimators.regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
