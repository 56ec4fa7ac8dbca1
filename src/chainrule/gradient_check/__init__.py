"""The gradient check: whether what ``backward`` says is the derivative of what ``forward`` computes.

:func:`check_gradient` asks it of a network, with its loss and penalties, :func:`check_layer` of one layer, together
with the rules that every layer keeps, and :func:`check_function` of a loss in plain NumPy. :func:`check_optimizer`
compares an optimizer with the closed form of its rule. ``chainrule check`` does all of this on the command line.

Three questions, each asked in float64, whatever the network's own dtype:

1. *Along random directions* v over all parameters at once: (L(θ + hv) − L(θ − hv)) / 2h against g·v.
2. *By order*: |L(θ + hu) − L(θ) − h g·u| must shrink as h² when h is halved. A wrong gradient leaves h¹. No tolerance
   has to be tuned for this one. It is asked over all parameters at once, and inside each parameter.
3. *Entry by entry*, for a sample of each parameter's entries, to say where.

Where L has a kink (ReLU at 0) the derivative jumps and finite differences mean nothing. A disagreement is therefore
asked again at points a little beside θ: a kink is gone there, a mistake is not.

When something is wrong, every layer, the loss and every penalty are checked alone, to name the one that is.

Sources: Chainer's ``check_backward`` (by direction); Griewank and Walther, "Evaluating derivatives" (2008) and dolfin-
adjoint's Taylor test (by order).
"""

from chainrule.gradient_check.contract import Violation
from chainrule.gradient_check.function import check_function
from chainrule.gradient_check.layer import LayerReport, check_layer
from chainrule.gradient_check.network import check_gradient
from chainrule.gradient_check.optimizer import OptimizerReport, check_optimizer
from chainrule.gradient_check.report import GradientReport, ParameterCheck

__all__ = [
    "GradientReport",
    "LayerReport",
    "OptimizerReport",
    "ParameterCheck",
    "Violation",
    "check_function",
    "check_gradient",
    "check_layer",
    "check_optimizer",
]
