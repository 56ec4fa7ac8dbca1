"""The equations of normalisation, images, residual blocks and embeddings: see :mod:`chainrule.tracing.equations`."""

from __future__ import annotations

from chainrule import layers
from chainrule.layers import Layer
from chainrule.tracing.equation import Choice, Equation, Equations

DX = r"\mathrm{d}x"
DY = r"\mathrm{d}y"
IN_PREDICTION = r"\quad\text{in prediction}"
ROOT = Equation("s = 1 / √(σ² + ε)", r"s = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}")
NORMAL = Equation("x̂ = (x − μ) s", r"\hat{x} = (x - \mu)\,s")
SCALED = Equation("y = γ x̂ + β", r"y = \gamma\,\hat{x} + \beta")
D_GAMMA = Equation("dγ = Σ dy x̂", rf"\mathrm{{d}}\gamma = \sum {DY}\,\hat{{x}}")
D_BETA = Equation("dβ = Σ dy", rf"\mathrm{{d}}\beta = \sum {DY}")

G = Equation("g = dy γ", rf"g = {DY}\,\gamma")


def _means(count: str, over: str) -> tuple[Equation, Equation]:
    return (
        Equation(f"μ = Σ x / {count}  {over}", rf"\mu = \frac{{\sum x}}{{{count}}}"),
        Equation(f"σ² = Σ (x − μ)² / {count}", rf"\sigma^2 = \frac{{\sum (x - \mu)^2}}{{{count}}}"),
    )


def _batch_norm(_layer: layers.BatchNorm, training: bool) -> Equations:
    symbols = {"ε": "epsilon"}
    if not training:
        direct = Equation("dx = γ s dy", rf"{DX} = \gamma\,s\,{DY}")
        moments = (
            Equation("μ = running_mean", r"\mu = \mathrm{running mean}"),
            Equation("σ² = running_var", r"\sigma^2 = \mathrm{running var}"),
        )
        return Equations(
            (*moments, ROOT, NORMAL, SCALED),
            (D_GAMMA, D_BETA, direct),
            {
                "running_mean": lambda layer, _: layer.running_mean,
                "running_var": lambda layer, _: layer.running_var,
                "s": "s",
                "x̂": lambda _, memo: memo.centered * memo.s,
            },
            symbols,
            "{γ} · ({x} − {running_mean}) · {s} + {β}",
            "{γ} · {s} · {dy}",
            {"dγ": ("dy", "x̂")},
        )
    spread = Equation(
        "dx = γ s (dy − dβ / N − x̂ dγ / N)",
        rf"{DX} = \gamma\,s\,\left({DY} - \frac{{\mathrm{{d}}\beta}}{{N}} "
        r"- \hat{x}\,\frac{\mathrm{d}\gamma}{N}\right)",
    )
    mean = Equation(
        "running_mean ← k running_mean + (1 − k) μ",
        r"\mathrm{running mean} \leftarrow k\,\mathrm{running mean} + (1 - k)\,\mu",
    )
    variance = Equation(
        "running_var ← k running_var + (1 − k) σ² N / (N − 1)",
        r"\mathrm{running var} \leftarrow k\,\mathrm{running var} + (1 - k)\,\sigma^2\,\frac{N}{N - 1}",
    )
    return Equations(
        (*_means("N", "over the N values of a feature"), ROOT, NORMAL, SCALED),
        (D_GAMMA, D_BETA, spread),
        {"μ": "mean", "σ²": "var", "s": "s", "x̂": lambda _, memo: memo.centered * memo.s, "N": "count"},
        {**symbols, "k": "momentum"},
        "{γ} · ({x} − {μ}) · {s} + {β}",
        "{γ} · {s} · ({dy} − {dβ} / {N} − {x̂} · {dγ} / {N})",
        {"dγ": ("dy", "x̂")},
        {
            "running_mean": (mean, "{k} · {old} + (1 − {k}) · {μ}"),
            "running_var": (variance, "{k} · {old} + (1 − {k}) · {σ²} · {N} / ({N} − 1)"),
        },
    )


