"""Mini-batch training: ``train`` and ``evaluate``."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule import advice, optimizers, schedules
from chainrule._internal.checks import check_count, check_lengths, check_real, check_seed, check_weights
from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.names import named
from chainrule._internal.parts import part_threads
from chainrule._internal.threads import blas_threads, choose_threads
from chainrule._internal.typing import Array, ArrayLike, MatrixLike, is_sparse
from chainrule.losses import Metric
from chainrule.memo import Memo
from chainrule.metrics import measure
from chainrule.network import Network
from chainrule.optimizers import Adam, Optimizer
from chainrule.penalties import Constraint, Penalty, check_penalties
from chainrule.schedules import Constant, Schedule
from chainrule.training import checkpoints, engine, snapshots
from chainrule.training.augmentation import Augmentation, Augmented, check_augmentations
from chainrule.training.averaging import WeightAverage, averaged, measure_statistics
from chainrule.training.batches import Batches, Shuffler
from chainrule.training.callbacks import Callback, Run
from chainrule.training.checkpoints import Checkpoint
from chainrule.training.clipping import Clip
from chainrule.training.history import History
from chainrule.training.memory import check_network_writable, checked_state
from chainrule.training.snapshots import Snapshot
from chainrule.training.state import Steps, Work

BLOCK_SECONDS = 0.1  # how long steps run between checks of Ctrl-C and callbacks

__all__ = ["DivergenceError", "evaluate", "train"]


class DivergenceError(ArithmeticError):
    """Raised when the loss or a parameter becomes NaN or infinite during training.

    The network is restored to its parameters before that epoch, or to those that a callback sets at the end: the best
    ones for ``EarlyStopping``, the mean for weight averaging. A given ``state=`` is restored as well, so training can
    continue from both. ``history`` contains the completed epochs.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:  # for a worker process that passes it to its parent
        return type(self), (str(self), self.history)


class _DivergedError(Exception):
    """Raised to end the loop; ``run.stopped`` says why."""


class _Data(NamedTuple):
    X: Any
    t: Array
    weight: Array | None
    rows: Array | None  # the rows to use; None for all


