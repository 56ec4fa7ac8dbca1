"""Products of matrices, small and medium, and of windows of images, by tiles whose sums stay in registers."""

from __future__ import annotations

from chainrule.training.compiled.compiling import compiled, inlined, operation

DEPTH = 256  # rows of B at a time: so many, two vectors wide, stay in the first cache
FAR = 1024  # numbers from one row of B to the next, from which on it is copied together first

address, lanes, vector = inlined("address", "lanes", "vector")
tile_8x2, tile_4x2, tile_1x2 = inlined("tile_8x2", "tile_4x2", "tile_1x2")
edge_8x2, edge_4x2, edge_1x2 = inlined("edge_8x2", "edge_4x2", "edge_1x2")
edge_8x1, edge_4x1, edge_1x1 = inlined("edge_8x1", "edge_4x1", "edge_1x1")
windows_8x2, windows_4x2, windows_1x2 = inlined("windows_8x2", "windows_4x2", "windows_1x2")
windows_8x1, windows_4x1, windows_1x1 = inlined("windows_8x1", "windows_4x1", "windows_1x1")


@operation
def product(T, a, am, ak, b, bk, bf, c, cm, rows, width, depth, start, packed):
    """Put C[m, f] = start + Σₖ A[m, k] B[k, f] into C.

    A[m, k] is at a + m am + k ak, B[k, f] at b + k bk + f bf, C[m, f] at c + m cm + f, counted in numbers; rows of A
    may overlap. ``start`` is 0, 1 for C as it is, or the address of a row of numbers. ``packed`` is room for DEPTH rows
    of two vectors. The loops: a strip of B two vectors wide, DEPTH rows of it, then the rows of A, eight at a time.
    """
    wide = 2 * lanes(T)
    for k in range(0, max(depth, 1), DEPTH):
        deep = min(DEPTH, depth - k)
        for f in range(0, width, wide):
            strip = min(wide, width - f)
            panel, step = address(T, b, k * bk + f * bf), bk
            if bf != 1 or (bk >= FAR and rows >= 16):
                _pack(T, panel, bk, bf, packed, deep, strip, wide)
                panel, step = packed, wide
            begin = 1 if k else (address(T, start, f) if start > 1 else start)
            _strip(T, address(T, a, k * ak), am, ak, panel, step, address(T, c, f), cm, rows, strip, deep, begin)


@compiled
def _strip(T, a, am, ak, b, bk, c, cm, rows, width, depth, start):
    full, half = width == 2 * lanes(T), width <= lanes(T)
    for m in range(0, rows, 8):
        count = min(8, rows - m)
        top, out = address(T, a, m * am), address(T, c, m * cm)
        if count > 4:
            if full:
                tile_8x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
            elif half:
                edge_8x1(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
            else:
                edge_8x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
        elif count > 1:
            if full:
                tile_4x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
            elif half:
                edge_4x1(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
            else:
                edge_4x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
        elif full:
            tile_1x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
        elif half:
            edge_1x1(T, count, width, depth, top, am, ak, b, bk, out, cm, start)
        else:
            edge_1x2(T, count, width, depth, top, am, ak, b, bk, out, cm, start)


@compiled
def _pack(T, b, bk, bf, packed, depth, width, wide):
    """Copy a strip of B together, row by row."""
    for f in range(width):
        column, out = vector(T, address(T, b, f * bf), 0, depth * bk), vector(T, address(T, packed, f), 0, depth * wide)
        for k in range(depth):
            out[k * wide] = column[k * bk]


@operation
def windows_product(T, a, am, ak, b, bk, c, cm, rows, width, depth, start):
    """Put C[m, f] = start + Σₖ A[m, k] B[k, f] into C: A[m, k] is at a + am[m] + ak[k], and C[m, f] at c + cm[m] + f.

    The windows of an image are the rows of a matrix that is nowhere in memory. ``am``, ``ak`` and ``cm`` are addresses
    of tables: where each window begins, where each of its numbers is from there, and where each row of C begins.
    """
    wide = 2 * lanes(T)
    for k in range(0, depth, DEPTH):
        deep, offsets = min(DEPTH, depth - k), ak + 8 * k
        for f in range(0, width, wide):
            strip, panel, out = min(wide, width - f), address(T, b, k * bk + f), address(T, c, f)
            begin = 1 if k else (address(T, start, f) if start > 1 else start)
            half = strip <= lanes(T)
            for m in range(0, rows, 8):
                count, here, there = min(8, rows - m), am + 8 * m, cm + 8 * m
                if count > 4:
                    if half:
                        windows_8x1(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
                    else:
                        windows_8x2(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
                elif count > 1:
                    if half:
                        windows_4x1(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
                    else:
                        windows_4x2(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
                elif half:
                    windows_1x1(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
                else:
                    windows_1x2(T, count, strip, deep, a, here, offsets, panel, bk, out, there, begin)
