"""The study: Optuna's journal in a folder, which outlives the process and is open in one process at a time.

A journal is text, an operation a line: nothing in a stranger's file can run, a kill can damage its last line only, and
Optuna's threads share it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chainrule._internal.extras import require
from chainrule.files.values import shown
from chainrule.files.writing import check_writable, refuse_link
from chainrule.tables.tuning.objective import Problem
from chainrule.tables.tuning.result import TrialRecord

if TYPE_CHECKING:
    import optuna
    from optuna.storages.journal import JournalFileBackend
else:
    optuna = require("optuna", "tune")
    JournalFileBackend = require("optuna.storages.journal", "tune").JournalFileBackend

NAME = "chainrule"
FILE, LOCK = "study.log", ".study.lock"
ABOUT = "chainrule"  # the attribute of the study with the values that must match
LARGEST, LONGEST, SLOWEST = 2**27, 2**16, 30.0  # bytes of a study and of a line, and seconds to read it
MOST_TRIALS, MOST_UNFINISHED, MOST_NOTES = 50_000, 1000, 100  # notes of a trial or of the study
STUDY_NOTES, CREATE_TRIAL, SET_STATE = (2, 3), 4, 6  # Optuna's numbers of these operations
FINISHED = ("COMPLETE", "PRUNED")
OTHER = "choose another --out"
IMPORTANCE = 8  # finished trials from which the importance is worth showing


class Journal(JournalFileBackend):
    """A journal that is read within bounds, however it was crafted, and waits for the disk once a trial.

    Optuna's own waits after each epoch, which takes longer than an epoch of a small table. A process that is killed
    loses nothing by that.
    """

    def __init__(self, path: Path, lock: Any = None) -> None:
        lock = threading.Lock() if lock is None else lock  # enough where no other process is let into the folder
        super().__init__(str(path), lock)
        self.lock = lock
        self.path, self.created, self.notes = path, 0, 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        end = time.monotonic() + SLOWEST
        for operation in super().read_logs(log_number_from):
            self.created += operation["op_code"] == CREATE_TRIAL
            self.notes += operation["op_code"] in STUDY_NOTES
            if time.monotonic() > end or self.created > MOST_TRIALS or self.notes > MOST_NOTES:
                raise ValueError(f"it takes more than {SLOWEST:g} seconds to read, or has over {MOST_TRIALS:,} trials")
            yield operation

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.lock.acquire()
        try:
            self._append(logs)
        finally:
            self.lock.release()

    def _append(self, logs: list[dict[str, Any]]) -> None:
        with self.path.open("a+b") as file:
            # cut off by a kill or a full disk
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write("".join(f"{json.dumps(operation, separators=(',', ':'))}\n" for operation in logs).encode())
            if any(operation["op_code"] == SET_STATE for operation in logs):
                file.flush()
                os.fsync(file.fileno())


@contextlib.contextmanager
def opened(folder: Path, seed: int, about: Mapping[str, Any], problem: Problem) -> Iterator[optuna.Study]:
    """Open the study in a folder, or start one, with the points to try first in its queue.

    These are the default, and the points of trials that were interrupted: by Ctrl-C, a kill or the time limit.

    Parameters
    ----------
    folder : path
    seed : int
    about : mapping
        The values that must match for a study to be resumed, by their names in messages; JSON.
    problem : Problem

    Raises
    ------
    OSError
        When the folder contains something else, or cannot be written to.
    ValueError
        When the study is damaged or belongs to something else, or another process has it open.
    """
    _make(folder)
    path = folder / FILE
    with quiet(), _locked(folder):
        if path.exists() and (not path.is_file() or path.stat().st_size):
            study = load(path, problem, Journal(path), OTHER)
        else:
            study = create(optuna.storages.JournalStorage(Journal(path)), NAME, problem)
        for trial in finished(study, "RUNNING"):  # by a process that was killed
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        join(study, problem, about, str(path), OTHER)
        study.pruner = pruner()
        reseed(study, seed)
        yield study


@contextlib.contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Make the folder for the results of a study that is elsewhere, and keep other processes out."""
    _make(folder, LOCK)
    with _locked(folder):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's messages, which chainrule's own replace."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def pruner() -> optuna.pruners.BasePruner:
    """Return the pruner of every search."""
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5)


