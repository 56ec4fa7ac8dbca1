"""The imports of the package: none points upwards, and there is no circle."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = runpy.run_path(str(ROOT / "tools" / "house.py"))
GRAPH, UPWARD = HOUSE["examine"](ROOT / "src" / "chainrule")


def test_no_import_points_upwards():
    assert not UPWARD


def test_there_is_no_circle():
    assert not HOUSE["circles"](GRAPH)
