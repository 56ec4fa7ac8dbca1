"""Registration with ``skl2onnx``, which then converts our estimators, alone or in pipelines, searches and ensembles."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.onnx.around import convert_calibrated, convert_transformed, holds_ours, regressor_shapes
from chainrule.onnx.estimators import add_classifier, class_table, is_multilabel, outputs_of
from chainrule.onnx.graph import CODES, Graph
from chainrule.onnx.model import OLDEST
from chainrule.onnx.registry import add_networks, prepared, rows_to_samples
from chainrule.onnx.tabular import add_ensemble
from chainrule.onnx.transfer import cast, check_zipmap, element_code, finish

OPTIONS_OF_CLASSIFIERS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}
# Not called raw_scores: skl2onnx turns that on for nested classifiers, and it means decision_function there.
OPTIONS = {**OPTIONS_OF_CLASSIFIERS, "logits": [True, False]}


def register_skl2onnx() -> None:
    """Register the estimators of chainrule with ``skl2onnx``. Call it once, before converting.

    Outputs and the options ``zipmap``, ``nocl`` and ``output_class_labels`` are the same as for scikit-learn's own MLP;
    ``logits`` returns logits instead of probabilities. The arithmetic is float64 if both the input and the network are,
    else float32; that of ensembles for tables is float64 around the networks. Their input is a table of numbers: one
    with text is converted by :func:`chainrule.onnx.convert`, without ``skl2onnx``.

    ``CalibratedClassifierCV`` (sigmoid and isotonic) and ``TransformedTargetRegressor`` around a chainrule estimator
    are also converted here, in float64. Around other estimators, ``skl2onnx`` converts the calibration.

    Raises
    ------
    ImportError
        If ``skl2onnx`` is not installed.

    Examples
    --------
    >>> import numpy as np, skl2onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> model = make_pipeline(StandardScaler(), cr.MLPClassifier(solver="lbfgs", random_state=0)).fit(X, X[:, 0] > 0)
    >>> cr.onnx.register_skl2onnx()
    >>> [output.name for output in skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}).graph.output]
    ['label', 'probabilities']
    """
    try:
        from skl2onnx import update_registered_converter  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ImportError("register_skl2onnx needs the package 'skl2onnx'. Type: pip install skl2onnx") from error
    from chainrule.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor  # noqa: PLC0415

    for classifier in (MLPClassifier, TabularClassifier):
        name = f"Chainrule{classifier.__name__}"
        update_registered_converter(classifier, name, _classifier_shapes, _convert_classifier, options=OPTIONS)
    for regressor in (MLPRegressor, TabularRegressor):
        update_registered_converter(regressor, f"Chainrule{regressor.__name__}", _regressor_shapes, _convert_regressor)
    _register_around((MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor))


def _register_around(ours: tuple[type, ...]) -> None:
    """Register the meta-estimators that hold one of ours; ``skl2onnx`` handles all others."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415
    from skl2onnx.common._registration import get_converter, get_shape_calculator  # noqa: PLC0415
    from sklearn.calibration import CalibratedClassifierCV  # noqa: PLC0415
    from sklearn.compose import TransformedTargetRegressor  # noqa: PLC0415

    theirs, shapes = (get("SklearnCalibratedClassifierCV") for get in (get_converter, get_shape_calculator))

    def calibrated(scope: Any, operator: Any, container: Any) -> None:
        parts = operator.raw_operator.calibrated_classifiers_
        convert = convert_calibrated if all(holds_ours(part.estimator, ours) for part in parts) else theirs
        convert(scope, operator, container)

    update_registered_converter(
        CalibratedClassifierCV, "ChainruleCalibrated", shapes, calibrated, options=OPTIONS_OF_CLASSIFIERS
    )
    update_registered_converter(
        TransformedTargetRegressor, "ChainruleTransformedTarget", regressor_shapes, convert_transformed
    )


def _table(scope: Any, classifier: Any) -> Any:
    """Return the labels, or their indices if the option ``nocl`` is set."""
    no_classes = scope.get_options(classifier, {"nocl": False})["nocl"]
    return np.arange(len(classifier.classes_)) if no_classes else class_table(classifier)


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType  # noqa: PLC0415

    rows = _check_input(operator)
    model = operator.raw_operator
    if is_multilabel(model):
        operator.outputs[0].set_type(Int64TensorType([rows, len(model.classes_)]))
    else:
        texts = _table(operator.scope_inst, model).dtype.kind == "U"
        operator.outputs[0].set_type((StringTensorType if texts else Int64TensorType)([rows]))
    operator.outputs[1].type.shape = [rows, outputs_of(model)]


def _regressor_shapes(operator: Any) -> None:
    operator.outputs[0].type.shape = [_check_input(operator), _networks(operator)[0].output_shape[0]]


def _networks(operator: Any) -> Any:
    model = operator.raw_operator
    return model.ensemble_.networks if hasattr(model, "ensemble_") else [model.network_]


def _check_input(operator: Any) -> Any:
    """Check that there is exactly one numeric input, and return its number of rows."""
    from skl2onnx.common import data_types, utils  # noqa: PLC0415

    utils.check_input_and_output_numbers(operator, input_count_range=1)
    numbers = [data_types.BooleanTensorType, data_types.DoubleTensorType, data_types.FloatTensorType]
    utils.check_input_and_output_types(operator, good_input_types=[*numbers, data_types.Int64TensorType])
    return operator.inputs[0].get_first_dimension()


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph, y, p = _start(scope, operator, container)
    logits = container.get_options(model, {"logits": False})["logits"]
    check_zipmap(scope, operator.outputs[1])
    label, scores = add_classifier(graph, model, y, p, table=_table(scope, model), logits=logits)
    finish(graph, operator, container, [label, cast(graph, scores, operator.outputs[1])])


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, _, value = _start(scope, operator, container)
    finish(graph, operator, container, [cast(graph, value, operator.outputs[0])])


def _start(scope: Any, operator: Any, container: Any) -> tuple[Graph, str | None, str]:
    """Return a graph with all layers, and the names of logits and predictions."""
    networks, given, opset = _networks(operator), operator.inputs[0], container.target_opset_any_domain("")
    table = hasattr(operator.raw_operator, "ensemble_")
    if opset < OLDEST:
        raise ValueError(f"chainrule: expected a target_opset of at least {OLDEST}, got {opset}.")
    double = element_code(given) == CODES["float64"] and networks[0].dtype == np.float64
    dtype = "float64" if double or table else "float32"
    graph = Graph(np.dtype(dtype), opset, scope.get_unique_variable_name)
    x = given.full_name
    if element_code(given) != CODES[dtype]:
        x = graph.node("Cast", x, to=dtype)
    if table:
        ensemble = operator.raw_operator.ensemble_
        return graph, None, add_ensemble(graph, ensemble, [(x, dtype, (len(ensemble.encoding.levels),))])
    return graph, *add_networks(graph, prepared(networks, dtype), rows_to_samples(graph, networks[0], x))
