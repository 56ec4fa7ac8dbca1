"""Optional dependencies, imported on first use. The error for a missing one gives the command that installs it."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

# What works today, from a clone of the repository; docs/install.md says the same.
INSTALL = 'pip install -e ".[{}]" in a clone of chainrule'

FOLDERS = {"skrub": "SKB_DATA_DIRECTORY"}  # packages that make a folder in the home folder, and where they look for it


def install(extra: str) -> str:
    """Return the command that installs an extra of chainrule.

    >>> install("plot")
    'pip install -e ".[plot]" in a clone of chainrule'
    """
    return INSTALL.format(extra)


def require(module: str, extra: str) -> Any:
    """Import ``module``, or raise an error that names the extra of chainrule that installs it.

    >>> require("math", "plot").sqrt(4.0)
    2.0
    >>> require("no_such_module", "plot")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ImportError: this needs the package 'no_such_module', which is not installed. Type: pip install ...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is installed but broken: its own message helps more
        raise _missing(package, extra) from error
    except (OSError, RuntimeError):  # no home folder, or one that cannot be written to
        if module not in FOLDERS:
            raise
        import tempfile  # noqa: PLC0415  (start-up time)

        os.environ[FOLDERS[module]] = tempfile.gettempdir()
        return importlib.import_module(module)


def check_installed(*packages: str, extra: str) -> None:
    """Raise the same error for the first package that is not installed, without importing any: that takes seconds."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise _missing(package, extra)


def _missing(package: str, extra: str) -> ImportError:
    return ImportError(f"this needs the package {package!r}, which is not installed. Type: {install(extra)}")
