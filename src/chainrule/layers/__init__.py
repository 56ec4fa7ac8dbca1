"""Layers, each with its formula, its backward pass directly below its forward pass, and its source."""

# ruff: noqa: F403  (each file lists what it exports: a new layer in one of them needs no line here)

import sys

from chainrule._internal.names import public_classes
from chainrule.layers import (
    activation,
    convolution,
    dense,
    dropout,
    embedding,
    noise,
    normalization,
    pooling,
    reshape,
    residual,
    scale,
)
from chainrule.layers.activation import *
from chainrule.layers.base import SHIPPED, Layer
from chainrule.layers.convolution import *
from chainrule.layers.dense import *
from chainrule.layers.dropout import *
from chainrule.layers.embedding import *
from chainrule.layers.noise import *
from chainrule.layers.normalization import *
from chainrule.layers.pooling import *
from chainrule.layers.reshape import *
from chainrule.layers.residual import *
from chainrule.layers.scale import *
from chainrule.parameters import Parameter

__all__ = ["Layer", "Parameter"]
__all__ += activation.__all__
__all__ += convolution.__all__
__all__ += dense.__all__
__all__ += dropout.__all__
__all__ += embedding.__all__
__all__ += noise.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += reshape.__all__
__all__ += residual.__all__
__all__ += scale.__all__

SHIPPED.update(public_classes(sys.modules[__name__], Layer))
