"""Snapshots of the complete training state, taken from a run and restored into one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.backend import host, is_array, like
from chainrule._internal.typing import Array, is_sparse
from chainrule.files.states import check_array, check_seed, check_state, form
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, shown
from chainrule.training.callbacks import Callback, Run
from chainrule.training.state import Steps, Work
from chainrule.training.streams import Stream

NOT_KEPT = {"training", "dx_wanted", "rng", "scratch", "weights", "factors", "before"}  # not state
SINCE = {"accumulate": "1", "layer_rates": "{}", "augment": "[]"}  # defaults for fields that older checkpoints lack
CHUNK = 2**22  # numbers hashed at once if an array is not contiguous


class CheckpointError(ValueError):
    """Raised when training cannot resume because the checkpoints are corrupt or belong to a different run."""


class Snapshot(NamedTuple):
    """A checkpoint that was read and found intact, but not yet matched to a run."""

    path: Path
    description: dict[str, Any]
    arrays: dict[str, Array]

    @property
    def seed(self) -> np.random.SeedSequence:
        """The seed of the run."""
        try:
            return check_seed(self.description["seed"])
        except ValueError as error:
            raise CheckpointError(
                f"{self.path}: the seed cannot be read: {error}. Pass the seed of the run again."
            ) from error


def take(
    steps: Steps, callbacks: Sequence[Callback], seed: Mapping[str, Any], same: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the training state as a description for JSON, and arrays by name.

    ``same`` describes, by name, everything that must be the same when training resumes: see :func:`describe`.
    """
    work, run = steps.work, steps.run
    columns = run.history.to_dict()
    arrays = {
        **{name: host(array) for name, array in _values(work).items()},
        **_order(work),
        "history": np.array([*columns.values()], np.float64).reshape(len(columns), -1),
    }
    description = {
        "same": dict(same),
        "seed": dict(seed),
        "epoch": run.epoch,
        "stopped": run.stopped,
        "columns": [*columns],
        "streams": {name: stream.state() for name, stream in _streams(steps).items()},
        "optimizer": _pack("optimizer", kept(work.state), arrays),
        "callbacks": [
            {"type": type(callback).__name__, "state": _pack(f"callbacks.{i}", callback.state(), arrays)}
            for i, callback in enumerate(_stateful(callbacks))
        ],
    }
    return description, arrays


def restore(snapshot: Snapshot, steps: Steps, callbacks: Sequence[Callback], same: Mapping[str, str]) -> None:
    """Restore everything, after checking that the checkpoint belongs to this run."""
    try:
        _check_types(snapshot.description)
        _check_same(snapshot, steps.run, callbacks, same)
        _restore(snapshot, steps, callbacks)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise CheckpointError(
            f"{snapshot.path}: training cannot resume from it: {shown(repr(error))}. Use another checkpoint, or "
            "start over in another folder."
        ) from error


