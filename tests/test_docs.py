"""The code in README and docs runs as it stands there."""

import re
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
            "layer 1, Sine(): the dx that backward returns is not the derivative of forward" in capsys.readouterr().out
        )
