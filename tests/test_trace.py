"""Worked examples: the numbers that are printed, the equations, and the three renderings."""

import inspect
import io
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
import variants
from chainrule import initializers, layers, losses, optimizers
from chainrule._internal.names import public_classes
from chainrule.cli.app import app
from chainrule.layers import Dense, Dropout, Layer, ReLU, Tanh
from chainrule.losses import Loss
from chainrule.optimizers import Optimizer
from chainrule.pages.arrays import NumberFormat, table
from chainrule.pages.blocks import Matrix
from chainrule.pages.formatting import SUPERSCRIPT
from chainrule.pages.formula import latex, mathml
from chainrule.parameters import Parameter
from chainrule.tracing import EQUATIONS, Equations
from chainrule.tracing.equations import equations_of, lines
from pages import Page, check_alone
from variants import takes

ROOT = Path(__file__).parents[1]
DIGIT = {v: k for k, v in SUPERSCRIPT.items()}
HEAD = re.compile(r"  (\S+(?: after| of \w+)?) \(([\d, ]+)\)(?:  (.*))?$")


def make(cls):
    return variants.layers_of(cls)[0]


def around(name, loss="squared_error", dtype="float32"):
    """Return a network of two outputs that begins with a layer, and a function that makes rows for it."""
    layer = make(getattr(layers, name))
    images = name in {"Flatten", "Reshape"} or not takes(layer, (3,))
    shape = (3, 3, 1) if images else (3,)
    network = cr.Network(shape, [layer, layers.Flatten(), Dense(2)], loss, seed=0, dtype=dtype)
    categories = network.layers[0].integer_columns()

    def rows(count):
        if categories:
            return np.random.default_rng(count).integers(0, 2, (count, 3))
        if images:
            return np.random.default_rng(count).normal(size=(count, 3, 3, 1))
        return np.array([[0.75, -0.5, 0.25], [0.5, 1.0, -2.0], [1.5, 0.5, -0.5]])[:count]

    return network, rows


def small(loss="softmax_cross_entropy", outputs=2, dtype="float32"):
    return cr.Network(2, [Dense(3), Tanh(), Dense(outputs)], loss, seed=1, dtype=dtype)


def tables(text):
    """Return every array that a text prints whole, by phase, layer and name, read back from its digits."""
    found, phase, layer, name, unit, rows = {}, "", "", "", 1.0, []

    def keep():
        if name and rows:
            found[phase, layer, name] = np.array(rows) * unit

    for line in text.splitlines():
        head = HEAD.match(line)
        cells = line.replace("…", "nan").split()
        if re.match(r" [A-Z ]+:", line):
            phase = line.split()[0].rstrip(":")
        elif re.match(r"(Layer \d+|Loss) ", line):
            layer = " ".join(line.split()[: 2 if line.startswith("Layer") else 1])
        elif head:
            keep()
            name, rows = head[1], []
            power = re.search(r"values × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", head[3] or "")
            unit = 10.0 ** int(power[1].translate(DIGIT)) if power else 1.0
            shape = tuple(int(n) for n in head[2].replace(",", " ").split())
            skip, label = int(np.prod(shape)) > 1, len(shape) == 2 and shape[0] > 1
        elif line.startswith("    ") and name and re.fullmatch(r"[-\d.e ]+", line.replace("…", "")):
            if skip:
                skip = False
            else:
                rows.append([float(v) for v in cells[label:]])
        else:
            keep()
            name = ""
    keep()
    return found


