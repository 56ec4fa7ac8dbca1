"""Parts of a vector seen as vectors and matrices, without the checks, copies and reference counts of slices."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array


def _view(vector: Any, numbers: tuple[Any, ...]) -> Any:
    """Return signature and code of a view: where it starts, then its shape."""
    ndim = len(numbers) - 1
    result = types.Array(vector.dtype, ndim, "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = make_array(signature.args[0])(context, builder, arguments[0])
        view = make_array(result)(context, builder)
        start, *shape = (
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(arguments[1:], signature.args[1:], strict=True)
        )
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(vector.dtype)))
        strides = [itemsize] if ndim == 1 else [builder.mul(shape[1], itemsize), itemsize]
        populate_array(
            view, data=builder.gep(source.data, [start]), shape=shape, strides=strides, itemsize=itemsize, meminfo=None
        )
        return view._getvalue()  # noqa: SLF001

    return result(vector, *numbers), codegen


@intrinsic
def part(typing: Any, vector: Any, start: Any, size: Any) -> Any:
    """Return vector[start : start + size]."""
    return _view(vector, (start, size))


@intrinsic
def matrix(typing: Any, vector: Any, start: Any, rows: Any, columns: Any) -> Any:
    """Return vector[start : start + rows · columns] as a (rows, columns) array."""
    return _view(vector, (start, rows, columns))
