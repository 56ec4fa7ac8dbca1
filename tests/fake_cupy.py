"""A strict stand-in for CuPy where there is no GPU: NumPy computes, but only what CuPy 14 has, as CuPy has it.

- NumPy's functions dispatch on :class:`DeviceArray`; their names and arguments are CuPy's (``cupy_names.json``).
- Nothing converts by itself: an array of NumPy is no operand, and ``np.asarray`` of a device array is a TypeError.
- Kernels are compiled from their CUDA C++ with g++ and run one element after another.
- Reads that wait for a GPU (``float``, ``bool``, ``get``, ...) are counted, as are kernels and operations.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text())
UFUNCS, FUNCTIONS, METHODS = set(NAMES["ufuncs"]), NAMES["functions"], NAMES["methods"]
REDUCING = {"add": {"reduce", "accumulate", "reduceat"}, "multiply": {"reduce", "accumulate"}}
FREE = 2**30
SCALARS = (int, float, bool, np.generic)
SEEN: Counter[str] = Counter()
MACHINE = SimpleNamespace(gpus=2, current=0, free=FREE, compute_type=0)


class OutOfMemoryError(MemoryError):
    """CuPy's error of this name."""


class Flags:
    """What CuPy's arrays say of their memory: not whether they are writable."""

    def __init__(self, array: np.ndarray) -> None:
        self.c_contiguous, self.f_contiguous = array.flags.c_contiguous, array.flags.f_contiguous
        self.owndata = array.flags.owndata


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that only CuPy's operations may touch."""

    __array_priority__ = 100

    def __init__(self, array: np.ndarray, device: int | None = None, *, new: bool = False) -> None:
        assert isinstance(array, np.ndarray), type(array)
        if new and array.nbytes > MACHINE.free:
            raise OutOfMemoryError(f"Out of memory allocating {array.nbytes:,} bytes")
        self.inside = array
        self.device = SimpleNamespace(id=MACHINE.current if device is None else device)

    shape = property(lambda self: self.inside.shape)
    dtype = property(lambda self: self.inside.dtype)
    ndim = property(lambda self: self.inside.ndim)
    size = property(lambda self: self.inside.size)
    nbytes = property(lambda self: self.inside.nbytes)
    itemsize = property(lambda self: self.inside.itemsize)
    strides = property(lambda self: self.inside.strides)
    flags = property(lambda self: Flags(self.inside))
    T = property(lambda self: self._view(self.inside.T))
    __cuda_array_interface__ = property(lambda self: {"shape": self.shape, "version": 3})

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def __len__(self) -> int:
        return len(self.inside)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"

    def _view(self, array: np.ndarray) -> DeviceArray:
        return DeviceArray(array, self.device.id)

    # ---- reads that wait for the GPU

    def _read(self) -> np.ndarray:
        SEEN["waits"] += 1
        return self.inside

    def get(self) -> np.ndarray:
        return self._read().copy()

    def item(self) -> Any:
        return self._read().item()

    def tolist(self) -> Any:
        return self._read().tolist()

    def __float__(self) -> float:
        return float(self._read().item())

    def __int__(self) -> int:
        return int(self._read().item())

    def __index__(self) -> int:
        return self._read().__index__()

    def __bool__(self) -> bool:
        return bool(self._read())

    # ---- indexing

    def __getitem__(self, index: Any) -> DeviceArray:
        _check_index(index)
        return self._view(np.asarray(self.inside[_inside(index)]))

    def __setitem__(self, index: Any, value: Any) -> None:
        _same_device(self, value)
        _check_index(index)
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if not isinstance(value, (DeviceArray, *SCALARS, np.ndarray)):
            raise TypeError(f"Unsupported type {type(value)}")
        SEEN["operations"] += 1
        self.inside[_inside(index)] = _inside(value)

    # ---- methods that are not functions of the same arguments

    def reshape(self, *shape: Any, order: str = "C") -> DeviceArray:
        return self._view(self.inside.reshape(*shape, order=order))

    def ravel(self, order: str = "C") -> DeviceArray:
        return self._view(self.inside.ravel(order))

    def transpose(self, *axes: Any) -> DeviceArray:
        return self._view(self.inside.transpose(*axes))

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        assert (casting, subok, order) == (None, None, "K")
        return self if self.dtype == dtype and not copy else self._view(self.inside.astype(dtype))

    def copy(self, order: str = "C") -> DeviceArray:
        SEEN["operations"] += 1
        return DeviceArray(self.inside.copy(order), new=True)

    def fill(self, value: Any) -> None:
        self.inside.fill(value)

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return self.copy()

    # ---- NumPy's dispatch

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name, out = ufunc.__name__, kwargs.pop("out", (None,))[0]
        if name not in UFUNCS:
            return NotImplemented
        if method != "__call__" and method not in REDUCING.get(name, ()):
            raise NotImplementedError(f"`cupy_{name}.{method}` is not supported yet")
        allowed = {"dtype", "casting"} if method == "__call__" else {"axis", "dtype", "keepdims"}
        if wrong := kwargs.keys() - allowed:
            raise TypeError(f"Wrong arguments {wrong} of np.{name}")
        _same_device(*inputs, out)
        for x in (*inputs, out):
            if isinstance(x, np.ndarray):
                raise TypeError(f"Unsupported type <class 'numpy.ndarray'> (np.{name})")
            if not isinstance(x, (DeviceArray, type(None), *SCALARS)):
                return NotImplemented
        SEEN["operations"] += 1
        SEEN[name] += 1
        into = {} if out is None else {"out": out.inside}
        result = getattr(ufunc, method)(*map(_inside, inputs), **kwargs, **into)
        return _outside(result) if out is None else out

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        place = function.__module__.removeprefix("numpy").removeprefix(".")
        name = f"{place}.{function.__name__}".strip(".")
        name = re.sub(r"^(_core|core|lib\._stride_tricks_impl)(\.\w+)*\.", "", name) if name not in FUNCTIONS else name
        name = name if name in FUNCTIONS else f"lib.stride_tricks.{function.__name__}"
        if name not in FUNCTIONS:
            return NotImplemented
        _check_call(name, FUNCTIONS[name], args, kwargs)
        flat = [x for a in (*args, *kwargs.values()) for x in (a if isinstance(a, list | tuple) else [a])]
        _same_device(*flat)
        if any(isinstance(x, np.ndarray) and x.ndim for x in flat):
            raise TypeError(f"Unsupported type <class 'numpy.ndarray'> (np.{name})")
        SEEN["operations"] += 1
        SEEN[function.__name__] += 1
        out = kwargs.get("out")
        result = function(*_inside(args), **_inside(kwargs))
        return out if isinstance(out, DeviceArray) else _outside(result)


