"""Networks in files: one safetensors file, with the architecture as JSON in its header.

A file holds numbers and names, no code. Names are looked up in fixed tables, never imported; sizes are checked against
the file's size before memory is allocated; and a file is written to a temporary name and renamed when complete.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from typing import Any, BinaryIO

import numpy as np

from chainrule._internal.backend import host
from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array
from chainrule.files.container import DTYPES, Header, opened, read_array, read_header, write_file
from chainrule.files.descriptions import MOST, build, describe
from chainrule.files.folding import fold
from chainrule.files.values import ModelFileError, check_fields, check_whole, shown
from chainrule.layers.base import Layer
from chainrule.network import Network

__all__ = ["ModelFileError", "load", "read_metadata", "save"]

LARGEST = 2**26  # the most output values of a layer for one sample
LONGEST = 2**33  # the most values that the layers may read for one sample: minutes; VGG-16 reads 1.1e9

HOLDS = {
    "network": "a network: chainrule.load reads it",
    "MLPClassifier": "a classifier: chainrule.MLPClassifier.load reads it, and chainrule.load with NumPy alone",
    "MLPRegressor": "a regressor: chainrule.MLPRegressor.load reads it, and chainrule.load with NumPy alone",
    "TabularClassifier": "a classifier: chainrule.TabularClassifier.load reads it, and chainrule.load with NumPy alone",
    "TabularRegressor": "a regressor: chainrule.TabularRegressor.load reads it, and chainrule.load with NumPy alone",
    "checkpoint": "a checkpoint: train(..., resume=) resumes from its folder",
    "ensemble checkpoint": "a checkpoint of an ensemble: fit resumes from its folder, with checkpoint=",
}


def save(
    model: Any,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    folded: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a network or a fitted estimator to a safetensors file; :func:`chainrule.load` reads it.

    Parameters
    ----------
    model : Network, MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Its layers and loss must be chainrule's own: a file cannot hold the code of custom ones.
    path : path
        Usually ending in ``.safetensors``.
    metadata : mapping of str to str, optional
        Strings to store with the model; :func:`chainrule.files.networks.read_metadata` returns them.
    folded : bool
        Write the result of :func:`chainrule.fold`, for serving: the same predictions to rounding, without dropout and
        with each BatchNorm folded into the preceding weights.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false.
    sklearn.exceptions.NotFittedError
    ValueError
        If the model has custom layers, a custom loss, parameters that are not finite, or classes that are neither
        numbers nor strings.

    Warns
    -----
    LeftOutWarning
        If callbacks, a custom solver or learning rate, or a ``RandomState`` of an estimator are not saved.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SquaredError(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.save(network, folder + "/small.safetensors")
    ...     bool((cr.load(folder + "/small.safetensors").theta == network.theta).all())
    True
    """
    kind, description, arrays = contents(model, folded=folded)
    write_file(path, kind, description, arrays, metadata, overwrite=overwrite)


Contents = tuple[str, dict[str, Any], dict[str, Array]]  # file kind, description, arrays by name


@singledispatch
def contents(model: Any, *, folded: bool) -> Contents:  # noqa: ARG001  (used by registered functions)
    """Return the content of a model's file; the estimators register their own function."""
    remedy = "The results of tables are folders: chainrule.tables.save(trained, folder)."
    if hasattr(model, "named_steps"):  # a pipeline of scikit-learn
        remedy = "Save its network alone, pipeline[-1], or export the whole as ONNX with skl2onnx."
    raise TypeError(f"save: expected a Network or a fitted estimator, got {type(model).__name__}. {remedy}")


@contents.register
def _(model: Network, *, folded: bool) -> Contents:
    network = fold(model) if folded else model
    return "network", {"network": describe_network(network)}, network_arrays(network)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that :func:`save` wrote; any other file raises an error.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
    ModelFileError
        If the file is corrupt, from another tool or a newer version, or holds something else.
    """
    expected = "a network saved by chainrule"
    with opened(path, expected) as file:
        header = read_header(file, expected)
        check_kind(header, "network", expected)
        check_fields("the description", header.description, {"network"})
        return read_network(file, header)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata saved with a network or an estimator.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SquaredError(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cr.save(network, folder + "/small.safetensors", {"made by": "me"})
    ...     read_metadata(folder + "/small.safetensors")
    {'made by': 'me'}
    """
    expected = "a file written by chainrule"
    with opened(path, expected) as file:
        return read_header(file, expected).metadata


# ---------------------------------------------------------------- the network in any file


def check_kind(header: Header, wanted: str, expected: str) -> None:
    """Raise an error for a file of another kind that says what the file is and what reads it."""
    if header.kind != wanted:
        raise ModelFileError(f"{expected} was expected, but it holds {holds(header.kind)}.")


def holds(kind: str) -> str:
    """Return a description of this kind of file for error messages."""
    return HOLDS.get(kind, f"'{shown(kind)}', which this version does not know: is the file from a newer one?")


