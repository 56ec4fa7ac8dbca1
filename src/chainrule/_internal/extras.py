"""Optional dependencies, imported on first use. The error for a missing one gives the command that installs it."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, extra: str) -> Any:
    """Import ``module``, or raise an error that names the extra of chainrule that installs it.

    >>> require("math", "plot").sqrt(4.0)
    2.0
    >>> require("no_such_module", "plot")
    Traceback (most recent call last):
    ...
    ImportError: this needs the package 'no_such_module', which is not installed. Type: pip install "chainrule[plot]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is installed but broken: its own message helps more
        raise ImportError(
            f'this needs the package {package!r}, which is not installed. Type: pip install "chainrule[{extra}]"'
        ) from error
