"""Fitted estimators in files: everything besides the network, and reading it with NumPy alone.

The estimators write and read all of it (``estimators/_saving.py``); :func:`chainrule.load` needs only the network, the
labels and the column names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from chainrule._internal.config import Config
from chainrule._internal.typing import Array, is_sparse
from chainrule.files.container import Header, read_array, without_table
from chainrule.files.descriptions import MODULES, build, describe
from chainrule.files.networks import describe_network, network_arrays, read_network
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, shown
from chainrule.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.network import Network

KINDS = ("MLPClassifier", "MLPRegressor")
TARGETS = ("binary", "multiclass", "multilabel-indicator")
LABEL_DTYPES = ("bool", "str", "object", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
                "float32", "float64")  # fmt: skip
COUNTS = ("n_iter_", "t_")
NUMBERS = ("loss_", "best_loss_", "best_validation_score_")
CURVES = ("loss_curve_", "validation_scores_")
HISTORY = "history_."
MEMBER = "members.{}."
MOST_MEMBERS = 1_000
LONGEST_LABEL = 1_000  # characters: an array of predictions reserves this many in each row
FIELDS = {"parameters", "labels", "feature_names", "attributes", "columns", "stopped"}


def thresholds(given: Any, classes: int, *, multilabel: bool) -> Array | None:
    """Return a threshold for each class or label: of the probability that the second class or a label has to exceed.

    Those of classes add up to 1, and the class with the largest probability / threshold is predicted.

    Parameters
    ----------
    given : float, sequence of float or None
        A number for two classes or for labels; a sequence has one for each class or label.

    >>> thresholds(0.2, 2, multilabel=False), thresholds([0.5, 0.1], 2, multilabel=True)
    (array([0.8, 0.2]), array([0.5, 0.1]))
    """
    if given is None or classes < 2:
        return None
    one = np.ndim(given) == 0
    if one and classes > 2 and not multilabel:
        raise ValueError(f"threshold: expected a number for each of {classes} classes, got {given!r}.")
    found = np.asarray(given, np.float64)
    found = found if not one else np.full(classes, found) if multilabel else np.array([1 - found, found])
    if found.shape != (classes,) or not ((found > 0) & (found < 1)).all():
        raise ValueError(f"threshold: expected {classes} numbers between 0 and 1, got {shown(given)}.")
    return found if multilabel else found / found.sum()


@dataclass
class Labels:
    """The classes, and how outputs map to them: one output for two classes, one per class, or independent labels."""

    classes: Array
    target: str
    sparse: bool = False
    thresholds: Array | None = None  # of :func:`thresholds`

    def of(self, chosen: Array) -> Array:
        """Return the labels with these indices; for multilabel targets, the rows of 0 and 1 as they are."""
        return chosen if self.target == "multilabel-indicator" else self.classes[chosen]

    def chosen(self, p: Array) -> Array:
        """Return the index of the class for each row of probabilities; for multilabel targets, a row of 0 and 1."""
        limits = self.thresholds
        if self.target == "multiclass" or (self.target == "binary" and p.shape[1] == 2):
            return (p if limits is None else p / limits).argmax(axis=1)
        chosen = (p > (0.5 if limits is None else limits[-p.shape[1] :])).astype(int)
        if self.target == "multilabel-indicator":
            return chosen
        return np.minimum(chosen.ravel(), len(self.classes) - 1)  # there may be a single class


@dataclass
class Fitted:
    """A fitted estimator without scikit-learn: its constructor's arguments and its fitted attributes.

    It has one network, or several if the file is from a version whose estimators had ``n_ensemble``.
    """

    kind: str
    networks: list[Network]
    parameters: dict[str, Any]
    labels: Labels | None = None
    feature_names: list[str] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    stopped: str = ""

    def description(self) -> dict[str, Any]:
        """Return everything that is not an array as JSON."""
        estimator = {
            "parameters": {name: encode(name, value) for name, value in self.parameters.items()},
            "labels": None if self.labels is None else describe_labels(self.labels),
            "feature_names": self.feature_names,
            "attributes": {k: encode(k, v) for k, v in self.attributes.items() if not isinstance(v, list)},
            "columns": list(self.columns),
            "stopped": self.stopped,
        }
        return {"network": describe_network(self.networks[0]), "estimator": estimator}

    def arrays(self) -> dict[str, Array]:
        """Return the parameters, the curves and the columns of the history."""
        curves = {k: np.array(v, np.float64) for k, v in self.attributes.items() if isinstance(v, list)}
        columns = {HISTORY + name: _column(values) for name, values in self.columns.items()}
        return {**network_arrays(self.networks[0]), **curves, **columns}


def read_fitted(file: BinaryIO, header: Header) -> Fitted:
    """Read and validate the description of a :class:`Fitted`."""
    header = without_table(header)
    ensemble = "members" in header.description
    check_fields("the description", header.description, {"network", "estimator"} | ({"members"} if ensemble else set()))
    d = check_fields("the estimator", header.description["estimator"], FIELDS)
    names = [HISTORY + column for column in check_texts("the history", d["columns"])]
    curves = [name for name in CURVES if name in header.tensors]
    for name in (*names, *curves):
        if name not in header.tensors or len(header.tensors[name].shape) != 1:
            raise ModelFileError(f"the array {shown(name)} is missing or is not one-dimensional. The file is corrupt.")
    networks = _read_networks(file, header, [*names, *curves])
    network = networks[0]
    columns = {name.removeprefix(HISTORY): read_array(file, header.tensors[name]).tolist() for name in names}
    if len({len(column) for column in columns.values()}) > 1 or (columns and "epoch" not in columns):
        raise ModelFileError("the columns of the history have different lengths. The file is corrupt.")
    if not isinstance(d["parameters"], dict):
        raise ModelFileError(f"the parameters cannot be read: got {shown(d['parameters'])}.")
    if (header.kind == "MLPClassifier") != (d["labels"] is not None):
        raise ModelFileError(f"only a classifier has labels; this is an {header.kind}.")
    parameters = {name: decode(name, value) for name, value in d["parameters"].items()}
    labels = None if d["labels"] is None else read_labels(d["labels"], network)
    if labels is not None:
        several = labels.target == "multilabel-indicator"
        try:
            labels.thresholds = thresholds(parameters.get("threshold"), len(labels.classes), multilabel=several)
        except (TypeError, ValueError) as error:
            raise ModelFileError(str(error)) from None
    return Fitted(
        kind=header.kind,
        networks=networks,
        parameters=parameters,
        labels=labels,
        feature_names=_feature_names(d["feature_names"], network),
        attributes=_attributes(d["attributes"]) | {n: read_array(file, header.tensors[n]).tolist() for n in curves},
        columns=columns,
        stopped=check_texts("the history", [d["stopped"]])[0],
    )


def _read_networks(file: BinaryIO, header: Header, others: list[str]) -> list[Network]:
    """Return the network, or several: see :class:`Fitted`."""
    members = header.description.get("members", [])
    if not isinstance(members, list) or len(members) > MOST_MEMBERS:
        raise ModelFileError(f"members: expected a list of at most {MOST_MEMBERS} networks, got {shown(members)}.")
    prefixes = [MEMBER.format(i) for i in range(1, len(members) + 1)]
    theirs = [name for name in header.tensors if name.startswith(tuple(prefixes))]
    networks = [read_network(file, header, [*others, *theirs])]
    for prefix, description in zip(prefixes, members, strict=True):
        rest = [name for name in header.tensors if not name.startswith(prefix)]
        networks.append(read_network(file, header, rest, description, prefix))
    check_members(networks)
    return networks


def check_members(networks: Sequence[Network]) -> Network:
    """Return the first of an ensemble's networks; reject others with another loss, or other inputs or outputs."""
    first = networks[0]
    for network in networks:
        if (network.input_shape, network.output_shape) != (first.input_shape, first.output_shape):
            raise ModelFileError("the members of the ensemble do not have the same inputs and outputs.")
        if type(network.loss) is not type(first.loss):
            raise ModelFileError(f"the members have different losses: {first.loss!r} and {network.loss!r}.")
    return first