class TestNumbers:
    def test_the_printed_numbers_are_those_of_plain_numpy(self):
        """Every array of the text of a small network, on a batch of two, computed here again."""
        network = small(dtype="float64")
        x, t, rate = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([1, 0]), 0.05
        W0, b0, W2, b2 = network.layers[0].W, network.layers[0].b, network.layers[2].W, network.layers[2].b
        b0[:], b2[:] = [0.1, -0.2, 0.3], [0.0, 0.00125]
        z = x @ W0 + b0
        a = np.tanh(z)
        y = a @ W2 + b2
        p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        ell = -np.log(p[[0, 1], t])
        dy = (p - np.eye(2)[t]) / 2
        dW2, db2, da = a.T @ dy, dy.sum(axis=0), dy @ W2.T
        dz = da * (1 - a**2)
        dW0, db0, dx = x.T @ dz, dz.sum(axis=0), dz @ W0.T
        expected = {
            ("FORWARD", "Layer 0", "x"): x, ("FORWARD", "Layer 0", "W"): W0, ("FORWARD", "Layer 0", "b"): b0,
            ("FORWARD", "Layer 0", "y"): z, ("FORWARD", "Layer 1", "y"): a, ("FORWARD", "Layer 2", "W"): W2,
            ("FORWARD", "Layer 2", "b"): b2, ("FORWARD", "Layer 2", "y"): y, ("THE", "Loss", "t"): t,
            ("THE", "Loss", "p"): p, ("THE", "Loss", "ℓ"): ell, ("THE", "Loss", "dy"): dy,
            ("BACKWARD", "Layer 2", "dW"): dW2, ("BACKWARD", "Layer 2", "db"): db2, ("BACKWARD", "Layer 2", "dx"): da,
            ("BACKWARD", "Layer 1", "dx"): dz, ("BACKWARD", "Layer 0", "dW"): dW0, ("BACKWARD", "Layer 0", "db"): db0,
            ("BACKWARD", "Layer 0", "dx"): dx,
            ("THE", "Layer 0", "W after"): W0 - rate * dW0, ("THE", "Layer 0", "b after"): b0 - rate * db0,
            ("THE", "Layer 2", "W after"): W2 - rate * dW2, ("THE", "Layer 2", "b after"): b2 - rate * db2,
        }  # fmt: skip
        trace = cr.trace(network, x, t, optimizer=optimizers.SGD(rate))
        printed = tables(trace.text(digits=6))
        assert printed.keys() == expected.keys()
        for key, values in expected.items():
            shown = printed[key].reshape(values.shape)
            np.testing.assert_allclose(shown, values, atol=1e-5 * np.abs(values).max(), err_msg=str(key))
        assert f"L = {ell.mean():.6g} before the step" in trace.text()

    def test_the_digits_model(self):
        """What the text shows of a larger network, its first and last entries, is what NumPy computes."""
        data = cr.datasets.load_digits()
        network = cr.Network(64, [Dense(40), ReLU(), Dense(10)], "softmax_cross_entropy", seed=0)
        cr.train(network, data.X, data.t, optimizer="adam", epochs=3, seed=0)
        trace = cr.trace(network, data.X[3], data.t[3], classes=data.classes, image_shape=data.image_shape)
        x, first, last = data.X[3:4].astype("float64"), network.layers[0], network.layers[2]
        z = x @ first.W + first.b
        a = np.maximum(z, 0)
        y = a @ last.W + last.b
        p = np.exp(y) / np.exp(y).sum()
        dy = p - np.eye(10)[[data.t[3]]]
        dW = x.T @ ((dy @ last.W.T) * (z > 0))
        printed = tables(trace.text(width=200))
        for key, values in {
            ("FORWARD", "Layer 0", "y"): z, ("FORWARD", "Layer 1", "y"): a, ("FORWARD", "Layer 2", "y"): y,
            ("THE", "Loss", "p"): p, ("THE", "Loss", "dy"): dy, ("BACKWARD", "Layer 2", "dW"): a.T @ dy,
            ("BACKWARD", "Layer 0", "dW"): dW,
        }.items():  # fmt: skip
            shown, size = printed[key], np.abs(values).max()
            assert abs(shown[0, 0] - values[0, 0]) <= 1e-3 * size, key
            assert abs(shown[-1, -1] - values[-1, -1]) <= 1e-3 * size, key
            assert shown.size == values.size or np.isnan(shown).any(), key
        assert trace.outcome(0) == f"true: 3, predicted: {y.argmax()} with {p.max():.3f}"
        assert all(check.ok and check.relative < 1e-6 for check in trace.checks)

    def test_the_arrays_are_those_of_the_pass(self):
        network = small()
        x, t = np.array([[0.5, -1.0]], "float32"), np.array([1])
        workspace = network.workspace(1, training=False)
        value, grad = network.loss_and_grad(x, t, workspace)
        trace = cr.trace(network, x, t)
        assert trace.value == value
        by_phase = {(step.phase, step.layer): step for step in trace.steps}
        for i, memo in enumerate(workspace.memos):
            np.testing.assert_array_equal(by_phase["forward", i]["y"], memo.y)
            for name in ("dW", "db") if i != 1 else ():
                np.testing.assert_array_equal(by_phase["backward", i][name], getattr(memo, name))
        after = network.theta - np.float32(0.1) * grad
        np.testing.assert_array_equal(by_phase["update", 0]["W after"], after[:6].reshape(2, 3))

    def test_the_network_is_not_changed(self):
        network = small()
        before = network.theta.copy(), [dict(vars(layer)) for layer in network.layers]
        cr.trace(network, [0.5, -1.0], 1)
        np.testing.assert_array_equal(network.theta, before[0])
        assert [vars(layer).keys() for layer in network.layers] == [state.keys() for state in before[1]]

    def test_the_loss_after_the_step(self):
        network = small()
        trace = cr.trace(network, [0.5, -1.0], 1, optimizer=optimizers.SGD(0.5))
        network.theta -= 0.5 * network.loss_and_grad([[0.5, -1.0]], [1])[1]
        assert trace.value_after == network.loss_and_grad([[0.5, -1.0]], [1])[0] < trace.value

    def test_sample_weights(self):
        network, x, t = small(dtype="float64"), [[0.5, -1.0], [1.0, 1.0]], [1, 0]
        trace = cr.trace(network, x, t, sample_weight=[3.0, 1.0])
        assert trace.value == network.loss_and_grad(x, t, sample_weight=[3.0, 1.0])[0]
        loss = next(step for step in trace.steps if step.phase == "loss")
        r, k = loss.checks[0].at
        dy = (loss["p"][r, k] - (t[r] == k)) * [3, 1][r] / 4
        assert loss["dy"][r, k] == pytest.approx(dy)
        assert float(loss.worked[-1].rpartition("= ")[2].replace("−", "-")) == pytest.approx(dy, rel=1e-3)
        assert all(check.ok for check in trace.checks)

    @pytest.mark.few(15)
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("name", public_classes(layers, Layer))
    def test_worked_entries_are_right(self, name, training):
        """The arithmetic that stands in a line gives the number at its end."""
        network, rows = around(name, dtype="float64")
        trace = cr.trace(network, rows(1), [[0.5, 2.0]], training=training, seed=3)
        nothing = UNWORKED if training else {*UNWORKED, "Dropout", "Dropout2D", "GaussianNoise"}
        assert any(step.worked for step in trace.steps if step.layer == 0) != (name in nothing)
        short = [(step, line) for step in trace.steps for line in step.worked if "…" not in line]
        for step, line in short:
            expression, _, result = re.split(" [=←] ", line, maxsplit=1)[1].rpartition(" = ")
            scope = {"σ": lambda v: 1 / (1 + np.exp(-v)), "tanh": np.tanh, "log": np.log, "e": np.e, "max": max}
            scope["min"] = min
            scope |= {
                symbol: lambda *i, a=step[symbol]: a[i] for symbol in ("x", "dy", "W") if symbol + "[" in expression
            }
            code = expression.replace("−", "-").replace("·", "*").replace("²", "**2").replace("^", "**")
            code = re.sub(r"\[(.*?)\]", r"(\1)", code)
            value = eval(code, scope)
            assert value == pytest.approx(float(result.replace("−", "-")), rel=5e-3, abs=1e-3), line

    def test_a_convolution_by_hand(self):
        """Every array of the page of a small convolutional network, by loops."""
        layer = layers.Conv2D(2, (2, 3), stride=(1, 2), padding=1, groups=2)
        network = cr.Network((4, 4, 2), [layer, layers.Flatten(), Dense(2)], "softmax_cross_entropy", seed=0)
        x = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("float32")
        trace = cr.trace(network, x, [1, 0])
        forward, backward = trace.steps[0], next(s for s in trace.steps if s.phase == "backward" and s.layer == 0)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        place = next(array for array in forward.arrays if array.name == "y").entry
        n, r, q, f = place
        window = padded[n, r : r + 2, 2 * q : 2 * q + 3, f : f + 1]
        np.testing.assert_array_equal(forward[f"c of y{list(place)}"], window)
        y = (window * network.layers[0].W[..., f]).sum() + network.layers[0].b[f]
        assert forward["y"][place] == pytest.approx(y, rel=1e-5)
        assert float(forward.worked[0].rpartition("= ")[2].replace("−", "-")) == pytest.approx(y, rel=1e-3)
        i, j, k, f = backward.checks[0].at
        dy = backward["dy"]
        terms = [padded[n, r + i, 2 * q + j, f] * dy[n, r, q, f] for n in range(2) for r in range(5) for q in range(2)]
        assert backward["dW"][i, j, k, f] == pytest.approx(sum(terms), rel=1e-4)
        marked = next(array for array in forward.arrays if array.name == "x")
        n, r, q, _ = place
        assert padded[n, r + i, 2 * q + j, f] == (marked.values[marked.entry] if marked.entry else 0)

    @pytest.mark.parametrize("kind", ["MaxPool2D", "AveragePool2D"])
    def test_a_pixel_in_several_windows(self, kind):
        layer = getattr(layers, kind)(2, 1, "same")
        network = cr.Network((3, 3, 1), [layer, layers.Flatten(), Dense(2)], "softmax_cross_entropy", seed=2)
        x = np.zeros((1, 3, 3, 1))
        x[0, 1, 1, 0] = 5
        trace = cr.trace(network, x, [1])
        step = next(s for s in trace.steps if s.phase == "backward" and s.layer == 0)
        n, h, w, k = step.checks[0].at
        dy = step["dy"][0, :, :, 0]
        (said,) = step.worked
        assert float(said.rpartition("= ")[2].replace("−", "-")) == pytest.approx(step["dx"][n, h, w, k], rel=1e-3)
        if kind == "MaxPool2D":
            assert (h, w) == (1, 1)
            assert step["dx"][0, 1, 1, 0] == pytest.approx(dy[:2, :2].sum(), rel=1e-5)
            assert said.count("+") == 3

    def test_statistics_in_prediction_and_in_training(self):
        network = cr.Network(2, [layers.BatchNorm(0.75), Dense(2)], "softmax_cross_entropy", seed=0, dtype="float64")
        network.statistics[:] = [1.0, 2.0, 3.0, 4.0]
        x = np.array([[0.5, -1.0], [2.5, 0.0], [0.0, 4.0]])
        for training in (False, True):
            trace = cr.trace(network, x, [0, 1, 1], training=training)
            step = trace.steps[0]
            mean, var = (x.mean(axis=0), x.var(axis=0)) if training else ([1.0, 2.0], [3.0, 4.0])
            names = ("μ", "σ²") if training else ("running_mean", "running_var")
            np.testing.assert_allclose(step[names[0]], mean)
            np.testing.assert_allclose(step[names[1]], var)
            np.testing.assert_allclose(step["y"], (x - mean) / np.sqrt(np.array(var) + 1e-5))
            update = next(s for s in trace.steps if s.phase == "update" and s.layer == 0)
            if training:
                np.testing.assert_allclose(
                    update["running_mean after"], 0.75 * np.array([1, 2]) + 0.25 * x.mean(axis=0)
                )
                np.testing.assert_allclose(
                    update["running_var after"], 0.75 * np.array([3, 4]) + 0.25 * x.var(axis=0, ddof=1)
                )
                assert update.symbols == {"η": 0.1, "k": 0.75}
            else:
                assert "running_mean after" not in [array.name for array in update.arrays]
        np.testing.assert_array_equal(network.statistics, [1, 2, 3, 4])
        trace = cr.trace(network, x[0], 0, training=True)  # one sample has no variance
        update = next(s for s in trace.steps if s.phase == "update" and s.layer == 0)
        assert "running_mean after" not in [array.name for array in update.arrays]
        assert "running" not in " ".join(update.worked)

    def test_layers_inside_of_a_residual_have_steps_of_their_own(self):
        block = layers.Residual([Dense(3), layers.Residual([layers.BatchNorm(), Tanh()])])
        network = cr.Network(2, [Dense(3), block, Dense(2)], "softmax_cross_entropy", seed=0)
        x, t = np.array([[0.5, -1.0], [1.0, 2.0]], "float32"), np.array([0, 1])
        trace = cr.trace(network, x, t, training=True)
        workspace = network.workspace(2)
        network.loss_and_grad(x, t, workspace)
        forward = [step.layer for step in trace.steps if step.phase == "forward"]
        backward = [step.layer for step in trace.steps if step.phase == "backward"]
        assert forward == [0, "1.0", "1.1.0", "1.1.1", "1.1", 1, 2]
        assert backward == [2, "1.1.1", "1.1.0", "1.1", "1.0", 1, 0]
        assert [step.layer for step in trace.steps if step.phase == "update"] == [0, "1.0", "1.1.0", 2]
        by_place = {(step.phase, step.layer): step for step in trace.steps}
        inner = workspace.memos[1].inner
        np.testing.assert_array_equal(by_place["backward", "1.0"]["dW"], inner[0].dW)
        np.testing.assert_array_equal(by_place["backward", "1.1.0"]["dγ"], inner[1].inner[0].dgamma)
        np.testing.assert_array_equal(by_place["forward", 1]["y"], workspace.memos[1].y)
        origins = (
            {a.name: a.origin for a in by_place["forward", "1.0"].arrays},
            by_place["backward", "1.1.1"].arrays[0].origin,
        )
        assert origins[0]["x"] == "y of layer 0"
        assert origins[1] == "dx of layer 2"
        assert all(check.ok for check in trace.checks)
        assert by_place["forward", 1].title == "Residual around layers 1.0 to 1.1"


