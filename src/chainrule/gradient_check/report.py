"""What the gradient check found: numbers for programs, a table and a verdict in words for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chainrule.pages.text import columns

NO_LAW = "the difference follows no simple law"


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter array: the sampled entries of its gradient against central differences."""

    layer: int
    layer_name: str
    name: str
    shape: tuple[int, ...]
    checked: int
    numeric_norm: float
    analytic_norm: float
    error: float
    """‖analytic − numeric‖ / max(‖analytic‖, ‖numeric‖). Entries on kinks are left out of all three."""
    worst: tuple[int, ...]
    """Index of the entry that differs most."""
    kinks: int
    hint: str = ""
    order: float = math.nan
    """The order at which the remainder shrinks along a direction inside this parameter; NaN where there is none."""
    unchecked: bool = False
    """Whether every sampled entry lies on a kink, so that nothing was compared."""

    @property
    def state(self) -> str:
        """What the table says of it."""
        if self.hint:
            return f"WRONG at {self.worst}"
        if self.unchecked:
            return "not checked: kinks"
        return f"ok, {self.kinks} kink(s)" if self.kinks else "ok"


@dataclass(frozen=True)
class GradientReport:
    """What :func:`check_gradient` found; true when the gradient is right, and a table with a verdict when printed.

    Attributes
    ----------
    ok : bool
    error : float
        The largest relative error, over directions and parameters.
    order : float
        The order at which the remainder shrinks: 2 when the gradient is right, 1 when it is wrong; NaN when L is
        linear along every direction, so that there is no remainder.
    parameters : list of ParameterCheck
    direction_errors : list of float
    kinks : int
        Directions and entries at which L has no derivative; they are not counted as errors.
    suspects : list of str
        The layers, the loss or the penalties that are wrong when checked alone.
    verdict : str
    unchecked : list of str
        Why nothing can be said, where nothing can: ``ok`` is then false, and nothing is known to be wrong.
    """

    ok: bool
    error: float
    order: float
    parameters: list[ParameterCheck]
    direction_errors: list[float]
    kinks: int
    suspects: list[str] = field(default_factory=list)
    verdict: str = ""
    unchecked: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join([*([self.table()] if self.parameters else []), self.verdict])

    def table(self, width: int | None = None) -> str:
        """Return the parameters as a table; one of at most ``width`` columns leaves out what must be."""
        return parameter_table(self.parameters, width)


def parameter_table(parameters: Sequence[ParameterCheck], width: int | None = None, *, numbered: bool = True) -> str:
    """Return one line a parameter, under a header; ``numbered`` says whether the layers have their index."""
    rows: list[tuple[str, ...]] = [("layer", "parameter", "shape", "numeric", "analytic", "error", "order", "")]
    for p in parameters:
        label = f"{p.layer}  {p.layer_name}" if numbered else p.layer_name
        numbers = f"{p.numeric_norm:.3e}", f"{p.analytic_norm:.3e}", f"{p.error:.1e}", order_text(p.order)
        rows.append((label, f"d{p.name}", str(p.shape), *numbers, p.state))
    if not any(p.layer_name for p in parameters):  # of a function: there are no layers
        rows = [row[1:] for row in rows]
    elif width is not None and max(map(len, columns(rows).splitlines())) > width:
        rows = [(label, name, *rest) for label, name, _, *rest in rows]  # the shapes are the least of it
    return columns(rows, width)


def order_text(order: float) -> str:
    """Return an order for a table; a dash where there is none.

    >>> order_text(2.0), order_text(math.nan)
    ('2.00', '-')
    """
    return "-" if math.isnan(order) else f"{order:.2f}"


def shrinks(order: float) -> str:
    """Return how the remainder shrinks, in words."""
    return "there is no remainder" if math.isnan(order) else f"the remainder shrinks as h^{order:.2f}"


def network_verdict(found: Findings, suspects: Sequence[str]) -> str:
    """Return the verdict on a whole network."""
    lines = [f"{what}." for what in reasons(found.parameters, known=bool(suspects))]
    lines += [f"Checked alone, {suspect}." for suspect in suspects]
    if not suspects:
        lines.append("Every layer, the loss and the penalties are right alone: look at how they are put together.")
    return verdict(found, lines)


def verdict(found: Findings, wrong: Sequence[str]) -> str:
    """Return the verdict: that all is right, that nothing was checked, or what is ``wrong``, a line each."""
    error, order, kinks = f"largest relative error {found.error:.1e}", shrinks(found.order), found.kinks
    at_kinks = f" {kinks} check(s) fell on a kink, where L has no derivative, and were passed over." if kinks else ""
    places = [f"{place(p)} (all sampled entries lie on a kink)" for p in found.parameters if p.unchecked]
    if len(places) == len(found.parameters):
        return f"Nothing was checked: all sampled entries lie on a kink, where L has no derivative. {MOVE}"
    if found.ok:
        where = " where it was checked" if places else ""
        left = f" Not checked: {'; '.join(places)}." if places else ""
        return f"The gradient is right{where}: {error}, and {order}.{at_kinks}{left}"
    but = "" if math.isnan(found.order) else ", not as h^2"
    return "\n  ".join([f"The gradient is WRONG: {error}, and {order}{but}.{at_kinks}", *wrong])


MOVE = "Move the data or the parameters a little, by 1e-3 or so, and check again."


class Findings(Protocol):
    """What a verdict is about."""

    @property
    def ok(self) -> bool: ...
    @property
    def error(self) -> float: ...
    @property
    def order(self) -> float: ...
    @property
    def kinks(self) -> int: ...
    @property
    def parameters(self) -> list[ParameterCheck]: ...


def place(p: ParameterCheck) -> str:
    """Return where a parameter is, in words."""
    return f"layer {p.layer}, {p.layer_name}: d{p.name}" if p.layer_name else f"d{p.name}"


def reasons(parameters: Sequence[ParameterCheck], *, known: bool) -> list[str]:
    """Return what is said of wrong parameters, each law once; where the reason is ``known``, no "no law"."""
    where: dict[str, list[str]] = {}
    for p in parameters:
        if p.hint and not (known and p.hint == NO_LAW):  # the table says where, and the suspects why
            where.setdefault(p.hint, []).append(place(p))
    return [f"{'; '.join(places)}: {hint}" for hint, places in where.items()]
