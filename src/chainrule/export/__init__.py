"""Trained models as C, JavaScript or NumPy, which predict without chainrule."""

from chainrule.export.saving import save

__all__ = ["save"]
