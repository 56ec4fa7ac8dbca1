"""The playground: a page in the browser, or in a notebook cell, in which :func:`chainrule.train` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require

if TYPE_CHECKING:
    from chainrule.playground.notebook import Playground

__all__ = ["widget"]


def widget(begin: Any = None, y: Any = None) -> Playground:
    """Return the playground as a widget, which a notebook shows on the last line of a cell.

    :func:`chainrule.train` runs in a thread of the kernel. Training ends when the widget is closed or its output is
    cleared, and pauses when the kernel is interrupted. While a cell runs, training continues, but the page may respond
    late.

    Parameters
    ----------
    begin : str, mapping or array (rows, inputs), optional
        A lesson's name, a link copied from a playground, the path of a CSV file or of a state in a JSON file, or a
        state; by default, two circles. Or the rows of your data: an array, or a data frame, whose column names are
        kept.
    y : array (rows,), optional
        The targets of your rows: classes if they are text or up to 20 different whole numbers; otherwise, numbers to
        predict.

    Returns
    -------
    Playground
        The widget, with ``state``, ``code()``, ``network()`` and ``close()``.

    Raises
    ------
    ValueError
        If there is no such lesson or file, or if the playground does not accept the rows or the state; the message
        gives the limits.
    ImportError
        If anywidget is not installed.

    Examples
    --------
    >>> import chainrule as cr
    >>> playground = cr.playground.widget("hidden-layer")
    >>> playground.state["data"]["name"]
    'xor'
    >>> "cr.train(" in playground.code()
    True
    >>> playground.close()
    """
    require("anywidget", "notebook")
    from chainrule.playground.notebook import Playground, stated  # noqa: PLC0415  (an extra)

    return Playground(stated(begin, y))
