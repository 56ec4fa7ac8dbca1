"""The arguments of :func:`chainrule.train`, validated before anything is modified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule._internal.backend import CPU, check_device, host, on_device
from chainrule._internal.checks import check_count, check_lengths, check_real, check_weights
from chainrule._internal.taken import Taken, taken
from chainrule._internal.threads import Threads, choose_threads
from chainrule._internal.typing import Array, ArrayLike, MatrixLike, is_sparse
from chainrule.network import Network, convolves
from chainrule.training.augmentation import Augmentation, Augmented, check_augmentations
from chainrule.training.averaging import WeightAverage
from chainrule.training.batches import Batches, Shuffler
from chainrule.training.callbacks import Callback, Progress
from chainrule.training.checkpoints import Checkpoint
from chainrule.training.clipping import Clip
from chainrule.training.ranks import ALONE, Ranks
from chainrule.training.streams import seed_state


class Data(NamedTuple):
    """The training rows, and the validation rows as arguments of ``evaluate``."""

    X: Any
    t: Array
    weight: Array | None
    rows: Array | None = None  # the rows to train on; None for all
    held_out: dict[str, Any] | None = None

    @property
    def arrays(self) -> list[Any]:
        """All arrays, in the order of a checkpoint's fingerprint."""
        return [self.X, self.t, self.weight, self.rows, *(self.held_out or {}).values()]


class Seeds(NamedTuple):
    """The random seed, and one stream per use, so that adding a validation set does not change the dropout masks."""

    root: np.random.SeedSequence
    state: dict[str, Any]  # from which a checkpoint recreates it
    split: np.random.SeedSequence
    shuffle: np.random.SeedSequence
    dropout: np.random.SeedSequence
    ranks: Ranks  # each has its own order and dropout masks

    def augment(self) -> np.random.SeedSequence:
        """Return the stream of the augmentations."""
        return self.ranks.own(self.root.spawn(1)[0])


def spawn(seed: int | np.random.SeedSequence | None, ranks: Ranks) -> Seeds:
    """Return the random streams of a seed."""
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    state = seed_state(root)  # before anything is spawned
    split, shuffle, dropout = root.spawn(3)
    return Seeds(root, state, split, ranks.own(shuffle), ranks.own(dropout), ranks)


def check_data(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    validation: float | tuple[Any, ...] | None,
    seed: np.random.SeedSequence,
) -> Data:
    """Validate the rows, and set the validation rows aside."""
    data = _rows(network, X, t, sample_weight)
    if isinstance(X, Taken):  # by an estimator, which gives validation rows as well
        data = Data(X.X, _spread(X, data.t), None if data.weight is None else _spread(X, data.weight), X.index)
    if validation is None:
        return data
    if isinstance(validation, tuple | list):
        if len(validation) not in (2, 3):
            raise ValueError(
                f"validation: expected (X, t), (X, t, sample_weight) or a fraction, got {len(validation)} items."
            )
        X_val, t_val, *weights = validation
        held_out = _rows(network, X_val, t_val, weights[0] if weights else None, "validation ")
        return data._replace(held_out=_for_evaluate(held_out))
    fraction = check_real("train", "validation", validation, 0, 1, open_low=True, open_high=True)
    rows = data.X.shape[0]
    held = max(1, round(fraction * rows))
    if held >= rows:
        raise ValueError(
            f"train: validation={fraction} leaves no training rows out of {rows}: "
            "give more rows, or disable validation."
        )
    order = np.random.default_rng(seed).permutation(rows)
    chosen = np.sort(order[:held])
    weight = None if data.weight is None else data.weight[chosen]
    if weight is not None and not weight.any():
        raise ValueError(
            f"train: validation={fraction} drew only rows whose sample_weight is 0, so validation is impossible. "
            "Drop such rows, or give validation=(X, t)."
        )
    held_out = Data(taken(data.X, chosen), data.t[chosen], weight)
    return data._replace(rows=np.sort(order[held:]), held_out=_for_evaluate(held_out))


def _rows(network: Network, X: MatrixLike, t: ArrayLike, weight: ArrayLike | None, prefix: str = "") -> Data:
    for part in X.parts() if isinstance(X, Taken) else [X]:
        checked = network.check_rows(part, f"{prefix}X")
        network.check_categories(checked, f"{prefix}X")
    X = X if isinstance(X, Taken) else checked
    targets = network.loss.targets(host(t), network.output_shape[0], network.dtype)
    weights = None if weight is None else check_weights(host(weight), network.dtype, f"{prefix}sample_weight")
    check_lengths(X, t=targets, sample_weight=weights)
    return Data(X, targets, weights)


def _spread(X: Taken, values: Array) -> Array:
    """Return values of some rows as an array with an entry for every row."""
    spread = np.zeros((len(X.X), *values.shape[1:]), values.dtype)
    spread[X.index] = values
    return spread


def _for_evaluate(data: Data) -> dict[str, Any]:
    weights = {} if data.weight is None else {"sample_weight": data.weight}
    return {"X": data.X, "t": data.t, **weights}


