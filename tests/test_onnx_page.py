"""The page of examples/browser in a real browser: onnxruntime-web predicts what Python does, from values as typed."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule import tables
from test_docs import ROOT

pytestmark = pytest.mark.slow
PAGE = ROOT / "examples" / "browser"
ROW = {"age": "61,5", "plan": "pro", "since": "2024-05-03", "loyal": "", "note": "b7"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder with the page, its runtime and a run, and the model with NumPy alone."""
    if not (PAGE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("onnxruntime-web is not installed: npm --prefix examples/browser ci --ignore-scripts")
    folder = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(0)
    rows = 120
    age = rng.normal(40, 12, rows).round(1)
    frame = pl.DataFrame({
        "age": age, "plan": rng.choice(["basic", "pro"], rows), "since": [f"20{20 + i % 5}-0{1 + i % 9}-11" for i in range(rows)],
        "loyal": rng.choice([True, False, None], rows), "note": [f"b{i % 40}" for i in range(rows)],
        "left": np.where(age + rng.normal(0, 9, rows) > 40, "yes", "no"),
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables.save(tables.train(frame, "left", parameters={"max_iter": 5}), folder / "run")
    for path in (PAGE / "page.html", folder / "run" / "pipeline.onnx", folder / "run" / "schema.json"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(PAGE / "node_modules")
    return folder, cr.load(folder / "run")


@contextmanager
def served(folder):
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=folder, stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield int(re.search(r"port (\d+)", server.stdout.readline())[1])
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def shown(folder, filled=""):
    """Return the page as a browser shows it, with some fields filled in."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    assert "    await predict();\n" in page
    (folder / "page.html").write_text(page.replace("    await predict();\n", f"    {filled}\n    await predict();\n"))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    with served(folder) as port:
        done = subprocess.run([browser, *arguments, f"http://127.0.0.1:{port}/page.html"], capture_output=True,
                              text=True, check=True, timeout=120)  # fmt: skip
    return re.search(r"<output>(.*)</output>", done.stdout, re.DOTALL)[1]


def test_the_page_predicts_what_python_does(site):
    folder, model = site
    order = [column.name for column in model.schema.used]
    output = shown(folder, "".join(f"fields[{order.index(name)}].value = {value!r};" for name, value in ROW.items()))
    row = {**ROW, "age": 61.5, "loyal": None}
    assert f"<strong>{model.predict(row)[0]}</strong>" in output
    for name, p in zip(model.classes_, model.predict_proba(row)[0], strict=True):
        assert f"<td>{name}</td>" in output
        assert f"<td>{p:.3f}</td>" in output


def test_a_row_of_typical_values_is_there_at_first(site):
    folder, model = site
    row = {column.name: column.typical for column in model.schema.used}
    assert f"<td>{model.predict_proba(row)[0, 1]:.3f}</td>" in shown(folder)


def test_a_wrong_value_is_a_sentence(site):
    folder, model = site
    order = [column.name for column in model.schema.used]
    assert "since: expected a date such as 2024-12-31, got soon." in shown(
        folder, f"fields[{order.index('since')}].value = 'soon';"
    )
