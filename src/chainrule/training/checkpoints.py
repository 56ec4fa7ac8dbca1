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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array, is_sparse
from chainrule.files.container import opened, read_array, read_header, write_file
from chainrule.files.networks import holds
from chainrule.files.states import check_array, check_seed, check_state, check_stream, form
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, shown
from chainrule.files.writing import remove_parts
from chainrule.training.callbacks import Callback, Run
from chainrule.training.state import Steps, Work

__all__ = ["Checkpoint", "CheckpointError", "CheckpointWarning"]

KIND = "checkpoint"
NAME = re.compile(r"checkpoint-(\d{6,})\.safetensors")
EXPECTED = "a checkpoint written by chainrule"
NOT_KEPT = {"training", "dx_wanted", "rng", "scratch", "weights", "factors", "before"}  # no state
SINCE = {"accumulate": "1", "layer_rates": "{}", "augment": "[]"}  # what older checkpoints did without
CHUNK = 2**22  # numbers that are hashed at once where an array is not contiguous


class CheckpointError(ValueError):
    """A training cannot go on from these checkpoints: they are damaged, or of another training."""


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


class Saved(NamedTuple):
    """A checkpoint that was read: whole, but not yet compared with any training."""

    path: Path
    description: dict[str, Any]
    arrays: dict[str, Array]

    @property
    def seed(self) -> np.random.SeedSequence:
        """The seed of the training."""
        try:
            return check_seed(self.description["seed"])
        except ValueError as error:
            raise CheckpointError(
                f"{self.path}: the seed cannot be read: {error}. Pass the seed of the training again."
            ) from error


def newest(folder: str | os.PathLike[str]) -> Saved | None:
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


def read(path: str | os.PathLike[str]) -> Saved:
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
    return Saved(Path(path), description, arrays)


def _check_types(description: Mapping[str, Any]) -> None:
    """Refuse fields of other types than :meth:`Training.snapshot` writes; what is in them is checked by their users."""
    for name in ("same", "seed", "streams", "optimizer"):
        if not isinstance(description[name], dict):
            raise ModelFileError(f"{name} cannot be read: expected an object, got {shown(description[name])}.")
    check_texts("same", [*description["same"].values()])
    check_texts("stopped", [description["stopped"]])
    check_texts("columns", description["columns"])
    check_whole("epoch", description["epoch"])
    callbacks = description["callbacks"]
    if not isinstance(callbacks, list):
        raise ModelFileError(f"callbacks cannot be read: expected a list, got {shown(callbacks)}.")
    for callback in callbacks:
        entry = check_fields("a callback", callback, {"type", "state"})
        check_texts("a callback", [entry["type"]])
        if not isinstance(entry["state"], dict):
            raise ModelFileError(f"a callback's state cannot be read: got {shown(entry['state'])}.")


