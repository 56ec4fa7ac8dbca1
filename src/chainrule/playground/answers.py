"""The answers to the messages of the page, by their type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.playground import bounds, looking
from chainrule.playground.bounds import RefusedError, check_list, check_number, check_text, check_whole
from chainrule.playground.editing import LONGEST, Edit
from chainrule.playground.frames import Box, encode
from chainrule.playground.introducing import rows
from chainrule.playground.session import Session
from chainrule.playground.state import Plan, read
from chainrule.playground.taking import Taken, take

Message = Mapping[str, Any]

FIELDS = {
    "configure": "state", "run": "", "pause": "", "step": "count unit", "back": "step", "reset": "",
    "set": "layer name index value", "inspect": "sample", "check": "", "backward": "layer source", "sweep": "",
    "surface": "", "take": "what", "ack": "frame", "look": "columns slice",
}  # fmt: skip
"""The fields of each message."""


def answer(session: Session, message: Message) -> None:
    """Do what a message asks, or send a refusal; called in the session's thread."""
    kind = message.get("type")
    try:
        if not isinstance(kind, str) or kind not in FIELDS:
            raise RefusedError(None, f"unknown message {str(kind)[:80]!r}. Known: {', '.join(FIELDS)}.")
        if missing := [name for name in FIELDS[kind].split() if name not in message]:
            raise RefusedError(kind, f"{kind}: the field {missing[0]!r} is missing.")
        if kind == "configure":
            _configure(session, message)
        elif kind == "ack":
            session.drawn = max(session.drawn, check_whole("ack", message["frame"], 0, 2**53))
        elif session.plan is None or session.camera is None:
            raise RefusedError(kind, f"{kind}: there is no network: configure one first.")
        else:
            ANSWERS[kind](session, session.plan, message)
    except RefusedError as error:
        session.send({"type": "error", "about": error.about, "text": str(error)})
    except (ArithmeticError, RecursionError, TypeError, ValueError, Warning) as error:
        session.send({"type": "error", "about": str(kind), "text": f"{kind}: {error}"})


def _configure(session: Session, message: Message) -> None:
    plan = read(message["state"])
    _end_edits(session)
    session.plan, session.box = plan, None
    session.restart()


def _end_edits(session: Session) -> None:
    for edit in session.backwards.values():
        edit.close()
    session.backwards = {}


def _run(session: Session, _: Plan, message: Message) -> None:
    _check_going(session)
    pace = message.get("pace")
    session.pace = None if pace is None else check_whole("run", pace, 1, 10**9)
    session.goal, session.changed = math.inf, True


def _pause(session: Session, _: Plan, __: Message) -> None:
    session.pause()
    session.changed = True


def _step(session: Session, _: Plan, message: Message) -> None:
    _check_going(session)
    count, unit = check_whole("step", message["count"], 1, 10**9), message["unit"]
    if unit not in ("step", "epoch"):
        raise RefusedError("step", f"step: unit: expected 'step' or 'epoch', got {str(unit)[:80]!r}.")
    batches, session.pace = session.run.batches, None
    session.goal = session.step + count if unit == "step" else (session.step // batches + count) * batches


def _check_going(session: Session) -> None:
    if session.ended is not None:
        raise RefusedError("training", f"training has ended: {session.ended} Reset, or go back to an earlier step.")


def _back(session: Session, _: Plan, message: Message) -> None:
    session.restart(check_whole("back", message["step"], 0, session.step), keep=True)


def _reset(session: Session, _: Plan, __: Message) -> None:
    session.restart()


def _set(session: Session, _: Plan, message: Message) -> None:
    if sum(map(len, session.changes.values())) >= bounds.EDITS:
        raise RefusedError("set", f"set: {bounds.EDITS:,} changes by hand are the most: reset to make more.")
    layer = check_whole("set", message["layer"], 0, len(session.network.layers) - 1)
    name = check_text("set", message["name"], 80)
    entry = next((e for e in session.network.layout.entries if (e.layer, e.name) == (layer, name)), None)
    if entry is None:
        raise RefusedError("set", f"set: layer {layer} has no parameter {name!r}.")
    index = check_list("set", message["index"], 8)
    if len(index) != len(entry.shape):
        raise RefusedError("set", f"set: {name} has shape {entry.shape}, got the index {index}.")
    place = tuple(check_whole("set", i, 0, n - 1) for i, n in zip(index, entry.shape, strict=True))
    change = (layer, name, place, check_number("set", message["value"], -1e30, 1e30))
    session.changes.setdefault(session.step, []).append(change)
    session.set(change)


def _inspect(session: Session, plan: Plan, message: Message) -> None:
    session.send(looking.inspect(plan, session.network, message["sample"], message.get("entries")))


def _check(session: Session, plan: Plan, _: Message) -> None:
    session.send(looking.verdict(plan, session.network))


def _backward(session: Session, plan: Plan, message: Message) -> None:
    layer = check_whole("backward", message["layer"], 0, len(plan.layers) - 1)
    source = message["source"]
    edit = None if source is None else Edit(plan.layers[layer], check_text("backward", source, LONGEST))
    if layer in session.backwards:
        session.backwards.pop(layer).close()
    if edit is not None:
        session.backwards[layer] = edit
    session.restart()


def _surface(session: Session, plan: Plan, _: Message) -> None:
    session.send(encode(*looking.surface(plan, session.network, session.path())))


def _sweep(session: Session, plan: Plan, _: Message) -> None:
    session.send(encode(*looking.sweep(plan, session.network)))


def taken(session: Session, plan: Plan) -> Taken:
    """Return the code, the files and the link of a session; called in its thread."""
    changes = sum(map(len, session.changes.values())) + len(session.backwards)
    return Taken(plan, session.network, session.step, changes)


def _take(session: Session, plan: Plan, message: Message) -> None:
    session.send(take(taken(session, plan), message["what"]))


def _look(session: Session, plan: Plan, message: Message) -> None:
    assert session.camera is not None  # noqa: S101  (for the type: there is a network)
    columns, rest = message["columns"], message["slice"]
    if columns is not None:
        columns = [check_whole("look", c, 0, plan.rows.base - 1) for c in check_list("look", columns, 2)]
    if rest is not None:
        rest = [check_number("look", value, -1e6, 1e6) for value in check_list("look", rest, plan.rows.base)]
    session.box = None if columns is None else Box.of(plan, columns, rest)
    session.camera.look(session.box)
    session.changed = True
    session.send(rows(plan, session.box))


ANSWERS: dict[str, Callable[[Session, Plan, Message], None]] = {
    "run": _run, "pause": _pause, "step": _step, "back": _back, "reset": _reset, "set": _set, "inspect": _inspect,
    "check": _check, "backward": _backward, "surface": _surface, "sweep": _sweep, "take": _take, "look": _look,
}  # fmt: skip
