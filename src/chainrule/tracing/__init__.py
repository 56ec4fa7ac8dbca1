"""Worked examples: all numbers of a forward pass, a backward pass and an optimizer step, with their equations."""

from chainrule.pages.blocks import Matrix
from chainrule.tracing.equations import EQUATIONS, Equations
from chainrule.tracing.example import Trace, trace
from chainrule.tracing.operations import Check, Operation

__all__ = ["EQUATIONS", "Check", "Equations", "Matrix", "Operation", "Trace", "trace"]
