r"""The equations of every layer, loss and optimizer, as text and as LaTeX: what a worked example prints.

``LAYERS``, ``LOSSES`` and ``OPTIMIZERS`` have one entry for each class. A class that is not there says its own, as
``equations``: a mapping of the arguments of :class:`Equations`, with ``(text, LaTeX)`` for each equation; one that does
not is shown as y = MyLayer(x).

The text is for terminals, the LaTeX for Markdown; :mod:`chainrule.pages.mathml` turns the LaTeX into what browsers
set. In ``y_entry`` and its relatives the numbers of one entry are put in for ``{x}`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule import layers, losses, optimizers
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.optimizers import Optimizer
from chainrule.tracing.equation import Choice, Equation, Equations
from chainrule.tracing.equations_deep import DEEP

__all__ = ["LAYERS", "LOSSES", "OPTIMIZERS", "Equation", "Equations", "equations_of"]


def equations_of(thing: Layer | Loss | Optimizer, *, training: bool = False) -> Equations:
    """Return the equations of a layer, loss or optimizer; generic ones for a class that has no entry."""
    tables: list[Mapping[Any, Choice]] = [LAYERS, LOSSES, OPTIMIZERS]
    found = next((table[type(thing)] for table in tables if type(thing) in table), None)
    if found is None:
        declared = getattr(thing, "equations", None)
        if not declared:
            return _generic(thing)
        found = Equations(**{name: _equations(value) for name, value in declared.items()})
    equations = found if isinstance(found, Equations) else found(thing, training)
    if isinstance(thing, Optimizer) and thing.weight_decay:
        symbols = {**equations.symbols, "λ": "weight_decay"}
        return Equations(((BIASES if thing.biases else DECAY), *equations.forward), symbols=symbols)
    return equations


def _equations(value: Any) -> Any:
    """Return what a class says of itself, with its (text, LaTeX) as equations."""
    return tuple(Equation(*pair) for pair in value) if isinstance(value, tuple) else value


def _generic(thing: Layer | Loss | Optimizer) -> Equations:
    name = type(thing).__name__
    latex = rf"\mathrm{{{name.replace('_', ' ')}}}"
    if isinstance(thing, Layer):
        forward = Equation(f"y = {name}(x)", rf"y = {latex}(x)")
        backward = Equation("dx = dy · ∂y/∂x", r"\mathrm{d}x = \mathrm{d}y \cdot \frac{\partial y}{\partial x}")
        return Equations((forward,), (backward,))
    if isinstance(thing, Loss):
        forward = Equation(f"ℓ = {name}(y, t)", rf"\ell = {latex}(y, t)")
        return Equations((forward,), (Equation("∂ℓ/∂y", r"\frac{\partial \ell}{\partial y}"),))
    return Equations((Equation(f"θ ← {name}(θ, g)", rf"\theta \leftarrow {latex}(\theta, g)"),))


def _elementwise(
    y: tuple[str, str], slope: tuple[str, str], entries: tuple[str, str] = ("", ""), *more: Equation, **kwargs: Any
) -> Equations:
    return Equations(
        (Equation(f"y = {y[0]}", f"y = {y[1]}"), *more),
        (Equation(f"dx = dy ⊙ {slope[0]}", rf"\mathrm{{d}}x = \mathrm{{d}}y \odot {slope[1]}"),),
        y_entry=entries[0],
        dx_entry=entries[1],
        **kwargs,
    )


def _pieces(first: str, where: str, second: str) -> str:
    return rf"\begin{{cases}} {first} & {where} \\ {second} & \text{{otherwise}} \end{{cases}}"


def _dense(layer: layers.Dense, _training: bool) -> Equations:
    bias = layer.b is not None
    forward = Equation("y = x W + b", r"y = x\,W + b") if bias else Equation("y = x W", r"y = x\,W")
    backward = [Equation("dW = xᵀ dy", r"\mathrm{d}W = x^{\top}\,\mathrm{d}y")]
    if bias:
        backward.append(Equation("db = Σ dy over the batch", r"\mathrm{d}b = \sum_{\text{batch}} \mathrm{d}y"))
    backward.append(Equation("dx = dy Wᵀ", r"\mathrm{d}x = \mathrm{d}y\,W^{\top}"))
    return Equations((forward,), tuple(backward))


def _dropout(_layer: layers.Dropout, training: bool) -> Equations:
    if not training:
        return Equations(
            (Equation("y = x in prediction", r"y = x \quad\text{in prediction}"),),
            (Equation("dx = dy", r"\mathrm{d}x = \mathrm{d}y"),),
            symbols={"rate": "rate"},
        )
    draw = Equation(
        "m ~ Bernoulli(1 − rate) / (1 − rate)",
        r"m \sim \frac{\mathrm{Bernoulli}(1 - \mathrm{rate})}{1 - \mathrm{rate}}",
    )
    return Equations(
        (draw, Equation("y = x ⊙ m", r"y = x \odot m")),
        (Equation("dx = dy ⊙ m", r"\mathrm{d}x = \mathrm{d}y \odot m"),),
        memo={"m": "mask"},
        symbols={"rate": "rate"},
        y_entry="{x} · {m}",
        dx_entry="{dy} · {m}",
    )


def _gelu(layer: layers.GELU, _training: bool) -> Equations:
    if layer.approximate == "none":
        cdf = Equation(
            "Φ(x) = ½ (1 + erf(x / √2))",
            r"\Phi(x) = \frac{1}{2} \left(1 + \operatorname{erf} \frac{x}{\sqrt{2}}\right)",
        )
        slope = ("(Φ(x) + x φ(x))", r"\left(\Phi(x) + x\,\varphi(x)\right)")
        density = Equation("φ(x) = e^(−x²/2) / √(2π)", r"\varphi(x) = \frac{e^{-x^2/2}}{\sqrt{2\pi}}")
    else:
        cdf = Equation(
            "Φ ≈ ½ (1 + tanh u),  u = √(2/π) (x + 0.044715 x³)",
            r"\Phi \approx \frac{1}{2} (1 + \tanh u), \quad u = \sqrt{\frac{2}{\pi}} (x + 0.044715\,x^3)",
        )
        slope = ("(Φ + 2 x Φ (1 − Φ) u')", r"\left(\Phi + 2 x\,\Phi (1 - \Phi) u^{\prime}\right)")
        density = Equation(
            "u' = √(2/π) (1 + 0.134145 x²)",
            r"u^{\prime} = \sqrt{\frac{2}{\pi}} (1 + 0.134145\,x^2)",
        )
    y = ("x Φ(x)", r"x\,\Phi(x)")
    found = _elementwise(y, slope, ("{x} · {Φ}", ""), cdf, memo={"Φ": "phi"})
    return Equations(found.forward, (*found.backward, density), found.memo, y_entry=found.y_entry)


LAYERS: dict[type[Layer], Choice] = {
    layers.Dense: _dense,
    layers.Dropout: _dropout,
    layers.Identity: _elementwise(("x", "x"), ("1", "1")),
    layers.ReLU: _elementwise(
        ("max(x, 0)", r"\max(x, 0)"), ("[x > 0]", r"[x > 0]"), ("max({x}, 0)", "{dy} · [{x} > 0]")
    ),
    layers.LeakyReLU: _elementwise(
        ("x where x > 0, else a x", _pieces("x", "x > 0", r"a\,x")),
        ("(1 where x > 0, else a)", _pieces("1", "x > 0", "a")),
        symbols={"a": "negative_slope"},
    ),
    layers.ELU: _elementwise(
        ("x where x > 0, else α (eˣ − 1)", _pieces("x", "x > 0", r"\alpha\,(e^x - 1)")),
        ("(1 where x > 0, else y + α)", _pieces("1", "x > 0", r"y + \alpha")),
        symbols={"α": "alpha"},
    ),
    layers.SELU: _elementwise(
        ("λ x where x > 0, else λ α (eˣ − 1)", _pieces(r"\lambda\,x", "x > 0", r"\lambda \alpha\,(e^x - 1)")),
        ("(λ where x > 0, else y + λ α)", _pieces(r"\lambda", "x > 0", r"y + \lambda \alpha")),
        symbols={"α": "ALPHA", "λ": "SCALE"},
    ),
    layers.Sigmoid: _elementwise(
        ("σ(x) = 1 / (1 + e⁻ˣ)", r"\sigma(x) = \frac{1}{1 + e^{-x}}"),
        ("y (1 − y)", r"y\,(1 - y)"),
        ("σ({x})", "{dy} · {y} · (1 − {y})"),
    ),
    layers.Tanh: _elementwise(("tanh(x)", r"\tanh(x)"), ("(1 − y²)", r"(1 - y^2)"), ("tanh({x})", "{dy} · (1 − {y}²)")),
    layers.HardSigmoid: _elementwise(
        ("min(max(x/6 + ½, 0), 1)", r"\min\left(\max\left(\frac{x}{6} + \frac{1}{2},\, 0\right),\, 1\right)"),
        ("⅙ [0 < y < 1]", r"\frac{1}{6}\,[0 < y < 1]"),
        ("min(max({x} / 6 + 0.5, 0), 1)", "{dy} / 6 · [0 < {y} < 1]"),
    ),
    layers.Softplus: _elementwise(
        ("log(1 + eˣ)", r"\log(1 + e^x)"), ("σ(x)", r"\sigma(x)"), ("log(1 + e^{x})", "{dy} · σ({x})")
    ),
    layers.SiLU: _elementwise(
        ("x σ(x)", r"x\,\sigma(x)"),
        ("(σ(x) + y (1 − σ(x)))", r"\left(\sigma(x) + y\,(1 - \sigma(x))\right)"),
        ("{x} · {σ}", "{dy} · ({σ} + {y} · (1 − {σ}))"),
        memo={"σ": "sigmoid"},
    ),
    layers.GELU: _gelu,
    layers.Mish: _elementwise(
        ("x w", r"x\,w"),
        ("(w + x (1 − w²) σ(x))", r"\left(w + x\,(1 - w^2)\,\sigma(x)\right)"),
        ("{x} · {w}", "{dy} · ({w} + {x} · (1 − {w}²) · σ({x}))"),
        Equation("w = tanh(log(1 + eˣ))", r"w = \tanh(\log(1 + e^x))"),
        memo={"w": "w"},
    ),
    layers.Softmax: Equations(
        (Equation("yᵢ = e^xᵢ / Σₖ e^xₖ", r"y_i = \frac{e^{x_i}}{\sum_k e^{x_k}}"),),
        (
            Equation(
                "dxⱼ = yⱼ (dyⱼ − Σᵢ dyᵢ yᵢ)",
                r"\mathrm{d}x_j = y_j \left(\mathrm{d}y_j - \sum_i \mathrm{d}y_i\,y_i\right)",
            ),
        ),
    ),
    **DEEP,
}


def _derivative(text: str, latex: str) -> tuple[Equation]:
    return (Equation(f"∂ℓ/∂y = {text}", rf"\frac{{\partial \ell}}{{\partial y}} = {latex}"),)


def _softmax_cross_entropy(loss: losses.SoftmaxCrossEntropy, _training: bool) -> Equations:
    link = Equation("p = softmax(y)", r"p = \operatorname{softmax}(y)")
    if not loss.label_smoothing:
        value = Equation("ℓ = −Σₖ tₖ log pₖ", r"\ell = -\sum_k t_k \log p_k")
        return Equations((link, value), _derivative("p − t", "p - t"), memo={"p": "p"}, dx_entry="{p} − {t}")
    return Equations(
        (
            link,
            Equation("s = (1 − ε) t + ε / classes", r"s = (1 - \varepsilon)\,t + \frac{\varepsilon}{\text{classes}}"),
            Equation("ℓ = −Σₖ sₖ log pₖ", r"\ell = -\sum_k s_k \log p_k"),
        ),
        _derivative("p − s", "p - s"),
        memo={"p": "p"},
        symbols={"ε": "label_smoothing"},
    )


LOSSES: dict[type[Loss], Choice] = {
    losses.SquaredError: Equations(
        (Equation("ℓ = ½ Σₖ (yₖ − tₖ)²", r"\ell = \frac{1}{2} \sum_k (y_k - t_k)^2"),),
        _derivative("y − t", "y - t"),
        dx_entry="{y} − {t}",
    ),
    losses.AbsoluteError: Equations(
        (Equation("ℓ = Σₖ |yₖ − tₖ|", r"\ell = \sum_k |y_k - t_k|"),),
        _derivative("sign(y − t)", r"\operatorname{sign}(y - t)"),
        dx_entry="sign({y} − {t})",
    ),
    losses.Huber: Equations(
        (
            Equation("e = y − t,  g = min(max(e, −δ), δ)", r"e = y - t, \quad g = \min(\max(e, -\delta), \delta)"),
            Equation("ℓ = Σₖ gₖ (eₖ − gₖ / 2)", r"\ell = \sum_k g_k \left(e_k - \frac{g_k}{2}\right)"),
        ),
        _derivative("g", "g"),
        memo={"g": "g"},
        symbols={"δ": "delta"},
        dx_entry="{g}",
    ),
    losses.Quantile: Equations(
        (
            Equation(
                "ℓ = Σ max(q e, (q − 1) e),  e = t − y", r"\ell = \sum_k \max(q\,e_k, (q - 1)\,e_k), \quad e = t - y"
            ),
        ),
        _derivative("−q where e > 0, else 1 − q", _pieces("-q", "e > 0", "1 - q")),
        symbols={"q": "quantile"},
    ),
    losses.Poisson: Equations(
        (
            Equation(
                "ℓ = Σₖ (e^yₖ − tₖ) − tₖ (yₖ − log tₖ)",
                r"\ell = \sum_k (e^{y_k} - t_k) - t_k\,(y_k - \log t_k)",
            ),
        ),
        _derivative("e^y − t", "e^y - t"),
        dx_entry="e^{y} − {t}",
    ),
    losses.SigmoidCrossEntropy: Equations(
        (
            Equation("p = σ(y) = 1 / (1 + e⁻ʸ)", r"p = \sigma(y) = \frac{1}{1 + e^{-y}}"),
            Equation(
                "ℓ = −Σₖ tₖ log pₖ + (1 − tₖ) log(1 − pₖ)",
                r"\ell = -\sum_k \left(t_k \log p_k + (1 - t_k) \log(1 - p_k)\right)",
            ),
        ),
        _derivative("p − t", "p - t"),
        memo={"p": "p"},
        dx_entry="{p} − {t}",
    ),
    losses.SoftmaxCrossEntropy: _softmax_cross_entropy,
}

ADAM = (
    Equation("m ← β₁ m + (1 − β₁) g", r"m \leftarrow \beta_1 m + (1 - \beta_1)\,g"),
    Equation("v ← β₂ v + (1 − β₂) g²", r"v \leftarrow \beta_2 v + (1 - \beta_2)\,g^2"),
)
CORRECTED = Equation(
    "m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ),  t = 1",
    r"\hat{m} = \frac{m}{1 - \beta_1^t}, \quad \hat{v} = \frac{v}{1 - \beta_2^t}, \quad t = 1",
)
ADAM_SYMBOLS = {"η": "learning_rate", "β₁": "beta_1", "β₂": "beta_2", "ε": "epsilon"}


def _adam(optimizer: optimizers.Adam, _training: bool) -> Equations:
    if optimizer.epsilon_hat:
        step = Equation(
            "θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε),  t = 1",
            r"\theta \leftarrow \theta - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} "
            r"\frac{m}{\sqrt{v} + \varepsilon}, \quad t = 1",
        )
        return Equations((*ADAM, step), symbols=ADAM_SYMBOLS)
    return Equations((*ADAM, CORRECTED, ADAM_STEP), symbols=ADAM_SYMBOLS)


DECAY = Equation("W ← W − η λ W for weights", r"W \leftarrow W - \eta \lambda W \quad\text{for weights}")
BIASES = Equation("θ ← θ − η λ θ", r"\theta \leftarrow \theta - \eta \lambda \theta")
ADAM_STEP = Equation(
    "θ ← θ − η m̂ / (√v̂ + ε)", r"\theta \leftarrow \theta - \eta \frac{\hat{m}}{\sqrt{\hat{v}} + \varepsilon}"
)
ROOT = Equation("θ ← θ − η g / (√s + ε)", r"\theta \leftarrow \theta - \eta \frac{g}{\sqrt{s} + \varepsilon}")
VELOCITY = Equation("v ← μ v − η g", r"v \leftarrow \mu v - \eta\,g")
MOMENTUM_SYMBOLS = {"η": "learning_rate", "μ": "momentum"}

OPTIMIZERS: dict[type[Optimizer], Choice] = {
    optimizers.SGD: Equations(
        (Equation("θ ← θ − η g", r"\theta \leftarrow \theta - \eta\,g"),),
        symbols={"η": "learning_rate"},
        y_entry="{θ} − {η} · {g}",
    ),
    optimizers.Momentum: Equations(
        (VELOCITY, Equation("θ ← θ + v", r"\theta \leftarrow \theta + v")),
        symbols=MOMENTUM_SYMBOLS,
        y_entry="{θ} + {v}",
    ),
    optimizers.Nesterov: Equations(
        (VELOCITY, Equation("θ ← θ + μ v − η g", r"\theta \leftarrow \theta + \mu v - \eta\,g")),
        symbols=MOMENTUM_SYMBOLS,
        y_entry="{θ} + {μ} · {v} − {η} · {g}",
    ),
    optimizers.Adagrad: Equations(
        (Equation("s ← s + g²", r"s \leftarrow s + g^2"), ROOT),
        symbols={"η": "learning_rate", "ε": "epsilon"},
        y_entry="{θ} − {η} · {g} / (√{s} + {ε})",
    ),
    optimizers.RMSProp: Equations(
        (Equation("s ← ρ s + (1 − ρ) g²", r"s \leftarrow \rho s + (1 - \rho)\,g^2"), ROOT),
        symbols={"η": "learning_rate", "ρ": "rho", "ε": "epsilon"},
        y_entry="{θ} − {η} · {g} / (√{s} + {ε})",
    ),
    optimizers.Adam: _adam,
    optimizers.AdamW: Equations((*ADAM, CORRECTED, ADAM_STEP), symbols=ADAM_SYMBOLS),
}
