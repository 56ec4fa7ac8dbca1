"""Checkpoints of an ensemble in training: one file with the state of all members at a common epoch.

A resumed fit gives the same model to the bit. As in :mod:`chainrule.training.checkpoints`, the data and the parameters
come from the call, and the file has a description of them, to detect others.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.typing import Array
from chainrule.estimators._members import CYCLES, Members
from chainrule.files.container import write_file
from chainrule.files.states import check_array, check_state, form
from chainrule.files.values import ModelFileError, check_texts, check_whole, shown
from chainrule.files.writing import check_writable, remove_parts
from chainrule.training.checkpoints import CheckpointError, CheckpointWarning, digest, read
from chainrule.training.snapshots import Snapshot, fingerprint, kept

KIND = "ensemble checkpoint"
NAME = "ensemble-checkpoint.safetensors"
EXPECTED = "a checkpoint of an ensemble, written by chainrule"
FIELDS = {"same", "seed", "epoch", "epochs", "steps", "engine", "sha256"}
SECONDS = 5.0  # between two checkpoints


def describe(made: Members, **more: Any) -> dict[str, str]:
    """Return a description of everything that must be the same when training resumes, by the parameters' names."""
    network = made.members[0].network
    return {
        "networks": f"{len(made.members)} of {network.input_shape} {[*network.layers]!r} {network.loss!r}",
        "learning_rate_init, weight_decay": repr(made.optimizer),
        "max_iter": str(made.epochs),
        "batch_size": str(made.batch_size),
        **{name: repr(value) for name, value in more.items()},
        # last: the members' rows also depend on the parameters
        "X, y, sample_weight, groups": fingerprint(made.X, made.t, made.weight, *(m.rows for m in made.members)),
    }


def find(folder: Any) -> Snapshot | None:
    """Return the checkpoint in a folder, or None; create the folder, and raise an error if it is not writable."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"checkpoint: {folder} is a file; a folder was expected.")
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    check_writable(folder)
    path = folder / NAME
    if not path.exists():
        return None
    try:
        saved = read(path, KIND, EXPECTED, FIELDS)
        check_whole(f"{path}: seed", saved.description["seed"])
    except ModelFileError as error:
        raise CheckpointError(f"checkpoint: {error} To start over, delete the file.") from error
    return saved


def restore(saved: Snapshot, made: Members, same: Mapping[str, str], *, limited: bool) -> None:
    """Restore all members, after checking that the checkpoint belongs to this fit."""
    there = saved.description["same"]
    for name in same:
        if not isinstance(there, dict) or there.get(name) != same[name]:
            before = shown(there.get(name) if isinstance(there, dict) else there, 2000)
            raise CheckpointError(
                f"{saved.path} is a checkpoint of a different fit: {name}: {before} there, {same[name]} here. Give the "
                "same data and parameters, or another folder; or delete the file to start over."
            )
    try:
        _restore(saved, made, limited=limited)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{saved.path}: training cannot resume from it: {shown(repr(error))}. To start over, delete the file."
        ) from error


def _restore(saved: Snapshot, made: Members, *, limited: bool) -> None:
    d, arrays = saved.description, dict(saved.arrays)
    epochs = check_whole("epochs", d["epochs"], 1)
    epoch = check_whole("epoch", d["epoch"], 1)
    while epochs > made.epochs and made.may_extend and made.schedule.cycles < CYCLES:
        made.extend()
    if epoch > epochs or epochs > made.epochs or (epochs < made.epochs and not limited):
        raise ValueError(f"epoch {epoch} of {epochs}, of at most {made.epochs}")

    def take(name: str, like: tuple[int, ...], dtype: Any) -> Array:
        array = check_array(name, arrays.pop(name), (like, np.dtype(dtype)))
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
        return array

    scores = [tuple(row) for row in take("scores", (epoch, 3), "f8").tolist()]
    best = made.best_of(scores)
    states = []
    for i, (member, steps) in enumerate(zip(made.members, d["steps"], strict=True)):
        network, outputs = member.network, (len(member.held_out), *member.network.output_shape)
        (t,) = check_state({"t": steps}, {"t": "count"})
        memory = {n: take(f"{i}.{n}", *form(a)) for n, a in kept(member.state).items() if isinstance(a, np.ndarray)}
        epochs_kept = sorted({best, epoch, max(1, epoch - 1)})
        values = {e: take(f"{i}.values.{e}", *form(network.values)).copy() for e in epochs_kept}
        logits = {e: take(f"{i}.logits.{e}", outputs, network.dtype) for e in epochs_kept}
        rows = arrays.pop(f"{i}.rows") if limited else member.rows
        if rows.dtype != np.int64 or not np.isin(rows, member.rows).all() or not len(rows):
            raise ValueError(f"{i}.rows are not training rows of the member")
        states.append((t, memory, values, logits, rows, take(f"{i}.losses", (epoch,), "f8").tolist()))
    if arrays:
        raise ValueError(f"unexpected arrays: {', '.join(arrays)}")
    check_texts("engine", [d["engine"]])
    made.epochs, made.scores, made.best, made.engine = epochs, scores, best, d["engine"]  # nothing fails from here on
    made.enough = made.worse()
    for member, (t, memory, values, logits, rows, losses) in zip(made.members, states, strict=True):
        member.epoch, member.values, member.logits, member.rows, member.losses = epoch, values, logits, rows, losses
        member.network.values[:] = values[epoch]
        member.state.t = t
        for name, array in memory.items():
            getattr(member.state, name)[...] = array


def write(folder: Any, made: Members, same: Mapping[str, str], seed: int, *, limited: bool) -> None:
    """Write the state of all members, which are at the same epoch; warn if that is impossible."""
    arrays = {"scores": np.array(made.scores, np.float64)}
    for i, member in enumerate(made.members):
        arrays |= {f"{i}.{n}": a for n, a in kept(member.state).items() if isinstance(a, np.ndarray)}
        arrays |= {f"{i}.values.{e}": a for e, a in member.values.items()}
        arrays |= {f"{i}.logits.{e}": np.ascontiguousarray(a) for e, a in member.logits.items()}
        arrays |= {f"{i}.losses": np.array(member.losses, np.float64)} | ({f"{i}.rows": member.rows} if limited else {})
    steps = [int(member.state.t) for member in made.members]
    d = {"same": dict(same), "seed": seed, "epoch": made.members[0].epoch, "epochs": made.epochs, "steps": steps}
    d["engine"], path = made.engine, Path(folder) / NAME
    try:
        write_file(path, KIND, {**d, "sha256": digest(d, arrays)}, arrays, overwrite=True, follow=False)
    except OSError as error:  # a full disk must not end training
        message = f"checkpoint: {path} cannot be written ({error.strerror or error}): training continues without it."
        warnings.warn(message, CheckpointWarning, stacklevel=2)


def run(made: Members, save: Callable[[], None], train: Callable[[int], None]) -> None:
    """Train up to common epochs that are a few seconds apart, and save at each."""
    chunk = 1
    while made.unfinished:
        began = time.monotonic()
        train(min(len(made.scores) + chunk, made.epochs))
        if not made.stopped:
            save()
        chunk = max(1, int(chunk * SECONDS / max(time.monotonic() - began, 1e-3)))
