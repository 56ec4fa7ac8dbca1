"""A trained table that predicts with NumPy alone: the same answers as the pipeline, and files that are checked."""

import copy
import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.files.container import TABLE, opened, read_array, read_header, write_file
from chainrule.files.values import ModelFileError
from chainrule.tables import models, run_files
from chainrule.tables.fitted_steps import steps_of
from chainrule.tables.serving.steps import STEPS
from test_package import HIDE

SHORT = small_tables.SHORT
TASKS = tuple(small_tables.TARGETS)


def quiet(frame, target, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tables.train(frame, target, **options)


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "ensemble", small_tables.small_ensembles)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small):
    """The folders of runs of every task, with one network and as an ensemble."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name):
        task, kind = name.split("-")
        goals = small_tables.TARGETS[task]
        inputs = (n for n in small_tables.INPUTS if n != "street" or task != "multilabel")
        options = {"parameters": SHORT} if kind == "single" else {"metric": "f1" if task == "binary" else None}
        trained = quiet(small_tables.frame(120).select(*inputs, *goals), ",".join(goals), **options)
        tables.save(trained, folder / name)
        return folder / name

    return small_tables.Made(run)


every_run = pytest.mark.parametrize("run", [f"{task}-{kind}" for task in TASKS for kind in ("single", "ensemble")])


def perturbed(frame, seed=1):
    """Return rows with unseen, missing and extreme values."""
    rng = np.random.default_rng(seed)

    def some(share=0.2):
        return pl.Series(rng.random(frame.height) < share)

    return frame.with_columns(
        pl.when(some())
        .then(None)
        .when(some())
        .then(pl.lit(np.inf))
        .when(some())
        .then(1e30)
        .otherwise("size")
        .alias("size"),
        pl.when(some()).then(-7).otherwise("rooms").alias("rooms"),
        pl.when(some()).then(None).otherwise("garden").alias("garden"),
        pl.when(some()).then(pl.lit("Oslo")).when(some()).then(None).otherwise("city").alias("city"),
        pl.when(some()).then(pl.lit("")).otherwise("street").alias("street"),
        pl.when(some()).then(pl.date(2090, 2, 28)).when(some()).then(None).otherwise("built").alias("built"),
        pl.when(some()).then(pl.lit("31.12.2061")).otherwise("opened").alias("opened"),
        pl.when(some())
        .then(pl.lit("no such words ... ÄÖÜ 12"))
        .when(some())
        .then(None)
        .otherwise("notes")
        .alias("notes"),
    )


def agree(folder, frame, rows):
    """Compare the predictions of the pipeline for a frame with those of NumPy alone for the same rows and frame."""
    saved, model = tables.load(folder), cr.load(folder)
    interval = 0.8 if saved.schema.task == "regression" else None
    expected, notes = tables.predict(saved, frame, interval=interval)
    found, same_notes = tables.predict(model, frame, interval=interval)
    scale = np.abs(expected["prediction"].to_numpy()).max() if interval else 1.0
    assert_frame_equal(found, expected, check_exact=False, rel_tol=0, abs_tol=1e-6 * scale)
    assert same_notes == notes
    if saved.schema.task == "regression":
        low, high = model.predict_interval(rows, coverage=0.8)
        for name, values in (("prediction", model.predict(rows)), ("low", low), ("high", high)):
            np.testing.assert_allclose(values, expected[name].to_numpy(), rtol=0, atol=1e-6 * scale)
        return
    p = model.predict_proba(rows)
    np.testing.assert_allclose(p, expected.select(pl.selectors.starts_with("p_")).to_numpy(), rtol=0, atol=1e-6)
    labels = model.predict(rows)
    if saved.schema.task != "multilabel":
        assert labels.tolist() == expected["prediction"].to_list()
        return
    for i, column in enumerate(saved.schema.targets):
        assert np.array(column.categories)[labels[:, i]].tolist() == [
            str(value) for value in expected[f"prediction_{column.name}"]
        ]


@pytest.mark.slow
@every_run
def test_the_same_answers_as_the_pipeline(runs, run):
    frame = small_tables.frame(150, seed=3).select(small_tables.INPUTS)
    for rows in (frame, perturbed(frame)):
        agree(runs[run], rows, rows.to_dicts())
        agree(runs[run], rows, {name: rows[name].to_list() for name in rows.columns})
        agree(runs[run], rows, rows)
    agree(runs[run], frame[:1], frame.row(0, named=True))


def test_every_step_is_among_the_runs(runs):
    steps = {type(step) for name in ("binary-single", "binary-ensemble")
             for step in steps_of(tables.load(runs[name]).pipeline[0], tables.load(runs[name]).schema)}  # fmt: skip
    assert {step.__name__ for step in steps} == STEPS.keys()


@pytest.mark.few(2)
@every_run
def test_the_file_alone_is_enough(runs, run, tmp_path):
    """One file, without the folder, and the estimator in it as before."""
    file = tmp_path / "model.safetensors"
    file.write_bytes((runs[run] / "model.safetensors").read_bytes())
    rows = small_tables.frame(5).select(small_tables.INPUTS).to_dicts()
    np.testing.assert_array_equal(cr.load(file).predict(rows), cr.load(runs[run]).predict(rows))
    estimator = tables.load(runs[run]).pipeline[-1]
    kind = type(getattr(estimator, "regressor_", estimator))
    assert kind.load(file).n_features_in_ == cr.load(file).inputs(rows).shape[1]


def test_numpy_and_safetensors_are_enough(runs):
    rows = small_tables.frame(3).drop("built").select(set(small_tables.INPUTS) - {"built"}).to_dicts()
    for row in rows:
        row["built"] = "2001-02-03"
    for name in ("binary-ensemble", "regression-single"):
        code = (
            "import json, chainrule as cr; "
            f"model = cr.load({str(runs[name])!r}); print(model.predict(json.loads({json.dumps(rows)!r})).tolist())"
        )
        script = HIDE.rpartition("runpy")[0] + code
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == str(cr.load(runs[name]).predict(rows).tolist())


def test_wrong_rows_are_refused_in_a_sentence(runs):
    model = cr.load(runs["binary-ensemble"])
    row = small_tables.frame(1).select(small_tables.INPUTS).row(0, named=True)
    for change, message in (
        ({"rooms": "many"}, "'rooms' is a number, but row 1 has 'many'"),
        ({"opened": "soon"}, r"'opened' is a date \(%d\.%m\.%Y\), but row 1 has 'soon'"),
        ({"size": [1, 2]}, "'size' has lists"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict([{**row, **change}])
    with pytest.raises(
        ValueError, match=r"The column 'rooms' is missing but required by the network\. Did you mean 'room'"
    ):
        model.predict([{"room" if name == "rooms" else name: value for name, value in row.items()}])
    for rows, message in (([], "no rows to predict|row"), ({}, "missing but required")):
        with pytest.raises(ValueError, match=message):
            model.predict(rows)
    with pytest.raises(ValueError, match="predict_interval: the table predicts classes"):
        model.predict_interval([row])
    with pytest.raises(ValueError, match="predict_proba: the table predicts a number"):
        cr.load(runs["regression-ensemble"]).predict_proba([row])


@pytest.mark.slow
def test_notes_and_repr(runs):
    model = cr.load(runs["binary-ensemble"])
    row = small_tables.frame(1).select(small_tables.INPUTS).row(0, named=True)
    model.predict([{**row, "city": "Oslo", "colour": "red"}])
    notes = " ".join(model.notes)
    assert "'city': 1 row has a value not seen in training ('Oslo')" in notes
    assert "The column 'colour' is not in the schema: ignored." in notes
    assert repr(model).startswith("TableModel(size, rooms, garden, city, street, ... -> ill: 'no', 'yes')")
    assert model.classes_.tolist() == ["no", "yes"]
    assert repr(cr.load(runs["regression-single"])).endswith("-> price)")
    assert cr.load(runs["multilabel-single"]).classes_.tolist() == ["sold", "late"]


# ---------------------------------------------------------------- files


def test_a_run_of_an_earlier_version_is_a_pipeline(runs, tmp_path):
    file = runs["binary-single"] / "model.safetensors"
    folder = tmp_path / "run"
    folder.mkdir()
    for path in (runs["binary-single"]).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    kind, description, arrays, metadata = parts(file)
    plain = {name: array for name, array in arrays.items() if not name.startswith(TABLE)}
    write_file(folder / "model.safetensors", kind, description, plain, metadata, overwrite=True)
    small_tables.rewritten(folder, "model.safetensors", (folder / "model.safetensors").read_bytes())
    loaded = cr.load(folder)
    assert isinstance(loaded, tables.SavedRun)
    frame = small_tables.frame(5).select(small_tables.INPUTS)
    assert tables.predict(loaded, frame)[0].equals(tables.predict(tables.load(runs["binary-single"]), frame)[0])


def test_a_folder_has_a_model_that_needs_no_pipeline(runs, tmp_path):
    assert run_files.load_model(runs["binary-single"]) is None  # it has a column of text
    trained = quiet(small_tables.frame(120).select("size", "city", "built", "ill"), "ill")
    tables.save(trained, tmp_path / "run")
    model = run_files.load_model(tmp_path / "run")
    assert isinstance(model, tables.TableModel)
    frame = perturbed(small_tables.frame(150, seed=3)).select("size", "city", "built")
    found, expected = tables.predict(model, frame)[0], tables.predict(tables.load(tmp_path / "run"), frame)[0]
    assert_frame_equal(found, expected, check_exact=False, rel_tol=0, abs_tol=1e-6)
    for name in ("pipeline.skops", "model.safetensors", "schema.json"):
        other = tmp_path / "other"
        shutil.copytree(tmp_path / "run", other, dirs_exist_ok=True)
        shutil.copy(runs["binary-single"] / name, other / name)
        with pytest.raises(ModelFileError, match=f"{name}: it was changed after saving"):
            run_files.load_model(other)


def parts(file):
    with opened(file, "a model") as content:
        header = read_header(content, "a model")
        arrays = {name: read_array(content, tensor) for name, tensor in header.tensors.items()}
        return header.kind, header.description, arrays, header.metadata


def change(about, i, **fields):
    about["steps"][i] |= fields


DAMAGE = {
    "no step": (lambda d, a: d["steps"].clear(), "do not give the"),
    "unknown step": (lambda d, a: change(d, 0, step="Eval"), "cannot be read: got"),
    "a step without its columns": (lambda d, a: change(d, 0, columns=[]), "does not fit the columns"),
    "a step of another column": (lambda d, a: change(d, 0, columns=["notes"]), "does not fit the columns"),
    "an unknown column": (lambda d, a: change(d, 0, columns=["nobody"]), "does not fit the columns"),
    "unknown fields": (lambda d, a: change(d, 0, code="print()"), "missing or unknown fields"),
    "a step twice": (lambda d, a: d["steps"].append(d["steps"][0]), "is absent"),
    "keys": (lambda d, a: d["steps"][place(d, "Lookup")]["keys"].append("Oslo"), "do not fit its columns"),
    "keys of numbers": (lambda d, a: change(d, place(d, "Lookup"), keys=[1, 2]), "expected a list of strings"),
    "parts": (lambda d, a: change(d, place(d, "Dates"), parts=[["century"]]), "parts of dates cannot be read"),
    "bound": (lambda d, a: change(d, place(d, "Dates"), most=0.0), "bound cannot be read"),
    "shape": (lambda d, a: a.update({name(d, "Words", "idf"): np.ones(3)}), "do not fit its columns"),
    "infinite": (lambda d, a: a.update({name(d, "Words", "idf"): np.full(4096, np.inf)}), "is not finite"),
    "scale": (lambda d, a: a.update({name(d, "Words", "scale"): np.zeros_like(a[name(d, "Words", "scale")])}), "fit its"),
    "absent": (lambda d, a: a.pop(name(d, "Words", "mean")), "is absent"),
    "more": (lambda d, a: a.update({f"{TABLE}99.values": np.ones(3)}), "is not expected"),
    "another type": (lambda d, a: a.update({TABLE: np.ones(3)}), "larger than chainrule writes, or has another type"),
    "schema": (lambda d, a: d.update(schema="{}"), "expected a schema of format"),
    "no schema": (lambda d, a: d.update(schema=3), "cannot be read"),
    "unit": (lambda d, a: d.update(unit=dict.fromkeys(("center", "scale", "low", "high", "shift"), 1.0)), "classes have no unit"),
    "widths": (lambda d, a: d.update(widths={}), "residuals"),
    "task": (lambda d, a: d.update(schema=d["schema"].replace('"binary"', '"regression"')), "schema|task"),
    "classes": (lambda d, a: d.update(schema=d["schema"].replace('"no"', '"nay"')), "has the classes"),
}  # fmt: skip


def place(d, kind):
    return next(i for i, step in enumerate(d["steps"]) if step["step"] == kind)


def name(d, kind, field):
    return f"{TABLE}{place(d, kind)}.{field}"


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_table_is_refused(runs, tmp_path, what):
    kind, description, arrays, _ = parts(runs["binary-single"] / "model.safetensors")
    about = json.loads(arrays[TABLE].tobytes())
    damage, message = DAMAGE[what]
    before = arrays[TABLE]
    damage(about, arrays)
    if arrays[TABLE] is before:
        arrays[TABLE] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    write_file(tmp_path / "model.safetensors", kind, description, arrays)
    with pytest.raises(ModelFileError, match=message):
        cr.load(tmp_path / "model.safetensors")


def test_a_damaged_unit_is_refused(runs, tmp_path):
    kind, description, arrays, _ = parts(runs["regression-single"] / "model.safetensors")
    good = json.loads(arrays[TABLE].tobytes())
    for unit in (
        None, {}, {**good["unit"], "scale": 0.0}, {**good["unit"], "center": None}, {**good["unit"], "scale": "1"},
        {**good["unit"], "low": 5.0, "high": 1.0}, {**good["unit"], "shift": 0.0, "high": None},
        {**good["unit"], "shift": 0.0, "low": -3.0, "high": -1.0},
    ):  # fmt: skip
        arrays[TABLE] = np.frombuffer(json.dumps({**good, "unit": unit}).encode(), np.uint8)
        write_file(tmp_path / "model.safetensors", kind, description, arrays, overwrite=True)
        with pytest.raises(ModelFileError, match="unit"):
            cr.load(tmp_path / "model.safetensors")


def test_the_unit_of_several_numbers_is_checked(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 60))
    table = pl.DataFrame({"a": x[0], "p": 3 * x[0] + x[1], "q": x[1]})
    tables.save(quiet(table, "p,q", parameters={"max_iter": 2}), tmp_path / "run")
    kind, description, arrays, _ = parts(tmp_path / "run" / "model.safetensors")
    good = json.loads(arrays[TABLE].tobytes())
    assert [len(good["unit"][name]) for name in ("center", "scale")] == [2, 2]
    alone = {name: value if value is None else value[0] for name, value in good["unit"].items()}
    widths = good["widths"]
    for about in (
        {"unit": alone}, {"unit": {**good["unit"], "scale": [1.0, 0.0]}}, {"unit": {**good["unit"], "center": [1.0] * 3}},
        {"unit": {**good["unit"], "center": [1.0, "2"]}}, {"unit": {**good["unit"], "low": [[0.0], 0.0]}},
        {"widths": {**widths, "values": widths["values"][0]}}, {"widths": {**widths, "values": widths["values"] * 2}},
        {"widths": {**widths, "values": [widths["values"][0], widths["values"][1][1:]]}},
    ):  # fmt: skip
        arrays[TABLE] = np.frombuffer(json.dumps({**good, **about}).encode(), np.uint8)
        write_file(tmp_path / "model.safetensors", kind, description, arrays, overwrite=True)
        with pytest.raises(ModelFileError, match=r"unit|residuals"):
            cr.load(tmp_path / "model.safetensors")


def test_a_model_goes_to_another_process(runs):
    """As pools and clusters send it."""
    row = small_tables.frame(1).select(small_tables.INPUTS).row(0, named=True)
    for name in ("binary-ensemble", "regression-single"):
        model = cr.load(runs[name])
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            np.testing.assert_array_equal(other.predict(row), model.predict(row))


def test_steps_are_data():
    """No step holds a function or an object that a file could not describe."""
    for cls in STEPS.values():
        for field in dataclasses.fields(cls):
            assert field.type in ("tuple[str, ...]", "tuple[tuple[str, ...], ...]", "Array", "float"), (cls, field)
