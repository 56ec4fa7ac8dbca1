"""Worked examples: every number of a forward pass, a backward pass and a step, printed beside its equation."""

from chainrule.pages.blocks import Matrix
from chainrule.tracing.equations import EQUATIONS, Equations
from chainrule.tracing.steps import Check, Step
from chainrule.tracing.trace import Trace, trace

__all__ = ["EQUATIONS", "Check", "Equations", "Matrix", "Step", "Trace", "trace"]
