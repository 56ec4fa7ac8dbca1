"""The benchmarks: the command runs, prints what it promises, and everyone in it learns the same."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
MNIST = Path(os.environ.get("CHAINRULE_DATA") or ROOT.parent / "shared" / "data" / "mnist")
OURS = [name for name, package in (("chainrule", "numba"), ("chainrule, NumPy", "numpy")) if importlib.util.find_spec(package)]  # fmt: skip
RESULT = {"workload", "group", "title", "unit", "contestants", "ratios", "left_out", "failed"}


def run(*arguments, code=("-m", "benchmarks"), mnist=True, fails=False):
    """Return what the command prints, after it has run with tiny sizes."""
    environment = {name: value for name, value in os.environ.items() if name != "CHAINRULE_DATA"}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # the machine may be busy
    if mnist and MNIST.is_dir():
        environment["CHAINRULE_DATA"] = str(MNIST)
    done = subprocess.run(
        [sys.executable, "-W", "error", *code, "--quick", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def results(*arguments, **options):
    return {result["workload"]: result for result in json.loads(run("--json", *arguments, **options))["results"]}


def test_json_of_a_row():
    printed = json.loads(run("--json", "--repeats", "2", "digits"))
    assert {*printed} == {"machine", "versions", "repeats", "quick", "results"}
    assert printed["machine"]["cores"] >= 1
    assert {"Python", "NumPy", "chainrule"} <= {*printed["versions"]}
    (result,) = printed["results"]
    assert {*result} == RESULT
    assert [*result["contestants"]] == [*OURS, "scikit-learn", "bare products"]
    for contestant in result["contestants"].values():
        assert len(contestant["runs"]) == printed["repeats"] == 2
        assert min(contestant["runs"]) <= contestant["median"] <= max(contestant["runs"])
    peer = result["contestants"]["scikit-learn"]["median"]
    for name in OURS:
        ours = result["contestants"][name]["median"]
        assert result["ratios"][f"scikit-learn / {name}"] == pytest.approx(peer / ours)
        assert f"{name} / bare products" in result["ratios"]


def test_everyone_learns_the_same_and_every_kind_of_workload_runs(tmp_path):
    """One of each group, and all steps; Numba's first use takes too long here, and memory is measured below."""
    listed = dict(line.split(": ") for line in run("--list").splitlines())
    chosen = {group: names.split()[0] for group, names in listed.items() if group not in {"first-use", "memory"}}
    picture = tmp_path / "growth.png"
    found = results(*chosen.values(), "steps", "predict-10000", "batch-8", "--picture", str(picture))
    assert {*chosen.values()} <= {*found}
    for name, result in found.items():
        assert result["failed"] == {}, name
        if name == "accuracy-97" and not MNIST.is_dir():
            continue
        assert {"chainrule, NumPy", "chainrule"} & {*result["contestants"]}, name
        reached = [contestant["reached"] for contestant in result["contestants"].values()]
        for what in ("loss", "mean_largest", "largest"):
            values = [values[what] for values in reached if what in values]
            # dropout drops other values in each, and scikit-learn has one output for two classes
            exact = name not in {"dropout", "moons"}
            assert values == pytest.approx(values[:1] * len(values), rel=1e-4 if exact else 0.5), (name, what)
    assert picture.stat().st_size > 10_000


def test_other_libraries_learn_the_same_with_the_same_number_of_threads():
    peers = {"PyTorch": "torch", "JAX": "jax", "Keras": "keras"}
    names = [name for name, package in peers.items() if importlib.util.find_spec(package)]
    work = ("lenet-128-1", "small-1", "train-deep1", "train-layernorm")
    found = results(*work, "--contestants", "chainrule, NumPy", *names)
    for name, result in found.items():
        assert result["failed"] == {}, name
        losses = [contestant["reached"]["loss"] for contestant in result["contestants"].values()]
        assert losses == pytest.approx(losses[:1] * len(losses), rel=1e-4), name
        settings = [[*contestant["tried"]] for contestant in result["contestants"].values()]
        assert settings == [[] if name == "train-layernorm" else ["1 thread"]] * len(losses), name


def test_floor_of_prediction():
    (result,) = results("predict-10000").values()
    ours = {"chainrule", "chainrule, NumPy"} & {*result["contestants"]}
    floor = ("bare products", "rows read once")
    assert {f"{name} / {part}" for name in ours for part in floor} <= {*result["ratios"]}


