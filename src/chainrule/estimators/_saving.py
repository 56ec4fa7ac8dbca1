"""Saving estimators to model files, and loading them."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from chainrule.estimators._record import FitRecord
from chainrule.estimators.advice import LeftOutWarning
from chainrule.files import ensembles
from chainrule.files.container import opened, read_header
from chainrule.files.ensembles import FittedEnsemble
from chainrule.files.fitted import COUNTS, CURVES, NUMBERS, Fitted, Labels, encode, read_fitted
from chainrule.files.folding import fold
from chainrule.files.networks import Contents, check_kind
from chainrule.files.values import ModelFileError, shown
from chainrule.training.history import History

# These do not affect predictions.
LEFT_OUT = {"solver", "learning_rate", "callbacks", "random_state", "progress", "checkpoint", "categorical_features"}
ELSEWHERE = {"checkpoint": None}  # a file must not say where the next fit writes


def contents(model: Any, *, folded: bool) -> Contents:
    """Return the content of a fitted estimator's file."""
    kind = model._kind
    check_is_fitted(model)
    model._validate_params()
    known = vars(model)
    names = known.get("feature_names_in_")
    fitted = Fitted(
        kind,
        [fold(model.network_) if folded else model.network_],
        _parameters(model),
        _labels(model) if kind == "MLPClassifier" else None,
        None if names is None else list(names),
        {name: _attribute(name, known[name]) for name in (*COUNTS, *NUMBERS, *CURVES) if name in known},
        _columns(known["history_"]) if "history_" in known else {},
        known["history_"].stopped if "history_" in known else "",
    )
    return kind, fitted.description(), fitted.arrays()


def load(cls: type, kind: str, path: str | os.PathLike[str]) -> Any:
    """Return a fitted estimator of class ``cls``."""
    expected = f"a fitted {kind} saved by chainrule"
    with opened(path, expected) as file:
        header = read_header(file, expected)
        check_kind(header, kind, expected)
        fitted = read_fitted(file, header)
        if len(fitted.networks) > 1:
            raise ModelFileError(
                f"the file has {len(fitted.networks)} networks, and {kind} has one. To predict with their mean, use "
                "chainrule.load."
            )
        fitted.parameters.pop("n_ensemble", None)  # 1, of earlier versions
        model = _construct(cls, fitted.parameters)
    [network] = fitted.networks
    model.n_features_in_, model.n_outputs_ = math.prod(network.input_shape), network.output_shape[0]
    if fitted.feature_names is not None:
        model.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
    if fitted.labels is not None:
        model._labels = _binarizer(fitted.labels)
        model.classes_ = fitted.labels.classes
    record = FitRecord(network, **fitted.attributes)
    record.watch(model)
    if fitted.columns:
        record.history_ = _history(fitted.columns, fitted.stopped)
    model._put(record)
    return model


def ensemble_contents(model: Any, *, folded: bool) -> Contents:
    """Return the content of a fitted ensemble's file."""
    check_is_fitted(model)
    model._validate_params()
    known = vars(model)
    names = known.get("feature_names_in_")
    labels = None
    if model._kind == "TabularClassifier":
        labels = Labels(model.classes_, "multilabel-indicator" if model._multilabel else "multiclass")
    fitted = FittedEnsemble(
        model._kind, model.ensemble_, _parameters(model) | ELSEWHERE, labels, None if names is None else list(names),
        {name: _number(known[name]) for name in (*ensembles.COUNTS, *ensembles.NUMBERS) if name in known},
        _columns(model.history_), model.history_.stopped,
    )  # fmt: skip
    return model._kind, *fitted.contents(folded=folded)


def load_ensemble(cls: type, kind: str, path: str | os.PathLike[str]) -> Any:
    """Return a fitted ensemble of class ``cls``."""
    expected = f"a fitted {kind} saved by chainrule"
    with opened(path, expected) as file:
        header = read_header(file, expected)
        check_kind(header, kind, expected)
        fitted = ensembles.read_ensemble(file, header)
        model = _construct(cls, fitted.parameters | ELSEWHERE)
    model.ensemble_, model.n_features_in_ = fitted.ensemble, len(fitted.ensemble.encoding.levels)
    vars(model).update(fitted.attributes)
    if fitted.feature_names is not None:
        model.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
    if fitted.labels is not None:
        model.classes_, model._multilabel = fitted.labels.classes, fitted.labels.target == "multilabel-indicator"
    model.history_ = _history(fitted.columns, fitted.stopped)
    return model


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _history(columns: dict[str, list[Any]], stopped: str) -> History:
    history = History(columns)
    for row in zip(*columns.values(), strict=True):
        history.append(row)
    history.stopped = stopped
    return history


def _parameters(model: Any) -> dict[str, Any]:
    """Return the constructor's arguments, with defaults for those that a file cannot hold, and warn about these."""
    parameters, defaults = model.get_params(deep=False), type(model)().get_params(deep=False)
    left_out = []
    for name in LEFT_OUT & parameters.keys():
        try:
            encode(name, parameters[name])
        except ValueError:
            left_out.append(f"{name}={shown(parameters[name])}")
            parameters[name] = defaults[name]
    if left_out:
        warnings.warn(
            f"save: a file cannot hold {', '.join(sorted(left_out))}: the loaded estimator predicts the same, but has "
            "defaults for these. Set them again before you fit it further.",
            LeftOutWarning,
            stacklevel=5,
        )
    return parameters


def _attribute(name: str, value: Any) -> Any:
    """Return an attribute as a Python number, a list of them, or None."""
    if value is None or name in CURVES:
        return value
    return int(value) if name in COUNTS else float(value)


def _columns(history: History) -> dict[str, list[Any]]:
    """Return the numeric columns: users may have added others."""
    number = (bool, int, float, np.number)
    return {k: values for k, values in history.to_dict().items() if all(isinstance(v, number) for v in values)}


def _labels(model: Any) -> Labels:
    binarizer = model._labels
    return Labels(model.classes_, str(binarizer.y_type_), bool(binarizer.sparse_input_), model._thresholds())


def _binarizer(labels: Labels) -> LabelBinarizer:
    """Return a binarizer as ``fit`` left it."""
    binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.y_type_ = labels.classes, labels.target
    binarizer.sparse_input_ = labels.sparse
    return binarizer


def _construct(cls: Any, parameters: dict[str, Any]) -> Any:
    known = set(cls._get_param_names())
    if unknown := parameters.keys() - known:
        raise ModelFileError(
            f"{cls.__name__} has no parameters {shown(', '.join(sorted(unknown)))}. Is the file from a newer version?"
        )
    try:
        model = cls(**parameters)
        model._validate_params()
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelFileError(f"the parameters cannot be read: {shown(error)}") from None
    return model
