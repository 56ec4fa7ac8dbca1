"""A network to train, as given to every contestant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks import data


@dataclass(frozen=True)
class Task:
    """Dense layers of these sizes, separated by an activation and optionally dropout.

    ``loss`` is "cross_entropy" (softmax) or "squared_error": ½ Σ (y - t)², the mean over the rows of a batch. If a
    batch has all ``rows``, they keep their order and are not gathered.
    ``real`` trains on the first ``rows`` images of MNIST instead of random rows. ``target`` is the accuracy on the
    test images at which :func:`reach` may stop, after at most ``epochs``.
    """

    sizes: list[int]
    rows: int
    batch: int
    epochs: int
    activation: str = "relu"
    optimizer: str = "momentum"
    loss: str = "cross_entropy"
    rate: float = 0.01
    dropout: float = 0.0
    real: bool = False
    target: float = 1.0
    test_rows: int | None = None
    compiled: bool = field(default=False, kw_only=True)  # PyTorch: by torch.compile

    @property
    def steps(self) -> int:
        return -(-self.rows // self.batch)

    @property
    def whole(self) -> bool:
        return self.batch >= self.rows

    def data(self) -> data.Arrays:
        if self.real:
            return data.mnist("train", "float32", self.rows)
        return data.random_rows(self.sizes[0], self.sizes[-1], self.rows, labels=self.loss == "cross_entropy")

    def test(self) -> data.Arrays:
        return data.mnist("test", "float32", self.test_rows)

    def trained(self, seconds: float, loss: float) -> dict[str, Any]:
        """Return the answer after all epochs."""
        return data.result(seconds, steps=self.steps * self.epochs, epochs=self.epochs, loss=loss)

    def arrived(self, seconds: float, epochs: int, accuracy: float) -> dict[str, Any]:
        """Return the answer at the target; raise an error if it was not reached."""
        if accuracy < self.target:
            raise RuntimeError(f"reached {accuracy:.2%} in {epochs} epochs, less than {self.target:.0%}")
        return data.result(seconds, accuracy=accuracy, epochs_taken=epochs)
