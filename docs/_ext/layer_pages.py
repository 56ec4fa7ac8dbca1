"""A page for each layer of the registry: formula, picture, source, a traced example and its gradient check."""

from __future__ import annotations

from typing import Any

from built import DOCS, remove_others, write

LAYERS = DOCS / "layers"


def build(_app: Any) -> None:
    """Write docs/layers."""
    index = LAYERS / "index.md"
    write(index, "# The layers, one by one\n")
    remove_others(LAYERS, [index])


def setup(app: Any) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
