"""Threads that do one step together: a counter in memory that all of them see, and waiting for it.

Each thread adds 1 to the counter when it has come to a barrier, and goes on when all have. A thread that has waited
long gives up its time slice, so that more threads than cores are slow but never stuck.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

PATIENCE = 10_000  # looks at the counter, about 10 µs, before the time slice is given up


@intrinsic
def _arrive(typing: Any, counter: Any) -> Any:
    """Add 1 to counter[0], for all threads at once."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.atomic_rmw("add", array.data, ir.Constant(ir.IntType(64), 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(counter), codegen


@intrinsic
def _arrived(typing: Any, counter: Any) -> Any:
    """Return counter[0] as it is now; what others wrote before they arrived can be read afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(array.data, "seq_cst", 8)

    return types.int64(counter), codegen


@intrinsic
def _give_way(typing: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


@njit(error_model="numpy", nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def barrier(counter: Any, threads: int, passed: int) -> int:
    """Wait for all threads; return how many barriers this one has passed."""
    if threads > 1:
        _arrive(counter)
        looks = 0
        while _arrived(counter) < threads * (passed + 1):
            looks += 1
            if looks > PATIENCE:
                _give_way()
    return passed + 1
