"""A study that several processes, on one machine or many, share: a journal in a shared folder, or PostgreSQL.

A lock is held only while a process opens the study. The trials of a process that has died are known by their
heartbeats, which no longer change; clocks are never compared, because those of two machines differ.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import optuna

from chainrule._internal.extras import require
from chainrule.files.writing import refuse_link
from chainrule.tables.sources.databases import PostgreSQL
from chainrule.tables.sources.names import shown
from chainrule.tables.tuning import study as studies
from chainrule.tables.tuning.objective import Problem

FILE = "shared.log"
BEAT, SILENT = 15.0, 90.0  # seconds between two heartbeats, and without one until a trial is given up
SECONDS = 30  # to wait for the lock, and for an answer from a server
HEARTBEAT = "heartbeat"  # the attribute of a trial
LOCK = 0x636861696E  # PostgreSQL's advisory lock: any number that other programs do not use


def check_address(storage: str) -> None:
    """Reject a storage that is neither a journal nor PostgreSQL.

    >>> check_address("journal:/shared/churn")
    >>> check_address("sqlite:///study.db")
    Traceback (most recent call last):
    ...
    ValueError: --storage: expected journal:FOLDER or postgresql://USER@HOST/DATABASE, got 'sqlite:///study.db'.
    """
    if not re.match(r"journal:.|postgres(ql)?://.", storage):
        raise ValueError(
            f"--storage: expected journal:FOLDER or postgresql://USER@HOST/DATABASE, got {shown(storage)!r}."
        )


@contextlib.contextmanager
def opened(storage: str, about: Mapping[str, Any], problem: Problem) -> Iterator[optuna.Study]:
    """Open the study in a storage, or start one, with the default and interrupted points in its queue.

    Parameters
    ----------
    storage : str
        ``journal:FOLDER`` or ``postgresql://USER@HOST/DATABASE``, whose part after ``#`` is the name of the study.
    about : mapping
        The values that must match for a study to be joined, by their names in messages; JSON.
    problem : Problem

    Raises
    ------
    OSError
        When the storage cannot be reached, or written to.
    ValueError
        When the study is damaged or belongs to something else.
    """
    with studies.quiet(), explained(storage), contextlib.ExitStack() as stack:
        if storage.startswith("journal:"):
            study = _journal(Path(storage.removeprefix("journal:")), about, problem)
        else:
            study = stack.enter_context(_postgresql(storage, about, problem))
        study.pruner = studies.pruner()
        study.sampler = studies.sampler(None)  # a seed for all would give two processes the same points
        yield study


@contextlib.contextmanager
def explained(storage: str) -> Iterator[None]:
    """Turn the errors of a database, while it is used, into a sentence without the password."""
    if storage.startswith("journal:"):
        yield
        return
    errors = (optuna.exceptions.StorageInternalError, require("sqlalchemy.exc", "tune").SQLAlchemyError)
    try:
        yield
    except errors as error:
        cause: Any = error.__cause__ if isinstance(error, errors[0]) and error.__cause__ else error
        said = PostgreSQL(storage).scrubbed(getattr(cause, "orig", cause)).rstrip(".")  # the driver's own error
        raise ConnectionError(
            f"--storage {shown(storage)}: {said}. Finished trials are kept: once it works, the same command resumes."
        ) from None


def _journal(folder: Path, about: Mapping[str, Any], problem: Problem) -> optuna.Study:
    path = folder / FILE
    studies.writable(folder, "--storage")
    refuse_link(path)
    lock = optuna.storages.journal.JournalFileOpenLock(f"{path}.open")  # that of a killed process is broken after 30 s
    lock.acquire()
    try:
        other = "choose another folder for --storage"
        backend = studies.Journal(path, optuna.storages.journal.JournalFileOpenLock(str(path)))
        if not path.is_file() or path.stat().st_size:
            study = studies.load(path, problem, backend, other)
        else:
            study = studies.create(optuna.storages.JournalStorage(backend), studies.NAME, problem)
        studies.join(study, problem, about, str(path), other)
    finally:
        lock.release()
    return study


@contextlib.contextmanager
def _postgresql(storage: str, about: Mapping[str, Any], problem: Problem) -> Iterator[optuna.Study]:
    url, _, name = storage.partition("#")
    name = name or studies.NAME
    where, other = f"the study {name!r} in {shown(url)}", "add #NAME to --storage for a study of its own"
    psycopg = require("psycopg", "sources")
    with contextlib.ExitStack() as connections:

        def connect() -> Any:
            more = {"connect_timeout": 10, "tcp_user_timeout": 1000 * SECONDS}  # so that a lost server is noticed
            return connections.enter_context(contextlib.closing(psycopg.connect(url, **more)))

        with PostgreSQL(url) as database:  # says why where it cannot be reached
            with database.explained():
                database.connection.execute(f"SET lock_timeout = '{SECONDS}s'")
                database.connection.execute(f"SELECT pg_advisory_lock({LOCK})")  # until the connection is closed
            engine = {"creator": connect, "pool_pre_ping": True, "max_overflow": -1}
            held = optuna.storages.RDBStorage("postgresql+psycopg://", engine_kwargs=engine)
            connections.callback(held.remove_session)
            if name in optuna.get_all_study_names(held):
                study = studies.load_from(held, name, problem, where, other)
            else:
                study = studies.create(held, name, problem)
            studies.join(study, problem, about, where, other)
        yield study
        held.remove_session()


@contextlib.contextmanager
def beating(trial: optuna.Trial) -> Iterator[None]:
    """Write a heartbeat of a trial, a number that grows, while the block runs."""
    over = threading.Event()

    def beat() -> None:
        with contextlib.suppress(Exception):  # whatever it is, the next report of the trial meets it too
            for number in count():
                trial.set_user_attr(HEARTBEAT, number)
                if over.wait(BEAT):
                    return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Silent:
    """The running trials of a study, and since when this process has seen no new heartbeat of each."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Any, float]] = {}

    def give_up(self, study: optuna.Study, problem: Problem) -> None:
        """Put the points of trials without a heartbeat for ``SILENT`` seconds back into the queue."""
        now = time.monotonic()
        for trial in studies.finished(study, "RUNNING"):
            beat = trial.user_attrs.get(HEARTBEAT)
            before, since = self._seen.setdefault(trial.number, (beat, now))
            if before != beat:
                self._seen[trial.number] = (beat, now)
            elif now - since > SILENT:
                # unless it has ended, or another process was faster
                with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                    point = studies.point_of(trial)
                    if len(point) == len(problem.space):  # else the sampler draws it again
                        study.enqueue_trial(point)
