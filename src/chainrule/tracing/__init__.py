"""Worked examples: every number of a forward pass, a backward pass and a step, printed beside its equation."""

from chainrule.pages.blocks import Matrix
from chainrule.tracing.equations import EQUATIONS, Equations
from chainrule.tracing.example import Trace, trace
from chainrule.tracing.steps import Check, Step

__all__ = ["EQUATIONS", "Check", "Equations", "Matrix", "Step", "Trace", "trace"]
