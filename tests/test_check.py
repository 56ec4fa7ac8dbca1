"""``chainrule check``: what it finds, what it prints, with which status, and what it refuses."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import chainrule as cr
import planted
from chainrule._internal.names import public_classes
from chainrule.cli.app import app
from chainrule.gradient_check import engines
from chainrule.layers import Dense, Tanh
from chainrule.training import engine

pytestmark = pytest.mark.slow

PLANTED = Path(planted.__file__)
COMMAND = [sys.executable, "-m", "chainrule", "check"]
# Each class of planted.py, and what the command says of it.
SAID = {
    "SigmoidOfActivated": "the derivative is evaluated at y, the layer's output, instead of at x",
    "SummedWeights": "the analytic gradient is 8 times the numeric one: summed over the 8 rows",
    "SoftmaxWithoutJacobian": "it is dy, unchanged: the layer's own derivative is missing",
    "TanhInPlace": "forward modifies x in place",
    "HalfInPlace": "forward modifies x in place",
    "ForgottenL2": "a penalty's gradient is missing",
    "L2OnBiases": "a penalty's gradient is added by mistake",
    "DropoutWithoutScale": "dropout's scale, 1 / keep, is missing or applied twice",
    "SigmoidWithoutDerivative": "the layer's own derivative is missing",
    "NeverWritten": "backward sets no memo.dw",
    "NotANumber": "the analytic gradient is not finite",
    "LossWithoutHalf": "0.5 times the numeric one: a factor of ½ or 2 from a square is missing",
    "DyWithoutTranspose": "it is dy W instead of dy Wᵀ",
    "SoftmaxDiagonal": "backward uses only the diagonal of the Jacobian: for a softmax, dx = y *",
    "BatchNormConstant": "the mean and the variance of the batch are treated as constants",
    "BatchNormConstantVariance": "the variance of the batch is treated as a constant",
    "LayerNormConstant": "the mean and the variance of the row are treated as constants",
    "BiasSummedOverAll": "every entry is the sum over all of dy: sum over the rows only",
    "LastRowOnly": "it holds only the last of several rows of the batch: add them up, with +=",
    "EmbeddingOverwrites": "add them up, with += (or np.add.at) instead of =",
    "ConvolutionOffByOne": "it is the correct gradient shifted by -1 along axis 1: windows start one position off",
    "ConvolutionFlipped": "the kernel W is flipped",
    "KernelGradientFlipped": "it is the correct gradient with the kernel flipped",
    "ConvolutionWrongAtBorders": "only entries at the border are wrong, the first entry along axis 1, the last entry",
    "WindowsOverwrite": "it holds only the last of several contributions: add them up",
    "MaskDrawnAgain": "backward draws a new mask: it must reuse the mask drawn by forward",
    "LastRowLeftOut": "only the last row of the batch is wrong: does a loop end one row too early?",
    "HalfAnL2": "a penalty's gradient is 0.5 times what it should be: a factor of ½ or 2 from a square",
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments, status=0):
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def data(*arguments, status=0):
    return json.loads(check(*arguments, "--json", status=status).stdout)


def refused(*arguments, match):
    """The command says why not, in one line on standard error, and nothing else."""
    result = check(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert re.search(match, result.stderr), result.stderr


def written(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


# ---------------------------------------------------------------- what chainrule ships


@pytest.mark.slow
def test_every_shipped_layer_loss_and_penalty_is_right_with_order_two():
    found = data()
    assert found["ok"] is True
    names = {c["name"].partition("(")[0] for c in found["checks"]}
    for module, base in ((cr.layers, cr.Layer), (cr.losses, cr.Loss), (cr.penalties, cr.penalties.Penalty)):
        missing = set(public_classes(module, base)) - names
        assert not missing, f"not checked: {missing}"
    for c in found["checks"]:
        assert c["ok"], c["verdict"]
        assert abs(c["order"] - 2) < 0.1, f"{c['name']}: order {c['order']}"
        assert c["error"] < 1e-7, f"{c['name']}: error {c['error']}"


@pytest.mark.slow
def test_a_wrong_one_among_them_is_a_failure(monkeypatch):
    monkeypatch.setattr(cr.layers.Mish, "backward", lambda self, dy, memo: dy)
    result = check(status=1)
    assert re.search(r"Mish\(\) +layer +\d.* 1.00 +WRONG", result.stdout)
    assert "Mish() is WRONG:\n  gradient: dx is off by" in result.stdout
    assert re.search(r"1 of \d+ checks FAILED: Mish\(\)\.", result.stdout)


# ---------------------------------------------------------------- networks


def test_a_network_in_words():
    words = "dense 8 weights=he_normal, tanh, dropout rate=0.2, gelu tanh, dense 3 biases=none"
    result = check("--inputs", 4, "--layers", words, "--loss", "softmax-cross-entropy label_smoothing=0.1", "--l2", 0.1)
    for line in ("0  Dense(8, weights=HeNormal())", "3  GELU(approximate='tanh')", "4  Dense(3, biases=None)"):
        assert line in result.stdout
    assert "SoftmaxCrossEntropy(label_smoothing=0.1)" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.endswith(" ok")]
    assert len(rows) == 3 + 5  # dW, db, dW; and dx of every layer alone
    assert all(row[-2] == "2.00" for row in rows)
    assert result.stdout.splitlines()[-1].startswith("The gradient is correct: largest relative error ")


def test_other_losses_in_words():
    found = data("--inputs", 3, "--layers", "dense 1", "--loss", "huber 0.5", "--rows", 3, "--seed", 5)
    (network,) = found["checks"]
    assert "Huber(delta=0.5)" in network["description"]
    assert [p["name"] for p in network["parameters"]] == ["W", "b", "x alone"]
    assert network["parameters"][2]["shape"] == [3, 3]


def test_the_seed_decides():
    first, again, other = (data("--inputs", 3, "--layers", "dense 2", "--seed", seed) for seed in (1, 1, 2))
    assert first == again != other


def test_penalties_are_part_of_what_is_checked():
    plain, penalised = (
        data("--inputs", 3, "--layers", "dense 2", *extra)["checks"][0]["parameters"][0]["analytic_norm"]
        for extra in ([], ["--l1", 0.5, "--l2", 0.5])
    )
    assert plain != penalised


def saved(path, *stack, inputs=4, loss="softmax_cross_entropy"):
    network = cr.Network(inputs, stack, loss, seed=0)
    cr.save(network, path)
    return network


def test_a_model_file():
    saved("model.safetensors", Dense(5), Tanh(), Dense(3))
    result = check("model.safetensors")
    assert "model.safetensors: 4 inputs, SoftmaxCrossEntropy(), float32" in result.stdout
    assert "The gradient is correct" in result.stdout


def test_the_folder_of_a_run(here):
    trained = CliRunner().invoke(app, ["train", "moons", "--epochs", "1", "--layers", "4", "--out", "run", "--quiet"])
    assert trained.exit_code == 0, trained.output
    result = check("run")
    assert "run: 2 inputs" in result.stdout
    assert "The gradient is correct" in result.stdout


def test_a_network_without_parameters():
    saved("none.safetensors", Tanh(), loss="squared_error")
    assert "Each layer passes on its own; the network has no parameters." in check("none.safetensors").stdout


# ---------------------------------------------------------------- Python files


@pytest.mark.parametrize("name", SAID)
def test_a_planted_mistake_is_found_and_named(name):
    result = check(f"{PLANTED}:{name}", status=1)
    assert f"{name}() is WRONG:" in result.stdout
    assert SAID[name] in result.stdout


def test_a_whole_file_as_a_program():
    done = subprocess.run([*COMMAND, PLANTED], capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 1, done.stderr
    last = done.stdout.splitlines()[-1]
    names = [name for name, value in vars(planted).items() if getattr(value, "__module__", "") == planted.__name__]
    assert last == f"{len(SAID)} of {len(SAID)} checks FAILED: {', '.join(f'{n}()' for n in names if n in SAID)}."
    assert set(SAID) == {n for n in names if n[0] != "_"}, "a planted mistake without its case here"
    assert "\x1b" not in done.stdout  # no colours in a pipe
    assert not (PLANTED.parent / "__pycache__" / f"_checked_{PLANTED.stem}.pyc").exists()


RIGHT = """
import sys
from dataclasses import dataclass


