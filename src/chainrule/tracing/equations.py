"""The equations of all layers, losses and optimizers, in the notation of :mod:`chainrule.pages.formula`.

A class that is not in ``EQUATIONS`` may have a class attribute ``equations``, a mapping with the arguments of
:class:`Equations`. Without it, a layer is shown as y = MyLayer(x).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule import layers, losses, optimizers
from chainrule._internal.typing import Array
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.optimizers import Optimizer
from chainrule.pages.formula import GREEK

LETTERS = {name: letter for letter, name in GREEK.items()}


@dataclass(frozen=True)
class Equations:
    """The equations of one class, forward and backward, as text with one equation per line.

    An entry of y or dx is worked out from its equation if the equation has only known arrays and symbols.

    Parameters
    ----------
    forward, backward : str
    memo : mapping
        Other arrays to show: the symbol in the equations, and the name in the memo or a function of the layer, the
        memo and x; for an optimizer, other vectors of its equations: a name in its state after the step, or a function
        of the optimizer, the state and theta.
    symbols : mapping
        Symbols for constructor arguments, with the names of the attributes.
    after : str
        The update of the layer's statistics after a training step.

    Examples
    --------
    >>> from chainrule.tracing import EQUATIONS
    >>> EQUATIONS[layers.Tanh]
    Equations(forward='y = tanh(x)', backward='dx = dy ⊙ (1 − y²)', memo={}, symbols={}, after='')
    """

    forward: str
    backward: str = ""
    memo: Mapping[str, str | Callable[[Any, Memo, Array], Array]] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


def lines(text: str) -> tuple[str, ...]:
    """Split a text into its equations."""
    return tuple(line.strip() for line in text.splitlines())


def symbol(parameter: str) -> str:
    """Return the symbol of a parameter in the equations.

    >>> symbol("gamma"), symbol("W")
    ('γ', 'W')
    """
    return LETTERS.get(parameter, parameter)


def equations_of(thing: Layer | Loss | Optimizer, *, training: bool = False) -> Equations:
    """Return the equations of a layer, loss or optimizer; generic ones if the class has none."""
    found = EQUATIONS.get(type(thing)) or _own(thing)
    equations = found if isinstance(found, Equations) else found(thing, training)
    if isinstance(thing, Optimizer) and thing.weight_decay:
        decay = "θ ← θ − η λ θ" if thing.biases else "W ← W − η λ W  for weights"
        symbols = {**equations.symbols, "λ": "weight_decay"}
        return replace(equations, forward=f"{decay}\n{equations.forward}", symbols=symbols)
    return equations


def _own(thing: Layer | Loss | Optimizer) -> Equations:
    """Return the equations that a class declares, or generic ones with its name."""
    name, own = type(thing).__name__, getattr(thing, "equations", None)
    if own and not isinstance(own, Mapping):
        raise TypeError(f'{name}.equations: expected {{"forward": "y = ...", "backward": "dx = ..."}}, got {own!r}')
    if own:
        return Equations(**own)
    if isinstance(thing, Layer):
        return Equations(f"y = {name}(x)", "dx = dy · ∂y/∂x")
    return Equations(f"ℓ = {name}(y, t)", "∂ℓ/∂y") if isinstance(thing, Loss) else Equations(f"θ ← {name}(θ, g)")


def _dense(layer: layers.Dense, _training: bool) -> Equations:
    if layer.b is None:
        return Equations("y = x W", "dW = xᵀ dy\ndx = dy Wᵀ")
    return Equations("y = x W + b", "dW = xᵀ dy\ndb = Σ dy  over the batch\ndx = dy Wᵀ")


def _convolution(layer: layers.Conv2D, _training: bool) -> Equations:
    bias = layer.b is not None
    forward = "c[r, q] =  the window of x at r, q, in one row\ny = c W" + " + b" * bias
    backward = "dW = cᵀ dy  over all windows" + "\ndb = Σ dy" * bias
    return Equations(forward, f"{backward}\ndc = dy Wᵀ\ndx = Σ dc  over the windows that have the pixel")


def _dropout(layer: layers.Dropout | layers.Dropout2D, training: bool) -> Equations:
    if not training:
        return Equations("y = x  in prediction", "dx = dy", symbols={"rate": "rate"})
    whole = isinstance(layer, layers.Dropout2D)
    draw = "m ~ Bernoulli(1 − rate) / (1 − rate)" + "  one for each channel" * whole
    memo = {"m": (lambda _, memo, __: memo.mask[:, 0, 0, :]) if whole else "mask"}
    return Equations(f"{draw}\ny = x ⊙ m", "dx = dy ⊙ m", memo, {"rate": "rate"})


def _gaussian_noise(_layer: layers.GaussianNoise, training: bool) -> Equations:
    symbols = {"deviation": "deviation"}
    if not training:
        return Equations("y = x  in prediction", "dx = dy", symbols=symbols)
    return Equations("n ~ Normal(0, deviation²)\ny = x + n", "dx = dy", {"n": "noise"}, symbols)


def _gelu(layer: layers.GELU, _training: bool) -> Equations:
    if layer.approximate == "none":
        forward = "Φ(x) = ½ (1 + erf(x / √2))\ny = x Φ(x)"
        backward = "dx = dy ⊙ (Φ(x) + x φ(x))\nφ(x) = e^(−x²/2) / √(2 π)"
    else:
        forward = "Φ(x) ≈ ½ (1 + tanh(u)),  u = √(2/π) (x + 0.044715 x³)\ny = x Φ(x)"
        backward = "dx = dy ⊙ (Φ(x) + 2 x Φ(x) (1 − Φ(x)) u')\nu' = √(2/π) (1 + 0.134145 x²)"
    return Equations(forward, backward, {"Φ": "phi"})


def _batch_norm(_layer: layers.BatchNorm, training: bool) -> Equations:
    memo: dict[str, Any] = {"s": "s", "x̂": lambda _, memo, x: (x - memo.mean) * memo.s}
    sums = "dγ = Σ dy x̂\ndβ = Σ dy\n"
    if not training:
        return Equations(
            "s = 1 / √(running_var + ε)\nx̂ = (x − running_mean) s\ny = γ x̂ + β",
            f"{sums}dx = γ s dy",
            {"running_mean": lambda layer, *_: layer.running_mean, "running_var": lambda layer, *_: layer.running_var}
            | memo,
            {"ε": "epsilon"},
        )
    return Equations(
        f"{MOMENTS.format('N', 'the N values of a feature')}\ny = γ x̂ + β",
        f"{sums}dx = γ s (dy − dβ / N − x̂ dγ / N)",
        {"μ": "mean", "σ²": "var", **memo, "N": lambda _, __, x: np.asarray(x[..., 0].size)},
        {"ε": "epsilon", "k": "momentum"},
        "running_mean ← k running_mean + (1 − k) μ\nrunning_var ← k running_var + (1 − k) σ² N / (N − 1)",
    )


def _reshape(layer: Layer, _training: bool) -> Equations:
    shape = ", ".join(map(str, getattr(layer, "output_shape", ("…",))))
    return Equations(f"y = x  as (batch, {shape})", "dx = dy  as x was")


def _softmax_cross_entropy(loss: losses.SoftmaxCrossEntropy, _training: bool) -> Equations:
    if not loss.label_smoothing:
        return Equations("p = softmax(y)\nℓ = −Σₖ tₖ log pₖ", "∂ℓ/∂y = p − t", {"p": "p"})
    forward = "p = softmax(y)\ns = (1 − ε) t + ε / classes\nℓ = −Σₖ sₖ log pₖ"
    return Equations(forward, "∂ℓ/∂y = p − s", {"p": "p"}, {"ε": "label_smoothing"})


def _adam(optimizer: optimizers.Adam | optimizers.AdamW, _training: bool) -> Equations:
    symbols = {"η": "learning_rate", "β₁": "beta_1", "β₂": "beta_2", "ε": "epsilon"}
    moments = "m ← β₁ m + (1 − β₁) g\nv ← β₂ v + (1 − β₂) g²\n"
    if getattr(optimizer, "epsilon_hat", False):
        return Equations(f"{moments}θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)", symbols=symbols)
    unbiased: dict[str, Any] = {
        "m̂": lambda adam, state, _: state.m / (1 - adam.beta_1**state.t),
        "v̂": lambda adam, state, _: state.v / (1 - adam.beta_2**state.t),
    }
    step = "m̂ = m / (1 − β₁ᵗ)\nv̂ = v / (1 − β₂ᵗ)\nθ ← θ − η m̂ / (√v̂ + ε)"
    return Equations(f"{moments}{step}", memo=unbiased, symbols=symbols)


MOMENTS = "μ = Σ x / {0}  over {1}\nσ² = Σ (x − μ)² / {0}\ns = 1 / √(σ² + ε)\nx̂ = (x − μ) s"
VELOCITY = {"η": "learning_rate", "μ": "momentum"}

EQUATIONS: dict[type, Equations | Callable[[Any, bool], Equations]] = {
    layers.Dense: _dense,
    layers.Dropout: _dropout,
    layers.Dropout2D: _dropout,
    layers.GaussianNoise: _gaussian_noise,
    layers.Identity: Equations("y = x", "dx = dy"),
    layers.ReLU: Equations("y = max(x, 0)", "dx = dy ⊙ [x > 0]"),
    layers.LeakyReLU: Equations(
        "y = x where x > 0, else a x", "dx = dy ⊙ (1 where x > 0, else a)", symbols={"a": "negative_slope"}
    ),
    layers.ELU: Equations(
        "y = x where x > 0, else α (eˣ − 1)", "dx = dy ⊙ (1 where x > 0, else y + α)", symbols={"α": "alpha"}
    ),
    layers.SELU: Equations(
        "y = λ x where x > 0, else λ α (eˣ − 1)",
        "dx = dy ⊙ (λ where x > 0, else y + λ α)",
        symbols={"α": "ALPHA", "λ": "SCALE"},
    ),
    layers.Sigmoid: Equations("y = σ(x) = 1 / (1 + e⁻ˣ)", "dx = dy ⊙ y (1 − y)"),
    layers.Tanh: Equations("y = tanh(x)", "dx = dy ⊙ (1 − y²)"),
    layers.HardSigmoid: Equations("y = min(max(x / 6 + ½, 0), 1)", "dx = dy / 6 ⊙ [0 < y < 1]"),
    layers.Softplus: Equations("y = log(1 + eˣ)", "dx = dy ⊙ σ(x)"),
    layers.SiLU: Equations("y = x σ(x)", "dx = dy ⊙ (σ(x) + y (1 − σ(x)))", {"σ": "sigmoid"}),
    layers.GELU: _gelu,
    layers.Mish: Equations("w = tanh(log(1 + eˣ))\ny = x w", "dx = dy ⊙ (w + x (1 − w²) σ(x))", {"w": "w"}),
    layers.Softmax: Equations("yᵢ = e^xᵢ / Σₖ e^xₖ", "dxⱼ = yⱼ (dyⱼ − Σᵢ dyᵢ yᵢ)"),
    layers.BatchNorm: _batch_norm,
    layers.LayerNorm: Equations(
        f"{MOMENTS.format('F', 'the features of a row')}\ny = γ x̂ + β",
        "dγ = Σ dy x̂\ndβ = Σ dy\ng = dy γ\ndx = s (g − mean(g) − x̂ mean(g x̂))",
        {"s": "s", "x̂": "normal"},
        {"ε": "epsilon"},
    ),
    layers.RMSNorm: Equations(
        "s = 1 / √(Σ x² / F + ε)\nx̂ = x s\ny = γ x̂",
        "dγ = Σ dy x̂\ng = dy γ\ndx = s (g − x̂ mean(g x̂))",
        {"s": "s", "x̂": "normal"},
        {"ε": "epsilon"},
    ),
    layers.Scale: Equations("y = γ x", "dγ = Σ dy x\ndx = γ dy"),
    layers.Conv2D: _convolution,
    layers.MaxPool2D: Equations("y = max x  over the window", "dx = dy  at the largest, 0 elsewhere"),
    layers.AveragePool2D: Equations(
        "y = Σ x / m  over the m pixels of the window", "dx = Σ dy / m  over the windows that have the pixel"
    ),
    layers.GlobalAveragePool2D: Equations("y = Σ x / m  over the m pixels of the image", "dx = dy / m  for each pixel"),
    layers.Flatten: _reshape,
    layers.Reshape: _reshape,
    layers.Residual: Equations("y = x + f(x)", "df = dy · ∂f/∂x  by the layers inside\ndx = dy + df"),
    layers.Embedding: Equations(
        "y =  the other columns of x, and W[k] of every category k",
        "dW[k] = Σ dy  where the category is k\ndx = dy  of the other columns, 0 for categories",
        {"k": "rows"},
    ),
    losses.SquaredError: Equations("ℓ = ½ Σₖ (yₖ − tₖ)²", "∂ℓ/∂y = y − t"),
    losses.AbsoluteError: Equations("ℓ = Σₖ |yₖ − tₖ|", "∂ℓ/∂y = sign(y − t)"),
    losses.Huber: Equations(
        "e = y − t,  g = min(max(e, −δ), δ)\nℓ = Σₖ gₖ (eₖ − gₖ / 2)", "∂ℓ/∂y = g", {"g": "g"}, {"δ": "delta"}
    ),
    losses.Quantile: Equations(
        "ℓ = Σₖ max(q eₖ, (q − 1) eₖ),  e = t − y", "∂ℓ/∂y = −q where e > 0, else 1 − q", symbols={"q": "quantile"}
    ),
    losses.Poisson: Equations("ℓ = Σₖ (e^yₖ − tₖ) − tₖ (yₖ − log tₖ)", "∂ℓ/∂y = e^y − t"),
    losses.SigmoidCrossEntropy: Equations(
        "p = σ(y) = 1 / (1 + e⁻ʸ)\nℓ = −Σₖ (tₖ log pₖ + (1 − tₖ) log(1 − pₖ))", "∂ℓ/∂y = p − t", {"p": "p"}
    ),
    losses.SoftmaxCrossEntropy: _softmax_cross_entropy,
    optimizers.SGD: Equations("θ ← θ − η g", symbols={"η": "learning_rate"}),
    optimizers.Momentum: Equations("v ← μ v − η g\nθ ← θ + v", symbols=VELOCITY),
    optimizers.Nesterov: Equations("v ← μ v − η g\nθ ← θ + μ v − η g", symbols=VELOCITY),
    optimizers.Adagrad: Equations(
        "s ← s + g²\nθ ← θ − η g / (√s + ε)", symbols={"η": "learning_rate", "ε": "epsilon"}
    ),
    optimizers.RMSProp: Equations(
        "s ← ρ s + (1 − ρ) g²\nθ ← θ − η g / (√s + ε)", symbols={"η": "learning_rate", "ρ": "rho", "ε": "epsilon"}
    ),
    optimizers.Adam: _adam,
    optimizers.AdamW: _adam,
}  # fmt: skip
