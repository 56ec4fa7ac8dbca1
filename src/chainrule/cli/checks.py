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
from chainrule.cli.python_file import Triple
from chainrule.gradient_check import check_function, check_gradient, check_layer, check_optimizer
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.report import ParameterCheck, aligned, order_text, parameter_table
from chainrule.gradient_check.same import copied
from chainrule.gradient_check.samples import input_shape, targets, variants, with_whole_numbers
from chainrule.gradient_check.stability import not_finite
from chainrule.layers import Dense, Layer, Softmax, Tanh
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import Penalty


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes
    ----------
    kind : "network", "layer", "loss", "penalty", "optimizer" or "function"
    name, description : str
    ok : bool
    error, order : float
    parameters : list of ParameterCheck
    faults, notes, unchecked : list of str
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
    unchecked: list[str] = field(default_factory=list)
    steps: str = ""

    @property
    def wrong(self) -> bool:
        """Whether something was found, and not just left open."""
        return not self.ok and not (self.unchecked and not self.faults)

    @property
    def state(self) -> str:
        """What a table says of it."""
        return "ok" if self.ok else "WRONG" if self.wrong else "not checked"

    def table(self, width: int | None) -> str:
        """Return one line a parameter, or a step of an optimizer."""
        if self.steps:
            return self.steps
        return parameter_table(self.parameters, width, numbered=self.kind != "layer")

    def to_json(self) -> dict[str, Any]:
        """Return it as data; what is not a number is None."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items() if key != "steps"}


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
    try:
        if isinstance(thing, Network):
            return check_network(name, thing, rows, seed, terms)
        if isinstance(thing, Layer):
            return _of_layer(thing, rows, seed, inputs)
        if isinstance(thing, Optimizer):
            return _of_optimizer(thing)
        if isinstance(thing, Triple):
            return _of_function(name, thing, seed)
        if isinstance(thing, Loss):
            return _of_loss(thing, rows, seed)
        return _alone(kind, thing, rows, seed, terms=[thing])
    except Exception as error:  # noqa: BLE001  (what is checked is somebody else's code)
        return _not_checked(kind, called, describe(error))


def _not_checked(kind: str, called: str, why: str) -> Check:
    return Check(kind, called, False, f"{called} cannot be checked:\n  {why}", unchecked=[why])


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
    inputs, y = _inputs(network, X, seed)
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
        description=f"{name}: {repr(network).removeprefix('Network: ')}",
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
    return aligned(rows, width)


def _of_layer(layer: Layer, rows: int, seed: int, inputs: tuple[int, ...] | None) -> Check:
    if inputs is None:
        with contextlib.suppress(Exception):  # what output raises is said below
            if input_shape(layer) is None:
                why = "it takes none of the usual shapes: give that of a sample, such as --inputs 8,8,1"
                return _not_checked("layer", repr(layer), why)
    report = check_layer(layer, inputs, rows=rows, seed=seed)
    return Check(
        "layer", report.layer, report.ok, report.verdict, report.error, report.order, report.parameters,
        list(map(str, report.violations)), report.notes, unchecked=report.unchecked,
    )  # fmt: skip


def _of_optimizer(optimizer: Optimizer) -> Check:
    report = check_optimizer(optimizer)
    return Check(
        "optimizer", report.optimizer, report.ok, report.verdict, report.error,
        faults=list(map(str, report.violations)), unchecked=report.unchecked, steps=report.table() if report.steps else "",
    )  # fmt: skip


def _of_function(name: str, triple: Triple, seed: int) -> Check:
    report = check_function(triple.loss, triple.parameters, triple.gradients, seed=seed)
    faults = [] if report.ok or report.unchecked else report.verdict.split("\n  ")
    verdict = report.verdict.replace("The gradient", f"The gradient of {name}", 1)
    return Check(
        "function", name, report.ok, verdict, report.error, report.order, report.parameters, faults,
        unchecked=report.unchecked,
    )  # fmt: skip


def _of_loss(loss: Loss, rows: int, seed: int) -> Check:
    """Check a loss: its gradient, and that it is finite for large y."""
    found, t = _alone("loss", loss, rows, seed, loss=loss), _targets_of_numbers(loss, rows, seed)
    if not found.ok or t is None:
        return found

    def work(y: np.ndarray) -> dict[str, np.ndarray]:
        memo = Memo(training=True)
        values = loss.forward(y, t, memo)
        return {"the loss": np.asarray(values), "dy": np.asarray(loss.backward(t, memo))}

    with np.errstate(all="ignore"):
        what = not_finite(np.random.default_rng(seed).normal(size=(rows, 3)), work, work)
    notes = [f"{what.replace('where x is', 'where y is')}, although the true values are: {LOSS_REMEDY}"] if what else []
    if t.dtype.kind == "f" and t.ndim == 2 and np.allclose(t.sum(axis=1), 1):
        notes.append("the gradient is right for targets whose rows sum to 1, as one-hot labels and probabilities do")
    return dataclasses.replace(
        found, notes=notes, verdict="\n  ".join([found.verdict, *(f"Note: {n}." for n in notes)])
    )


LOSS_REMEDY = "exp(y) overflows, or log(0) is taken. Subtract the row's maximum before exp, and write log p as y - log(sum(exp(y)))"


def _targets_of_numbers(loss: Loss, rows: int, seed: int) -> np.ndarray | None:
    """Return targets for a y of any numbers; None where the loss is finite for none, because it wants probabilities."""
    try:
        return targets(loss, rows, 3, np.random.default_rng(seed))
    except NotImplementedError:
        raise
    except ValueError as error:
        first = error
    rng = np.random.default_rng(seed)
    try:
        targets(loss, rows, 3, rng, losses.SoftmaxCrossEntropy().link(rng.normal(size=(rows, 3))))
    except ValueError:
        raise first from None
    return None


LOSS_REMEDY = "exp(y) overflows, or log(0) is taken. Subtract the row's maximum before exp, and write log p as y - log(sum(exp(y)))"


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
    t = _targets_of_numbers(network.loss, rows, seed)
    if t is None:  # it may want probabilities
        network = Network(5, [*stack, Softmax()], loss, seed=seed, dtype="float64")
        t = targets(network.loss, rows, 3, rng, losses.SoftmaxCrossEntropy().link(rng.normal(size=(rows, 3))))
    report = check_gradient(network, rng.normal(size=(rows, 5)), t, penalties=terms, seed=seed)
    if report.unchecked:
        return _not_checked(kind, repr(thing), report.unchecked[0])
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
