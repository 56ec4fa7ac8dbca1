"""The pictures of a run: which of them make sense, and how they become files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule import plotting
from chainrule.cli.report import Outcome
from chainrule.datasets import Dataset
from chainrule.network import Network
from chainrule.training.history import History

DPI = 130


def draw(folder: Path, network: Network, history: History, data: Dataset, outcome: Outcome) -> None:
    """Write the pictures of a run on the held-out ``data``: those that its inputs and its outcome allow."""
    if len(history):  # there is none when training was interrupted in its first epoch
        _write(folder / "curves.png", plotting.plot_history(history))
    _write(folder / "confusion.png", plotting.plot_confusion(data.t, outcome.labels, data.classes))
    if data.image_shape is not None:
        if outcome.right < len(data):
            mistakes = plotting.plot_mistakes(data.X, data.t, outcome.p, data.classes, data.image_shape)
            _write(folder / "mistakes.png", mistakes)
        _write(folder / "weights.png", plotting.plot_weights(network, data.image_shape))
    if network.input_shape == (2,):
        _write(folder / "boundary.png", plotting.plot_boundary(network, data.X, data.t, data.classes))


def _write(path: Path, figure: Any) -> None:
    figure.savefig(path, dpi=DPI, format="png")
