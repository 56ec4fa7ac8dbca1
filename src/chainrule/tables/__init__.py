"""Tables: from a CSV or Parquet file to a network that is trained, compared with simple models, saved and explained."""

from typing import TYPE_CHECKING, Any

from chainrule.tables.result import HeldOut, Split, Trained
from chainrule.tables.schema import Column, Schema

if TYPE_CHECKING:
    from chainrule.tables.tuning import Tuned, tune

__all__ = ["Column", "HeldOut", "Schema", "Split", "Trained", "Tuned", "tune"]


def __getattr__(name: str) -> Any:
    if name not in ("Tuned", "tune"):  # with scikit-learn, which the rest does not need
        raise AttributeError(f"module 'chainrule.tables' has no attribute {name!r}")
    from chainrule.tables import tuning  # noqa: PLC0415

    return getattr(tuning, name)
