"""The functions of an exported NumPy script, which has those that its model needs.

Arrays have a row for each row that is predicted: (rows, values). Images are flat rows, too.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def array(text: str, dtype: str, *shape: int) -> Array:
    """Return an array from its bytes in base64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def join(*parts: Array) -> Array:
    """Return inputs side by side."""
    return np.hstack(parts)


def read(row: dict[str, Any], column: dict[str, Any]) -> Any:
    """Return the value of a column as a number (NaN for missing), or as a text."""
    name, kind, values = column["name"], column["kind"], column["values"]
    if name not in row and not column["optional"]:
        raise ValueError(f"{name} is missing: give None where a value is unknown.")
    value = row.get(name)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text = "" if value is None else str(value).strip()
    empty = (str(value) if column["read_as"] == "text" and kind != "number" else text) == "" and "" not in values
    none = value is None or value != value or empty or text in column["holes"]  # noqa: PLR0124  (NaN)
    if kind == "number":
        return math.nan if none else number(value, name)
    if kind == "date":
        return math.nan if none else seconds(value, column)
    if none:
        return math.nan if kind == "yes/no" else column["missing"]
    known = label(value, text, column)
    if kind == "yes/no":
        return float(values.index(known)) if known in values else math.nan
    return known


def label(value: Any, text: str, column: dict[str, Any]) -> str:
    """Return a category as in training: 1, 1.0 and "1" are one."""
    name, read_as = column["name"], column["read_as"]
    if read_as == "text":
        return text.lower() if isinstance(value, bool) else str(value)
    if read_as == "boolean":
        found = {"true": "true", "1": "true", "false": "false", "0": "false"}.get(text.lower())
        if found is None:
            raise ValueError(f"{name} is true or false, but got {text!r}.")
        return found
    exact = number(value, name)
    if read_as == "number":
        return next((known for known in column["values"] if float(known) == exact), str(exact))
    if not exact.is_integer():
        raise ValueError(f"{name} is an integer, but got {value!r}.")
    return str(int(text) if re.fullmatch(r"[-+]?\d+", text) else int(exact))


def number(value: Any, name: str) -> float:
    """Return a number, also from a text; beyond 1e100 it is infinite."""
    try:
        found = math.nan if "_" in str(value) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if math.isnan(found) and str(value).strip().lower().lstrip("+-") != "nan":
        raise ValueError(f"{name} is a number, but got {value!r}.")
    return math.copysign(math.inf, found) if abs(found) > 1e100 else found


def seconds(value: Any, column: dict[str, Any]) -> float:
    """Return the seconds since 1970 of a date: an ISO text, a date of Python, or the seconds themselves."""
    if isinstance(value, int | float) and column["read_as"] != "whole":
        return float(value)
    date = str(int(value)) if isinstance(value, int | float) else value  # digits, such as 20241231
    for form in (*column["formats"], "%Y-%m-%d", "%Y-%m"):
        if isinstance(date, str):
            with contextlib.suppress(ValueError):
                date = dt.datetime.strptime(date.strip(), form)
    with contextlib.suppress(ValueError):
        date = dt.datetime.fromisoformat(date.strip()) if isinstance(date, str) else date
    if date.__class__ is dt.date:
        date = dt.datetime.combine(date, dt.time())
    if isinstance(date, dt.datetime) and (
        date.tzinfo is None or (column["zone"] in ("", "UTC") and not date.utcoffset())
    ):
        return (date.replace(tzinfo=None) - dt.datetime(1970, 1, 1)).total_seconds()
    raise ValueError(f"{column['name']} is a date, but got {value!r}: write it as 2024-12-31.")


def numbers(row: dict[str, list[Any]], fields: Sequence[str]) -> Array:
    """Return columns of numbers side by side."""
    return np.array([row[name] for name in fields], np.float64).T


def pick(x: Array, index: int) -> Array:
    """Return one column."""
    return x[:, [index]]


def pick_all(x: Array, index: Array) -> Array:
    """Return some columns."""
    return x[:, index]


def missing(x: Array) -> Array:
    """Return 1 where a number is missing, else 0."""
    return np.isnan(x).astype(np.float64)


