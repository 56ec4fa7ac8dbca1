"""The package as a whole: what importing it loads and costs, and that every public name is documented."""

import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr

ROOT = Path(__file__).parents[1]
MODULES = [name.removeprefix("chainrule.") for name in runpy.run_path(str(ROOT / "docs" / "reference.py"))["MODULES"]]
PUBLIC = [(m, name) for m in MODULES for name in getattr(importlib.import_module(f"chainrule.{m}"), "__all__", ())]


def test_import_loads_few_modules():
    """What an import takes goes by the modules that it loads; ``python -m benchmarks.checks`` measures the milliseconds."""
    code = "import sys, numpy; before = set(sys.modules); import chainrule; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sum(name.startswith("chainrule") for name in loaded) <= 50, loaded
    assert sum(not name.startswith("chainrule") for name in loaded) <= 20, loaded


def test_import_loads_numpy_and_nothing_else():
    code = (
        "import sys, numpy; before = set(sys.modules); import chainrule; "
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {'numpy'})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) == {"chainrule"}


HIDE = """
import runpy, sys
KEEP = {"numpy", "safetensors", "threadpoolctl", "chainrule"} | set(sys.stdlib_module_names)
class Hide:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in KEEP and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_the_core_works_with_its_three_dependencies_alone():
    result = subprocess.run(
        [sys.executable, "-c", HIDE, ROOT / "tests" / "core_only.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "alone" in result.stdout


ALONE = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"safetensors", "threadpoolctl", "numba", "sklearn", "scipy"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Finder())
import numpy as np
import chainrule as cr

model = cr.load(sys.argv[1])
print(model.predict(np.ones((700, 8, 8, 1), np.float32)).shape)  # which take threads of BLAS
"""


def test_a_saved_network_predicts_with_numpy_alone(tmp_path):
    layers = [cr.layers.Conv2D(4, 3), cr.layers.ReLU(), cr.layers.Flatten(), cr.layers.Dense(10)]
    cr.save(cr.Network((8, 8, 1), layers, "softmax_cross_entropy", seed=0), tmp_path / "m.safetensors")
    command = [sys.executable, "-c", ALONE, tmp_path / "m.safetensors"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "(700, 10)\n", result.stderr


def test_a_missing_extra_names_the_command_to_type():
    code = "import chainrule as cr; cr.datasets.load_digits()"
    script = HIDE.replace("runpy.run_path(sys.argv[1], run_name='__main__')", "").rpartition("runpy")[0] + code
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert 'Type: pip install -e ".[' in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_name_has_a_page_with_an_example(module, name):
    thing = getattr(importlib.import_module(f"chainrule.{module}"), name)
    if not callable(thing):
        return
    text = inspect.getdoc(thing) or ""
    assert len(text) > 30, f"chainrule.{module}.{name} has no docstring"
    is_error = isinstance(thing, type) and issubclass(thing, Exception)
    abstract = inspect.isabstract(thing)
    small = isinstance(thing, type) and (
        issubclass(thing, tuple) or name in {"GradientReport", "LayerReport", "ParameterCheck", "Run"}
    )
    if not (is_error or abstract or small or name == "load"):
        assert ">>>" in text, f"chainrule.{module}.{name} has no example that runs"


@pytest.mark.parametrize("name", cr.__all__)
def test_every_name_of_the_package_is_there(name):
    assert getattr(cr, name) is not None


def test_names_that_load_on_first_use_are_listed():
    assert {*cr.__all__} <= {*dir(cr)}
    assert {*cr.tables.__all__} <= {*dir(cr.tables)}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nework'"):
        cr.Nework  # noqa: B018


@pytest.mark.slow
def test_the_reference_lists_every_public_name():
    """docs/reference.md is what docs/reference.py prints."""
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "reference.py", "-"], capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == made.stdout, "run: python docs/reference.py"


def test_numba_and_cupy_are_named_nowhere_else():
    for path in (ROOT / "src").rglob("*.py"):
        if "compiled" not in path.parts and path.name not in {"engine.py", "backend.py"}:
            assert not re.search(r"\b(numba|cupy)\b", path.read_text(encoding="utf-8")), path


def test_shapes_in_signatures_are_strings():
    """A fixer that takes "batch inputs" for a forward reference removes its quotes, and with them the check."""
    for path in (ROOT / "src").rglob("*.py"):
        found = re.findall(r"(?:Float|Int|Num|Shaped)\[Array, [^\"].*", path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found}"


def test_links_in_the_documents_lead_somewhere():
    for document in [path for room in ("*", "docs/*", "docs/book/*", "examples/*") for path in ROOT.glob(f"{room}.md")]:
        text = re.sub(r"`[^`\n]*`", "", document.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"
