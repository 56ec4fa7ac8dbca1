"""Matrix products by BLAS itself, on parts of vectors, without the checks and copies around ``np.dot``.

The function is SciPy's: its address is an argument of compiled code, because code that is kept on disk may not have
addresses in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from chainrule.training.compiled.compiling import compiled


def gemm_address(dtype: np.dtype[Any]) -> int:
    """Return where BLAS's general matrix product for this dtype is."""
    name = "sgemm" if dtype.itemsize == 4 else "dgemm"
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


@intrinsic
def _gemm(
    typing: Any, address: Any, trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any, a: Any, at_a: Any, lda: Any, b: Any,
    at_b: Any, ldb: Any, beta: Any, c: Any, at_c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """Put op(A) op(B) + beta C into C, in the column-major order of BLAS, with A from a[at_a] on, and so on."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        real = context.get_value_type(c.dtype)
        names = ["f", "ta", "tb", "m", "n", "k", "a", "ia", "lda", "b", "ib", "ldb", "beta", "c", "ic", "ldc"]
        values = dict(zip(names, arguments, strict=True))
        kinds = dict(zip(values, signature.args, strict=True))

        def integer(name: str, kind: Any) -> Any:
            return context.cast(builder, values[name], kinds[name], kind)

        def in_memory(value: Any) -> Any:
            slot = cgutils.alloca_once(builder, value.type)
            builder.store(value, slot)
            return builder.bitcast(slot, cgutils.voidptr_t)

        def letter(name: str) -> Any:
            flag = integer(name, types.int64)
            chosen = builder.icmp_signed("!=", flag, ir.Constant(flag.type, 0))
            return in_memory(
                builder.select(chosen, ir.Constant(ir.IntType(8), ord("T")), ir.Constant(ir.IntType(8), ord("N")))
            )

        def number(name: str) -> Any:
            return in_memory(integer(name, types.int32))

        def matrix(name: str) -> Any:
            data = context.make_array(kinds[name])(context, builder, values[name]).data
            return builder.bitcast(builder.gep(data, [integer("i" + name, types.intp)]), cgutils.voidptr_t)

        parameters = [
            letter("ta"), letter("tb"), number("m"), number("n"), number("k"), in_memory(ir.Constant(real, 1.0)),
            matrix("a"), number("lda"), matrix("b"), number("ldb"), in_memory(integer("beta", c.dtype)), matrix("c"),
            number("ldc"),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(parameters))
        builder.call(builder.inttoptr(values["f"], kind.as_pointer()), parameters)
        return context.get_dummy_value()

    given = (address, trans_a, trans_b, m, n, k, a, at_a, lda, b, at_b, ldb, beta, c, at_c, ldc)
    return types.void(*given), codegen


# BLAS counts columns first: our (rows, columns) are its (columns, rows), so that y = x W is yᵀ = Wᵀ xᵀ there.


@compiled
def add_product(
    gemm: int, x: Any, at_x: int, w: Any, at_w: int, y: Any, at_y: int, n: int, inputs: int, outputs: int, beta: float
) -> None:
    """Y ← x W + beta y, for x (n, inputs) and W (inputs, outputs)."""
    _gemm(gemm, 0, 0, outputs, n, inputs, w, at_w, outputs, x, at_x, inputs, beta, y, at_y, outputs)


@compiled
def product_dx(
    gemm: int, dy: Any, at_dy: int, w: Any, at_w: int, dx: Any, at_dx: int, n: int, inputs: int, outputs: int
) -> None:
    """Dx ← dy Wᵀ."""
    _gemm(gemm, 1, 0, inputs, n, outputs, w, at_w, outputs, dy, at_dy, outputs, 0.0, dx, at_dx, inputs)


@compiled
def product_dw(
    gemm: int, x: Any, at_x: int, dy: Any, at_dy: int, dw: Any, at_dw: int, n: int, inputs: int, outputs: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Put xᵀ dy into dW, the rows of it from ``first`` to ``last``."""
    at_dw += first * outputs
    _gemm(gemm, 0, 1, outputs, last - first, n, dy, at_dy, outputs, x, at_x + first, inputs, 0.0, dw, at_dw, outputs)
