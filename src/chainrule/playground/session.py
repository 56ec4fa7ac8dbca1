"""A session: the library's own ``train`` in a thread, which pauses between its steps and answers the page there."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.memo import Memo
from chainrule.playground.advising import advise
from chainrule.playground.bounds import RefusedError
from chainrule.playground.editing import Edit
from chainrule.playground.frames import Box, Camera, Curve, encode, finite
from chainrule.playground.introducing import introduction, rows
from chainrule.playground.state import Plan
from chainrule.training.callbacks import Callback, Run

Message = Mapping[str, Any]
Change = tuple[int, str, tuple[int, ...], float]  # layer, name, index, value

RATE = 1 / 30  # seconds between two frames
AHEAD = 2  # frames that may be on their way
EPOCHS = 200  # rows of the history that are kept
PATH, PATH_SIZE = 100, 20_000  # points of the path of training, and parameters up to which it is kept
INTERRUPTING = ("configure", "reset", "back", "pause")  # what is answered also on the way back to a step


class _Gate(Callback):
    """Hands every step of training to a session."""

    def __init__(self, at_step: Callable[[Run], None]) -> None:
        self._at_step = at_step

    def on_start(self, run: Run) -> None:
        self._at_step(run)

    def on_batch(self, run: Run) -> None:
        self._at_step(run)

    def on_epoch(self, run: Run) -> None:
        if len(run.history) > EPOCHS:  # nobody reads them, and a run may have 100,000
            for name in run.history.columns:
                del run.history[name][1 : -EPOCHS // 2]


class Session:
    """One page: a state, a network in training, and the messages between them.

    Everything is done in one thread, between two steps of training, so nothing is seen half done. To go back in time
    is to train again from the seed: exact, and without memory.

    Parameters
    ----------
    send : callable
        Takes every answer, a JSON object or bytes, in the session's thread. It must not block.
    answer : callable
        Takes the session and a message of the page; see :mod:`chainrule.playground.answers`.
    """

    def __init__(self, send: Callable[[Message | bytes], None], answer: Callable[[Session, Message], None]) -> None:
        self.send, self._answer = send, answer
        self._asked: deque[Message] = deque()
        self._wake = threading.Condition()
        self._closing = self._leaving = self.changed = False
        self.plan: Plan | None = None
        self.backwards: dict[int, Edit] = {}
        self.changes: dict[int, list[Change]] = {}
        self.box: Box | None = None
        self.step, self.goal, self._quiet = 0, 0.0, 0
        self.pace: int | None = None  # steps from one frame to the next; None for as many as it takes
        self.ended: str | None = None
        self.camera: Camera | None = None
        self._curve = Curve()
        self._path: list[tuple[int, Array]] = []
        self._frame, self.drawn, self._shown, self._pictured = 0, 0, 0.0, 0
        self._thread = threading.Thread(target=self._live, name="chainrule-playground", daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Hand over a message of the page."""
        with self._wake:
            self._asked.append(message)
            self._wake.notify()

    @property
    def waiting(self) -> int:
        """Return the number of messages that wait."""
        return len(self._asked)

    def end(self) -> None:
        """End training and the thread, without waiting for it."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def close(self) -> None:
        """End training and the thread."""
        self.end()
        self._thread.join()

    # ---------------------------------------------------------- for the answers, in the session's thread

    def restart(self, step: int = 0, *, keep: bool = False) -> None:
        """Train again from the seed, without a word until ``step``, and pause there.

        ``keep`` makes the changes by hand again, up to that step.
        """
        self.changes = {at: changes for at, changes in self.changes.items() if keep and at <= step}
        self._curve.points = [point for point in self._curve.points if keep and point[0] <= step]
        self._path = [(at, theta) for at, theta in self._path if keep and at <= step]
        self.goal, self._quiet, self._leaving = float(step), step, True

    def pause(self) -> None:
        """Pause at this step, also on the way back to a later one."""
        self.goal, self._quiet = float(self.step), min(self._quiet, self.step)

    def set(self, change: Change) -> None:
        """Change one parameter."""
        layer, name, index, value = change
        self._arrays[layer, name][index] = value
        self.changed = True

    def path(self) -> list[Array]:
        """Return where the parameters have been."""
        return [theta for _, theta in self._path]

    # ---------------------------------------------------------- the thread

    @property
    def _is_over(self) -> bool:
        return self._closing or self._leaving

    def _live(self) -> None:
        advise(self._advise)
        try:
            while not self._closing:
                self._leaving = False
                if self.plan is not None:
                    self._train(self.plan)
                while not self._is_over:
                    self._serve()
                    self._rest()
        finally:
            for edit in self.backwards.values():
                edit.close()
            if not self._closing:  # the error itself goes to the log
                self.send({"type": "error", "about": None, "text": "The playground failed: reload the page."})

    def _advise(self, text: str) -> None:
        if not self._is_over:
            self.send({"type": "note", "text": text})

    def _train(self, plan: Plan) -> None:
        """Train from the seed; an error ends the run, not the session."""
        self.ended, self.camera, self.step, self._shown, self._pictured = None, None, 0, 0.0, 0
        try:
            layers = list(plan.layers)
            for i, edit in self.backwards.items():
                layers[i] = edit.layer(layers[i])
            self.network = plan.network(layers)
            self._arrays = {(entry.layer, entry.name): array for entry, array in self.network.arrays()}
            memory = plan.optimizer.start(self.network.theta, self.network.weights)
            plan.train(self.network, [_Gate(lambda run: self._at_step(run, plan, memory))], memory)
            self._end(None, f"All {plan.epochs:,} epochs are done.")
        except RefusedError as error:
            self._end(error.about, str(error))
        except (ArithmeticError, TypeError, ValueError, Warning) as error:
            self._end("training", str(error))

    def _end(self, about: str | None, text: str) -> None:
        if not self._is_over:
            self.ended, self.changed = text, True
            self.pause()
            if about is not None:
                self.send({"type": "error", "about": about, "text": text})

    def _at_step(self, run: Run, plan: Plan, memory: Memo) -> None:
        """Serve the page between two steps, until the next one may be taken."""
        self.run, self.changed = run, True
        self.step = (run.epoch - 1) * run.batches + run.batch if run.epoch else 0
        if self.camera is None:  # train has accepted everything
            self.camera = Camera(plan, self.network, memory)
            if self.box is not None:
                self.camera.look(self.box)
        for change in self.changes.get(self.step, ()):
            self.set(change)
        if not self.step and not self._quiet:
            self.introduce()
        while not self._is_over:
            self._serve()
            if self.step < min(self.goal, self._pictured + (self.pace or math.inf)) or self.step < self._quiet:
                return
            self._rest()
        run.stop("the page has left")

    def _serve(self) -> None:
        """Answer the messages, and send a frame if one is due."""
        if self.step < self._quiet and not any(message.get("type") in INTERRUPTING for message in [*self._asked]):
            return
        while self._asked and not self._is_over:
            self._answer(self, self._asked.popleft())
        if not self._is_over and self._due() <= 0:
            self._show()

    def _rest(self) -> None:
        """Wait for a message, or until a frame is due."""
        with self._wake:
            if not (self._asked or self._is_over):
                due = self._due()
                self._wake.wait(None if due == math.inf else max(due, 0.0))

    def _due(self) -> float:
        """Return in how many seconds the next frame may be sent."""
        if not self.changed or self.camera is None or self._frame - self.drawn >= AHEAD:
            return math.inf
        return self._shown + RATE - time.monotonic()

    # ---------------------------------------------------------- what the page gets

    def introduce(self) -> None:
        """Send what the state has become: shapes, parameters, the rows."""
        assert self.plan is not None and self.camera is not None  # noqa: S101, PT018  (for the types)
        self.send(introduction(self.plan, self.network, self.backwards, self.run.batches))
        self.send(rows(self.plan, self.camera.box))

    def _show(self) -> None:
        camera, step = self.camera, self.step
        now = time.monotonic()  # frames keep to their times, unless one was late
        self._shown = self._shown + RATE if now - self._shown < 2 * RATE else now
        self.changed, self._pictured = False, step
        try:
            with np.errstate(all="ignore"):
                found = camera.measure()  # type: ignore[union-attr]
                arrays = camera.picture()  # type: ignore[union-attr]
        except RefusedError:  # an edited backward has failed
            if self.ended is None:
                raise
            return
        self._frame += 1
        self._curve.add(step, found["loss"], found.get("val_loss", math.nan))
        if self.network.theta.size <= PATH_SIZE:
            self._path = [*(point for point in self._path if point[0] < step), (step, self.network.theta.copy())]
            if len(self._path) > PATH:
                del self._path[1:-1:2]
        metrics = {name: finite(value) for name, value in found.items() if name not in ("loss", "val_loss")}
        header = {
            "kind": "frame", "frame": self._frame, "step": step, "epoch": self.run.epoch,
            "running": step < self.goal, "ended": self.ended, "batch_loss": finite(self.run.loss),
            "loss": finite(found["loss"]), "val_loss": finite(found.get("val_loss", math.nan)), "metrics": metrics,
        }  # fmt: skip
        self.send(encode(header, arrays | {"curve": np.array(self._curve.points)}))
