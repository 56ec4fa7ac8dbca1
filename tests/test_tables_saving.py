"""The folder of a run: the same predictions after loading, and nothing but what chainrule writes is loaded."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import small_tables
from chainrule.files.values import ModelFileError
from chainrule.tables import saving, skops_files
from chainrule.tables.casting import cast

pytestmark = pytest.mark.slow

TASKS = tuple(small_tables.TARGETS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every task trained and saved, once."""
    found = {}
    for task in TASKS:
        trained = small_tables.trained(task)
        folder = tmp_path_factory.mktemp(task) / "run"
        saving.save(trained, folder)
        found[task] = trained, folder
    return found


@pytest.fixture
def folder(runs, tmp_path):
    """A copy of a run, to be damaged."""
    return shutil.copytree(runs["binary"][1], tmp_path / "run")


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_the_same_to_the_bit_after_loading(runs, task):
    trained, folder = runs[task]
    loaded = saving.load(folder)
    rows = cast(small_tables.frame(70, seed=5), trained.schema.columns)
    assert loaded.schema == trained.schema
    assert np.array_equal(loaded.pipeline.predict(rows), trained.pipeline.predict(rows))
    if task != "regression":
        assert np.array_equal(loaded.pipeline.predict_proba(rows), trained.pipeline.predict_proba(rows))
    assert (loaded.widths.rows > 0) == (task == "regression")


def test_another_process_predicts_the_same(runs):
    trained, folder = runs["multiclass"]
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import small_tables; from chainrule.tables import saving, casting\n"
        "run = saving.load(sys.argv[1]); rows = casting.cast(small_tables.frame(9, seed=5), run.schema.columns)\n"
        "print(run.pipeline.predict_proba(rows).tobytes().hex())"
    )
    tests = str(small_tables.__file__).rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, str(folder), tests], capture_output=True, text=True, check=True)
    rows = cast(small_tables.frame(9, seed=5), trained.schema.columns)
    assert done.stdout.strip() == trained.pipeline.predict_proba(rows).tobytes().hex()


def test_the_folder_says_how_the_run_is_repeated(runs):
    trained, folder = runs["regression"]
    assert {path.name for path in folder.iterdir()} | {"pipeline.onnx"} == set(saving.FILES)
    config = json.loads((folder / "config.json").read_text())
    assert config["command"] == trained.command
    assert config["sha256"] == trained.sha256
    assert config["scores"] == trained.scores
    assert config["versions"].keys() >= {"python", "chainrule", "skrub", "scikit-learn"}
    assert (folder / "history.csv").read_text().count("\n") == len(trained.history) + 1
    assert "price" in (folder / "report.html").read_text()


def test_a_run_is_replaced_only_on_purpose(runs, folder):
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="already contains a run"):
        saving.save(runs["regression"][0], folder)
    saving.save(runs["regression"][0], folder, overwrite=True)
    assert saving.load(folder).schema.task == "regression"
    assert (folder / "mine.txt").read_text() == "kept"


def test_a_file_is_no_folder(runs, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        saving.save(runs["binary"][0], tmp_path / "run")


def test_what_is_no_run_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="is not a folder that chainrule train wrote"):
        saving.load(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match=f"Give the folder that contains it: {re.escape(str(folder))}"):
        saving.load(folder / "config.json")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        saving.load(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        saving.load(folder)


# ---------------------------------------------------------------- files of another run


@pytest.mark.parametrize("name", saving.LOADED)
def test_a_file_of_another_run_or_a_damaged_one_is_named(runs, folder, name):
    shutil.copy(runs["multiclass"][1] / name, folder / name)
    with pytest.raises(ModelFileError, match=f"{re.escape(name)}: it was changed after saving"):
        saving.load(folder)
    (folder / name).write_bytes((runs["binary"][1] / name).read_bytes()[:-9])
    with pytest.raises(ModelFileError, match=f"{re.escape(name)}: it was changed after saving"):
        saving.load(folder)


def test_a_network_of_another_run_is_refused(runs, folder):
    small_tables.rewritten(folder, "model.safetensors", (runs["multiclass"][1] / "model.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match="the network has the classes"):
        saving.load(folder)


def test_what_could_not_be_loaded_is_not_saved():
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    with pytest.raises(ValueError, match=r"could not be loaded: .*LinearRegression"):
        skops_files.dumps(LinearRegression())
