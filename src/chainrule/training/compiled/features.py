"""Operations of layers with one parameter for each feature: y[k] = f(x[k], p[k]) for every row or position.

The loops: rows and positions one after the other, and within them the features, which are side by side in memory, so
that the inner loop is one of vector instructions. dp is summed in memory: it stays in the first cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chainrule.training.compiled import slots
from chainrule.training.compiled.compiling import compiled, inlined, operation
from chainrule.training.compiled.slots import dx_of, dy_of, gradient, integer, parameters, share, x_of, y_of

if TYPE_CHECKING:
    from chainrule.layers import Layer
    from chainrule.training.compiled.program import Program

part = inlined("part")[0]


def by_feature(
    name: str, parameter: str, f: Any, slope: Any, of_parameter: Any
) -> Callable[[Layer, Program, int], int]:
    """Return the plan of a layer: y = f(x, p), dx = slope(x, dy, p), dp = Σ of_parameter(x, dy)."""
    f, slope, of_parameter = compiled(f), compiled(slope), compiled(of_parameter)

    def forward(T, op, base, n, row, rows):
        x, y, features = x_of(T, op, base, n, row, rows), y_of(T, op, base, n, row, rows), integer(op, slots.OWN)
        p = parameters(T, op, base, slots.W, features)
        for i in range(0, x.size, features):
            line, out = part(x, i, features), part(y, i, features)
            for k in range(features):
                out[k] = f(T, line[k], p[k])

    def backward(T, op, base, n, row, rows):
        x, dy, dx = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), dx_of(T, op, base, n, row, rows)
        features = integer(op, slots.OWN)
        p = parameters(T, op, base, slots.W, features)
        for i in range(0, x.size, features):
            line, error, out = part(x, i, features), part(dy, i, features), part(dx, i, features)
            for k in range(features):
                out[k] = slope(T, line[k], error[k], p[k])

    def gradients(T, op, base, n, row, rows):
        x, dy, features = x_of(T, op, base, n, row, rows), dy_of(T, op, base, n, row, rows), integer(op, slots.OWN)
        first, last = share(base, features)
        dp = gradient(T, op, base, slots.W, features)
        for k in range(first, last):
            dp[k] = T(0)
        for i in range(0, x.size, features):
            line, error = part(x, i, features), part(dy, i, features)
            for k in range(first, last):
                dp[k] += of_parameter(T, line[k], error[k])

    for function, suffix in ((forward, ""), (backward, "_slope"), (gradients, "_parameters")):
        function.__name__, function.__module__ = name + suffix, f.python.__module__
    run, run_back, run_gradients = operation(forward), operation(backward), operation(gradients)

    def plan(layer: Layer, program: Program, x: int) -> int:
        size = math.prod(layer.output_shape)
        y = program.room(size)
        operands = {
            "x": x, "y": y, "inputs": size, "outputs": size, "W": program.at(parameter),
            "own": (layer.output_shape[-1],),
        }  # fmt: skip
        program.forward(run, **operands)
        program.gradient(run_gradients, **operands)
        program.slope(run_back, **operands)
        program.overwritable.add(y)
        return y

    return plan
