"""scikit-learn's meta-estimators around ours that ``skl2onnx`` cannot convert, or converts inexactly.

``CalibratedClassifierCV``: isotonic calibration interpolates linearly between thresholds, but ``skl2onnx`` takes the
nearest one. ``TransformedTargetRegressor``: ``skl2onnx`` has no converter.

Calibration can be steep, and so can the inverse of a logarithm: all arithmetic is float64, and only the result has the
input's type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.onnx.estimators import class_table
from chainrule.onnx.graph import CODES, Graph
from chainrule.onnx.tabular import row
from chainrule.onnx.transfer import cast, check_zipmap, element_code, finish

# inverse_transform of scikit-learn's scalers for targets: t * factor + offset.
LINEAR: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "StandardScaler": lambda s: (s.scale_, s.mean_ if s.with_mean else None),
    "RobustScaler": lambda s: (s.scale_, s.center_),
    "MaxAbsScaler": lambda s: (s.scale_, None),
    "MinMaxScaler": lambda s: (1 / s.scale_, -s.min_ / s.scale_),
}
FUNCTIONS: dict[Any, Callable[[Graph, str], str]] = {
    None: lambda _, y: y,
    np.exp: lambda graph, y: graph.node("Exp", y),
    np.expm1: lambda graph, y: graph.node("Sub", graph.node("Exp", y), 1.0),
    np.log: lambda graph, y: graph.node("Log", y),
    np.log1p: lambda graph, y: graph.node("Log", graph.node("Add", y, 1.0)),
    np.sqrt: lambda graph, y: graph.node("Sqrt", y),
    np.square: lambda graph, y: graph.node("Mul", y, y),
    np.negative: lambda graph, y: graph.node("Neg", y),
}


def holds_ours(model: Any, ours: tuple[type, ...]) -> bool:
    """Return whether an estimator is ours, or a pipeline, search or frozen estimator that ends in one."""
    if isinstance(model, ours):
        return True
    inner = getattr(model, "steps", None)
    within = inner[-1][1] if inner else getattr(model, "best_estimator_", getattr(model, "estimator", None))
    return within is not None and holds_ours(within, ours)


def convert_calibrated(scope: Any, operator: Any, container: Any) -> None:
    """Add the mean of all calibrated classifiers, each the calibrated probabilities of its own estimator."""
    model = operator.raw_operator
    if scope.get_options(model, {"nocl": False})["nocl"]:
        raise ValueError("CalibratedClassifierCV: the option nocl is not available: omit it.")
    check_zipmap(scope, operator.outputs[1])
    graph = Graph(np.dtype("float64"), container.target_opset_any_domain(""), scope.get_unique_variable_name)
    graph.scope = "calibrated"
    x = _as_float64(scope, operator, container)
    parts = []
    for part in model.calibrated_classifiers_:
        p = _call(scope, part.estimator, x)
        parts.append(_calibrated(graph, part, p, len(model.classes_)))
    p = graph.node("Mul", graph.node("Sum", *parts), 1 / len(parts))
    label = graph.node("Gather", class_table(model), graph.node("ArgMax", p, axis=1, keepdims=0), axis=0)
    finish(graph, operator, container, [label, cast(graph, p, operator.outputs[1])])


def _calibrated(graph: Graph, part: Any, p: str, classes: int) -> str:
    """Apply one calibrator per class to probabilities p: (rows, classes), normalized to sum to 1."""
    if part.method not in ("sigmoid", "isotonic"):
        raise ValueError(
            f"CalibratedClassifierCV: there is no converter for method={part.method!r}: use 'sigmoid' or 'isotonic'."
        )
    known = np.searchsorted(part.classes, part.estimator.classes_)  # a fold may lack a class
    two = len(known) == 2
    columns: dict[int, str] = {}
    for i, (index, calibrator) in enumerate(zip(known, part.calibrators, strict=False)):  # two classes share one
        column = graph.node("Gather", p, np.array([i + two]), axis=1)
        calibrate = _sigmoid if part.method == "sigmoid" else _isotonic
        columns[int(index) + (classes == 2)] = calibrate(graph, calibrator, column)
    if classes == 2:
        return graph.node("Concat", graph.node("Sub", 1.0, columns[1]), columns[1], axis=1)
    nothing = graph.node("Mul", graph.node("Gather", p, np.array([0]), axis=1), 0.0) if len(columns) < classes else ""
    given = graph.node("Concat", *(columns.get(i, nothing) for i in range(classes)), axis=1)
    total = graph.node("ReduceSum", given, np.array([1]), keepdims=1)
    empty = graph.node("Equal", total, 0.0)
    share = graph.node("Div", given, graph.node("Where", empty, 1.0, total))
    return graph.node("Where", empty, 1 / classes, share)


def _sigmoid(graph: Graph, calibrator: Any, p: str) -> str:
    """Return 1 / (1 + exp(a p + b))."""
    scaled = graph.node("Add", graph.node("Mul", p, -float(calibrator.a_)), -float(calibrator.b_))
    return graph.node("Sigmoid", scaled)


def _isotonic(graph: Graph, calibrator: Any, p: str) -> str:
    """Interpolate between the two thresholds around p; outside all thresholds, use the first or last value."""
    x, y = (np.asarray(v, np.float64) for v in (calibrator.X_thresholds_, calibrator.y_thresholds_))
    if len(x) == 1:
        return graph.node("Add", graph.node("Mul", p, 0.0), float(y[0]))
    p = graph.node("Min", graph.node("Max", p, float(x[0])), float(x[-1]))
    # The number of inner thresholds at or below p is the index of the one to its left.
    reached = graph.node("Cast", graph.node("GreaterOrEqual", p, x[np.newaxis, 1:-1]), to="int64")
    i = graph.node("ReduceSum", reached, np.array([1]), keepdims=1)
    left, slope = graph.node("Gather", x, i, axis=0), graph.node("Gather", np.diff(y) / np.diff(x), i, axis=0)
    return graph.node("Add", graph.node("Gather", y, i, axis=0), graph.node("Mul", graph.node("Sub", p, left), slope))


def regressor_shapes(operator: Any) -> None:
    """Set the output's shape: (rows, outputs)."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.transformer_.n_features_in_]


