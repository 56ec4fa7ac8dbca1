"""Prediction for new rows of a table with NumPy alone."""