import chainrule as cr
from chainrule.layers import Dense, Layer, Tanh
from neighbour import SCALE

print("the file speaks", sys.argv)
if __name__ == "__main__":
    raise SystemExit("never")


class Base(Layer):
    '''Abstract: not checked.'''


@dataclass(eq=False, repr=False)
class Scaled(Base):
    factor: float = SCALE

    def forward(self, x, memo):
        return x * self.factor

    def backward(self, dy, memo):
        return dy * self.factor


class Power(Base):
    def __init__(self, power):
        if not isinstance(power, tuple):
            raise TypeError("a tuple")
        self.power = power[0]

    def forward(self, x, memo):
        memo.x = x
        return x**self.power

    def backward(self, dy, memo):
        return dy * self.power * memo.x ** (self.power - 1)


class _Hidden(Scaled):
    def backward(self, dy, memo):
        return dy
"""
NETWORK = (
    "network = cr.Network(3, [Dense(4), Power((2,)), Tanh(), Dense(2)], 'squared_error', seed=0)\nsame = network\n"
)


@pytest.fixture
def neighbour():
    written("neighbour.py", "SCALE = 3.0\n")
    yield
    sys.modules.pop("neighbour", None)


@pytest.mark.usefixtures("neighbour")
def test_what_is_checked_in_a_file():
    path = written("mine.py", RIGHT + NETWORK)
    before = sys.path.copy(), sys.argv
    found = data(path)
    assert (sys.path, sys.argv) == before
    assert [(c["kind"], c["name"]) for c in found["checks"]] == [("layer", "Scaled()"), ("network", "network")]
    assert (found["command"], found["ok"], found["not_checked"]) == ("check", True, [])
    result = check(path)
    assert "the file speaks ['mine.py']" in result.stderr  # and not between the tables
    assert result.stdout.splitlines()[-1] == "All 2 checks passed."
    assert not Path("__pycache__", "mine.cpython-311.pyc").exists()


@pytest.mark.usefixtures("neighbour")
def test_a_class_that_cannot_be_made_is_said_and_is_a_failure():
    result = check(written("mine.py", RIGHT), status=2)
    assert "Scaled() is correct" in result.stdout
    assert result.stderr.endswith("Not checked: Power needs arguments: add an object to the file, such as power = Power(...).\n")  # fmt: skip
    refusal = check("mine.py:Power", status=2).stderr.splitlines()[-1]
    assert refusal.startswith("Error: mine.py: Power needs arguments")
    assert data("mine.py", status=2)["not_checked"]


@pytest.mark.usefixtures("neighbour")
def test_one_name_of_a_file():
    path = written("mine.py", RIGHT + NETWORK + "power = Power((3,))\n")
    for name, said in (
        ("network", "The gradient is correct"),
        ("power", "Power() is correct"),
        ("Scaled", "is correct"),
    ):
        assert said in check(f"{path}:{name}").stdout
    check(f"{path}:_Hidden", status=1)


def test_a_network_with_a_wrong_layer_names_it():
    code = "from planted import *\nnet = cr.Network(5, [Dense(4), TanhInPlace(), Dense(3)], 'squared_error', seed=0)\n"
    code = f"import sys\nsys.path.insert(0, {str(PLANTED.parent)!r})\n{code}"
    result = check(written("net.py", code) + ":net", status=1)
    assert "The gradient is WRONG: largest relative error " in result.stdout
    assert "On its own, layer 1, TanhInPlace(): x and dy: forward modifies x in place" in result.stdout
    assert "layer 0" not in result.stdout.partition("The gradient is WRONG")[2], "only the one that is wrong is named"


BREAKS = """
import chainrule as cr

