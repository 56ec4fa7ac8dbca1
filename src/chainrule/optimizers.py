"""Optimizers, from simplest to most complex. Each is a few in-place operations on theta that follow its formula.

θ is the vector of all parameters, g the gradient of L (including penalties, clipped if requested), and η the learning
rate of this step: the optimizer's own times the schedule's factor. The optimizer's state is a separate object, so one
optimizer can train many networks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.config import FrozenConfig
from chainrule._internal.typing import Array, Float
from chainrule.memo import Memo

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Momentum", "Nesterov", "Optimizer", "RMSProp"]

Vector = Float[Array, "size"]


class Optimizer(FrozenConfig, ABC):
    """Base class for optimizers. Subclasses implement ``step`` and, if they have state, declare ``slots``.

    ``slots`` names the state vectors, which start at zero. ``state.t`` counts the steps from 1, ``state.scratch`` is a
    scratch buffer, and ``state.weights`` are the views of theta that are weights. ``state.factors``, if set, has the
    shape of theta and holds a learning-rate multiplier for each parameter.

    Weight decay is decoupled from the gradient: W ← W − η λ W with λ = ``weight_decay``, at least 0. Biases are not
    decayed. This is not an L2 penalty, whose gradient λ W also enters the optimizer's state; PyTorch's ``weight_decay``
    is an L2 penalty except in AdamW, Keras's is decoupled. For SGD the two are equivalent: use ``penalties=[L2(λ)]``.
    """

    learning_rate: float
    weight_decay: float = 0.0
    biases: bool = False

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the state vectors, each with the shape of theta."""

    steps_by_rate: ClassVar[bool] = False
    """Whether a step moves each parameter by about η, regardless of the size of its gradient."""

    estimator_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments taken from an estimator's parameters of the same name; ``weight_decay`` is their ``alpha``."""

    equations: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The equations for worked examples, as arguments of :class:`chainrule.tracing.Equations`."""

    def __post_init__(self) -> None:
        check_real(type(self).__name__, "learning_rate", self.learning_rate, 0)
        check_real(type(self).__name__, "weight_decay", self.weight_decay, 0)

    def start(self, theta: Vector, weights: Sequence[Array] = ()) -> Memo:
        """Return the initial state for optimizing ``theta``; ``weights`` are the views of it that are weights."""
        state = Memo()
        state.t = 0
        state.scratch = np.empty_like(theta)
        state.weights = weights
        for name in self.slots:
            setattr(state, name, np.zeros_like(theta))
        return state

    @abstractmethod
    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        """Update ``theta`` in place; ``rate`` is η, and ``state.t`` already counts this step."""

    def update(self, theta: Vector, grad: Vector, state: Memo, factor: float = 1.0) -> None:
        """Increment the step counter and take one step; ``factor`` is the schedule's multiplier."""
        state.t += 1
        rate = self.learning_rate * factor
        if state.factors is None:
            self.step(theta, grad, state, rate)
            return
        if state.before is None:
            state.before = np.empty_like(theta)
        before = state.before
        before[:] = theta
        self.step(theta, grad, state, rate)
        theta -= before  # all steps are proportional to η, so scaling Δθ scales η
        theta *= state.factors
        theta += before

    def _decay(self, theta: Vector, state: Memo, rate: float) -> None:
        """Apply decoupled weight decay, W ← W − η λ W, to the weights and optionally the biases."""
        if not self.weight_decay:
            return
        for w in (theta,) if self.biases else state.weights:
            np.multiply(w, 1 - rate * self.weight_decay, out=w)


