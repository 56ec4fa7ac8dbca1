"""Checking one layer on its own: its gradient, and the rules of the layer contract."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count, check_numbers, check_real
from chainrule._internal.typing import Array, ArrayLike
from chainrule.gradient_check.bench import Bench
from chainrule.gradient_check.blame import check_alone
from chainrule.gradient_check.contract import RULES, Violation, violations
from chainrule.gradient_check.failing import UnfinishedError, pass_of, raised
from chainrule.gradient_check.laws import explained
from chainrule.gradient_check.network import check_gradient
from chainrule.gradient_check.notes import notes
from chainrule.gradient_check.report import MOVE, Report, parameter_table, shrinks
from chainrule.gradient_check.same import listed
from chainrule.layers import Layer
from chainrule.memo import Memo
from chainrule.parameters import Shape


@dataclass(frozen=True, kw_only=True)
class LayerReport(Report):
    """The result of :func:`check_layer`: true if the layer is correct; prints as a table with a verdict.

    Attributes
    ----------
    ok : bool
    layer : str
    input_shape, output_shape : tuple of int
        Shapes of one sample.
    error : float
        The largest relative error of dx and of the parameters' gradients; NaN if the passes did not run.
    order : float
        The order at which the Taylor remainder shrinks: 2 if the gradient is correct, 1 if it is wrong; NaN if the
        passes did not run.
    parameters : list of ParameterCheck
        dx and the gradient of every parameter.
    violations : list of Violation
        Each with the name of its ``rule`` and a description, ``what``.
    notes : list of str
        Remarks that are not errors.
    verdict : str
    unchecked : list of str
        Reasons why the layer could not be checked: ``ok`` is then false, although no rule is known to be broken.
    """

    layer: str
    input_shape: Shape
    output_shape: Shape
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self, width: int | None = None) -> str:
        return parameter_table(self.parameters, width, numbered=False) if self.parameters else ""


def check_layer(
    layer: Layer,
    inputs: int | Shape | None = None,
    *,
    rows: int = 8,
    X: ArrayLike | None = None,
    entries: int | None = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> LayerReport:
    """Check a custom layer: dx, every dW, and the rules of the layer contract; explain any errors.

    .. formula::

        L = mean ½ ‖layer(x₀ + x) − t‖²  over the rows           dL/dx, dL/dW  at x = 0, in float64

    The rules, by name: *passes* run and have the right shapes; *dtype*: float32 stays float32; *x and dy* are not
    written to, nor are *parameters* and other *state* of ``self``; the *seed* decides what is drawn; *planned buffers*
    give the same results as new memory; *reuse*: a batch after a longer one is correct, and gradients do not
    accumulate; *re-entrancy*: two batches in flight; *prediction* is the same with and without a workspace; *rows* do
    not depend on each other in prediction; *backward in prediction* also runs; *dx_wanted*: dW is set even without dx;
    *threads*; *stability*: y and dx are finite for large x.

    Parameters
    ----------
    layer : Layer
        The layer; it is not modified. A layer of a network is checked with its parameters.
    inputs : int or tuple of int, optional
        The shape of one sample of x. By default the first shape it accepts of: 5 numbers, a small image, a sequence.
    rows : int
        Number of rows in a batch, at least 2.
    X : (rows, inputs) array, optional
        The x at which to check, for a layer that does not accept all numbers; random by default.
    entries : int or None
        Number of entries of dx and of each parameter, drawn at random; None for all.
    tolerance : float
        Largest relative error that passes.
    seed : int
        Random seed.

    Returns
    -------
    LayerReport

    Raises
    ------
    TypeError, ValueError
        If ``layer`` is not a Layer, or does not accept the inputs.

    Examples
    --------
    >>> import chainrule as cr
    >>> class Sine(cr.Layer):
    ...     def forward(self, x, memo):
    ...         memo.x = x
    ...         return np.sin(x)
    ...     def backward(self, dy, memo):
    ...         return -dy * np.cos(memo.x)            # a mistake: d sin(x)/dx = cos(x)
    >>> print(check_layer(Sine()).verdict)
    Sine() is WRONG:
      gradient: dx is off by 2.0e+00: the analytic gradient is -1 times the numeric one: the sign is flipped.
    """
    rows = check_count("check_layer", "rows", rows, least=2)
    entries = None if entries is None else check_count("check_layer", "entries", entries)
    tolerance = check_real("check_layer", "tolerance", tolerance, 0, open_low=True)
    if not isinstance(layer, Layer):
        hint = f"; give an object of it: {layer.__name__}(...)" if isinstance(layer, type) else ""
        raise TypeError(f"check_layer: expected a Layer, got {layer!r}{hint}.")
    given: Array | None = None if X is None else check_numbers("X", X).astype(np.float64)
    if given is not None and (given.ndim < 2 or len(given) < 2):
        raise ValueError(f"X: expected at least 2 rows, an array of shape (rows, inputs), got shape {given.shape}.")
    try:
        bench = Bench(layer, inputs, rows, given, seed)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  (the layer is user code)
        what = raised(pass_of(error), error)
        return _decided(LayerReport(ok=False, layer=repr(layer), input_shape=(), output_shape=(), unchecked=[what]))
    at = bench.layer
    report = LayerReport(ok=True, layer=repr(layer), input_shape=at.input_shape, output_shape=at.output_shape)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            found = violations(bench)
        except UnfinishedError as unfinished:
            return _decided(dataclasses.replace(report, unchecked=[str(unfinished)]))
        changes: dict[str, Any] = {}
        if "passes" not in {v.rule for v in found}:
            changes, wrong = _gradient(bench, entries, tolerance, seed, found)
            found = wrong + found
            changes["notes"] = [] if found else notes(bench)
    return _decided(dataclasses.replace(report, violations=found, **changes))


def _decided(report: LayerReport) -> LayerReport:
    report = dataclasses.replace(report, ok=not report.violations and not report.unchecked)
    return dataclasses.replace(report, verdict=_verdict(report))


def _gradient(
    bench: Bench, entries: int | None, tolerance: float, seed: int, found: list[Violation]
) -> tuple[dict[str, Any], list[Violation]]:
    rng = np.random.default_rng([seed, 2])
    targets = rng.normal(size=(bench.rows, math.prod(bench.layer.output_shape)))
    whole = check_gradient(bench.network, bench.batch(), targets, entries=entries, tolerance=tolerance, seed=seed)
    if not whole.parameters:
        return {}, [Violation("gradient", f"beside x, {what}") for what in whole.suspects or whole.unchecked]
    name = repr(bench.layer)
    parameters = [dataclasses.replace(p, layer=0, layer_name=name) for p in whole.parameters]
    wrong = [Violation("gradient", explained(bench, p)) for p in parameters if p.hint]
    if not whole.ok and not wrong and not whole.unchecked:
        what = f"along random directions the error is {whole.error:.1e}; {shrinks(whole.order)}, not like h^2"
        wrong.append(Violation("gradient", what))
    told = {"prediction", "backward in prediction"} & {v.rule for v in found}
    if not wrong and not told and not bench.the_same_in_prediction():
        alone = check_alone(bench.layer, bench.batch(), rng, Memo)
        wrong += [Violation("gradient", f"in prediction (memo.training is false), {what}") for what in alone]
    names = [f"d{p.name}" for p in parameters if p.unchecked]
    unchecked = (
        [f"every sampled entry of {listed(names)} lies on a kink, where y is not differentiable. {MOVE}"]
        if names
        else []
    )
    return {"error": whole.error, "order": whole.order, "parameters": parameters, "unchecked": unchecked}, wrong


def _verdict(report: LayerReport) -> str:
    lines = [f"{report.layer} is WRONG:", *(f"{v}." for v in report.violations)]
    if not report.violations:
        lines = [
            f"{report.layer} cannot be checked:",
            *(what if what.endswith(".") else f"{what}." for what in report.unchecked),
        ]
    if report.ok:
        right = f"{report.layer} is correct: largest relative error {report.error:.1e}; {shrinks(report.order)}"
        lines = [f"{right}. All {len(RULES)} rules of the contract hold."]
    return "\n  ".join([*lines, *(f"Note: {note}." for note in report.notes)])
