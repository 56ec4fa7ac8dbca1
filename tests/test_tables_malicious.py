"""Folders of a run that were made to do harm: each is refused with one sentence, and nothing of it is run."""

import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import small_tables
from bounded import calls
from chainrule.files.values import ModelFileError
from chainrule.tables import run_files, saving, skops_files, trusted, unpacking
from chainrule.tables.casting import cast
from chainrule.tables.schema import Schema
from small_tables import rewritten

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def skops():
    """Import it before the tests that count calls and measure memory; it takes seconds, so not when they are collected."""
    return pytest.importorskip("skops.io")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binary") / "run"
    saving.save(small_tables.trained("binary"), folder)
    return folder


@pytest.fixture
def folder(run, tmp_path):
    """A copy of a run, to be damaged."""
    return shutil.copytree(run, tmp_path / "run")


def crafted(tree, **entries):
    """Return a file of skops with a description of one's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", entries.pop("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("schema.json", json.dumps({"protocol": 2, "_skops_version": "0.16.0", **tree}))
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def loads(content):
    """Return the object in the content of a file."""
    return trusted.load(io.BytesIO(content))


def node(module, name, loader, content=None, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": content, **more}


ARRAY = node("numpy", "ndarray", "NdArrayNode", None, type="numpy", file="1.npy")
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
        with pytest.raises(ModelFileError, match="which chainrule never writes: nothing was loaded"):
            saving.load(folder)
    assert not (tmp_path / "ran").exists()
    assert "crafted_module" not in sys.modules


def test_pickles_in_a_pipeline_are_not_read(folder):
    content = io.BytesIO()
    np.save(content, np.array([{1: 2}]), allow_pickle=True)
    rewritten(folder, "pipeline.skops", crafted(ARRAY, **{"1.npy": content.getvalue()}))
    with pytest.raises(ModelFileError, match="the pipeline is damaged"):
        saving.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a skops file"),
        (b"\x80\x05cos\nsystem\n.", "not a skops file"),
        (b"PK\x05\x06" + 18 * b"\0", "not a skops file"),
        (crafted({}, compression=zipfile.ZIP_DEFLATED, bomb=b"0" * 10**6), "compressed, or larger"),
        (crafted(node("builtins", "list", "ListNode", [])), "the pipeline is not one that chainrule writes"),
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
        (lambda d: d["columns"].append(d["columns"][0]), "duplicate column names"),
        (lambda d: d["columns"][0].update(kind="__import__"), "kind"),
        (lambda d: d["columns"][0].update(low=float("inf")), "low"),
        (lambda d: d["columns"][0].update(reads="pl.col()"), "expected the fields"),
        (lambda d: d.update(classes=["yes", "no"]), "the network has the classes"),
        (lambda d: d["columns"].pop(0), "does not match the schema"),
        (lambda d: d.update(targets=[]), "no target"),
    ],
)
def test_crafted_schemas_are_refused(folder, change, message):
    data = json.loads((folder / "schema.json").read_text())
    change(data)
    rewritten(folder, "schema.json", json.dumps(data).encode())
    with pytest.raises(ModelFileError, match=message):
        saving.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=99),
        lambda d: d.update(files=[]),
        lambda d: d.update(residuals={"rows": 1, "ranks": [1], "values": [-1.0]}),
        lambda d: d.update(residuals=None),
        lambda d: d.update(residuals={"rows": 10**400, "ranks": [10**400], "values": [1.0]}),
        lambda d: d.update(residuals={"rows": 1, "ranks": [1], "values": [10**400]}),
        lambda d: d.update(residuals={"rows": 1, "ranks": [-1, 1], "values": [1.0, 2.0]}),
    ],
)
def test_crafted_configurations_are_refused(folder, change):
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(ModelFileError, match=r"format 1|residuals"):
        saving.load(folder)


@pytest.mark.parametrize("name", ["config.json", "schema.json"])
def test_json_that_would_take_far_more_memory_than_its_size_is_refused(folder, name, monkeypatch):
    monkeypatch.setattr(unpacking, "ROOM", 10**6)
    content = json.dumps(json.loads((folder / name).read_text()) | {"notes": [[]] * 10**5}).encode()
    if name == "schema.json":
        rewritten(folder, name, content)
    else:
        (folder / name).write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="is larger than any file that chainrule writes"):
            saving.load(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10**6 + 2 * len(content)


def test_large_files_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(run_files, "LARGEST_CONFIG", 10)
    with pytest.raises(ModelFileError, match="more than chainrule writes"):
        saving.load(folder)


# ---------------------------------------------------------------- memory, paths and what is inside


def altered(folder, change, **entries):
    """Change the description of a pipeline that was saved, and the files in it."""
    with zipfile.ZipFile(folder / "pipeline.skops") as archive:
        tree = json.loads(archive.read("schema.json"))
        files = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    change(tree)
    rewritten(folder, "pipeline.skops", crafted(tree, **files | entries))


def nodes(tree):
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(value)


def update(tree, kind, **attributes):
    """Replace attributes of every estimator of a kind."""
    found = [node["content"]["content"] for node in nodes(tree) if node.get("__class__") == kind and "content" in node]
    found = [there for there in found if isinstance(there, dict)]
    assert found
    for there in found:
        there.update(attributes)


def npy(header):
    """Return a file of NumPy's with a header of one's own and 8 bytes."""
    text = header.encode() + b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)


def test_what_is_altered_here_loads_if_nothing_is_altered(folder):
    altered(folder, lambda tree: None)
    saving.load(folder)


NO_ARRAY = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').system('touch ran'),), }",
    "{'descr': '|V8000000000', 'fortran_order': False, 'shape': (0,), }",
    "[" * 100,
]


@pytest.mark.parametrize("header", NO_ARRAY)
def test_arrays_that_are_not_as_large_as_they_say(folder, header):
    rewritten(folder, "pipeline.skops", crafted(ARRAY, **{"1.npy": npy(header)}))
    with pytest.raises(ModelFileError, match=r"the pipeline is (damaged|not a skops file)"):
        saving.load(folder)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "C:\\a.npy", "1.npy/../2.npy", "schema.json", 7, None]
)
def test_paths_in_a_pipeline(folder, name):
    rewritten(folder, "pipeline.skops", crafted(ARRAY | {"file": name}, **{"1.npy": npy("")}))
    with pytest.raises(ModelFileError, match=r"names the file .*, which it does not contain"):
        saving.load(folder)
    if isinstance(name, str) and name != "schema.json":
        rewritten(folder, "pipeline.skops", crafted(ARRAY, **{name: b"x"}))
        with pytest.raises(ModelFileError, match=r"contains the file .*, which chainrule never writes"):
            saving.load(folder)


BIG = 2_000_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: crafted({"content": [[[]] * 30]}, **{"1.npy": bytes(BIG)}, compression=zipfile.ZIP_DEFLATED),
            "compressed",
        ),
        (lambda: crafted(TEXT).replace(b"content", b"PK\x01\x02con") + b"PK\x01\x02" * (BIG // 4), "more files"),
        (
            lambda: crafted({"content": [[]] * (BIG // 4)}),
            "more memory than twice",
        ),
        (
            lambda: crafted(
                node("builtins", "list", "ListNode", [ARRAY] * 1000),
                **{"1.npy": saved_array(header("|u1", f"({BIG},)"), BIG)},
            ),
            "more memory than twice",
        ),
    ],
    ids=["packed", "files", "nodes", "files that are named often"],
)
def test_memory_is_not_spent_on_what_is_refused(make, message, monkeypatch):
    monkeypatch.setattr(trusted, "ROOM", 2**16)
    content = make()
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=message):
            loads(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * BIG, f"{peak:,} bytes for a file of {len(content):,}"


def test_the_same_name_twice_in_a_pipeline(folder):
    file = io.BytesIO(crafted(TEXT))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("schema.json", json.dumps(EVIL["os.system"]))
    rewritten(folder, "pipeline.skops", file.getvalue())
    with pytest.raises(ModelFileError, match="which chainrule never writes"):
        saving.load(folder)


def deep(depth):
    tree = TEXT
    for _ in range(depth):
        tree = node("builtins", "list", "ListNode", [tree])
    return tree


@pytest.mark.parametrize("depth", [150, 400])
def test_nested_descriptions(folder, depth):
    rewritten(folder, "pipeline.skops", crafted(deep(depth)))
    with pytest.raises(ModelFileError, match="nested more deeply than"):
        saving.load(folder)


def test_a_list_that_is_in_itself(folder):
    tree = node("builtins", "list", "ListNode", [node("builtins", "list", "ListNode", [], __id__=1)], __id__=1)
    rewritten(folder, "pipeline.skops", crafted(tree))
    with pytest.raises(ModelFileError, match="the pipeline"):
        saving.load(folder)


def named_twice(levels):
    """Lists of which each names the one before twice by its number: 2 ** levels steps for whoever follows them."""
    tree = node("builtins", "list", "ListNode", [], __id__=1)
    lists = [tree]
    for i in range(2, levels):
        before = node("builtins", "list", "ListNode", [], __id__=i - 1)
        lists.append(node("builtins", "list", "ListNode", [before, before], __id__=i))
    return node("builtins", "list", "ListNode", lists)


def saved_array(header, count=0):
    """Return a file of NumPy's with a header of one's own and ``count`` bytes."""
    return npy(header)[:-8] + bytes(count)


def header(descr, shape):
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"


def array_as(module, name):
    return {**ARRAY, "__module__": module, "__class__": name}


MANY = 100_000_000
MULTIPLIED = {
    "lists named twice": lambda: crafted(named_twice(60)),
    "V0 as a list": lambda: crafted(
        array_as("builtins", "list"), **{"1.npy": saved_array(header("|V0", f"({MANY},)"))}
    ),
    "V0": lambda: crafted(ARRAY, **{"1.npy": saved_array(header("|V0", f"({MANY},)"))}),
    "S0": lambda: crafted(ARRAY, **{"1.npy": saved_array(header("|S0", f"({MANY},)"))}),
    "U0": lambda: crafted(ARRAY, **{"1.npy": saved_array(header("<U0", f"({MANY},)"))}),
    "a list as an array": lambda: crafted(node("numpy", "ndarray", "ListNode", [TEXT])),
    "an array as a text": lambda: crafted(
        array_as("builtins", "str"), **{"1.npy": saved_array(header("<f8", "(1,)"), 8)}
    ),
    "an array as a number": lambda: crafted(
        array_as("numpy", "float64"), **{"1.npy": saved_array(header("|b1", "(1000,)"), 1000)}
    ),
    "texts of a gigabyte, none of them": lambda: crafted(
        ARRAY, **{"1.npy": saved_array(header("<U250000000", "(0,)"))}
    ),
    "arrays in an array of objects": lambda: crafted(
        node("numpy", "ndarray", "NdArrayNode", [ARRAY], type="json", shape=TEXT),
        **{"1.npy": saved_array(header("<f8", "(1,)"), 8)},
    ),
    "lists in a text": lambda: crafted(node("builtins", "str", "JsonNode", "[" + "[]," * 1000 + "[]]", is_json=True)),
    "an older protocol": lambda: crafted({**TEXT, "protocol": 0}),
    "empty lists": lambda: crafted({"content": [[]] * 20_000}),
    "empty dictionaries": lambda: crafted({"content": [{}] * 20_000}),
    "numbers": lambda: crafted({"content": [0.5] * 12_000}),
    "texts": lambda: crafted({"content": ["ab"] * 8_000}),
    "one wide letter": lambda: crafted(node("builtins", "str", "JsonNode", json.dumps("\U0001f600" + "a" * 2**21))),
    "an array named often": lambda: crafted(
        node("builtins", "list", "ListNode", [ARRAY] * 50),
        **{"1.npy": saved_array(header("|u1", "(400000,)"), 4 * 10**5)},
    ),
}


@pytest.mark.parametrize("name", MULTIPLIED)
def test_a_few_bytes_do_not_become_gigabytes_or_hours(name, monkeypatch):
    """One fixed list of loaders and their classes, no numbers of objects, no items of no bytes."""
    content = MULTIPLIED[name]()
    monkeypatch.setattr(trusted, "ROOM", 2**18)
    tracemalloc.start()
    try:
        with calls(100_000):
            if name == "lists named twice":  # what is named is not there: the lists are empty
                assert loads(content)[-1] == [[], []]
            else:
                with pytest.raises(ModelFileError, match="the pipeline"):
                    loads(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**21 + 2 * len(content)


HONEST = {
    "categories": lambda: OneHotEncoder().fit([[f"category {i:07d}"] for i in range(1_500)]),
    "texts with wide letters": lambda: OneHotEncoder().fit([[f"\U0001f600 {i:012d}"] for i in range(1_500)]),
    "columns": lambda: make_column_transformer(*[(StandardScaler(), [f"x{i}"]) for i in range(20)]).fit(
        pd.DataFrame([range(20)] * 2, columns=[f"x{i}" for i in range(20)])
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_chainrule_writes_takes_twice_the_size_of_its_file(name, monkeypatch):
    """However much of it is description, of which skops takes more than ten times the size."""
    content = skops_files.dumps(HONEST[name]())
    monkeypatch.setattr(trusted, "ROOM", 2**20)
    loads(content)
    tracemalloc.start()
    try:
        again = loads(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20 + 2 * len(content), f"{peak / len(content):.2f} times {len(content):,} bytes"
    assert str(again) == str(HONEST[name]())


def test_numbers_of_objects_in_a_file_of_skops_are_left_out(run, skops):
    """Files that were written before, with numbers, give the same pipeline."""
    pipeline = loads((run / "pipeline.skops").read_bytes())
    numbered = skops.dumps(pipeline)
    with zipfile.ZipFile(io.BytesIO(numbered)) as archive:
        assert b"__id__" in archive.read("schema.json")
    rows = cast(small_tables.frame(20), Schema.from_json((run / "schema.json").read_text()).columns)
    np.testing.assert_array_equal(loads(numbered)[0].transform(rows), pipeline[0].transform(rows))
    with zipfile.ZipFile(run / "pipeline.skops") as archive:
        assert b"__id__" not in archive.read("schema.json")


def test_the_skops_package_reads_what_is_written_and_would_write_the_same(run, skops):
    content = (run / "pipeline.skops").read_bytes()
    pipeline = loads(content)
    rows = cast(small_tables.frame(20), Schema.from_json((run / "schema.json").read_text()).columns)
    read = skops.loads(content, trusted=skops.get_untrusted_types(data=content))
    np.testing.assert_array_equal(read[0].transform(rows), pipeline[0].transform(rows))

    def described(content):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {name: archive.read(name) for name in archive.namelist() if name.endswith(".npy")}
            return json.loads(archive.read("schema.json"), object_hook=lambda node: without_numbers(node, arrays))

    def without_numbers(node, arrays):
        node.pop("__id__", None)
        node.pop("_skops_version", None)
        return node | ({"file": arrays[node["file"]]} if "file" in node else {})

    assert described(skops_files.dumps(pipeline)) == described(skops.dumps(pipeline))
    assert skops_files.dumps(pipeline) == content


def text_node(value):
    return node("builtins", "str", "JsonNode", json.dumps(value), is_json=True)


def bare_reader_of_files(tree):
    """Put what counts words in the place of a category's encoder, and let it take texts for names of files."""
    reader = next(n for n in nodes(tree) if n.get("__class__") == "HashingVectorizer" and "content" in n)
    reader = json.loads(json.dumps(reader))
    reader["content"]["content"]["input"] = text_node("filename")
    for inside in nodes(reader):
        inside.pop("__id__", None)  # what has the number of something else would be taken for it
    for there in [n for n in nodes(tree) if n.get("__class__") == "OneHotEncoder" and "content" in n]:
        there.update(reader)


