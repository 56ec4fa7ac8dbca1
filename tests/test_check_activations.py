"""check_function names a wrong derivative of an activation, in any size and dtype, and claims none where it is right."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.gradient_check import activation_laws
from chainrule.layers import Dense
from chainrule.layers.activation import Activation

LAWS = ("passes gradients where", "the derivative of the")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0)


def of_sigmoid(h):
    return h * (1 - h)


def of_tanh(h):
    return 1 - h**2


MISTAKES = {
    "ReLU in place": (relu, lambda z, h: h >= 0, "the ReLU after {b} passes gradients where its input is negative"),
    "ReLU without a mask": (relu, lambda z, h: 1.0, "the ReLU after {b} passes gradients where its input is negative"),
    "σ′ of an activated value": (sigmoid, lambda z, h: of_sigmoid(sigmoid(h)), "the sigmoid after {b} is evaluated at its output"),
    "tanh′ of an activated value": (np.tanh, lambda z, h: of_tanh(np.tanh(h)), "the tanh after {b} is evaluated at its output"),
    "σ′ twice": (sigmoid, lambda z, h: of_sigmoid(h) ** 2, "the sigmoid after {b} is applied twice: multiply once by h * (1 - h)"),
    "tanh′ twice": (np.tanh, lambda z, h: of_tanh(h) ** 2, "the tanh after {b} is applied twice"),
    "no σ′": (sigmoid, lambda z, h: 1.0, "the sigmoid after {b} is missing: multiply by h * (1 - h)"),
    "no tanh′": (np.tanh, lambda z, h: 1.0, "the tanh after {b} is missing"),
    "σ′ of z": (sigmoid, lambda z, h: of_sigmoid(z), "the sigmoid after {b} is computed from its input as if"),
    "tanh′ of z": (np.tanh, lambda z, h: of_tanh(z), "the tanh after {b} is computed from its input as if"),
    "tanh′ for σ": (sigmoid, lambda z, h: of_tanh(h), "the sigmoid after {b} is that of tanh: use h * (1 - h)"),
    "σ′ for tanh": (np.tanh, lambda z, h: of_sigmoid(h), "the tanh after {b} is that of sigmoid: use 1 - h**2"),
}  # fmt: skip
RIGHT = {
    "ReLU": (relu, lambda z, h: h > 0),
    "sigmoid": (sigmoid, lambda z, h: of_sigmoid(h)),
    "tanh": (np.tanh, lambda z, h: of_tanh(h)),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z, h: sigmoid(z)),
    "leaky ReLU": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z, h: np.where(z > 0, 1, 0.1)),
    "swish": (lambda z: z * sigmoid(z), lambda z, h: sigmoid(z) + z * of_sigmoid(sigmoid(z))),
}


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def problem(sizes, activation, slope, *, output=None, seed=0, rows=12, dtype=float):
    """A network as tutorials write it: parameters, loss and gradients; ``output`` is in front of the softmax."""
    rng = np.random.default_rng(seed)
    X, t = rng.normal(size=(rows, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], rows)
    depth, p = len(sizes) - 1, {}
    for i in range(depth):
        p[f"W{i}"] = (rng.normal(size=sizes[i : i + 2]) / np.sqrt(sizes[i])).astype(dtype)
        p[f"b{i}"] = (0.1 * rng.normal(size=sizes[i + 1])).astype(dtype)

    def forward(p):
        zs, hs = [], [X]
        for i in range(depth):
            zs.append(hs[-1] @ p[f"W{i}"] + p[f"b{i}"])
            last = output[0] if output else lambda z: z
            hs.append((activation if i < depth - 1 else last)(zs[-1]))
        return zs, hs

    def loss(p):
        return -np.log(softmax(forward(p)[1][-1])[np.arange(rows), t]).mean()

    def gradients(p):
        zs, hs = forward(p)
        dh, grad = (softmax(hs[-1]) - np.eye(sizes[-1], dtype=dtype)[t]) / rows, {}
        for i in range(depth - 1, -1, -1):
            of = slope if i < depth - 1 else output[1] if output else lambda z, h: 1.0
            dz = dh * of(zs[i], hs[i + 1])
            grad |= {f"W{i}": hs[i].T @ dz, f"b{i}": dz.sum(axis=0)}
            dh = dz @ p[f"W{i}"].T
        return grad

    return p, loss, gradients


@pytest.mark.few(10)
@pytest.mark.parametrize("sizes", [(4, 3, 2), (6, 20, 10), (7, 1, 4)], ids=str)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_every_size(name, sizes):
    activation, slope, said = MISTAKES[name]
    p, loss, gradients = problem(sizes, activation, slope)
    report = cr.check_function(loss, p, gradients, directions=1, entries=4)
    assert report.verdict.splitlines()[1:] == [f"  dW0; db0: {report.parameters[0].hint}."]
    assert said.format(b="b0") in report.parameters[0].hint, report


@pytest.mark.few(2)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_several_layers_is_one_of_the_last(name):
    activation, slope, said = MISTAKES[name]
    p, loss, gradients = problem((4, 5, 4, 3), activation, slope)
    report = cr.check_function(loss, p, gradients)
    assert said.format(b="b1") in report.verdict, report
    assert "matches no known pattern" not in report.verdict


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [name for name in MISTAKES if "twice" not in name])
def test_a_mistake_is_named_in_float32_in_place(name):
    activation, slope, said = MISTAKES[name]
    p, loss, gradients = problem((6, 8, 4), activation, slope, dtype=np.float32)
    report = cr.check_function(lambda: loss(p), p, lambda: gradients(p))
    assert said.format(b="b0") in report.verdict, report
    assert "float32" in report.verdict


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
@pytest.mark.parametrize("sizes", [(4, 3), (5, 6, 3), (8, 20, 10)], ids=str)
def test_an_activation_in_front_of_softmax_is_named(sizes, kind):
    p, loss, gradients = problem(sizes, *RIGHT["tanh"], output=(RIGHT[kind][0], lambda z, h: 1.0))
    report = cr.check_function(loss, p, gradients)
    last = f"b{len(sizes) - 2}"
    assert (
        f"the derivative of the {kind} between {last} and the softmax is missing. Remove the {kind}" in report.verdict
    )
    assert "matches no known pattern" not in report.verdict
    assert cr.check_function(*_order(problem(sizes, *RIGHT["tanh"], output=RIGHT[kind])))


def _order(made):
    p, loss, gradients = made
    return loss, p, gradients


def test_columns_instead_of_rows_and_biases_of_one_column():
    p, loss, gradients = problem((5, 7, 3), *MISTAKES["σ′ of an activated value"][:2])

    def turned(q):
        return {name: w.T if w.shape[1] > 1 else w[:, 0] for name, w in q.items()}

    columns = {name: w.T if w.ndim == 2 else w[:, None] for name, w in p.items()}
    report = cr.check_function(
        lambda q: loss(turned(q)),
        columns,
        lambda q: {name: g.T if g.ndim == 2 else g[:, None] for name, g in gradients(turned(q)).items()},
    )
    assert "dW0; db0: the derivative of the sigmoid after b0 is evaluated at its output" in report.verdict


def test_logistic_regression_with_one_number_as_its_bias():
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(9, 3)), rng.integers(0, 2, 9)

    def loss(w, b):
        return np.mean((sigmoid(X @ w + b) - t) ** 2) / 2

    def gradients(w, b):
        d = (sigmoid(X @ w + b) - t) / 9  # times σ′
        return [X.T @ d, d.sum()]

    verdict = cr.check_function(loss, [rng.normal(size=3), 0.1], gradients).verdict
    assert "dw; db: the derivative of the sigmoid after b is missing" in verdict


# ---------------------------------------------------------------- nothing is claimed where it is right


@pytest.mark.few(2)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_called_right_and_another_mistake_is_not_an_activation(name, seed):
    sizes = tuple(np.random.default_rng(seed).integers(2, 7, 2 + seed))
    p, loss, gradients = problem(sizes, *RIGHT[name], seed=seed)
    assert cr.check_function(loss, p, gradients)
    noise = {key: np.random.default_rng(seed).normal(size=w.shape) for key, w in p.items()}
    for wrong in (
        lambda q: {key: g + 0.1 * noise[key] for key, g in gradients(q).items()},
        lambda q: {key: g * noise[key] for key, g in gradients(q).items()},
    ):
        report = cr.check_function(loss, p, wrong, directions=1, entries=3)
        assert not report
        assert not any(law in report.verdict for law in LAWS), report


@pytest.mark.slow
@pytest.mark.parametrize("layer", [cls for cls in vars(cr.layers).values() if isinstance(cls, type) and issubclass(cls, Activation) and cls is not Activation], ids=lambda cls: cls.__name__)  # fmt: skip
def test_no_shipped_activation_is_accused(layer):
    network = cr.Network(4, [Dense(3), layer(), Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(8, 4)), np.arange(8) % 2
    arrays = {e.key: view for e, view in network.arrays()}
    noise = rng.normal(size=network.theta.shape)

    def loss():
        return network.loss_and_grad(X, t)[0]

    def gradients(off):
        grad = network.loss_and_grad(X, t)[1] + off * noise
        return {e.key: grad[e.where].reshape(e.shape) for e in network.layout.entries}

    assert cr.check_function(loss, arrays, lambda: gradients(0.0), directions=1, entries=3)
    report = cr.check_function(loss, arrays, lambda: gradients(0.01), directions=1, entries=3)
    assert not report
    assert not any(law in report.verdict for law in LAWS), report


def test_without_a_function_for_the_gradients_nothing_is_claimed():
    p, loss, gradients = problem((4, 6, 3), *MISTAKES["no σ′"][:2])
    assert "matches no known pattern" in cr.check_function(loss, p, gradients(p)).verdict


def test_the_inputs_of_the_laws_tell_them_apart():
    """No two mistakes have nearly the same factors, and none is nearly right."""
    z = activation_laws.INPUTS
    factors = [ratio for _, ratio in activation_laws._mistakes("b", z, is_softmax=False)]
    factors.append(np.ones_like(z))
    for i, a in enumerate(factors):
        for b in factors[:i]:
            assert np.abs(a / b - 1).max() > 5 * activation_laws.COARSE_CLOSE