def train(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str = Adam(),  # noqa: B008  (frozen)
    epochs: int = 10,
    batch_size: int | None = None,
    accumulate: int = 1,
    layer_rates: Mapping[int, float] | None = None,
    schedule: Schedule | str = Constant(),  # noqa: B008
    penalties: Sequence[Penalty | Constraint] = (),
    clip: Clip | None = None,
    sample_weight: ArrayLike | None = None,
    validation: float | tuple[Any, ...] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    shuffle: bool | Shuffler = True,
    augment: Sequence[Augmentation] = (),
    callbacks: Iterable[Callback] = (),
    state: Memo | None = None,
    threads: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    seed: int | np.random.SeedSequence | None = None,
) -> History:
    """Train ``network`` in place and return the training history.

    Each step gathers a batch, computes L and dL/dθ in one forward and one backward pass, adds the penalties' gradients,
    clips, lets the optimizer update θ, and projects onto the constraints.

    Parameters
    ----------
    network : Network
    X : (rows, inputs) array
        Not copied. If its dtype differs from the network's, batches are converted as they are used.
    t : (rows,) or (rows, outputs) array
        Targets, in the form expected by the network's loss. Class labels are copied.
    optimizer : Optimizer or str
        An object such as ``Momentum(0.1)``, or a name for one with its defaults.
    epochs : int
        Number of passes over the data, at least 1.
    batch_size : int, optional
        Number of rows per batch, at most the number of training rows. Defaults to 32, or to all rows if there are
        fewer. The last batch of an epoch may be smaller.
    accumulate : int
        Number of batches per optimizer step (gradient accumulation); 1 by default. Gradients are averaged, weighted by
        number of rows (or sample weight), so a step is exactly that of one large batch but needs the memory of a small
        one. The last step of an epoch may have fewer batches. (Dropout masks differ; more than 1 batch per step runs as
        plain array code, not compiled.)
    layer_rates : mapping of int to float, optional
        Learning-rate multipliers by layer index, such as ``{0: 0.1}``. Other layers use 1; 0 freezes a layer.
    schedule : Schedule or str
        Multiplies the optimizer's learning rate.
    penalties : sequence of Penalty and Constraint
        Added to L, or applied after each step: ``[L2(1e-4), MaxNorm(3.0)]``.
    clip : Clip, optional
        ``ClipNorm(1.0)`` or ``ClipValue(0.5)``.
    sample_weight : (rows,) array, optional
        L of a batch is then Σ wᵢ ℓᵢ / Σ wᵢ.
    validation : float, (X, t) or (X, t, sample_weight), optional
        Validation data, evaluated after every epoch: a fraction of the rows, held out at random, or separate rows.
        Held-out rows keep their ``sample_weight``. See :func:`evaluate` for the effect of weights.
    metrics : mapping of str to function, optional
        Functions of targets and predictions, evaluated on the validation set; the loss's own by default.
    shuffle : bool or Shuffler
        Whether to reshuffle the rows before each epoch, or an object whose ``shuffle`` method shuffles the row indices.
    augment : sequence of Augmentation
        Random augmentations applied to each batch, in order: ``[RandomShift(2, shape=(28, 28)), Mixup(0.2)]``. The
        validation set is not changed.
    callbacks : iterable of Callback
        For example ``[EarlyStopping(patience=5), Progress()]``.
    state : Memo, optional
        Optimizer state, as returned by ``optimizer.start(network.theta, network.weights)``. It is updated in place, so
        passing it to a later call continues training. A new one by default.
    threads : int, optional
        Maximum number of threads. Defaults to ``CHAINRULE_NUM_THREADS`` if set; otherwise chosen from the amount of
        work and the available cores.
    resume : path, optional
        Folder of a :class:`~chainrule.Checkpoint` to resume from. Training continues after the last saved epoch and
        gives results bit-identical to an uninterrupted run. All other arguments must be unchanged, except that
        ``epochs`` may be larger. If the folder is missing or has no checkpoints, training starts from the beginning, so
        the same program can be run repeatedly.
    seed : int, optional
        Random seed. Independent streams for the validation set, the row order and dropout are spawned from it. On one
        machine, the same seed gives bit-identical parameters.

    Returns
    -------
    History
        One row per epoch. Ctrl-C ends training after the current batch and keeps the parameters learned so far.

    Raises
    ------
    ValueError, TypeError
        If the input is invalid or parameters are read-only. Raised before anything is modified.
    CheckpointError
        If the checkpoints are corrupt or belong to a run with a different network, data or arguments.
    DivergenceError
        If the loss or a parameter becomes NaN or infinite.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> network = cr.Network(2, [cr.layers.Dense(1)], cr.losses.SquaredError(), seed=0)
    >>> history = cr.train(network, X, X[:, 0] + 1, optimizer=cr.optimizers.SGD(0.1), epochs=20, seed=0)
    >>> network.layers[0].W.ravel().round(3), network.layers[0].b.round(3)
    (array([1., 0.], dtype=float32), array([1.], dtype=float32))
    """
    _check_network("train", network)
    check_network_writable(network)
    chosen: Optimizer = named("optimizer", optimizer, Optimizer, optimizers)
    factors: Schedule = named("schedule", schedule, Schedule, schedules)
    epochs = check_count("train", "epochs", epochs)
    callbacks = _check_parts(clip, callbacks)
    seed = check_seed("train", seed)
    threads = None if threads is None else check_count("train", "threads", threads)
    saved = None if resume is None else checkpoints.newest(resume)
    root = _root(seed, saved)
    root_state = snapshots.seed_state(root)
    # One stream per use, so that adding a validation set does not change the dropout masks.
    split_seed, shuffle_seed, dropout_seed = root.spawn(3)
    data, held_out = _prepare(network, X, t, sample_weight, validation, split_seed)
    rows = _batch_size(batch_size, data, validation)
    for i, layer in enumerate(network.layers):
        layer.check_batch(f"layer {i}", rows)
    order = np.random.default_rng(shuffle_seed) if shuffle is True else shuffle or None
    changes = _augmented(network, data, augment, root)
    batches = Batches(data.X, data.t, data.weight, data.rows, rows, network.dtype, order, changes)
    metrics = network.loss.metrics if metrics is None else metrics
    if not all(callable(metric) for metric in metrics.values()):
        raise TypeError(f"metrics: expected functions of (t, predictions) by name, got {metrics!r}.")
    terms = check_penalties(penalties)
    penalised = any(isinstance(term, Penalty) for term in terms)
    history = History(_columns(penalised, held_out, metrics))
    run = Run(network, history, history.columns, epochs, len(batches), batches.rows)
    state = checked_state(chosen, network, state)
    largest = rows * max((e.where.stop - e.where.start for e in network.layout.entries), default=0)
    work = Work(
        network, batches, chosen, state, factors, terms, clip, dropout_seed, choose_threads(largest, threads),
        _accumulate(accumulate, len(batches)), _layer_rates(network, layer_rates),
    )  # fmt: skip
    advice.before_training(network.layers, data.X, chosen)
    steps = engine.steps(work, run)
    per_batch = [c.on_batch for c in callbacks if type(c).on_batch is not Callback.on_batch]
    checkpointing = [callback for callback in callbacks if isinstance(callback, Checkpoint)]

    with _ended(run) as started, closing(steps):
        _start(steps, callbacks, started, (*data, *(held_out or {}).values()), root_state, resume, saved)
        # Overflow becomes infinity, which is reported with a remedy.
        with (
            blas_threads(steps.blas_threads),
            part_threads(steps.part_threads),
            deferred_interrupt() as interrupted,
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        ):
            for epoch in range(run.epoch + 1, (run.epoch if run.stopped else epochs) + 1):
                run.epoch = epoch
                start = time.perf_counter()
                if not _epoch(steps, run, per_batch, interrupted, callbacks):
                    break
                row = [run.epoch, steps.mean(steps.losses), *([steps.mean(steps.penalties)] if penalised else [])]
                with averaged(run, callbacks):
                    if held_out is not None:
                        row += evaluate(network, **held_out, metrics=metrics).values()
                    history.append([*row, steps.rate, time.perf_counter() - start])
                    for callback in callbacks[: len(callbacks) - len(checkpointing)]:
                        callback.on_epoch(run)
                for callback in checkpointing:  # the trained parameters
                    callback.on_epoch(run)
                if run.stopped:
                    break
    advice.after_training(network.logits, data.X, data.t, history["loss"], chosen)
    return history


