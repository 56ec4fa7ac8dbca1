"""Fitting with SciPy's L-BFGS on the vector of all parameters. The estimator ``e`` is read, the record is written."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.threads import blas_threads, choose_threads
from chainrule._internal.typing import Array
from chainrule.estimators._record import FitRecord
from chainrule.estimators._settings import build_penalties
from chainrule.penalties import BoundPenalties, Penalty


def fit_lbfgs(e: Any, record: FitRecord, X: Any, y: Array, weight: Array | None) -> bool:
    """Run SciPy's L-BFGS on theta, with all rows in every step. Return whether Ctrl-C ended it."""
    from scipy.optimize import minimize  # noqa: PLC0415
    from sklearn.utils.optimize import _check_optimize_result  # noqa: PLC0415

    network = record.network_
    x, targets, weight = network.check(X, y, weight)
    workspace = network.workspace(x.shape[0], seed=0)
    penalties = [p for p in build_penalties(e) if isinstance(p, Penalty)]
    bound = BoundPenalties(penalties, network.layout, len(network.layers), network.theta, workspace.grad)
    rows = float(x.shape[0] if weight is None else weight.sum())
    # scikit-learn's squared error is a mean over the outputs, while its gradient is that of their sum.
    divisor = e._loss_divisor()

    def objective(theta: Array) -> tuple[float, Array]:
        network.theta = theta
        value, grad = network.loss_and_grad(x, targets, workspace, weight)
        bound.add_gradient(rows)
        return value / divisor + bound.value(rows), grad.astype(np.float64)

    def report(intermediate_result: Any) -> None:
        record.n_iter_ += 1
        if e.verbose:
            print(f"Iteration {record.n_iter_}, loss = {intermediate_result.fun:.8f}")  # noqa: T201
        if interrupted():
            raise StopIteration  # SciPy ends with the parameters of this iteration

    record.n_iter_ = 0
    options = {"maxfun": e.max_fun, "maxiter": e.max_iter, "gtol": e.tol}
    start = network.theta.astype(np.float64)
    threads = choose_threads(x.shape[0] * max(w.size for w in network.weights)).blas
    with blas_threads(threads), deferred_interrupt() as interrupted:
        result = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=report)
    stopped = interrupted()
    if stopped:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    else:
        record.n_iter_ = _check_optimize_result("lbfgs", result, e.max_iter)
    record.loss_ = result.fun
    network.theta = result.x
    if network.statistics.size:
        network.forward(x, workspace)
        network.update_statistics(workspace, momentum=0.0)  # the batch is all rows
    return stopped
