"""Predictions of a trained table over HTTP: ``chainrule serve FOLDER``, or ``python -m chainrule.serve FOLDER``.

It needs NumPy, safetensors and the packages of the extra ``serve``, and none of those that training needs.
"""

from __future__ import annotations

from chainrule.serve.bounds import Bounds

__all__ = ["Bounds"]
