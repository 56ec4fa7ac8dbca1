"""Neural networks whose gradients are written by hand, and checked."""
__version__ = "0.1.0"
