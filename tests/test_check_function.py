"""check_function: the gradient of a loss in plain NumPy, in all the forms that tutorials have, and what is wrong in words."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.gradient_check.calls import how

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))
P = {
    "W1": RNG.normal(size=(3, 4)),
    "b1": RNG.normal(size=(1, 4)),
    "W2": RNG.normal(size=(4, 2)),
    "b2": np.zeros((1, 2)),
}


def forward(p):
    hidden = np.tanh(X @ p["W1"] + p["b1"])
    return hidden, hidden @ p["W2"] + p["b2"]


def loss(p):
    return np.mean(((forward(p)[1] - Y) ** 2).sum(axis=1)) / 2


def backward(p):
    hidden, out = forward(p)
    d = (out - Y) / len(X)
    dz = d @ p["W2"].T * (1 - hidden**2)
    gradients = {"dW2": hidden.T @ d, "db2": d.sum(axis=0, keepdims=True)}
    return gradients | {"dW1": X.T @ dz, "db1": dz.sum(axis=0, keepdims=True), "dA1": hidden}


def unpacked(W1, b1, W2, b2, scale=1.0):
    return scale * loss({"W1": W1, "b1": b1, "W2": W2, "b2": b2})


def listed(g):
    return [g[f"d{name}"] for name in P]


LAYERS = [{"W": P["W1"], "b": P["b1"]}, {"W": P["W2"], "b": P["b2"]}]


def nested(layers):
    return loss({f"{name}{i}": layer[name] for i, layer in enumerate(layers, 1) for name in "Wb"})


class Model:
    """A network as a class, whose forward remembers for its backward, as most are written."""

    def __init__(self):
        self.params = {name: w.copy() for name, w in P.items()}

    def forward(self):
        self.seen = dict(self.params)
        return loss(self.params)

    def backward(self):
        return backward(self.seen)


MODEL = Model()
ARRAYS = [w.copy() for w in P.values()]
FORMS = {
    "a dict and a dict": (loss, P, backward(P)),
    "a dict and a function": (loss, P, backward),
    "a dict by the names of arguments": (unpacked, P, backward(P)),
    "a list": (unpacked, list(P.values()), listed(backward(P))),
    "a list and a dict": (unpacked, list(P.values()), backward(P)),
    "a list that the loss takes whole": (lambda ws: unpacked(*ws), list(P.values()), listed(backward(P))),
    "any number of arguments": (lambda *ws: loss(dict(zip(P, ws, strict=True))), list(P.values()), lambda *ws: listed(backward(dict(zip(P, ws, strict=True))))),
    "no arguments, arrays in place": (lambda: unpacked(*ARRAYS), ARRAYS, listed(backward(P))),
    "a model that remembers": (MODEL.forward, MODEL.params, MODEL.backward),
    "layers of dicts": (nested, LAYERS, [{"dW": backward(P)["dW1"], "db": backward(P)["db1"]}, {"dW": backward(P)["dW2"], "db": backward(P)["db2"]}]),
    "a loss with its gradient": (lambda p: (loss(p), backward(p)), P, None),
    "a loss with a cache": (lambda p: (loss(p), "cache"), P, backward),
    "other names": (loss, P, {f"grad_{name}": backward(P)[f"d{name}"] for name in P}),
    "the same names": (loss, P, {name: backward(P)[f"d{name}"] for name in P}),
    "one vector of all": (loss, P, np.concatenate([g.ravel() for g in listed(backward(P))])),
    "one array": (lambda w: w @ w, np.arange(3.0), 2 * np.arange(3.0)),
    "plain numbers": (lambda w, b: (3 * w + b - 1) ** 2, {"w": 0.5, "b": 0.1}, {"dw": 6 * 0.6, "db": 2 * 0.6}),
    "float32 that the loss is given": (loss, {k: w.astype(np.float32) for k, w in P.items()}, backward),
}  # fmt: skip


@pytest.mark.few(6)
@pytest.mark.parametrize("form", FORMS)
def test_whatever_form_a_learner_has_it_in(form):
    report = cr.check_function(*FORMS[form])
    assert report, str(report)
    assert report.error < 1e-6
    assert abs(report.order - 2) < 0.1
    assert "The gradient is correct: largest relative error" in report.verdict


def test_the_table_names_the_arrays():
    text = str(cr.check_function(loss, P, backward))
    assert text.splitlines()[0].split() == ["parameter", "shape", "numeric", "analytic", "error", "order"]
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["dW1", "db1", "dW2", "db2"]
    names = [p.name for p in cr.check_function(*FORMS["layers of dicts"]).parameters]
    assert names == ["[0].W", "[0].b", "[1].W", "[1].b"]


def changed(name, change):
    return backward(P) | {name: change(backward(P)[name])}


@pytest.mark.parametrize(
    ("gradients", "said"),
    [
        (changed("dW1", lambda g: 20 * g), "dW1: the analytic gradient is 20 times the numeric one: if the batch has 20 rows, summed over them"),
        (changed("dW1", lambda g: g / 20), "if the batch has 20 rows, divided by them one time too many"),
        (changed("dW2", lambda g: -g), "dW2: the analytic gradient is -1 times the numeric one: the sign is flipped"),
        (changed("db1", lambda g: np.full_like(g, g.sum())), "db1: every entry is the sum over all of dy"),
        (changed("dW1", lambda g: g - 0.3 * P["W1"]), "-0.3 · W: a penalty's gradient is missing, or only part of it is present"),
        (changed("dW2", np.zeros_like), "dW2: the analytic gradient is zero: is it written?"),
        (changed("dW2", lambda g: g * np.nan), "dW2: the analytic gradient is not finite"),
        (changed("dW1", lambda g: np.where(np.arange(4) == 2, 0, g)), "dW1: the difference matches no known pattern"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_found_and_named(gradients, said):
    report = cr.check_function(loss, P, gradients)
    assert not report
    assert said in report.verdict, report.verdict
    assert sum(bool(p.hint) for p in report.parameters) == 1


def test_square_weights_transposed():
    w, a = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))
    report = cr.check_function(lambda p: float((a * p["W"] ** 2).sum()), {"W": w}, {"dW": (2 * a * w).T})
    assert "dW: it is the transpose of the correct gradient" in report.verdict


# ---------------------------------------------------------------- what is left behind


def test_everything_is_as_it_was_also_after_an_error():
    model, calls = Model(), []
    before = {name: (w, w.copy()) for name, w in model.params.items()}
    np.random.seed(3)  # noqa: NPY002
    drawn = np.random.get_state()[1].copy()  # noqa: NPY002

    def breaks():
        calls.append(1)
        np.random.random(5)  # noqa: NPY002
        if len(calls) > 40:
            raise KeyboardInterrupt
        return model.forward()

    with pytest.raises(KeyboardInterrupt):
        cr.check_function(breaks, model.params, model.backward)
    cr.check_function(model.forward, model.params, model.backward)
    for name, (array, values) in before.items():
        assert model.params[name] is array
        np.testing.assert_array_equal(array, values)
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)  # noqa: NPY002


def test_a_loss_that_takes_a_step_does_no_harm():
    w = np.ones(3)

    def steps(v):
        value = float(v @ v)
        v *= 0.5
        w[:] = 7
        return value

    assert cr.check_function(steps, w, 2 * np.ones(3))
    np.testing.assert_array_equal(w, 1)


def test_dropout_from_the_global_generator_is_no_trouble_and_another_one_is_recognized():
    def masked(p):
        return loss(p) * np.random.random()  # noqa: NPY002

    np.random.seed(0)  # noqa: NPY002
    factor = np.random.RandomState(0).random()
    scaled = {name: factor * g for name, g in backward(P).items()}
    assert cr.check_function(masked, P, scaled)
    own = np.random.default_rng(0)
    report = cr.check_function(lambda p: loss(p) + 0.1 * own.random(), P, backward)
    assert not report
    assert len(report.unchecked) == 1
    assert report.verdict.startswith("The gradient cannot be checked:\n  the loss gives ")
    assert "for the same parameters: it is random or has state" in report.verdict


# ---------------------------------------------------------------- float32, kinks, what is not there yet


def test_float32_in_place_is_checked_as_well_as_it_can_be_and_the_verdict_says_so():
    small = {name: w.astype(np.float32) for name, w in P.items()}
    right = cr.check_function(lambda: loss(small), small, backward(small))
    assert right, str(right)
    assert (
        "Note: L is computed in float32, where differences are coarse: only errors above 1% are detected"
        in right.verdict
    )
    wrong = cr.check_function(lambda: loss(small), small, backward(small) | {"dW1": 1.1 * backward(small)["dW1"]})
    assert "dW1: the analytic gradient is 1.1 times the numeric one." in wrong.verdict
    assert all(w.dtype == np.float32 for w in small.values())
    inside = cr.check_function(lambda p: np.float32(loss(p)), P, backward)
    assert inside
    assert "float32" in inside.verdict


def test_kinks_are_recognized_with_and_without_a_gradient_elsewhere():
    w = np.array([0.0, 1.0, -2.0])
    for gradients in (np.array([0.5, 1, -1]), lambda w: np.where(w == 0, 0.5, np.sign(w))):
        report = cr.check_function(lambda w: float(np.abs(w).sum()), w, gradients)
        assert report, str(report)
        assert report.parameters[0].kinks == 1
    assert not cr.check_function(lambda w: float(np.abs(w).sum()), w, np.array([1.5, 1, -1]))


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_where_all_lies_on_kinks_nothing_was_checked(slope):
    report = cr.check_function(lambda w: float(np.abs(w).sum()), np.zeros(4), np.full(4, slope))
    assert not report
    assert "is correct" not in report.verdict
    assert report.verdict.startswith("Nothing was checked: all sampled entries lie on a kink")
    assert report.unchecked


def test_what_is_not_implemented_yet():
    def later(p):
        raise NotImplementedError

    report = cr.check_function(loss, P, later)
    assert not report
    assert "is not implemented yet" in report.verdict


def test_a_loss_of_other_arrays_is_told_so():
    for given, what in ((lambda p: loss(P), "the arrays passed to it"), (lambda: loss(P), "not copies")):
        copies = {name: w.copy() for name, w in P.items()}
        verdict = cr.check_function(given, copies, backward(P)).verdict
        assert "L does not change with any parameter: the loss must compute with" in verdict
        assert what in verdict


# ---------------------------------------------------------------- bad input


READ_ONLY = np.ones(2)
READ_ONLY.flags.writeable = False
SAME = np.ones(2)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((loss, {"W1": np.ones((3, 4), int)}, None), TypeError, r"W1 holds integers \(int64\).*W1 = W1.astype\(float\)"),
        ((loss, {"b": 0}, None), TypeError, r"b holds integers.*b = 0\.0\."),
        ((loss, {"W": "x"}, None), TypeError, "W: expected an array of floats, got str"),
        ((loss, {"W": np.ones(2) * 1j}, None), TypeError, "W: expected an array of floats"),
        ((loss, {"W": np.array([1.0, np.nan])}, None), ValueError, "W contains NaN or infinity"),
        ((loss, {"W": np.ones((0, 2))}, None), ValueError, "W is empty"),
        ((loss, {}, None), ValueError, "expected at least one array, got none"),
        ((lambda a, b, c: 0, P, None), TypeError, r"loss takes 3 arguments \(a, b, c\), but there are 4 parameters"),
        ((loss, P, None), TypeError, "third argument, or from the loss: return L, gradients"),
        ((loss, P, lambda p: None), ValueError, "gradients: got None: is the return missing"),
        ((loss, P, backward(P) | {"dW1": 1}), ValueError, r"that of W1 has shape \(\), but W1 has shape \(3, 4\): sum over the rows"),
        ((loss, P, {"dW2": 1}), ValueError, "expected one for W1, under dW1 or W1; got dW2"),
        ((loss, P, changed("dW1", np.transpose)), ValueError, r"shape \(4, 3\), but W1 has shape \(3, 4\): it is transposed"),
        ((loss, P, backward(P) | {"dW1": "x"}), TypeError, "that of W1: expected numbers, got 'x'"),
        ((lambda p: None, P, backward), TypeError, "the loss returns None: is the return missing"),
        ((lambda p: np.ones(3), P, backward), ValueError, r"array of shape \(3,\): expected one number, its mean or its sum"),
        ((lambda p: np.inf, P, backward), ValueError, "the loss is inf at these parameters"),
        ((lambda p: p["V"], P, backward), ValueError, "the loss cannot be computed: loss raises KeyError: 'V'"),
        ((loss, P, lambda p: p["V"]), ValueError, "the gradients cannot be computed: gradients raises KeyError"),
        ((lambda: 0.0, {"b": 0.5}, {"b": 0.0}), TypeError, "b is a plain number, so a loss without arguments"),
        ((lambda: 0.0, [READ_ONLY], [READ_ONLY]), ValueError, "is read-only, but a loss without arguments"),
        ((loss, [SAME, SAME], None), ValueError, "share memory: give the array once"),
    ],
)  # fmt: skip
def test_bad_input_is_said_in_a_sentence(arguments, error, match):
    with pytest.raises(error, match=match) as caught:
        cr.check_function(*arguments)
    assert str(caught.value)[-1] in ".?"
    assert "\n" not in str(caught.value)


def test_read_only_arrays_are_fine_where_the_loss_takes_them():
    assert cr.check_function(lambda w: float(w @ w), READ_ONLY, 2 * READ_ONLY)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="loss: expected a function that computes it, got int"):
        how(3, "loss", P)


def test_bad_options():
    for options, match in (
        ({"entries": 0}, "entries"),
        ({"directions": 0}, "directions"),
        ({"tolerance": 0}, "tolerance"),
    ):
        with pytest.raises(ValueError, match=match):
            cr.check_function(loss, P, backward, **options)
