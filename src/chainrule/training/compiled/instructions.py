"""LLVM instructions for what Python cannot express; imported only when something is compiled.

Memory by its address, calls by address, numbers that threads change together, BLAS, and the tile of a matrix product.
"""

from __future__ import annotations

import sys
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
            number = context.cast(builder, arguments[2], signature.args[2], dtype)
            builder.store(number, _pointer(context, builder, arguments[0], dtype, at))
            return context.get_dummy_value()

        return types.void(address, index, value), codegen

    return intrinsic(write)


integer, number = _reading(types.int64), _reading(types.float64)
set_integer, set_number = _writing(types.int64), _writing(types.float64)


def _view(dtype: Any, base: Any, shape: tuple[Any, ...]) -> Any:
    """Return signature and code of a view; ``base`` gives the pointer, from the first two arguments."""
    result = types.Array(dtype, len(shape), "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, *sizes = (
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(arguments[-1 - len(shape) :], signature.args[-1 - len(shape) :], strict=True)
        )
        view = make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(dtype)))
        strides = [itemsize] if len(shape) == 1 else [builder.mul(sizes[1], itemsize), itemsize]
        data = builder.gep(base(context, builder, signature, arguments), [start])
        populate_array(view, data=data, shape=sizes, strides=strides, itemsize=itemsize, meminfo=None)
        return view._getvalue()  # noqa: SLF001

    return result, codegen


def _at_address(T: Any) -> Any:
    return lambda context, builder, signature, arguments: _pointer(context, builder, arguments[1], T.dtype)


