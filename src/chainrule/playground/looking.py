"""Looking closer: one row through the network, the gradient check, L around the parameters, a sweep of rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.gradient_check import check_gradient
from chainrule.network import Network
from chainrule.playground.bounds import RefusedError, check_list, check_whole
from chainrule.playground.frames import finite
from chainrule.playground.state import Plan
from chainrule.tracing.example import trace
from chainrule.tracing.operations import Operation
from chainrule.training.rate_finder import lr_range_test

MOST = 4096  # entries of an array that a trace sends
TRACED = 20_000  # parameters
CHECKED, SURFACED = 16, 500  # rows
WORK = 2_000_000_000  # values read for a surface, a second or two: large networks have fewer rows
SIDE, REACH = 25, 1.0  # points along a side of the surface, and their distance relative to the parameters


def inspect(plan: Plan, network: Network, sample: Any, entries: Any = None) -> dict[str, Any]:
    """Return the worked example of one training row; ``entries`` has those to work out, by layer and gradient."""
    sample = check_whole("inspect", sample, 0, len(plan.rows.X) - 1)
    if network.layout.size > TRACED:
        raise RefusedError(
            "inspect", f"inspect: {network.layout.size:,} parameters are too many to show: at most {TRACED:,}."
        )
    row, t = plan.rows.X[sample], plan.rows.t[sample]
    found = trace(network, row, t, optimizer=plan.optimizer, entries=_entries(entries))
    return {
        "type": "trace",
        "sample": sample,
        "value": found.value,
        "value_after": finite(found.value_after),
        "prediction": found.prediction[0].tolist(),
        "steps": [_operation(step) for step in found.steps],
    }


def _entries(value: Any) -> dict[int | str, dict[str, list[int]]]:
    """Return the entries of a message, whose layers are texts, as JSON has names."""
    about, layers = "inspect", {} if value is None else value
    if not isinstance(layers, dict) or not all(isinstance(names, dict) for names in layers.values()):
        raise RefusedError(about, 'inspect: entries: expected {"0": {"dW": [1, 2]}}.')
    return {
        int(layer) if layer.isdecimal() and len(layer) < 4 else layer[:20]: {
            name: [check_whole(about, i, 0, 2**31) for i in check_list(about, index, 8)]
            for name, index in names.items()
        }
        for layer, names in layers.items()
    }


def _operation(step: Operation) -> dict[str, Any]:
    return {
        "phase": step.phase,
        "layer": step.layer,
        "title": step.title,
        "shapes": step.shapes,
        "equations": list(step.equations),
        "arrays": [
            {
                "name": matrix.name,
                "shape": list(matrix.values.shape),
                "values": None if matrix.values.size > MOST else [finite(v) for v in matrix.values.ravel().tolist()],
                "marked": None if matrix.entry is None else list(matrix.entry),
            }
            for matrix in step.arrays
        ],
        "worked": list(step.worked),
        "checks": [
            {
                "entry": c.entry, "analytic": finite(c.analytic), "numeric": finite(c.numeric), "h": c.h, "ok": c.ok,
                "quotient": c.quotient, "measure": c.measure,
            }
            for c in step.checks
        ],
        "symbols": {name: finite(value) for name, value in step.symbols.items()},
        "code": [{"title": code.title, "text": code.text} for code in step.code],
    }  # fmt: skip


def verdict(plan: Plan, network: Network) -> dict[str, Any]:
    """Return the gradient check of the network with its loss and penalties, on a few training rows."""
    report = check_gradient(network, plan.rows.X[:CHECKED], plan.rows.t[:CHECKED], penalties=plan.penalties)
    return {
        "type": "verdict",
        "ok": report.ok,
        "text": report.verdict,
        "error": finite(report.error),
        "order": finite(report.order),
        "parameters": [
            {"name": p.name, "layer": p.layer, "state": p.state, "hint": p.hint, "error": finite(p.error)}
            for p in report.parameters
        ],
    }


def surface(plan: Plan, network: Network, path: list[Array]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return L of some training rows over a plane through the parameters, and the path of training on it.

    The first direction is that in which training came here, from the farthest point of ``path``; the second is drawn
    with the seed and made orthogonal to it.
    """
    rows = plan.rows
    theta, other = network.theta.copy(), plan.network()
    other.values[:] = network.values
    rng = np.random.default_rng(plan.seed)
    way = max((p - theta for p in path), key=np.linalg.norm, default=np.zeros_like(theta))
    first = way if np.linalg.norm(way) > 0 else rng.normal(size=theta.size)
    first = first / np.linalg.norm(first)
    second = rng.normal(size=theta.size)
    second -= np.dot(second, first) * first
    second /= max(float(np.linalg.norm(second)), 1e-12)
    places = [((p - theta) @ first, (p - theta) @ second) for p in (*path, theta)]
    reach = max(REACH, 1.25 * float(np.abs(places).max()))
    steps = np.linspace(-reach, reach, SIDE)
    work = sum(layer.operations() for layer in network.layers)
    count = max(CHECKED, min(SURFACED, WORK // (SIDE * SIDE * work)))
    X, t, _ = other.check(rows.X[:count], rows.t[:count])
    loss = np.empty((SIDE, SIDE))
    with np.errstate(all="ignore"):
        for i, v in enumerate(steps):
            for j, u in enumerate(steps):
                other.theta = theta + u * first + v * second
                loss[i, j] = plan.loss.value(other.logits(X), t)
    return {"kind": "surface"}, {"loss": loss, "steps": steps, "path": np.array(places)}


def sweep(plan: Plan, network: Network) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the losses of a learning-rate range test, which trains a copy."""
    rows = plan.rows
    found = lr_range_test(
        network, rows.X, rows.t, optimizer=plan.optimizer, batch_size=plan.batch_size, penalties=plan.penalties,
        seed=plan.training_seed,
    )  # fmt: skip
    suggestion = None if found.suggestion is None else finite(found.suggestion)
    return {"kind": "sweep", "suggestion": suggestion}, {"rate": found.rates, "loss": found.losses}
