"""The inverse links of the losses as ONNX operators. Losses not listed here use the identity."""

from __future__ import annotations

from chainrule.losses import Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.onnx.graph import Graph
from chainrule.onnx.layers import add_sigmoid, log_max
from chainrule.onnx.registry import register_loss


@register_loss(SoftmaxCrossEntropy, output="probabilities")
def softmax(graph: Graph, loss: SoftmaxCrossEntropy, y: str) -> str:
    """Add the probabilities of the classes."""
    return graph.node("Softmax", y, axis=1)


@register_loss(SigmoidCrossEntropy, output="probabilities")
def sigmoid(graph: Graph, loss: SigmoidCrossEntropy, y: str) -> str:
    """Add the probability of each positive label, accurate even when tiny, because scores use its logarithm."""
    return add_sigmoid(graph, y, exact=True)


@register_loss(Poisson)
def exp(graph: Graph, loss: Poisson, y: str) -> str:
    """Add the rate."""
    return graph.node("Exp", graph.node("Min", y, log_max(graph)))
