"""Evaluation: the loss and the metrics of a network on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule._internal.backend import host
from chainrule._internal.checks import check_lengths, check_weights
from chainrule._internal.typing import ArrayLike, MatrixLike
from chainrule.losses import Metric
from chainrule.metrics import measure
from chainrule.network import Network


def evaluate(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Compute the loss (excluding penalties) and the metrics on X. Nothing is modified.

    Parameters
    ----------
    network : Network
    X, t, sample_weight
        As for :func:`train`. The loss is Σ wᵢ ℓᵢ / Σ wᵢ.
    metrics : mapping of str to function, optional
        Functions of targets and predictions; the loss's own by default. Functions with a ``sample_weight`` parameter,
        such as chainrule's and scikit-learn's, receive the weights; others weight all rows equally.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(1, [cr.layers.Dense(2, weights="zeros")], "softmax_cross_entropy")
    >>> evaluate(network, [[1.0], [2.0]], [0, 1])
    {'loss': 0.693..., 'accuracy': 0.5}
    """
    check_network("evaluate", network)
    return measured(network, X, t, sample_weight, metrics)


def measured(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    sample_weight: ArrayLike | None = None,
    metrics: Mapping[str, Metric] | None = None,
    gather: Callable[[Any], Any] = lambda rows: rows,
) -> dict[str, float]:
    """Evaluate on the rows of all ranks: ``gather`` collects their predictions, targets and weights."""
    targets = network.loss.targets(host(t), network.output_shape[0], network.dtype)
    y = host(network.logits(X))
    check_lengths(y, t=targets)
    weight = None if sample_weight is None else check_weights(host(sample_weight), network.dtype)
    check_lengths(y, sample_weight=weight)
    y, targets = gather(y), gather(targets)
    weight = None if weight is None else gather(weight)
    result = {"loss": network.loss.value(y, targets, weight)}
    chosen = check_metrics(network, metrics)
    p = network.loss.inverse_link(y) if chosen else y
    return result | {name: float(measure(metric, targets, p, weight)) for name, metric in chosen.items()}


def check_metrics(network: Network, metrics: Mapping[str, Metric] | None) -> Mapping[str, Metric]:
    """Return the metrics, by default those of the loss."""
    chosen = network.loss.metrics if metrics is None else metrics
    if not isinstance(chosen, Mapping) or not all(callable(metric) for metric in chosen.values()):
        expected = 'functions of (t, predictions) by name, such as {"accuracy": cr.metrics.accuracy}'
        raise TypeError(f"metrics: expected {expected}, got {chosen!r}.")
    return chosen


def check_network(owner: str, network: Any) -> None:
    """Raise an error if the first argument is not a network."""
    if not isinstance(network, Network):
        raise TypeError(f"{owner}: expected a Network as the first argument, got {type(network).__name__}.")