class Breaks(cr.Layer):
    def forward(self, x, memo):
        return x.nonsense

    def backward(self, dy, memo):
        return dy

class KeepsRows(cr.Layer):
    def forward(self, x, memo):
        self.rows = len(x)
        return x

    def backward(self, dy, memo):
        return dy

class OutputFails(cr.Layer):
    def output(self, input_shape):
        raise KeyError('height')

    forward = backward = lambda self, x, memo: x

class NoTargets(cr.Loss):
    def forward(self, y, t, memo):
        raise RuntimeError("never")

    def backward(self, t, memo):
        return t

breaks = cr.Network(3, [cr.layers.Dense(2), Breaks()], "squared_error", seed=0)
keeps = cr.Network(3, [cr.layers.Dense(2), KeepsRows()], "squared_error", seed=0)
"""


LOG = """
import numpy as np
import chainrule as cr

class Log(cr.Layer):
    def forward(self, x, memo):
        memo.x = x
        return np.log(x)

    def backward(self, dy, memo):
        return dy / memo.x

net = cr.Network(3, [cr.layers.Dense(4), cr.layers.Softplus(), Log(), cr.layers.Dense(2)], "squared_error", seed=0)
"""


def test_a_layer_of_a_network_is_checked_at_what_comes_to_it():
    """The logarithm is right behind a softplus, and has no value at the random numbers that a layer alone gets."""
    assert "The gradient is correct" in check(written("log.py", LOG)).stdout
    check("log.py:Log", status=1)


def test_what_raises_is_wrong_and_the_others_are_still_checked():
    result = check(written("breaks.py", BREAKS), status=1)
    for said in (
        "On its own, layer 1, Breaks(): passes: forward raises AttributeError: 'numpy.ndarray' object has no attribute 'nonsense' (line 6: return x.nonsense)",
        "The gradient is correct: largest relative error",
        "But some layers fail on their own:\n  On its own, layer 1, KeepsRows(): state: forward or backward writes self.rows",
        "OutputFails() cannot be checked:\n  output raises KeyError: 'height' (line 21: raise KeyError('height'))",
        "NoTargets() cannot be checked:\n  ValueError: never",
        "2 of 2 checks FAILED: breaks, keeps.",
    ):
        assert said in result.stdout, result.stdout


UNFINISHED = """
import chainrule as cr

