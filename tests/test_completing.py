"""Completion in bash, and the examples of the help pages, which run as they stand."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import httpx
import pytest
from typer.testing import CliRunner

from chainrule.cli import completing
from chainrule.cli.app import app
from chainrule.cli.examples import EXAMPLES
from commands import COMMANDS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder with a table, a run and the command ``chainrule``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "chainrule"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m chainrule "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "customers.csv").write_text("age;größe;a b;$(touch evil);churned\n1;2;3;4;5\n")
    for name in ("churn", "digits"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    schema = {"columns": [{"name": "customer"}, {"name": "plan"}, {"name": "\x1b[2J"}]}
    (tmp_path / "runs" / "churn" / "schema.json").write_text(json.dumps(schema))
    return tmp_path


def completed(*words):
    """Return what bash offers for the last word."""
    code = (
        'source <(chainrule --show-completion); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        'complete -p chainrule > /dev/null && $(complete -p chainrule | sed "s/.*-F \\([^ ]*\\).*/\\1/") chainrule; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=False, timeout=60
    )  # in this process, so that the variables are those of the function
    assert not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(here):
    assert {"train", "tune"} <= {*completed("chainrule", "t")}
    assert completed("chainrule", "train", "dig") == ["digits"]
    assert completed("chainrule", "train", "cus") == ["customers.csv"]
    assert completed("chainrule", "predict", "runs/c") == ["runs/churn"]
    assert completed("chainrule", "train", "customers.csv", "--target", "ch") == ["churned"]
    assert "--target" in completed("chainrule", "train", "customers.csv", "--tar")


def test_names_are_completed_and_nothing_is_run(here):
    table, run = ["customers.csv"], [here / "runs" / "churn"]
    assert completing.named(table, "") == ["age", "größe", "churned"]
    assert completing.named(table, "age,ch") == ["age,churned"]
    assert completing.named(table, "age,a") == []
    assert completing.named(run, "") == ["customer", "plan"]
    assert completing.named(["nowhere.csv", "runs"], "") == []
    assert completing.runs("runs/") == ["runs/churn", "runs/digits"]
    assert completing.runs("r") == ["runs/"]
    assert completing.places("c") == ["circles", "customers.csv"]
    assert completing.runs("nowhere/x") == []
    assert not (here / "evil").exists()


def test_every_help_page_has_examples():
    assert COMMANDS.keys() == EXAMPLES.keys()
    for name, lines in EXAMPLES.items():
        shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "100"}).stdout
        assert 2 <= len(lines) <= 3
        for line in lines:
            assert line in shown
            assert line.startswith(f"chainrule {name} ")


SERVICES = ("serve", "playground")  # which run until they are stopped


@pytest.mark.slow
def test_the_examples_run(here):
    for package in ("skrub", "optuna", "uvicorn"):
        pytest.importorskip(package)
    shutil.rmtree(here / "runs")
    (here / "customers.csv").unlink()
    order = ["sample", "train", *(name for name in EXAMPLES if name not in ("sample", "train", *SERVICES))]
    for line in (line for name in order for line in EXAMPLES[name]):
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout + done.stderr, line
    pipes = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": os.environ | {"BROWSER": "true"},
    }
    for line in (line for name in SERVICES for line in EXAMPLES[name]):
        with subprocess.Popen(shlex.split(line), **pipes) as process:
            try:
                text = process.stdout.readline() + ("" if "--json" in line else process.stdout.readline())
                if not text or "error" in text:  # another program has the port
                    assert "in use" in process.stderr.read()
                    continue
                address = json.loads(text)["url"] if "--json" in line else re.search(r"http://\S+", text)[0]
                answer = httpx.get(address, timeout=10)
                assert "default-src 'none'" in answer.headers["content-security-policy"]
            finally:
                process.terminate()
