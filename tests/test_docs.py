"""The code in README and docs runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = [
    pytest.param(code, id=f"{document.name}-{i}")
    for document in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL))
    if "import" in code
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_in_the_documents_runs(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "block", "exec"), {})
    if "Sine" in code:
        assert (
            "layer 1, Sine(): the dx returned by backward is not the derivative of forward" in capsys.readouterr().out
        )


def without_numbers(text):
    """The digits that are rounding, and how wide the columns are, do not matter."""
    return [" ".join(re.sub(r"\d\.\de-\d\d", "#", line).split()) for line in text.strip().splitlines()]


def test_the_gradient_check_says_of_a_layer_what_its_page_says(tmp_path):
    page = (ROOT / "docs" / "gradient-check.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?class Softsign.*?)```", page, re.DOTALL)
    wrong, right = (text for text in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if "Softsign" in text)
    fixed = code.replace("self.size", "memo.size").replace("dy / memo.size", "dy / memo.size**2")
    for text, said, status in ((code, wrong, 1), (fixed, right, 0)):
        (tmp_path / "softsign.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "chainrule.cli", "check", "softsign.py"]
        done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, encoding="utf-8")
        assert without_numbers(done.stdout) == without_numbers(said), done.stdout
        assert done.returncode == status