def _check_call(name: str, known: list[str] | None, args: Any, kwargs: Any) -> None:
    """Raise CuPy's error for an argument that its function does not have."""
    if name == "einsum":
        known = None
        if kwargs.get("out") is not None:
            raise TypeError("einsum() got an unexpected keyword argument 'out'")
    if known is not None and (kwargs.keys() - set(known) or len(args) > len(known)):
        raise TypeError(f"{name}() got an unexpected argument: {sorted(kwargs.keys() - set(known))}")


def _method(name: str) -> Any:
    def call(self: DeviceArray, *args: Any, **kwargs: Any) -> Any:
        _same_device(self, *args, *kwargs.values())
        _check_call(name, METHODS[name], (self, *args), kwargs)
        SEEN["operations"] += 1
        out = kwargs.get("out")
        assert out is None or isinstance(out, DeviceArray), f"{name}: out must be a device array"
        result = getattr(self.inside, name)(*_inside(args), **_inside(kwargs))
        return out if out is not None else _outside(result)

    return call


for _name in (
    "all", "any", "argmax", "argmin", "argsort", "clip", "cumsum", "dot", "max", "mean", "min", "nonzero", "prod",
    "repeat", "round", "squeeze", "std", "sum", "swapaxes", "take", "var",
):  # fmt: skip
    setattr(DeviceArray, _name, _method(_name))


def _inside(x: Any) -> Any:
    if isinstance(x, DeviceArray):
        return x.inside
    if isinstance(x, list | tuple):
        return type(x)(_inside(v) for v in x)
    return {name: _inside(v) for name, v in x.items()} if isinstance(x, dict) else x