def _stateful(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks that have state; the others, such as progress bars, may differ between runs."""
    return [callback for callback in callbacks if callback.state()]


def _check_same(snapshot: Snapshot, run: Run, callbacks: Sequence[Callback], same: Mapping[str, str]) -> None:
    there = SINCE | snapshot.description["same"]
    for name in same:
        if there.get(name) != same[name]:
            raise CheckpointError(
                f"{snapshot.path} is a checkpoint of a different run: {name}: {shown(there.get(name), 2000)} there, "
                f"{same[name]} here. Give the same arguments, or start over in another folder."
            )
    kinds = [callback["type"] for callback in snapshot.description["callbacks"]]
    ours = [type(callback).__name__ for callback in _stateful(callbacks)]
    if kinds != ours:
        raise CheckpointError(
            f"{snapshot.path} is a checkpoint of a different run: callbacks: {shown(', '.join(kinds)) or 'none'} "
            f"there, {', '.join(ours) or 'none'} here. Give the same callbacks in the same order."
        )
    if snapshot.description["epoch"] > run.epochs:
        raise CheckpointError(
            f"{snapshot.path} is a checkpoint of epoch {snapshot.description['epoch']}, but epochs={run.epochs}: "
            "increase epochs."
        )


def _restore(snapshot: Snapshot, steps: Steps, callbacks: Sequence[Callback]) -> None:
    description, arrays, work, run = snapshot.description, snapshot.arrays, steps.work, steps.run
    state = _unpack(description["optimizer"], arrays)
    now = kept(work.state)
    if not now.keys() <= state.keys() or state.keys() & NOT_KEPT:
        raise ValueError(f"the optimizer remembers {', '.join(now)}, got {shown(', '.join(state))}")
    memory = {name: value for name, value in now.items() if is_array(value)}
    check_state({"t": state["t"]}, {"t": "count"})
    targets = {**_values(work), **_order(work), **memory}
    sources = {name: state[name] if name in memory else arrays[name] for name in targets}
    _check_arrays(work, sources, targets)
    streams = [(stream, stream.checked(description["streams"][name])) for name, stream in _streams(steps).items()]
    for named in _history(arrays["history"].T, description["columns"], description["epoch"]):
        run.history.append([int(named["epoch"]), *(named[name] for name in run.columns if name != "epoch")])
    for callback, entry in zip(_stateful(callbacks), description["callbacks"], strict=True):
        callback.restore(_unpack(entry["state"], arrays))
    for stream, position in streams:
        stream.restore(position)
    run.epoch = description["epoch"]
    for name in state.keys() - memory.keys():
        setattr(work.state, name, state[name])
    for name, target in targets.items():  # after everything that can fail
        target[...] = like(sources[name], target)
    if description["stopped"]:
        run.stop(description["stopped"])


def _check_types(description: Mapping[str, Any]) -> None:
    """Raise an error for fields of other types than :func:`take` writes. Their contents are checked on use."""
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


def _check_arrays(work: Work, sources: Mapping[str, Any], targets: Mapping[str, Array]) -> None:
    """Raise an error for arrays of another shape or dtype, values that are not finite, and invalid row indices."""
    for name, target in targets.items():
        check_array(name, sources[name], form(target))
    for name in _values(work):
        if not np.isfinite(sources[name]).all():
            raise ValueError(f"{name} is not finite")
    if "order" in targets and not np.array_equal(np.sort(sources["order"]), np.sort(work.batches.order)):
        raise ValueError("order is not a permutation of the training rows")


def _history(rows: Array, columns: Sequence[str], epochs: int) -> list[dict[str, float]]:
    """Return the columns of a history by name, with one value per epoch."""
    if rows.dtype != np.float64 or rows[:, columns.index("epoch")].tolist() != list(range(1, epochs + 1)):
        raise ValueError(f"the history does not have the epochs 1 to {epochs}")
    return [dict(zip(columns, row, strict=True)) for row in rows.tolist()]


def _values(work: Work) -> dict[str, Array]:
    """Return the learned arrays: the parameters, and the statistics, if any."""
    network = work.network
    return {"theta": network.theta} | ({"statistics": network.statistics} if network.statistics.size else {})


def _order(work: Work) -> dict[str, Array]:
    """Return the row order from which the next epoch's is shuffled; nothing without shuffling."""
    return {} if work.batches.rng is None else {"order": work.batches.order}


def _streams(steps: Steps) -> dict[str, Stream]:
    """Return the random streams that training advances, by their names in a checkpoint."""
    batches = steps.work.batches
    augment = {} if batches.augment is None else {"augment": Stream(batches.augment.rng)}
    return {"order": Stream(batches.rng), "steps": Stream(steps.rng), **augment}


def fingerprint(*data: Any) -> str:
    """Return a digest of the arrays (dense, sparse or None), to compare data sets cheaply."""
    hashed = hashlib.sha256()
    for part in data:
        arrays = (part.data, part.indices, part.indptr) if is_sparse(part) else () if part is None else (part,)
        for array in arrays:
            hashed.update(f"{array.dtype.str} {array.shape};".encode())
            rows = max(1, CHUNK // max(1, array[:1].size))
            for start in range(0, len(array), rows):
                hashed.update(np.ascontiguousarray(host(array[start : start + rows])).data)
        hashed.update(b"/")
    return hashed.hexdigest()


# ---------------------------------------------------------------- states of optimizers and callbacks


def kept(memory: Any) -> dict[str, Any]:
    """Return an optimizer's state."""
    return {name: value for name, value in vars(memory).items() if name not in NOT_KEPT}


def _pack(owner: str, state: Mapping[str, Any], arrays: dict[str, Array]) -> dict[str, Any]:
    """Return a state for JSON: its arrays go into ``arrays``, and floats are written exactly."""
    packed: dict[str, Any] = {}
    for name, value in state.items():
        if is_array(value) or (isinstance(value, list) and value):
            key = f"{owner}.{name}"
            array = np.asarray(host(value))
            if array.dtype not in (np.float32, np.float64, np.int64):
                raise TypeError(
                    f"{key}: a checkpoint can hold arrays of float32, float64 and int64, got {array.dtype}."
                )
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
                f"{owner}.{name}: a checkpoint can hold numbers, strings, arrays and lists of numbers, not {value!r}."
            )
    return packed


def _unpack(packed: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _value(value, arrays) for name, value in packed.items()}


def _value(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the state that :func:`_pack` packed."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "float":
        return float.fromhex(content)
    array = arrays[content].copy()
    return {"array": array, "list": array.tolist()}[kind]


def describe(work: Work, seed: Mapping[str, Any] | None, data: Iterable[Any]) -> dict[str, str]:
    """Return a description of everything that must be the same when training resumes."""
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