def convert_transformed(scope: Any, operator: Any, container: Any) -> None:
    """Add the predictions of ``regressor_``, transformed back."""
    model = operator.raw_operator
    graph = Graph(np.dtype("float64"), container.target_opset_any_domain(""), scope.get_unique_variable_name)
    graph.scope = "target"
    y = _call(scope, model.regressor_, _as_float64(scope, operator, container), classifier=False)
    finish(graph, operator, container, [cast(graph, _inverse(graph, model.transformer_, y), operator.outputs[0])])


def _inverse(graph: Graph, transformer: Any, y: str) -> str:
    name = type(transformer).__name__
    if name == "FunctionTransformer" and transformer.inverse_func in FUNCTIONS:
        return FUNCTIONS[transformer.inverse_func](graph, y)
    if name in LINEAR:
        factor, offset = LINEAR[name](transformer)
        if factor is not None:
            y = graph.node("Mul", y, row(factor))
        return y if offset is None else graph.node("Add", y, row(offset))
    raise ValueError(
        f"TransformedTargetRegressor: there is no converter for the inverse of {transformer!r}: expected one of "
        f"{', '.join(LINEAR)}, or an inverse_func of NumPy such as np.exp, np.expm1 or np.square."
    )


def _as_float64(scope: Any, operator: Any, container: Any) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    given = operator.inputs[0]
    if element_code(given) == CODES["float64"]:
        return given
    x = scope.declare_local_variable("x64", DoubleTensorType(given.type.shape))
    container.add_node("Cast", [given.full_name], [x.full_name], name=x.full_name, to=CODES["float64"])
    return x


def _call(scope: Any, estimator: Any, x: Any, *, classifier: bool = True) -> str:
    """Convert an inner estimator and return the name of its probabilities or predictions."""
    from skl2onnx._supported_operators import sklearn_operator_name_map  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType  # noqa: PLC0415

    if type(estimator).__name__ == "FrozenEstimator":
        estimator = estimator.estimator
    if type(estimator) not in sklearn_operator_name_map:
        raise ValueError(f"skl2onnx has no converter for {estimator!r}.")
    called = scope.declare_local_operator(sklearn_operator_name_map[type(estimator)], estimator)
    called.inputs = [x]
    if classifier:
        called.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
    result = scope.declare_local_variable("result", DoubleTensorType())
    called.outputs.append(result)
    return str(result.full_name)
