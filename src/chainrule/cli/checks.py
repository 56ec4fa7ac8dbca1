"""What ``chainrule check`` does with each thing that it is given, and what comes out of it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule import layers, losses, penalties
from chainrule._internal.names import public_classes
from chainrule._internal.typing import Array
from chainrule.cli.check_losses import check_at_the_end, check_loss
from chainrule.cli.check_result import Check, not_checked
from chainrule.cli.python_file import Triple
from chainrule.gradient_check import check_function, check_gradient, check_layer, check_optimizer
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.report import order_text
from chainrule.gradient_check.same import copied
from chainrule.gradient_check.samples import input_shape, targets, variants, with_whole_numbers
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.pages.text import columns
from chainrule.penalties import Penalty

KINDS = {
    Network: "network",
    Layer: "layer",
    Loss: "loss",
    Penalty: "penalty",
    Optimizer: "optimizer",
    Triple: "function",
}
"""What can be checked, and what it is called."""


def check(
    name: str, thing: Any, rows: int, seed: int, terms: Sequence[Penalty] = (), inputs: tuple[int, ...] | None = None
) -> Check:
    """Check a network (which has that name), a layer, a loss, ..., whatever it raises; ``inputs`` is for layers."""
    kind = next(word for cls, word in KINDS.items() if isinstance(thing, cls))
    called = name if kind in {"network", "function"} else repr(thing)
    work: dict[str, Callable[[], Check]] = {
        "network": lambda: check_network(name, thing, rows, seed, terms),
        "layer": lambda: _of_layer(thing, rows, seed, inputs),
        "loss": lambda: check_loss(thing, rows, seed),
        "penalty": lambda: check_at_the_end(kind, thing, rows, seed, terms=[thing]),
        "optimizer": lambda: _of_optimizer(thing),
        "function": lambda: _of_function(name, thing, seed),
    }
    try:
        return work[kind]()
    except Exception as error:  # noqa: BLE001  (what is checked is somebody else's code)
        return not_checked(kind, called, describe(error))


def check_network(
    name: str,
    network: Network,
    rows: int,
    seed: int,
    terms: Sequence[Penalty] = (),
    low: float = -1.0,
    high: float = 1.0,
    *,
    at: tuple[Array, Array | None, str] | None = None,
) -> Check:
    """Check dL/dθ of a network at random rows, and each of its layers alone.

    ``at`` are rows, their targets, and what they are, in place of random ones.
    """
    rng = np.random.default_rng(seed)
    X, t, where = at or (None, None, "")
    if X is None:
        X = with_whole_numbers(network.layers[0], rng.uniform(low, high, size=(rows, *network.input_shape)), rng)
    inputs, y = _inputs(network, X, seed)
    if t is None:
        t = targets(network.loss, rows, network.output_shape[0], rng, y)
    alone = [
        check_layer(layer, layer.input_shape, X=x, rows=rows, seed=seed)
        for layer, x in zip(network.layers, inputs, strict=True)
    ]
    faults = [f"layer {i}, {r.layer}: {v}" for i, r in enumerate(alone) for v in r.violations]
    parameters = [
        dataclasses.replace(p, layer=i, name="x alone")
        for i, r in enumerate(alone)
        for p in r.parameters
        if p.name == "x"
    ]
    unchecked = [
        f"layer {i}, {r.layer}: {what}" for i, r in enumerate(alone) if not r.parameters for what in r.unchecked
    ]
    ok, error, order = not faults and not unchecked, math.nan, math.nan
    lines = ["Each layer is right alone; there are no parameters." if ok else f"{name} is WRONG:"]
    if unchecked and not faults:
        lines = [f"{name} cannot be checked:", *(f"{what}." for what in unchecked)]
    elif network.layout.size and not any(v.rule == "passes" for r in alone for v in r.violations):
        whole = check_gradient(network, X, t, penalties=terms, seed=seed)
        unchecked = [*unchecked, *whole.unchecked]
        ok, error, order = ok and whole.ok, whole.error, whole.order
        known = tuple(f"Checked alone, layer {i}," for i, r in enumerate(alone) if not r.ok)
        lines = [line for line in whole.verdict.split("\n  ") if not line.startswith(known)]
        if whole.ok and faults:
            lines[0] += " But not every layer is right:"
        faults = [s for s in whole.suspects if not f"Checked alone, {s}".startswith(known)] + faults
        parameters = sorted([*whole.parameters, *parameters], key=lambda p: p.layer)
    lines += [f"Alone, layer {i}, {r.layer}: {v}." for i, r in enumerate(alone) for v in r.violations]
    verdict = "\n  ".join(lines)
    return Check(
        "network",
        name,
        ok,
        verdict,
        error,
        order,
        parameters,
        faults,
        description=f"{name}: {repr(network).removeprefix('Network: ')}" + (f"\nat {where}" if where else ""),
        unchecked=unchecked,
    )


def _inputs(network: Network, X: np.ndarray, seed: int) -> tuple[list[np.ndarray | None], np.ndarray | None]:
    """Return what comes to each layer, and to the loss; None from where on that cannot be computed."""
    inputs: list[np.ndarray | None] = []
    rng, x = np.random.default_rng(seed), X
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the layers are somebody else's code
        for layer in network.layers:
            if not np.isfinite(x).all() or x.shape[1:] != layer.input_shape:
                break
            inputs.append(x.copy())
            x = np.asarray(copied(layer).forward(x.copy(), Memo(training=True, rng=rng)), np.float64)
        if len(inputs) == len(network.layers) and x.shape == (len(X), *network.output_shape) and np.isfinite(x).all():
            return inputs, x
    return inputs + [None] * (len(network.layers) - len(inputs)), None


def shipped(rows: int, seed: int) -> Iterator[Check]:
    """Check every layer, loss and penalty of the library."""
    for module, base in ((layers, Layer), (losses, Loss), (penalties, Penalty)):
        for cls in public_classes(module, base).values():
            for thing in variants(cls):
                yield check("", thing, rows, seed)


def table(checks: Sequence[Check], width: int | None) -> str:
    """Return one line a check."""
    rows = [("checked", "", "error", "order", "")]
    rows += [(c.name, c.kind, f"{c.error:.1e}", order_text(c.order), c.state) for c in checks]
    return columns(rows, width)


def _of_layer(layer: Layer, rows: int, seed: int, inputs: tuple[int, ...] | None) -> Check:
    if inputs is None:
        with contextlib.suppress(Exception):  # what output raises is said below
            if input_shape(layer) is None:
                why = "it takes none of the usual shapes: give that of a sample, such as --inputs 8,8,1"
                return not_checked("layer", repr(layer), why)
    report = check_layer(layer, inputs, rows=rows, seed=seed)
    return Check(
        "layer", report.layer, report.ok, report.verdict, report.error, report.order, report.parameters,
        list(map(str, report.violations)), report.notes, unchecked=report.unchecked,
    )  # fmt: skip


def _of_optimizer(optimizer: Optimizer) -> Check:
    report = check_optimizer(optimizer)
    return Check(
        "optimizer", report.optimizer, report.ok, report.verdict, report.error,
        faults=list(map(str, report.violations)), unchecked=report.unchecked,
        steps=report.table() if report.steps else "",
    )  # fmt: skip


def _of_function(name: str, triple: Triple, seed: int) -> Check:
    report = check_function(triple.loss, triple.parameters, triple.gradients, seed=seed)
    faults = [] if report.ok or report.unchecked else report.verdict.split("\n  ")
    verdict = report.verdict.replace("The gradient", f"The gradient of {name}", 1)
    return Check(
        "function", name, report.ok, verdict, report.error, report.order, report.parameters, faults,
        unchecked=report.unchecked,
    )  # fmt: skip
