"""The study: a SQLite file that outlives the process, and that only one process at a time goes on with."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.extras import require
from chainrule.files.values import shown
from chainrule.files.writing import refuse_link
from chainrule.tables.tuning.space import Dimension

if TYPE_CHECKING:
    import optuna
else:
    optuna = Any

NAME = "chainrule"
FILE, LOCK = "study.db", ".study.lock"
RANDOM = 10  # trials before the sampler has learned something
TIMEOUT = 30.0  # seconds to wait for another process that reads the study
ABOUT = "chainrule"  # the attribute of the study that says what it is of
LARGEST, LONGEST = 2**27, 2**24  # bytes of a study, which has thousands of trials in it, and of a value
SLOWEST, STEPS = 30.0, 100_000  # seconds of a statement, and after how many steps of SQLite's machine they are counted
ODD = (
    "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') "
    "OR upper(sql) LIKE '%VIRTUAL%' OR upper(sql) LIKE '%GENERATED%' OR upper(sql) LIKE '% AS (%' LIMIT 1"
)
"""Views, triggers, virtual tables and computed columns: what may run when tables are read or written."""


def make_folder(folder: Path) -> None:
    """Make the folder of a study, or see that the one that is there is such a folder.

    Raises
    ------
    OSError
        When it holds something else, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = {path.name for path in folder.iterdir()} - {LOCK}
        with tempfile.TemporaryFile(dir=folder):  # can it be written?
            pass
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{folder} is a file, or in one: choose another --out.") from None
    except OSError as error:
        raise OSError(f"the folder {folder} cannot be written ({error.strerror}): choose another --out.") from None
    if entries and FILE not in entries:
        raise FileExistsError(f"the folder {folder} is not empty and has no {FILE}: choose another --out.")
    for name in (FILE, LOCK, f"{FILE}-journal", f"{FILE}-wal"):  # SQLite would write through them
        refuse_link(folder / name)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block no other process tunes in the folder; when this one is killed, the lock is gone with it.

    Raises
    ------
    ValueError
        When another process does.
    """
    connection = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError:
            raise ValueError(f"another process is tuning in {folder}: wait for it, or choose another --out.") from None
        yield
    finally:
        connection.close()


@contextlib.contextmanager
def opened(path: Path, seed: int, about: Mapping[str, Any], default: Mapping[str, Any]) -> Iterator[optuna.Study]:
    """Open the study of a file, or start it.

    Parameters
    ----------
    path : path
    seed : int
    about : mapping
        What must be the same for a study to go on, by what it is called in a message; JSON.
    default : mapping
        The point that is tried first.

    Raises
    ------
    ValueError
        When the file is damaged, or is a study of something else.
    """
    library = require("optuna", "tune")
    verbosity = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    _check(path)
    storage = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
            try:
                storage = library.storages.RDBStorage(
                    "sqlite:///study.db", engine_kwargs={"creator": lambda: _connection(path)}
                )
                study = library.create_study(
                    storage=storage,
                    study_name=NAME,
                    direction="minimize",
                    load_if_exists=True,
                    sampler=sampler(seed, 0),
                )
                known = study.user_attrs.get(ABOUT)
                begun = bool(study.get_trials(deepcopy=False))
            except Exception as error:  # noqa: BLE001  (Optuna and SQLAlchemy have many)
                raise _damaged(path, error) from None
            if known is None and not begun:
                study.set_user_attr(ABOUT, dict(about))
            else:
                _check_same(path, known, about)
            _recover(study, default)
            yield study
    finally:
        library.logging.set_verbosity(verbosity)
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def sampler(seed: int, finished: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of the next trial: its stream depends on the seed and on how many trials were begun before."""
    of = require("optuna.samplers", "tune")
    stream = int(np.random.SeedSequence((seed, finished)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that options are experimental
        return of.TPESampler(n_startup_trials=RANDOM, multivariate=True, constant_liar=True, seed=stream)


def ask(study: optuna.Study, seed: int, dimensions: tuple[Dimension, ...], begun: int) -> optuna.Trial:
    """Return the next trial, ``begun`` being how many are finished or in flight."""
    study.sampler = sampler(seed, begun)
    return study.ask({dimension.name: dimension.distribution() for dimension in dimensions})


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that came to their end: whole or pruned."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]


def whole(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were trained on all folds, the best first, of equals the earliest."""
    trials = [trial for trial in finished(study) if trial.state.name == "COMPLETE"]
    return sorted(trials, key=lambda trial: (trial.value, trial.number))


def give_up(study: optuna.Study, number: int, size: int) -> None:
    """Mark a trial in flight as failed, and put its point in the queue if all ``size`` values of it are known.

    Where they are not, the sampler draws the same again.
    """
    trial = study.get_trials(deepcopy=False)[number]
    study.tell(number, state=require("optuna.trial", "tune").TrialState.FAIL)
    if len(trial.params) == size:
        study.enqueue_trial(trial.params)


def _recover(study: optuna.Study, default: Mapping[str, Any]) -> None:
    """Do so with the trials that a process which was killed has left behind, and see that the default is tried."""
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING":
            give_up(study, trial.number, len(default))
    points = [
        trial.system_attrs.get("fixed_params", trial.params)
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name != "FAIL"
    ]
    if dict(default) not in points:
        study.enqueue_trial(dict(default))


def _check(path: Path) -> None:
    """Refuse a file that is damaged, too large, or has in it what runs when tables are read or written."""
    if not path.exists():
        return
    if not path.is_file():
        raise _damaged(path, ValueError("it is not a regular file"))
    logs = [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]
    if (size := sum(file.stat().st_size for file in (path, *logs) if file.is_file())) > LARGEST:
        raise _damaged(path, ValueError(f"its {size:,} bytes are more than a study takes, {LARGEST:,}"))
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=TIMEOUT)
        ) as connection:
            _bounded(connection)
            odd = connection.execute(ODD).fetchone()
            answer = "ok" if odd else connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise _damaged(path, error) from None
    if odd:
        raise _damaged(path, ValueError("it has {} {}".format(*map(shown, odd))))
    if answer != "ok":
        raise _damaged(path, ValueError(answer))


def _bounded(connection: sqlite3.Connection) -> None:
    """Let a statement take no longer than :data:`SLOWEST`, and a value no more than :data:`LONGEST` bytes."""
    began = [time.monotonic()]

    def begin(_: str) -> None:
        began[0] = time.monotonic()

    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.set_trace_callback(begin)
    connection.set_progress_handler(lambda: time.monotonic() - began[0] > SLOWEST, STEPS)


def check_point(trial: Any, dimensions: tuple[Dimension, ...]) -> None:
    """Refuse a point that is not in the space: it would become the arguments of an estimator.

    Raises
    ------
    ValueError
    """
    for dimension in dimensions:
        value = trial.params.get(dimension.name)
        kinds = (int, float) if not dimension.whole else (int,)
        fits = value in dimension.choices if dimension.choices else type(value) in kinds and dimension.has(value)
        if not fits:
            raise ValueError(
                f"{FILE}: trial {trial.number} has {dimension.name}={shown(value)}, which is not in the space "
                f"({dimension.shown()}): it was changed by something else. Move it away, or choose another --out."
            )


def check_finished(trial: Any, dimensions: tuple[Dimension, ...]) -> None:
    """Refuse a trial that came to its end without what is written then.

    Raises
    ------
    ValueError
    """
    check_point(trial, dimensions)
    if trial.state.name != "COMPLETE":
        return
    notes = trial.user_attrs
    numbers = [trial.value, notes.get("seconds"), *_list(notes.get("folds")), *_list(notes.get("epochs"))]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError(
            f"{FILE}: trial {trial.number} has no value, or values that are not numbers: it was changed by something "
            "else. Move it away, or choose another --out."
        )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [None]


def _damaged(path: Path, error: Exception) -> ValueError:
    why = str(error).strip().splitlines()
    return ValueError(
        f"{path} is damaged or no study of Optuna ({why[0][:120] if why else type(error).__name__}): move it away, or "
        "choose another --out."
    )


def _check_same(path: Path, known: Any, about: Mapping[str, Any]) -> None:
    if not isinstance(known, dict):
        raise ValueError(f"{path} is a study that chainrule did not begin: choose another --out.")  # noqa: TRY004
    differs = [name for name in about if json.dumps(known.get(name)) != json.dumps(about[name])]
    if differs:
        raise ValueError(
            f"{path} is a study with another {' and another '.join(differs)}: choose another --out, or tune as before."
        )


def _connection(path: Path) -> sqlite3.Connection:
    """Open the file, whatever its name; when what is written reaches the disk is left to the system.

    A process that is killed loses nothing by that.
    """
    connection = sqlite3.connect(path, timeout=TIMEOUT, check_same_thread=False)
    _bounded(connection)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
