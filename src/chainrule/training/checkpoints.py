"""Checkpoints: the complete training state in a file, so that an interrupted run can be resumed.

A resumed run gives results bit-identical to an uninterrupted one: parameters, optimizer state, row order, all random
streams, the history and callback state are restored from the file. Everything else comes from the call, which must be
the same; the file has only a description of it, to detect a different network or other data.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
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
from chainrule.files.networks import check_kind
from chainrule.files.values import ModelFileError, check_fields
from chainrule.files.writing import check_writable, remove_parts
from chainrule.training.callbacks import Callback, Run
from chainrule.training.ranks import ALONE, Ranks
from chainrule.training.snapshots import CheckpointError, Snapshot

__all__ = ["Checkpoint", "CheckpointError", "CheckpointWarning"]

KIND = "checkpoint"
NAME = re.compile(r"checkpoint-(\d{6,})\.safetensors")
RANK = re.compile(r"rank-\d+-of-(\d+)")
EXPECTED = "a checkpoint written by chainrule"
FIELDS = {"same", "seed", "epoch", "stopped", "columns", "streams", "optimizer", "callbacks", "sha256"}


class CheckpointWarning(UserWarning):
    """Issued when a corrupt checkpoint is skipped, or one cannot be written and training continues without it."""


@final
@dataclass(eq=False, repr=False)
class Checkpoint(Callback):
    """Save the training state to a folder, from which ``train(..., resume=folder)`` can resume.

    A checkpoint is always written after the last epoch. Writes are atomic (a temporary file is flushed to disk and
    renamed), so a crash never damages earlier checkpoints.

    Parameters
    ----------
    folder : path
        Created if it does not exist. Use a separate folder for each run.
    every : int or datetime.timedelta
        Number of epochs between checkpoints, or the time between them; a timed checkpoint is written at the end of the
        epoch. Time is measured with a monotonic clock.
    keep : int or None
        Number of most recent checkpoints to keep, or None to keep all.

    Raises
    ------
    FileExistsError
        Before training, if the folder has checkpoints and training does not resume from it.
    OSError
        Before training, if the folder is not writable. Later failures, such as a full disk, cause a
        :class:`CheckpointWarning`, and training continues.
    TypeError
        If ``shuffle=`` is an object of unknown state. A custom one needs ``state()`` and ``restore(state)``.

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
    ...     theta, epochs = fit(3)                         # interrupted here, for example
    ...     theta, epochs = fit(5)                         # resumes at epoch 4
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
        if run.ranks > 1 and isinstance(self.every, timedelta):
            raise ValueError("Checkpoint: every: with reduce=, expected a number of epochs, the same on every rank.")
        folder = self._folder = own_folder(self.folder, run.rank, run.ranks)
        folder.mkdir(parents=True, exist_ok=True)
        if _numbered(folder) and not _same_folder(Path(self.folder), run.resume):
            raise FileExistsError(
                f"Checkpoint: {folder} has checkpoints of an earlier run: resume it with train(..., "
                f"resume={str(folder)!r}), or choose another folder."
            )
        remove_parts(folder)
        check_writable(folder)
        run.snapshot()  # raises now if some state cannot be saved
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
        folder = self._folder
        path = folder / f"checkpoint-{run.epoch:06}.safetensors"
        sealed = {**description, "sha256": digest(description, arrays)}
        try:
            write_file(path, KIND, sealed, arrays, overwrite=True, follow=False)
            for old in [] if self.keep is None else _numbered(folder)[: -self.keep]:
                old.unlink(missing_ok=True)
        except OSError as error:  # a full disk must not end training
            message = (
                f"Checkpoint: {path} cannot be written ({error.strerror or error}): training continues without it."
            )
            warnings.warn(message, CheckpointWarning, stacklevel=2)
            return
        self._last = time.monotonic()


def own_folder(folder: str | os.PathLike[str], rank: int, ranks: int) -> Path:
    """Return where a rank has its checkpoints: its order of rows and random streams are its own."""
    return Path(folder) / f"rank-{rank}-of-{ranks}" if ranks > 1 else Path(folder)


def newest(folder: str | os.PathLike[str], ranks: Ranks = ALONE) -> Snapshot | None:
    """Return the latest intact checkpoint in the folder, or None if there is none. Warn about each corrupt one.

    With several ranks, it is that of the latest epoch of which each rank has an intact one.

    Raises
    ------
    CheckpointError
        If there are checkpoints but all are corrupt.
    """
    found: list[Path] = []
    with ranks.together():
        if Path(folder).exists() and not Path(folder).is_dir():
            raise NotADirectoryError(f"resume: {folder} is a file; a folder with checkpoints was expected.")
        found = _numbered(own_folder(folder, ranks.rank, ranks.size))
        _check_number_of_ranks(Path(folder), ranks.size)
    paths = {_epoch(path): path for path in found}
    everywhere = [{*map(int, epochs.split())} for epochs in ranks.texts(" ".join(map(str, paths)))]
    for epoch in sorted(set.intersection(*everywhere), reverse=True):
        snapshot = None
        try:
            snapshot = read(paths[epoch])
        except (ModelFileError, OSError) as error:
            message = f"{error} The previous checkpoint is used, if there is one."
            warnings.warn(message, CheckpointWarning, stacklevel=3)
        if "" not in ranks.texts("intact" if snapshot else ""):
            return snapshot
    if any(everywhere):
        own = own_folder(folder, ranks.rank, ranks.size)
        whole = "of an epoch that every rank has saved " * (ranks.size > 1)
        raise CheckpointError(
            f"resume: none of the {len(found)} checkpoint(s) in {own} {whole}can be read. To start over, empty the "
            "folder."
        )
    return None


def _check_number_of_ranks(folder: Path, ranks: int) -> None:
    """Raise an error if the checkpoints are those of another number of processes."""
    named = {path: RANK.fullmatch(path.name) for path in folder.glob("rank-*-of-*")}
    kinds = {int(match[1]) for path, match in named.items() if match and _numbered(path)}
    kinds |= {1} if _numbered(folder) else set()
    if kinds and ranks not in kinds:
        raise CheckpointError(
            f"resume: {folder} has checkpoints of {min(kinds)} process(es), and {ranks} are training: start as many."
        )


def read(
    path: str | os.PathLike[str], kind: str = KIND, expected: str = EXPECTED, fields: set[str] = FIELDS
) -> Snapshot:
    """Read one checkpoint, of a kind of file whose description has these fields.

    Raises
    ------
    ModelFileError
        If the file is corrupt or is not a checkpoint.
    """
    with opened(path, expected) as file:
        header = read_header(file, expected)
        check_kind(header, kind, expected)
        description = check_fields("the description", header.description, fields)
        arrays = {name: read_array(file, tensor) for name, tensor in header.tensors.items()}
        if description.pop("sha256") != digest(description, arrays):
            raise ModelFileError("corrupt: the checksum does not match its content.")
    return Snapshot(Path(path), description, arrays)


def _numbered(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    found = {path: NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*.safetensors")}
    return sorted((path for path, match in found.items() if match), key=_epoch)


def _epoch(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _same_folder(folder: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and folder.samefile(other)


def digest(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Return the checksum that a checkpoint has in its description."""
    hashed = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(f"{name} {array.dtype.str} {array.shape};".encode())
        hashed.update(array.data)
    return hashed.hexdigest()