def sampler(seed: int | None) -> optuna.samplers.BaseSampler:
    """Return the sampler of every search."""
    return optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)


def join(study: optuna.Study, problem: Problem, about: Mapping[str, Any], where: str, other: str) -> None:
    """Describe a study that is new, refuse one of something else, and put the points to try first in its queue.

    These are the default, and the points of trials that were interrupted.
    """
    if ABOUT not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(ABOUT, dict(about))
    _check_same(study.user_attrs.get(ABOUT), about, where, other)
    points = [point_of(trial) for trial in finished(study, *FINISHED, "WAITING", "RUNNING")]
    for point in (problem.default, *map(point_of, finished(study, "FAIL"))):
        if len(point) == len(problem.space) and point not in points:  # else the sampler draws it again
            study.enqueue_trial(point)
            points.append(point)


def reseed(study: optuna.Study, seed: int) -> None:
    """Give the study the sampler of its next trial, seeded by the number of finished trials.

    A resumed study therefore draws the same points as without the interruption.
    """
    stream = int(np.random.SeedSequence((seed, len(finished(study)))).generate_state(1)[0])
    study.sampler = sampler(stream)


def finished(study: optuna.Study, *states: str) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were completed or pruned, or those in other states."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in (states or FINISHED)]


def records(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """Return the finished trials, in the order in which they started."""
    return tuple(_record(number, trial) for number, trial in enumerate(finished(study), 1))


def importance(study: optuna.Study, seed: int) -> dict[str, float]:
    """Return the importance of each dimension, largest first, by functional ANOVA with a random forest.

    Pruned trials are included with the mean at which they ended: without them, a dimension with a range that is
    always bad would not seem to matter.

    Source: Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance" (2014).
    """
    every = optuna.create_study()
    for record, trial in zip(records(study), finished(study), strict=True):
        if record.value is not None:
            every.add_trial(
                optuna.create_trial(params=trial.params, distributions=trial.distributions, value=record.value)
            )
    trials = every.get_trials(deepcopy=False)
    if len(trials) < IMPORTANCE or len({trial.value for trial in trials}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        found = optuna.importance.get_param_importances(every, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def create(storage: Any, name: str, problem: Problem) -> optuna.Study:
    """Start a study."""
    return optuna.create_study(storage=storage, study_name=name, direction=direction(problem))


def direction(problem: Problem) -> Literal["minimize", "maximize"]:
    """Return which values of a trial are better, as Optuna calls it."""
    return "maximize" if problem.measure.larger else "minimize"


def point_of(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return the point of a trial; one that has not finished may be in the queue, or have drawn some values only."""
    fixed = {} if trial.state.name in FINISHED else trial.system_attrs.get("fixed_params", {})
    return {**fixed, **trial.params}


def _record(number: int, trial: optuna.trial.FrozenTrial) -> TrialRecord:
    notes = trial.user_attrs
    state = "complete" if trial.state.name == "COMPLETE" else "diverged" if "failed" in notes else "pruned"
    folds, epochs = tuple(notes.get("folds", ())), tuple(notes.get("epochs", ()))
    value = float(np.mean(folds)) if folds else None
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return TrialRecord(number, state, value, folds, epochs, seconds, dict(trial.params))


def writable(folder: Path, option: str) -> None:
    """Make a folder, or say why it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{folder} is a file, or in one: choose another {option}.") from None
    except OSError as error:
        raise OSError(f"cannot write to the folder {folder} ({error.strerror}): choose another {option}.") from None


def _make(folder: Path, mark: str = FILE) -> None:
    """Make the folder, or check that it is the folder of a study, by the file that marks one."""
    writable(folder, "--out")
    entries = {path.name for path in folder.iterdir()}
    if entries - {LOCK} and mark not in entries:
        raise FileExistsError(f"the folder {folder} is not empty and has no {mark}: choose another --out.")
    if mark == LOCK and FILE in entries:
        raise FileExistsError(f"the folder {folder} has a study of its own, {FILE}: choose another --out.")
    for name in (FILE, LOCK, f"{LOCK}-journal", f"{LOCK}-wal"):  # they would be written through
        refuse_link(folder / name)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from tuning in the folder; the lock of a killed process is gone with it."""
    connection = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    except sqlite3.DatabaseError:
        raise ValueError(f"another process is tuning in {folder}: wait for it, or choose another --out.") from None
    finally:
        connection.close()


def load(path: Path, problem: Problem, journal: Journal, other: str) -> optuna.Study:
    """Load a study from a journal, which may be a stranger's."""
    with _damaged(str(path), f"move it away, or {other}"):
        if not path.is_file():
            raise ValueError("it is not a regular file")
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"its {size:,} bytes are more than the limit of {LARGEST:,}")
        with path.open("rb") as file:
            if any(len(line) > LONGEST for line in file):
                raise ValueError(f"it has a line of more than {LONGEST:,} bytes")
        storage = optuna.storages.JournalStorage(journal)
        return load_from(storage, NAME, problem, str(path), f"move it away, or {other}")


def load_from(storage: Any, name: str, problem: Problem, where: str, remedy: str) -> optuna.Study:
    """Load a study and check its trials."""
    with _damaged(where, remedy):
        study = optuna.load_study(study_name=name, storage=storage)
        known, wanted = study.user_attrs.get(ABOUT), direction(problem)
        same = not isinstance(known, dict) or known.get("metric") == problem.metric  # else _check_same refuses it
        if same and [each.name.lower() for each in study.directions] != [wanted]:
            raise ValueError(f"it does not {wanted} one number")
        trials = study.get_trials(deepcopy=False)
        if (unfinished := sum(trial.state.name not in FINISHED for trial in trials)) > MOST_UNFINISHED:
            raise ValueError(f"its {unfinished:,} unfinished trials are more than the limit of {MOST_UNFINISHED:,}")
        for trial in trials:
            check(trial, problem)
    return study


class _DamagedError(ValueError):
    """A sentence about a study that cannot be used."""


@contextlib.contextmanager
def _damaged(where: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except (_DamagedError, optuna.exceptions.StorageInternalError):
        raise
    except Exception as error:  # noqa: BLE001  (a crafted journal raises any of them in Optuna)
        why = shown(str(error).partition("\n")[0] or type(error).__name__)
        raise _DamagedError(f"{where} is damaged or not an Optuna study ({why}): {remedy}.") from None


def check(trial: optuna.trial.FrozenTrial, problem: Problem) -> None:
    """Refuse a point outside the search space, which would become arguments of an estimator, and odd results."""
    point = point_of(trial)
    for dimension in problem.space:
        value = point.get(dimension.name)
        drawn = trial.state.name in FINISHED or dimension.name in point
        if drawn and value not in dimension:
            raise ValueError(
                f"trial {trial.number} has {dimension.name}={shown(value)}, which is not in the search space: "
                f"{dimension.shown()}"
            )
    notes = trial.user_attrs
    if len(notes) + len(trial.system_attrs) > MOST_NOTES:
        raise ValueError(f"trial {trial.number} has more than {MOST_NOTES} attributes")
    numbers: list[Any] = [*trial.intermediate_values.values(), *notes.get("folds", [])]
    if trial.state.name == "COMPLETE":
        numbers += [trial.value, notes.get("seconds"), *(notes.get("epochs") or [None])]
        numbers += notes.get("folds") or [None]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"trial {trial.number} has no value, or values that are not numbers")


def _check_same(known: Any, about: Mapping[str, Any], where: str, other: str) -> None:
    if not isinstance(known, dict):
        raise ValueError(f"{where} is a study that chainrule did not begin: {other}.")  # noqa: TRY004
    differs = [name for name in about if json.dumps(known.get(name)) != json.dumps(about[name])]
    if differs:
        raise ValueError(f"{where} is the study of another search ({', '.join(differs)}): {other}, or tune as before.")