@contextmanager
def _ended(run: Run) -> Iterator[list[Callback]]:
    """Yield a list for the started callbacks, and call ``on_end`` of each when the block ends for any reason.

    The first error is raised. An error in an ``on_end`` does not prevent the other calls, and is added to the first
    error as a note. A divergence error says which parameters the network then has.
    """
    started: list[Callback] = []
    problem: BaseException | None = None
    notes: list[str] = []
    try:
        yield started
    except BaseException as error:  # noqa: BLE001  (Ctrl-C and SystemExit also end training; raised again below)
        problem = error
        if run.epoch:
            run.stop(f"{type(error).__name__} in epoch {run.epoch}, after batch {run.batch} of {run.batches}")
    run.history.stopped = run.stopped
    for callback in started:
        try:
            callback.on_end(run)
        except BaseException as error:  # noqa: BLE001
            if problem is None:
                problem = error
            else:
                notes.append(f"on_end of {callback!r} also failed: {type(error).__name__}: {error}")
    if isinstance(problem, _DivergedError):
        problem = DivergenceError(
            f"training {run.stopped}. Try a learning rate ten times smaller, scale the inputs to roughly [−1, 1], or "
            f"clip the gradient (clip=ClipNorm(1.0)). The network has the {_left(run, started)}.",
            run.history,
        )
    if problem is not None:
        for note in notes:
            problem.add_note(note)
        raise problem


def _left(run: Run, callbacks: Sequence[Callback]) -> str:
    """Return which parameters the network has after a divergence, once the callbacks have ended."""
    if run.kept:
        return f"parameters from after epoch {run.kept}"
    if any(isinstance(callback, WeightAverage) and callback.average is not None for callback in callbacks):
        return f"average weights up to epoch {run.epoch - 1}"
    return f"parameters from {f'after epoch {run.epoch - 1}' if run.epoch > 1 else 'before training'}"


def _root(seed: int | np.random.SeedSequence | None, saved: Snapshot | None) -> np.random.SeedSequence:
    """Return the seed: the given one, or that of the run being resumed."""
    if seed is None and saved is not None:
        return saved.seed
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)


def _start(
    steps: Steps,
    callbacks: Sequence[Callback],
    started: list[Callback],
    data: Iterable[Any],
    seed: dict[str, Any],
    resume: str | os.PathLike[str] | None,
    saved: Snapshot | None,
) -> None:
    """Start the callbacks, and restore the state of a checkpoint, if there is one."""
    work, run = steps.work, steps.run
    if resume is not None or any(isinstance(callback, Checkpoint) for callback in callbacks):
        same = snapshots.describe(work, seed, data)
        run.resume = None if resume is None else Path(resume)
        run.snapshot = lambda: snapshots.take(steps, callbacks, seed, same)
    run.measure = lambda: measure_statistics(
        work.network, work.batches.X, rows=work.batches.order, batch_size=work.batches.batch_size,
        threads=work.threads.allowed,
    )  # fmt: skip
    for callback in callbacks:
        callback.on_start(run)
        started.append(callback)
    if saved is not None:
        snapshots.restore(saved, steps, callbacks, same)


