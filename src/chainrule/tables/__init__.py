"""Tables: from a CSV or Parquet file to a network that is trained, compared with simple models, saved and explained."""

from chainrule.tables.result import HeldOut, Split, Trained
from chainrule.tables.schema import Column, Schema

__all__ = ["Column", "HeldOut", "Schema", "Split", "Trained"]