def _outside(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return type(x)(_outside(v) for v in x)
    return DeviceArray(np.asarray(x), new=True) if isinstance(x, np.ndarray | np.generic) else x


def _check_index(index: Any) -> None:
    for part in index if isinstance(index, tuple) else (index,):
        assert not isinstance(part, np.ndarray) or part.dtype.kind in "iub"


def _same_device(*arrays: Any) -> None:
    for x in arrays:
        if isinstance(x, DeviceArray) and x.device.id != MACHINE.current:
            raise ValueError(f"Array device must be same as the current device: {x.device.id}, {MACHINE.current}")


# ------------------------------------------------------------ kernels


class Parameter:
    """One of ``"raw T y, int32 n"``."""

    def __init__(self, text: str) -> None:
        *raw, self.kind, self.name = text.split()
        self.raw = bool(raw)

    def dtype(self, letters: dict[str, np.dtype]) -> np.dtype:
        return letters[self.kind] if len(self.kind) == 1 else np.dtype(self.kind)


def _parameters(text: str) -> list[Parameter]:
    return [Parameter(part) for part in text.split(",") if part.strip()]


def _letters(name: str, parameters: list[Parameter], args: Any) -> dict[str, np.dtype]:
    """Return the dtypes that T stands for, as CuPy finds them: from the arrays."""
    letters: dict[str, np.dtype] = {}
    for parameter, arg in zip(parameters, args, strict=True):
        assert isinstance(arg, (DeviceArray, *SCALARS)), f"{name}: {parameter.name} is {type(arg)}"
        if isinstance(arg, DeviceArray):
            wanted = letters.setdefault(parameter.kind, arg.dtype) if len(parameter.kind) == 1 else parameter.dtype({})
            if wanted != arg.dtype:
                raise TypeError(f"{name}: type is mismatched. {parameter.name} {arg.dtype} {wanted}")
    return letters


@np.vectorize
def _c_type(dtype: str) -> str:
    return {"f4": "float", "f8": "double", "i4": "int", "i8": "long long", "u4": "unsigned int"}[dtype[1:]]


HEAD = """
#include <cmath>
#include <cstddef>
#include <cstdint>
using namespace std;
#define __device__
"""


def _compiled(source: str) -> Any:
    """Return the function ``run`` of a C++ source, compiled once."""
    if shutil.which("g++") is None:
        pytest.skip("the kernels of a GPU are compiled with g++ here, which is not installed")
    folder = Path(tempfile.gettempdir()) / f"chainrule-kernels-{NAMES['version']}"
    folder.mkdir(exist_ok=True)
    library = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:24]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as here:
            code, made = Path(here) / "kernel.cpp", Path(here) / "kernel.so"
            code.write_text(source)
            flags = ["-O1", "-w", "-ffp-contract=off", "-shared", "-fPIC", "-std=c++17"]
            done = subprocess.run(["g++", *flags, "-o", made, code], capture_output=True, text=True, check=False)
            assert not done.returncode, done.stderr + source
            made.replace(library)
    return ctypes.CDLL(str(library)).run


class ElementwiseKernel:
    """CuPy's: a body that runs once for each element, with its inputs as values and its outputs as references."""

    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str, preamble: str = "", no_return: bool = False
    ) -> None:
        assert no_return
        self.inputs, self.outputs = _parameters(in_params), _parameters(out_params)
        self.body, self.name, self.preamble = operation, name, preamble
        reserved = {"i", "n", "T"} | {p.name for p in (*self.inputs, *self.outputs) if p.name.startswith("_")}
        assert not reserved & {p.name for p in (*self.inputs, *self.outputs)}

    def __call__(self, *args: Any) -> None:
        parameters = [*self.inputs, *self.outputs]
        _same_device(*args)
        letters = _letters(self.name, parameters, args)
        outs = args[len(self.inputs) :]
        assert all(isinstance(out, DeviceArray) for out in outs), self.name
        sized = [a.shape for p, a in zip(parameters, args, strict=True) if isinstance(a, DeviceArray) and not p.raw]
        shape = np.broadcast_shapes(*sized)
        for parameter, out in zip(self.outputs, outs, strict=True):
            if not parameter.raw and out.shape != shape:
                raise ValueError(f"{self.name}: Out shape is mismatched: {out.shape}, {shape}")
        SEEN["kernels"] += 1
        SEEN[self.name] += 1
        arrays = []
        for parameter, arg in zip(parameters, args, strict=True):
            value = np.asarray(_inside(arg)).astype(parameter.dtype(letters))
            arrays.append(np.ascontiguousarray(value if parameter.raw else np.broadcast_to(value, shape)))
        run = _compiled(self.source(letters))
        pointers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        run(ctypes.c_longlong(math.prod(shape)), pointers)
        for out, array in zip(outs, arrays[len(self.inputs) :], strict=True):
            out.inside[...] = array.reshape(out.shape)

    def source(self, letters: dict[str, np.dtype]) -> str:
        """Return a C++ function with the loop around the body."""
        lines = [HEAD, self.preamble]
        lines += [f"typedef {_c_type(dtype.str)} {letter};" for letter, dtype in letters.items()]
        lines += ['extern "C" void run(long long size, void** args) {', "for (ptrdiff_t i = 0; i < size; ++i) {"]
        for k, p in enumerate([*self.inputs, *self.outputs]):
            kind, constant = _c_type(p.dtype(letters).str), "const " if k < len(self.inputs) else ""
            if p.raw:
                lines.append(f"{constant}{kind}* {p.name} = ({kind}*)args[{k}];")
            else:
                reference = "" if constant else "&"
                lines.append(f"{constant}{kind} {reference}{p.name} = (({kind}*)args[{k}])[i];")
        return "\n".join([*lines, self.body + ";", "}}"])


