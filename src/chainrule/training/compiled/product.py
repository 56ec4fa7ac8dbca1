"""Products of matrices, small and medium, and of windows of images, by tiles whose sums stay in registers."""

from __future__ import annotations

from chainrule.training.compiled.compiling import compiled, inlined, operation

DEPTH = 256  # rows of B at a time: so many, two vectors wide, stay in the first cache
FAR = 128  # values from one row of B to the next, from which on a strip does not fit into the sets of a cache
MANY = 32  # rows of A for which it is worth copying the strip together

address, height, lanes, tile = inlined("address", "height", "lanes", "tile")
vector, window_tile = inlined("vector", "window_tile")


@operation
def product(T, a, am, ak, b, bk, bf, c, cm, rows, width, depth, start, packed):
    """Put C[m, f] = start + Σₖ A[m, k] B[k, f] into C.

    A[m, k] is at a + m am + k ak, B[k, f] at b + k bk + f bf, C[m, f] at c + m cm + f, counted in values; rows of A
    may overlap. ``start`` is 0, 1 for C as it is, or the address of a row of values. ``packed`` is room for DEPTH rows
    of two vectors. The loops: DEPTH rows of B, a strip of them two vectors wide, then the rows of A, as many at a
    time as a tile has: the strip stays in the first cache, and each value read from it is used for all of them.
    """
    wide = 2 * lanes(T)
    for k in range(0, max(depth, 1), DEPTH):
        deep = min(DEPTH, depth - k)
        for f in range(0, width, wide):
            strip = min(wide, width - f)
            panel, step = address(T, b, k * bk + f * bf), bk
            if bf != 1 or (bk >= FAR and rows >= MANY):
                _pack(T, panel, bk, bf, packed, deep, strip, wide)
                panel, step = packed, wide
            begin = 1 if k else (address(T, start, f) if start > 1 else start)
            _strip(T, address(T, a, k * ak), am, ak, panel, step, address(T, c, f), cm, rows, strip, deep, begin)


@compiled
def _strip(T, a, am, ak, b, bk, c, cm, rows, width, depth, start):
    """Multiply the rows of A with one strip: a function of its own, which leaves more registers for the tiles."""
    for m in range(0, rows, height(T)):
        top, out = address(T, a, m * am), address(T, c, m * cm)
        tile(T, min(height(T), rows - m), width, depth, top, am, ak, b, bk, out, cm, start)


@compiled
def _pack(T, b, bk, bf, packed, depth, width, wide):
    """Copy a strip of B together, row by row."""
    if bf == 1 and width == wide:
        for k in range(depth):
            line = vector(T, address(T, b, k * bk), 0, 2 * lanes(T))
            out = vector(T, address(T, packed, k * wide), 0, 2 * lanes(T))
            for f in range(2 * lanes(T)):  # a constant: whole vectors
                out[f] = line[f]
        return
    for f in range(width):
        column, out = vector(T, address(T, b, f * bf), 0, depth * bk), vector(T, address(T, packed, f), 0, depth * wide)
        for k in range(depth):
            out[k * wide] = column[k * bk]


@operation
def windows_product(T, a, am, ak, b, bk, c, cm, rows, width, depth, start):
    """Put C[m, f] = start + Σₖ A[m, k] B[k, f] into C: A[m, k] is at a + am[m] + ak[k], and C[m, f] at c + cm[m] + f.

    The same loops. The windows of an image are the rows of a matrix that is nowhere in memory. ``am``, ``ak`` and
    ``cm`` are addresses of tables: the offsets of the windows, of the values within a window, and of the rows of C.
    """
    wide = 2 * lanes(T)
    for k in range(0, depth, DEPTH):
        deep, offsets = min(DEPTH, depth - k), ak + 8 * k
        for f in range(0, width, wide):
            strip, panel, out = min(wide, width - f), address(T, b, k * bk + f), address(T, c, f)
            begin = 1 if k else (address(T, start, f) if start > 1 else start)
            for m in range(0, rows, height(T)):
                here, there = am + 8 * m, cm + 8 * m
                window_tile(T, min(height(T), rows - m), strip, deep, a, here, offsets, panel, bk, out, there, begin)
