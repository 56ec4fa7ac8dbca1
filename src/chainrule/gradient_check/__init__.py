"""The gradient check, which compares ``backward`` with the derivative of ``forward``.

:func:`check_gradient` checks a network with its loss and penalties, :func:`check_layer` a single layer and the rules of
the layer contract, and :func:`check_function` a loss in plain NumPy. :func:`check_optimizer` compares an optimizer with
the closed form of its rule. ``chainrule check`` does all of this on the command line.

Three tests, all in float64, whatever the network's dtype:

1. *Along random directions* v over all parameters at once: (L(θ + hv) − L(θ − hv)) / 2h against g·v.
2. *By order*: ``|L(θ + hu) − L(θ) − h g·u|`` must shrink like h² when h is halved. With a wrong gradient it shrinks
   like h¹. This test needs no tolerance. It is done over all parameters at once, and within each parameter.
3. *Entry by entry*, for a sample of each parameter's entries, to locate errors.

At a kink of L (ReLU at 0) the derivative jumps and finite differences are meaningless. A disagreement is therefore
checked again at points close to θ: a kink disappears there, a mistake does not.

If the check fails, every layer, the loss and every penalty are checked on their own, to name the faulty one.

Sources: Chainer's ``check_backward`` (by direction); Griewank and Walther, "Evaluating derivatives" (2008), and the
Taylor test of dolfin-adjoint (by order).
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
