"""The imports of the package: none points upwards, and there is no circle."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = runpy.run_path(str(ROOT / "tools" / "house.py"))


@pytest.fixture(scope="module")
def imports():
    return HOUSE["examine"](ROOT / "src" / "chainrule")


def test_no_import_points_upwards(imports):
    _, upward = imports
    assert not upward


def test_there_is_no_circle(imports):
    graph, _ = imports
    assert not HOUSE["circles"](graph)