OF_TRAINING = {"rate", "deviation"}  # in no equation of prediction
UNWORKED = {"ELU", "Identity", "LeakyReLU", "SELU", "Softmax"}  # with cases, sums over all features, or nothing to do


class TestChecks:
    @pytest.mark.few(8)
    @pytest.mark.parametrize("name", public_classes(layers, Layer))
    def test_every_layer_has_a_checked_entry(self, name):
        network, rows = around(name)
        trace = cr.trace(network, rows(3), np.ones((3, 2)), training=True)
        for step in trace.steps:
            if step.phase in ("backward", "loss"):
                assert step.checks
                assert all(check.ok for check in step.checks), step.checks
        quotients = [check.quotient for check in trace.checks]
        assert all(re.fullmatch(r"\(L\((.*) \+ h\) − L\(\1 − h\)\) / 2h", quotient) for quotient in quotients)

    @pytest.mark.few(8)
    @pytest.mark.parametrize("name", public_classes(layers, Layer))
    def test_the_entries_that_are_asked_for_are_worked_out_and_checked(self, name):
        network, rows = around(name)
        usual = cr.trace(network, rows(3), np.ones((3, 2)))
        first = next(step for step in usual.steps if (step.phase, step.layer) == ("backward", 0))
        gradients = {check.gradient for check in first.checks}
        if not network.layers[0].integer_columns():
            gradients.add("dx")
        last = {name: tuple(n - 1 for n in first[name].shape) for name in gradients}
        trace = cr.trace(network, rows(3), np.ones((3, 2)), entries={0: last, "loss": {"dy": (2, 0)}})
        (loss,) = (step for step in trace.steps if step.phase == "loss")
        assert [check.entry for check in loss.checks] == ["dy[2, 0]"]
        step = next(step for step in trace.steps if (step.phase, step.layer) == ("backward", 0))
        assert {check.gradient: check.at for check in step.checks} == last
        for check in step.checks:
            assert check.ok or check.kink
            np.testing.assert_allclose(check.analytic, step[check.gradient][check.at], rtol=1e-3, atol=1e-6)

    def test_a_wrong_gradient_is_seen(self):
        class Wrong(Layer):
            def forward(self, x, memo):
                memo.x = x
                return x * x

            def backward(self, dy, memo):
                return dy * memo.x

        network = cr.Network(2, [Dense(3), Wrong(), Dense(1)], "squared_error", seed=0)
        trace = cr.trace(network, [1.0, 2.0], [1.0])
        wrong = {step.layer for step in trace.steps for check in step.checks if not check.ok}
        assert wrong == {0, 1}
        assert "THEY DIFFER" in str(trace)
        assert "THEY DIFFER" in trace.html()
        assert "THEY DIFFER" in trace.markdown()

    def test_a_gradient_that_is_nothing_but_rounding(self):
        """BatchNorm takes away whatever b adds."""
        network = cr.Network(2, [Dense(2), layers.BatchNorm(), Tanh(), Dense(2)], "softmax_cross_entropy", seed=0)
        trace = cr.trace(network, np.random.default_rng(0).normal(size=(5, 2)), [0, 1, 0, 1, 1], training=True)
        check = next(check for check in trace.checks if check.gradient == "db" and abs(check.analytic) < 1e-10)
        assert check.ok
        assert check.nothing or check.analytic == check.numeric == 0
        assert "relative difference 1e+00" not in str(trace)

    def test_a_kink_is_no_mistake(self):
        network = cr.Network(1, [ReLU(), Dense(1)], "squared_error", seed=0)
        trace = cr.trace(network, [0.0], [1.0])
        check = next(check for check in trace.checks if check.gradient == "dx")
        assert check.kink
        assert not check.ok
        assert "no derivative" in check.verdict

    def test_the_check_uses_the_mask_that_is_shown(self):
        network = cr.Network(6, [Dropout(0.5), Dense(4), Dropout(0.5), Dense(2)], "softmax_cross_entropy", seed=0)
        trace = cr.trace(network, np.ones(6), 1, training=True, seed=5)
        assert set(np.unique(trace.steps[0]["m"])) == {0.0, 2.0}
        assert all(check.ok for check in trace.checks)
        shown = {(s.layer, a.name): a.values for s in trace.steps if s.phase == "backward" for a in s.arrays}
        for check in trace.checks[1:]:
            layer = next(s.layer for s in trace.steps if check in s.checks)
            assert shown[layer, check.gradient][check.at] == pytest.approx(check.analytic, rel=1e-5)


