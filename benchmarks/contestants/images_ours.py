"""Convolutional networks in chainrule."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks import data
from chainrule.layers import BatchNorm, Conv2D, Dense, Flatten, Layer, LayerNorm, MaxPool2D, ReLU

NORMS: dict[str, Any] = {"batchnorm": BatchNorm, "layernorm": LayerNorm}


def _layers(network: str) -> list[Layer]:
    if network == "flat":
        return [Conv2D(32, 5), ReLU(), MaxPool2D(), Conv2D(64, 5), ReLU(), MaxPool2D(), Flatten(), Dense(256), ReLU()]
    if network == "lenet":
        first = [Conv2D(6, 5), ReLU(), MaxPool2D(), Conv2D(16, 5), ReLU(), MaxPool2D(), Flatten()]
        return [*first, Dense(120), ReLU(), Dense(84), ReLU()]
    if network in NORMS:
        return [Flatten(), *(layer for _ in range(3) for layer in (Dense(256), NORMS[network](), ReLU()))]
    blocks: list[Layer] = []
    for filters in (32, 64):
        for _ in range(2):
            blocks += [Conv2D(filters, 3, biases=None), BatchNorm(), ReLU()]
        blocks.append(MaxPool2D())
    return [*blocks, Flatten()]


def _network(network: str) -> cr.Network:
    built = cr.Network((28, 28, 1), [*_layers(network), Dense(10)], "softmax_cross_entropy", seed=0)
    layers = [layer for layer in built.layers if isinstance(layer, Conv2D | Dense)]
    for layer, W in zip(layers, data.he_normal(layer.W.shape for layer in layers), strict=True):
        layer.W[...] = W
    return built


def _images(rows: int) -> data.Arrays:
    X, t = data.random_rows(784, 10, rows)
    return X.reshape(-1, 28, 28, 1), t


def train_images(*, network: str, rows: int, batch: int, epochs: int) -> dict[str, Any]:
    """Train for some epochs."""
    X, t = _images(rows)
    built, order = _network(network), data.start([])[1]
    begin = time.perf_counter()
    history = cr.train(
        built, X, t, optimizer=cr.optimizers.Adam(0.001), epochs=epochs, batch_size=batch, shuffle=order, seed=0
    )
    seconds = time.perf_counter() - begin
    return data.trained_images(seconds, history["loss"][-1], rows=rows, batch=batch, epochs=epochs)


def predict_images(*, network: str, rows: int) -> dict[str, Any]:
    """Return the probabilities of the images."""
    X, _ = _images(rows)
    built = _network(network)
    built.predict(X[:500])
    begin = time.perf_counter()
    total = float(built.predict(X).sum())
    return data.result(time.perf_counter() - begin, total=np.round(total))