class Training(NamedTuple):
    """All that goes on from epoch to epoch: what a checkpoint is taken from, and put back into.

    ``same`` are descriptions of what has to be the same in the training that goes on, by name.
    """

    work: Work
    steps: Steps
    run: Run
    callbacks: Sequence[Callback]
    seed: Mapping[str, Any]
    same: Mapping[str, str]

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the state as a description for JSON, and arrays by name."""
        work, run = self.work, self.run
        augment = work.batches.augment
        columns = run.history.to_dict()
        arrays = {
            **_values(work),
            **_order(work),
            "history": np.array([*columns.values()], np.float64).reshape(len(columns), -1),
        }
        description = {
            "same": dict(self.same),
            "seed": dict(self.seed),
            "epoch": run.epoch,
            "stopped": run.stopped,
            "columns": [*columns],
            "streams": {"order": _stream(work.batches.rng), "steps": _stream(self.steps.rng)}
            | ({"augment": _stream(augment.rng)} if augment else {}),
            "optimizer": _pack("optimizer", kept(work.state), arrays),
            "callbacks": [
                {"type": type(callback).__name__, "state": _pack(f"callbacks.{i}", callback.state(), arrays)}
                for i, callback in enumerate(self._stateful())
            ],
        }
        return description, arrays

    def restore(self, saved: Saved) -> None:
        """Put everything back, after checks that the checkpoint is of this training."""
        try:
            _check_types(saved.description)
            self._check_same(saved)
            self._restore(saved)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise CheckpointError(
                f"{saved.path}: this training cannot go on from it: {shown(repr(error))}. Use another checkpoint, or "
                "start anew in another folder."
            ) from error

    def _stateful(self) -> list[Callback]:
        """Return the callbacks that remember something; the others, such as progress bars, may come and go."""
        return [callback for callback in self.callbacks if callback.state()]

    def _check_same(self, saved: Saved) -> None:
        there = SINCE | saved.description["same"]
        for name in self.same:
            if there.get(name) != self.same[name]:
                raise CheckpointError(
                    f"{saved.path} is a checkpoint of another training: {name}: {shown(there.get(name), 2000)} there, "
                    f"{self.same[name]} here. Give the same arguments, or start anew in another folder."
                )
        kinds = [callback["type"] for callback in saved.description["callbacks"]]
        ours = [type(callback).__name__ for callback in self._stateful()]
        if kinds != ours:
            raise CheckpointError(
                f"{saved.path} is a checkpoint of another training: callbacks: {shown(', '.join(kinds)) or 'none'} "
                f"there, {', '.join(ours) or 'none'} here. Give the same callbacks in the same order."
            )
        if saved.description["epoch"] > self.run.epochs:
            raise CheckpointError(
                f"{saved.path} is a checkpoint of epoch {saved.description['epoch']}, but epochs={self.run.epochs}: "
                "give more epochs."
            )

    def _restore(self, saved: Saved) -> None:
        description, arrays, work, run = saved.description, saved.arrays, self.work, self.run
        state = _unpack(description["optimizer"], arrays)
        now = kept(work.state)
        if not now.keys() <= state.keys() or state.keys() & NOT_KEPT:
            raise ValueError(f"the optimizer remembers {', '.join(now)}, got {shown(', '.join(state))}")
        memory = {name: value for name, value in now.items() if isinstance(value, np.ndarray)}
        check_state({"t": state["t"]}, {"t": "count"})
        targets = {**_values(work), **_order(work), **memory}
        sources = {name: state[name] if name in memory else arrays[name] for name in targets}
        _check_arrays(work, sources, targets)
        rngs = {"order": work.batches.rng, "steps": self.steps.rng}
        if work.batches.augment is not None:
            rngs["augment"] = work.batches.augment.rng
        streams = {name: _checked_stream(rng, description["streams"][name]) for name, rng in rngs.items()}
        for named in _history(arrays["history"].T, description["columns"], description["epoch"]):
            run.history.append([int(named["epoch"]), *(named[name] for name in run.columns if name != "epoch")])
        for callback, entry in zip(self._stateful(), description["callbacks"], strict=True):
            callback.restore(_unpack(entry["state"], arrays))
        for name, rng in rngs.items():
            _resume_stream(rng, streams[name])
        run.epoch = description["epoch"]
        for name in state.keys() - memory.keys():
            setattr(work.state, name, state[name])
        for name, target in targets.items():  # after all that can fail
            target[...] = sources[name]
        if description["stopped"]:
            run.stop(description["stopped"])


def _check_arrays(work: Work, sources: Mapping[str, Any], targets: Mapping[str, Array]) -> None:
    """Refuse arrays of another form than those that they replace, what is not finite, and rows that are not there."""
    for name, target in targets.items():
        check_array(name, sources[name], form(target))
    for name in _values(work):
        if not np.isfinite(sources[name]).all():
            raise ValueError(f"{name} is not finite")
    if "order" in targets and not np.array_equal(np.sort(sources["order"]), np.sort(work.batches.order)):
        raise ValueError("order is not an order of the rows that are trained on")


def _history(rows: Array, columns: Sequence[str], epochs: int) -> list[dict[str, float]]:
    """Return the rows of a history by name, one for each epoch."""
    if rows.dtype != np.float64 or rows[:, columns.index("epoch")].tolist() != list(range(1, epochs + 1)):
        raise ValueError(f"the history has not the epochs 1 to {epochs}")
    return [dict(zip(columns, row, strict=True)) for row in rows.tolist()]


def fingerprint(*data: Any) -> str:
    """Return a digest of arrays, dense or sparse, or None: whether data are the same is a matter of one comparison."""
    hashed = hashlib.sha256()
    for part in data:
        arrays = (part.data, part.indices, part.indptr) if is_sparse(part) else () if part is None else (part,)
        for array in arrays:
            hashed.update(f"{array.dtype.str} {array.shape};".encode())
            rows = max(1, CHUNK // max(1, array[:1].size))
            for start in range(0, len(array), rows):
                hashed.update(np.ascontiguousarray(array[start : start + rows]).data)
        hashed.update(b"/")
    return hashed.hexdigest()


def _values(work: Work) -> dict[str, Array]:
    """Return what was learned: the parameters, and the statistics of a network that has any."""
    network = work.network
    return {"theta": network.theta} | ({"statistics": network.statistics} if network.statistics.size else {})


def _order(work: Work) -> dict[str, Array]:
    """Return the order of the rows, which each epoch's is made from; nothing where it stays."""
    return {} if work.batches.rng is None else {"order": work.batches.order}


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