def check_latex(text):
    """Fail if LaTeX is not well-formed: Matplotlib sets the same subset, but for cases and words."""
    assert text.count("{") == text.count("}")
    assert not re.search(r"[^\x00-\x7f]", text)
    mathtext = pytest.importorskip("matplotlib.mathtext")
    text = re.sub(
        r"\\begin\{cases\} (.*?) & (.*?) \\\\ (.*?) & \\text\{otherwise\} \\end\{cases\}", r"\1 , \2 , \3", text
    )
    mathtext.MathTextParser("agg").parse(f"${re.sub(r'.text.([^}]*).', r'', text).strip()}$")


class TestEquations:
    @pytest.mark.parametrize(("module", "base"), [(layers, Layer), (losses, Loss), (optimizers, Optimizer)])
    def test_every_class_has_its_equations(self, module, base):
        """A new layer, loss or optimizer has an attribute ``equations``, or an entry in tracing/equations.py."""
        classes = public_classes(module, base).values()
        assert not [cls for cls in classes if cls not in EQUATIONS and not hasattr(cls, "equations")]

    @pytest.mark.few(16)
    @pytest.mark.parametrize(
        "thing",
        [
            *(make(cls) for cls in public_classes(layers, Layer).values()),
            layers.GELU("tanh"),
            *variants.every_loss(),
            *(case.optimizer for case in variants.OPTIMIZERS),
            optimizers.Adam(epsilon_hat=True),
        ],
        ids=repr,
    )
    def test_text_and_latex_are_there_and_can_be_set(self, thing):
        if isinstance(thing, Layer):
            thing = around(type(thing).__name__)[0].layers[0]
        for training in (False, True):
            found = equations_of(thing, training=training)
            assert found.forward
            assert found.backward or isinstance(thing, Optimizer)
            for equation in (*lines(found.forward), *lines(found.backward), *lines(found.after)):
                assert equation
                Page(mathml(equation))
                assert "<mo>?" not in mathml(equation)
                check_latex(latex(equation))
            for symbol, name in found.symbols.items():
                assert isinstance(getattr(thing, name), float), symbol
                assert symbol in found.forward + found.backward + found.after or symbol in OF_TRAINING

    @pytest.mark.parametrize("name", public_classes(optimizers, Optimizer))
    def test_every_optimizer_is_shown(self, name):
        network, optimizer = small(dtype="float64"), getattr(optimizers, name)()
        trace = cr.trace(network, [0.5, -1.0], 1, optimizer=optimizer)
        update = trace.steps[-1]
        assert {f"{slot} of W" for slot in optimizer.slots} <= {array.name for array in update.arrays}
        theta = network.theta.copy()
        expected = cr.Network(2, [Dense(3), Tanh(), Dense(2)], "softmax_cross_entropy", dtype="float64")
        expected.theta = theta
        grad = network.loss_and_grad([[0.5, -1.0]], [1])[1]
        optimizer.update(expected.theta, grad, optimizer.start(expected.theta, expected.weights))
        np.testing.assert_array_equal(update["W after"], expected.layers[2].W)
        for line in update.worked:
            assert "←" in line or line.startswith(("m̂ of ", "v̂ of "))

    def test_a_class_of_ones_own_has_generic_ones(self):
        class My_Layer(Layer):  # noqa: N801
            def forward(self, x, memo):
                return 2 * x

            def backward(self, dy, memo):
                return 2 * dy

        class MyLoss(Loss):
            def forward(self, y, t, memo):
                memo.error = y - t
                return (memo.error**2).sum(axis=1)

            def backward(self, t, memo):
                return 2 * memo.error

        class MyStep(Optimizer):
            learning_rate = 0.5

            def step(self, theta, grad, state, rate):
                theta -= rate * np.sign(grad)

        network = cr.Network(2, [My_Layer(), Dense(1)], MyLoss(), seed=0)
        trace = cr.trace(network, [1.0, 2.0], [3.0], optimizer=MyStep())
        text = str(trace)
        for line in ("y = My_Layer(x)", "ℓ = MyLoss(y, t)", "θ ← MyStep(θ, g)"):
            assert line in text
        assert all(check.ok for check in trace.checks)
        assert '<mi mathvariant="normal">My Layer</mi>' in trace.html()
        assert r"\mathrm{My\ Layer}" in trace.markdown()  # LaTeX leaves out a plain space

    def test_a_custom_class_says_its_own(self):
        class Slopes(Layer):
            equations: ClassVar = {
                "forward": "n = min(x, 0)\ny = max(x, 0) + k α n",
                "backward": "dα = Σ dy n\ndx = dy where x > 0, else k α dy",
                "memo": {"n": "below"},
                "symbols": {"k": "scale"},
            }
            scale = 1.0

            def parameters(self, *_):
                return {"alpha": Parameter(self.input_shape, initializers.Constant(0.25), initializers.Fans(1, 1))}

            def forward(self, x, memo):
                memo.x, memo.below = x, np.minimum(x, 0)
                return np.maximum(x, 0) + self.alpha * memo.below

            def backward(self, dy, memo):
                memo.dalpha = np.sum(dy * memo.below, axis=0, out=memo.dalpha)
                return dy * np.where(memo.x > 0, 1, self.alpha)

        network = cr.Network(2, [Slopes(), Dense(1)], "squared_error", seed=0, dtype="float64")
        network.theta[2:4] = [2.0, 1.0]
        trace = cr.trace(network, [[-2.0, 1.0]], [1.0])
        assert trace.steps[0].worked == ("n[0, 0] = min(−2, 0) = −2", "y[0, 0] = max(−2, 0) + 1 · 0.25 · (−2) = −0.5")
        step = next(step for step in trace.steps if step.phase == "backward" and step.layer == 0)
        assert step.worked == ("dα[0] = (−2) · (−2) = 4",)
        assert all(check.ok for check in trace.checks)
        Slopes.equations = "y = x"
        with pytest.raises(ValueError, match=r'Slopes.equations: expected {"forward": "y = ...", .*}, got \'y = x\''):
            cr.trace(network, [[-2.0, 1.0]], [0.0])

    def test_what_is_no_formula_is_set_as_it_is(self, monkeypatch):
        for broken in ("(", ")", "a / ", "x^", "where", "a ] b", "√", "", "<b> & \\x $ {", "Σ", "ₖ", "a where b", "½½"):
            Page(mathml(broken))
            assert "<b>" not in mathml(broken)
            assert r"\$" in latex(broken) or "$" not in latex(broken)
        monkeypatch.setitem(EQUATIONS, Tanh, Equations("y = a < b"))
        assert "<mo>&lt;</mo>" in cr.trace(small(), [1.0, 2.0], 1).html()

    @pytest.mark.parametrize("name", ["W", "dW", "db", "dγ", "γ", "running_mean", "drunning", "σ", "v of W", "W after"])
    def test_names_of_arrays_can_be_set(self, name):
        Page(mathml(name))
        check_latex(latex(name))

    @pytest.mark.parametrize(
        ("text", "set_as"),
        [
            ("y = x where x > 0, else a x", r"y = \begin{cases} x & x > 0 \\ a\,x & \text{otherwise} \end{cases}"),
            ("yᵢ = e^xᵢ / Σₖ e^xₖ", r"y_{i} = \frac{e^{x_{i}}}{\sum_{k}\,e^{x_{k}}}"),
            (
                "θ ← θ − η m̂ / (√v̂ + ε)",
                r"\theta \leftarrow \theta - \frac{\eta\,\hat{m}}{\sqrt{\hat{v}} + \varepsilon}",
            ),
            ("dW = xᵀ dy  over the batch", r"\mathrm{d}W = x^{\top}\,\mathrm{d}y\;\text{over the batch}"),
            ("∂ℓ/∂y = p − t,  t = 1", r"\frac{\partial \ell}{\partial y} = p - t,\quad t = 1"),
        ],
    )
    def test_latex(self, text, set_as):
        assert latex(text) == set_as


