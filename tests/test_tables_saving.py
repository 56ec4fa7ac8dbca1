"""The folder of a run: the same predictions after loading, and nothing but what chainrule writes is loaded."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import small_tables
from chainrule._values import ModelFileError
from chainrule.tables import saving, trusted
from chainrule.tables.casting import cast

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
    assert config["versions"].keys() >= {"python", "chainrule", "skops", "scikit-learn"}
    assert (folder / "history.csv").read_text().count("\n") == len(trained.history) + 1
    assert "price" in (folder / "report.html").read_text()


def test_a_run_is_replaced_only_on_purpose(runs, folder):
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="has a run already"):
        saving.save(runs["regression"][0], folder)
    saving.save(runs["regression"][0], folder, overwrite=True)
    assert saving.load(folder).schema.task == "regression"
    assert (folder / "mine.txt").read_text() == "kept"


def test_a_file_is_no_folder(runs, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(NotADirectoryError, match="a folder was expected"):
        saving.save(runs["binary"][0], tmp_path / "run")


def test_what_is_no_run_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        saving.load(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match=f"Give the folder it is in: {re.escape(str(folder))}"):
        saving.load(folder / "config.json")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        saving.load(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: there is no such file"):
        saving.load(folder)


# ---------------------------------------------------------------- files that nobody vouches for


def rewritten(folder, name, content):
    """Put a file into a run, and its digest into config.json, as whoever crafts a run would."""
    (folder / name).write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"][name] = saving._digest(content)
    (folder / "config.json").write_text(json.dumps(config))


def crafted(tree, **entries):
    """Return a file of skops with a description of one's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", entries.pop("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("schema.json", json.dumps({"protocol": 2, "_skops_version": "0.16.0", **tree}))
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def node(module, name, loader, content=None, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": content, **more}


TEXT = node("builtins", "str", "JsonNode", '"touch {path}"', is_json=True)
EVIL = {
    "os.system": node("os", "system", "FunctionNode"),
    "posix.system by content": node("builtins", "list", "FunctionNode", {"module_path": "posix", "function": "system"}),
    "eval": node("builtins", "eval", "TypeNode"),
    "reduced": node("os", "system", "ReduceNode", None, reduce={"args": TEXT}),
    "object": node("subprocess", "Popen", "ObjectNode", TEXT),
    "method": node("builtins", "list", "MethodNode", {"obj": TEXT, "func": "format"}),
    "partial": node("functools", "partial", "PartialNode", {"func": TEXT, "args": TEXT}),
    "import": node("crafted_module", "Thing", "ObjectNode", TEXT),
    "estimator": node("sklearn.feature_extraction.text", "CountVectorizer", "ObjectNode", TEXT),
    "operator": node("operator", "methodcaller", "OperatorFuncNode", {"attrs": TEXT}),
    "unknown loader": node("builtins", "list", "NoSuchNode", []),
    "network": node("chainrule.network", "Network", "ObjectNode", TEXT),
}


@pytest.mark.parametrize("name", EVIL)
def test_a_pipeline_of_other_types_is_refused_before_anything_of_it_exists(folder, tmp_path, monkeypatch, name):
    (tmp_path / "crafted_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    evil = json.loads(json.dumps(EVIL[name]).replace("{path}", str(tmp_path / "ran")))
    for tree in (
        evil,
        node("builtins", "list", "ListNode", [evil]),
        node("sklearn.pipeline", "Pipeline", "ObjectNode", evil),
    ):
        rewritten(folder, "pipeline.skops", crafted(tree))
        with pytest.raises(ModelFileError, match="which chainrule never writes: it was not loaded"):
            saving.load(folder)
    assert not (tmp_path / "ran").exists()
    assert "crafted_module" not in sys.modules


def test_pickles_in_a_pipeline_are_not_read(folder):
    array = node("numpy", "ndarray", "NdArrayNode", None, type="numpy", file="a.npy")
    content = io.BytesIO()
    np.save(content, np.array([{1: 2}]), allow_pickle=True)
    rewritten(folder, "pipeline.skops", crafted(array, **{"a.npy": content.getvalue()}))
    with pytest.raises(ModelFileError, match="the pipeline is damaged"):
        saving.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of skops"),
        (b"\x80\x05cos\nsystem\n.", "no file of skops"),
        (b"PK\x05\x06" + 18 * b"\0", "no file of skops"),
        (crafted({}, compression=zipfile.ZIP_DEFLATED, bomb=b"0" * 10**6), "packed, or larger"),
        (crafted(node("builtins", "list", "ListNode", [])), "none that chainrule writes"),
        (crafted({"content": 3}), "is damaged"),
    ],
    ids=["empty", "pickle", "empty zip", "bomb", "list", "no node"],
)
def test_what_is_no_pipeline_is_refused(folder, content, message):
    rewritten(folder, "pipeline.skops", content)
    with pytest.raises(ModelFileError, match=message):
        saving.load(folder)


def test_deep_descriptions_are_refused(folder):
    rewritten(
        folder, "pipeline.skops", crafted({"content": 1}).replace(b'"content": 1', b'"content": ' + b"[" * 99_999)
    )
    with pytest.raises(ModelFileError, match="the pipeline"):
        saving.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(task="clustering"), "task"),
        (lambda d: d["columns"].append(d["columns"][0]), "a column twice"),
        (lambda d: d["columns"][0].update(kind="__import__"), "kind"),
        (lambda d: d["columns"][0].update(low=float("inf")), "low"),
        (lambda d: d["columns"][0].update(reads="pl.col()"), "expected the fields"),
        (lambda d: d.update(classes=["yes", "no"]), "the network has the classes"),
        (lambda d: d["columns"].pop(0), "does not fit the schema"),
        (lambda d: d.update(targets=[]), "no target"),
    ],
)
def test_crafted_schemas_are_refused(folder, change, message):
    data = json.loads((folder / "schema.json").read_text())
    change(data)
    rewritten(folder, "schema.json", json.dumps(data).encode())
    with pytest.raises(ModelFileError, match=message):
        saving.load(folder)


@pytest.mark.parametrize("name", saving.LOADED)
def test_a_file_of_another_run_or_a_damaged_one_is_named(runs, folder, name):
    shutil.copy(runs["multiclass"][1] / name, folder / name)
    with pytest.raises(ModelFileError, match=f"{re.escape(name)} was changed since it was saved"):
        saving.load(folder)
    (folder / name).write_bytes((runs["binary"][1] / name).read_bytes()[:-9])
    with pytest.raises(ModelFileError, match=f"{re.escape(name)} was changed since it was saved"):
        saving.load(folder)


def test_a_network_of_another_run_is_refused(runs, folder):
    rewritten(folder, "model.safetensors", (runs["multiclass"][1] / "model.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match="the network has the classes"):
        saving.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=99),
        lambda d: d.update(files=[]),
        lambda d: d.update(residuals={"rows": 1, "ranks": [1], "values": [-1.0]}),
        lambda d: d.update(residuals=None),
    ],
)
def test_crafted_configurations_are_refused(folder, change):
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(ModelFileError, match=r"format 1|residuals"):
        saving.load(folder)


def test_large_files_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(saving, "LARGEST_CONFIG", 10)
    with pytest.raises(ModelFileError, match="more than chainrule ever writes"):
        saving.load(folder)


def test_what_could_not_be_loaded_is_not_saved():
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    with pytest.raises(ValueError, match=r"could not be loaded again: .*LinearRegression"):
        trusted.dumps(LinearRegression())
