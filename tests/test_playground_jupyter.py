"""The playground's widget in a real JupyterLab, in a real browser; skipped where they are not installed."""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

import browsers
import chainrule as cr

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="JupyterLab is not installed: extra engines"),
]

SETTINGS = ["--ServerApp.token=", "--ServerApp.password=", "--no-browser", "--allow-root", "--ip=127.0.0.1"]


@pytest.fixture
def lab(tmp_path):
    """Start JupyterLab in an empty folder."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    cells = [
        "import chainrule as cr\nw = cr.playground.widget('hidden-layer')\nw",
        "print(w.state['data']['name'], w.code().count('cr.train('))",
    ]
    notebook = {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": cell, "execution_count": None, "outputs": []}
            for i, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (tmp_path / "lesson.ipynb").write_text(json.dumps(notebook))
    environment = os.environ | {
        "PYTHONPATH": str(Path(cr.__file__).parents[1]), "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython"),
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", *SETTINGS, f"--notebook-dir={tmp_path}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            next(line for line in process.stderr if "is running at" in line)
            yield f"http://127.0.0.1:{port}/lab/tree/lesson.ipynb?reset"
        finally:
            process.terminate()
            process.stderr.close()


@pytest.mark.parametrize("name", browsers.EACH)
def test_a_lesson_in_jupyterlab(lab, name):
    with browsers.browser(name) as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(lab)
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.keyboard.press("Shift+Enter")
        page.locator(".playground .unit:not(.input)").first.wait_for()
        page.get_by_role("button", name="Run", exact=True).click()
        step = page.locator(".readings dd").first
        expect(step).to_have_text(re.compile(r"\d{2,}"), timeout=60_000)
        page.keyboard.press("d")
        page.keyboard.press("d")  # in the notebook, this deletes a cell
        page.get_by_role("button", name="Interrupt the kernel").click()
        page.get_by_role("button", name="Run", exact=True).wait_for()
        page.locator(".jp-Notebook .jp-Cell .jp-InputArea-editor").nth(1).click()
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-OutputArea-output pre")).to_have_text("xor 1\n")
