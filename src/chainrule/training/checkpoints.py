"""Checkpoints: everything that goes on from epoch to epoch, in a file, so that a training that was killed goes on.

A training that is resumed ends bit for bit where it would have ended: parameters, the optimizer's state, the order of
the rows, every random stream, the history and what callbacks remember come from the file. All else comes from the
call, which has to be the same; the file has only its description, to refuse another network or other data.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, final

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array
from chainrule.files.container import opened, read_array, read_header, write_file
from chainrule.files.networks import holds
from chainrule.files.values import ModelFileError, check_fields
from chainrule.files.writing import remove_parts
from chainrule.training.callbacks import Callback, Run
from chainrule.training.snapshots import CheckpointError, Snapshot

__all__ = ["Checkpoint", "CheckpointError", "CheckpointWarning"]

KIND = "checkpoint"
NAME = re.compile(r"checkpoint-(\d{6,})\.safetensors")
EXPECTED = "a checkpoint written by chainrule"


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, and the one before it is used; or it cannot be written, and training goes on without."""


@final
@dataclass(eq=False, repr=False)
class Checkpoint(Callback):
    """Keep the state of training in a folder, so that ``train(..., resume=folder)`` can go on with it.

    A file is written after the last epoch in any case. It is written beside its place and renamed when it is whole and
    on the disk, so that a crash at any moment leaves the files before it as they were.

    Parameters
    ----------
    folder : path
        Made if it is not there. One training, one folder.
    every : int or datetime.timedelta
        After how many epochs, or after how much time, at the end of an epoch. Time is that of a clock that nobody sets.
    keep : int or None
        How many of the last files are kept; None for all.

    Raises
    ------
    FileExistsError
        Before training, when the folder has checkpoints and training does not resume from it.
    OSError
        Before training, when nothing can be written there. Later, when the disk is full for example, a
        :class:`CheckpointWarning` says so and training goes on.
    TypeError
        When ``shuffle=`` is an object whose state is unknown: one of your own has ``state()`` and ``restore(state)``.

    Examples
    --------
    >>> import chainrule as cr, tempfile
    >>> X = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> def fit(epochs):
    ...     network = cr.Network(1, [cr.layers.Dense(1)], "squared_error", seed=0)
    ...     history = cr.train(network, X, 2 * X[:, 0], epochs=epochs, seed=0, callbacks=[Checkpoint(folder)],
    ...                        resume=folder)
    ...     return network.theta, len(history)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     theta, epochs = fit(3)                         # is killed here, or its machine is
    ...     theta, epochs = fit(5)                         # goes on with epoch 4
    >>> epochs
    5
    """

    folder: str | os.PathLike[str]
    every: int | timedelta = 1
    keep: int | None = 3

    def __post_init__(self) -> None:
        if not isinstance(self.every, timedelta):
            self.every = check_count("Checkpoint", "every", self.every)
        elif self.every < timedelta(0):
            raise ValueError(f"Checkpoint: every: expected a time of at least 0, got {self.every}.")
        if self.keep is not None:
            self.keep = check_count("Checkpoint", "keep", self.keep)

    def on_start(self, run: Run) -> None:
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        if _numbered(folder) and not _same_folder(folder, run.resume):
            raise FileExistsError(
                f"Checkpoint: {folder} has checkpoints of an earlier training: go on with it by train(..., "
                f"resume={str(folder)!r}), or choose another folder."
            )
        remove_parts(folder)
        with tempfile.TemporaryFile(dir=folder):  # can it be written?
            pass
        run.snapshot()  # what cannot be kept is said now
        self._last = time.monotonic()

    def on_epoch(self, run: Run) -> None:
        last = run.epoch == run.epochs or bool(run.stopped)
        if isinstance(self.every, timedelta):
            due = time.monotonic() - self._last >= self.every.total_seconds()
        else:
            due = run.epoch % self.every == 0
        if due or last:
            self._write(run)

    def _write(self, run: Run) -> None:
        description, arrays = run.snapshot()
        folder = Path(self.folder)
        path = folder / f"checkpoint-{run.epoch:06}.safetensors"
        sealed = {**description, "sha256": _digest(description, arrays)}
        try:
            write_file(path, KIND, sealed, arrays, overwrite=True, follow=False)
            for old in [] if self.keep is None else _numbered(folder)[: -self.keep]:
                old.unlink(missing_ok=True)
        except OSError as error:  # a full disk is no reason to lose what was learned
            message = f"Checkpoint: {path} cannot be written ({error.strerror or error}): training goes on without it."
            warnings.warn(message, CheckpointWarning, stacklevel=2)
            return
        self._last = time.monotonic()


def newest(folder: str | os.PathLike[str]) -> Snapshot | None:
    """Return the last checkpoint in the folder that is whole, with a warning for each damaged one; None for none.

    Raises
    ------
    CheckpointError
        When there are checkpoints and all are damaged.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"resume: {folder} is a file; a folder with checkpoints was expected.")
    paths = _numbered(folder)
    for path in reversed(paths):
        try:
            return read(path)
        except (ModelFileError, OSError) as error:
            message = f"{error} The checkpoint before it is used, if there is one."
            warnings.warn(message, CheckpointWarning, stacklevel=3)
    if paths:
        raise CheckpointError(
            f"resume: none of the {len(paths)} checkpoint(s) in {folder} can be read. To start anew, empty the folder."
        )
    return None


def read(path: str | os.PathLike[str]) -> Snapshot:
    """Read one checkpoint.

    Raises
    ------
    ModelFileError
        When it is damaged in any bit, or no checkpoint.
    """
    with opened(path, EXPECTED) as file:
        header = read_header(file, EXPECTED)
        if header.kind != KIND:
            raise ModelFileError(f"{EXPECTED} was expected, but it holds {holds(header.kind)}.")
        fields = {"same", "seed", "epoch", "stopped", "columns", "streams", "optimizer", "callbacks", "sha256"}
        description = check_fields("the description", header.description, fields)
        arrays = {name: read_array(file, tensor) for name, tensor in header.tensors.items()}
        if description.pop("sha256") != _digest(description, arrays):
            raise ModelFileError("damaged: its content has not the checksum with which it was written.")
    return Snapshot(Path(path), description, arrays)


def _numbered(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    found = {path: NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*.safetensors")}
    return sorted((path for path, match in found.items() if match), key=lambda path: int(path.stem.split("-")[1]))


def _same_folder(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)


def _digest(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    hashed = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(f"{name} {array.dtype.str} {array.shape};".encode())
        hashed.update(array.data)
    return hashed.hexdigest()
