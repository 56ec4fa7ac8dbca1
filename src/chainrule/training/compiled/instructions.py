"""LLVM instructions for what Python cannot express; imported only when something is compiled.

Memory by its address, calls by address, integers that threads change together, and the tile of a matrix product.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array

from chainrule.training.compiled import functions

I64, I32, BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()


# ------------------------------------------------------------ memory


def _pointer(context: Any, builder: Any, address: Any, dtype: Any, index: Any = None) -> Any:
    pointer = builder.inttoptr(address, context.get_data_type(dtype).as_pointer())
    return pointer if index is None else builder.gep(pointer, [index])


def _reading(dtype: Any) -> Any:
    def read(typing: Any, address: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at = context.cast(builder, arguments[1], signature.args[1], types.int64)
            return builder.load(_pointer(context, builder, arguments[0], dtype, at))

        return dtype(address, index), codegen

    return intrinsic(read)


def _writing(dtype: Any) -> Any:
    def write(typing: Any, address: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at = context.cast(builder, arguments[1], signature.args[1], types.int64)
            converted = context.cast(builder, arguments[2], signature.args[2], dtype)
            builder.store(converted, _pointer(context, builder, arguments[0], dtype, at))
            return context.get_dummy_value()

        return types.void(address, index, value), codegen

    return intrinsic(write)


integer, real = _reading(types.int64), _reading(types.float64)
set_integer, set_real = _writing(types.int64), _writing(types.float64)


def _view(dtype: Any, base: Any) -> Any:
    """Return type and code of a vector; its last two arguments are its start after ``base``, and its size."""
    result = types.Array(dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, size = (
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(arguments[-2:], signature.args[-2:], strict=True)
        )
        view = make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(dtype)))
        data = builder.gep(base(context, builder, signature, arguments), [start])
        populate_array(view, data=data, shape=[size], strides=[itemsize], itemsize=itemsize, meminfo=None)
        return view._getvalue()  # noqa: SLF001

    return result, codegen


@intrinsic
def vector(typing: Any, T: Any, address: Any, start: Any, size: Any) -> Any:
    """Return ``size`` values from value ``start`` after an address."""

    def base(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _pointer(context, builder, arguments[1], T.dtype)

    result, codegen = _view(T.dtype, base)
    return result(T, address, start, size), codegen


@intrinsic
def part(typing: Any, vector: Any, start: Any, size: Any) -> Any:
    """Return vector[start : start + size], without the checks and reference counts of a slice."""

    def base(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return make_array(vector)(context, builder, arguments[0]).data

    result, codegen = _view(vector.dtype, base)
    return result(vector, start, size), codegen


@intrinsic
def address(typing: Any, T: Any, start: Any, index: Any) -> Any:
    """Return the address of value ``index`` from ``start`` on."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = context.cast(builder, arguments[2], signature.args[2], types.int64)
        return builder.ptrtoint(_pointer(context, builder, arguments[1], T.dtype, at), I64)

    return types.int64(T, start, index), codegen


# ------------------------------------------------------------ calls


@intrinsic
def call(typing: Any, function: Any, integers: Any) -> Any:
    """Call an operation that has a dtype, which is fixed in its machine code, by its address."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = [
            context.cast(builder, builder.extract_value(arguments[1], i), kind, types.int64)
            for i, kind in enumerate(integers.types)
        ]
        unused = [builder.bitcast(cgutils.alloca_once(builder, ir.ArrayType(I64, 8)), BYTES)] * 3
        kind = ir.FunctionType(I32, [BYTES] * 3 + [I64] * len(values))  # Numba's result and error, and the dtype
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [*unused, *values])
        return context.get_dummy_value()

    return types.void(function, integers), codegen


# ------------------------------------------------------------ threads


def _atomic(operation: str) -> Any:
    """Return a function that changes an integer for all threads at once and returns what was there before."""

    def change(typing: Any, address: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at, new = (
                context.cast(builder, argument, kind, types.int64)
                for argument, kind in zip(arguments[1:], signature.args[1:], strict=True)
            )
            where = _pointer(context, builder, arguments[0], types.int64, at)
            return builder.atomic_rmw(operation, where, new, "seq_cst")

        return types.int64(address, index, value), codegen

    return intrinsic(change)


add, exchange = _atomic("add"), _atomic("xchg")


@intrinsic
def look(typing: Any, address: Any, index: Any) -> Any:
    """Return the integer as it is now; what others wrote before they changed it can be read afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = context.cast(builder, arguments[1], signature.args[1], types.int64)
        return builder.load_atomic(_pointer(context, builder, arguments[0], types.int64, at), "seq_cst", 8)

    return types.int64(address, index), codegen