def _convolution(layer: layers.Conv2D, _training: bool) -> Equations:
    bias = layer.b is not None
    window = Equation(
        "c[r, q] = the window of x at r, q, in one row", r"c_{r,q} = x[\text{window } r, q] \;\text{ in one row}"
    )
    forward = Equation("y = c W + b", r"y = c\,W + b") if bias else Equation("y = c W", r"y = c\,W")
    backward = [Equation("dW = cᵀ dy, over all windows", rf"\mathrm{{d}}W = c^{{\top}}\,{DY}")]
    if bias:
        backward.append(Equation("db = Σ dy", rf"\mathrm{{d}}b = \sum {DY}"))
    backward += [
        Equation("dc = dy Wᵀ", rf"\mathrm{{d}}c = {DY}\,W^{{\top}}"),
        Equation("dx = Σ dc over the windows that have the pixel", rf"{DX} = \sum_{{\text{{windows}}}} \mathrm{{d}}c"),
    ]
    return Equations((window, forward), tuple(backward))


def _gaussian_noise(_layer: layers.GaussianNoise, training: bool) -> Equations:
    backward = (Equation("dx = dy", rf"{DX} = {DY}"),)
    if not training:
        return Equations(
            (Equation("y = x in prediction", rf"y = x {IN_PREDICTION}"),), backward, symbols={"deviation": "deviation"}
        )
    draw = Equation("n ~ Normal(0, deviation²)", r"n \sim \mathrm{Normal}(0, \mathrm{deviation}^{2})")
    return Equations(
        (draw, Equation("y = x + n", "y = x + n")),
        backward,
        memo={"n": "noise"},
        symbols={"deviation": "deviation"},
        y_entry="{x} + {n}",
        dx_entry="{dy}",
    )


def _dropout_2d(_layer: layers.Dropout2D, training: bool) -> Equations:
    if not training:
        return Equations(
            (Equation("y = x in prediction", rf"y = x {IN_PREDICTION}"),),
            (Equation("dx = dy", rf"{DX} = {DY}"),),
            symbols={"rate": "rate"},
        )
    draw = Equation(
        "m ~ Bernoulli(1 − rate) / (1 − rate), one for each channel",
        r"m \sim \frac{\mathrm{Bernoulli}(1 - \mathrm{rate})}{1 - \mathrm{rate}}",
    )
    return Equations(
        (draw, Equation("y = x ⊙ m", r"y = x \odot m")),
        (Equation("dx = dy ⊙ m", rf"{DX} = {DY} \odot m"),),
        {"m": lambda _, memo: memo.mask[:, 0, 0, :]},
        {"rate": "rate"},
        "{x} · {m}",
        "{dy} · {m}",
    )


def _reshape(layer: Layer, _training: bool) -> Equations:
    shape = ", ".join(map(str, getattr(layer, "output_shape", ("…",))))
    return Equations(
        (Equation(f"y = x, as (batch, {shape})", rf"y = x \quad\text{{as (batch, {shape})}}"),),
        (Equation("dx = dy, as x was", rf"{DX} = {DY} \quad\text{{as }} x \text{{ was}}"),),
    )