def test_times_of_the_mnist_page():
    merge = runpy.run_path(str(ROOT / "benchmarks" / "mnist.py"))["merge"]
    known = {"conv": [{"seed": 0, "error": 0.5, "seconds": 9.0, "parameters": 3, "curve": [0.1]}]}
    faster = {"seed": 0, "error": 0.5 + 1e-12, "seconds": 4.04, "parameters": 3, "curve": [0.1000001]}
    assert merge(known, {"conv": [faster]}) == []
    assert known["conv"] == [{"seed": 0, "error": 0.5, "seconds": 4.0, "parameters": 3, "curve": [0.1]}]
    other = {"seed": 1, "error": 0.61, "seconds": 5.0, "parameters": 3, "curve": [0.2]}
    assert merge(known, {"conv": [faster | {"error": 0.52}, other]}) == [
        "conv, seed 0: 0.52 %, was 0.50 %",
        "conv, seed 1: 0.61 %, was not known",
    ]
    assert [run["error"] for run in known["conv"]] == [0.52, 0.61]


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="this system has no ru_maxrss")
def test_memory():
    result = results("memory", "--contestants", "chainrule, NumPy")["memory"]
    reached = result["contestants"]["chainrule, NumPy"]["reached"]
    assert reached["data_and_extra_MiB"] == pytest.approx(
        reached["data_MiB"] + result["contestants"]["chainrule, NumPy"]["median"]
    )


def test_tables():
    lines = run("predict-1").splitlines()
    assert lines[0].startswith("Python 3")
    assert "## prediction" in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith("| workload | contestant | µs a call | least … most | / chainrule")
    assert any("scikit-learn / ours" in line for line in table)
    assert len({line.count("|") for line in table[:4]}) == 1


def test_accuracy_on_public_tables():
    pytest.importorskip("pandas")
    printed = run("wine", "--seeds", "1", "--models", "linear", code=("-m", "benchmarks.tabular"))
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert rows[0] == "| model | tables | error | mean rank | log-loss | ECE | ECE if perfect | seconds |"
    assert rows[2].startswith("| linear | 1 | 0.0")


def test_small_tables():
    """Those of scikit-learn; the others need a package."""
    pytest.importorskip("pandas")
    printed = run("--seeds", "1", code=("-m", "benchmarks.small_tables"))
    assert re.search(r"^diabetes target +60 rows +[-+]\d+\.\d standard errors$", printed, re.MULTILINE)
    assert re.search(
        r"^classes \{'comparisons': '[23]', 'ensemble ahead': '\d', 'linear model ahead': '\d'\}$", printed, re.M
    )


def test_the_playground():
    pytest.importorskip("websockets")
    lines = run(code=("-m", "benchmarks.playground")).splitlines()
    assert len(lines) == 4
    for line in lines:
        assert float(re.search(r"([\d.]+) frames/s", line)[1]) <= 40  # in half a second, one more or less
        assert re.search(r"step [\d,]+, \d+% of a core, \d+ -> \d+ MiB$", line)


def test_a_service_under_load():
    printed = run(code=("-m", "benchmarks.serve"))
    assert re.search(
        r"single rows: 200 requests, [\d,]+ rows/s\n  median [\d.]+ ms, 99th percentile [\d.]+ ms\n", printed
    )
    assert re.search(r"10,000 rows a request: [\d,]+ rows/s", printed)


def test_many_rows_through_predict():
    pytest.importorskip("polars")
    printed = run(code=("-m", "benchmarks.million"))
    assert [line.split(" rows in ")[0] for line in printed.splitlines()[1:]] == [
        "6 columns, CSV: 1,000",
        "94 columns, Parquet: 1,000",
    ]


def test_who_is_not_here_is_named():
    hidden = "import runpy, sys; sys.modules |= {'jax': None, 'torch': None}; runpy.run_module('benchmarks', None, '__main__', True)"  # fmt: skip
    printed = run("digits", "--contestants", "chainrule, NumPy", "PyTorch", "JAX", code=("-c", hidden))
    assert "Without PyTorch: torch is not installed (digits)" in printed
    assert "Without JAX: jax is not installed (digits)" in printed
    assert "## steps" in printed


def test_without_mnist_its_workloads_are_left_out():
    found = results("defaults-mnist", "accuracy", mnist=False)
    assert len(found) == 3
    for result in found.values():
        assert result["contestants"] == {}
        assert "CHAINRULE_DATA" in result["left_out"]["this workload"]
    printed = run("accuracy", mnist=False)
    assert "CHAINRULE_DATA" in printed


@pytest.mark.parametrize(("arguments", "message"), [(["digit"], "--list"), (["--repeats", "0"], "at least 1")])
def test_what_does_not_exist_is_refused(arguments, message):
    assert message in run(*arguments, fails=True)
