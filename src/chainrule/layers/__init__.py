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
from chainrule.layers.convolution import Conv2D
from chainrule.layers.dense import Dense
from chainrule.layers.dropout import Dropout, Dropout2D
from chainrule.layers.embedding import Embedding
from chainrule.layers.noise import GaussianNoise
from chainrule.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from chainrule.layers.pooling import AveragePool2D, GlobalAveragePool2D, MaxPool2D
from chainrule.layers.reshape import Flatten, Reshape
from chainrule.layers.residual import Residual
from chainrule.layers.scale import Scale

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AveragePool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Dropout2D",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePool2D",
    "HardSigmoid",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2D",
    "Mish",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Reshape",
    "Residual",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
