"""Pages that are written at build: only where something has changed, because Sphinx reads again what is new."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent


def write(path: Path, text: str) -> None:
    """Write a page, unless it has this text already."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def remove_others(folder: Path, written: Iterable[Path]) -> None:
    """Delete what an earlier build wrote in a folder and this one did not."""
    for path in {path for path in folder.rglob("*") if path.is_file()} - {*written}:
        path.unlink()


def is_newer(path: Path, *sources: Path) -> bool:
    """Return whether a file is newer than these sources and the library."""
    newest = max(source.stat().st_mtime for source in [*sources, *ROOT.glob("src/**/*.py")])
    return path.exists() and path.stat().st_mtime > newest
