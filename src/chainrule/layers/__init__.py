"""Layers: each with its formula, its backward pass right under its forward pass, and its source."""

from chainrule.layers.activation import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.layers.base import Layer, Parameter
from chainrule.layers.dense import Dense
from chainrule.layers.dropout import Dropout

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Dense",
    "Dropout",
    "HardSigmoid",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Mish",
    "Parameter",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