DEEP: dict[type[Layer], Choice] = {
    layers.BatchNorm: _batch_norm,
    layers.LayerNorm: Equations(
        (*_means("F", "over the features of a row"), ROOT, NORMAL, SCALED),
        (
            D_GAMMA,
            D_BETA,
            G,
            Equation(
                "dx = s (g − mean(g) − x̂ mean(g x̂))",
                rf"{DX} = s\,\left(g - \mathrm{{mean}}(g) - \hat{{x}}\,\mathrm{{mean}}(g\,\hat{{x}})\right)",
            ),
        ),
        {"s": "s", "x̂": "normal"},
        {"ε": "epsilon"},
        "{γ} · {x̂} + {β}",
        sums={"dγ": ("dy", "x̂")},
    ),
    layers.RMSNorm: Equations(
        (
            Equation("s = 1 / √(Σ x² / F + ε)", r"s = \frac{1}{\sqrt{\frac{\sum x^2}{F} + \varepsilon}}"),
            Equation("x̂ = x s", r"\hat{x} = x\,s"),
            Equation("y = γ x̂", r"y = \gamma\,\hat{x}"),
        ),
        (
            D_GAMMA,
            G,
            Equation(
                "dx = s (g − x̂ mean(g x̂))",
                rf"{DX} = s\,\left(g - \hat{{x}}\,\mathrm{{mean}}(g\,\hat{{x}})\right)",
            ),
        ),
        {"s": "s", "x̂": "normal"},
        {"ε": "epsilon"},
        "{γ} · {x} · {s}",
        sums={"dγ": ("dy", "x̂")},
    ),
    layers.Scale: Equations(
        (Equation("y = γ x", r"y = \gamma\,x"),),
        (
            Equation("dγ = Σ dy x", rf"\mathrm{{d}}\gamma = \sum {DY}\,x"),
            Equation("dx = γ dy", rf"{DX} = \gamma\,{DY}"),
        ),
        y_entry="{γ} · {x}",
        dx_entry="{γ} · {dy}",
        sums={"dγ": ("dy", "x")},
    ),
    layers.Conv2D: _convolution,
    layers.MaxPool2D: Equations(
        (Equation("y = the largest x of the window", r"y = \max_{\text{window}} \,x"),),
        (Equation("dx = dy at the largest, 0 elsewhere", rf"{DX} = {DY} \;\text{{at the largest, else 0}}"),),
    ),
    layers.AveragePool2D: Equations(
        (
            Equation(
                "y = Σ x / m over the m pixels of the window",
                r"y = \frac{1}{m} \sum_{\text{window}} x",
            ),
        ),
        (
            Equation(
                "dx = Σ dy / m over the windows that have the pixel",
                rf"{DX} = \sum_{{\text{{windows}}}} \frac{{{DY}}}{{m}}",
            ),
        ),
    ),
    layers.GlobalAveragePool2D: Equations(
        (Equation("y = Σ x / m over the m pixels of the image", r"y = \frac{1}{m} \sum_{\text{image}} x"),),
        (Equation("dx = dy / m for every pixel", rf"{DX} = \frac{{{DY}}}{{m}} \quad\text{{for every pixel}}"),),
    ),
    layers.Flatten: _reshape,
    layers.Reshape: _reshape,
    layers.Dropout2D: _dropout_2d,
    layers.GaussianNoise: _gaussian_noise,
    layers.Residual: Equations(
        (Equation("y = x + f(x)", "y = x + f(x)"),),
        (
            Equation(
                "df = dy · ∂f/∂x, by the layers inside",
                rf"\mathrm{{d}}f = {DY} \cdot \frac{{\partial f}}{{\partial x}}",
            ),
            Equation("dx = dy + df", rf"{DX} = {DY} + \mathrm{{d}}f"),
        ),
        y_entry="{x} + {f}",
        dx_entry="{dy} + {df}",
    ),
    layers.Embedding: Equations(
        (
            Equation(
                "y = [the other columns of x, W[k] of every category k]",
                r"y = [x_{\text{others}}, W_k, \,\text{…}]",
            ),
        ),
        (
            Equation(
                "dW[k] = Σ dy where the category is k",
                rf"\mathrm{{d}}W_k = \sum_{{\text{{category }} k}} {DY}",
            ),
            Equation(
                "dx = dy of the other columns, 0 for categories",
                rf"{DX} = [{DY}_{{\text{{others}}}}, 0, \,\text{{…}}]",
            ),
        ),
        {"k": "rows"},
    ),
}
