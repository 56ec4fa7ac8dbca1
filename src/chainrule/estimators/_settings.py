"""Translation of an estimator's parameters to layers, optimizer and penalties. ``e`` is the estimator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import layers as layers_module
from chainrule import optimizers
from chainrule._internal.checks import check_real
from chainrule._internal.names import lookup, public_classes
from chainrule.layers import Layer
from chainrule.layers.base import as_layers
from chainrule.optimizers import Optimizer
from chainrule.penalties import L1, L2, Constraint, MaxNorm, Penalty

ACTIVATIONS = public_classes(layers_module, layers_module.Activation) | {"logistic": layers_module.Sigmoid}
NAMES = {
    r"^t: ": "y: ",
    r"each column of t\.": "each column of y.",
    r"\(t \+ 1\) / 2": "(y + 1) / 2",
    r"^validation X: ": "X_val: ",
    r"clip=ClipNorm\(1\.0\)": "gradient_clip=1.0",
    r"a learning rate ten times smaller": "a learning_rate_init ten times smaller",
    r"build the network with dtype='float64'": "set dtype='float64'",
    r"Train with validation=0\.1\.": "Give validation rows, fit(X, y, X_val=X_val, y_val=y_val).",
}
"""Names used by :func:`train`, and the estimators' names for them."""

OPTIMIZERS = {name.lower(): cls for name, cls in public_classes(optimizers, Optimizer).items()}
SOLVERS = {"lbfgs", *OPTIMIZERS}


def network_dtype(e: Any, X: Any) -> Any:
    """Return the network's dtype: ``dtype`` if given, else that of X."""
    return e.dtype or (X.dtype if X.dtype.kind == "f" else np.dtype("float64"))


def hidden_activations(e: Any, count: int) -> list[type[Layer]]:
    """Return the activation of each hidden layer."""
    names = [e.activation] * count if isinstance(e.activation, str) else list(e.activation)
    if len(names) != count:
        raise ValueError(f"activation: expected one name or {count}, one for each hidden layer, got {len(names)}.")
    return [lookup("activation", name, ACTIVATIONS) for name in names]


def hidden_norm(e: Any) -> type[Layer] | None:
    """Return the layer that normalizes between each hidden layer's product and its activation, if one does."""
    if e.batch_norm and e.layer_norm:
        raise ValueError("batch_norm and layer_norm: expected at most one, got both.")
    return layers_module.BatchNorm if e.batch_norm else layers_module.LayerNorm if e.layer_norm else None


def hidden_dropouts(e: Any, count: int) -> list[float]:
    """Return the dropout rate after each hidden layer."""
    rates = list(e.dropout) if isinstance(e.dropout, Iterable) else [e.dropout] * count
    if len(rates) != count:
        raise ValueError(f"dropout: expected one rate or {count}, one for each hidden layer, got {len(rates)}.")
    return [check_real(type(e).__name__, "dropout", rate, 0, 1, open_high=True) for rate in rates]


def is_lbfgs(e: Any) -> bool:
    """Return whether the solver is L-BFGS, which uses all rows in every step."""
    return isinstance(e.solver, str) and e.solver == "lbfgs"


def check_lbfgs(e: Any, held_out: Any) -> None:
    """Raise an error for parameters incompatible with L-BFGS, which minimizes one smooth function of all rows."""
    cannot = {
        "dropout": np.any(e.dropout),
        "input_dropout": e.input_dropout,
        "max_norm": e.max_norm is not None,
        "gradient_clip": e.gradient_clip is not None,
        "callbacks": e.callbacks,
        "progress": e.progress,
        "resume": e.resume is not None,
        "device": e.device not in (None, "cpu"),
        "X_val": held_out is not None,
        "random layers": e.layers is not None and _draw(as_layers("layers", e.layers)),
    }
    if is_lbfgs(e) and (given := [name for name, value in cannot.items() if value]):
        raise ValueError(f"solver='lbfgs' cannot use {', '.join(given)}: choose 'adam' or another solver.")


def _draw(layers: Sequence[Layer]) -> bool:
    return any(layer.random or _draw(layer.inner) for layer in layers)


def build_optimizer(e: Any) -> Optimizer:
    """Return the optimizer that ``solver`` names, with the estimator's parameters that it takes."""
    if isinstance(e.solver, Optimizer):
        return e.solver
    cls = _optimizer_class(e)
    arguments = {name: getattr(e, "alpha" if name == "weight_decay" else name) for name in cls.estimator_arguments}
    if cls is optimizers.Adam:
        arguments["epsilon_hat"] = True  # scikit-learn's form
    optimizer: Optimizer = cls(learning_rate=e.learning_rate_init, **arguments)
    return optimizer


def _optimizer_class(e: Any) -> Any:
    if e.solver == "sgd":  # in scikit-learn it has momentum
        return optimizers.Nesterov if e.nesterovs_momentum else optimizers.Momentum
    return OPTIMIZERS[e.solver]


def build_penalties(e: Any) -> list[Penalty | Constraint]:
    """Return alpha as L2 over the rows of the batch (unless it is the solver's own weight decay), L1 and the bound."""
    named = isinstance(e.solver, str) and not is_lbfgs(e)
    decoupled = named and "weight_decay" in _optimizer_class(e).estimator_arguments
    terms: list[Penalty | Constraint] = [] if decoupled else [L2(e.alpha, per_row=True)]
    if e.l1:
        terms.append(L1(e.l1, per_row=True))
    if e.max_norm is not None:
        terms.append(MaxNorm(e.max_norm))
    return terms
