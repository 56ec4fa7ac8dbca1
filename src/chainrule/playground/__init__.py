"""The playground: a page in the browser, or in a cell of a notebook, in which :func:`chainrule.train` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require

if TYPE_CHECKING:
    from chainrule.playground.notebook import Playground

__all__ = ["widget"]


def widget(begin: Any = None, y: Any = None) -> Playground:
    """Return the playground as a widget: the last line of a cell shows it.

    What trains is :func:`chainrule.train` in the kernel, in a thread. Training ends when the widget is closed or its
    output is cleared, and pauses when the kernel is interrupted. While a cell runs, training goes on, but clicks may
    have to wait.

    Parameters
    ----------
    begin : str, mapping or array (rows, inputs), optional
        What to begin with: the name of a lesson, a link copied from a playground, the path of a CSV file or of a state
        in a JSON file, or a state; by default two circles. Or the rows of your data, also as a data frame, whose
        names of columns are kept.
    y : array (rows,), optional
        The targets of your rows: classes if they are texts or up to 20 different whole numbers, or else numbers to
        predict.

    Returns
    -------
    Playground
        The widget, with ``state``, ``code()``, ``network()`` and ``close()``.

    Raises
    ------
    ValueError
        If there is no such lesson or file, or if the playground does not take the rows or the state; it says what the
        limits are.
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