WRONG = {
    "a pattern that never ends": lambda t: update(t, "HashingVectorizer", token_pattern=text_node("(a+)+$")),
    "billions of word groups": lambda t: update(t, "HashingVectorizer", ngram_range=text_node([1, 10**9])),
    "a callable": lambda t: update(
        t,
        "HashingVectorizer",
        tokenizer=node("builtins", "type", "TypeNode", {"__class__": "str", "__module__": "builtins"}),
    ),
    "no scaler": lambda t: update(t, "SquashingScaler", robust_scaler_=text_node(7)),
    "text for numbers": lambda t: update(t, "RobustScaler", center_=text_node("__import__('os')")),
    "no categories": lambda t: update(t, "OneHotEncoder", categories_=text_node([])),
    "other columns": lambda t: update(t, "ColumnTransformer", _columns=text_node([])),
    "no transformers": lambda t: update(t, "ColumnTransformer", transformers_=text_node({})),
}


HARMFUL = {
    "processes": lambda t: update(t, "ColumnTransformer", n_jobs=text_node(1000)),
    "processes for dates": lambda t: update(t, "ApplyToEachCol", n_jobs=text_node(1000)),
    "a cache on disk": lambda t: update(t, "Pipeline", memory=text_node("cache")),
    "files for texts": bare_reader_of_files,
    "columns without categories": lambda t: update(
        t, "OneHotEncoder", _n_features_outs=node("builtins", "list", "ListNode", [text_node(10**9)])
    ),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_would_start_processes_or_open_files_is_refused_before_anything_is_predicted(folder, name):
    altered(folder, HARMFUL[name])
    with pytest.raises(ModelFileError, match="the pipeline is not one that chainrule writes"):
        saving.load(folder)


@pytest.mark.parametrize("name", WRONG)
def test_attributes_that_chainrule_never_writes(folder, name):
    altered(folder, WRONG[name])
    try:
        saved = saving.load(folder)
    except ModelFileError as error:
        assert str(error).replace("/pipeline.skops:", ":").startswith(f"{folder}: the pipeline ")  # noqa: PT017  (or it is of no consequence)
    else:
        assert name in ("other columns",), "it was loaded"
        assert len(saved.pipeline.steps) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["columns"][0].update(name=["a"]), "name is"),
        (lambda d: d["columns"][0].update(missing=-1), "missing is -1"),
        (lambda d: d["columns"][0].update(missing=True), "missing is True"),
        (lambda d: d["columns"][0].update(distinct=10**30), "distinct is 10"),
        (lambda d: d["columns"][0].update(low=10**400), "low is|is no"),
        (lambda d: d["columns"][0].update(low={"a": 1}), "low is"),
        (lambda d: d["columns"][0].update(optional="yes"), "optional is"),
        (lambda d: d["columns"][2].update(categories=["no"]), "yes/no has 1 categories"),
        (lambda d: d["columns"][2].update(categories=[1, 2]), "categories is"),
        (lambda d: d["columns"][6].update(date_format="%3"), "date_format is"),
        (lambda d: d["columns"][6].update(date_format="%d" * 999), "date_format is"),
        (lambda d: d["columns"][6].update(date_format={"__import__": "os"}), "date_format is"),
        (lambda d: d["columns"][6].update(date_format=None), "its date format does not fit text values"),
        (lambda d: d["columns"][5].update(date_format="%d"), "its date format does not fit date values"),
        (lambda d: d["columns"][5].update(read_as="whole"), "its date format does not fit whole values"),
        (lambda d: d.update(rows=1.5), "rows is"),
        (lambda d: d.update(columns={"__class__": "os.system"}), "expected a list"),
        (lambda d: d.update(classes=[[1], [2]]), "the classes are"),
        (lambda d: d.update(notes=[7]), "notes is"),
    ],
)
def test_more_crafted_schemas(folder, change, message):
    data = json.loads((folder / "schema.json").read_text())
    change(data)
    rewritten(folder, "schema.json", json.dumps(data).encode())
    with pytest.raises(ModelFileError, match=message):
        saving.load(folder)


