"""Mini-batch training: :func:`train`, an epoch and its batches. ``step.py`` has a step.

Three objects describe a training run: ``Work`` has the components of a step, ``Steps`` runs the steps with one of the
engines, and ``Run`` is what callbacks see of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from chainrule import advice, optimizers, schedules
from chainrule._internal.backend import using
from chainrule._internal.checks import check_count, check_seed
from chainrule._internal.interrupt import deferred_interrupt
from chainrule._internal.names import named
from chainrule._internal.threads import blas_threads
from chainrule._internal.typing import ArrayLike, MatrixLike
from chainrule.losses import Metric
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Adam, Optimizer
from chainrule.penalties import Constraint, Penalty, check_penalties
from chainrule.schedules import Constant, Schedule
from chainrule.training import arguments, checkpoints, engine
from chainrule.training.augmentation import Augmentation
from chainrule.training.averaging import averaged
from chainrule.training.batches import Shuffler
from chainrule.training.callbacks import Callback, Run
from chainrule.training.checkpoints import Checkpoint
from chainrule.training.clipping import Clip
from chainrule.training.evaluation import check_metrics, check_network, evaluate, measured
from chainrule.training.history import History
from chainrule.training.lifecycle import DivergenceError, ended, facts, returned, start, undone_by_divergence
from chainrule.training.memory import check_network_writable, moved_state
from chainrule.training.ranks import ParallelError, Ranks, Reduce
from chainrule.training.state import Steps, Work

BLOCK_SECONDS = 0.1  # how long steps run between checks of Ctrl-C and callbacks

__all__ = ["DivergenceError", "ParallelError", "Reduce", "evaluate", "train"]


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
    reduce: Reduce | None = None,
    device: str | None = None,
    precision: str = "float32",
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
        one. The last step of an epoch may have fewer batches. (Dropout masks differ.)
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
        Held-out rows keep their ``sample_weight``. See :func:`evaluate` for the effect of weights. Those of a
        memory-mapped X are not copied, but read where they are evaluated.
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
    reduce : Reduce, optional
        Train on the rows of several processes as one batch: a function that sums a vector over all of them, such as
        ``chainrule.parallel.MPI()``. X, t and the validation data are this process's share of the rows; everything else
        must be the same in each. Each step, and the history, are those of all rows together.
    device : str, optional
        Where to train: ``"cpu"``, ``"cuda"`` for the first NVIDIA GPU, or ``"cuda:1"`` for the second (the extra
        ``cuda``). By default, the network's device (:meth:`Network.to`). On another device, a copy is trained, which
        callbacks see as ``run.network``; its values are copied back at the end. Rows that fit are moved to a GPU once.
    precision : {"float32", "tf32"}
        Precision of products of float32 matrices on a GPU: "tf32" rounds the factors to 11 bits, for
        the tensor cores of cards since 2020.
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
    ParallelError
        In every process if ``reduce`` is given and the processes differ, or one of them fails.
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
    ranks = Ranks(reduce)
    with ranks.together():
        check_network("train", network)
        check_network_writable(network)
        home, network = network, arguments.placed(network, device, precision, ranks)
        rule: Optimizer = named("optimizer", optimizer, Optimizer, optimizers)
        factors: Schedule = named("schedule", schedule, Schedule, schedules)
        epochs = check_count("train", "epochs", epochs)
        clip, callbacks = arguments.check_clip(clip), arguments.check_callbacks(callbacks, ranks)
        seed = check_seed("train", seed)
        threads = None if threads is None else check_count("train", "threads", threads)
    saved = None if resume is None else checkpoints.newest(resume, ranks)
    with ranks.together(), using(network.device):
        seeds = arguments.spawn(seed if seed is not None or saved is None else saved.seed, ranks)
        data = arguments.check_data(network, X, t, sample_weight, validation, seeds.split)
        batches = arguments.make_batches(network, data, batch_size, validation, shuffle, augment, seeds)
        metrics, terms = check_metrics(network, metrics), check_penalties(penalties)
        work = Work(
            network, batches, rule, moved_state(rule, home, state, network), factors, terms, clip, seeds.dropout,
            arguments.thread_counts(network, batches.batch_size, threads, ranks),
            arguments.check_accumulate(accumulate, len(batches)), arguments.check_layer_rates(network, layer_rates),
            ranks, precision,
        )  # fmt: skip
        penalized = any(isinstance(term, Penalty) for term in terms)
        history = History(_columns(penalized, data.held_out is not None, metrics))
        run = Run(
            network, history, history.columns, epochs, len(batches), batches.rows, rank=ranks.rank, ranks=ranks.size
        )
        if ranks.rank == 0:
            advice.before_training(network.layers, data.X, rule)
        steps = engine.steps(work, run)
    checkpointing = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
    with using(network.device), returned(work, home, state), ended(run) as started, closing(steps):
        if ranks.size > 1:
            ranks.check_same(facts(steps, callbacks, data.arrays, seed))
        with ranks.together():
            start(steps, callbacks, started, data.arrays, seeds.state, resume, saved)
        with _computing(steps) as interrupted:
            for epoch in range(run.epoch + 1, (run.epoch if run.stopped else epochs) + 1):
                run.epoch = epoch
                began = time.perf_counter()
                if not run_epoch(steps, callbacks, interrupted):
                    break
                ranks.average(network.statistics, batches.rows)
                row = [run.epoch, steps.mean(steps.losses), *([steps.mean(steps.penalties)] if penalized else [])]
                with averaged(run, callbacks):
                    if data.held_out is not None:
                        row += measured(network, **data.held_out, metrics=metrics, gather=ranks.gather).values()
                    history.append([*row, steps.rate, time.perf_counter() - began])
                    with ranks.together():
                        for callback in callbacks[: len(callbacks) - len(checkpointing)]:
                            callback.on_epoch(run)
                ranks.end_epoch(run)
                for callback in checkpointing:  # of the trained parameters, not of their average
                    callback.on_epoch(run)
                if run.stopped:
                    break
    if ranks.rank == 0:
        advice.after_training(home.logits, data.X, data.t, history["loss"], rule)
    return history


def run_epoch(steps: Steps, callbacks: Sequence[Callback], interrupted: Callable[[], bool]) -> bool:
    """Run one epoch; return whether it completed. A divergence restores the state before it."""
    work, run = steps.work, steps.run
    per_batch = [callback.on_batch for callback in callbacks if type(callback).on_batch is not Callback.on_batch]
    together = work.ranks.size > 1  # ranks stop together, after an epoch
    work.batches.shuffle()
    run.batch = 0
    with undone_by_divergence(steps, callbacks):
        while run.batch < run.batches and (together or not run.stopped):
            first, began = run.batch, time.perf_counter()
            size = work.accumulate * (1 if per_batch else max(1, steps.block // work.accumulate))
            steps.do(first, min(first + size, run.batches))
            steps.block = max(1, int((run.batch - first) * BLOCK_SECONDS / (time.perf_counter() - began)))
            for call in per_batch:
                call(run)
            if interrupted():
                run.stop(f"interrupted in epoch {run.epoch}, after batch {run.batch} of {run.batches}")
    return not run.stopped or run.batch == run.batches


@contextmanager
def _computing(steps: Steps) -> Iterator[Callable[[], bool]]:
    """Set the numbers of threads and defer Ctrl-C; the yielded function tells whether it was pressed."""
    # Overflow becomes infinity, which is reported with a remedy.
    with (
        blas_threads(steps.blas_threads),
        deferred_interrupt() as interrupted,
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
    ):
        yield interrupted


def _columns(penalized: bool, validated: bool, metrics: Mapping[str, Metric]) -> list[str]:
    validation = ["val_loss", *(f"val_{name}" for name in metrics)] if validated else []
    return ["epoch", "loss", *["penalty"] * penalized, *validation, "learning_rate", "seconds"]
