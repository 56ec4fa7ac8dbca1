"""What ``chainrule check`` does with each thing that it is given, and what comes out of it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import layers, losses, penalties
from chainrule._names import public_classes
from chainrule.gradient_check import LayerReport, check_gradient, check_layer
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.report import ParameterCheck, aligned, order_text, parameter_table
from chainrule.gradient_check.same import copied
from chainrule.gradient_check.samples import targets, variants, with_whole_numbers
from chainrule.layers import Dense, Layer, Tanh
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.penalties import Penalty


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes
    ----------
    kind : "network", "layer", "loss" or "penalty"
    name, description : str
    ok : bool
    error, order : float
    parameters : list of ParameterCheck
    faults, notes : list of str
    verdict : str
    """

    kind: str
    name: str
    ok: bool
    verdict: str
    error: float = math.nan
    order: float = math.nan
    parameters: list[ParameterCheck] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    description: str = ""

    def table(self, width: int | None) -> str:
        """Return one line a parameter."""
        return parameter_table(self.parameters, width, numbered=self.kind != "layer")

    def to_json(self) -> dict[str, Any]:
        """Return it as data; what is not a number is None."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


def check(name: str, thing: Any, rows: int, seed: int, terms: Sequence[Penalty] = ()) -> Check:
    """Check a network (which has that name), a layer, a loss or a penalty, whatever it raises."""
    try:
        if isinstance(thing, Network):
            return check_network(name, thing, rows, seed, terms)
        if isinstance(thing, Layer):
            return _of_layer(check_layer(thing, rows=rows, seed=seed))
        if isinstance(thing, Loss):
            return _alone("loss", thing, rows, seed, loss=thing)
        return _alone("penalty", thing, rows, seed, terms=[thing])
    except Exception as error:  # noqa: BLE001  (what is checked is somebody else's code)
        kinds = {Network: "network", Layer: "layer", Loss: "loss", Penalty: "penalty"}
        kind = next(word for cls, word in kinds.items() if isinstance(thing, cls))
        called = name if kind == "network" else repr(thing)
        what = f"it cannot be checked: {describe(error)}"
        return Check(kind, called, False, f"{called} is WRONG:\n  {what}", faults=[what])


def check_network(
    name: str,
    network: Network,
    rows: int,
    seed: int,
    terms: Sequence[Penalty] = (),
    low: float = -1.0,
    high: float = 1.0,
) -> Check:
    """Check dL/dθ of a network at random rows, and each of its layers alone."""
    rng = np.random.default_rng(seed)
    X = with_whole_numbers(network.layers[0], rng.uniform(low, high, size=(rows, *network.input_shape)), rng)
    t = targets(network.loss, rows, network.output_shape[0], rng)
    alone = [
        check_layer(layer, layer.input_shape, X=x, rows=rows, seed=seed)
        for layer, x in zip(network.layers, _inputs(network, X, seed), strict=True)
    ]
    faults = [f"layer {i}, {r.layer}: {v}" for i, r in enumerate(alone) for v in r.violations]
    parameters = [
        dataclasses.replace(p, layer=i, name="x alone")
        for i, r in enumerate(alone)
        for p in r.parameters
        if p.name == "x"
    ]
    ok, error, order = not faults, math.nan, math.nan
    lines = ["Each layer is right alone; there are no parameters." if ok else f"{name} is WRONG:"]
    if network.layout.size and not any(v.rule == "passes" for r in alone for v in r.violations):
        whole = check_gradient(network, X, t, penalties=terms, seed=seed)
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
        description=f"{name}: {repr(network).removeprefix('Network: ')}",
    )


def _inputs(network: Network, X: np.ndarray, seed: int) -> list[np.ndarray | None]:
    """Return what comes to each layer; None from where on that cannot be computed."""
    inputs: list[np.ndarray | None] = []
    rng, x = np.random.default_rng(seed), X
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the layers are somebody else's code
        for layer in network.layers:
            if not np.isfinite(x).all() or x.shape[1:] != layer.input_shape:
                break
            inputs.append(x.copy())
            x = np.asarray(copied(layer).forward(x.copy(), Memo(training=True, rng=rng)))
    return inputs + [None] * (len(network.layers) - len(inputs))


def shipped(rows: int, seed: int) -> Iterator[Check]:
    """Check every layer, loss and penalty of the library."""
    for module, base in ((layers, Layer), (losses, Loss), (penalties, Penalty)):
        for cls in public_classes(module, base).values():
            for thing in variants(cls):
                yield check("", thing, rows, seed)


def table(checks: Sequence[Check], width: int | None) -> str:
    """Return one line a check."""
    rows = [("checked", "", "error", "order", "")]
    rows += [(c.name, c.kind, f"{c.error:.1e}", order_text(c.order), "ok" if c.ok else "WRONG") for c in checks]
    return aligned(rows, width)


def _of_layer(report: LayerReport) -> Check:
    return Check(
        "layer", report.layer, report.ok, report.verdict, report.error, report.order, report.parameters,
        list(map(str, report.violations)), report.notes,
    )  # fmt: skip


def _alone(
    kind: str,
    thing: Loss | Penalty,
    rows: int,
    seed: int,
    loss: Loss | str = "squared_error",
    terms: Sequence[Penalty] = (),
) -> Check:
    """Check a loss or a penalty on a small network of layers that are right."""
    rng = np.random.default_rng(seed)
    stack = [Dense(4, biases="normal"), Tanh(), Dense(3, biases="normal")]
    network = Network(5, stack, loss, seed=seed, dtype="float64")
    t = targets(network.loss, rows, 3, rng)
    report = check_gradient(network, rng.normal(size=(rows, 5)), t, penalties=terms, seed=seed)
    said = f"{thing!r} is right: largest relative error {report.error:.1e}, the remainder shrinks as h^"
    verdict = f"{said}{order_text(report.order)}." if report.ok else f"{thing!r} is WRONG:\n  {report.verdict}"
    return Check(
        kind, repr(thing), report.ok, verdict, report.error, report.order, report.parameters, report.suspects,
        description=f"{kind} {thing!r}",
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value