NO_JSON = {
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "not a number": b'{"format": NaN}',
    "infinite": b'{"format": 1e999}',
    "a long number": b'{"format": ' + b"9" * 5000 + b"}",
    "deep": b'{"format": ' + b"[" * 100_000,
    "a list": b"[1]",
    "null": b"null",
    "surrogates": b'{"format": "\\ud800"}',
    "Python": b"__import__('os').system('true')",
    "twice": b'{"format": 1, "format": 2, "files": {}}',
}


@pytest.mark.parametrize("kind", NO_JSON)
@pytest.mark.parametrize("name", ["schema.json", "config.json"])
def test_what_is_no_json(folder, name, kind):
    if name == "schema.json":
        rewritten(folder, name, NO_JSON[kind])
    else:
        (folder / name).write_bytes(NO_JSON[kind])
    with pytest.raises(ModelFileError) as caught:
        saving.load(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_schema_of_millions_of_lists():
    with pytest.raises(ModelFileError, match="larger than any"):
        Schema.from_json("[" + "[]," * 2_100_000 + "[]]")


def test_files_that_are_too_large_are_not_read(folder):
    for name, size in (("pipeline.skops", 2**30), ("config.json", 2**24), ("schema.json", 2**26)):
        content = (folder / name).read_bytes()
        with (folder / name).open("ab") as file:
            file.truncate(size + 1)  # a hole, which takes no room
        with pytest.raises(ModelFileError, match=f"{name}: its {size + 1:,} bytes are more than chainrule writes"):
            saving.load(folder)
        (folder / name).write_bytes(content)


# ---------------------------------------------------------------- what Python does meanwhile

WATCH = """
import pathlib, sys, warnings
warnings.simplefilter("ignore")
from chainrule.tables import predict, saving
import polars
folder, *others = map(pathlib.Path, sys.argv[1:])
predict(saving.load(folder), polars.read_parquet(folder.parent / "rows.parquet"))  # all imports are done
seen = []

def watch(event, arguments):
    write = event == "open" and (isinstance(arguments[1], str) and set("wax+") & set(arguments[1]) or arguments[2] & 3)
    if event == "compile" and str(arguments[0]).startswith("b\\"{'descr'"):
        return  # NumPy reads the header of an array by ast.literal_eval
    if write or event in ("import", "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
                          "socket.connect", "os.remove", "os.rename", "os.mkdir", "marshal.loads", "pickle.find_class",
                          "ctypes.dlopen", "shutil.rmtree"):
        seen.append((event, str(arguments)[:200]))

sys.addaudithook(watch)
saving.load(folder)
for other in others:
    try:
        saving.load(other)
    except ValueError as error:
        assert str(error).count("\\n") == 0, error
    else:
        seen.append(("loaded", str(other)))
watching, seen = seen, []
print(watching)
"""


def test_nothing_is_imported_compiled_run_or_written(run, tmp_path):
    small_tables.frame(20).select(small_tables.INPUTS).write_parquet(run.parent / "rows.parquet")
    folders = []
    for i, tree in enumerate(EVIL.values()):
        folders.append(shutil.copytree(run, tmp_path / f"evil-{i}"))
        evil = json.loads(json.dumps(tree).replace("{path}", str(tmp_path / "ran")))
        altered(folders[-1], lambda t, evil=evil: update(t, "ColumnTransformer", _evil=evil))
    for i, change in enumerate((WRONG["no scaler"], WRONG["a callable"], *HARMFUL.values())):
        folders.append(shutil.copytree(run, tmp_path / f"wrong-{i}"))
        altered(folders[-1], change)
    for i, content in enumerate(NO_JSON.values()):
        folders.append(shutil.copytree(run, tmp_path / f"json-{i}"))
        (folders[-1] / "config.json").write_bytes(content)
    command = [sys.executable, "-c", WATCH, str(run), *map(str, folders)]
    before = {path.name for path in Path(tmp_path).iterdir()}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ}, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
    assert {path.name for path in Path(tmp_path).iterdir()} == before
