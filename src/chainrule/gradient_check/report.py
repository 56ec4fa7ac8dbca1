"""Reports of the gradient check: numbers for programs, a table and a verdict for people."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule._internal.showing import Shown
from chainrule.pages.text import columns

NO_LAW = "the difference matches no known pattern"
NOTHING = "every sampled entry lies on a kink, where L is not differentiable: nothing was checked"
MOVE = "Change the data or the parameters slightly, by about 1e-3, and check again."


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter array: the sampled entries of its gradient compared with central differences."""

    layer: int
    layer_name: str
    name: str
    shape: tuple[int, ...]
    checked: int
    numeric_norm: float
    analytic_norm: float
    error: float
    """‖analytic − numeric‖ / max(‖analytic‖, ‖numeric‖). Entries on kinks are excluded from all three."""
    worst: tuple[int, ...]
    """Index of the entry that differs most."""
    kinks: int
    hint: str = ""
    order: float = math.nan
    """The order at which the Taylor remainder shrinks along a direction within this parameter; NaN without a
    remainder."""
    unchecked: bool = False
    """Whether nothing was compared because every sampled entry lies on a kink."""

    @property
    def state(self) -> str:
        """The status shown in the table."""
        if self.hint:
            return f"WRONG at {self.worst}"
        if self.unchecked:
            return "not checked: kinks"
        return f"ok, {self.kinks} kink(s)" if self.kinks else "ok"


@dataclass(frozen=True, kw_only=True)
class Report(Shown, ABC):
    """Base of all reports: true if the check passed; prints as a table with a verdict."""

    ok: bool
    verdict: str = ""
    error: float = math.nan
    order: float = math.nan
    parameters: list[ParameterCheck] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.table(), self.verdict)))

    def table(self, width: int | None = None) -> str:
        """Return the details as a table, shortened to ``width`` columns if given; empty if there are none."""
        return parameter_table(self.parameters, width) if self.parameters else ""


@dataclass(frozen=True, kw_only=True)
class GradientReport(Report):
    """The result of :func:`check_gradient`: true if the gradient is correct; prints as a table with a verdict.

    Attributes
    ----------
    ok : bool
    error : float
        The largest relative error, over directions and parameters.
    order : float
        The order at which the Taylor remainder shrinks: 2 if the gradient is correct, 1 if it is wrong; NaN if L is
        linear along every direction and there is no remainder.
    parameters : list of ParameterCheck
    direction_errors : list of float
    kinks : int
        Number of directions and entries at which L is not differentiable; they do not count as errors.
    suspects : list of str
        The layers, loss or penalties that fail when checked on their own.
    verdict : str
    unchecked : list of str
        Reasons why the gradient could not be checked: ``ok`` is then false, although no error is known.
    """

    direction_errors: list[float] = field(default_factory=list)
    kinks: int = 0
    suspects: list[str] = field(default_factory=list)


def parameter_table(parameters: Sequence[ParameterCheck], width: int | None = None, *, numbered: bool = True) -> str:
    """Return a header and one line per parameter; ``numbered`` tells whether to show layer indices."""
    rows: list[tuple[str, ...]] = [("layer", "parameter", "shape", "numeric", "analytic", "error", "order", "")]
    for p in parameters:
        label = f"{p.layer}  {p.layer_name}" if numbered else p.layer_name
        numbers = f"{p.numeric_norm:.3e}", f"{p.analytic_norm:.3e}", f"{p.error:.1e}", order_text(p.order)
        rows.append((label, f"d{p.name}", str(p.shape), *numbers, p.state))
    if not any(p.layer_name for p in parameters):  # a function has no layers
        rows = [row[1:] for row in rows]
    elif width is not None and max(map(len, columns(rows).splitlines())) > width:
        rows = [(label, name, *rest) for label, name, _, *rest in rows]  # the shapes are the least of it
    return columns(rows, width)


def order_text(order: float) -> str:
    """Return an order for a table; a dash for NaN.

    >>> order_text(2.0), order_text(math.nan)
    ('2.00', '-')
    """
    return "-" if math.isnan(order) else f"{order:.2f}"


def shrinks(order: float) -> str:
    """Describe how the Taylor remainder shrinks."""
    return "there is no Taylor remainder" if math.isnan(order) else f"the Taylor remainder shrinks like h^{order:.2f}"


def decided(report: GradientReport, wrong: Sequence[str], suspects: Sequence[str] = ()) -> GradientReport:
    """Return the report with its verdict: correct, not checked, or the ``wrong`` parts, one per line."""
    nothing = all(p.unchecked for p in report.parameters)
    return dataclasses.replace(
        report, ok=report.ok and not nothing, verdict=_verdict(report, wrong), suspects=list(suspects),
        unchecked=[NOTHING] if nothing else [],
    )  # fmt: skip


def _verdict(found: GradientReport, wrong: Sequence[str]) -> str:
    error, order, kinks = f"largest relative error {found.error:.1e}", shrinks(found.order), found.kinks
    at_kinks = f" Skipped {kinks} check(s) at kinks, where L is not differentiable." if kinks else ""
    places = [f"{place(p)} (all sampled entries lie on a kink)" for p in found.parameters if p.unchecked]
    if len(places) == len(found.parameters):
        return f"Nothing was checked: all sampled entries lie on a kink, where L is not differentiable. {MOVE}"
    if found.ok:
        where = " where it was checked" if places else ""
        left = f" Not checked: {'; '.join(places)}." if places else ""
        return f"The gradient is correct{where}: {error}; {order}.{at_kinks}{left}"
    but = "" if math.isnan(found.order) else ", not like h^2"
    return "\n  ".join([f"The gradient is WRONG: {error}; {order}{but}.{at_kinks}", *wrong])


def place(p: ParameterCheck) -> str:
    """Describe the position of a parameter."""
    return f"layer {p.layer}, {p.layer_name}: d{p.name}" if p.layer_name else f"d{p.name}"


def reasons(parameters: Sequence[ParameterCheck], *, known: bool) -> list[str]:
    """Return the messages on wrong parameters, each pattern once, without "no known pattern" if ``known``."""
    where: dict[str, list[str]] = {}
    for p in parameters:
        if p.hint and not (known and p.hint == NO_LAW):  # the table says where, the suspects say why
            where.setdefault(p.hint, []).append(place(p))
    return [f"{'; '.join(places)}: {hint}" for hint, places in where.items()]