# ---------------------------------------------------------------- random streams


def seed_state(seed: np.random.SeedSequence) -> dict[str, Any]:
    """Return the arguments that make this seed once more, in types that JSON has."""
    words: Any = seed.entropy
    entropy = words if isinstance(words, int) else [int(word) for word in np.ravel(words)]
    return {
        "entropy": entropy,
        "spawn_key": [int(key) for key in seed.spawn_key],
        "pool_size": seed.pool_size,
        "n_children_spawned": seed.n_children_spawned,
    }


def _stream(rng: Any) -> dict[str, Any] | None:
    """Return the state of what shuffles or draws; None where nothing does."""
    if rng is None:
        return None
    if isinstance(rng, np.random.Generator):
        state = rng.bit_generator.state
    elif isinstance(rng, np.random.RandomState):
        state = rng.get_state(legacy=False)
    elif hasattr(rng, "state") and hasattr(rng, "restore"):
        state = rng.state()
    else:
        raise TypeError(
            f"Checkpoint: shuffle: the state of {rng!r} is unknown: give it methods state(), which returns a "
            "dictionary for JSON, and restore(state), or use a numpy.random.Generator."
        )
    return _plain(state)


def _plain(value: Any) -> Any:
    """Return a stream's state in types that JSON has."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def _checked_stream(rng: Any, state: Any) -> Any:
    """Return a state that NumPy may have; that of a shuffler of one's own is checked by its ``restore``."""
    if isinstance(rng, np.random.Generator):
        return check_stream(state, rng.bit_generator.state)
    if isinstance(rng, np.random.RandomState):
        return check_stream(state, rng.get_state(legacy=False))
    return state


def _resume_stream(rng: Any, state: Any) -> None:
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = state
    elif isinstance(rng, np.random.RandomState):
        rng.set_state(state)
    elif rng is not None:
        rng.restore(state)


# ---------------------------------------------------------------- states of optimizers and callbacks


def kept(memory: Any) -> dict[str, Any]:
    """Return what an optimizer remembers from step to step."""
    return {name: value for name, value in vars(memory).items() if name not in NOT_KEPT}


def _pack(owner: str, state: Mapping[str, Any], arrays: dict[str, Array]) -> dict[str, Any]:
    """Return a state for JSON: its arrays go into ``arrays``, and floats are written so that every bit comes back."""
    packed: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray) or (isinstance(value, list) and value):
            key = f"{owner}.{name}"
            array = np.asarray(value)
            if array.dtype not in (np.float32, np.float64, np.int64):
                raise TypeError(f"{key}: a checkpoint keeps arrays of float32, float64 and int64, got {array.dtype}.")
            arrays[key] = array
            packed[name] = {"list" if isinstance(value, list) else "array": key}
        elif isinstance(value, float):
            packed[name] = {"float": float(value).hex()}
        elif value is None or value == [] or isinstance(value, bool | str):
            packed[name] = value
        elif isinstance(value, int | np.integer):
            packed[name] = int(value)
        else:
            raise TypeError(
                f"{owner}.{name}: a checkpoint keeps numbers, texts, arrays and lists of numbers, not {value!r}."
            )
    return packed


def _unpack(packed: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _value(value, arrays) for name, value in packed.items()}


def _value(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what :func:`_pack` was given."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "float":
        return float.fromhex(content)
    array = arrays[content].copy()
    return {"array": array, "list": array.tolist()}[kind]


def describe(work: Work, seed: Mapping[str, Any] | None, data: Iterable[Any]) -> dict[str, str]:
    """Return what has to be the same in a training that goes on, in words."""
    network = work.network
    same = {
        "network": f"{network.input_shape} {[*network.layers]!r} {network.loss!r} {network.dtype}",
        "optimizer": repr(work.optimizer),
        "schedule": repr(work.schedule),
        "penalties": repr([*work.penalties]),
        "clip": repr(work.clip),
        "batch_size": str(work.batches.batch_size),
        "accumulate": str(work.accumulate),
        "layer_rates": repr(dict(work.layer_rates)),
        "augment": repr([] if work.batches.augment is None else work.batches.augment.parts),
        "shuffle": type(work.batches.rng).__name__,
        "data": fingerprint(*data),
    }
    return same if seed is None else same | {"seed": json.dumps(seed)}
