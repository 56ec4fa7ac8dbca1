"""Comparison of the compiled engine with the reference on this machine, component by component."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from chainrule import layers, losses, optimizers, penalties
from chainrule._internal.extras import install
from chainrule._internal.names import public_classes
from chainrule._internal.threads import blas_threads, choose_threads
from chainrule.gradient_check.samples import input_shape, targets, variants
from chainrule.layers import Dense, Dropout, Layer, Tanh
from chainrule.network import Network
from chainrule.parameters import Shape
from chainrule.schedules import Constant
from chainrule.training import clipping, engine
from chainrule.training import step as reference
from chainrule.training.batches import Batches
from chainrule.training.callbacks import Run
from chainrule.training.history import History
from chainrule.training.state import Work

MISSING = (
    "No compiled engine: Numba and SciPy are not installed, so training uses the reference and there is "
    f"nothing to compare. Type: {install('fast')}"
)
LARGEST = {"float32": 1e-5, "float64": 1e-11}  # difference of θ after all steps, for a largest entry of 1
INPUTS, OUTPUTS, ROWS, BATCH, EPOCHS = 5, 3, 23, 6, 3


@dataclass(frozen=True)
class Comparison:
    """One component, trained with both engines.

    Attributes
    ----------
    kind, name : the component
    differences : dict
        By dtype: the largest difference of a parameter or a loss; empty if the component is not compiled.
    """

    kind: str
    name: str
    differences: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether the differences are within rounding error."""
        return all(value <= LARGEST[dtype] for dtype, value in self.differences.items())


def compare(seed: int = 0) -> list[Comparison] | None:
    """Compare every activation, loss, optimizer, penalty, clip and dropout; return None without Numba.

    A component that is not compiled is listed without differences: the reference trains it. Both engines run here,
    whatever the environment variable ``CHAINRULE_KERNELS`` selects for training.
    """
    if not engine.installed():
        return None
    compiled = importlib.import_module("chainrule.training.compiled")
    return [Comparison(kind, repr(part), _differences(compiled, settings, seed)) for kind, part, settings in _parts()]


def _parts() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield every built-in component, with the training run that compares it."""
    for kind, module, base, name in (
        ("loss", losses, losses.Loss, "loss"),
        ("optimizer", optimizers, optimizers.Optimizer, "optimizer"),
        ("penalty", penalties, penalties.Penalty, "penalty"),
        ("constraint", penalties, penalties.Constraint, "penalty"),
        ("clip", clipping, clipping.Clip, "clip"),
    ):
        for cls in public_classes(module, base).values():
            for part in variants(cls):
                yield kind, part, {name: part}
    for cls in public_classes(layers, Layer).values():
        for layer in variants(cls):
            shape = input_shape(layer)
            if isinstance(layer, layers.Embedding) or shape is None:  # its columns are whole numbers
                continue
            if shape == (INPUTS,) and not isinstance(layer, layers.Residual):
                yield "layer", layer, {"stack": [Dense(7), layer, Dense(6), layer, Dense(OUTPUTS)]}
            else:
                yield "layer", layer, {"stack": [layer, layers.Flatten(), Dense(OUTPUTS)], "inputs": shape}


def _differences(compiled: ModuleType, settings: dict[str, Any], seed: int) -> dict[str, float]:
    differences = {}
    for dtype in LARGEST:
        results = [_trained(module, dtype, seed, **settings) for module in (reference, compiled)]
        if results[1] is None or results[0] is None:
            return {}
        scale = max(1.0, float(np.abs(results[0]).max()))
        differences[dtype] = float(np.abs(results[1] - results[0]).max()) / scale
    return differences


def _trained(
    module: ModuleType,
    dtype: str,
    seed: int,
    *,
    inputs: Shape = (INPUTS,),
    stack: list[Layer] | None = None,
    loss: losses.Loss | None = None,
    optimizer: optimizers.Optimizer | None = None,
    penalty: penalties.Penalty | penalties.Constraint | None = None,
    clip: clipping.Clip | None = None,
) -> np.ndarray | None:
    """Return all parameters and losses after a few epochs; None if the module falls back to the reference."""
    rng = np.random.default_rng(seed)
    chosen = loss or losses.SquaredError()
    network = Network(inputs, stack or [Dense(7), Tanh(), Dropout(0.2), Dense(OUTPUTS)], chosen, seed=seed, dtype=dtype)
    t = chosen.targets(targets(chosen, ROWS, OUTPUTS, rng), OUTPUTS, network.dtype)
    X = rng.normal(size=(ROWS, *inputs))
    weight = rng.random(ROWS).astype(dtype)
    batches = Batches(X, t, weight, None, BATCH, network.dtype, np.random.default_rng(seed))
    learning = optimizer or optimizers.Momentum(0.01)
    work = Work(
        network=network, batches=batches, optimizer=learning, state=learning.start(network.theta, network.weights),
        schedule=Constant(), penalties=[] if penalty is None else [penalty], clip=clip,
        seed=np.random.SeedSequence(seed), threads=choose_threads(BATCH * network.layout.size, None),
    )  # fmt: skip
    run = Run(network, History(["epoch"]), ("epoch",), EPOCHS, len(batches), batches.rows)
    measured = []
    steps = module.steps(work, run)
    with closing(steps), blas_threads(steps.blas_threads):
        if not type(steps).__module__.startswith(module.__name__):
            return None
        for run.epoch in range(1, EPOCHS + 1):
            batches.shuffle()
            run.batch = 0
            steps.do(0, len(batches))
            measured += [steps.losses.copy(), steps.penalties.copy()]
    return np.concatenate([network.theta.astype(np.float64), *measured])
