"""scikit-learn's contract, judged by scikit-learn: its own test file and its estimator checks, run on our classes."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.utils.estimator_checks import check_estimator

from chainrule import MLPClassifier, MLPRegressor

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
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [*command, "test_mlp.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    report = done.stdout[-6000:] + done.stderr[-2000:]
    assert done.returncode == 0, report
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|skipped|xfailed|xpassed)", done.stdout)}
    without = sum(importlib.util.find_spec(name) is None for name in ("pandas", "polars"))
    skipped = counts.pop("skipped", 0)
    assert skipped <= without, report
    assert counts.pop("passed", 0) + skipped >= EXPECTED_PASSES, report
    assert counts == {}, report


def checks(estimator):
    """Return {name of a check: its status}; a name that comes more than once is numbered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    status, seen = {}, {}
    for result in results:
        name = result["check_name"]
        seen[name] = seen.get(name, 0) + 1
        status[name, seen[name]] = (result["status"], result["exception"])
    return status


COMMON = {
    "dropout": 0.1,
    "input_dropout": 0.05,
    "activation": ["gelu"],
    "l1": 1e-5,
    "max_norm": 4.0,
    "gradient_clip": 5.0,
    "solver": "adamw",
    "learning_rate_init": 0.01,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "parameters"),
    [
        (MLPClassifier, {}),
        (MLPClassifier, {**COMMON, "class_weight": "balanced", "label_smoothing": 0.05}),
        (MLPRegressor, {}),
        (MLPRegressor, {**COMMON, "loss": "huber"}),
        (MLPRegressor, {"loss": "quantile", "quantile": 0.4, "solver": "rmsprop"}),
    ],
    ids=["classifier", "classifier-new", "regressor", "regressor-new", "regressor-quantile"],
)
def test_check_estimator(ours, parameters):
    theirs = getattr(neural_network, ours.__name__)
    expected = checks(theirs(max_iter=100))
    found = checks(ours(max_iter=100, **parameters))
    skipped_by_theirs = {name for name, (status, _) in expected.items() if status == "skipped"}
    wrong = {
        name: result
        for name, result in found.items()
        if result[0] != "passed" and not (result[0] == "skipped" and name in skipped_by_theirs)
    }
    assert not wrong
    missing = {name for name, _ in expected} - {name for name, _ in found}
    # A classifier with class_weight gets more checks than theirs, never fewer.
    assert not missing
