"""The textbook: what a learner reads is plain and fits a screen, and CONTRIBUTING's recipe works."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ROOT / "src" / "chainrule" / "layers"
SCREEN = 60  # lines


def classes():
    """Yield each layer's name and the tree of its class."""
    for path in sorted(LAYERS.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            methods = {m.name: m for m in getattr(node, "body", []) if isinstance(m, ast.FunctionDef)}
            if isinstance(node, ast.ClassDef) and {"forward", "backward"} <= methods.keys() and node.name != "Layer":
                yield pytest.param(node, methods, id=node.name)


@pytest.mark.parametrize(("cls", "methods"), list(classes()))
def test_forward_and_backward_are_one_screen_of_plain_code(cls, methods):
    forward, backward = methods["forward"], methods["backward"]
    assert backward.lineno - forward.end_lineno == 2, "backward stands right under forward"
    assert backward.end_lineno - forward.lineno + 1 <= SCREEN
    inside = [node for method in methods.values() for node in ast.walk(method) if node is not method]
    assert not [node for node in inside if isinstance(node, ast.FunctionDef | ast.Lambda)], "no function in a layer"


def test_layers_import_no_threads_and_no_caches():
    for path in LAYERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                line = ast.unparse(node)
                assert not re.search("thread|concurrent|functools|contextvars", line), f"{path.name}: {line}"


FOLLOWED = """
import numpy as np
import chainrule as cr
import variants
from chainrule.files import networks
from chainrule.layers import Dense, Squareplus
from chainrule.losses import LogCosh
from chainrule.optimizers import SignSGD
from chainrule.schedules import Polynomial
from chainrule.tracing.equations import equations_of

there = {type(case[0]) for case in (*variants.LAYERS, *variants.LOSSES, *variants.OPTIMIZERS, *variants.SCHEDULES)}
assert {Squareplus, LogCosh, SignSGD, Polynomial} <= there

for case in (case for case in variants.LAYERS if type(case.layer) is Squareplus):
    memo, x = cr.Memo(), np.linspace(-5, 5, 20).reshape(4, 5)
    np.testing.assert_allclose(case.layer.forward(x, memo), np.vectorize(case.value)(x))
    np.testing.assert_allclose(case.layer.backward(np.ones_like(x), memo), np.vectorize(case.slope)(x))
    assert cr.check_layer(case.layer)
for case in (case for case in variants.LOSSES if type(case.loss) is LogCosh):
    y, t = np.random.default_rng(0).normal(size=(2, 4, 3))
    np.testing.assert_allclose(case.loss.forward(y, t, cr.Memo()), list(map(case.value, y, t)))
for case in (case for case in variants.OPTIMIZERS if type(case.optimizer) is SignSGD):
    theta = np.array([0.5])
    case.optimizer.update(theta, np.array([-3.0]), case.optimizer.start(theta))
    np.testing.assert_allclose(theta, case.step(0.5, -3.0, {}, 1, case.optimizer.learning_rate))
for case in (case for case in variants.SCHEDULES if type(case.schedule) is Polynomial):
    assert all(abs(case.schedule.factor(epoch, 10) - factor) < 1e-12 for epoch, factor in case.values.items())
for thing in (Squareplus(), LogCosh(), SignSGD()):
    assert type(thing).__name__ not in equations_of(thing).forward

X = np.random.default_rng(0).normal(size=(40, 3))
network = cr.Network(3, [Dense(4), "squareplus", Dense(2)], "log_cosh", seed=0)
cr.train(network, X, X[:, :2], optimizer="sign_sgd", schedule="polynomial", epochs=3, seed=0)
networks.save(network, "network.safetensors")
np.testing.assert_array_equal(networks.load("network.safetensors").predict(X), network.predict(X))
assert [node.op_type for node in cr.onnx.convert(network).graph.node].count("Sqrt") == 1
model = cr.MLPClassifier((4,), activation="squareplus", solver="signsgd", max_iter=2, random_state=0)
model.fit(X, X[:, 0] > 0)
assert isinstance(model.network_.layers[1], Squareplus)
"""


def follow(block: str, package: Path, tests: Path) -> None:
    """Do what a block of CONTRIBUTING says: its first line names the file, and the list in it."""
    where, code = block.removeprefix("# ").split("\n", 1)
    name, _, table = where.partition(", in ")
    if table:
        path, marker = tests / Path(name).name, "# What the tests ask the table"
        text = path.read_text(encoding="utf-8").replace(marker, f"{table} += {code}\n\n{marker}")
    else:
        path = package / Path(name).relative_to("src/chainrule")
        text = path.read_text(encoding="utf-8") + "\n\n" + code
        if (cls := re.search(r"^class (\w+)", code, re.MULTILINE)) is not None:
            text = text.replace("__all__ = [", f'__all__ = ["{cls[1]}", ', 1)
    path.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_recipe_of_contributing_works(tmp_path):
    pytest.importorskip("onnx")
    package, tests = tmp_path / "src" / "chainrule", tmp_path / "tests"
    shutil.copytree(ROOT / "src" / "chainrule", package, ignore=shutil.ignore_patterns("__pycache__"))
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "variants.py", tests)
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## Add a layer, a loss") : text.index("## How the code is laid out")]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 9
    for block in blocks:
        follow(block, package, tests)
    env = dict(os.environ, PYTHONPATH=f"{package.parent}{os.pathsep}{tests}", CHAINRULE_KERNELS="reference")
    command = [sys.executable, "-W", "ignore", "-c", FOLLOWED]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