def filled(x: Array, values: Array) -> Array:
    """Return numbers with a value in place of missing ones."""
    return np.where(np.isnan(x), values, x)


def squash(x: Array, center: Array, factor: Array, most: float) -> Array:
    """Scale numbers robustly and clip them smoothly; 0 for missing ones."""
    with np.errstate(invalid="ignore", over="ignore"):
        z = (x - center) * factor
        y = np.where(np.isinf(x), np.sign(x) * most, z / np.sqrt(1 + np.square(z / most)))
    return np.where(np.isnan(y), 0, y)


def lookup(text: list[str], keys: list[str], table: Array) -> Array:
    """Return the row of the table for each text, and the last row for any other text."""
    row = {key: i for i, key in enumerate(keys)}
    return table[[row.get(each, len(keys)) for each in text]]


def level(x: Array, index: int, table: Array, levels: Array, hole: int, last: int) -> Array:
    """Return the row of the table for a number among the levels, `hole` for one that is not finite, else `last`."""
    column = x[:, index]
    equal = np.hstack([column[:, np.newaxis] == levels, np.ones((len(x), 1), bool)])
    other = np.where(np.isfinite(column), last, hole)
    found = equal.argmax(axis=1)
    return table[np.where(found < len(levels), found, other)]


def dates(seconds: list[float], parts: Array) -> Array:
    """Return parts of dates: plain ones are -1 - k, those on a circle k, each as a sine and a cosine."""
    x = np.array(seconds, np.float64)
    there = np.isfinite(x)
    known = np.where(there, x, 0)
    days = np.floor(known / 86400)
    date = days.astype(np.int64).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    of = [
        date.astype("datetime64[Y]").astype(np.int64) + 1970,
        month.astype(np.int64) % 12 + 1,
        (date - month).astype(np.int64) + 1,
        np.floor((known - days * 86400) / 3600),
        (days + 3) % 7 + 1,  # 1 January 1970 was a Thursday
        known,
    ]
    periods = [0, 12, 30, 24, 7, 0]
    found = []
    for k in parts.tolist():
        if k < 0:
            found.append(of[-1 - k].astype(np.float32))
        else:
            angle = of[k] * (2 * np.pi / periods[k])
            found += [np.sin(angle), np.cos(angle)]
    return np.where(there[:, np.newaxis], np.stack(found, axis=1).astype(np.float64), np.nan)


def murmur(key: bytes) -> int:
    """Return MurmurHash3 of 32 bits (Appleby, 2011) as a signed number."""
    h, whole = 0, len(key) // 4 * 4
    for at in range(0, whole, 4):
        h ^= mixed(int.from_bytes(key[at : at + 4], "little"))
        h = (h << 13 | h >> 19) & 0xFFFFFFFF
        h = (h * 5 + 0xE6546B64) & 0xFFFFFFFF
    h ^= mixed(int.from_bytes(key[whole:], "little")) ^ len(key)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    h ^= h >> 16
    return h - 2**32 if h >= 2**31 else h


def mixed(k: int) -> int:
    """Return four bytes of a key, mixed."""
    k = k * 0xCC9E2D51 & 0xFFFFFFFF
    k = (k << 15 | k >> 17) & 0xFFFFFFFF
    return k * 0x1B873593 & 0xFFFFFFFF


def words(text: list[str], idf: Array, components: Array, mean: Array, scale: Array) -> Array:
    """Hash, count and weight the words of two letters or more, and reduce them to a few numbers."""
    found = np.zeros((len(text), len(idf)))
    for row, each in zip(found, text, strict=True):
        for word in re.findall(r"\w\w+", each.lower()):
            row[abs(murmur(word.encode())) % len(idf)] += 1
    weights = np.where(found > 0, 1 + np.log(np.maximum(found, 1)), 0) * idf
    norm = np.sqrt(np.square(weights).sum(axis=1, keepdims=True))
    return (weights / np.where(norm > 0, norm, 1) @ components.T - mean) / scale


def scaled(x: Array, center: Array, factor: Array) -> Array:
    """Scale numbers robustly, and cut them at -100 and 100; 0 for missing ones."""
    with np.errstate(invalid="ignore", over="ignore"):
        z = (x - center) * factor
    return np.clip(np.where(np.isnan(z), 0, z), -100, 100)


