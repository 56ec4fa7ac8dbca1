"""The checks of ``chainrule check``: one for each kind of object, and their results in one form."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import layers, losses, penalties
from chainrule._internal.names import public_classes
from chainrule._internal.typing import Array
from chainrule.cli.python_file import Triple
from chainrule.gradient_check import check_function, check_gradient, check_layer, check_optimizer
from chainrule.gradient_check.failing import describe
from chainrule.gradient_check.report import Report, parameter_table, shrinks
from chainrule.gradient_check.same import copied
from chainrule.gradient_check.samples import input_shape, targets, variants, with_integers
from chainrule.gradient_check.stability import not_finite
from chainrule.layers import Dense, Layer, Softmax, Tanh
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.penalties import Penalty

REMEDY = (
    "exp(y) overflows, or log(0) is taken. Subtract the row's maximum before exp, and write log p as "
    "y - log(sum(exp(y)))"
)


@dataclass(frozen=True, kw_only=True)
class Check(Report):
    """The result of one check: a report with the kind and the name of the object, and a description of it."""

    kind: str
    name: str
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    description: str = ""
    steps: str = ""

    @property
    def wrong(self) -> bool:
        """Whether an error was found; if not, a failed check was only incomplete."""
        return not self.ok and not (self.unchecked and not self.faults)

    @property
    def state(self) -> str:
        """The status shown in a table."""
        return "ok" if self.ok else "WRONG" if self.wrong else "not checked"

    def table(self, width: int | None = None) -> str:
        """Return one line per parameter, or per step of an optimizer."""
        if self.steps or not self.parameters:
            return self.steps
        return parameter_table(self.parameters, width, numbered=self.kind != "layer")

    def to_json(self) -> dict[str, Any]:
        """Return the check as data."""
        found = {"kind": self.kind, "name": self.name, **dataclasses.asdict(self)}
        del found["steps"]
        return found


def _made(kind: str, name: str, report: Report, **more: Any) -> Check:
    known = {f.name: getattr(report, f.name) for f in dataclasses.fields(Report)}
    violations = [str(violation) for violation in getattr(report, "violations", [])]
    return Check(**{**known, "kind": kind, "name": name, "faults": violations, **more})


def _not_checked(kind: str, name: str, why: str) -> Check:
    return Check(kind=kind, name=name, ok=False, verdict=f"{name} cannot be checked:\n  {why}", unchecked=[why])


def check(
    name: str, thing: Any, rows: int, seed: int, terms: Sequence[Penalty] = (), inputs: tuple[int, ...] | None = None
) -> Check:
    """Check a network of this name, a layer, a loss, ..., whatever it raises; ``inputs`` is for layers."""
    table: dict[type, tuple[str, Callable[[], Check]]] = {
        Network: ("network", lambda: check_network(name, thing, rows, seed, terms)),
        Layer: ("layer", lambda: _layer(thing, rows, seed, inputs)),
        Loss: ("loss", lambda: _loss(thing, rows, seed)),
        Penalty: ("penalty", lambda: _penalty(thing, rows, seed)),
        Optimizer: ("optimizer", lambda: _optimizer(thing)),
        Triple: ("function", lambda: _function(name, thing, seed)),
    }
    kind, work = next(found for cls, found in table.items() if isinstance(thing, cls))
    try:
        return work()
    except Exception as error:  # noqa: BLE001  (the object is user code)
        return _not_checked(kind, name if kind in {"network", "function"} else repr(thing), describe(error))


def shipped(rows: int, seed: int) -> Iterator[Check]:
    """Check every built-in layer, loss and penalty."""
    for module, base in ((layers, Layer), (losses, Loss), (penalties, Penalty)):
        for cls in public_classes(module, base).values():
            for thing in variants(cls):
                yield check("", thing, rows, seed)


def check_networks(name: str, networks: Sequence[Network], *arguments: Any, **more: Any) -> list[Check]:
    """Check the network or networks of an estimator; see :func:`check_network`."""
    names = [name] if len(networks) == 1 else [f"{name}, network {i}" for i in range(len(networks))]
    return [check_network(n, network, *arguments, **more) for n, network in zip(names, networks, strict=True)]


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
    """Check dL/dθ of a network at random rows, and each of its layers on its own.

    ``at`` gives rows, their targets and a description of them, in place of random rows.
    """
    rng = np.random.default_rng(seed)
    X, t, where = at or (None, None, "")
    if X is None:
        X = with_integers(network.layers[0], rng.uniform(low, high, size=(rows, *network.input_shape)), rng)
    inputs, y = _inputs(network, X, seed)
    if t is None:
        t = targets(network.loss, rows, network.output_shape[0], rng, y)
    alone = [
        check_layer(layer, layer.input_shape, X=x, rows=rows, seed=seed)
        for layer, x in zip(network.layers, inputs, strict=True)
    ]
    places = [f"layer {i}, {r.layer}" for i, r in enumerate(alone)]
    faults = [f"{place}: {v}" for place, r in zip(places, alone, strict=True) for v in r.violations]
    unchecked = [
        f"{place}: {what}" for place, r in zip(places, alone, strict=True) if not r.parameters for what in r.unchecked
    ]
    parameters = [
        dataclasses.replace(p, layer=i, name="x alone")
        for i, r in enumerate(alone)
        for p in r.parameters
        if p.name == "x"
    ]
    own_faults = [f"On its own, {fault}." for fault in faults]
    ok, error, order = not faults and not unchecked, math.nan, math.nan
    lines = ["Each layer passes on its own; the network has no parameters." if ok else f"{name} is WRONG:"]
    if unchecked and not faults:
        lines = [f"{name} cannot be checked:", *(f"{what}." for what in unchecked)]
    elif network.layout.size and not any(v.rule == "passes" for r in alone for v in r.violations):
        whole = check_gradient(network, X, t, penalties=terms, seed=seed)
        unchecked = [*unchecked, *whole.unchecked]
        ok, error, order = ok and whole.ok, whole.error, whole.order
        known = tuple(f"layer {i}," for i, r in enumerate(alone) if not r.ok)
        said = tuple(f"Checked on its own, {place}" for place in known)
        lines = [line for line in whole.verdict.split("\n  ") if not line.startswith(said)]
        if whole.ok and faults:
            lines[0] += " But some layers fail on their own:"
        faults = [s for s in whole.suspects if not s.startswith(known)] + faults
        parameters = sorted([*whole.parameters, *parameters], key=lambda p: p.layer)
    description = f"{name}: {repr(network).removeprefix('Network: ')}" + (f"\nat {where}" if where else "")
    return Check(
        kind="network", name=name, ok=ok, verdict="\n  ".join([*lines, *own_faults]), error=error, order=order,
        parameters=parameters, faults=faults, description=description, unchecked=unchecked,
    )  # fmt: skip


def _inputs(network: Network, X: np.ndarray, seed: int) -> tuple[list[np.ndarray | None], np.ndarray | None]:
    """Return the inputs of each layer and of the loss; None where they cannot be computed."""
    inputs: list[np.ndarray | None] = []
    rng, x = np.random.default_rng(seed), X
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the layers are user code
        for layer in network.layers:
            if not np.isfinite(x).all() or x.shape[1:] != layer.input_shape:
                break
            inputs.append(x.copy())
            x = np.asarray(copied(layer).forward(x.copy(), Memo(training=True, rng=rng)), np.float64)
        if len(inputs) == len(network.layers) and x.shape == (len(X), *network.output_shape) and np.isfinite(x).all():
            return inputs, x
    return inputs + [None] * (len(network.layers) - len(inputs)), None


def _layer(layer: Layer, rows: int, seed: int, inputs: tuple[int, ...] | None) -> Check:
    if inputs is None:
        with contextlib.suppress(Exception):  # the check below reports errors of output
            if input_shape(layer) is None:
                why = "it accepts none of the usual shapes: give the shape of a sample, such as --inputs 8,8,1"
                return _not_checked("layer", repr(layer), why)
    report = check_layer(layer, inputs, rows=rows, seed=seed)
    return _made("layer", report.layer, report, notes=report.notes)


def _optimizer(optimizer: Optimizer) -> Check:
    report = check_optimizer(optimizer)
    return _made("optimizer", report.optimizer, report, steps=report.table())


def _function(name: str, triple: Triple, seed: int) -> Check:
    report = check_function(triple.loss, triple.parameters, triple.gradients, seed=seed)
    faults = [] if report.ok or report.unchecked else report.verdict.split("\n  ")
    verdict = report.verdict.replace("The gradient", f"The gradient of {name}", 1)
    return _made("function", name, report, verdict=verdict, faults=faults)


def _loss(loss: Loss, rows: int, seed: int) -> Check:
    """Check the gradient of a loss, and that the loss is finite for large y."""
    network, t = _small(loss, rows, seed)
    found = _at_the_end("loss", loss, network, t, seed)
    if not found.ok or isinstance(network.layers[-1], Softmax):
        return found

    def work(y: np.ndarray) -> dict[str, np.ndarray]:
        memo = Memo(training=True)
        values = loss.forward(y, t, memo)
        return {"the loss": np.asarray(values), "dy": np.asarray(loss.backward(t, memo))}

    with np.errstate(all="ignore"):
        what = not_finite(np.random.default_rng(seed).normal(size=(rows, 3)), work, work)
    notes = [f"{what.replace('if x is', 'if y is')}, although the true values are: {REMEDY}"] if what else []
    if t.dtype.kind == "f" and t.ndim == 2 and np.allclose(t.sum(axis=1), 1):
        notes.append("the gradient is correct for targets whose rows sum to 1, such as one-hot labels or probabilities")
    verdict = "\n  ".join([found.verdict, *(f"Note: {n}." for n in notes)])
    return dataclasses.replace(found, notes=notes, verdict=verdict)


def _penalty(penalty: Penalty, rows: int, seed: int) -> Check:
    return _at_the_end("penalty", penalty, *_small("squared_error", rows, seed), seed, [penalty])


def _small(loss: Loss | str, rows: int, seed: int) -> tuple[Network, Array]:
    """Return a small network of correct layers with this loss, and targets; it ends in Softmax if y must be p."""
    rng = np.random.default_rng(seed)
    stack = [Dense(4, biases="normal"), Tanh(), Dense(3, biases="normal")]
    network = Network(5, stack, loss, seed=seed, dtype="float64")
    try:
        return network, targets(network.loss, rows, 3, rng)
    except NotImplementedError:
        raise
    except ValueError as error:
        first = error
    p = losses.SoftmaxCrossEntropy().inverse_link(rng.normal(size=(rows, 3)))
    try:
        t = targets(network.loss, rows, 3, rng, p)
    except ValueError:
        raise first from None
    return Network(5, [*stack, Softmax()], loss, seed=seed, dtype="float64"), t


def _at_the_end(
    kind: str, thing: Loss | Penalty, network: Network, t: Array, seed: int, terms: Sequence[Penalty] = ()
) -> Check:
    """Check a loss or a penalty on a small network of correct layers."""
    X = np.random.default_rng(seed).normal(size=(len(t), 5))
    report = check_gradient(network, X, t, penalties=terms, seed=seed)
    if report.unchecked:
        return _not_checked(kind, repr(thing), report.unchecked[0])
    verdict = f"{thing!r} is correct: largest relative error {report.error:.1e}; {shrinks(report.order)}."
    verdict = verdict if report.ok else f"{thing!r} is WRONG:\n  {report.verdict}"
    return _made(kind, repr(thing), report, verdict=verdict, faults=report.suspects, description=f"{kind} {thing!r}")
