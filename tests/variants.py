"""The one table of variants: every layer, loss, optimizer and schedule, each with an independent formula.

All tests that go through what the library ships take it from here, and fail for a class that has no row. What a new
class needs in tests/ is its rows in this file.
"""

# ruff: noqa: F403, F405  (the names of everything that is shipped)

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from chainrule import initializers
from chainrule.layers import *
from chainrule.layers import Activation, Layer
from chainrule.losses import *
from chainrule.losses import Loss
from chainrule.optimizers import *
from chainrule.optimizers import Optimizer
from chainrule.schedules import *
from chainrule.schedules import Schedule


class LayerCase(NamedTuple):
    """A layer; the rest where it has it: an elementwise formula for one number, its kinks, PyTorch's word for it."""

    layer: Layer
    value: Callable[[float], float] | None = None  # y(x)
    slope: Callable[[float], float] | None = None  # dy/dx(x); at a kink what the documentation promises
    kinks: Sequence[float] = ()
    start: str = "GlorotUniform"  # how weights in front of it are drawn
    torch: Callable[..., Any] | None = None  # (torch.nn.functional, x, its arguments and parameters) -> y


class LossCase(NamedTuple):
    loss: Loss
    targets: Callable[..., Any]  # (rng, rows, outputs) -> t
    value: Callable[..., float]  # (y, t) of one sample
    slope: Callable[..., list[float]]  # (y, t) of one sample
    torch: Callable[..., Any] | None  # (functional, y, t, outputs) -> the loss of every sample
    outputs: int = 3  # at least as many as the loss wants


class OptimizerCase(NamedTuple):
    optimizer: Optimizer
    step: Callable[..., float]  # (w, g, what is remembered, the number of the step, η, **settings) -> w
    settings: dict[str, float]
    torch: Callable[..., Any] | None = None  # (torch.optim, the optimizer, weights, biases) -> PyTorch's


class ScheduleCase(NamedTuple):
    schedule: Schedule
    values: dict[float, float]  # of 10 epochs: the factor at some, by hand
    by_step: Callable[[int], float] | None = None  # the factor at a step of 50, 10 an epoch


# Layers: the formulas again, for one number, in the plainest way that Python's math allows ---------------------------


