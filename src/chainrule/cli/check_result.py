"""What comes out of ``chainrule check`` for one thing that was checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from chainrule.gradient_check.report import ParameterCheck, parameter_table


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


def not_checked(kind: str, called: str, why: str) -> Check:
    """Return that nothing can be said, and why."""
    return Check(kind, called, False, f"{called} cannot be checked:\n  {why}", unchecked=[why])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value
