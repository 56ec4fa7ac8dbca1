"""Snapshots: everything that goes on from epoch to epoch, taken from a training and put back into one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.typing import Array, is_sparse
from chainrule.files.states import check_array, check_seed, check_state, check_stream, form
from chainrule.files.values import ModelFileError, check_fields, check_texts, check_whole, shown
from chainrule.training.callbacks import Callback, Run
from chainrule.training.state import Steps, Work

NOT_KEPT = {"training", "dx_wanted", "rng", "scratch", "weights", "factors", "before"}  # no state
SINCE = {"accumulate": "1", "layer_rates": "{}", "augment": "[]"}  # what older checkpoints did without
CHUNK = 2**22  # numbers that are hashed at once where an array is not contiguous


class CheckpointError(ValueError):
    """A training cannot go on from these checkpoints: they are damaged, or of another training."""


class Snapshot(NamedTuple):
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


def take(
    steps: Steps, callbacks: Sequence[Callback], seed: Mapping[str, Any], same: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the state of a training as a description for JSON, and arrays by name.

    ``same`` are descriptions of what has to be the same in the training that resumes, by name: see :func:`describe`.
    """
    work, run = steps.work, steps.run
    augment = work.batches.augment
    columns = run.history.to_dict()
    arrays = {
        **_values(work),
        **_order(work),
        "history": np.array([*columns.values()], np.float64).reshape(len(columns), -1),
    }
    description = {
        "same": dict(same),
        "seed": dict(seed),
        "epoch": run.epoch,
        "stopped": run.stopped,
        "columns": [*columns],
        "streams": {"order": _stream(work.batches.rng), "steps": _stream(steps.rng)}
        | ({"augment": _stream(augment.rng)} if augment else {}),
        "optimizer": _pack("optimizer", kept(work.state), arrays),
        "callbacks": [
            {"type": type(callback).__name__, "state": _pack(f"callbacks.{i}", callback.state(), arrays)}
            for i, callback in enumerate(_stateful(callbacks))
        ],
    }
    return description, arrays


def restore(snapshot: Snapshot, steps: Steps, callbacks: Sequence[Callback], same: Mapping[str, str]) -> None:
    """Put everything back, after checks that the checkpoint is of this training."""
    try:
        _check_types(snapshot.description)
        _check_same(snapshot, steps.run, callbacks, same)
        _restore(snapshot, steps, callbacks)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise CheckpointError(
            f"{snapshot.path}: this training cannot go on from it: {shown(repr(error))}. Use another checkpoint, or "
            "start anew in another folder."
        ) from error


def _stateful(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks that remember something; the others, such as progress bars, may come and go."""
    return [callback for callback in callbacks if callback.state()]


def _check_same(snapshot: Snapshot, run: Run, callbacks: Sequence[Callback], same: Mapping[str, str]) -> None:
    there = SINCE | snapshot.description["same"]
    for name in same:
        if there.get(name) != same[name]:
            raise CheckpointError(
                f"{snapshot.path} is a checkpoint of another training: {name}: {shown(there.get(name), 2000)} there, "
                f"{same[name]} here. Give the same arguments, or start anew in another folder."
            )
    kinds = [callback["type"] for callback in snapshot.description["callbacks"]]
    ours = [type(callback).__name__ for callback in _stateful(callbacks)]
    if kinds != ours:
        raise CheckpointError(
            f"{snapshot.path} is a checkpoint of another training: callbacks: {shown(', '.join(kinds)) or 'none'} "
            f"there, {', '.join(ours) or 'none'} here. Give the same callbacks in the same order."
        )
    if snapshot.description["epoch"] > run.epochs:
        raise CheckpointError(
            f"{snapshot.path} is a checkpoint of epoch {snapshot.description['epoch']}, but epochs={run.epochs}: "
            "give more epochs."
        )


def _restore(snapshot: Snapshot, steps: Steps, callbacks: Sequence[Callback]) -> None:
    description, arrays, work, run = snapshot.description, snapshot.arrays, steps.work, steps.run
    state = _unpack(description["optimizer"], arrays)
    now = kept(work.state)
    if not now.keys() <= state.keys() or state.keys() & NOT_KEPT:
        raise ValueError(f"the optimizer remembers {', '.join(now)}, got {shown(', '.join(state))}")
    memory = {name: value for name, value in now.items() if isinstance(value, np.ndarray)}
    check_state({"t": state["t"]}, {"t": "count"})
    targets = {**_values(work), **_order(work), **memory}
    sources = {name: state[name] if name in memory else arrays[name] for name in targets}
    _check_arrays(work, sources, targets)
    rngs = {"order": work.batches.rng, "steps": steps.rng}
    if work.batches.augment is not None:
        rngs["augment"] = work.batches.augment.rng
    streams = {name: _checked_stream(rng, description["streams"][name]) for name, rng in rngs.items()}
    for named in _history(arrays["history"].T, description["columns"], description["epoch"]):
        run.history.append([int(named["epoch"]), *(named[name] for name in run.columns if name != "epoch")])
    for callback, entry in zip(_stateful(callbacks), description["callbacks"], strict=True):
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


def _check_types(description: Mapping[str, Any]) -> None:
    """Refuse fields of other types than :func:`take` writes; what is in them is checked by their users."""
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


def _values(work: Work) -> dict[str, Array]:
    """Return what was learned: the parameters, and the statistics of a network that has any."""
    network = work.network
    return {"theta": network.theta} | ({"statistics": network.statistics} if network.statistics.size else {})


def _order(work: Work) -> dict[str, Array]:
    """Return the order of the rows, which each epoch's is made from; nothing where it stays."""
    return {} if work.batches.rng is None else {"order": work.batches.order}


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