@final
@dataclass(eq=False, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent.

    .. formula::

        θ ← θ − η g

    Parameters
    ----------
    learning_rate : float
        η, at least 0.

    Source: Robbins and Monro, "A stochastic approximation method" (1951).

    Examples
    --------
    >>> theta, sgd = np.array([1.0]), SGD(0.1)
    >>> sgd.update(theta, np.array([2.0]), sgd.start(theta))
    >>> theta
    array([0.8])
    """

    learning_rate: float = 0.1

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        theta -= np.multiply(grad, rate, out=state.scratch)


@final
@dataclass(eq=False, repr=False)
class Momentum(Optimizer):
    """Gradient descent with momentum: a velocity that accumulates past gradients.

    .. formula::

        v ← μ v − η g
        θ ← θ + v

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    momentum : float
        μ, in [0, 1].
    weight_decay : float
        λ, as in :class:`Optimizer`.

    Notes
    -----
    As in scikit-learn and Keras, v includes η. PyTorch uses v ← μ v + g, θ ← θ − η v, which is equivalent as long as η
    does not change.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).

    Examples
    --------
    >>> theta, momentum = np.array([1.0]), Momentum(0.1)
    >>> state = momentum.start(theta)
    >>> for _ in range(2):
    ...     momentum.update(theta, np.array([1.0]), state)
    >>> theta.round(4)                                     # 1 − 0.1 − (0.09 + 0.1)
    array([0.71])
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("v",)
    estimator_arguments: ClassVar[tuple[str, ...]] = ("momentum",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("Momentum", "momentum", self.momentum, 0, 1)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        v = state.v
        v *= self.momentum  # v ← μ v
        v -= np.multiply(grad, rate, out=state.scratch)  # − η g
        theta += v


@final
@dataclass(eq=False, repr=False)
class Nesterov(Optimizer):
    """Nesterov momentum: the step looks ahead along the velocity.

    .. formula::

        v ← μ v − η g
        θ ← θ + μ v − η g

    Nesterov evaluates the gradient at θ + μ v; here θ already denotes that look-ahead point, as in scikit-learn, Keras
    and PyTorch.

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    momentum : float
        μ, in [0, 1].
    weight_decay : float
        λ, as in :class:`Optimizer`.

    Source: Nesterov (1983); Sutskever et al., "On the importance of initialization and momentum in deep learning"
    (2013), section 2; Bengio et al., "Advances in optimizing recurrent networks" (2013), equation 7.

    Examples
    --------
    >>> theta, nesterov = np.array([1.0]), Nesterov(0.1)
    >>> nesterov.update(theta, np.array([1.0]), nesterov.start(theta))
    >>> theta.round(4)                                     # 1 − 0.09 − 0.1
    array([0.81])
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("v",)
    estimator_arguments: ClassVar[tuple[str, ...]] = ("momentum",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("Nesterov", "momentum", self.momentum, 0, 1)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        v, scratch = state.v, state.scratch
        step = np.multiply(grad, rate, out=scratch)  # η g
        theta -= step
        v *= self.momentum
        v -= step  # v ← μ v − η g
        theta += np.multiply(v, self.momentum, out=scratch)  # θ ← θ − η g + μ v


@final
@dataclass(eq=False, repr=False)
class Adagrad(Optimizer):
    """Adagrad: per-parameter learning rates that shrink as squared gradients accumulate.

    .. formula::

        s ← s + g²
        θ ← θ − η g / (√s + ε)

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    epsilon : float
        ε, outside the root as in PyTorch (inside in Keras).
    weight_decay : float
        λ, as in :class:`Optimizer`.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning" (2011).

    Examples
    --------
    >>> theta, adagrad = np.array([1.0]), Adagrad(0.1)
    >>> adagrad.update(theta, np.array([4.0]), adagrad.start(theta))
    >>> theta.round(4)
    array([0.9])
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-10
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("s",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("Adagrad", "epsilon", self.epsilon, 0, open_low=True)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        s, scratch = state.s, state.scratch
        s += np.multiply(grad, grad, out=scratch)  # s ← s + g²
        np.sqrt(s, out=scratch)
        scratch += self.epsilon  # √s + ε
        np.divide(grad, scratch, out=scratch)
        scratch *= rate
        theta -= scratch


@final
@dataclass(eq=False, repr=False)
class RMSProp(Optimizer):
    """RMSProp: Adagrad with a running mean of squared gradients instead of their sum.

    .. formula::

        s ← ρ s + (1 − ρ) g²
        θ ← θ − η g / (√s + ε)

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    rho : float
        ρ, in [0, 1); 0.9 as in the lecture and in Keras (PyTorch's ``alpha``: 0.99).
    epsilon : float
        ε, outside the root as in PyTorch (inside in Keras).
    weight_decay : float
        λ, as in :class:`Optimizer`.

    Source: Tieleman and Hinton, "Lecture 6.5: rmsprop" (2012).

    Examples
    --------
    >>> theta, rmsprop = np.array([1.0]), RMSProp(0.1, rho=0.75)
    >>> rmsprop.update(theta, np.array([4.0]), rmsprop.start(theta))
    >>> theta.round(4)                                     # 1 − 0.1 · 4 / √(0.25 · 16)
    array([0.8])
    """

    learning_rate: float = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("s",)
    steps_by_rate: ClassVar[bool] = True
    estimator_arguments: ClassVar[tuple[str, ...]] = ("epsilon",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("RMSProp", "rho", self.rho, 0, 1, open_high=True)
        check_real("RMSProp", "epsilon", self.epsilon, 0, open_low=True)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        s, scratch = state.s, state.scratch
        np.multiply(grad, grad, out=scratch)
        scratch *= 1 - self.rho
        s *= self.rho
        s += scratch  # s ← ρ s + (1 − ρ) g²
        np.sqrt(s, out=scratch)
        scratch += self.epsilon  # √s + ε
        np.divide(grad, scratch, out=scratch)
        scratch *= rate
        theta -= scratch


@final
@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """Adam: momentum and RMSProp combined, with bias correction.

    .. formula::

        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)           t = 1, 2, …
        θ ← θ − η m̂ / (√v̂ + ε)

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    beta_1, beta_2 : float
        β₁ and β₂, in [0, 1).
    epsilon : float
        ε, added to √v̂ as in the paper's algorithm 1 and in PyTorch.
    epsilon_hat : bool
        Whether to add ε to √v instead, before bias correction, as in the paper's shorter form, scikit-learn and Keras.
        This makes ε larger in the first steps.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.

    Examples
    --------
    >>> theta, adam = np.array([1.0]), Adam(0.1)
    >>> adam.update(theta, np.array([4.0]), adam.start(theta))
    >>> theta.round(4)                                     # the first step is η sign(g)
    array([0.9])
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    steps_by_rate: ClassVar[bool] = True
    estimator_arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_adam(self)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        root = math.sqrt(1 - self.beta_2**state.t)
        epsilon = self.epsilon / root if self.epsilon_hat else self.epsilon  # √v̂ + ε̂ / root = (√v + ε̂) / root
        _adam(theta, grad, state, rate, self.beta_1, self.beta_2, epsilon)


@final
@dataclass(eq=False, repr=False)
class AdamW(Optimizer):
    """Adam with decoupled weight decay, which is not rescaled by √v̂.

    .. formula::

        W ← W − η λ W           for weights, and optionally for biases
        then Adam

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for :class:`Adam`.
    weight_decay : float
        λ, as in :class:`Optimizer`. PyTorch also multiplies it by η; the paper does not.
    biases : bool
        Whether to decay biases as well, as PyTorch does unless they are in a separate parameter group.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.

    Examples
    --------
    >>> theta, adamw = np.array([1.0]), AdamW(0.1, weight_decay=0.5)
    >>> adamw.update(theta, np.array([4.0]), adamw.start(theta, weights=[theta]))
    >>> theta.round(4)                                     # 1 − 0.1 · 0.5 · 1 − 0.1
    array([0.85])
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    biases: bool = False
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    steps_by_rate: ClassVar[bool] = True
    estimator_arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon", "weight_decay")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_adam(self)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        _adam(theta, grad, state, rate, self.beta_1, self.beta_2, self.epsilon)


@final
@dataclass(eq=False, repr=False)
class Lion(Optimizer):
    """Lion: the sign of a momentum, so that every parameter moves by η regardless of the size of its gradient.

    .. formula::

        W ← W − η λ W           for weights
        c = β₁ m + (1 − β₁) g
        θ ← θ − η sign(c)
        m ← β₂ m + (1 − β₂) g

    The state is one vector; Adam's is two. The paper recommends η three to ten times smaller than for Adam, λ larger by
    the same factor, so that η λ is unchanged, and batches of at least 64 rows, because the sign of noise is noise.

    Parameters
    ----------
    learning_rate : float
        η, at least 0.
    beta_1, beta_2 : float
        β₁ for the step and β₂ for the state, in [0, 1).
    weight_decay : float
        λ, as in :class:`Optimizer`.

    Source: Chen et al., "Symbolic discovery of optimization algorithms" (2023), algorithm 2.

    Examples
    --------
    >>> theta, lion = np.array([1.0, 1.0]), Lion(0.1)
    >>> lion.update(theta, np.array([4.0, -0.001]), lion.start(theta))
    >>> theta
    array([0.9, 1.1])
    """

    learning_rate: float = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("m",)
    steps_by_rate: ClassVar[bool] = True
    estimator_arguments: ClassVar[tuple[str, ...]] = ("weight_decay",)
    equations: ClassVar[Mapping[str, Any]] = {
        "forward": "c = β₁ m + (1 − β₁) g\nθ ← θ − η sign(c)\nm ← β₂ m + (1 − β₂) g",
        "symbols": {"η": "learning_rate", "β₁": "beta_1", "β₂": "beta_2"},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_real("Lion", "beta_1", self.beta_1, 0, 1, open_high=True)
        check_real("Lion", "beta_2", self.beta_2, 0, 1, open_high=True)

    def step(self, theta: Vector, grad: Vector, state: Memo, rate: float) -> None:
        self._decay(theta, state, rate)
        c = state.c = np.multiply(state.m, self.beta_1, out=state.c)
        c += np.multiply(grad, 1 - self.beta_1, out=state.scratch)  # c = β₁ m + (1 − β₁) g
        np.sign(c, out=c)
        c *= rate
        theta -= c  # θ ← θ − η sign(c)
        state.m *= self.beta_2
        state.m += np.multiply(grad, 1 - self.beta_2, out=state.scratch)  # m ← β₂ m + (1 − β₂) g


def _adam(theta: Array, grad: Array, state: Memo, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    m, v, scratch, t = state.m, state.v, state.scratch, state.t
    m *= beta_1
    m += np.multiply(grad, 1 - beta_1, out=scratch)  # m ← β₁ m + (1 − β₁) g
    np.multiply(grad, grad, out=scratch)
    scratch *= 1 - beta_2
    v *= beta_2
    v += scratch  # v ← β₂ v + (1 − β₂) g²
    np.sqrt(v, out=scratch)
    scratch *= 1 / math.sqrt(1 - beta_2**t)
    scratch += epsilon  # √v̂ + ε
    np.divide(m, scratch, out=scratch)
    scratch *= rate / (1 - beta_1**t)  # η m̂ / (√v̂ + ε)
    theta -= scratch


def _check_adam(optimizer: Adam | AdamW) -> None:
    name = type(optimizer).__name__
    check_real(name, "beta_1", optimizer.beta_1, 0, 1, open_high=True)
    check_real(name, "beta_2", optimizer.beta_2, 0, 1, open_high=True)
    check_real(name, "epsilon", optimizer.epsilon, 0, open_low=True)
