"""Plots of the columns of a training history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.metrics import direction
from chainrule.pages.blocks import Figure, Table
from chainrule.pages.drawing import Axis, Plot, thin
from chainrule.pages.formatting import short

LOG = 20  # times: a loss that falls by more has a logarithmic axis


def curve(history: Mapping[str, Sequence[float]], name: str, lines: Sequence[tuple[str, str]]) -> Figure | None:
    """Return the plot of some columns by epoch, or None if no value is finite.

    ``lines`` has the columns and what they are called: "training", or the rows that the last of them was evaluated on.

    >>> curve({"epoch": [1, 2], "loss": [2.0, 0.5]}, "loss", [("loss", "training")]).caption
    'Best on the training rows after epoch 2: 0.5.'
    """
    epochs = np.array(history["epoch"], dtype=float)
    values = [np.array(history[column], dtype=float) for column, _ in lines]
    known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    log = name != "learning rate" and low > 0 and high > LOG * low
    if low == high:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    margin = 0.0 if log else 0.04 * (high - low)
    last = max(float(epochs[-1]), float(epochs[0]) + 1)
    plot = Plot(
        Axis(float(epochs[0]), last, "epoch"),
        Axis(low - margin, high + margin, name, log),
    )
    for i, v in enumerate(values):
        plot.line(*thin(epochs, v), f"s{i + 1}")
        if len(v) == 1:
            plot.points(epochs, v, f"s{i + 1}", 3)
    better = "min" if name == "loss" else direction(lines[-1][0])
    caption = _caption(name, epochs, values, lines[-1][1], better)
    at = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 12)).round().astype(int))
    body = tuple((f"{epochs[i]:,.0f}", *(short(v[i]) for v in values)) for i in at)
    key = tuple((f"s{i + 1}", text) for i, (_, text) in enumerate(lines))
    table = Table(("epoch", *(text for _, text in lines)), body, "r" + "r" * len(lines))
    return plot.figure(name[0].upper() + name[1:], caption, table, key if len(key) > 1 else ())


def _caption(name: str, epochs: Any, values: list[Any], judged: str, better: str | None) -> str:
    last = values[-1]
    if name == "learning rate":
        first, final, most = (short(v, 2) for v in (last[0], last[-1], last.max()))
        return f"Learning rate from {first} to {final}, peak {most}."
    if not np.isfinite(last).any():
        return "All values are NaN or infinite: training failed."
    if better is None:
        return f"After the last epoch: {short(last[-1])}."
    best = int(np.nanargmin(last) if better == "min" else np.nanargmax(last))
    where = {"training": "on the training rows", "validation": "on the validation rows"}.get(judged, judged)
    text = f"Best {where} after epoch {epochs[best]:,.0f}: {short(last[best])}."
    if judged == "out of fold":
        return f"{text} All networks keep the epoch with the best score, smoothed over three epochs."
    if name == "loss" and len(values) > 1:
        gap = float(last[-1] - last[best])
        grew = gap > 0.1 * abs(float(last[best])) and best < len(last) - 1
        text += (
            f" It then rises to {short(last[-1])} while the training loss falls: the network is overfitting."
            if grew and values[0][-1] < values[0][best]
            else " Dropout and penalties affect only the training loss: compare the shapes, not the levels."
        )
    return text