def describe_network(network: Network) -> dict[str, Any]:
    """Return everything but the parameters of a network as JSON."""
    remedy = ": keep network.theta with np.save, and rebuild the network in your program before you load them"
    if len(network.layers) > MOST:
        raise ValueError(f"save: a file holds at most {MOST} layers, this network has {len(network.layers)}.")
    _check_outputs(network.layers)
    return {
        "inputs": list(network.input_shape),
        "dtype": str(network.dtype),
        "layers": [describe(f"layer {i}", layer, "Layer", remedy) for i, layer in enumerate(network.layers)],
        "loss": describe("the loss", network.loss, "Loss", remedy),
        "seed": _describe_seed(network.seed),
    }


def network_arrays(network: Network) -> dict[str, Array]:
    """Return parameters and statistics by their names in a file; raise an error for NaN and infinities."""
    arrays = {entry.key: host(array) for entry, array in network.arrays()}
    for key, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"save: {key} is not finite: training diverged. Save the network from before it diverged.")
    return arrays


def read_network(
    file: BinaryIO, header: Header, others: Iterable[str] = (), description: Any = None, prefix: str = ""
) -> Network:
    """Return the network of a file; ``others`` names arrays that are not its own, ``prefix`` precedes its own names.

    Memory is allocated only if every array of the file fits one of the network, so it cannot exceed the file's size.
    """
    network = _plan(header.description["network"] if description is None else description)
    names = {dtype: name for name, dtype in DTYPES.items()}
    entries = (*network.layout.entries, *network.statistics_layout.entries)
    wanted = {prefix + e.key: (names[network.dtype], e.shape) for e in entries}
    besides = set(others)
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in header.tensors.items() if name not in besides}
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise ModelFileError(
                f"the arrays do not match the description: {shown(key)} should be {shown(wanted.get(key, 'absent'))}, "
                f"is {shown(found.get(key, 'absent'))}. The file is corrupt."
            )
    _check_outputs(network.layers)
    network.allocate()
    for entry, view in network.arrays():
        view[...] = read_array(file, header.tensors[prefix + entry.key])
        if not np.isfinite(view).all():
            raise ModelFileError(f"{entry.key} is not finite. The file is corrupt, or training had diverged.")
    return network


def _plan(description: Any) -> Network:
    d = check_fields("the network", description, {"inputs", "dtype", "layers", "loss", "seed"})
    inputs, layers = d["inputs"], d["layers"]
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= 8:
        raise ModelFileError(f"inputs: expected a list of sizes, got {shown(inputs)}.")
    if not isinstance(layers, list) or len(layers) > MOST:
        found = f"{len(layers)} of them" if isinstance(layers, list) else shown(layers)
        raise ModelFileError(f"layers: expected a list of at most {MOST}, got {found}.")
    if d["dtype"] not in ("float32", "float64"):
        raise ModelFileError(f"dtype: expected 'float32' or 'float64', got {shown(d['dtype'])}.")
    shape = tuple(check_whole("inputs", n, 1) for n in inputs)
    stack = [build(f"layer {i}", layer, "Layer") for i, layer in enumerate(layers)]
    loss = build("the loss", d["loss"], "Loss")
    seed = _build_seed(d["seed"])
    try:
        network = Network.blank(shape, stack, loss, d["dtype"])
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelFileError(f"the layers do not fit together: {shown(error)}") from None
    network.seed = seed
    return network


def _check_outputs(layers: Sequence[Layer]) -> None:
    # A tiny file must not make a prediction exhaust memory: padding enlarges images without parameters.
    for layer in layers:
        if math.prod(layer.output_shape) > LARGEST:
            raise ModelFileError(f"{layer}: more than {LARGEST:,} output values per sample.")
        _check_outputs(layer.inner)
    if sum(layer.operations() for layer in layers) > LONGEST:
        slowest = max(layers, key=lambda layer: layer.operations())
        raise ModelFileError(
            f"{slowest}: the layers read more than {LONGEST:,} values per sample: one prediction would take minutes or "
            "days."
        )


def _describe_seed(seed: int | np.random.SeedSequence | None) -> Any:
    if isinstance(seed, np.random.SeedSequence):
        entropy: Any = seed.entropy
        return {
            "entropy": int(entropy) if isinstance(entropy, int | np.integer) else [int(n) for n in entropy],
            "spawn_key": [int(n) for n in seed.spawn_key],
        }
    return seed


def _build_seed(value: Any) -> int | np.random.SeedSequence | None:
    try:
        if isinstance(value, dict):
            check_fields("seed", value, {"entropy", "spawn_key"})
            entropy, spawn_key = value["entropy"], value["spawn_key"]
            for number in [*(entropy if isinstance(entropy, list) else [entropy]), *spawn_key]:
                check_count("Network", "seed", number, 0)
            return np.random.SeedSequence(entropy, spawn_key=tuple(spawn_key))
        return None if value is None else check_count("Network", "seed", value, 0)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ModelFileError(f"the seed cannot be read: {shown(error)}") from None
