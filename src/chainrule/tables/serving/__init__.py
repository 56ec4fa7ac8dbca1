"""Rows to predictions with NumPy alone: the reading of values as training read them, without polars."""
