"""Plots of training and its results. Each function returns a matplotlib Figure to save or show.

Figures are created without pyplot: there is no global state, so threads and servers can plot. The colors are those of
Okabe and Ito, which people with any kind of color vision can distinguish.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.checks import check_numbers
from chainrule._internal.extras import require
from chainrule._internal.typing import ArrayLike
from chainrule.network import Network
from chainrule.training.history import History
from chainrule.training.rate_finder import RangeTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any

__all__ = ["plot_boundary", "plot_confusion", "plot_history", "plot_mistakes", "plot_range_test", "plot_weights"]

BLUE, ORANGE = "#0072B2", "#D55E00"
COLORS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", ORANGE, "#F0E442", "#000000")
MARKERS = "o^sDvPX*"


def plot_history(history: History) -> Figure:
    """Plot the loss and the validation metrics over the epochs.

    A loss that falls by more than a factor of 20 is plotted on a logarithmic axis.

    Parameters
    ----------
    history : History
        With at least one epoch.

    Returns
    -------
    Figure
        One panel for the losses, and one for each validation metric.

    Raises
    ------
    ValueError
        If the history has no epoch.

    Examples
    --------
    >>> from chainrule import History
    >>> history = History(("epoch", "loss", "val_loss", "val_accuracy"))
    >>> history.append([1, 0.9, 1.0, 0.6]); history.append([2, 0.4, 0.6, 0.8])
    >>> [axes.get_title(loc="left") for axes in plot_history(history).axes]
    ['Loss', 'Accuracy']
    """
    if not len(history):
        raise ValueError(
            "plot_history: expected at least one epoch, got none. Was training interrupted in the first epoch?"
        )
    metrics = [name for name in history.columns if name.startswith("val_") and name != "val_loss"]
    panels = 1 + len(metrics)
    figure = _figure(4.6 * panels, 3.4)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    epochs = history["epoch"]
    _curve(axes[0], epochs, history["loss"], BLUE, "training")
    losses = np.array(history["loss"])
    if "val_loss" in history:
        _curve(axes[0], epochs, history["val_loss"], ORANGE, "validation")
        axes[0].legend(frameon=False)
        losses = np.append(losses, history["val_loss"])
    if losses.min() > 0 and losses.max() > 20 * losses.min():
        axes[0].set_yscale("log")
    else:
        axes[0].set_ylim(bottom=min(0.0, losses.min()))
    _label(axes[0], "Loss", "epoch", "mean over the rows")
    for ax, name in zip(axes[1:], metrics, strict=True):
        _curve(ax, epochs, history[name], ORANGE, "validation")
        last = history[name][-1]
        ax.annotate(f"{last:.3f}", (epochs[-1], last), (0, -12), textcoords="offset points", ha="right", va="top")
        _label(ax, name.removeprefix("val_").capitalize(), "epoch", "on the validation set")
    for ax in axes:
        ax.xaxis.get_major_locator().set_params(integer=True)
    return figure


def plot_range_test(result: RangeTest) -> Figure:
    """Plot the loss of a learning-rate range test over the learning rate.

    Parameters
    ----------
    result : RangeTest
        The result of :func:`chainrule.lr_range_test`.

    Returns
    -------
    Figure
        The loss of every step (pale) and the smoothed loss, with the suggested rate marked. Losses far above those of
        the first steps are cut off.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    >>> plot_range_test(cr.lr_range_test(network, X, X[:, 0], seed=0)).axes[0].get_xscale()
    'log'
    """
    figure = _figure(5.6, 3.6)
    ax = figure.subplots()
    rates, losses, smoothed = result.rates, result.losses, result.smoothed
    ax.plot(rates, losses, color=BLUE, alpha=0.3, linewidth=1.0, label="of a step")
    ax.plot(rates, smoothed, color=BLUE, linewidth=1.8, label="smoothed")
    bottom, top = min(0.0, losses.min()), smoothed.max()
    ax.set_ylim(bottom, top + 0.1 * (top - bottom))
    ax.set_xscale("log")
    if result.suggestion is not None:
        ax.axvline(
            result.suggestion, color=ORANGE, linewidth=1.4, linestyle="--", label=f"suggested: {result.suggestion:.2g}"
        )
    ax.legend(frameon=False)
    _label(ax, "Learning-rate range test", "learning rate", "loss of a batch")
    return figure


def plot_confusion(t: ArrayLike, labels: ArrayLike, classes: Sequence[str]) -> Figure:
    """Plot the confusion matrix.

    Parameters
    ----------
    t : (rows,) of int
        The true labels.
    labels : (rows,) of int
        The predicted ones.
    classes : sequence of str
        Their names.

    Returns
    -------
    Figure
        Correct predictions in blue, errors in orange. A cell's shade is its share of its row, scaled separately for
        correct predictions and errors, so that rare errors are visible.

    Raises
    ------
    ValueError
        If the labels do not match each other or the classes.

    Examples
    --------
    >>> plot_confusion([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"]).axes[0].get_title(loc="left")
    '3 of 4 right (75.0 %)'
    """
    true, predicted = _labels("t", t, len(classes)), _labels("labels", labels, len(classes))
    if len(true) != len(predicted) or not len(true):
        raise ValueError(
            f"plot_confusion: expected as many labels as targets, at least one, got {len(predicted)} and {len(true)}."
        )
    k = len(classes)
    counts = np.bincount(true * k + predicted, minlength=k * k).reshape(k, k)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.6, 1.6 + 0.42 * k), 12.0)
    figure = _figure(side + 0.2, side)
    ax = figure.subplots()
    maps = require("matplotlib", "plot").colormaps
    diagonal = np.eye(k, dtype=bool)
    worst = max(share[~diagonal].max(initial=0.0), 1e-9)
    shades = np.where(diagonal, share, share / worst) * 0.75
    ax.imshow(np.where(diagonal[..., np.newaxis], maps["Blues"](shades), maps["Oranges"](shades)))
    if k <= 30:
        for i, j in np.argwhere(counts):
            ink = "white" if shades[i, j] > 0.5 else "black"
            ax.text(
                j, i, f"{counts[i, j]}", ha="center", va="center", color=ink, fontsize=9 if counts.max() < 1e4 else 7
            )
    longest = max(map(len, classes))
    ax.set_xticks(range(k), classes, rotation=90 if longest * k > 60 else 0)
    ax.set_yticks(range(k), classes)
    ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    right = int(np.trace(counts))
    _label(ax, f"{right:,} of {len(true):,} right ({100 * right / len(true):.1f} %)", "predicted", "true")
    ax.spines[:].set_visible(False)
    return figure


def plot_mistakes(
    X: ArrayLike, t: ArrayLike, p: ArrayLike, classes: Sequence[str], image_shape: tuple[int, int], most: int = 20
) -> Figure:
    r"""Plot the misclassified images, the most confident predictions first.

    Parameters
    ----------
    X : (rows, height · width)
        Images, one per row.
    t : (rows,) of int
        The true labels.
    p : (rows, classes)
        The predicted probabilities.
    classes : sequence of str
        The names of the classes.
    image_shape : (height, width)
    most : int
        The maximum number of images.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are no mistakes, or the arrays do not match.

    Examples
    --------
    >>> X, p = np.eye(4), np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    >>> figure = plot_mistakes(X, [0, 0, 0, 1], p, ["cat", "dog"], (2, 2))
    >>> [axes.get_title() for axes in figure.axes]
    ['cat taken for dog\n80 % sure', 'cat taken for dog\n60 % sure']
    """
    images, probabilities = check_numbers("X", X), check_numbers("p", p)
    true = _labels("t", t, len(classes))
    wanted = (len(true), image_shape[0] * image_shape[1]), (len(true), len(classes))
    if (images.shape, probabilities.shape) != wanted:
        raise ValueError(
            f"plot_mistakes: expected X and p of shapes {wanted[0]} and {wanted[1]}, "
            f"got {images.shape} and {probabilities.shape}."
        )
    labels = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(labels != true)
    if not wrong.size:
        raise ValueError("plot_mistakes: there are no mistakes to plot: every row was predicted correctly.")
    sure = probabilities.max(axis=1)
    rows = wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    columns = min(5, len(rows))
    height = -(-len(rows) // columns)
    figure = _figure(max(1.4 * columns, 3.4), 1.75 * height + 0.4)
    figure.suptitle(f"The surest of {len(wrong):,} mistake{'s' * (len(wrong) > 1)} in {len(true):,}", fontsize=11)
    axes = figure.subplots(height, columns, squeeze=False).flat
    for ax, row in zip(axes, rows, strict=False):
        ax.imshow(images[row].reshape(image_shape), cmap="gray_r", interpolation="nearest")
        name, guess = classes[true[row]], classes[labels[row]]
        ax.set_title(f"{name} taken for {guess}\n{100 * sure[row]:.3g} % sure", fontsize=9)
    for ax in figure.axes[len(rows) :]:
        ax.remove()
    for ax in figure.axes:
        _frame(ax)
    return figure


def plot_weights(network: Network, image_shape: tuple[int, int], most: int = 64) -> Figure:
    """Plot the weights of each unit of the first layer as an image, red for + and blue for −.

    Parameters
    ----------
    network : Network
        The inputs of its first layer with weights are images, one per row.
    image_shape : (height, width)
    most : int
        The maximum number of units shown. If there are more, those with the largest weights (by norm) come first.

    Returns
    -------
    Figure
        All images share one color scale, with white at 0.

    Raises
    ------
    ValueError
        If the first weights do not match images of this shape.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(64, [cr.layers.Dense(100), cr.layers.ReLU(), cr.layers.Dense(10)], "squared_error", seed=0)
    >>> plot_weights(network, (8, 8)).axes[0].get_title(loc="left")
    'Weights of layer 0, Dense(100): the 64 largest units of 100'
    """
    height, width = image_shape
    index = next((i for i, layer in enumerate(network.layers) if hasattr(layer, "W")), None)
    W = None if index is None else network.layers[index].W  # type: ignore[attr-defined]
    if index is None or W is None or W.ndim != 2 or len(W) != height * width:
        got = "no weights" if W is None else f"weights of shape {W.shape}"
        raise ValueError(
            f"plot_weights: expected a first layer with weights of shape ({height * width}, units) for images of "
            f"{height} x {width}, got {got}."
        )
    units = W.shape[1]
    shown = np.argsort(-np.einsum("ij,ij->j", W, W), kind="stable")[:most] if units > most else np.arange(units)
    columns = max(1, int(np.ceil(np.sqrt(len(shown)))))
    rows = -(-len(shown) // columns)
    gap = max(1, height // 12)
    mosaic = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for place, unit in enumerate(shown):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = W[:, unit].reshape(image_shape)
    figure = _figure(6.0, 0.5 + 4.8 * mosaic.shape[0] / mosaic.shape[1])
    ax = figure.subplots()
    limit = float(np.quantile(np.abs(W[:, shown]), 0.995)) or 1.0
    image = ax.imshow(mosaic, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    figure.colorbar(image, ax=ax, shrink=0.7, extend="both", label="weight").outline.set_visible(False)
    which = f"the {len(shown)} largest units of {units}" if units > most else f"{units} units"
    ax.set_title(f"Weights of layer {index}, {network.layers[index]!r}: {which}", loc="left", fontsize=10)
    _frame(ax)
    ax.spines[:].set_visible(False)
    return figure


def plot_boundary(network: Network, X: ArrayLike, t: ArrayLike, classes: Sequence[str] | None = None) -> Figure:
    """Plot the regions of the classes in the plane, and the points: a filled mark is correct, a red cross is wrong.

    Parameters
    ----------
    network : Network
        With two inputs, predicting one probability per class (or a single one for two classes).
    X : (rows, 2)
        The points.
    t : (rows,) of int
        Their labels.
    classes : sequence of str, optional
        The names of the classes.

    Returns
    -------
    Figure
        The color fades where the network is uncertain; lines mark where the most probable class changes.

    Raises
    ------
    ValueError
        If the network or the points do not have two inputs.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(2)], "softmax_cross_entropy", seed=0)
    >>> plot_boundary(network, [[0.0, 1.0], [1.0, 0.0]], [0, 1]).axes[0].get_xlabel()
    'first input'
    """
    points = check_numbers("X", X)
    if network.input_shape != (2,) or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f"plot_boundary: expected a network of 2 inputs and points of shape (rows, 2), got a network of "
            f"{network.input_shape} and points of shape {points.shape}."
        )
    k = max(2, network.output_shape[0])
    names = [f"class {i}" for i in range(k)] if classes is None else list(classes)
    true = _labels("t", t, k)
    colors = require("matplotlib.colors", "plot").to_rgb
    palette = np.array([colors(COLORS[i % len(COLORS)]) for i in range(k)])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low).max() or 1.0
    xs, ys = (np.linspace(a - margin, b + margin, 240) for a, b in zip(low, high, strict=True))
    p = _probabilities(network, np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)).reshape(240, 240, k)
    tall = float((ys[-1] - ys[0]) / (xs[-1] - xs[0]))
    figure = _figure(5.6, min(max(1.1 + 4.8 * tall, 2.5), 9.0))
    ax = figure.subplots()
    ax.imshow(1 - 0.45 * p @ (1 - palette), extent=(xs[0], xs[-1], ys[0], ys[-1]), origin="lower", aspect="equal",
              interpolation="bilinear")  # fmt: skip
    for i in range(k if k > 2 else 1):
        lead = p[..., i] - np.delete(p, i, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():
            ax.contour(xs, ys, lead, levels=[0.0], colors="#333333", linewidths=1.0)
    right = _probabilities(network, points).argmax(axis=1) == true
    for i in range(k):
        of = points[(true == i) & right]
        ax.scatter(of[:, 0], of[:, 1], s=20, marker=MARKERS[i % len(MARKERS)], color=palette[i], edgecolor="white",
                   linewidth=0.5, label=names[i])  # fmt: skip
    if not right.all():
        wrong = points[~right]
        ax.scatter(wrong[:, 0], wrong[:, 1], s=36, marker="x", color="#B00020", linewidth=1.6, label="wrong")
    figure.legend(frameon=False, loc="outside lower center", ncols=min(5, k + 1))
    _label(ax, f"{int(right.sum()):,} of {len(true):,} points right", "first input", "second input")
    return figure


def _figure(width: float, height: float) -> Figure:
    figure: Figure = require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")
    return figure


def _curve(ax: Axes, epochs: Sequence[int], values: Sequence[float], color: str, label: str) -> None:
    ax.plot(epochs, values, color=color, label=label, linewidth=1.8, marker="o" if len(epochs) <= 12 else None, ms=4)


def _label(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title, loc="left", fontsize=11)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)


def _frame(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color("#BBBBBB")


def _labels(name: str, values: ArrayLike, classes: int) -> np.ndarray:
    array = check_numbers(name, values)
    if (
        array.ndim != 1
        or array.dtype.kind not in "iu"
        or (len(array) and not 0 <= array.min() <= array.max() < classes)
    ):
        raise ValueError(
            f"{name}: expected whole labels of shape (rows,), from 0 to {classes - 1}, got {array.dtype} "
            f"of shape {array.shape}" + (f" from {array.min()} to {array.max()}." if array.size else ".")
        )
    return array.astype(np.intp)


def _probabilities(network: Network, X: np.ndarray) -> np.ndarray:
    """Return one probability per class, even for a network with a single output."""
    p = network.predict(X)
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p