def clip(x: Array) -> Array:
    """Clip numbers smoothly to -3 ... 3."""
    return (x / np.sqrt(1 + np.square(x / 3))).astype(np.float32)


def encode(x: Array, index: Array, low: Array, width: Array) -> Array:
    """Return the clipped numbers, then a ramp from -1/2 to 1/2 for each piece of their ranges."""
    u = x / np.sqrt(1 + np.square(x / 3))
    ramps = np.clip((u[:, index] - low) / width, 0, 1) - 0.5
    return np.hstack([u, ramps]).astype(np.float32)


def single(x: Array) -> Array:
    """Return numbers in single precision, as the network takes them."""
    return x.astype(np.float32)


def widen(x: Array) -> Array:
    """Return numbers in double precision."""
    return x.astype(np.float64)


def dense(x: Array, W: Array, b: Array) -> Array:
    """Return a weighted sum of the inputs for each unit."""
    return x @ W + b


def relu(x: Array) -> Array:
    """Return x where it is positive, else 0."""
    return np.maximum(x, 0)


def leaky_relu(x: Array, slope: float) -> Array:
    """Return x where it is positive, else a small part of it."""
    return np.maximum(x, slope * x)


def prelu(x: Array, alpha: Array) -> Array:
    """Return x where it is positive, else alpha x, with an alpha for each feature."""
    x = x.reshape(len(x), -1, len(alpha))
    return np.where(x < 0, alpha * x, x).reshape(len(x), -1)


def elu(x: Array, alpha: float, scale: float) -> Array:
    """Return x where it is positive, else alpha (e^x - 1)."""
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x), so that large numbers do not overflow."""
    return np.exp(-np.logaddexp(0, -x))


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return np.tanh(x)


def hard_sigmoid(x: Array) -> Array:
    """Return a sigmoid of three straight lines."""
    return np.clip(x / 6 + 0.5, 0, 1)


def softplus(x: Array) -> Array:
    """Return log(1 + e^x), a smooth ReLU."""
    return np.logaddexp(x, 0)


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def gelu(x: Array) -> Array:
    """Return x times the probability that a standard normal variable is below x."""
    p = [math.erfc(-v / math.sqrt(2)) / 2 for v in x.ravel().tolist()]
    return x * np.array(p, x.dtype).reshape(x.shape)


def gelu_tanh(x: Array) -> Array:
    """Return an approximation of gelu(x)."""
    u = np.clip(x, -100, 100)
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (u + 0.044715 * u**3))


def mish(x: Array) -> Array:
    """Return x tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def exp(x: Array) -> Array:
    """Return the rate whose logarithm is x."""
    return np.exp(np.minimum(x, 87))


