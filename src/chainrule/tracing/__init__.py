"""Worked examples: every number of a forward pass, a backward pass and a step, printed beside its equation."""

from chainrule.tracing.equations import EQUATIONS, Equations
from chainrule.tracing.steps import Check, NamedArray, Step
from chainrule.tracing.trace import Trace, trace

__all__ = ["EQUATIONS", "Check", "Equations", "NamedArray", "Step", "Trace", "trace"]