def make_batches(
    network: Network,
    data: Data,
    batch_size: int | None,
    validation: float | tuple[Any, ...] | None,
    shuffle: bool | Shuffler,
    augment: Sequence[Augmentation],
    seeds: Seeds,
) -> Batches:
    """Return the mini-batches, after checking that every layer accepts batches of this size."""
    rows = data.X.shape[0] if data.rows is None else len(data.rows)
    size = min(32, rows) if batch_size is None else check_count("train", "batch_size", batch_size)
    if size > rows:
        left = f" (after validation={validation})" if data.rows is not None else ""
        raise ValueError(
            f"train: batch_size: expected at most the {rows} rows to train on{left}, got {size}: "
            f"batch_size={rows} uses all rows in every step."
        )
    for i, layer in enumerate(network.layers):
        layer.check_batch(f"layer {i}", size)
    shuffler = np.random.default_rng(seeds.shuffle) if shuffle is True else shuffle or None
    changes = _augmented(network, data, augment, seeds)
    return Batches(data.X, data.t, data.weight, data.rows, size, network.dtype, shuffler, changes)


def _augmented(network: Network, data: Data, augment: Sequence[Augmentation], seeds: Seeds) -> Augmented | None:
    """Return the augmentations with their own random stream; None if there are none."""
    parts = check_augmentations(augment)
    if not parts:
        return None
    if is_sparse(data.X):
        raise TypeError("augment: expected X as an array, got a sparse matrix: make it dense first, X.toarray().")
    if on_device(data.X):
        raise TypeError("augment: expected X in main memory, got an array on a GPU: give X.get().")
    classes = network.output_shape[0] if data.t.ndim == 1 else 0
    return Augmented(
        parts, network.input_shape, network.loss, classes, network.dtype, np.random.default_rng(seeds.augment())
    )


def check_accumulate(accumulate: int, batches: int) -> int:
    """Validate the number of batches per step."""
    accumulate = check_count("train", "accumulate", accumulate)
    if accumulate > batches:
        raise ValueError(
            f"train: accumulate: expected at most the {batches} batches of an epoch, got {accumulate}: "
            f"accumulate={batches} uses all rows in every step."
        )
    return accumulate


def placed(network: Network, device: str | None, precision: str, ranks: Ranks) -> Network:
    """Return the network, or a copy of it on the training device."""
    if precision not in ("float32", "tf32"):
        raise ValueError(f"train: precision: expected 'float32' or 'tf32', got {precision!r}.")
    device = network.device if device is None else check_device("train", device)
    if precision == "tf32" and (device == CPU or network.dtype != "float32"):
        raise ValueError(
            f"train: precision='tf32' is for float32 networks on a GPU, got {network.dtype} on {device!r}: give "
            "device='cuda' and a float32 network, or omit precision."
        )
    if device != CPU and ranks.size > 1:
        raise ValueError(f"train: reduce and device={device!r}: ranks train on CPUs; give only one of the two.")
    return network if device == network.device else network.to(device)


def check_layer_rates(network: Network, rates: Mapping[int, float] | None) -> dict[int, float]:
    """Validate the learning-rate multipliers, and return them by layer index, counted from 0."""
    if not isinstance(rates, Mapping | None):
        raise TypeError(f"layer_rates: expected multipliers by layer index, such as {{0: 0.1}}, got {rates!r}.")
    count, learning = len(network.layers), {entry.layer for entry in network.layout.entries}
    chosen: dict[int, float] = {}
    for index, rate in (rates or {}).items():
        i = check_count("train", "layer_rates", index, least=-count)
        if i >= count:
            raise ValueError(f"layer_rates: layer {i} is out of range: the network has layers 0 to {count - 1}.")
        if i % count not in learning:
            raise ValueError(f"layer_rates: layer {i}, {network.layers[i]!r}, has no trainable parameters.")
        chosen[i % count] = check_real("train", f"layer_rates[{i}]", rate, 0)
    return dict(sorted(chosen.items()))


def check_clip(clip: Any) -> Clip | None:
    """Return ``clip``; raise an error if it is not a Clip."""
    if not isinstance(clip, Clip | None):
        raise TypeError(f"clip: expected a Clip such as ClipNorm(1.0), got {clip!r}.")
    return clip


def check_callbacks(callbacks: Iterable[Any], ranks: Ranks) -> list[Callback]:
    """Return the callbacks in the order in which they are called; only rank 0 shows progress."""
    callbacks = [callback for callback in callbacks if ranks.rank == 0 or not isinstance(callback, Progress)]
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected a Callback such as Progress(), got {callback!r}.")
    if sum(isinstance(callback, WeightAverage) for callback in callbacks) > 1:
        raise ValueError("callbacks: only one weight-averaging callback is allowed, got several.")
    # The average comes first, so that the others can use it; checkpoints come last, to save the others' changes.
    return sorted(callbacks, key=lambda c: isinstance(c, Checkpoint) - isinstance(c, WeightAverage))


def thread_counts(network: Network, batch_size: int, threads: int | None, ranks: Ranks = ALONE) -> Threads:
    """Return the numbers of threads, chosen by the largest product of a step; ranks on one machine share its cores."""
    if threads is None and ranks.local > 1:
        threads = max(1, choose_threads(0).allowed // ranks.local)
    chosen = choose_threads(batch_size * network.layout.largest, threads)
    return chosen._replace(blas=1) if convolves(network.layers) else chosen
