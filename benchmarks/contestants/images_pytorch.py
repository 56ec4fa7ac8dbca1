"""The same convolutional networks in PyTorch."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import data
from benchmarks.contestants import pytorch_step

NORMS = {"batchnorm": nn.BatchNorm1d, "layernorm": nn.LayerNorm}


def _network(network: str) -> nn.Sequential:
    torch.manual_seed(0)
    if network == "flat":
        first = [nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*first, nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 10))
    if network == "lenet":
        first = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
        last = [nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
        return nn.Sequential(*first, nn.Flatten(), *last)
    if network in NORMS:
        widths = [784, 256, 256, 256]
        layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), NORMS[network](b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(256, 10))
    blocks: list[nn.Module] = []
    for before, filters in ((1, 32), (32, 64)):
        for channels in (before, filters):
            blocks += [nn.Conv2d(channels, filters, 3, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        blocks.append(nn.MaxPool2d(2))
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(1024, 10))


def _start(network: nn.Sequential) -> nn.Sequential:
    """Set the weights that all contestants start from. After Flatten, the inputs are channels first here."""
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
    shapes = [
        (*layer.kernel_size, layer.in_channels, layer.out_channels) if isinstance(layer, nn.Conv2d)
        else (layer.in_features, layer.out_features)
        for layer in layers
    ]  # fmt: skip
    channels = 1
    for layer, W in zip(layers, data.he_normal(shapes), strict=True):
        if isinstance(layer, nn.Conv2d):
            own, channels = W.transpose(3, 2, 0, 1), layer.out_channels
        else:
            own, channels = W.reshape(-1, channels, W.shape[1]).swapaxes(0, 1).reshape(W.shape).T, 1
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(own)))
            if layer.bias is not None:
                layer.bias.zero_()
    return network


def _images(rows: int) -> tuple[Tensor, Tensor]:
    X, t = data.random_rows(784, 10, rows)
    return torch.from_numpy(X).reshape(-1, 1, 28, 28), torch.from_numpy(t)


def train_images(*, network: str, rows: int, batch: int, epochs: int, compiled: bool = False) -> dict[str, Any]:
    """Train for some epochs."""
    X, t = _images(rows)
    built, order, index, loss = _start(_network(network)), data.start([])[1], np.arange(rows), 0.0
    step = pytorch_step.prepare(built, X, t, optimizer="adam", rate=0.001, loss="cross_entropy", compiled=compiled)
    begin = time.perf_counter()
    for _ in range(epochs):
        loss = pytorch_step.epoch(step, order, index, batch)
    return data.trained_images(time.perf_counter() - begin, loss, rows=rows, batch=batch, epochs=epochs)


def predict_images(*, network: str, rows: int) -> dict[str, Any]:
    """Return the probabilities of the images, 500 at a time, which is faster than all at once."""
    X, _ = _images(rows)
    built = _network(network).eval()
    with torch.inference_mode():
        built(X[:500])
        begin = time.perf_counter()
        p = torch.cat([torch.softmax(built(part), 1) for part in X.split(500)]).numpy()
        return data.result(time.perf_counter() - begin, total=np.round(float(p.sum())))