def arithmetic(line):
    """Return the value of the arithmetic in a worked line, and the number at its end."""
    expression, _, result = re.split(" [=←] ", line, maxsplit=1)[1].rpartition(" = ")
    code = expression.replace("−", "-").replace("·", "*").replace("²", "**2").replace("^", "**")
    code = re.sub(r"√(\([^()]*(?:\([^()]*\)[^()]*)*\)|[\d.e-]+)", r"np.sqrt(\1)", code)
    return eval(code, {"np": np}), float(result.replace("−", "-"))


class TestSteps:
    X, T = np.array([[0.5, -1.0], [1.5, 0.25]]), np.array([[1.0], [-0.5]])

    def by_hand(self, theta):
        """Return L and the gradient of a network 2-3-1 with tanh and the squared error, in plain NumPy."""
        W0, b0, W2, b2 = theta[:6].reshape(2, 3), theta[6:9], theta[9:12].reshape(3, 1), theta[12:]
        a = np.tanh(self.X @ W0 + b0)
        e = a @ W2 + b2 - self.T
        dy = e / 2
        dz = dy @ W2.T * (1 - a**2)
        grad = [self.X.T @ dz, dz.sum(axis=0), a.T @ dy, dy.sum(axis=0)]
        return 0.5 * (e**2).sum(axis=1).mean(), np.concatenate([part.ravel() for part in grad])

    def updates(self, trace):
        """Return the arrays of all steps of a trace as vectors in the order of theta."""
        for number in range(1, len(trace.values)):
            first, last = (step for step in trace.steps if step.phase == "update" and step.number == number)
            names = [array.name for array in first.arrays]
            assert names == [array.name for array in last.arrays]
            joined = {}
            for name in (name for name in names if "b" not in name.split()):
                parts = [step[n] for step in (first, last) for n in (name, re.sub(r"\bW\b|(?<=d)W", "b", name))]
                joined[name] = np.concatenate([part.ravel() for part in parts])
            yield number, joined

    def test_momentum_is_that_of_plain_numpy(self):
        network = small("squared_error", outputs=1, dtype="float64")
        theta, v = network.theta.copy(), np.zeros(13)
        trace = cr.trace(network, self.X, self.T, optimizer=optimizers.Momentum(0.3, momentum=0.8), steps=4)
        values = []
        for number, shown in self.updates(trace):
            value, grad = self.by_hand(theta)
            values.append(value)
            np.testing.assert_allclose(shown["W"], theta, rtol=1e-12)
            np.testing.assert_allclose(shown["dW"], grad, rtol=1e-10, atol=1e-15)
            if number > 1:
                np.testing.assert_allclose(shown["v of W before"], v, rtol=1e-10, atol=1e-15)
            v = 0.8 * v - 0.3 * grad
            theta = theta + v
            np.testing.assert_allclose(shown["v of W"], v, rtol=1e-10, atol=1e-15)
            np.testing.assert_allclose(shown["W after"], theta, rtol=1e-10)
        assert number == 4
        np.testing.assert_allclose(trace.values, [*values, self.by_hand(theta)[0]], rtol=1e-12)
        assert (trace.value, trace.value_after) == (trace.values[0], trace.values[-1])

    @pytest.mark.parametrize("decay", [0.0, 0.2])
    def test_adam_is_that_of_plain_numpy(self, decay):
        network = small("squared_error", outputs=1, dtype="float64")
        theta, m, v = network.theta.copy(), np.zeros(13), np.zeros(13)
        weights = np.r_[np.ones(6), np.zeros(3), np.ones(3), 0.0]
        adam = optimizers.AdamW(0.05, 0.7, 0.9, 1e-6, weight_decay=decay)
        trace = cr.trace(network, self.X, self.T, optimizer=adam, steps=3)
        for t, shown in self.updates(trace):
            grad = self.by_hand(theta)[1]
            m, v = 0.7 * m + 0.3 * grad, 0.9 * v + 0.1 * grad**2
            theta = theta - 0.05 * decay * theta * weights
            theta = theta - 0.05 * (m / (1 - 0.7**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-6)
            for name, values in (("m of W", m), ("v of W", v), ("W after", theta)):
                np.testing.assert_allclose(shown[name], values, rtol=1e-9, atol=1e-14, err_msg=name)
            update = [step for step in trace.steps if step.phase == "update"][2 * t - 2]
            assert update.symbols["t"] == t
            assert [line.split("[")[0] for line in update.worked[: 5 + (decay > 0)]] == [
                *["W"] * (decay > 0), "m of W", "v of W", "m̂ of W", "v̂ of W", "W"
            ]  # fmt: skip

    @pytest.mark.few(6)
    @pytest.mark.parametrize("case", variants.OPTIMIZERS, ids=lambda case: repr(case.optimizer))
    def test_every_optimizer(self, case):
        """The steps are those of the optimizer itself, and the arithmetic of each line gives the number at its end."""
        network, optimizer = small("squared_error", outputs=1, dtype="float64"), case.optimizer
        trace = cr.trace(network, self.X, self.T, optimizer=optimizer, steps=3)
        theta = cr.Network(2, [Dense(3), Tanh(), Dense(1)], "squared_error", dtype="float64")
        theta.theta = network.theta
        state = optimizer.start(theta.theta, theta.weights)
        for _, shown in self.updates(trace):
            optimizer.update(theta.theta, theta.loss_and_grad(self.X, self.T)[1], state)
            np.testing.assert_array_equal(shown["W after"], theta.theta)
        lines = [line for step in trace.steps if step.phase == "update" for line in step.worked if "sign" not in line]
        assert lines or optimizer.steps_by_rate
        for value, result in map(arithmetic, lines):
            assert value == pytest.approx(result, rel=5e-3, abs=2e-3)

    def test_later_steps_are_updates_only_and_follow_one_entry(self):
        trace = cr.trace(small(), [0.5, -1.0], 1, optimizer="momentum", steps=3)
        assert {step.phase for step in trace.steps if step.number > 1} == {"update"}
        text = trace.text()
        assert "STEP 2: both passes again, L = " in text
        assert "one sample, forward, backward and 3 steps of Momentum" in text
        assert f"{trace.value_after:.6g} after 3 steps" in text
        check = next(step for step in trace.steps if step.phase == "backward" and step.layer == 2).checks[0]
        for step in trace.steps:
            if step.phase == "update" and step.layer == 2:
                assert {array.entry for array in step.arrays if array.name.endswith(("W", "W after"))} == {check.at}
        assert f"W{list(check.at)} of layer 2" in text
        check_alone(trace.html())

    def test_training_uses_one_mask_and_moves_the_statistics(self):
        network = cr.Network(3, [layers.BatchNorm(0.5), Dropout(0.5), Dense(2)], "softmax_cross_entropy", seed=0)
        x, t = np.random.default_rng(0).normal(size=(6, 3)), np.arange(6) % 2
        trace = cr.trace(network, x, t, optimizer=optimizers.SGD(0.0), steps=3, training=True, seed=5)
        assert len(set(trace.values)) == 1, "without a change of the parameters, L is the same"
        running = np.zeros(3)
        for step in (step for step in trace.steps if step.phase == "update" and step.layer == 0):
            np.testing.assert_allclose(step["running_mean"], running, rtol=1e-5, atol=1e-7)
            running = 0.5 * running + 0.5 * x.mean(axis=0)
            np.testing.assert_allclose(step["running_mean after"], running, rtol=1e-5)
        assert step.number == 3
        np.testing.assert_array_equal(network.statistics[:3], 0)

    def test_steps_end_when_the_loss_does(self):
        network = cr.Network(1, [Dense(1)], "squared_error", seed=0)
        trace = cr.trace(network, [[1e10]], [1.0], optimizer=optimizers.SGD(1e20), steps=5)
        assert 2 <= len(trace.values) < 6
        assert not np.isfinite(trace.value_after)
        assert "the step is too large" in trace.text()
        check_alone(trace._repr_html_())

    @pytest.mark.parametrize("steps", [0, -1])
    def test_a_number_of_steps_that_is_none(self, steps):
        with pytest.raises(ValueError, match="trace: steps: expected a whole number of at least 1"):
            cr.trace(small(), [0.5, -1.0], 1, steps=steps)


class TestCode:
    @pytest.mark.few(8)
    @pytest.mark.parametrize("name", public_classes(layers, Layer))
    def test_the_lines_are_those_of_the_library(self, name):
        network, rows = around(name)
        trace = cr.trace(network, rows(1), [[0.5, 2.0]])
        file = Path(inspect.getsourcefile(type(network.layers[0]))).read_text(encoding="utf-8")
        for step in trace.steps:
            if step.layer == 0 and step.phase in ("forward", "backward"):
                code = step.code[0]
                assert re.match(rf"\w+\.{step.phase} in chainrule/layers/\w+\.py, line \d+$", code.title)
                assert textwrap.indent(code.text, "        ") in file
                first = file.splitlines()[int(code.title.rpartition(" ")[2]) - 1]
                assert first.strip() == code.text.splitlines()[0]
                assert '"""' not in code.text

    def test_the_lines_of_a_loss_and_an_optimizer(self):
        trace = cr.trace(small(), [0.5, -1.0], 1, optimizer="adam", steps=2)
        loss = next(step for step in trace.steps if step.phase == "loss")
        assert [code.title.split(" in ")[0] for code in loss.code] == [
            "SoftmaxCrossEntropy.forward", "SoftmaxCrossEntropy.backward"
        ]  # fmt: skip
        codes = [step.code for step in trace.steps if step.phase == "update"]
        assert [code.title.split(" in ")[0] for code in codes[0]] == ["Adam.step", "_adam"]
        assert "m ← β₁ m + (1 − β₁) g" in codes[0][1].text
        assert not any(codes[1:]), "once is enough"

    def test_without_source_there_is_none(self):
        scope = {"Layer": Layer}
        code = (
            "class Twice(Layer):\n"
            "    def forward(self, x, memo):\n        return 2 * x\n"
            "    def backward(self, dy, memo):\n        return 2 * dy\n"
        )
        exec(compile(code, "<nowhere>", "exec"), scope)
        trace = cr.trace(cr.Network(2, [scope["Twice"](), Dense(2)], "squared_error", seed=0), [1.0, 2.0], [0.0, 1.0])
        assert [step.code for step in trace.steps if step.layer == 0] == [(), (), ()][
            : sum(s.layer == 0 for s in trace.steps)
        ]
        assert trace.steps[1].code
        assert "y = Twice(x)" in trace.text()

    def test_a_layer_of_a_file_of_ones_own(self, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(
            "from chainrule import Layer\n\n\nclass Mine(Layer):\n"
            '    def forward(self, x, memo):\n        """Say nothing."""\n        # a comment <b>\n        return x\n\n'
            "    def backward(self, dy, memo):\n        return dy\n",
            encoding="utf-8",
        )
        monkeypatch.syspath_prepend(tmp_path)
        import mine  # noqa: PLC0415

        trace = cr.trace(cr.Network(2, [mine.Mine(), Dense(2)], "squared_error", seed=0), [1.0, 2.0], [0.0, 1.0])
        (code,) = trace.steps[0].code
        assert (code.title, code.text) == ("Mine.forward in mine.py, line 7", "# a comment <b>\nreturn x")
        assert "# a comment &lt;b&gt;" in trace.html()
        assert "```python\n# a comment <b>\nreturn x\n```" in trace.markdown()
        assert "    Mine.forward in mine.py, line 7\n      # a comment <b>\n      return x\n" in trace.text()


class TestWidth:
    """The text fits the terminal: 80 columns, and others."""

    def fits(self, trace, *widths):
        for width in widths or (80,):
            lines = trace.text(width).splitlines()
            assert max(map(len, lines)) <= width, max(lines, key=len)

    def test_80_is_the_default(self):
        trace = cr.trace(small(), [0.5, -1.0], 1)
        assert trace.text() == trace.text(80) == f"{trace}\n"

    @pytest.mark.few(8)
    @pytest.mark.parametrize("name", public_classes(layers, Layer))
    def test_every_layer(self, name):
        network, rows = around(name, "softmax_cross_entropy")
        self.fits(cr.trace(network, rows(3), [1, 0, 1], training=True), 80, 100)

    @pytest.mark.few(3)
    @pytest.mark.parametrize("case", variants.OPTIMIZERS, ids=lambda case: repr(case.optimizer))
    def test_every_optimizer_in_steps(self, case):
        self.fits(cr.trace(small(), [0.5, -1.0], 1, optimizer=case.optimizer, steps=3), 80, 100)

    @pytest.mark.few(3)
    @pytest.mark.parametrize("loss", variants.every_loss(), ids=repr)
    def test_every_loss(self, loss):
        t = [[1.0, 0.0]] if not loss.takes_labels else [1]
        self.fits(cr.trace(small(loss), [[1e-7, -1e9]], t, sample_weight=[123456.789]), 80)

    @pytest.mark.slow
    def test_wide_arrays_long_names_and_a_photograph(self):
        class AVeryLongNameOfALayerThatSomebodyHasWrittenInAHurryOnAFridayAfternoon(Layer):
            equations: ClassVar = {
                "forward": "y = x + 0 x  " + "a remark that is long " * 8, "backward": "dx = dy",
            }  # fmt: skip

            def forward(self, x, memo):
                return x + 0.0 * np.asarray(x, dtype=x.dtype)  # a remark that goes on and on, well beyond what fits

            def backward(self, dy, memo):
                return dy

        network = cr.Network(
            (5, 90, 1),
            [layers.Flatten(), AVeryLongNameOfALayerThatSomebodyHasWrittenInAHurryOnAFridayAfternoon(), Dense(40)],
            "softmax_cross_entropy", seed=0,
        )  # fmt: skip
        x = np.random.default_rng(0).normal(size=(5, 90, 1)) * 1e6
        trace = cr.trace(network, x, 3, classes=[f"class with a long name {i}" * 3 for i in range(40)])
        self.fits(trace, 80, 120)


class TestRenderings:
    @pytest.mark.few(2)
    @pytest.mark.parametrize("loss", public_classes(losses, Loss))
    def test_every_loss(self, loss):
        network = small(loss, outputs=2)
        t = [1, 0] if loss == "SoftmaxCrossEntropy" else [[1.0, 0.0], [0.0, 1.0]]
        trace = cr.trace(network, [[0.5, -1.0], [1.0, 0.25]], t)
        self.check(trace)
        assert all(check.ok for check in trace.checks)

    @pytest.mark.slow
    @pytest.mark.parametrize("layer", public_classes(layers, Layer))
    def test_every_layer(self, layer):
        network, rows = around(layer, "softmax_cross_entropy")
        for training in (False, True):
            self.check(cr.trace(network, rows(2), [1, 0], training=training))

    def check(self, trace):
        check_alone(trace.html())
        Page(trace._repr_html_())
        for text in (trace.text(), trace.markdown()):
            for step in trace.steps:
                assert step.title.split("(")[0] in text
        for line in trace.text(width=72).splitlines():
            assert len(line) <= 90 or "|" in line
        latex = re.findall(r"\$\$\n(.*?)\n\$\$", trace.markdown(), re.DOTALL)
        assert len(latex) == sum(len(step.equations) for step in trace.steps)

    def test_names_are_escaped(self):
        network = cr.Network(2, [Dense(2)], "softmax_cross_entropy", seed=0)
        trace = cr.trace(network, [1.0, 2.0], 1, classes=["<b>", "<script>a|b*_$`"])
        page = trace.html()
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        Page(page)
        assert "<script" not in trace.markdown()
        assert r"&lt;script&gt;a\|b\*\_\$\`" in trace.markdown()
        assert "true: <script>a|b*_$`" in trace.text()

    @pytest.mark.slow
    def test_long_arrays_are_shortened(self):
        network = cr.Network(300, [Dense(150), ReLU(), Dense(10)], "softmax_cross_entropy", seed=0)  # 45,000 weights
        trace = cr.trace(network, np.linspace(-1, 1, 300), 3)
        assert len(trace.text()) < 20_000
        assert len(trace.html()) < 120_000
        assert len(trace.markdown()) < 30_000
        assert max(map(len, trace.text(width=80).splitlines())) <= 80
        assert "…" in trace.text()

    def test_the_checked_entry_is_shown(self):
        network = cr.Network(50, [Dense(40), Tanh(), Dense(3)], "softmax_cross_entropy", seed=0)
        trace = cr.trace(network, np.linspace(-1, 1, 50), 2)
        for step in trace.steps:
            for array in step.arrays:
                if array.entry is not None:
                    shown, _ = table(Matrix(array.name, array.values, entry=array.entry, batch=array.batch), 8)
                    cells = [(name, cell) for row in shown.rows for name, cell in zip(shown.head, row, strict=True)]
                    ((name, marked),) = [(n, c) for n, c in cells if getattr(c, "kind", "") == "mark"]
                    assert name == (str(array.entry[-1]) if array.values.size > 1 else "")
                    assert marked.text.replace("−", "-") == NumberFormat(array.values, 4)(array.values[array.entry])

    @pytest.mark.slow
    def test_images_of_several_channels_are_shown_slice_by_slice(self):
        class Flat(Layer):
            def output(self, input_shape):
                return (int(np.prod(input_shape)),)

            def forward(self, x, memo):
                return x.reshape(len(x), -1)

            def backward(self, dy, memo):
                return dy.reshape(len(dy), *self.input_shape)

        network = cr.Network((12, 10, 3), [Tanh(), Flat(), Dense(2)], "softmax_cross_entropy", seed=0)
        x = np.random.default_rng(0).normal(size=(2, 12, 10, 3))
        trace = cr.trace(network, x, [0, 1])
        self.check(trace)
        assert re.search(r"  x \(2, 12, 10, 3\)  \[[01], :, :, [012]\]", trace.text())
        assert all(check.ok for check in trace.checks)

    def test_the_output_is_the_same_every_time(self):
        network = cr.Network(4, [Dropout(0.5), Dense(3), Tanh(), Dense(2)], "softmax_cross_entropy", seed=0)
        one, two = (cr.trace(network, [1.0, 2.0, 3.0, 4.0], 1, training=True, seed=7) for _ in range(2))
        assert (one.text(), one.html(), one.markdown()) == (two.text(), two.html(), two.markdown())

    def test_an_image_is_drawn(self):
        network = cr.Network(6, [Dense(2)], "softmax_cross_entropy", seed=0)
        trace = cr.trace(network, [0.0, 1.0, 0.5, 0.0, 0.0, 1.0], 1, image_shape=(2, 3))
        assert "    ██▒▒" in trace.text()
        assert trace.html().count("<svg") == 2
        black, gray = "M1 0h1v1h-1zM2 1h1v1h-1z", "M2 0h1v1h-1z"
        assert f'<path fill="currentColor" fill-opacity="1" d="{black}"/>' in trace.html()
        assert f'<path fill="currentColor" fill-opacity="0.5" d="{gray}"/>' in trace.html()

    def test_an_image_is_drawn_without_being_asked_and_so_is_every_channel(self):
        network = cr.Network(
            (6, 5, 1), [layers.Conv2D(3, 2), layers.Flatten(), Dense(2)], "softmax_cross_entropy", seed=0
        )
        trace = cr.trace(network, np.random.default_rng(0).normal(size=(6, 5, 1)), 1)
        assert trace.image_shape == (6, 5)
        page = trace.html()
        assert page.count('class="image"') == 2 + 3 * 2  # the sample, its dx; y and dx of Flatten, which is dy
        assert "channel 2" in page
        six = [line for line in trace.text().splitlines() if re.match(r"    \d  ", line)]
        assert [line.split()[0] for line in six[:6]] == list("012345")
        check_alone(page)

    def test_rich_prints_it_in_colour(self):
        rich = pytest.importorskip("rich.console")
        console = rich.Console(record=True, width=120, file=io.StringIO())
        console.print(cr.trace(small(), [0.5, -1.0], 1))
        assert "y = tanh(x)" in console.export_text(clear=False)
        assert "\x1b[" in console.export_text(styles=True)

    @pytest.mark.parametrize(
        ("values", "written"),
        [
            ([9.9996, 1.0], ["10.00", "1.00"]),
            ([1e-30, -2e-30], ["1.000", "-2.000"]),
            ([0.0, np.nan, np.inf], ["0", "nan", "inf"]),
            ([123456.0, 1.0], ["1.235", "0.000"]),
            ([-1e-9, 1.0], ["0.000", "1.000"]),
        ],
    )
    def test_numbers(self, values, written):
        values = np.array(values)
        write = NumberFormat(values, 4)
        assert [write(v) for v in values] == written

    def test_save(self, tmp_path):
        trace = cr.trace(small(), [0.5, -1.0], 1)
        for ending, text in ((".html", trace.html()), (".md", trace.markdown()), (".txt", trace.text())):
            path = tmp_path / f"a{ending}"
            trace.save(path)
            assert path.read_text(encoding="utf-8") == text
            with pytest.raises(FileExistsError, match="overwrite=True"):
                trace.save(path)
            trace.save(path, overwrite=True)
        with pytest.raises(ValueError, match=r"expected a name that ends in \.html, \.md or \.txt, got \.pdf"):
            trace.save(tmp_path / "a.pdf")


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"x": [1.0, 2.0, 3.0]}, "X: expected"),
            ({"t": 5}, "t: expected labels from 0 to 1"),
            ({"classes": ["a"]}, "expected a name for each of the 2 outputs, got 1"),
            ({"image_shape": (2, 2)}, "image_shape: expected height times width to be the 2 inputs"),
            ({"optimizer": "sdg"}, "unknown optimizer 'sdg'"),
            ({"seed": -1}, "seed: expected a whole number"),
            ({"entries": {0: {"dV": (0, 0)}}}, "layer 0 has no gradient .dV.. It has: dW, db, dx"),
            ({"entries": {1: {"dW": (0,)}}}, "layer 1 has no gradient 'dW'. It has: dx"),
            ({"entries": {0: {"dW": (9, 0)}}}, r"layer 0, dW: expected an index of shape \(2, \d\), got \[9, 0\]"),
        ],
    )
    def test_is_said(self, arguments, match):
        with pytest.raises(ValueError, match=match):
            cr.trace(small(), **{"x": [1.0, 2.0], "t": 1, **arguments})

    def test_an_array_that_is_not_there(self):
        with pytest.raises(KeyError, match="no array 'dW': expected one of x, W, b, y"):
            cr.trace(small(), [1.0, 2.0], 1).steps[0]["dW"]

    def test_width_and_digits(self):
        with pytest.raises(ValueError, match="width: expected a whole number of at least 40"):
            cr.trace(small(), [1.0, 2.0], 1).text(width=10)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "digits"
    result = CliRunner().invoke(
        app, ["train", "digits", "--epochs", "2", "--layers", "16", "--out", str(path), "--quiet"]
    )
    assert result.exit_code == 0, result.output
    return path