def _in_vector(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return make_array(signature.args[0])(context, builder, arguments[0]).data


@intrinsic
def vector(typing: Any, T: Any, address: Any, start: Any, size: Any) -> Any:
    """Return the numbers from ``start`` on at an address."""
    result, codegen = _view(T.dtype, _at_address(T), (size,))
    return result(T, address, start, size), codegen


@intrinsic
def part(typing: Any, vector: Any, start: Any, size: Any) -> Any:
    """Return vector[start : start + size], without the checks and reference counts of a slice."""
    result, codegen = _view(vector.dtype, _in_vector, (size,))
    return result(vector, start, size), codegen


@intrinsic
def matrix(typing: Any, vector: Any, start: Any, rows: Any, columns: Any) -> Any:
    """Return vector[start : start + rows · columns] as a (rows, columns) array."""
    result, codegen = _view(vector.dtype, _in_vector, (rows, columns))
    return result(vector, start, rows, columns), codegen


@intrinsic
def address(typing: Any, T: Any, start: Any, index: Any) -> Any:
    """Return the address of number ``index`` from ``start`` on."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = context.cast(builder, arguments[2], signature.args[2], types.int64)
        return builder.ptrtoint(_pointer(context, builder, arguments[1], T.dtype, at), I64)

    return types.int64(T, start, index), codegen


# ------------------------------------------------------------ calls


@intrinsic
def call(typing: Any, function: Any, numbers: Any) -> Any:
    """Call machine code by its address, with integers: an operation without a dtype."""
    return types.void(function, numbers), _calling(numbers, typed=False)


@intrinsic
def call_typed(typing: Any, function: Any, numbers: Any) -> Any:
    """Call an operation that has a dtype, which is fixed in its machine code."""
    return types.void(function, numbers), _calling(numbers, typed=True)


def _calling(numbers: Any, *, typed: bool) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = [
            context.cast(builder, builder.extract_value(arguments[1], i), kind, types.int64)
            for i, kind in enumerate(numbers.types)
        ]
        room = builder.bitcast(cgutils.alloca_once(builder, ir.ArrayType(I64, 8)), BYTES)
        kind = ir.FunctionType(I32, [BYTES] * (3 if typed else 2) + [I64] * len(values))
        unused = [room] * (3 if typed else 2)  # Numba's result and error, of which there are none, and the dtype
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [*unused, *values])
        return context.get_dummy_value()

    return codegen


@intrinsic
def gemm(
    typing: Any, T: Any, function: Any, trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any,
    ldb: Any, beta: Any, c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """Put op(A) op(B) + beta C into C by BLAS, in its column-major order, with matrices by their addresses."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        names = ["T", "function", "ta", "tb", "m", "n", "k", "a", "lda", "b", "ldb", "beta", "c", "ldc"]
        values = dict(zip(names, arguments, strict=True))
        kinds = dict(zip(names, signature.args, strict=True))
        real = context.get_value_type(T.dtype)

        def in_memory(value: Any) -> Any:
            slot = cgutils.alloca_once(builder, value.type)
            builder.store(value, slot)
            return builder.bitcast(slot, BYTES)

        def letter(name: str) -> Any:
            flag = context.cast(builder, values[name], kinds[name], types.int64)
            chosen = builder.icmp_signed("!=", flag, ir.Constant(I64, 0))
            return in_memory(
                builder.select(chosen, ir.Constant(ir.IntType(8), ord("T")), ir.Constant(ir.IntType(8), ord("N")))
            )

        def count(name: str) -> Any:
            return in_memory(context.cast(builder, values[name], kinds[name], types.int32))

        def memory(name: str) -> Any:
            return builder.inttoptr(values[name], BYTES)

        parameters = [
            letter("ta"), letter("tb"), count("m"), count("n"), count("k"), in_memory(ir.Constant(real, 1.0)),
            memory("a"), count("lda"), memory("b"), count("ldb"),
            in_memory(context.cast(builder, values["beta"], kinds["beta"], T.dtype)), memory("c"), count("ldc"),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [BYTES] * len(parameters))
        builder.call(builder.inttoptr(values["function"], kind.as_pointer()), parameters)
        return context.get_dummy_value()

    given = (T, function, trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc)
    return types.void(*given), codegen


# ------------------------------------------------------------ threads


def _atomic(operation: str) -> Any:
    """Return a function that changes a number for all threads at once and returns what was there before."""

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


@intrinsic
def lanes(typing: Any, T: Any) -> Any:
    """Return how many numbers a vector has."""
    count = vector_bytes() * 8 // T.dtype.bitwidth

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(I64, count)

    return types.int64(T), codegen


def _tile(rows: int, vectors: int, *, masked: bool, tables: bool = False) -> Any:
    """Return a function that puts a tile of a matrix product into C, with all of its sums in registers.

    C[m, f] = start + Σₖ A[m, k] B[k, f] for m < ``rows``, f < ``vectors`` · lanes; of these only f < ``width`` where
    it is masked. A[m, k] is at a + m am + k ak, B[k, f] at b + k bk + f, C[m, f] at c + m cm + f, counted in numbers.
    Rows from ``count`` on are the last one again. The sums begin with ``start``: 0, 1 for C itself, or the address of a
    row of numbers. With ``tables`` am, ak and cm are addresses of integers, A[m, k] is at a + am[m] + ak[k], and
    C[m, f] at c + cm[m] + f: windows of an image.
    """

    def tile(
        typing: Any, T: Any, count: Any, width: Any, depth: Any, a: Any, am: Any, ak: Any, b: Any, bk: Any, c: Any,
        cm: Any, start: Any,
    ) -> Any:  # fmt: skip
        size = vector_bytes() * 8 // T.dtype.bitwidth
        codegen = _Tile(T.dtype, rows, vectors, size, masked=masked, tables=tables).codegen
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
        places = []
        for m in range(self.rows):
            i = ir.Constant(I64, m)
            places.append(builder.select(builder.icmp_signed("<", i, v["count"]), i, last) if m else i)
        at_c = [self._far(v["cm"], i) for i in places]
        at_a = [builder.gep(a, [self._far(v["am"], i)]) for i in places]
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
        builder.cbranch(builder.icmp_signed("<", following, v["depth"]), loop, done)
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

    def _far(self, step: Any, i: Any) -> Any:
        """Return how far A's row or column i is: i steps, or as the table says."""
        if not self.tables:
            return self.builder.mul(step, i)
        return self.builder.load(self.builder.gep(self.builder.inttoptr(step, I64.as_pointer()), [i]))

    def _start(self, start: Any, c: Any, at_c: list[Any]) -> list[Any]:
        """Return the first sums: 0 where ``start`` is 0, C where it is 1, else the numbers at that address."""
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
        kind = ir.VectorType(I64, self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, width, ir.Constant(I32, 0))
        spread = self.builder.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        )
        numbers = ir.Constant(kind, [n * self.lanes + i for i in range(self.lanes)])
        return self.builder.icmp_signed("<", numbers, spread)

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


tile_8x2, tile_4x2, tile_1x2 = (_tile(rows, 2, masked=False) for rows in (8, 4, 1))
edge_8x2, edge_4x2, edge_1x2 = (_tile(rows, 2, masked=True) for rows in (8, 4, 1))
edge_8x1, edge_4x1, edge_1x1 = (_tile(rows, 1, masked=True) for rows in (8, 4, 1))
windows_8x2, windows_4x2, windows_1x2 = (_tile(rows, 2, masked=True, tables=True) for rows in (8, 4, 1))
windows_8x1, windows_4x1, windows_1x1 = (_tile(rows, 1, masked=True, tables=True) for rows in (8, 4, 1))


# ------------------------------------------------------------ functions whose code depends on the dtype


def power_and_rest(x: Any) -> Any:
    """Return 2ⁿ and p = e^r − 1, so that e^x = 2ⁿ (1 + p); x is kept where 2ⁿ is a normal number."""
    raise NotImplementedError  # what is called is the compiled version for the type of x


@overload(power_and_rest, jit_options={"error_model": "numpy"})
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
