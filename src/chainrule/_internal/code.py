"""The digest of the package's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@cache
def code_digest(package: str = "chainrule") -> str:
    """Return the SHA-256 digest of the Python files of an installed package, in a folder or a zip file; "" if none.

    It is that of a line for each file, sorted: the digest of its content with line feeds, a space, and its path in the
    package with slashes.

    >>> len(code_digest()), code_digest() == code_digest()
    (64, True)
    """
    lines = []
    for path, file in _python_files(files(package)):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        lines.append(f"{hashlib.sha256(content).hexdigest()} {path}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() if lines else ""


def _python_files(folder: Traversable, path: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _python_files(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{path}{entry.name}", entry
