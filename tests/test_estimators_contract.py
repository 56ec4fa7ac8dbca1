"""scikit-learn's contract, judged by scikit-learn: its own test file and its estimator checks, run on our classes."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

EXPECTED_PASSES = 53  # of scikit-learn 1.9.1; two of them need pandas and polars and skip without
THEIR_IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
OUR_IMPORT = "from chainrule import MLPClassifier, MLPRegressor\n"

CONFTEST = """\
import pytest


@pytest.fixture
def global_random_seed():
    return 0
"""


def touches_private_attribute(function):
    """True for `x._name` anywhere in it, dunders aside."""
    return any(
        isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        for node in ast.walk(function)
    )


def private_tests(source):
    """Return the names of the tests in a file that reach into an estimator's underscore attributes."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and touches_private_attribute(node)
    ]


def environment():
    """Return that of a fresh process: nothing of this run of pytest."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


@pytest.mark.slow
def test_scikit_learns_own_test_file_passes(tmp_path):
    specification = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if specification is None:
        pytest.skip("this scikit-learn was installed without its tests")
    source = Path(specification.origin).read_text(encoding="utf-8")
    assert source.count(THEIR_IMPORT) == 1
    (tmp_path / "test_mlp.py").write_text(source.replace(THEIR_IMPORT, OUR_IMPORT), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "empty.ini").write_text("[pytest]\n", encoding="utf-8")
    private = private_tests(source)
    assert 0 < len(private) < 10
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "empty.ini", "--rootdir", "."]
    command += [f"--deselect=test_mlp.py::{name}" for name in private]
    done = subprocess.run(
        [*command, "test_mlp.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    report = done.stdout[-6000:] + done.stderr[-2000:]
    assert done.returncode == 0, report
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|skipped|xfailed|xpassed)", done.stdout)}
    without = sum(importlib.util.find_spec(name) is None for name in ("pandas", "polars"))
    skipped = counts.pop("skipped", 0)
    assert skipped <= without, report
    assert counts.pop("passed", 0) + skipped >= EXPECTED_PASSES, report
    assert counts == {}, report


# Run outside, as its users run it: without the type checks of our own tests, which refuse what the checks try out.
CHECKS = """\
import json
import sys
import warnings

import chainrule
from sklearn import neural_network
from sklearn.utils.estimator_checks import check_estimator

warnings.simplefilter("ignore")
where, kind, parameters = {"ours": chainrule, "theirs": neural_network}[sys.argv[1]], sys.argv[2], json.loads(sys.argv[3])
results = check_estimator(getattr(where, kind)(**parameters), on_fail=None, on_skip=None)
print(json.dumps([[r["check_name"], r["status"], str(r["exception"])] for r in results]))
"""


@cache
def checks(which, kind, parameters):
    """Return [name of a check, its status, what it raised] for all of scikit-learn's checks."""
    command = [sys.executable, "-W", "ignore", "-c", CHECKS, which, kind, parameters]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


COMMON = {
    "max_iter": 100,
    "dropout": 0.1,
    "input_dropout": 0.05,
    "activation": ["gelu"],
    "l1": 1e-5,
    "max_norm": 4.0,
    "gradient_clip": 5.0,
    "solver": "adamw",
    "learning_rate_init": 0.01,
}


def cannot_hold(name, parameters):
    """True for the checks that a new parameter contradicts: drawn units do not repeat with repeated rows.

    Nor do weights count for the mean and variance of a batch.
    """
    return bool(parameters.keys() & {"dropout", "batch_norm"}) and name.startswith("check_sample_weight_equivalence")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("MLPClassifier", {"max_iter": 100}),
        ("MLPClassifier", {**COMMON, "class_weight": "balanced"}),
        ("MLPRegressor", {"max_iter": 100}),
        ("MLPRegressor", {**COMMON, "loss": "huber"}),
        ("MLPRegressor", {"max_iter": 100, "batch_norm": True}),
    ],
    ids=["classifier", "classifier-new", "regressor", "regressor-new", "normalised"],
)
def test_check_estimator(kind, parameters):
    expected = checks("theirs", kind, json.dumps({"max_iter": 100}))
    found = checks("ours", kind, json.dumps(parameters))
    skipped_by_theirs = {name for name, status, _ in expected if status == "skipped"}
    wrong = [
        (name, status, raised)
        for name, status, raised in found
        if status != "passed" and not (status == "skipped" and name in skipped_by_theirs)
        if not cannot_hold(name, parameters)
    ]
    assert not wrong
    # With class_weight there are more checks than for theirs; there are never fewer.
    assert {name for name, _, _ in expected} <= {name for name, _, _ in found}