def predict_samples(network: Network, X: Any) -> Array:
    """Return the predictions of a network; image networks also accept images as flat rows."""
    shape = network.input_shape
    if len(shape) > 1 and not is_sparse(X) and X.ndim == 2 and X.shape[1] == math.prod(shape):
        X = X.reshape(-1, *shape)
    return network.predict(X)


# ---------------------------------------------------------------- values: JSON, and types that JSON lacks


def encode(what: str, value: Any) -> Any:
    """Return a constructor's argument as JSON; raise a ``ValueError`` if that is impossible.

    >>> encode("dropout", (0.1, 0.5)), encode("n_iter_no_change", float("inf")), encode("class_weight", {"yes": 2.0})
    ({'tuple': [0.1, 0.5]}, {'float': 'inf'}, {'dict': [['yes', 2.0]]})
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, list):
        return [encode(what, v) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(what, v) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(what, k), encode(what, v)] for k, v in value.items()]}
    for base in MODULES if isinstance(value, Config) else ():
        if base in {cls.__name__ for cls in type(value).__mro__}:
            return {base: describe(what, value, base)}
    raise ValueError(f"save: a file cannot hold {what}={shown(value)}.")


def decode(what: str, value: Any) -> Any:
    """Return the value that :func:`encode` encoded.

    >>> decode("n_iter_no_change", {"float": "inf"})
    inf
    """
    if isinstance(value, list):
        return [decode(what, v) for v in value]
    if not isinstance(value, dict):
        return value
    form, content = next(iter(value.items())) if len(value) == 1 else ("", None)
    if form == "float" and content in ("inf", "-inf", "nan"):
        return float(content)
    if form == "tuple" and isinstance(content, list):
        return tuple(decode(what, v) for v in content)
    if form == "dict" and isinstance(content, list) and all(isinstance(v, list) and len(v) == 2 for v in content):
        pairs = [(decode(what, k), decode(what, v)) for k, v in content]
        if all(k is None or isinstance(k, bool | int | float | str) for k, _ in pairs):
            return dict(pairs)
    if form in MODULES:
        return build(what, content, form)
    raise ModelFileError(f"{what} cannot be read: got {shown(value)}.")


def _column(values: list[Any]) -> Array:
    array = np.array(values)
    return array.astype(np.int64 if array.dtype.kind in "iub" else np.float64)


def _attributes(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFileError(f"the attributes cannot be read: got {shown(value)}.")
    found = {}
    for name, encoded in value.items():
        number = decode(name, encoded)
        if name in COUNTS:
            check_whole(name, number)
        elif not (name in NUMBERS and isinstance(number, float)) and not (name in NUMBERS + CURVES and number is None):
            raise ModelFileError(f"the attribute {shown(name)} cannot be read: got {shown(number)}.")
        found[name] = number
    return found


def _feature_names(value: Any, network: Network) -> list[str] | None:
    if value is None:
        return None
    inputs = math.prod(network.input_shape)
    if len(check_texts("the names of the columns", value)) != inputs:
        raise ModelFileError(f"{len(value)} column names do not fit a network with {inputs} inputs.")
    return list(value)


def describe_labels(labels: Labels) -> dict[str, Any]:
    """Return labels as JSON; raise an error for classes that a file cannot hold."""
    classes = labels.classes
    dtype = "str" if classes.dtype.kind == "U" else str(classes.dtype)
    values = classes.tolist()
    if dtype not in LABEL_DTYPES or (dtype == "object" and not all(isinstance(v, str | bool | int) for v in values)):
        raise ValueError(
            f"save: a file cannot hold classes of dtype {classes.dtype}, such as {shown(values[0])}: "
            "use integers, booleans or strings as labels."
        )
    return {"target": labels.target, "sparse": labels.sparse, "dtype": dtype, "classes": values}


def _wide_enough(dtype: str, classes: list[Any]) -> str:
    """Return the dtype, or "object" for strings of very different lengths: NumPy would reserve the longest for all."""
    if dtype != "str":
        return dtype
    longest, all_of_them = max(map(len, classes)), sum(map(len, classes))
    return "str" if longest <= LONGEST_LABEL and longest * len(classes) <= 2**20 + 2 * all_of_them else "object"


def read_labels(value: Any, network: Network) -> Labels:
    """Return the labels that :func:`describe_labels` described, after checking that they fit a network."""
    d = check_fields("the labels", value, {"target", "sparse", "dtype", "classes"})
    target, dtype, classes = d["target"], d["dtype"], d["classes"]
    if target not in TARGETS or dtype not in LABEL_DTYPES or not isinstance(d["sparse"], bool):
        raise ModelFileError(f"the labels cannot be read: target {shown(target)}, dtype {shown(dtype)}.")
    types: tuple[type, ...] = {"str": (str,), "bool": (bool,), "object": (str, bool, int)}.get(
        dtype, (float,) if dtype.startswith("float") else (int,)
    )
    if not isinstance(classes, list) or not classes or not all(type(label) in types for label in classes):
        raise ModelFileError(f"the classes cannot be read: expected a list of {dtype}, got {shown(classes)}.")
    check_texts("the classes", [label for label in classes if isinstance(label, str)])
    outputs = network.output_shape[0]
    softmax_of_two = target == "binary" and outputs == len(classes) == 2
    wanted = 1 if target == "binary" and not softmax_of_two else len(classes)
    loss = SoftmaxCrossEntropy if target == "multiclass" or softmax_of_two else SigmoidCrossEntropy
    if outputs != wanted or len(set(classes)) != len(classes) or (target == "binary" and len(classes) > 2):
        raise ModelFileError(f"{len(classes)} classes ({target}) do not fit a network with {outputs} outputs.")
    if not isinstance(network.loss, loss):
        raise ModelFileError(f"classes ({target}) do not fit a network with the loss {network.loss!r}.")
    try:
        return Labels(np.array(classes, _wide_enough(dtype, classes)), target, d["sparse"])
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelFileError(f"the classes cannot be read: {shown(error)}") from None
