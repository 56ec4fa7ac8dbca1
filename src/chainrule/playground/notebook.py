"""The playground in a notebook cell: the server's page, whose messages go through the kernel."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from importlib.resources import files
from os import PathLike
from typing import Any, TypeVar
from weakref import WeakSet

import anywidget
import numpy as np
import traitlets
from IPython import get_ipython

from chainrule.network import Network
from chainrule.playground.advising import listen_to_advice
from chainrule.playground.answers import answer, taken
from chainrule.playground.catalog import catalog
from chainrule.playground.lessons import opened
from chainrule.playground.session import Session
from chainrule.playground.state import begin_with, read
from chainrule.playground.taking import Taken, program

T = TypeVar("T")

STATIC = files("chainrule").joinpath("playground", "static")
NETWORKS = 8  # of one widget, in all its views: a page that crashes does not report that it is gone
WAIT = 60.0  # seconds for an answer to Python's question about a network


class Playground(anywidget.AnyWidget):
    """The playground as a widget; made by :func:`chainrule.playground.widget`.

    ``state``, ``code()`` and ``network()`` are those of the first network in the view that was opened last.

    Parameters
    ----------
    state : mapping
        The state to begin with, from ``stated``.
    """

    _esm = STATIC.joinpath("playground.js").read_text(encoding="utf-8")
    css = traitlets.Unicode(STATIC.joinpath("playground.css").read_text(encoding="utf-8")).tag(sync=True)

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._sessions: dict[str, Session] = {}
        self._first, self._state = "", dict(state)
        super().__init__()
        self.on_msg(self._receive)
        listen_to_advice()
        _pause_on_interrupt(self)

    @property
    def state(self) -> Any:
        """The state: data, network, training, lesson. Assign one, or anything else that ``widget`` takes."""
        return copy.deepcopy(self._state)

    @state.setter
    def state(self, begin: Any) -> None:
        self._state = stated(begin)
        self._tell({"type": "configure", "state": self._state})

    def code(self) -> str:
        """Return Python code: the call of ``train`` that gives the network as it is now."""
        return program(self._taken())

    def network(self) -> Network:
        """Return a copy of the network as it is now."""
        return self._taken().network

    def pause(self) -> None:
        """Pause training."""
        for session in [*self._sessions.values()]:
            session.tell({"type": "pause"})

    def close(self) -> None:
        """End training, and remove the widget from the notebook."""
        while self._sessions:
            self._sessions.popitem()[1].close()
        super().close()

    # ---------------------------------------------------------- messages of the views

    def _receive(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        """Take a message of a view, for the network with the address ``to``."""
        to = str(content.get("to"))
        if "open" in content:
            self._open(to, content["open"] == "first")
        elif to in self._sessions:
            if "close" in content:
                self._sessions.pop(to).end()
            else:
                self._sessions[to].tell(content["message"])

    def _open(self, to: str, first: bool) -> None:
        while len(self._sessions) >= NETWORKS:
            self._sessions.pop(next(iter(self._sessions))).end()

        def send(message: Mapping[str, Any] | bytes) -> None:
            if isinstance(message, bytes):
                self.send({"to": to}, [message])
                return
            if self._first == to and message["type"] == "configured":
                self._state = dict(message["state"])
            self.send({"to": to, "message": message})

        if first:
            self._first = to
        send(catalog(self._state))
        self._sessions[to] = Session(send, _answer)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if self._first in self._sessions:
            self._sessions[self._first].tell(message)

    def _taken(self) -> Taken:
        session = self._sessions.get(self._first)
        if session is None or session.plan is None:  # not shown yet
            plan = read(self._state)
            return Taken(plan, plan.network(), 0, 0)
        question = _Question(lambda: taken(session, session.plan))  # type: ignore[arg-type]  # (it has one)
        session.tell(question)
        return question.found.result(WAIT)


class _Question(dict[str, Any]):
    """A message from Python: a function to call between two steps of training, in the session's thread."""

    def __init__(self, ask: Callable[[], Taken]) -> None:
        super().__init__(type="question")
        self.ask, self.found = ask, Future[Taken]()


def _answer(session: Session, message: Mapping[str, Any]) -> None:
    if isinstance(message, _Question):
        message.found.set_result(message.ask())
    else:
        answer(session, message)


# ---------------------------------------------------------- the state that a widget begins with


def stated(begin: Any, y: Any = None) -> dict[str, Any]:
    """Return the complete state of a lesson, a link, a file, a state, or rows with their targets."""
    if y is not None:
        begin = begin_with(table(begin, y))
    elif begin is None or isinstance(begin, str | PathLike):
        begin = opened(None if begin is None else str(begin))
    elif not isinstance(begin, Mapping):
        raise ValueError(
            f"widget: expected a lesson, a link, a file, a state, or rows with their targets: widget(X, y); got "
            f"{type(begin).__name__} without y."
        )
    return dict(read(dict(begin)).json)


def table(X: Any, y: Any) -> str:
    """Return rows and their targets as CSV, with all digits of a float32.

    >>> print(table([[1.0, 0.1], [2.0, 0.5]], ["a", "b"]), end="")
    x1,x2,target
    1,0.1,a
    2,0.5,b
    """
    names, rows, t = getattr(X, "columns", None), np.asarray(X), np.asarray(y)
    if rows.ndim != 2 or t.shape != rows.shape[:1]:
        raise ValueError(
            f"widget: expected X of shape (rows, inputs) and y of shape (rows,), got {rows.shape} and {t.shape}."
        )
    names = [str(name) for name in names] if names is not None else [f"x{k + 1}" for k in range(rows.shape[1])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, str(getattr(y, "name", None) or "target")])
    writer.writerows([*map(_cell, row), _cell(target)] for row, target in zip(rows.tolist(), t.tolist(), strict=True))
    return text.getvalue()


def _cell(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


# ---------------------------------------------------------- the interrupt of the kernel

_shown: WeakSet[Playground] = WeakSet()


def _pause_on_interrupt(widget: Playground) -> None:
    """Make the kernel's interrupt pause training: while no cell runs, it would have no effect."""
    _shown.add(widget)
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None:
        kernel.saved_sigint_handler = _pause_all  # the kernel installs it when this cell is done


def _pause_all(*_: Any) -> None:
    for widget in [*_shown]:
        widget.pause()