def sigma(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def gauss(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def gauss_tanh(x):
    return sigma(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def gauss_tanh_slope(x):
    p = gauss_tanh(x)
    return p + x * p * (1 - p) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def mish_slope(x):
    e = math.exp(-2 * softplus(x))
    return math.tanh(softplus(x)) + x * 4 * e / (1 + e) ** 2 * sigma(x)  # 1 − tanh² s = 4 e^−2s / (1 + e^−2s)²


LAMBDA, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

LAYERS = [
    LayerCase(Identity(), lambda x: x, lambda x: 1.0, torch=lambda f, x, _: x * 1),
    LayerCase(
        ReLU(),
        lambda x: max(x, 0.0),
        lambda x: float(x > 0),
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, _: f.relu(x),
    ),
    LayerCase(
        LeakyReLU(),
        lambda x: x if x > 0 else 0.01 * x,
        lambda x: 1 if x > 0 else 0.01,
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, p: f.leaky_relu(x, p.negative_slope),
    ),
    LayerCase(
        LeakyReLU(negative_slope=0.3),
        lambda x: x if x > 0 else 0.3 * x,
        lambda x: 1 if x > 0 else 0.3,
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, p: f.leaky_relu(x, p.negative_slope),
    ),
    LayerCase(
        LeakyReLU(negative_slope=0.0),
        lambda x: max(x, 0.0),
        lambda x: float(x > 0),
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, p: f.leaky_relu(x, p.negative_slope),
    ),
    LayerCase(
        ELU(),
        lambda x: x if x > 0 else math.expm1(x),
        lambda x: 1 if x > 0 else math.exp(x),
        start="HeNormal",
        torch=lambda f, x, p: f.elu(x, p.alpha),
    ),
    LayerCase(
        ELU(alpha=0.5),
        lambda x: x if x > 0 else math.expm1(x) / 2,
        lambda x: 1 if x > 0 else math.exp(x) / 2,
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, p: f.elu(x, p.alpha),
    ),
    LayerCase(
        ELU(alpha=0.0),
        lambda x: max(x, 0.0),
        lambda x: float(x > 0),
        kinks=(0,),
        start="HeNormal",
        torch=lambda f, x, p: f.elu(x, p.alpha),
    ),
    LayerCase(
        SELU(),
        lambda x: LAMBDA * (x if x > 0 else ALPHA * math.expm1(x)),
        lambda x: LAMBDA * (1 if x > 0 else ALPHA * math.exp(x)),
        kinks=(0,),
        start="LeCunNormal",
        torch=lambda f, x, _: f.selu(x),
    ),
    LayerCase(Sigmoid(), sigma, lambda x: sigma(x) * sigma(-x), torch=lambda f, x, _: f.sigmoid(x)),
    LayerCase(Tanh(), math.tanh, lambda x: 4 * sigma(2 * x) * sigma(-2 * x), torch=lambda f, x, _: f.tanh(x)),
    LayerCase(
        HardSigmoid(),
        lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
        lambda x: 1 / 6 if -3 < x < 3 else 0.0,
        kinks=(-3, 3),
        torch=lambda f, x, _: f.hardsigmoid(x),
    ),
    LayerCase(Softplus(), softplus, sigma, start="HeNormal", torch=lambda f, x, _: f.softplus(x, threshold=100)),
    LayerCase(
        SiLU(),
        lambda x: x * sigma(x),
        lambda x: sigma(x) * (1 + x * sigma(-x)),
        start="HeNormal",
        torch=lambda f, x, _: f.silu(x),
    ),
    LayerCase(
        GELU(),
        lambda x: x * gauss(x),
        lambda x: gauss(x) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        start="HeNormal",
        torch=lambda f, x, p: f.gelu(x, approximate=p.approximate),
    ),
    LayerCase(
        GELU(approximate="tanh"),
        lambda x: x * gauss_tanh(x),
        gauss_tanh_slope,
        start="HeNormal",
        torch=lambda f, x, p: f.gelu(x, approximate=p.approximate),
    ),
    LayerCase(
        Mish(), lambda x: x * math.tanh(softplus(x)), mish_slope, start="HeNormal", torch=lambda f, x, _: f.mish(x)
    ),
    *(
        LayerCase(
            PReLU(*start),
            start="HeNormal",
            kinks=(0,),
            torch=lambda f, x, p: f.prelu(x.movedim(-1, 1), p.alpha).movedim(1, -1),
        )
        for start in ((), (-0.5,))
    ),
    LayerCase(Softmax(), torch=lambda f, x, _: f.softmax(x, dim=-1)),
    *map(
        LayerCase,
        [
            Dense(4),
            Dense(3, biases=None),
            Dense(2, biases=initializers.Normal(0.5)),
            Dropout(0.4),
            Dropout(0.0),
            Dropout2D(0.4),
            GaussianNoise(0.3),
            BatchNorm(),
            BatchNorm(0.5, epsilon=0.1),
            LayerNorm(),
            LayerNorm(epsilon=0.1),
            RMSNorm(),
            Scale(0.7),
            Conv2D(3, 2),
            Conv2D(4, (3, 2), stride=(1, 2), padding="same", dilation=(2, 1), groups=2, biases=None),
            MaxPool2D(),
            MaxPool2D(3, stride=2, padding="same"),
            AveragePool2D(),
            AveragePool2D(3, stride=2, padding=1),
            GlobalAveragePool2D(),
            Flatten(),
            Reshape((1, -1)),
            Reshape((-1,)),
            Residual([Scale(0.5), Tanh()]),
            Residual([BatchNorm(), Tanh()]),
            Residual([Residual([BatchNorm(), Dropout(0.5)]), Scale(0.5)]),
            Residual([BatchNorm(), Conv2D(2, padding="same"), Residual([Scale(0.5), Dropout2D(0.3)])]),
            Embedding(5, 2),
            Embedding([3], 2, columns=[0]),
        ],
    ),
]


# Losses: the formulas again, for one sample --------------------------------------------------------------------------


def log_sigma(x):
    return min(x, 0) - math.log1p(math.exp(-abs(x)))


def xlogy(t, p):
    return t * math.log(p) if t else 0.0


def softmax(y):
    e = [math.exp(v - max(y)) for v in y]
    return [v / sum(e) for v in e]


def smoothed(t, y, epsilon):
    t = t if np.ndim(t) else [float(k == t) for k in range(len(y))]
    return [(1 - epsilon) * v + epsilon / len(y) for v in t]


def cross_entropy(y, t, epsilon=0.0):
    log_sum = math.log(math.fsum(math.exp(v - max(y)) for v in y))
    return -math.fsum(p * (v - max(y) - log_sum) for p, v in zip(smoothed(t, y, epsilon), y, strict=True))


def cross_entropy_slope(y, t, epsilon=0.0):
    return [p - q for p, q in zip(softmax(y), smoothed(t, y, epsilon), strict=True)]


def by_output(term):
    return lambda y, t: math.fsum(term(a, b) for a, b in zip(y, t, strict=True))


def each_output(slope):
    return lambda y, t: [slope(a, b) for a, b in zip(y, t, strict=True)]


def huber(delta):
    return lambda y, t: (y - t) ** 2 / 2 if abs(y - t) <= delta else delta * (abs(y - t) - delta / 2)


def pinball(q):
    return lambda y, t: q * (t - y) if t > y else (1 - q) * (y - t)


def labels(rng, rows, outputs):
    return rng.integers(0, outputs, rows)


def shares(rng, rows, outputs):
    return rng.dirichlet(np.ones(outputs), rows)


def numbers(rng, rows, outputs):
    return rng.normal(scale=2, size=(rows, outputs))


def counts(rng, rows, outputs):
    return rng.poisson(1.0, size=(rows, outputs))


def answers(rng, rows, outputs):
    return rng.integers(0, 2, (rows, outputs))


def beliefs(rng, rows, outputs):
    return rng.uniform(size=(rows, outputs))


def cross_entropy_case(targets, epsilon):
    return LossCase(
        SoftmaxCrossEntropy(label_smoothing=epsilon),
        targets,
        lambda y, t: cross_entropy(y, t, epsilon),
        lambda y, t: cross_entropy_slope(y, t, epsilon),
        lambda f, y, t, k: f.cross_entropy(y, t, reduction="none", label_smoothing=epsilon),
    )


LOSSES = [
    LossCase(
        SquaredError(),
        numbers,
        by_output(lambda y, t: (y - t) ** 2 / 2),
        each_output(lambda y, t: y - t),
        lambda f, y, t, k: f.mse_loss(y, t, reduction="none").mean(dim=1) * k / 2,
    ),
    LossCase(
        AbsoluteError(),
        numbers,
        by_output(lambda y, t: abs(y - t)),
        each_output(lambda y, t: math.copysign(float(y != t), y - t)),
        lambda f, y, t, k: f.l1_loss(y, t, reduction="none").mean(dim=1) * k,
    ),
    LossCase(
        Huber(),
        numbers,
        by_output(huber(1)),
        each_output(lambda y, t: min(max(y - t, -1), 1)),
        lambda f, y, t, k: f.huber_loss(y, t, reduction="none").mean(dim=1) * k,
    ),
    LossCase(
        Huber(delta=0.3),
        numbers,
        by_output(huber(0.3)),
        each_output(lambda y, t: min(max(y - t, -0.3), 0.3)),
        lambda f, y, t, k: f.smooth_l1_loss(y, t, reduction="none", beta=0.3).sum(dim=1) * 0.3,
    ),
    LossCase(
        Quantile(),
        numbers,
        by_output(lambda y, t: abs(y - t) / 2),
        each_output(lambda y, t: math.copysign(float(y != t) / 2, y - t)),
        lambda f, y, t, k: f.l1_loss(y, t, reduction="none").sum(dim=1) / 2,
    ),
    LossCase(
        Quantile(quantile=0.9),
        numbers,
        by_output(pinball(0.9)),
        each_output(lambda y, t: 0 if y == t else -0.9 if t > y else 1 - 0.9),
        None,
    ),
    LossCase(
        Poisson(),
        counts,
        by_output(lambda y, t: math.exp(y) - t - t * y + xlogy(t, t)),
        each_output(lambda y, t: math.exp(y) - t),
        lambda f, y, t, k: (f.poisson_nll_loss(y, t, reduction="none") + t.xlogy(t) - t).sum(dim=1),
    ),
    LossCase(
        SigmoidCrossEntropy(),
        answers,
        by_output(lambda y, t: -(t * log_sigma(y) + (1 - t) * log_sigma(-y))),
        each_output(lambda y, t: -sigma(-y) if t == 1 else sigma(y) - t),
        lambda f, y, t, k: f.binary_cross_entropy_with_logits(y, t, reduction="none").mean(dim=1) * k,
    ),
    LossCase(
        SigmoidCrossEntropy(),
        beliefs,
        by_output(lambda y, t: -(t * log_sigma(y) + (1 - t) * log_sigma(-y))),
        each_output(lambda y, t: sigma(y) - t),
        lambda f, y, t, k: f.binary_cross_entropy_with_logits(y, t, reduction="none").sum(dim=1),
    ),
    cross_entropy_case(labels, 0.0),
    cross_entropy_case(shares, 0.0),
    cross_entropy_case(labels, 0.1),
    cross_entropy_case(shares, 0.25),
]


# Optimizers: the formulas again, for one number ----------------------------------------------------------------------


def sgd(w, g, past, t, rate):
    return w - rate * g


def momentum(w, g, past, t, rate, mu=0.9):
    past["v"] = mu * past.get("v", 0.0) - rate * g
    return w + past["v"]


def nesterov(w, g, past, t, rate, mu=0.9):
    past["v"] = mu * past.get("v", 0.0) - rate * g
    return w + mu * past["v"] - rate * g


def adagrad(w, g, past, t, rate, epsilon=1e-10):
    past["s"] = past.get("s", 0.0) + g * g
    return w - rate * g / (math.sqrt(past["s"]) + epsilon)


def rmsprop(w, g, past, t, rate, rho=0.9, epsilon=1e-8):
    past["s"] = rho * past.get("s", 0.0) + (1 - rho) * g * g
    return w - rate * g / (math.sqrt(past["s"]) + epsilon)


def adam(w, g, past, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    past["m"] = beta_1 * past.get("m", 0.0) + (1 - beta_1) * g
    past["v"] = beta_2 * past.get("v", 0.0) + (1 - beta_2) * g * g
    m_hat, v_hat = past["m"] / (1 - beta_1**t), past["v"] / (1 - beta_2**t)
    return w - rate * m_hat / (math.sqrt(v_hat) + epsilon)


def adamw(w, g, past, t, rate, decay=0.01, **adams):
    return adam(w - rate * decay * w, g, past, t, rate, **adams)


def lion(w, g, past, t, rate, beta_1=0.9, beta_2=0.99, decay=0.0):
    m = past.get("m", 0.0)
    c = beta_1 * m + (1 - beta_1) * g
    past["m"] = beta_2 * m + (1 - beta_2) * g
    return w - rate * ((c > 0) - (c < 0) + decay * w)


def torch_sgd(o, ours, weights, biases):
    mu = getattr(ours, "momentum", 0.0)
    return o.SGD([*weights, *biases], lr=ours.learning_rate, momentum=mu, nesterov=isinstance(ours, Nesterov))


def torch_adagrad(o, ours, weights, biases):
    return o.Adagrad([*weights, *biases], lr=ours.learning_rate, eps=ours.epsilon)


def torch_rmsprop(o, ours, weights, biases):
    return o.RMSprop([*weights, *biases], lr=ours.learning_rate, alpha=ours.rho, eps=ours.epsilon)


def torch_adam(o, ours, weights, biases):
    betas = ours.beta_1, ours.beta_2
    return o.Adam([*weights, *biases], lr=ours.learning_rate, betas=betas, eps=ours.epsilon)


def torch_adamw(o, ours, weights, biases):
    groups = [
        {"params": weights, "weight_decay": ours.weight_decay},
        {"params": biases, "weight_decay": ours.weight_decay if ours.biases else 0.0},
    ]
    return o.AdamW(groups, lr=ours.learning_rate, betas=(ours.beta_1, ours.beta_2), eps=ours.epsilon)


OPTIMIZERS = [
    OptimizerCase(SGD(), sgd, {}, torch_sgd),
    OptimizerCase(SGD(0.3), sgd, {}, torch_sgd),
    OptimizerCase(Momentum(), momentum, {}, torch_sgd),
    OptimizerCase(Momentum(0.05, momentum=0.0), sgd, {}, torch_sgd),
    OptimizerCase(Momentum(0.05, momentum=0.5), momentum, {"mu": 0.5}, torch_sgd),
    OptimizerCase(Nesterov(), nesterov, {}, torch_sgd),
    OptimizerCase(Nesterov(0.05, momentum=0.5), nesterov, {"mu": 0.5}, torch_sgd),
    OptimizerCase(Adagrad(), adagrad, {}, torch_adagrad),
    OptimizerCase(Adagrad(0.1, epsilon=0.5), adagrad, {"epsilon": 0.5}, torch_adagrad),
    OptimizerCase(Adagrad(0.05), adagrad, {}, torch_adagrad),
    OptimizerCase(RMSProp(), rmsprop, {}, torch_rmsprop),
    OptimizerCase(RMSProp(0.01, rho=0.5, epsilon=0.1), rmsprop, {"rho": 0.5, "epsilon": 0.1}, torch_rmsprop),
    OptimizerCase(RMSProp(0.01, rho=0.95, epsilon=1e-6), rmsprop, {"rho": 0.95, "epsilon": 1e-6}, torch_rmsprop),
    OptimizerCase(Adam(), adam, {}, torch_adam),
    OptimizerCase(Adam(0.01, beta_1=0.0, beta_2=0.0), adam, {"beta_1": 0.0, "beta_2": 0.0}),
    OptimizerCase(Adam(0.1, 0.5, 0.75, 0.1), adam, {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.1}, torch_adam),
    OptimizerCase(Adam(0.02, 0.8, 0.95, 1e-4), adam, {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}, torch_adam),
    OptimizerCase(Lion(), lion, {}),
    OptimizerCase(Lion(0.01, 0.5, 0.75, weight_decay=0.3), lion, {"beta_1": 0.5, "beta_2": 0.75, "decay": 0.3}),
    OptimizerCase(Lion(0.01), lion, {}),
    OptimizerCase(AdamW(), adamw, {}, torch_adamw),
    OptimizerCase(AdamW(0.1, weight_decay=0.3, beta_1=0.5), adamw, {"decay": 0.3, "beta_1": 0.5}),
    OptimizerCase(AdamW(0.1, weight_decay=0.0), adam, {}),
    OptimizerCase(AdamW(0.01, weight_decay=0.5, biases=True), adamw, {"decay": 0.5}, torch_adamw),
    OptimizerCase(AdamW(0.01, weight_decay=0.5), adamw, {"decay": 0.5}, torch_adamw),
]


# Schedules -----------------------------------------------------------------------------------------------------------


def one_cycle(step, rise=0.3, start=1 / 25, end=1 / 25e4):
    progress = step / 50
    if progress < rise:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / rise)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


SCHEDULES = [
    ScheduleCase(Constant(), {0: 1, 3.7: 1, 10: 1}),
    ScheduleCase(InverseTime(0.0), {0: 1, 9: 1}),
    ScheduleCase(InverseTime(0.5), {0: 1, 0.99: 1, 1: 2 / 3, 2: 0.5, 2.5: 0.5, 6: 0.25}),
    ScheduleCase(InverseScaling(), {0: 1, 0.5: 1, 3: 0.5, 3.9: 0.5, 8: 1 / 3}),
    ScheduleCase(InverseScaling(2.0), {0: 1, 1: 0.25, 9: 0.01}),
    ScheduleCase(InverseScaling(0.0), {0: 1, 9: 1}),
    ScheduleCase(Exponential(0.5), {0: 1, 0.9: 1, 1: 0.5, 3.5: 0.125}),
    ScheduleCase(Exponential(1.0), {0: 1, 9: 1}),
    ScheduleCase(Step(3), {0: 1, 2.99: 1, 3: 0.1, 5.9: 0.1, 6: 0.01, 9: 0.001}),
    ScheduleCase(Step(every=2, gamma=0.5), {0: 1, 1.5: 1, 2: 0.5, 4: 0.25, 7: 0.125}),
    ScheduleCase(Cosine(), {0: 1, 2.5: 0.5 + math.sqrt(0.125), 5: 0.5, 7.5: 0.5 - math.sqrt(0.125), 10: 0}),
    ScheduleCase(Cosine(end=0.2), {0: 1, 5: 0.6, 10: 0.2, 11: 0.2}),
    ScheduleCase(Cosine(end=1.0), {0: 1, 5: 1, 10: 1}),
    ScheduleCase(CosineLog(1), {0: 0, 10 * (math.sqrt(2) - 1): 1, 10: 0, 11: 0}),
    ScheduleCase(
        CosineLog(2),
        {
            0: 0,
            10 * (2**0.25 - 1) / 3: 0.5,
            10 * (2**0.5 - 1) / 3: 1,
            10 / 3: 0,
            10 * (2**1.5 - 1) / 3: 1,
            10: 0,
            12: 0,
        },
    ),
    ScheduleCase(CosineLog(), {0: 0, 2 / 3: 0, 2: 0, 14 / 3: 0, 10 * (2**3.5 - 1) / 15: 1, 10: 0}),
    ScheduleCase(OneCycle(), {0: 0.04, 1.5: 0.52, 3: 1, 6.5: (1 + 4e-6) / 2, 10: 4e-6}),
    ScheduleCase(OneCycle(rise=0.5, start=0.0, end=0.1), {0: 0, 2.5: 0.5, 5: 1, 7.5: 0.55, 10: 0.1, 12: 0.1}),
    ScheduleCase(WarmUp(4), {0: 0, 1: 0.25, 3: 0.75, 4: 1, 9: 1}),
    ScheduleCase(WarmUp(2, then=Cosine(), start=0.5), {0: 0.5, 1: 0.75, 2: 1, 6: 0.5, 10: 0}),
    ScheduleCase(WarmUp(0.5, then=Exponential(0.5)), {0: 0, 0.25: 0.5, 0.5: 1, 1.4: 1, 1.5: 0.5, 2.5: 0.25}),
    ScheduleCase(WarmUp(5, then=Step(2, 0.1)), {0: 0, 2.5: 0.5, 5: 1, 6.9: 1, 7: 0.1, 9: 0.01}),
    ScheduleCase(WarmUp(10, then=Cosine()), {0: 0, 5: 0.5, 9.9: 0.99}),
    ScheduleCase(WarmUp(20, then=Cosine()), {0: 0, 5: 0.25, 10: 0.5}),
    ScheduleCase(Constant(), {}, lambda step: 1.0),
    ScheduleCase(InverseTime(0.7), {}, lambda step: 1 / (1 + 0.7 * (step // 10))),
    ScheduleCase(InverseScaling(0.8), {}, lambda step: (step // 10 + 1) ** -0.8),
    ScheduleCase(Exponential(0.6), {}, lambda step: 0.6 ** (step // 10)),
    ScheduleCase(Step(2, gamma=0.3), {}, lambda step: 0.3 ** (step // 20)),
    ScheduleCase(Cosine(end=0.1), {}, lambda step: 0.1 + 0.9 * (1 + math.cos(math.pi * step / 50)) / 2),
    ScheduleCase(CosineLog(3), {}, lambda step: (1 - math.cos(2 * math.pi * math.log2(1 + 7 * step / 50))) / 2),
    ScheduleCase(OneCycle(), {}, one_cycle),
    ScheduleCase(
        WarmUp(1.5, then=Cosine(), start=0.2),
        {},
        lambda s: 0.2 + 0.8 * s / 15 if s < 15 else (1 + math.cos(math.pi * (s - 15) / 35)) / 2,
    ),
    ScheduleCase(WarmUp(2, then=Step(1, 0.5)), {}, lambda step: step / 20 if step < 20 else 0.5 ** ((step - 20) // 10)),
]


# What the tests ask the table ----------------------------------------------------------------------------------------

ELEMENTWISE = [case for case in LAYERS if case.value is not None]
ACTIVATIONS = [case for case in LAYERS if isinstance(case.layer, Activation)]


def gives(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of y for samples of a shape; None where the layer does not take them."""
    try:
        return copy.copy(layer).output(shape)
    except (ValueError, IndexError):
        return None


def takes(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Return whether the layer takes samples of a shape."""
    return gives(layer, shape) is not None


def layers_of(cls: type[Layer]) -> list[Layer]:
    """Return the variants of a layer."""
    return [case.layer for case in LAYERS if type(case.layer) is cls]


def every_loss() -> list[Loss]:
    """Return every variant of the losses once."""
    return list({repr(case.loss): case.loss for case in LOSSES}.values())


def targets(loss: Loss, rng: np.random.Generator, rows: int, outputs: int) -> Any:
    """Return targets of one of the kinds that the loss takes."""
    kinds = [case.targets for case in LOSSES if type(case.loss) is type(loss)]
    return kinds[rng.integers(len(kinds))](rng, rows, outputs)


def brisk(cls: type[Optimizer], **settings: Any) -> Optimizer:
    """Return the last variant of an optimizer, which moves a small network by more than a little."""
    last = [case.optimizer for case in OPTIMIZERS if type(case.optimizer) is cls][-1]
    return replace(last, **{name: value for name, value in settings.items() if name in {f.name for f in fields(cls)}})


def forms(classes: Any) -> dict[type, list[dict[str, Any]]]:
    """Return the arguments, but for defaults, of every variant in a list of cases, by class."""
    found: dict[type, list[dict[str, Any]]] = {}
    for case in classes:
        defaults = {field.name: field.default for field in fields(case[0])} if is_dataclass(case[0]) else {}
        arguments = {name: value for name, value in case[0].arguments().items() if value != defaults[name]}
        if arguments not in found.setdefault(type(case[0]), []):
            found[type(case[0])].append(arguments)
    return found
