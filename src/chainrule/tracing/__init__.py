"""Worked examples: every number of a forward pass, a backward pass and a step, printed beside its equation."""

from chainrule.tracing.equation import Equation, Equations
from chainrule.tracing.equations import LAYERS, LOSSES, OPTIMIZERS
from chainrule.tracing.example import Trace, trace
from chainrule.tracing.steps import Check, NamedArray, Step

__all__ = ["LAYERS", "LOSSES", "OPTIMIZERS", "Check", "Equation", "Equations", "NamedArray", "Step", "Trace", "trace"]