@intrinsic
def give_way(typing: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(I32, [])
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


# ------------------------------------------------------------ the tile of a product


def vector_bytes() -> int:
    """Return the size of this processor's vector registers."""
    features = config.CPU_FEATURES if config.CPU_FEATURES is not None else binding.get_host_cpu_features().flatten()
    if config.CPU_NAME == "generic":
        return 16
    return 64 if "+avx512f" in features else 32 if "+avx2" in features else 16


def tile_rows() -> int:
    """Return the rows of the tallest tile, whose sums fill the vector registers: 32 of 512 bits, or 16."""
    return 8 if vector_bytes() == 64 else 6


def _constant(value: Callable[[Any], int]) -> Any:
    """Return a function of the dtype that is a constant in machine code."""

    def constant(typing: Any, T: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return ir.Constant(I64, value(T))

        return types.int64(T), codegen

    return intrinsic(constant)


lanes = _constant(lambda T: vector_bytes() * 8 // T.dtype.bitwidth)  # values of a vector
height = _constant(lambda T: tile_rows())


def _tiles(*, tables: bool) -> Any:
    """Return a function that puts ``count`` rows and ``width`` columns of a matrix product into C: one tile.

    C[m, f] = start + Σₖ A[m, k] B[k, f] for m < count <= ``tile_rows()``, f < width <= two vectors. A[m, k] is at
    a + m am + k ak, B[k, f] at b + k bk + f, C[m, f] at c + m cm + f, counted in values. The sums begin with ``start``:
    0, 1 for C itself, or the address of a row. With ``tables`` am, ak and cm are addresses of integers, A[m, k] is at
    a + am[m] + ak[k], and C[m, f] at c + cm[m] + f: windows of an image.

    The smallest tile of 8 or 6, 4 or 1 rows and 2 or 1 vectors that holds them is chosen here.
    """

    def tile(
        typing: Any, T: Any, count: Any, width: Any, depth: Any, a: Any, am: Any, ak: Any, b: Any, bk: Any, c: Any,
        cm: Any, start: Any,
    ) -> Any:  # fmt: skip
        size = vector_bytes() * 8 // T.dtype.bitwidth

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            count, width = (
                context.cast(builder, value, kind, types.int64)
                for value, kind in zip(arguments[1:3], signature.args[1:3], strict=True)
            )
            full = builder.icmp_signed("==", width, ir.Constant(I64, 2 * size))
            half = builder.icmp_signed("<=", width, ir.Constant(I64, size))
            always = ir.Constant(ir.IntType(1), 1)
            widths = [(half, 1, True), (always, 2, True)]  # whether it fits, vectors, masked
            done = builder.append_basic_block("done")
            for rows, below in ((tile_rows(), 4), (4, 1), (1, 0)):
                tall, lower = builder.append_basic_block("tall"), builder.append_basic_block("lower")
                builder.cbranch(builder.icmp_signed(">", count, ir.Constant(I64, below)), tall, lower)
                builder.position_at_end(tall)
                for fits, vectors, masked in widths if tables else [(full, 2, False), *widths]:
                    here, other = builder.append_basic_block("tile"), builder.append_basic_block("other")
                    builder.cbranch(fits, here, other)
                    builder.position_at_end(here)
                    chosen = _Tile(T.dtype, rows, vectors, size, masked=masked, tables=tables)
                    chosen.codegen(context, builder, signature, arguments)
                    builder.branch(done)
                    builder.position_at_end(other)
                builder.unreachable()
                builder.position_at_end(lower)
            builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(T, count, width, depth, a, am, ak, b, bk, c, cm, start), codegen

    return intrinsic(tile)


class _Tile:
    def __init__(self, dtype: Any, rows: int, vectors: int, lanes: int, *, masked: bool, tables: bool) -> None:
        self.dtype, self.rows, self.vectors, self.lanes = dtype, rows, vectors, lanes
        self.masked, self.tables = masked, tables

    def codegen(self, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        self.builder = builder
        self.real = context.get_data_type(self.dtype)
        self.kind = ir.VectorType(self.real, self.lanes)
        self.align = self.dtype.bitwidth // 8
        names = ("T", "count", "width", "depth", "a", "am", "ak", "b", "bk", "c", "cm", "start")
        v = {
            name: value if name == "T" else context.cast(builder, value, kind, types.int64)
            for name, value, kind in zip(names, arguments, signature.args, strict=True)
        }
        a, b, c = (builder.inttoptr(v[name], self.real.as_pointer()) for name in "abc")
        self.masks = [self._mask(v["width"], n) for n in range(self.vectors)]
        last = builder.sub(v["count"], ir.Constant(I64, 1))
        indices = []
        for m in range(self.rows):
            i = ir.Constant(I64, m)
            indices.append(builder.select(builder.icmp_signed("<", i, v["count"]), i, last) if m else i)
        at_c = [self._far(v["cm"], i) for i in indices]
        at_a = [builder.gep(a, [self._far(v["am"], i)]) for i in indices]
        sums = self._start(v["start"], c, at_c)
        before = builder.block
        loop, done = builder.append_basic_block("depth"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", v["depth"], ir.Constant(I64, 0)), loop, done)
        builder.position_at_end(loop)
        k = builder.phi(I64)
        k.add_incoming(ir.Constant(I64, 0), before)
        held = [builder.phi(self.kind) for _ in sums]
        for phi, value in zip(held, sums, strict=True):
            phi.add_incoming(value, before)
        row = builder.gep(b, [builder.mul(k, v["bk"])])
        bs = [self._load(row, n) for n in range(self.vectors)]
        step = self._far(v["ak"], k)
        fma = self._declared(f"llvm.fma.{self._suffix()}", self.kind, [self.kind] * 3)
        new = []
        for m in range(self.rows):
            spread = self._spread(builder.load(builder.gep(at_a[m], [step])))
            new += [builder.call(fma, [spread, bs[n], held[m * self.vectors + n]]) for n in range(self.vectors)]
        following = builder.add(k, ir.Constant(I64, 1))
        k.add_incoming(following, builder.block)
        for phi, value in zip(held, new, strict=True):
            phi.add_incoming(value, builder.block)
        again = builder.cbranch(builder.icmp_signed("<", following, v["depth"]), loop, done)
        if self.rows == tile_rows() == 6:
            again.set_metadata("llvm.loop", self._as_it_is())
        builder.position_at_end(done)
        for m in range(self.rows):
            for n in range(self.vectors):
                i = m * self.vectors + n
                result = builder.phi(self.kind)
                result.add_incoming(sums[i], before)
                result.add_incoming(new[i], loop)
                new[i] = result
        for m in range(self.rows):
            for n in range(self.vectors):
                self._store(new[m * self.vectors + n], builder.gep(c, [at_c[m]]), n)
        return context.get_dummy_value()

    def _as_it_is(self) -> Any:
        """Return metadata that keep LLVM from unrolling a loop, which would need more than 16 registers."""
        module = self.builder.module
        off = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
        loop = module.add_metadata([off])
        loop.operands = (loop, off)  # the first is the loop itself
        return loop

    def _far(self, step: Any, i: Any) -> Any:
        """Return how far A's row or column i is: i steps, or as the table says."""
        if not self.tables:
            return self.builder.mul(step, i)
        return self.builder.load(self.builder.gep(self.builder.inttoptr(step, I64.as_pointer()), [i]))

    def _start(self, start: Any, c: Any, at_c: list[Any]) -> list[Any]:
        """Return the first sums: 0 where ``start`` is 0, C where it is 1, else the values at that address."""
        builder = self.builder
        own, given, ready = (builder.append_basic_block(name) for name in ("own", "given", "ready"))
        nothing = ir.Constant(self.kind, [0.0] * self.lanes)
        first = builder.block
        choice = builder.switch(start, given)
        choice.add_case(ir.Constant(I64, 0), ready)
        choice.add_case(ir.Constant(I64, 1), own)
        builder.position_at_end(own)
        owns = [self._load(builder.gep(c, [at]), n) for at in at_c for n in range(self.vectors)]
        builder.branch(ready)
        builder.position_at_end(given)
        line = builder.inttoptr(start, self.real.as_pointer())
        row = [self._load(line, n) for n in range(self.vectors)]
        builder.branch(ready)
        builder.position_at_end(ready)
        sums = []
        for i, value in enumerate(owns):
            phi = builder.phi(self.kind)
            phi.add_incoming(nothing, first)
            phi.add_incoming(value, own)
            phi.add_incoming(row[i % self.vectors], given)
            sums.append(phi)
        return sums

    def _spread(self, scalar: Any) -> Any:
        nothing = ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(nothing, scalar, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def _mask(self, width: Any, n: int) -> Any:
        if not self.masked:
            return None
        integer = ir.IntType(self.dtype.bitwidth)  # as wide as the values, like mask registers
        kind = ir.VectorType(integer, self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        width = self.builder.trunc(width, integer) if self.dtype.bitwidth < 64 else width
        one = self.builder.insert_element(nothing, width, ir.Constant(I32, 0))
        spread = self.builder.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        )
        columns = ir.Constant(kind, [n * self.lanes + i for i in range(self.lanes)])
        return self.builder.icmp_signed("<", columns, spread)

    def _place(self, start: Any, n: int) -> Any:
        where = self.builder.gep(start, [ir.Constant(I64, n * self.lanes)])
        return self.builder.bitcast(where, self.kind.as_pointer())

    def _load(self, start: Any, n: int) -> Any:
        where = self._place(start, n)
        if not self.masked:
            value = self.builder.load(where)
            value.align = self.align
            return value
        return self.builder.call(
            self._masked("load", self.kind),
            [where, ir.Constant(I32, self.align), self.masks[n], ir.Constant(self.kind, [0.0] * self.lanes)],
        )

    def _store(self, value: Any, start: Any, n: int) -> None:
        where = self._place(start, n)
        if self.masked:
            arguments = [value, where, ir.Constant(I32, self.align), self.masks[n]]
            self.builder.call(self._masked("store", ir.VoidType()), arguments)
        else:
            self.builder.store(value, where).align = self.align

    def _masked(self, verb: str, result: Any) -> Any:
        mask, pointer = ir.VectorType(ir.IntType(1), self.lanes), self.kind.as_pointer()
        parameters = [pointer, I32, mask, self.kind] if verb == "load" else [self.kind, pointer, I32, mask]
        return self._declared(f"llvm.masked.{verb}.{self._suffix()}.p0", result, parameters)

    def _suffix(self) -> str:
        return f"v{self.lanes}f{self.dtype.bitwidth}"

    def _declared(self, name: str, result: Any, parameters: list[Any]) -> Any:
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, parameters), name)


tile, window_tile = _tiles(tables=False), _tiles(tables=True)


# ------------------------------------------------------------ functions whose code depends on the dtype


def power_and_rest(x: Any) -> Any:
    """Return 2ⁿ and p = e^r − 1, so that e^x = 2ⁿ (1 + p); x is kept where 2ⁿ is a normal number."""
    raise NotImplementedError  # what is called is the compiled version for the type of x


@overload(power_and_rest, jit_options={"error_model": "numpy", "fastmath": {"contract"}})
def _(x: Any) -> Any:
    return functions.power_and_rest_32 if x == types.float32 else functions.power_and_rest_64


def erfc_coefficients(x: Any) -> Any:
    """Return the polynomial of chainrule._internal.special for the type of x, highest power first."""
    raise NotImplementedError  # as above


@overload(erfc_coefficients)
def _(x: Any) -> Any:
    def float32(x: Any) -> Any:
        return functions.ERFC32

    def float64(x: Any) -> Any:
        return functions.ERFC64

    return float32 if x == types.float32 else float64
