"""Arrays in main memory, or in the memory of an NVIDIA GPU as arrays of CuPy.

NumPy's functions dispatch on CuPy's arrays, so layers, losses and optimizers are written once. This module has the rest
that they need: new arrays next to others, and the few moves between both memories. Nothing is moved implicitly. Only
this module imports CuPy (the extra ``cuda``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule._internal.extras import require
from chainrule._internal.typing import Array

CPU = "cpu"


def on_device(x: Any) -> bool:
    """Return whether x is an array of CuPy, in the memory of a GPU; PyTorch's have the interface, but no ``get``."""
    return not isinstance(x, np.ndarray) and hasattr(type(x), "__cuda_array_interface__") and hasattr(type(x), "get")


def is_array(x: Any) -> bool:
    """Return whether x is an array of NumPy or CuPy.

    >>> is_array(np.zeros(2)), is_array([0.0, 0.0]), is_array(np.float32(0))
    (True, False, False)
    """
    return isinstance(x, np.ndarray) or on_device(x)


def device_of(x: Any) -> str:
    """Return the device of an array, ``"cpu"`` or ``"cuda:0"``.

    >>> device_of(np.zeros(3))
    'cpu'
    """
    return f"cuda:{x.device.id}" if on_device(x) else CPU


def check_device(owner: str, device: Any) -> str:
    """Return the full name of a device; raise an error if this machine does not have it.

    >>> check_device("train", "gpu")
    Traceback (most recent call last):
    ...
    ValueError: train: device: expected 'cpu', 'cuda', or 'cuda:1' for the second GPU, got 'gpu'.
    """
    name, colon, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if name == CPU and not colon:
        return CPU
    if name != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        raise ValueError(f"{owner}: device: expected 'cpu', 'cuda', or 'cuda:1' for the second GPU, got {device!r}.")
    count, why = _gpus()
    if not count:
        raise ValueError(f"{owner}: device: CuPy finds no GPU on this machine ({why}): use device='cpu'.")
    if int(number or 0) >= count:
        names = ", ".join(f"'cuda:{i}'" for i in range(count))
        raise ValueError(f"{owner}: device: this machine has {names}, got {device!r}.")
    return f"cuda:{int(number or 0)}"


def _gpus() -> tuple[int, str]:
    cupy = require("cupy", "cuda")
    try:
        return cupy.cuda.runtime.getDeviceCount(), "none is connected"
    except RuntimeError as error:  # no driver, for example
        return 0, str(error)


def to(x: Any, device: str) -> Any:
    """Return x on a device; x itself if it is there."""
    if device_of(x) == device:
        return x
    if device == CPU:
        return host(x)
    with using(device):
        return x.copy() if on_device(x) else require("cupy", "cuda").asarray(x)


def like(x: Any, other: Any) -> Any:
    """Return x on the device of another array."""
    return to(x, device_of(other))


def host(x: Any) -> Any:
    """Return x in main memory; x itself if it is not on a GPU. This waits for the GPU."""
    return x.get() if on_device(x) else x


def number(x: Any) -> Any:
    """Return a NumPy scalar as a float; on a GPU, x itself, because reading it would wait for the GPU.

    >>> number(np.float32(0.5))
    0.5
    """
    return x if on_device(x) else float(x)


def unfilled(shape: Any, dtype: Any) -> Any:
    """Return an uninitialized array on the current GPU."""
    return require("cupy", "cuda").empty(shape, dtype)


class GPUMemoryError(MemoryError):
    """Raised when the memory of a GPU is exhausted."""


@contextmanager
def using(device: str) -> Iterator[None]:
    """Make a GPU the current one, on which CuPy allocates and computes."""
    if device == CPU:
        yield
        return
    try:
        with require("cupy", "cuda").cuda.Device(int(device.partition(":")[2])):
            yield
    except MemoryError as error:
        if isinstance(error, GPUMemoryError):
            raise
        raise GPUMemoryError(
            f"{device} has too little free memory ({error}): give a smaller batch_size, or use device='cpu'."
        ) from error


def free_memory(device: str) -> int:
    """Return the free bytes of a GPU, including those that CuPy keeps for reuse."""
    cupy = require("cupy", "cuda")
    with using(device):
        return int(cupy.cuda.runtime.memGetInfo()[0]) + int(cupy.get_default_memory_pool().free_bytes())


def empty(shape: tuple[int, ...], like: Array) -> Array:
    """Return an uninitialized array with the dtype of another, next to it."""
    return np.empty(shape, like.dtype, like=like)


@functools.cache
def kernel(inputs: str, outputs: str, body: str, name: str, preamble: str = "") -> Any:
    """Return a function that runs lines of CUDA C++ for each element of its arrays; the caller passes the outputs."""
    return require("cupy", "cuda").ElementwiseKernel(inputs, outputs, body, name, preamble=preamble, no_return=True)


@functools.cache
def reduction(inputs: str, outputs: str, each: str, both: str, last: str, name: str) -> Any:
    """Return a function that reduces arrays to one number: ``both`` combines ``a`` and ``b``, starting with 0."""
    return require("cupy", "cuda").ReductionKernel(inputs, outputs, each, both, last, "0", name)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Multiply float32 matrices with factors rounded to 11 bits ("tf32") on GPUs that support it, or in float32."""
    if name == "float32":
        yield
        return
    products = require("cupy._core._routines_linalg", "cuda")  # where CuPy has these names
    before = products.get_compute_type(np.float32)
    products.set_compute_type(np.float32, products.COMPUTE_TYPE_TF32)
    try:
        yield
    finally:
        products.set_compute_type(np.float32, before)


def gpu_name(device: str) -> str:
    """Return the model name of a GPU."""
    properties = require("cupy", "cuda").cuda.runtime.getDeviceProperties(int(device.partition(":")[2]))
    return str(properties["name"].decode())
