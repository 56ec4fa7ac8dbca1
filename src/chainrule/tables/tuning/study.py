"""The study: a SQLite file that outlives the process, and that only one process at a time goes on with."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._extras import require
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
    if not path.exists():
        return
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=TIMEOUT)
        ) as connection:
            answer = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise _damaged(path, error) from None
    if answer != "ok":
        raise _damaged(path, ValueError(answer))


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
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
