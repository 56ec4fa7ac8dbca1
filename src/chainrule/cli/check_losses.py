"""Losses and penalties, checked at the end of a small network of layers that are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from chainrule import losses
from chainrule.cli.check_result import Check, not_checked
from chainrule.gradient_check import check_gradient
from chainrule.gradient_check.report import order_text
from chainrule.gradient_check.samples import targets
from chainrule.gradient_check.stability import not_finite
from chainrule.layers import Dense, Softmax, Tanh
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.penalties import Penalty

REMEDY = (
    "exp(y) overflows, or log(0) is taken. Subtract the row's maximum before exp, and write log p as "
    "y - log(sum(exp(y)))"
)


def check_loss(loss: Loss, rows: int, seed: int) -> Check:
    """Check a loss: its gradient, and that it is finite for large y."""
    found, t = check_at_the_end("loss", loss, rows, seed, loss=loss), _targets_of_numbers(loss, rows, seed)
    if not found.ok or t is None:
        return found

    def work(y: np.ndarray) -> dict[str, np.ndarray]:
        memo = Memo(training=True)
        values = loss.forward(y, t, memo)
        return {"the loss": np.asarray(values), "dy": np.asarray(loss.backward(t, memo))}

    with np.errstate(all="ignore"):
        what = not_finite(np.random.default_rng(seed).normal(size=(rows, 3)), work, work)
    notes = [f"{what.replace('where x is', 'where y is')}, although the true values are: {REMEDY}"] if what else []
    if t.dtype.kind == "f" and t.ndim == 2 and np.allclose(t.sum(axis=1), 1):
        notes.append("the gradient is right for targets whose rows sum to 1, as one-hot labels and probabilities do")
    return dataclasses.replace(
        found, notes=notes, verdict="\n  ".join([found.verdict, *(f"Note: {n}." for n in notes)])
    )


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
        targets(loss, rows, 3, rng, losses.SoftmaxCrossEntropy().inverse_link(rng.normal(size=(rows, 3))))
    except ValueError:
        raise first from None
    return None


def check_at_the_end(
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
        t = targets(network.loss, rows, 3, rng, losses.SoftmaxCrossEntropy().inverse_link(rng.normal(size=(rows, 3))))
    report = check_gradient(network, rng.normal(size=(rows, 5)), t, penalties=terms, seed=seed)
    if report.unchecked:
        return not_checked(kind, repr(thing), report.unchecked[0])
    said = f"{thing!r} is right: largest relative error {report.error:.1e}, the remainder shrinks as h^"
    verdict = f"{said}{order_text(report.order)}." if report.ok else f"{thing!r} is WRONG:\n  {report.verdict}"
    return Check(
        kind, repr(thing), report.ok, verdict, report.error, report.order, report.parameters, report.suspects,
        description=f"{kind} {thing!r}",
    )  # fmt: skip
