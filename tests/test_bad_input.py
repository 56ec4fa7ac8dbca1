"""Bad input gets one clear sentence, of the right kind, before anything is changed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bad_input_cases import CASES


@pytest.fixture(scope="module")
def said():
    program = Path(__file__).with_name("bad_input_cases.py")
    result = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_a_clear_sentence(said, name):
    _, kind, parts = CASES[name]
    raised, message = said[name]
    assert raised == kind.__name__, f"{name}: {raised}: {message}"
    for part in parts:
        assert part in message, f"{name}: {part!r} is not in: {message}"
    assert "\n" not in message
    assert len(message) < 400
