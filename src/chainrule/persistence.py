"""Networks in files: one safetensors file, with the architecture as JSON in its header.

A file holds numbers and names, no code. Names are looked up in fixed tables, never imported; sizes are checked against
the file's before anything is allocated; and a file is written beside its place and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import initializers, layers, losses
from chainrule._names import public_classes
from chainrule._specification import Specification
from chainrule.initializers import Initializer
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.network import Network

__all__ = ["ModelFileError", "load", "read_metadata", "save"]

FORMAT = 1
KEY = "chainrule"
LARGEST_HEADER = 2**24
FOREIGN = {
    b"\x80": "a pickle, which could run any code",
    b"PK": "a zip archive (perhaps .npz, .pt or .keras)",
    b"\x89PNG": "a PNG picture",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x89HDF": "an HDF5 file (perhaps .h5)",
}


class ModelFileError(ValueError):
    """The file is not a network that this version of chainrule can read."""


def save(
    network: Network,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write ``network`` to ``path``.

    Parameters
    ----------
    network : Network
        Of layers and a loss that chainrule ships: a file cannot hold the code of your own.
    path : path
        Usually ending in ``.safetensors``.
    metadata : mapping of str to str, optional
        Anything to keep beside the network: :func:`read_metadata` gives it back.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileExistsError
        When there is a file and ``overwrite`` is false.
    ValueError
        When the network has layers or a loss of your own.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SquaredError(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     network.save(folder + "/small.safetensors")
    ...     bool((cr.Network.load(folder + "/small.safetensors").theta == network.theta).all())
    True
    """
    from safetensors.numpy import save as to_bytes  # noqa: PLC0415

    from chainrule import __version__  # noqa: PLC0415

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a file was expected, such as {path / 'model.safetensors'}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already: choose another name, or pass overwrite=True to replace it.")
    description = {
        "format": FORMAT,
        "version": __version__,
        "inputs": list(network.input_shape),
        "dtype": str(network.dtype),
        "layers": [_describe(f"layer {i}", layer, Layer, layers) for i, layer in enumerate(network.layers)],
        "loss": _describe("the loss", network.loss, Loss, losses),
        "metadata": dict(metadata or {}),
    }
    arrays = {e.key: network.layout.view(network.theta, e) for e in network.layout.entries}
    write_atomically(path, to_bytes(arrays, {KEY: json.dumps(description)}))


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that :func:`save` wrote; it predicts what it predicted.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
    ModelFileError
        When the file is damaged, of another tool, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    path = Path(path)
    header = _read_header(path)
    description = _description(path, header)
    try:
        network = Network.blank(
            tuple(description["inputs"]),
            [_build(f"layer {i}", d, Layer, layers) for i, d in enumerate(description["layers"])],
            _build("the loss", description["loss"], Loss, losses),
            description["dtype"],
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelFileError(f"{path}: the description of the network cannot be read: {error}") from error
    _check_arrays(path, header, network)
    network.allocate()
    try:
        with safe_open(path, framework="np") as file:
            for entry in network.layout.entries:
                network.layout.view(network.theta, entry)[...] = file.get_tensor(entry.key)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: damaged or cut short ({error}). Use another copy of the file.") from error
    return network


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata that :func:`save` was given.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> network = cr.Network(2, [cr.layers.Dense(3)], cr.losses.SquaredError(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     network.save(folder + "/small.safetensors", {"made by": "me"})
    ...     read_metadata(folder + "/small.safetensors")
    {'made by': 'me'}
    """
    path = Path(path)
    return dict(_description(path, _read_header(path))["metadata"])


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, and rename it when it is whole and on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)  # mkstemp made it private
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _describe(what: str, value: Specification, base: Any, module: Any) -> dict[str, Any]:
    name = type(value).__name__
    if public_classes(module, base).get(name) is not type(value):
        raise ValueError(
            f"save: {what}, {value!r}, is not a part of chainrule, and a file cannot hold its code: "
            "keep network.theta with np.save, and build the network in your program before you fill it."
        )
    arguments = {
        k: _describe("an initializer", v, Initializer, initializers) if isinstance(v, Specification) else v
        for k, v in value.arguments().items()
    }
    return {"type": name, **arguments}


def _build(what: str, description: Any, base: Any, module: Any) -> Any:
    arguments = dict(description)
    name = arguments.pop("type")
    table = public_classes(module, base)
    if name not in table:
        raise ValueError(f"{what}: unknown type {name!r}. Known: {', '.join(table)}.")
    cls = table[name]
    known = {f for f, parameter in getattr(cls, "__dataclass_fields__", {}).items() if parameter.init}
    if unknown := arguments.keys() - known:
        raise ValueError(
            f"{what}, {name}: unknown field(s) {', '.join(sorted(unknown))}. Is the file from a newer version?"
        )
    for key, value in arguments.items():
        if isinstance(value, dict):
            arguments[key] = _build(f"{what}, {name}", value, Initializer, initializers)
    return cls(**arguments)


def _read_header(path: Path) -> dict[str, Any]:
    """Return the JSON header, after checking that it is one."""
    if path.is_dir():
        inside = path / "model.safetensors"
        hint = f" Did you mean {inside}?" if inside.exists() else ""
        raise IsADirectoryError(f"{path} is a folder; a file written by Network.save was expected.{hint}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file; one written by Network.save was expected.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if not size:
            raise ModelFileError(f"{path} is empty; a file written by Network.save was expected.")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(size - 8, LARGEST_HEADER):
            what = next((name for magic, name in FOREIGN.items() if start.startswith(magic)), None)
            guess = f"it is {what}" if what else "it is damaged, cut short, or of another kind"
            raise ModelFileError(
                f"{path} is not a safetensors file: {guess}. A file written by Network.save was expected."
            )
        raw = file.read(length)
    try:
        header = json.loads(raw)
        if not isinstance(header, dict):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ModelFileError(f"{path} is not a safetensors file, or it is damaged: its header is not JSON.") from None
    return header


def _description(path: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    metadata = header.get("__metadata__")
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError(
            f"{path} is a safetensors file, but of another tool: one written by Network.save was expected."
        )
    try:
        description = json.loads(text)
        found = description["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelFileError(f"{path}: the description of the network is damaged.") from None
    if found != FORMAT:
        raise ModelFileError(
            f"{path} has format {found!r}, written by chainrule {description.get('version')}; this version reads "
            f"format {FORMAT}. Upgrade: pip install -U chainrule"
        )
    known = {"format", "version", "inputs", "dtype", "layers", "loss", "metadata"}
    if description.keys() != known:
        odd = ", ".join(sorted(description.keys() ^ known))
        raise ModelFileError(f"{path}: the description of the network has missing or unknown fields: {odd}.")
    return dict(description)


def _check_arrays(path: Path, header: Mapping[str, Any], network: Network) -> None:
    """Refuse a file whose arrays are not those of its description, before anything is allocated."""
    names = {np.dtype("float32"): "F32", np.dtype("float64"): "F64"}
    wanted = {e.key: (names[network.dtype], list(e.shape)) for e in network.layout.entries}
    found = {
        key: (value.get("dtype"), value.get("shape")) if isinstance(value, dict) else (None, None)
        for key, value in header.items()
        if key != "__metadata__"
    }
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise ModelFileError(
                f"{path}: the arrays do not fit the description: {key} should be {wanted.get(key, 'absent')}, "
                f"is {found.get(key, 'absent')}. The file is damaged."
            )
    data = path.stat().st_size - network.layout.size * network.dtype.itemsize
    if not 8 < data <= LARGEST_HEADER + 8:
        raise ModelFileError(f"{path}: cut short: its arrays are not all there. Use another copy of the file.")
