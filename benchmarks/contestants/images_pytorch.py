"""The same convolutional networks in PyTorch."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import data

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


def _images(rows: int) -> tuple[Tensor, Tensor]:
    X, t = data.random_rows(784, 10, rows)
    return torch.from_numpy(X).reshape(-1, 1, 28, 28), torch.from_numpy(t)


def train_images(*, network: str, rows: int, batch: int, epochs: int) -> dict[str, Any]:
    """Train for some epochs."""
    X, t = _images(rows)
    built, mean = _network(network), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(built.parameters(), 0.001)
    begin = time.perf_counter()
    for _ in range(epochs):
        for chosen in torch.randperm(rows).split(batch):
            optimizer.zero_grad()
            loss = mean(built(X[chosen]), t[chosen])
            loss.backward()
            optimizer.step()
            loss.item()
    return data.result(time.perf_counter() - begin, steps=epochs * -(-rows // batch), epochs=epochs)


def predict_images(*, network: str, rows: int) -> dict[str, Any]:
    """Return the probabilities of the images, 500 at a time, which is faster than all at once."""
    X, _ = _images(rows)
    built = _network(network).eval()
    with torch.inference_mode():
        built(X[:500])
        begin = time.perf_counter()
        p = torch.cat([torch.softmax(built(part), 1) for part in X.split(500)]).numpy()
        return data.result(time.perf_counter() - begin, total=np.round(float(p.sum())))