def affine(x: Array, center: Array, factor: Array, shift: Array) -> Array:
    """Scale and shift each feature."""
    x = x.reshape(len(x), -1, len(factor))
    return ((x - center) * factor + shift).reshape(len(x), -1)


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Standardize the features of a row, then scale and shift each of them."""
    x = x.reshape(len(x), -1, len(gamma))
    centered = x - x.mean(axis=2, keepdims=True)
    variance = np.square(centered).mean(axis=2, keepdims=True)
    return (gamma * centered / np.sqrt(variance + epsilon) + beta).reshape(len(x), -1)


def rms_norm(x: Array, gamma: Array, epsilon: float) -> Array:
    """Divide the features of a row by the root of their mean square, then scale each of them."""
    x = x.reshape(len(x), -1, len(gamma))
    square = np.square(x).mean(axis=2, keepdims=True)
    return (gamma * x / np.sqrt(square + epsilon)).reshape(len(x), -1)


def softmax(x: Array, features: int) -> Array:
    """Return numbers that are positive and sum to 1."""
    x = x.reshape(len(x), -1, features)
    e = np.exp(x - x.max(axis=2, keepdims=True))
    return (e / e.sum(axis=2, keepdims=True)).reshape(len(e), -1)


def places(size: int, stride: int, dilation: int, before: int, count: int, i: int) -> tuple[Array, Array]:
    """Return which windows along an axis have a pixel at their place i, and which pixel."""
    pixels = np.arange(count) * stride - before + i * dilation
    there = (pixels >= 0) & (pixels < size)
    return np.flatnonzero(there), pixels[there]


def conv2d(
    x: Array, W: Array, b: Array, height: int, width: int, channels: int, groups: int, down: int, right: int,
    dilate_down: int, dilate_right: int, top: int, left: int, rows: int, columns: int,
) -> Array:  # fmt: skip
    """Return a weighted sum of the pixels in each window of an image, for each filter."""
    kh, kw, each, filters = W.shape
    share = filters // groups
    x = x.reshape(-1, height, width, channels)
    y = np.zeros((len(x), rows, columns, filters), x.dtype) + b
    for i, j in np.ndindex(kh, kw):
        r, h = places(height, down, dilate_down, top, rows, i)
        c, v = places(width, right, dilate_right, left, columns, j)
        for g in range(groups):
            pixels = x[:, h[:, np.newaxis], v, g * each : (g + 1) * each]
            y[:, r[:, np.newaxis], c, g * share : (g + 1) * share] += pixels @ W[i, j, :, g * share : (g + 1) * share]
    return y.reshape(len(x), -1)


def max_pool(
    x: Array, height: int, width: int, channels: int, kh: int, kw: int, down: int, right: int, top: int, left: int,
    rows: int, columns: int,
) -> Array:  # fmt: skip
    """Return the largest pixel in each window of an image."""
    x = x.reshape(-1, height, width, channels)
    y = np.full((len(x), rows, columns, channels), -np.inf, x.dtype)
    for i, j in np.ndindex(kh, kw):
        r, h = places(height, down, 1, top, rows, i)
        c, v = places(width, right, 1, left, columns, j)
        at = (slice(None), r[:, np.newaxis], c)
        y[at] = np.maximum(y[at], x[:, h[:, np.newaxis], v])
    return y.reshape(len(x), -1)


def average_pool(
    x: Array, height: int, width: int, channels: int, kh: int, kw: int, down: int, right: int, top: int, left: int,
    rows: int, columns: int,
) -> Array:  # fmt: skip
    """Return the mean of the pixels in each window of an image."""
    x = x.reshape(-1, height, width, channels)
    y, count = np.zeros((len(x), rows, columns, channels), x.dtype), np.zeros((rows, columns, 1), x.dtype)
    for i, j in np.ndindex(kh, kw):
        r, h = places(height, down, 1, top, rows, i)
        c, v = places(width, right, 1, left, columns, j)
        y[:, r[:, np.newaxis], c] += x[:, h[:, np.newaxis], v]
        count[r[:, np.newaxis], c] += 1
    return (y / count).reshape(len(x), -1)


def embedding(x: Array, W: Array, chosen: Array, others: Array, first: Array, many: Array) -> Array:
    """Return the other columns, then the rows of W that the chosen columns name."""
    numbers = x[:, chosen]
    if not ((numbers >= 0) & (numbers < many) & (numbers == np.floor(numbers))).all():
        raise ValueError("expected whole numbers from 0 to the number of categories in the columns of categories.")
    vectors = W[numbers.astype(int) + first].reshape(len(x), -1)
    return np.hstack([x[:, others], vectors])


def add(x: Array, f: Array) -> Array:
    """Return the sum."""
    return x + f


def times(x: Array, factor: float) -> Array:
    """Return a multiple."""
    return x * factor


def mix(x: Array, f: Array, share: float) -> Array:
    """Return the mean of two models, of which the second has this share."""
    return (1 - share) * x + share * f


def both(x: Array) -> Array:
    """Return the probabilities of both classes, from that of the second."""
    return np.hstack([1 - x, x])


def unit(x: Array, center: Array, scale: Array, low: Array, high: Array) -> Array:
    """Return numbers in the unit of the target, in its range."""
    return np.clip(center + scale * x.astype(np.float64), low, high)


def exp_unit(x: Array, center: Array, scale: Array, low: Array, high: Array, shift: Array, most: Array) -> Array:
    """Return the same for the logarithm of a target plus `shift`."""
    y = center + scale * x.astype(np.float64)
    return np.clip(np.exp(np.minimum(y, most)) - shift, low, high)
