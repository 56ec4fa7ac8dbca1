"""Objects that show themselves in notebooks."""

from __future__ import annotations


class Renderer:
    """The renderer of objects in notebooks; the package sets ``html``.

    The objects know of no renderer: it is built on them, and is imported when the first one is shown.
    """

    @staticmethod
    def html(_thing: Shown) -> str | None:
        """Return the HTML of an object, or None for its text."""
        return None


class Shown:
    """Base class of objects that show themselves in notebooks: :mod:`chainrule.showing` has how."""

    def _repr_html_(self) -> str | None:
        return Renderer.html(self)