def _epoch(
    steps: Steps,
    run: Run,
    per_batch: Sequence[Callable[[Run], None]],
    interrupted: Callable[[], bool],
    callbacks: Sequence[Callback],
) -> bool:
    """Run one epoch; return whether it completed. A divergence restores the state before it."""
    work, theta, values = steps.work, run.network.theta, run.network.values
    before = values.copy()
    memory = {
        name: value.copy() if isinstance(value, np.ndarray) else copy.deepcopy(value)  # deepcopy of arrays is slow
        for name, value in snapshots.kept(work.state).items()
    }
    averages = [callback for callback in callbacks if isinstance(callback, WeightAverage)]
    means = [copy.deepcopy(average.state()) for average in averages]
    work.batches.shuffle()
    run.batch = 0
    try:
        while run.batch < run.batches and not run.stopped:
            first = run.batch
            start = time.perf_counter()
            size = work.accumulate * (1 if per_batch else max(1, steps.block // work.accumulate))
            steps.do(first, min(first + size, run.batches))
            steps.block = max(1, int((run.batch - first) * BLOCK_SECONDS / (time.perf_counter() - start)))
            for call in per_batch:
                call(run)
            if interrupted():
                run.stop(f"interrupted in epoch {run.epoch}, after batch {run.batch} of {run.batches}")
        if not np.isfinite(theta).all():
            raise FloatingPointError("a parameter is not finite")
    except FloatingPointError as error:
        values[:] = before
        for name in snapshots.kept(work.state).keys() - memory.keys():
            delattr(work.state, name)
        for name, value in memory.items():  # in place: compiled code holds these arrays
            if isinstance(value, np.ndarray):
                getattr(work.state, name)[...] = value
            else:
                setattr(work.state, name, value)
        for average, mean in zip(averages, means, strict=True):
            average.restore(mean)
        run.stopped = (
            f"diverged: {error} in epoch {run.epoch}, batch {run.batch} of {run.batches}, at learning rate "
            f"{steps.rate:g}"
        )
        raise _DivergedError from None
    return not run.stopped or run.batch == run.batches


def evaluate(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Compute the loss (excluding penalties) and the metrics on X. Nothing is modified.

    Parameters
    ----------
    network : Network
    X, t, sample_weight
        As for :func:`train`. The loss is Σ wᵢ ℓᵢ / Σ wᵢ.
    metrics : mapping of str to function, optional
        Functions of targets and predictions; the loss's own by default. Functions with a ``sample_weight`` parameter,
        such as chainrule's and scikit-learn's, receive the weights; others weight all rows equally.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(1, [cr.layers.Dense(2, weights="zeros")], "softmax_cross_entropy")
    >>> evaluate(network, [[1.0], [2.0]], [0, 1])
    {'loss': 0.693..., 'accuracy': 0.5}
    """
    _check_network("evaluate", network)
    targets = network.loss.targets(t, network.output_shape[0], network.dtype)
    y = network.logits(X)
    check_lengths(y, t=targets)
    weight = None if sample_weight is None else check_weights(sample_weight, network.dtype)
    check_lengths(y, sample_weight=weight)
    result = {"loss": network.loss.value(y, targets, weight)}
    chosen = network.loss.metrics if metrics is None else metrics
    p = network.loss.link(y) if chosen else y
    return result | {name: float(measure(metric, targets, p, weight)) for name, metric in chosen.items()}


def _prepare(
    network: Network,
    X: MatrixLike,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    validation: float | tuple[Any, ...] | None,
    seed: np.random.SeedSequence,
) -> tuple[_Data, dict[str, Any] | None]:
    """Validate everything, and hold out the validation rows for :func:`evaluate`."""
    X = network.check_rows(X)
    network.check_categories(X)
    outputs = network.output_shape[0]
    targets = network.loss.targets(t, outputs, network.dtype)
    weight = None if sample_weight is None else check_weights(sample_weight, network.dtype)
    check_lengths(X, t=targets, sample_weight=weight)
    if validation is None:
        return _Data(X, targets, weight, None), None
    if isinstance(validation, tuple | list):
        if len(validation) not in (2, 3):
            raise ValueError(
                f"validation: expected (X, t), (X, t, sample_weight) or a fraction, got {len(validation)} items."
            )
        X_val = network.check_rows(validation[0], "validation X")
        network.check_categories(X_val, "validation X")
        t_val = network.loss.targets(validation[1], outputs, network.dtype)
        weight_val = validation[2] if len(validation) == 3 else None
        weights = (
            {}
            if weight_val is None
            else {"sample_weight": check_weights(weight_val, network.dtype, "validation sample_weight")}
        )
        check_lengths(X_val, t=t_val, **weights)
        return _Data(X, targets, weight, None), {"X": X_val, "t": t_val, **weights}
    fraction = check_real("train", "validation", validation, 0, 1, open_low=True, open_high=True)
    held = max(1, round(fraction * X.shape[0]))
    if held >= X.shape[0]:
        raise ValueError(
            f"train: validation={fraction} leaves no training rows out of {X.shape[0]}: "
            "give more rows, or disable validation."
        )
    order = np.random.default_rng(seed).permutation(X.shape[0])
    chosen = np.sort(order[:held])
    weights = {} if weight is None else {"sample_weight": weight[chosen]}
    if weight is not None and not weight[chosen].any():
        raise ValueError(
            f"train: validation={fraction} drew {held} row(s) whose sample_weight is 0, so validation is impossible. "
            "Drop such rows, or give validation=(X, t)."
        )
    return _Data(X, targets, weight, np.sort(order[held:])), {"X": X[chosen], "t": targets[chosen], **weights}


def _batch_size(batch_size: int | None, data: _Data, validation: Any) -> int:
    rows = data.X.shape[0] if data.rows is None else len(data.rows)
    if batch_size is None:
        return min(32, rows)
    batch_size = check_count("train", "batch_size", batch_size)
    if batch_size > rows:
        left = f" (after validation={validation})" if data.rows is not None else ""
        raise ValueError(
            f"train: batch_size: expected at most the {rows} rows to train on{left}, got {batch_size}: "
            f"batch_size={rows} uses all rows in every step."
        )
    return batch_size


def _accumulate(accumulate: int, batches: int) -> int:
    accumulate = check_count("train", "accumulate", accumulate)
    if accumulate > batches:
        raise ValueError(
            f"train: accumulate: expected at most the {batches} batches of an epoch, got {accumulate}: "
            f"accumulate={batches} uses all rows in every step."
        )
    return accumulate


def _augmented(
    network: Network, data: _Data, augment: Sequence[Augmentation], root: np.random.SeedSequence
) -> Augmented | None:
    """Return the augmentations with their own random stream; None if there are none."""
    parts = check_augmentations(augment)
    if not parts:
        return None
    if is_sparse(data.X):
        raise TypeError("augment: expected X as an array, got a sparse matrix: make it dense first, X.toarray().")
    classes = network.output_shape[0] if data.t.ndim == 1 else 0
    return Augmented(
        parts, network.input_shape, network.loss, classes, network.dtype, np.random.default_rng(root.spawn(1)[0])
    )


def _layer_rates(network: Network, rates: Mapping[int, float] | None) -> dict[int, float]:
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


def _columns(penalised: bool, held_out: dict[str, Any] | None, metrics: Mapping[str, Metric]) -> list[str]:
    columns = ["epoch", "loss", *(["penalty"] if penalised else [])]
    if held_out is not None:
        columns += ["val_loss", *(f"val_{name}" for name in metrics)]
    return [*columns, "learning_rate", "seconds"]


def _check_network(owner: str, network: Any) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"{owner}: expected a Network as the first argument, got {type(network).__name__}.")


def _check_parts(clip: Any, callbacks: Iterable[Any]) -> list[Callback]:
    if not isinstance(clip, Clip | None):
        raise TypeError(f"clip: expected a Clip such as ClipNorm(1.0), got {clip!r}.")
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected a Callback such as Progress(), got {callback!r}.")
    if sum(isinstance(callback, WeightAverage) for callback in callbacks) > 1:
        raise ValueError("callbacks: only one weight-averaging callback is allowed, got several.")
    # The average comes first, so that the others can use it; checkpoints come last, to save the others' changes.
    return sorted(callbacks, key=lambda c: isinstance(c, Checkpoint) - isinstance(c, WeightAverage))