class ReductionKernel:
    """CuPy's: one number from all elements."""

    def __init__(
        self, in_params: str, out_params: str, map_expr: str, reduce_expr: str, post: str, identity: str, name: str
    ) -> None:
        [self.input], [self.output] = _parameters(in_params), _parameters(out_params)
        self.expressions, self.name = (map_expr, reduce_expr, post, identity), name

    def __call__(self, x: DeviceArray) -> DeviceArray:
        _same_device(x)
        SEEN["kernels"] += 1
        SEEN[self.name] += 1
        letters = _letters(self.name, [self.input], [x])
        each, both, post, identity = self.expressions
        kind, result = _c_type(self.input.dtype(letters).str), _c_type(np.dtype(self.output.kind).str)
        typedefs = "".join(f"typedef {_c_type(dtype.str)} {letter};" for letter, dtype in letters.items())
        source = f"""{HEAD} {typedefs}
            extern "C" void run(long long size, void** args) {{
                {result} total_ = {identity};
                for (ptrdiff_t i = 0; i < size; ++i) {{
                    const {kind} {self.input.name} = (({kind}*)args[0])[i];
                    {result} a = total_, b = {each};
                    total_ = {both};
                }}
                {result} a = total_, &{self.output.name} = *({result}*)args[1];
                {post};
            }}"""
        values, out = np.ascontiguousarray(x.inside), np.zeros((), self.output.kind)
        _compiled(source)(ctypes.c_longlong(x.size), (ctypes.c_void_p * 2)(values.ctypes.data, out.ctypes.data))
        return DeviceArray(out)


# ------------------------------------------------------------ the module


class Device:
    """The current GPU, as a context."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        self.before, MACHINE.current = MACHINE.current, self.number

    def __exit__(self, *_: object) -> None:
        MACHINE.current = self.before


def asarray(x: Any) -> DeviceArray:
    """Copy an array of NumPy to the current GPU."""
    if isinstance(x, DeviceArray):
        return x
    return DeviceArray(np.array(x), new=True)


def _set_compute_type(dtype: Any, value: int) -> None:
    assert np.dtype(dtype) == np.float32
    MACHINE.compute_type = value


def module() -> dict[str, ModuleType]:
    """Return the modules to put in ``sys.modules``, with nothing that CuPy does not have."""
    contents = {
        "ndarray": DeviceArray,
        "asarray": asarray,
        "empty": lambda shape, dtype: DeviceArray(np.empty(shape, dtype), new=True),
        "ElementwiseKernel": ElementwiseKernel,
        "ReductionKernel": ReductionKernel,
        "get_default_memory_pool": lambda: SimpleNamespace(free_bytes=lambda: 0),
        "cuda.Device": Device,
        "cuda.runtime.getDeviceCount": lambda: MACHINE.gpus,
        "cuda.runtime.memGetInfo": lambda: (MACHINE.free, FREE),
        "cuda.runtime.getDeviceProperties": lambda _: {"name": b"Fake GPU"},
        "_core._routines_linalg.COMPUTE_TYPE_TF32": 3,
        "_core._routines_linalg.set_compute_type": _set_compute_type,
        "_core._routines_linalg.get_compute_type": lambda _: MACHINE.compute_type,
    }
    assert contents.keys() <= set(NAMES["others"]), "run tests/cupy_names.py where CuPy is installed"
    places = ("cupy", "cupy.cuda", "cupy.cuda.runtime", "cupy._core", "cupy._core._routines_linalg")
    modules = {name: ModuleType(name) for name in places}
    for name in places[1:]:
        parent, _, last = name.rpartition(".")
        setattr(modules[parent], last, modules[name])
    for name, value in contents.items():
        place, _, last = f"cupy.{name}".rpartition(".")
        setattr(modules[place], last, value)
    return modules


@contextmanager
def installed() -> Any:
    """Let chainrule find the stand-in instead of CuPy."""
    from chainrule._internal import backend  # noqa: PLC0415

    before = {name: sys.modules.get(name) for name in module()}
    sys.modules.update(module())
    caches = (backend.kernel, backend.reduction)
    MACHINE.gpus, MACHINE.current, MACHINE.free, MACHINE.compute_type = 2, 0, FREE, 0
    for cache in caches:
        cache.cache_clear()
    SEEN.clear()
    try:
        yield
    finally:
        for cache in caches:
            cache.cache_clear()
        for name, old in before.items():
            sys.modules.pop(name) if old is None else sys.modules.__setitem__(name, old)