class Later(cr.Layer):
    def forward(self, x, memo):
        return x

    def backward(self, dy, memo):
        raise NotImplementedError

class Sideways(cr.Layer):
    def output(self, input_shape):
        if input_shape != (8, 8, 1):
            raise ValueError("expects images of 8 x 8")
        return input_shape

    def forward(self, x, memo):
        return 2 * x

    def backward(self, dy, memo):
        return 2 * dy

net = cr.Network(3, [cr.layers.Dense(2), Later(), cr.layers.Dense(2)], "squared_error", seed=0)
"""


def test_what_is_not_implemented_yet_is_not_called_wrong():
    path = written("later.py", UNFINISHED)
    for name, said in (("Later", "Later() cannot be checked:\n  backward is not implemented yet (line 9"),
                       ("net", "net cannot be checked:\n  layer 1, Later(): backward is not implemented yet")):  # fmt: skip
        result = check(f"{path}:{name}", status=2)
        assert said in result.stdout, result.stdout
        assert "WRONG" not in result.stdout
    assert "Later(): backward is not implemented yet" in data(f"{path}:Later", status=2)["not_checked"][0]


def test_layers_of_a_file_get_the_shape_that_is_asked_for():
    path = written("later.py", UNFINISHED)
    result = check(f"{path}:Sideways", status=2)
    assert "it accepts none of the usual shapes: give the shape of a sample, such as --inputs 8,8,1" in result.stdout
    for shape in ("8,8,1", "8x8x1"):
        assert "Sideways() is correct" in check(f"{path}:Sideways", "--inputs", shape).stdout
    refused("runs", "--inputs", "3", match="--inputs cannot be combined with runs: give one or the other")


ENTROPIES = """
import numpy as np
import chainrule as cr

