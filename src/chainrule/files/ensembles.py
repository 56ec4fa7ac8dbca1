"""Fitted ensembles for tables in files: the encoding of the columns, the networks, the linear model, the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from chainrule._internal.typing import Array
from chainrule.encoding import TableEncoding
from chainrule.ensemble import Ensemble, Unit
from chainrule.files.container import Header, read_array, without_table
from chainrule.files.fitted import (
    HISTORY,
    MEMBER,
    MOST_MEMBERS,
    Labels,
    check_members,
    decode,
    describe_labels,
    encode,
    read_labels,
)
from chainrule.files.folding import fold
from chainrule.files.networks import describe_network, network_arrays, read_network
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, shown
from chainrule.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network

KINDS = ("TabularClassifier", "TabularRegressor")
FIELDS = {"parameters", "labels", "feature_names", "attributes", "levels", "share", "members", "stopped", "columns"}
ENCODING = ("median", "spread", "missing", "encoded", "lengths", "quantiles")
UNIT = ("center", "scale", "low", "high")
SHIFT = "shift"  # of a logarithm
COUNTS = ("n_iter_", "best_iter_")
NUMBERS = ("temperature_", "linear_share_")
LOSSES = {"multiclass": SoftmaxCrossEntropy, "multilabel-indicator": SigmoidCrossEntropy, "": SquaredError}


@dataclass
class FittedEnsemble:
    """A fitted ensemble without scikit-learn: its constructor's arguments and its fitted attributes."""

    kind: str
    ensemble: Ensemble
    parameters: dict[str, Any]
    labels: Labels | None = None
    feature_names: list[str] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    stopped: str = ""

    def contents(self, *, folded: bool) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return everything that is not an array as JSON, and the arrays by name."""
        e = self.ensemble
        networks = [fold(network) for network in e.networks] if folded else e.networks
        description = {
            "parameters": {name: encode(name, value) for name, value in self.parameters.items()},
            "labels": None if self.labels is None else describe_labels(self.labels),
            "feature_names": self.feature_names,
            "attributes": dict(self.attributes),
            "levels": [None if levels is None else [*levels] for levels in e.encoding.levels],
            "share": None if e.linear is None else float(e.linear[2]),
            "members": [describe_network(network) for network in networks],
            "columns": list(self.columns),
            "stopped": self.stopped,
        }
        encoding = {
            "median": e.encoding.median, "spread": e.encoding.spread, "missing": e.encoding.missing,
            "encoded": e.encoding.encoded, "lengths": np.array([len(q) for q in e.encoding.quantiles], np.int64),
            "quantiles": np.concatenate([*e.encoding.quantiles, np.zeros(0)]),
        }  # fmt: skip
        unit = {name: _plain(of) for name in (*UNIT, SHIFT) if (of := getattr(e.unit, name, None)) is not None}
        linear = {} if e.linear is None else {"linear.W": _plain(e.linear[0]), "linear.b": _plain(e.linear[1])}
        arrays = {f"encoding.{name}": np.ascontiguousarray(array) for name, array in encoding.items()} | unit | linear
        arrays |= {HISTORY + name: np.array(values, np.float64) for name, values in self.columns.items()}
        arrays |= {name: _plain(of) for name in ("errors", "thresholds") if (of := getattr(e, name)) is not None}
        for i, network in enumerate(networks):
            arrays |= {MEMBER.format(i) + key: array for key, array in network_arrays(network).items()}
        return {"estimator": description}, arrays


def read_ensemble(file: BinaryIO, header: Header) -> FittedEnsemble:
    """Read and validate the description and the arrays of a :class:`FittedEnsemble`."""
    header = without_table(header)
    check_fields("the description", header.description, {"estimator"})
    d = check_fields("the estimator", header.description["estimator"], FIELDS)
    regressor = header.kind == "TabularRegressor"
    if not isinstance(d["parameters"], dict) or regressor == (d["labels"] is not None):
        raise ModelFileError(f"the parameters or labels of a {header.kind} cannot be read: got {shown(d)}.")
    networks = _networks(file, header, d["members"])
    labels = None if regressor else read_labels(d["labels"], networks[0])
    if (labels and labels.target not in LOSSES) or type(networks[0].loss) is not LOSSES[
        labels.target if labels else ""
    ]:
        raise ModelFileError(f"a {header.kind} does not have the loss {networks[0].loss!r}, or labels of this kind.")
    encoding = _encoding(file, header, d["levels"])
    if encoding.inputs != networks[0].input_shape[0]:
        raise ModelFileError(f"the encoding has {encoding.inputs} values, but the networks take other inputs.")
    names = d["feature_names"]
    if names is not None and len(check_texts("the names of the columns", names)) != len(encoding.levels):
        raise ModelFileError(f"{len(names)} column names do not fit a table with {len(encoding.levels)} columns.")
    ensemble = Ensemble(encoding, networks, _linear(file, header, d["share"], encoding.plain, networks[0]))
    if regressor:
        _read_unit(file, header, ensemble)
    elif "thresholds" in header.tensors:
        ensemble.thresholds = _array(file, header, "thresholds", networks[0].output_shape)
        if not ((ensemble.thresholds > 0) & (ensemble.thresholds <= 1)).all():
            raise ModelFileError("the thresholds are not between 0 and 1. The file is corrupt.")
    fitted = FittedEnsemble(
        kind=header.kind,
        ensemble=ensemble,
        parameters={name: decode(name, value) for name, value in d["parameters"].items()},
        labels=labels,
        feature_names=names,
        attributes=_attributes(d["attributes"]),
        columns=_history(file, header, d["columns"]),
        stopped=check_texts("the history", [d["stopped"]])[0],
    )
    known = {*(f"encoding.{name}" for name in ENCODING), *(HISTORY + name for name in fitted.columns)}
    known |= {*UNIT, SHIFT, "errors"} if regressor else {"thresholds"}
    known |= {"linear.W", "linear.b"} if ensemble.linear else set()
    prefixes = tuple(MEMBER.format(i) for i in range(len(networks)))
    if odd := [name for name in header.tensors if name not in known and not name.startswith(prefixes)]:
        raise ModelFileError(f"the array {shown(odd[0])} is not expected. Is the file from a newer version?")
    return fitted


def _linear(file: BinaryIO, header: Header, share: Any, values: int, network: Network) -> Any:
    if share is None:
        return None
    if not isinstance(share, float) or not 0 <= share <= 1:
        raise ModelFileError(f"the share of the linear model cannot be read: got {shown(share)}.")
    outputs = network.output_shape
    return _array(file, header, "linear.W", (values, *outputs)), _array(file, header, "linear.b", outputs), share


def _read_unit(file: BinaryIO, header: Header, ensemble: Ensemble) -> None:
    """Set the unit of the target, the range of the predictions, and the errors."""
    outputs = ensemble.networks[0].output_shape
    names = (*UNIT, SHIFT) if SHIFT in header.tensors else UNIT
    ensemble.unit = unit = Unit(**{name: _array(file, header, name, outputs) for name in names})
    if not ((unit.scale > 0).all() and (unit.low <= unit.high).all()):
        raise ModelFileError("the unit of the target cannot be read: a scale is not positive, or a range is empty.")
    shift = unit.shift
    if shift is not None and not ((shift >= 0) & (unit.low + shift >= 0) & (unit.high + shift > 0)).all():
        raise ModelFileError("the unit of the target cannot be read: a logarithm of negative numbers.")
    tensor = header.tensors.get("errors")
    ensemble.errors = errors = _array(file, header, "errors", (*(tensor.shape[:1] if tensor else (0,)), *outputs))
    if not len(errors) or (errors < 0).any() or (np.diff(errors, axis=0) < 0).any():
        raise ModelFileError("the out-of-fold errors are not sorted, or there are none. The file is corrupt.")


def _history(file: BinaryIO, header: Header, names: Any) -> dict[str, list[Any]]:
    columns = {}
    for name in check_texts("the history", names):
        tensor = header.tensors.get(HISTORY + name)
        columns[name] = _array(file, header, HISTORY + name, tensor.shape[:1] if tensor else (0,)).tolist()
    if len({len(column) for column in columns.values()}) > 1 or "epoch" not in columns:
        raise ModelFileError("the columns of the history have different lengths. The file is corrupt.")
    return columns


def _attributes(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFileError(f"the attributes cannot be read: got {shown(value)}.")
    for name, number in value.items():
        if name in COUNTS:
            check_whole(name, number, 1)
        elif name not in NUMBERS or not isinstance(number, float) or not 0 <= number < np.inf:
            raise ModelFileError(f"the attribute {shown(name)} cannot be read: got {shown(number)}.")
    if missing := {*COUNTS} - value.keys():
        raise ModelFileError(f"the attributes lack {', '.join(sorted(missing))}.")
    return dict(value)


def _networks(file: BinaryIO, header: Header, members: Any) -> list[Any]:
    known = isinstance(members, list) and all(isinstance(member, dict) for member in members)
    if not known or not 1 <= len(members) <= MOST_MEMBERS:
        raise ModelFileError(f"members: expected a list of 1 to {MOST_MEMBERS} networks, got {shown(members)}.")
    networks = []
    for i, description in enumerate(members):
        prefix = MEMBER.format(i)
        rest = [name for name in header.tensors if not name.startswith(prefix)]
        networks.append(read_network(file, header, rest, description, prefix))
    first = check_members(networks)
    if len(first.input_shape) != 1 or len(first.output_shape) != 1:
        raise ModelFileError(f"the members take {first.input_shape}: expected rows of numbers.")
    return networks


def _encoding(file: BinaryIO, header: Header, levels: Any) -> TableEncoding:
    if not isinstance(levels, list):
        raise ModelFileError(f"the levels cannot be read: expected a list, got {shown(levels)}.")
    for one in levels:
        if one is not None and not (
            isinstance(one, list)
            and all(level is None or isinstance(level, str | int | float | bool) for level in one)
            and len({(type(level), level) for level in one}) == len(one)
        ):
            raise ModelFileError(f"the levels cannot be read: got {shown(one)}.")
    arrays: dict[str, Array] = {}
    for name in ENCODING:
        tensor = header.tensors.get(f"encoding.{name}")
        dtype = "I64" if name in ("missing", "encoded", "lengths") else "F64"
        shape = tensor.shape if tensor and len(tensor.shape) == 1 else (0,)
        shape = arrays["median"].shape if name == "spread" else shape
        arrays[name] = _array(file, header, f"encoding.{name}", shape, dtype)
    lengths, quantiles, values = arrays["lengths"], arrays["quantiles"], len(arrays["median"])
    encoding = TableEncoding(
        tuple(None if one is None else tuple(one) for one in levels),
        arrays["median"], arrays["spread"], arrays["missing"], arrays["encoded"],
    )  # fmt: skip
    numbers = set(encoding.numbers.tolist())
    good = values == encoding.values + len(arrays["missing"])
    good = good and bool((arrays["spread"] >= 0).all())
    for name in ("missing", "encoded"):
        indices = arrays[name].tolist()
        good = good and sorted(set(indices)) == indices and numbers.issuperset(indices)
    good = good and len(lengths) == len(arrays["encoded"]) and bool((lengths > 2).all())
    good = good and sum(lengths.tolist()) == len(quantiles)
    if good:
        encoding.quantiles = tuple(np.split(quantiles, np.cumsum(lengths)[:-1])) if len(lengths) else ()
        good = all(bool((np.diff(q) > 0).all()) for q in encoding.quantiles)
    if not good:
        raise ModelFileError("the encoding of the columns is inconsistent. The file is corrupt.")
    return encoding


def _plain(array: Array) -> Array:
    return np.array(array, np.float64, order="C")


def _array(file: BinaryIO, header: Header, name: str, shape: tuple[int, ...], dtype: str = "F64") -> Array:
    tensor = header.tensors.get(name)
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
        found = "absent" if tensor is None else f"{tensor.dtype} {tensor.shape}"
        raise ModelFileError(f"the array {shown(name)} should be {dtype} {shape}, is {found}. The file is corrupt.")
    array = read_array(file, tensor)
    if not np.isfinite(array).all():
        raise ModelFileError(f"{name} is not finite. The file is corrupt.")
    return array
