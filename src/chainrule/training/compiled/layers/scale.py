"""Scale: y = γ x, dx = γ dy, dγ = Σ dy x."""

from chainrule.training.compiled.features import by_feature

Scale = by_feature(
    "scale", "gamma", lambda T, x, gamma: x * gamma, lambda T, x, dy, gamma: dy * gamma, lambda T, x, dy: dy * x
)