class Labels(cr.Loss):
    def forward(self, y, t, memo):
        e = np.exp(y - y.max(axis=1, keepdims=True))
        memo.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(memo.p[np.arange(len(t)), t])

    def backward(self, t, memo):
        dy = memo.p.copy()
        dy[np.arange(len(t)), t] -= 1
        return dy

class OneHot(Labels):
    def forward(self, y, t, memo):
        super().forward(y, np.zeros(len(y), int), memo)
        return -(t * np.log(memo.p)).sum(axis=1)

    def backward(self, t, memo):
        return memo.p - t

class Binary(cr.Loss):
    def forward(self, y, t, memo):
        memo.y = y
        return -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(axis=1)

    def backward(self, t, memo):
        return (memo.y - t) / (memo.y * (1 - memo.y))

class MeanOfAll(cr.Loss):
    def forward(self, y, t, memo):
        memo.error = y - t
        return np.mean(memo.error**2)

    def backward(self, t, memo):
        return memo.error

net = cr.Network(4, [cr.layers.Dense(3), cr.layers.Sigmoid()], Binary(), seed=0)
"""


def test_the_cross_entropies_of_tutorials_are_right():
    """Integer labels, one-hot rows whose p − t is right for nothing else, and probabilities in place of logits."""
    path = written("entropies.py", ENTROPIES)
    for name, note in (
        ("Labels", "the loss is not finite if y is 1,000 times as large"),
        ("OneHot", "the gradient is correct for targets whose rows sum to 1"),
        ("Binary", ""),
    ):
        found = check(f"{path}:{name}").stdout
        assert f"{name}() is correct" in found, found
        assert note in found
    assert "The gradient is correct" in check(f"{path}:net").stdout
    assert "must return the loss of each row, not their mean" in check(f"{path}:MeanOfAll", status=1).stdout


NUMPY = """
import numpy as np
import chainrule as cr

rng = np.random.default_rng(0)
X, y = rng.normal(size=(16, 3)), rng.normal(size=(16, 1))
params = {"W": rng.normal(size=(3, 1)), "b": np.zeros((1, 1))}

def loss(p):
    return np.mean((X @ p["W"] + p["b"] - y) ** 2)

def grads(p):
    error = X @ p["W"] + p["b"] - y
    return {"dW": 2 * X.T @ error / 16, "db": FACTOR * error.mean(keepdims=True)}

class Velocity(cr.optimizers.Optimizer):
    learning_rate, momentum = 0.1, 0.9
    slots = ("v",)

    def step(self, theta, grad, state, rate):
        state.v *= SIGN * self.momentum
        state.v -= rate * grad
        theta += state.v
