"""Machine code of single functions: compiled by Numba once, kept on disk, and loaded without Numba afterwards.

Numba takes half a second to import, so functions for compiled code are only declared here. They become Numba's when one
of them has to be compiled: a later process finds the machine code on disk and needs nothing but llvmlite, to load it.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
import types
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int, c_int64, c_void_p, create_string_buffer
from typing import Any

import numpy as np

from chainrule.training.compiled import keeping

PACKAGE = "chainrule.training.compiled"

# Division by zero gives infinity, as in NumPy: Numba's default, to raise an error, prevents vector instructions.
# Without a fastmath of its own, a function would have that of the first caller for which it is compiled.
OPTIONS = {
    "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "no_cpython_wrapper": True, "fastmath": False
}  # fmt: skip
# Sums in any order, for vector instructions; NaN and infinity stay what they are.
SUMMING = {"reassoc", "contract", "nsz"}

NEVER = "NRT_MemInfo_call_dtor"  # what Numba's runtime does for an array that owns its memory, which none of ours does

lock = threading.RLock()  # LLVM and Numba take one thread at a time
_loaded: dict[str, int] = {}
operations: dict[str, Operation] = {}


def _forget() -> None:
    """Replace the lock in a forked process: another thread, which does not exist there, may have held it."""
    global lock  # noqa: PLW0603
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Declared:
    """A function that compiled code can call; ``numba`` is what Numba knows it by, made when it is needed."""

    def __init__(self, make: Callable[[], Any], python: Callable[..., Any] | None = None) -> None:
        self._make, self.python = make, python

    @functools.cached_property
    def numba(self) -> Any:
        """The function as Numba takes it."""
        return self._make()


def compiled(python: Callable[..., Any], **options: Any) -> Any:
    """Declare a function that compiled functions call."""
    return Declared(lambda: _njit(python, **options), python)


def summing(python: Callable[..., Any]) -> Any:
    """Declare one whose sums may be taken in another order, for vector instructions."""
    return compiled(python, fastmath=SUMMING)


def inlined(*names: str) -> tuple[Any, ...]:
    """Declare functions of :mod:`chainrule.training.compiled.instructions`, which need Numba to be defined."""

    def declare(name: str) -> Declared:
        return Declared(lambda: getattr(importlib.import_module(f"{PACKAGE}.instructions"), name))

    return tuple(map(declare, names))


class Operation:
    """A function of integers whose machine code is called by its address.

    Parameters
    ----------
    python : function
        Its first parameter is the dtype if that is named ``T``; all others are integers, many of them addresses. It
        returns nothing.
    """

    def __init__(self, python: Callable[..., None], **options: Any) -> None:
        code = python.__code__
        self._python, self._options = python, options
        self._parameters = code.co_varnames[: code.co_argcount]
        self.name = f"{python.__module__.removeprefix(f'{PACKAGE}.')}.{python.__name__}"
        self.size = len(code.co_code)
        self._keys: dict[str, str] = {}  # by the character of the dtype, whose name takes a microsecond
        operations[self.name] = self

    def key(self, dtype: np.dtype[Any]) -> str:
        """Return the name of the machine code for a dtype."""
        if (known := self._keys.get(dtype.char)) is None:
            known = self._keys[dtype.char] = f"{self.name}-{dtype.name}" if self._parameters[0] == "T" else self.name
        return known

    def load(self, dtype: np.dtype[Any]) -> bool:
        """Return whether there is machine code for a dtype, in memory or on disk."""
        key = self.key(dtype)
        with lock:
            if key not in _loaded and (kept := keeping.read(key)):
                _loaded[key] = _load(*kept)
            return key in _loaded

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return the address of the machine code for a dtype, from memory, from disk, or compiled now."""
        key = self.key(dtype)
        with lock:
            if not self.load(dtype):
                _loaded[key] = _load(*keeping.write(key, *self._compile(dtype)))
            return _loaded[key]

    def _compile(self, dtype: np.dtype[Any]) -> tuple[str, bytes]:
        """Return the name of the function in its machine code, and that code."""
        from llvmlite import binding  # noqa: PLC0415  (start-up time: 50 ms)
        from numba import types as numba_types  # noqa: PLC0415  (start-up time: half a second, for first uses only)

        keeping.announce()
        kind = numba_types.NumberClass(getattr(numba_types, dtype.name))
        signature = tuple(kind if name == "T" else numba_types.int64 for name in self._parameters)
        function = _njit(self._python, **self._options)
        function.compile(signature)
        result = function.overloads[signature]
        library, symbol = result.library, result.fndesc.llvm_func_name
        module = library._final_module  # noqa: SLF001  (optimized; there is no public way to it)
        if any(other.name == NEVER and other.is_declaration for other in module.functions):
            module.link_in(binding.parse_assembly(f"define void @{NEVER}(ptr %0) {{ ret void }}"), preserve=True)
        for other in module.functions:
            if other.name != symbol and not other.is_declaration:
                other.linkage = "internal"  # so that no other file has a function of its name
        return symbol, library._codegen._tm.emit_object(module)  # noqa: SLF001


operation = Operation


def function(operation: Operation, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """Return an operation as a function that Python calls with integers, without the interpreter's lock."""
    parameters = operation._parameters  # noqa: SLF001
    call = CFUNCTYPE(c_int, c_void_p, c_void_p, *[c_int64] * len(parameters))(operation.address(dtype))
    room = create_string_buffer(64)  # for the result and the error of Numba's functions: ours have none
    given = (room, room, 0) if parameters[0] == "T" else (room, room)
    return functools.partial(call, *given)


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Return the address of an array's data, which stays there as long as somebody keeps the array."""
    return int(array.__array_interface__["data"][0])


def _njit(python: Callable[..., Any], **options: Any) -> Any:
    """Compile with Numba, when it is called, a function whose global names may be of declared ones."""
    from numba import njit  # noqa: PLC0415  (start-up time, as above)

    known = python.__globals__
    ready = {n: known[n].numba for n in python.__code__.co_names if isinstance(known.get(n), Declared)}
    cells = tuple(types.CellType(_ready(cell.cell_contents)) for cell in python.__closure__ or ())
    code = types.FunctionType(python.__code__, {**known, **ready}, python.__name__, python.__defaults__, cells)
    code.__qualname__, code.__module__ = python.__qualname__, python.__module__
    return njit(**OPTIONS | options)(code)


def _ready(value: Any) -> Any:
    return value.numba if isinstance(value, Declared) else value


@functools.cache
def _engine() -> Any:
    from llvmlite import binding  # noqa: PLC0415  (start-up time: 50 ms)

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


def _load(symbol: str, code: bytes) -> int:
    from llvmlite import binding  # noqa: PLC0415  (as above)

    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))