def explain(*arguments, status=0):
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


class TestCommandLine:
    def test_it_prints_the_example(self, run_folder):
        out = explain(run_folder, "--row", 3, "--learning-rate", 0.25).stdout
        network = cr.load(run_folder / "model.safetensors")
        config = json.loads((run_folder / "config.json").read_text(encoding="utf-8"))
        rows = cr.cli.data.held_out("digits", {}, config["seed"])
        p = network.predict(rows.X[3:4])[0]
        assert f"true: {rows.t[3]}, predicted: {p.argmax()} with {p.max():.3f}" in out
        assert "one step of SGD, η = 0.25" in out
        assert "██" in out
        assert "THEY DIFFER" not in out

    @pytest.mark.slow
    @pytest.mark.parametrize("ending", ["html", "md", "txt"])
    def test_it_writes_a_file(self, ending, run_folder, tmp_path):
        path = tmp_path / f"example.{ending}"
        assert str(path) in explain(run_folder, "--row", 0, "--out", path).stdout.replace("\n", "")
        assert "SoftmaxCrossEntropy" in path.read_text(encoding="utf-8")
        assert "already exists" in explain(run_folder, "--row", 0, "--out", path, status=2).stderr
        explain(run_folder, "--row", 1, "--out", path, "--overwrite")

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            (["--row", 360], "--row: expected a held-out row from 0 to 359, got 360"),
            (["--row", -1], "from 0 to 359, got -1"),
            (["--row", 0, "--out", "a.pdf"], r"ends in \.html, \.md or \.txt, got \.pdf"),
            (["--row", 0, "--out", "nowhere/a.md"], "the folder nowhere does not exist"),
            (["--row", 0, "--learning-rate", -1], "--learning-rate: expected"),
            (["--row", 0, "--steps", 0], "--steps: expected a whole number of at least 1"),
            (["--row", 0, "--optimizer", "adem"], "unknown optimizer 'adem'. Did you mean 'Adam'"),
        ],
    )
    def test_bad_input_is_one_sentence(self, arguments, match, run_folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = explain(run_folder, *arguments, status=2)
        assert re.search(match, result.stderr)
        assert result.stderr.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.slow
    def test_steps_optimizer_and_training(self, run_folder):
        out = explain(run_folder, "--row", 3, "--optimizer", "momentum", "--steps", 2, "--training").stdout
        assert "2 steps of Momentum, η = 0.1" in out
        assert "v of W" in out
        assert "STEP 2" in out
        assert max(map(len, out.splitlines())) <= 80
        out = explain(run_folder, "--row", 3, "--optimizer", "adam", "--json").stdout
        found = json.loads(out)
        assert {step["number"] for step in found["steps"]} == {1}
        assert found["losses"] == [found["loss"], found["loss_after"]]

    @pytest.mark.slow
    def test_without_a_row_it_is_the_worst_prediction(self, run_folder):
        config = json.loads((run_folder / "config.json").read_text(encoding="utf-8"))
        rows = cr.cli.data.held_out("digits", {}, config["seed"])
        p = cr.load(run_folder / "model.safetensors").predict(rows.X)
        worst = int(p[np.arange(len(rows)), rows.t].argmin())
        result = explain(run_folder)
        assert f"Note: row {worst} is explained: the worst of 360 predictions" in result.stderr
        assert f"true: {rows.t[worst]}, predicted: {p[worst].argmax()} with {p[worst].max():.3f}" in result.stdout
        assert result.stdout == explain(run_folder, "--row", worst).stdout

    def test_a_folder_that_is_none(self, tmp_path):
        assert f"no config.json in {tmp_path}" in explain(tmp_path, "--row", 0, status=2).stderr
        assert "does not exist" in explain(tmp_path / "no", "--row", 0, status=2).stderr


def test_the_text_in_the_document_is_what_is_printed(tmp_path, monkeypatch, capsys):
    document = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")
    code, excerpt = (re.search(rf"```{kind}\n(.*?)```", document, re.DOTALL)[1] for kind in ("python", "text"))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "trace.md", "exec"), {})
    printed = capsys.readouterr().out
    rounding = re.compile(r"relative difference \S+:|, line \d+$", re.MULTILINE)  # the last digits are the machine's
    assert rounding.sub("", excerpt) in rounding.sub("", printed)


def test_rich_is_not_needed():
    code = (
        "import sys; sys.modules['rich'] = None; import chainrule as cr; "
        "n = cr.Network(1, [cr.layers.Dense(1)], 'squared_error', seed=0); t = cr.trace(n, [1.0], [2.0]); "
        "print(t); t.html(); t.markdown()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert "y = x W + b" in done.stdout