"""


def test_plain_numpy_and_optimizers_in_a_file():
    right = written("plain.py", NUMPY.replace("FACTOR", "2").replace("SIGN", "1"))
    result = check(right)
    assert "The gradient of loss is correct" in result.stdout
    assert "Velocity() is correct: 20 steps on a quadratic follow Momentum" in result.stdout
    wrong = written("wrong.py", NUMPY.replace("FACTOR", "1").replace("SIGN", "-1"))
    result = check(wrong, status=1)
    assert "db: the analytic gradient is 0.5 times the numeric one: a factor of ½ or 2 from a square" in result.stdout
    assert "the velocity has the wrong sign" in result.stdout
    assert "step  closed form" in result.stdout
    assert [c["kind"] for c in data(f"{wrong}:loss", status=1)["checks"]] == ["function"]


# ---------------------------------------------------------------- the compiled engine


def test_the_compiled_engine_is_compared_part_by_part():
    pytest.importorskip("numba")
    saved("model.safetensors", Dense(3))
    found = data("model.safetensors", "--engine")
    assert found["ok"]
    kinds = {c["kind"] for c in found["engine"]}
    assert kinds == {"layer", "loss", "optimizer", "penalty", "constraint", "clip"}
    names = {c["name"].partition("(")[0] for c in found["engine"]}
    for module in (cr.losses, cr.optimizers, cr.penalties, cr.training.clipping):
        public = {n for n in module.__all__ if n[0].isupper()} - {"Loss", "Optimizer", "Penalty", "Constraint", "Clip"}
        assert public <= names
    assert {"ReLU", "Softmax", "Dropout", "Dense"} <= names
    assert {"Conv2D", "MaxPool2D", "BatchNorm", "Residual"} <= names
    assert [c["name"] for c in found["engine"] if not c["differences"]] == [], "what the compiled engine leaves"


def test_compiled_code_that_differs_is_wrong(monkeypatch):
    pytest.importorskip("numba")
    part = cr.optimizers.RMSProp(0.01)
    monkeypatch.setattr(engines, "_parts", lambda: iter([("optimizer", part, {"optimizer": part})]))
    step = cr.optimizers.RMSProp.step
    monkeypatch.setattr(cr.optimizers.RMSProp, "step", lambda self, *a: step(self, *a[:3], 1.001 * a[3]))
    saved("model.safetensors", Dense(3))
    result = check("model.safetensors", "--engine", status=1)
    assert re.search(r"RMSProp\(learning_rate=0.01\) +optimizer +\d.*WRONG", result.stdout)
    assert (
        "The compiled engine DIFFERS from the reference for RMSProp(learning_rate=0.01); largest difference: "
        in result.stdout
    )


def test_without_the_compiled_engine_it_says_so(monkeypatch):
    monkeypatch.setattr(engine, "installed", lambda: False)
    saved("model.safetensors", Dense(3))
    result = check("model.safetensors", "--engine")
    assert "No compiled engine" in result.stdout
    assert 'pip install -e ".[fast]"' in result.stdout
    assert data("model.safetensors", "--engine")["engine"] is None


# ---------------------------------------------------------------- data for programs


def test_json_has_no_nan_and_every_field():
    found = data(f"{PLANTED}:NotANumber", status=1)
    (layer,) = found["checks"]
    assert found["ok"] is False
    assert layer["error"] is None
    assert layer["faults"] == ["gradient: dx is off by nan: the analytic gradient is not finite"]
    assert layer["parameters"][0]["name"] == "x"
    assert set(layer) == {
        "kind", "name", "ok", "verdict", "error", "order", "parameters", "faults", "notes", "description", "unchecked"
    }  # fmt: skip


# ---------------------------------------------------------------- as wide as the terminal


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_the_terminal(width, monkeypatch):
    from chainrule.cli import check_report as module  # noqa: PLC0415

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    words = ["--inputs", 64, "--layers", "dense 128 weights=he_normal biases=normal, tanh, dense 10"]
    network = check(*words).stdout.partition("\n\n")[2]  # after the layers
    lines = network.splitlines() + check(f"{PLANTED}:SummedWeights", status=1).stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert any("…" in line for line in lines) == (width == 80)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (
            "raises.py",
            b"x = 1\ny = x / 0\n",
            r"raises.py, line 2: ZeroDivisionError: division by zero \(while executing the file",
        ),
        ("exits.py", b"import sys\nsys.exit(3)\n", "exits.py, line 2: SystemExit: 3"),
        ("imports.py", b"import no_such_module\n", "imports.py, line 1: ModuleNotFoundError: No module named 'no_such"),
        ("syntax.py", b"def f(:\n", "syntax.py, line 1: SyntaxError: invalid syntax"),
        ("null.py", b"\0\0", "null.py: .*null bytes"),
        ("latin.py", b"x = '\xff'\n", "latin.py.*SyntaxError.*utf-8"),
        (
            "nothing.py",
            b"import numpy as np\nx = 3\n",
            "nothing to check in nothing.py: expected a Network, Layer, Loss",
        ),
        ("pickled.pkl", pickle.dumps({}), "pickled.pkl: it is a pickle, which could run arbitrary code"),
        ("rows.csv", b"1,2\n", "rows.csv: it is a text"),
    ],
)
def test_a_file_that_cannot_be_checked(name, content, match):
    Path(name).write_bytes(content)
    refused(name, match=match)


def test_a_name_that_is_not_there_or_is_something_else():
    refused(f"{PLANTED}:SumedWeights", match="has no 'SumedWeights'. Did you mean 'SummedWeights'")
    refused(f"{PLANTED}:math", match="math: expected a Network, Layer, Loss, .*got <module 'math'")
    refused(f"{written('none.py', 'x = 3')}:net", match="none.py has no 'net'. It has no name for a Network")


def test_a_place_that_is_no_run(here):
    (here / "empty").mkdir()
    (here / "folder.py").mkdir()
    refused("empty", match="no config.json in empty: expected a folder from a completed chainrule train run")
    refused("nowhere", match="nowhere does not exist: give a folder .*, a .safetensors file or a Python file")
    refused("nowhere.py", match="no such file: nowhere.py")
    refused("folder.py", match="folder.py cannot be read")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["run", "--layers", "dense 3"], "--layers cannot be combined with run: give one or the other"),
        (["--layers", "dense 3"], "give both --inputs and --layers"),
        (["--loss", "huber"], "give both --inputs and --layers"),
        (["--inputs", "x", "--layers", "dense 3"], '--inputs: expected a number of at least 1, or a shape .* got "x"'),
        (["--inputs", "0", "--layers", "dense 3"], "--inputs"),
        (
            ["--inputs", "3", "--layers", "dense"],
            "--layers: \"dense\": missing a required argument: 'units'; Dense takes",
        ),
        (
            ["--inputs", "3", "--layers", "tanh 4"],
            '--layers: "tanh 4": too many positional arguments; Tanh takes nothing',
        ),
        (["--inputs", "3", "--layers", "64,32"], '"64" is a size without a layer: write "dense 64"'),
        (["--inputs", "3", "--layers", "dense 3,,tanh"], "--layers: expected layers such as"),
        (["--inputs", "3", "--layers", "dens 3"], "unknown layer 'dens'. Did you mean 'Dense'"),
        (["--inputs", "3", "--layers", "dense 0"], "Dense: units: .* got 0"),
        (["--inputs", "3", "--layers", "dense 3", "--loss", "hubber"], "unknown loss 'hubber'. Did you mean 'Huber'"),
        (["--inputs", "3", "--layers", "dense 1"], "SoftmaxCrossEntropy: expected a last layer of at least 2 units"),
        (["--inputs", "3x3x1", "--layers", "dense 1"], "Dense.*expects rows of numbers"),
        (["--rows", "1"], "--rows: expected a whole number of at least 2, got 1"),
        (["--seed", "-1"], "--seed: .* got -1"),
        (["--l2", "-1"], "--l2: .* got -1"),
    ],
)
def test_options_that_make_no_sense(arguments, match):
    refused(*arguments, match=match)


def test_the_help_says_that_a_file_is_run():
    text = " ".join(check("--help").stdout.replace("│", " ").split())
    assert "its code is executed, as with python FILE.py" in text
    assert "Exit status: 0 if all checks pass, 1 if any fails, 2 if something cannot be checked." in text
