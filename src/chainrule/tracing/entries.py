"""The arithmetic of single entries: a checked gradient entry and an entry of y that it affects, with numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule import layers
from chainrule._internal.typing import Array
from chainrule.layers import Layer
from chainrule.layers.windows import Windows
from chainrule.pages.blocks import Matrix
from chainrule.pages.formatting import factor, number
from chainrule.pages.formula import filled, sides
from chainrule.tracing.equations import Equations, lines
from chainrule.tracing.operations import Index

DIGITS = 4  # significant digits of a number in a formula
DOUBLED = re.compile(r"(?<=\()\((−[^()]*)\)(?=[,)])")  # double parentheses, as in tanh((−1)) and max((−1), 0)
TERMS = 3  # terms shown of a sum with more than one term beyond them
LISTED = 9  # numbers shown of a list


def at(name: str, index: Sequence[int]) -> str:
    """Return the name of an entry.

    >>> at("W", (3, 2))
    'W[3, 2]'
    """
    return f"{name}{list(index)}"


def line(name: str, index: Index, right: str, result: Any, sign: str = "=") -> list[str]:
    """Return an entry with its arithmetic as a list of one line, empty if ``right`` is.

    >>> line("y", (0, 1), "tanh((−1))", -0.76159)
    ['y[0, 1] = tanh(−1) = −0.7616']
    """
    right = DOUBLED.sub(r"\1", right)
    return [f"{at(name, index)} {sign} {right} = {number(result, DIGITS)}"] if right else []


def total(products: Sequence[tuple[Any, ...]], extra: Sequence[Any] = ()) -> str:
    """Return a sum of products as text; a long one is shortened to its first nonzero terms and the number of others.

    >>> total([(1.0, 2.0), (0.5, -3.0)], extra=[0.25])
    '1 · 2 + 0.5 · (−3) + 0.25'
    """
    terms = [" · ".join(map(factor, product)) for product in products if np.all(product)]
    if len(terms) > TERMS + 1:
        terms = [*terms[:TERMS], f"… ({len(terms) - TERMS} more terms)"]
    return " + ".join([*(terms or ["0"]), *map(factor, extra)])


def pairs(*factors: Array) -> str:
    """Return the sum over entries of the elementwise product of arrays, as text."""
    return total(list(zip(*(f.ravel().tolist() for f in factors), strict=True)))


class Seen(NamedTuple):
    """The inputs and outputs of a layer, and the arrays that its equations name, by symbol."""

    layer: Any
    arrays: Mapping[str, Array]
    """x, y, dy, dx, the parameters, their gradients, and arrays from the memo."""
    entries: Mapping[str, Index]
    """The checked entry of each gradient."""
    equations: Equations


class Worked(NamedTuple):
    """The entries to mark, and lines of arithmetic."""

    y: Index | None = None
    x: Index | None = None
    forward: Sequence[str] = ()
    backward: Sequence[str] = ()
    more: Sequence[Matrix] = ()
    """Arrays to show in the forward pass in addition to those in the equations."""


def work(seen: Seen) -> Worked:
    """Return the worked entries of a layer."""
    return WORK.get(type(seen.layer), _same_place)(seen)


def _same_place(seen: Seen) -> Worked:
    """Work out a layer that acts entry by entry, from its equations; a factor per feature is allowed."""
    arrays, (x, y, dy) = seen.arrays, (seen.arrays[name] for name in ("x", "y", "dy"))
    if x.shape != y.shape:
        return Worked()
    index = seen.entries.get("dx")
    if index is None:
        features = next((place for place in seen.entries.values() if len(place) == 1), None)
        if features is None:
            return Worked()
        effect = np.abs(dy[..., features[0]] * x[..., features[0]])
        index = (*map(int, np.unravel_index(int(np.argmax(effect)), effect.shape)), *features)
    numbers = {name: v for name, values in arrays.items() if (v := _value(values, y.shape, index)) is not None}
    forward, backward = [], []
    for name, right in map(sides, lines(seen.equations.forward)):
        if right not in numbers and name in numbers and arrays[name].shape == y.shape:
            forward += line(name, index, filled(right, numbers, factor), numbers[name])
    for name, right in map(sides, lines(seen.equations.backward)):
        factors = right.removeprefix("Σ ").split()
        if right not in numbers and name == "dx":
            backward += line("dx", index, filled(right, numbers, factor), numbers["dx"])
        elif right.startswith("Σ ") and name in seen.entries and arrays.keys() >= set(factors):
            j = seen.entries[name][-1]
            backward += line(name, (j,), pairs(*(arrays[f][..., j] for f in factors)), arrays[name][j])
    return Worked(index, index, forward, backward)


def _value(values: Array, shape: tuple[int, ...], index: Index) -> Any:
    """Return the value that belongs to an entry of y: its own, or that of its feature, its row, or the whole array."""
    if values.shape == shape:
        return values[index]
    if values.shape == (shape[0], shape[-1]):  # one value per channel of each image
        return values[index[0], index[-1]]
    if values.ndim <= len(shape) and all(n in (1, m) for n, m in zip(values.shape[::-1], shape[::-1], strict=False)):
        return np.broadcast_to(values, shape)[index]
    return None


def _dense(seen: Seen) -> Worked:
    x, y, dy, W, dW = (seen.arrays[name] for name in ("x", "y", "dy", "W", "dW"))
    i, j = seen.entries["dW"]
    row = int(np.argmax(np.abs(x[:, i] * dy[:, j])))
    b = seen.arrays.get("b")
    forward = _linear(x[row], W[:, j], None if b is None else b[j], y, (row, j))
    backward = line("dW", (i, j), pairs(x[:, i], dy[:, j]), dW[i, j])
    if place := seen.entries.get("dx"):
        backward += line("dx", place, pairs(dy[place[0]], W[place[1]]), seen.arrays["dx"][place])
    return Worked((row, j), (row, i), forward, backward)


def _linear(x: Array, w: Array, b: Any, y: Array, index: Index) -> list[str]:
    """Return the arithmetic of an entry of y = Σ x w + b."""
    return line("y", index, total(list(zip(x.tolist(), w.tolist(), strict=True)), [] if b is None else [b]), y[index])


def _pixels(windows: Windows) -> Array:
    """Return the pixel index of every position of every window, with −1 for padding."""
    height, width = windows.image[:2]
    numbers = np.arange(height * width, dtype=float).reshape(1, height, width, 1)
    return windows.view(windows.pad(numbers, -1.0))[0, ..., 0].astype(int)  # (rows, columns, height, width)


def _convolution(seen: Seen) -> Worked:
    """Work out the window that contributes most to dW[i, j, k, f]."""
    x, y, dy, W, dW = (seen.arrays[name] for name in ("x", "y", "dy", "W", "dW"))
    i, j, k, f = seen.entries["dW"]
    windows: Windows = seen.layer._windows  # noqa: SLF001
    channels = W.shape[2]
    first = f // (W.shape[3] // seen.layer.groups) * channels  # of the filter's group
    c = windows.view(windows.pad(x))[..., first : first + channels]
    effect = np.abs(c[:, :, :, i, j, k] * dy[..., f])
    n, r, q = map(int, np.unravel_index(int(np.argmax(effect)), effect.shape))
    index, window, b = (n, r, q, f), c[n, r, q], seen.arrays.get("b")
    forward = _linear(window.ravel(), W[..., f].ravel(), None if b is None else b[f], y, index)
    backward = line("dW", (i, j, k, f), pairs(c[:, :, :, i, j, k], dy[..., f]), dW[i, j, k, f])
    pixel = int(_pixels(windows)[r, q, i, j])
    marked = None if pixel < 0 else (n, *divmod(pixel, windows.image[1]), first + k)
    shown = Matrix(f"c of y{list(index)}", window.copy(), "", (i, j, k), batch=False)
    return Worked(index, marked, forward, backward, [shown])


def _pool(seen: Seen) -> Worked:
    """Work out the first window that contains the checked pixel, or has its maximum there."""
    x, y, dy, dx = (seen.arrays[name] for name in ("x", "y", "dy", "dx"))
    largest = isinstance(seen.layer, layers.MaxPool2D)
    windows: Windows = seen.layer._windows  # noqa: SLF001
    n, h, w, k = index = seen.entries["dx"]
    pixels, pixel, image = _pixels(windows), h * windows.image[1] + w, x[n, ..., k].ravel()
    found = []
    for r, q in np.unique(np.argwhere(pixels == pixel)[:, :2], axis=0).tolist():
        inside = pixels[r, q][pixels[r, q] >= 0]
        if not largest or inside[int(np.argmax(image[inside]))] == pixel:
            found.append(((n, r, q, k), image[inside]))
    if not found:
        return Worked(None, index)
    first, values = found[0]
    if largest:
        more = f", … ({len(values) - LISTED + 1} more)" if len(values) > LISTED else ""
        listed = ", ".join(number(v, DIGITS) for v in values[: LISTED - bool(more)])
        forward = line("y", first, f"max({listed}{more})", y[first])
        terms = [factor(dy[window]) for window, _ in found]
    else:
        forward = line("y", first, f"({pairs(values)}) / {len(values)}", y[first])
        terms = [f"{factor(dy[window])} / {len(inside)}" for window, inside in found]
    if terms == [factor(dx[index])]:
        terms = [at("dy", first)]
    return Worked(first, index, forward, line("dx", index, " + ".join(terms), dx[index]))


def _global_pool(seen: Seen) -> Worked:
    x, y, dy, dx = (seen.arrays[name] for name in ("x", "y", "dy", "dx"))
    index = seen.entries["dx"]
    n, k = place = (index[0], index[-1])
    values = x[n, :, :, k]
    forward = line("y", place, f"({pairs(values)}) / {values.size}", y[place])
    return Worked(place, index, forward, line("dx", index, f"{factor(dy[place])} / {values.size}", dx[index]))


def _reshape(seen: Seen) -> Worked:
    x, y, dx = (seen.arrays[name] for name in ("x", "y", "dx"))
    index = seen.entries["dx"]
    place = tuple(map(int, np.unravel_index(np.ravel_multi_index(index, x.shape), y.shape)))
    forward = line("y", place, at("x", index), y[place])
    return Worked(place, index, forward, line("dx", index, at("dy", place), dx[index]))


def _embedding(seen: Seen) -> Worked:
    """Work out W[k, j]: y for the first row of x with category k, and dW from all of them."""
    y, dy, dW, rows = (seen.arrays[name] for name in ("y", "dy", "dW", "k"))
    k, j = seen.entries["dW"]
    size = dW.shape[1]
    first = y.shape[1] - rows.shape[1] * size
    there = [(int(n), first + int(column) * size + j) for n, column in np.argwhere(rows == k)]
    if not there:
        return Worked()
    place = there[0]
    column = int(seen.layer._chosen[(place[1] - first) // size])  # noqa: SLF001
    forward = line("y", place, at("W", (k, j)), y[place])
    backward = line("dW", (k, j), total([(dy[where],) for where in there]), dW[k, j])
    return Worked(place, (place[0], column), forward, backward)


WORK: dict[type[Layer], Callable[[Seen], Worked]] = {
    layers.AveragePool2D: _pool,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.Embedding: _embedding,
    layers.Flatten: _reshape,
    layers.GlobalAveragePool2D: _global_pool,
    layers.MaxPool2D: _pool,
    layers.Reshape: _reshape,
}
