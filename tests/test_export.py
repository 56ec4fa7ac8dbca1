"""Exported C, JavaScript and NumPy: what they compute is what chainrule predicts, to 1e-5, with the same labels."""

import functools
import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
import variants
from chainrule._internal.names import public_classes
from chainrule.encoding import TableEncoding
from chainrule.ensemble import Ensemble, Unit
from chainrule.export import build, c, c_text, comparing, javascript, numpy_script, saving
from chainrule.export.comparing import Case
from chainrule.export.program import Input
from chainrule.files.fitted import Labels, thresholds
from chainrule.files.serving import Classifier, Regressor
from chainrule.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool2D,
    ReLU,
    Residual,
    Tanh,
)
from chainrule.tables.intervals import Widths
from chainrule.tables.notation import Notation
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.files import Table
from chainrule.tables.serving.model import TableModel
from chainrule.tables.serving.steps import (
    STEPS,
    Dates,
    Filled,
    Lookup,
    Missing,
    Numbers,
    Squashed,
    Words,
    inputs,
)  # fmt: skip
from variants import gives

LANGUAGES = ["gcc", "clang", "mjs", "py"]
COMPILERS = ["gcc", "clang"]
RUN = {
    **{name: functools.partial(comparing.run_c, compiler=name) for name in COMPILERS},
    "mjs": comparing.run_js, "py": comparing.run_numpy,
}  # fmt: skip
TOOLS = {**dict(zip(COMPILERS, COMPILERS, strict=True)), "mjs": "node", "py": sys.executable}
ROWS = 40


def drawn(network, seed=0):
    """Give parameters and statistics values as training would."""
    rng = np.random.default_rng(seed)
    network.theta += rng.normal(scale=0.05, size=network.theta.shape)
    for entry, array in network.arrays()[len(network.layout.entries) :]:
        array[...] = rng.uniform(0.1, 3, entry.shape) if entry.name.endswith("var") else rng.normal(size=entry.shape)
    return network


def of_a_layer(layer):
    """Return a network with the layer between others, and rows for it."""
    rng = np.random.default_rng(0)
    if isinstance(layer, Embedding):
        network = cr.Network(3, [layer, Dense(2)], "squared_error", seed=0)
        return drawn(network), rng.integers(0, 3, (ROWS, 3)).astype(np.float32)
    if gives(layer, (4,)):
        network = cr.Network(3, [Dense(4), layer, Flatten(), Dense(3)], "squared_error", seed=0)
        return drawn(network), (rng.normal(size=(ROWS, 3)) * 10.0 ** rng.integers(-2, 4, (ROWS, 1))).astype(np.float32)
    shape = next(shape for shape in ((7, 6, 4), (7, 6, 2)) if gives(layer, shape))
    network = cr.Network(shape, [layer, Flatten()], "squared_error", seed=0)
    return drawn(network), rng.normal(size=(ROWS, math.prod(shape))).astype(np.float32)


def networks():
    """Return networks and rows, by name: every layer, every loss, and several layers together."""
    rng = np.random.default_rng(0)
    found = {f"layer{i} {case.layer!r}": of_a_layer(case.layer) for i, case in enumerate(variants.LAYERS)}
    for loss in variants.every_loss():
        found[f"loss {loss!r}"] = (
            drawn(cr.Network(4, [Dense(5), Tanh(), Dense(3)], loss, seed=0)),
            rng.normal(scale=3, size=(ROWS, 4)).astype(np.float32),
        )
    images = [
        Conv2D(4, 3, padding="same"),
        BatchNorm(),
        ReLU(),
        MaxPool2D(),
        Residual([Conv2D(4, 3, padding="same"), LayerNorm()]),
    ]
    found["images"] = (
        drawn(cr.Network((8, 8, 1), [*images, Flatten(), Dense(10)], "softmax_cross_entropy", seed=0)),
        rng.normal(size=(ROWS, 64)).astype(np.float32),
    )
    found["float64"] = (
        drawn(cr.Network(3, [Dense(9), Tanh(), Dense(1)], "squared_error", seed=0, dtype="float64")),
        rng.normal(size=(ROWS, 3)).astype(np.float32),
    )
    found["nothing"] = (
        cr.Network(3, [Tanh()][:0] or [cr.layers.Identity()], "squared_error"),
        np.eye(3, dtype=np.float32),
    )
    return found


def member(inputs, outputs, loss, seed):
    return drawn(cr.Network(inputs, [Dense(8), cr.layers.SiLU(), Dense(outputs)], loss, seed=seed), seed)


def labels(names, target="multiclass", threshold=None):
    limits = thresholds(threshold, len(names), multilabel=target == "multilabel-indicator")
    return Labels(np.array(names), target, thresholds=limits)


def odd(X, seed=0):
    """Return rows with missing, infinite, huge and unseen numbers."""
    rng = np.random.default_rng(seed)
    Z = rng.permuted(X, axis=0)
    where = rng.random(Z.shape) < 0.3
    Z[where] = rng.choice([np.nan, np.inf, -np.inf, 1e30, 0.0, 3.0], where.sum())
    return np.vstack([X, Z])


def ensemble(loss, outputs, X, **parts):
    encoding = TableEncoding.fit(X, categorical=parts.pop("categorical", ()), bins=8)
    rng = np.random.default_rng(1)
    linear = rng.normal(size=(encoding.plain, outputs)), rng.normal(size=outputs), 0.3
    return Ensemble(encoding, [member(encoding.inputs, outputs, loss, seed) for seed in range(3)], linear, **parts)


def estimators():
    """Return loaded estimators and rows, by name."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 5)).astype(np.float32)
    softmax, sigmoid = "softmax_cross_entropy", "sigmoid_cross_entropy"
    found = {
        "three classes": (Classifier([member(5, 3, softmax, 0)], labels(["a", "b", "c"])), x),
        "two classes": (Classifier([member(5, 1, sigmoid, 0)], labels([7, -3], "binary")), x),
        "a threshold": (Classifier([member(5, 1, sigmoid, 0)], labels([7, -3], "binary", 0.1)), x),
        "three thresholds": (
            Classifier([member(5, 3, softmax, 0)], labels(["a", "b", "c"], threshold=[0.1, 0.2, 0.7])),
            x,
        ),
        "thresholds of labels": (
            Classifier([member(5, 3, sigmoid, 0)], labels([0, 1, 2], "multilabel-indicator", [0.1, 0.5, 0.9])),
            x,
        ),
        "softmax of two": (Classifier([member(5, 2, softmax, 0)], labels([False, True], "binary")), x),
        "one class": (Classifier([member(5, 1, sigmoid, 0)], labels(["only"], "binary")), x),
        "labels": (Classifier([member(5, 3, sigmoid, 0)], labels([0, 1, 2], "multilabel-indicator")), x),
        "several networks": (
            Classifier([member(5, 3, softmax, seed) for seed in range(3)], labels([1.5, 2.5, 3.5])),
            x,
        ),
        "number": (Regressor([member(5, 1, "squared_error", 0)], ["a", "*/", "</script>", "ü\n", '"']), x),
        "numbers": (Regressor([member(5, 2, "poisson", 0)]), x),
    }
    X = np.stack([
        rng.normal(size=ROWS), 1.7e9 + rng.integers(0, 100, ROWS), np.full(ROWS, 5.0), rng.standard_cauchy(ROWS),
        rng.choice([1.0, 2.5, -4.0, np.nan], ROWS), rng.choice([0.0, 1.0], ROWS),
    ], axis=1)  # fmt: skip
    X[::7, 0] = np.nan
    rows, number = odd(X), {"categorical": [4, 5]}
    one, two = np.ones(1), np.ones(2)
    unit = Unit(1e9 * one, 50 * one, -np.inf * one, np.inf * one)
    log = Unit(one, 2 * one, 0 * one, 900 * one, one)
    for name, loss, outputs, given in (
        ("table of classes", softmax, 3, number),
        ("thresholds", softmax, 3, {"thresholds": np.array([0.9, 0.05, 0.1]), **number}),
        ("table of labels", sigmoid, 3, {"thresholds": np.array([0.9, 0.2, 0.5]), **number}),
        ("table of a number", "squared_error", 1, {"unit": unit, **number}),
        ("logarithm", "squared_error", 1, {"unit": log}),
        ("table of numbers", "squared_error", 2, {"unit": Unit(two, two, -two, 9 * two)}),
    ):
        e = ensemble(loss, outputs, X, **given)
        of = labels(["x", "y", "z"]) if loss == softmax else labels([0, 1, 2], "multilabel-indicator")
        found[name] = (Regressor(e.networks, None, e) if "unit" in given else Classifier(e.networks, of, None, e)), rows
    texts = np.empty((ROWS, 3), object)
    texts[:, 0], texts[:, 1] = rng.choice(["Rome", "Łódź", "", 'a\n"b\\'], ROWS), rng.choice([1, 2, 3, None], ROWS)
    texts[:, 2] = rng.normal(size=ROWS)
    e = ensemble(softmax, 2, [*texts[:, :2].T, texts[:, 2].astype(float)], categorical=[1])
    given = [dict(zip(["city", "int", 'a "*/ b'], row, strict=True)) for row in texts.tolist()]
    given += [{"city": "Oslo", "int": 9, 'a "*/ b': None}, {"city": None, "int": None, 'a "*/ b': math.inf}]
    found["text"] = Classifier(e.networks, labels(["no", "yes"], "binary"), ["city", "int", 'a "*/ b'], e), given
    return found


CASES = {**networks(), **estimators()}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the results of chainrule and of a language for every case: compiled and started once for all."""
    return functools.cache(lambda language: run_all(CASES, tmp_path_factory.mktemp("export"), [language]))


def run_all(cases, folder, languages=LANGUAGES):
    programs = {name: build.program(model) for name, (model, _) in cases.items()}
    found = {
        "chainrule": {name: comparing.expected(model, programs[name], rows) for name, (model, rows) in cases.items()}
    }
    for language in languages:
        if not shutil.which(TOOLS[language]):
            continue
        files = []
        for i, (name, (_, rows)) in enumerate(cases.items()):
            path = folder / f"m{i}.{'c' if language in COMPILERS else language}"
            saving.write(saving.texts(programs[name], path), "", overwrite=True)
            files.append(Case(path, programs[name], rows))
        found[language] = dict(zip(cases, RUN[language](files), strict=True))
    return found


def agree(found, language, name):
    if language not in found:
        pytest.skip(f"{TOOLS[language]} is not installed")
    (y, said), (ours, right) = found[language][name], found["chainrule"][name]
    assert y.shape == ours.shape
    scale = np.maximum(1, np.abs(ours).max(axis=1, keepdims=True))
    np.testing.assert_array_less(np.abs(y - ours) / scale, 1e-5)
    if not isinstance(right[0], float | list) or (isinstance(right[0], list) and isinstance(right[0][0], int)):
        assert said == right


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "language", [pytest.param(name, marks=pytest.mark.slow) if name in COMPILERS else name for name in LANGUAGES]
)
@pytest.mark.few(25)
def test_the_same_predictions(results, name, language):
    agree(results(language), language, name)


def test_every_layer_has_a_case():
    assert {type(case.layer) for case in variants.LAYERS} == set(public_classes(cr.layers, Layer).values())


# ---------------------------------------------------------------- tables

EVIL = ('"', "\\", "*/ /* ??/", "</script><!--", "\n#", "${x}`", "\u2028ü😀", "'); x('", '"""', "%s")
"""Texts that would break out of generated code."""
NAMES = {  # of columns
    "size": "int", "age": "int_", "garden": "__proto__", "city": 'a "*/ b\n', "code": "constructor", "sold": "</script>",
    "street": "größe", "built": "1 ?", "opened": "1_?", "at": "class", "notes": "\\",
}  # fmt: skip
WORDS = ["near", "NEAR", "the", "Straße", "ÄÖÜ", "日本語", "no", "a", "x1_2", "ΑΒΓδ", "ǅ", "Ⅷ", "𝒳𝒴", "it's", "😀"]


@functools.cache
def every_step():
    """Return a table of strange names and categories, that has every step, and rows that are as strange."""
    pytest.importorskip("polars")  # of the room, though none is loaded
    rng = np.random.default_rng(0)
    n = NAMES
    columns = (
        Column(n["size"], "number", missing=3, low=0.0, high=9.0), Column(n["age"], "number", "whole", low=1, high=99),
        Column(n["garden"], "yes/no", "text", categories=EVIL[:2]), Column(n["city"], "category", "text", categories=EVIL),
        Column(n["code"], "category", "whole", categories=("1", "2", "9007199254740993")),
        Column(n["sold"], "category", "boolean", categories=("false", "true"), missing=1),
        Column(n["street"], "many", "text"), Column(n["built"], "date", "date", low="1999-01-01", high="2020-01-01"),
        Column(n["opened"], "date", "text", date_format="%d.%m.%Y or %Y/%m/%d %H:%M"),
        Column(n["at"], "date", "time", notation=Notation(zone="Europe/Berlin"), optional=True), Column(n["notes"], "text", "text"),
    )  # fmt: skip
    parts = ("year", "hour", "day", "total_seconds", "month", "weekday")
    size, age = rng.normal(size=2), rng.uniform(0.1, 1, 2)
    steps = [
        Numbers((n["size"], n["garden"])), Missing((n["size"], n["age"])), Filled((n["garden"],), np.array([0.3])),
        Squashed((n["size"], n["age"]), size, age, 3.0),
        Lookup((n["city"],), ("(missing)", *EVIL), rng.normal(size=(12, 4))),
        Lookup((n["code"],), ("1", "2", "9007199254740993"), rng.normal(size=(4, 1))),
        Lookup((n["sold"],), ("(missing)", "false", "true"), rng.normal(size=(4, 2))),
        Lookup((n["street"],), tuple(f"s{i}" for i in range(40)), rng.normal(size=(41, 1))),
        Dates((n["built"], n["opened"]), (("year", "total_seconds"), ("month", "year")), np.array([2000.0, 1.7e9, 0, 0, 9]),
              np.array([0.1, 1e-9, 1, 1, 0.2]), 3.0),
        Dates((n["at"],), (parts,), np.zeros(0), np.zeros(0), 1.0),
        Words((n["notes"],), rng.uniform(1, 2, 64), rng.normal(size=(3, 64)), rng.normal(size=3), rng.uniform(1, 2, 3)),
    ]  # fmt: skip
    values = {
        "size": [1.5, "2.5", None, math.inf, -math.inf, -1e30, math.nan, ""], "age": [3, "40", None, 1e308],
        "garden": [*EVIL[:3], None, ""], "city": [*EVIL, None, "Oslo", "(missing)"], "code": [1, "2", 30.0, "2.0", 7, "9007199254740993", None],
        "sold": [True, False, "TRUE", "0", None, ""], "street": [*(f"s{i}" for i in range(40)), "s40", None],
        "built": ["2001-02-03", "1969-12-31 23:59:59", "2400-02-29", "0001-01-01", "9999-12-31T12:30", None, -86400.5, ""],
        "opened": ["03.02.2001", "2001-02-03", "1999/12/31 7:05", None], "at": ["2024-05-03 18:30", "1970-01-01T00:00", None],
        "notes": [" ".join(rng.choice(WORDS, 5)) for _ in range(30)] + ["", None, "..."],
    }  # fmt: skip
    rows = [{n[name]: given[rng.integers(len(given))] for name, given in values.items()} for _ in range(150)]
    del rows[0][n["at"]]
    return columns, steps, rows


@functools.cache
def handmade():
    """Return models of a table for every task, and its rows."""
    columns, steps, rows = every_step()
    softmax, sigmoid, squares = "softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error"
    found = {}
    for task, classes, loss, outputs in (
        ("binary", ("no", "yes"), sigmoid, 1), ("multiclass", EVIL[:3], softmax, 3), ("multiclass", (1, 2, 5), softmax, 3),
        ("regression", (), squares, 1), ("multilabel", (), sigmoid, 2),
    ):  # fmt: skip
        goals = tuple(Column(f"y{i}", "yes/no", categories=("a", "b")) for i in range(2 if task == "multilabel" else 1))
        schema = Schema(columns, goals, task, classes, 9)
        known = Labels(np.array(classes or (0, 1)), "multilabel-indicator" if task == "multilabel" else task)
        unit = Unit(*(np.array([v]) for v in (5e8, 90.0, 0.0, np.inf))) if task == "regression" else None
        finite = [s for s in steps if not isinstance(s, Numbers) and not (isinstance(s, Dates) and not len(s.center))]
        table = Table(schema, finite, unit, Widths())  # a single network takes no missing values
        inner = [member(sum(step.width for step in finite), outputs, loss, 0)]
        model = TableModel(table, Classifier(inner, known) if unit is None else Regressor(inner))
        found[f"{task} {classes}"] = model, rows
        X = inputs(steps, comparing.read_columns(build.program(model), rows))
        thresholds = np.array([0.9, 0.3]) if task == "multilabel" else None
        many = ensemble(
            loss if outputs > 1 or unit else softmax, max(outputs, len(classes)), X, unit=unit, thresholds=thresholds
        )
        inner = Classifier(many.networks, known, None, many) if unit is None else Regressor(many.networks, None, many)
        found[f"{task} {classes}, ensemble"] = TableModel(table._replace(steps=steps, unit=None), inner), rows
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_all(handmade(), tmp_path_factory.mktemp("export"))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_tables_with_every_step_and_strange_texts(made, language):
    for name in made["chainrule"]:
        agree(made, language, name)
    assert {type(step).__name__ for step in every_step()[1]} == STEPS.keys()


@pytest.mark.slow
def test_python_and_javascript_lower_letters_by_their_context(tmp_path):
    columns, steps, _ = every_step()
    (notes,) = [step for step in steps if isinstance(step, Words)]
    schema = Schema((columns[-1],), (Column("y", "number"),), "regression")
    unit = Unit(*(np.array([v]) for v in (0.0, 1.0, -np.inf, np.inf)))
    model = TableModel(Table(schema, [notes], unit, Widths()), Regressor([member(3, 1, "squared_error", 0)]))
    found = run_all({"": (model, [{NAMES["notes"]: text} for text in ("ΟΔΟΣ ΣΣ", "İstanbul", "ﬃx ŉa")])}, tmp_path)
    agree(found, "mjs", "")
    agree(found, "py", "")


@pytest.fixture(scope="module")
def tables_of_every_task(tmp_path_factory):
    """Return models of tables, and rows as they are typed."""
    pytest.importorskip("skrub")
    import small_tables  # noqa: PLC0415  (extras)
    from chainrule.files import networks as network_files  # noqa: PLC0415
    from chainrule.files.container import write_file  # noqa: PLC0415
    from chainrule.tables import models  # noqa: PLC0415
    from chainrule.tables import saving as table_saving  # noqa: PLC0415
    from chainrule.tables.serving import files as table_files  # noqa: PLC0415
    from chainrule.tables.serving import model as serving_model  # noqa: PLC0415

    folder, found = tmp_path_factory.mktemp("tables"), {}
    frame = small_tables.frame(60, seed=3).select(small_tables.INPUTS)
    typed = [{**row, "built": row["built"] and row["built"].isoformat()} for row in frame.to_dicts()]
    for task in small_tables.TARGETS:
        trained = small_tables.trained(task)
        table = table_saving._table(trained)
        kind, description, arrays = network_files.contents(models.inside(trained.pipeline[-1]), folded=False)
        write_file(folder / task, kind, description, arrays | table_files.arrays(table))
        model = serving_model.load(folder / task)
        found[task] = model, [*typed, *strange(typed)]
    return found


def strange(rows, seed=1):
    """Return rows with unseen, missing, infinite and later values."""
    rng = np.random.default_rng(seed)
    odd_values = {
        "size": [None, math.inf, -math.inf, 1e30, "12.5"], "rooms": [-7, None], "garden": [None, "perhaps", ""],
        "city": ["Oslo", None, "(missing)", "köln"], "street": ["", "street 1\n", None], "built": ["2090-02-28", None],
        "opened": ["2061-12-31", "31.12.2061", None, "1899-12-31 23:59:59"],
        "notes": ["no such words ... ÄÖÜ 12 Straße ΑΒΓ ǅ", None, "", "a b", "near near lake 😀 日本語"],
    }  # fmt: skip
    made = [dict(row) for row in rows]
    for row in made:
        for name, values in odd_values.items():
            if rng.random() < 0.4:
                row[name] = values[rng.integers(len(values))]
    return made


@pytest.fixture(scope="module")
def table_results(tables_of_every_task, tmp_path_factory):
    return run_all(tables_of_every_task, tmp_path_factory.mktemp("export"))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "multilabel"])
def test_tables(table_results, task, language):
    agree(table_results, language, task)


@pytest.mark.slow
def test_rows_are_read_as_the_table_reads_them(tables_of_every_task):
    for name, (model, rows) in tables_of_every_task.items():
        plain = [
            {**row, "opened": row["opened"] if re.match(r"\d\d\.", row["opened"] or "0") else None} for row in rows
        ]
        y, said = comparing.expected(model, build.program(model), plain)
        predicted = model.predict(plain)
        if name.startswith("regression"):
            np.testing.assert_allclose(predicted, y.ravel(), rtol=1e-12)
        else:
            np.testing.assert_allclose(model.predict_proba(plain), y, atol=1e-12)
            assert predicted.tolist() == said


@pytest.mark.slow
def test_random_tables_agree_with_what_predicts_in_python(tmp_path):
    """Columns of any kind, read by the table itself on one side and by the code on the other."""
    pl = pytest.importorskip("polars")
    import small_tables  # noqa: PLC0415  (extras)
    from chainrule import tables  # noqa: PLC0415  (an extra)

    cases, expected = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        days = (np.datetime64("2015-01-01") + rng.integers(0, 3000, 120)).astype(object)
        kinds = {
            "number": lambda rng=rng: (rng.normal(size=120) * 10.0 ** rng.integers(-3, 6)).tolist(),
            "flag": lambda rng=rng: (rng.random(120) < 0.3).tolist(),
            "word": lambda rng=rng: rng.choice(["a", "b", "c", "rare"], 120, p=[0.5, 0.3, 0.19, 0.01]).tolist(),
            "code": lambda rng=rng: rng.integers(0, 4, 120).tolist(),
            "many": lambda rng=rng: [f"v{i}" for i in rng.integers(0, 60, 120)],
            "date": lambda days=days: [day.isoformat() for day in days],
            "german": lambda days=days: [f"{day:%d.%m.%Y}" for day in days],
            "text": lambda rng=rng: [" ".join(rng.choice(small_tables.WORDS, 8)) for _ in range(120)],
        }  # fmt: skip
        given = {name: kinds[name]() for name in rng.choice(list(kinds), 4, replace=False).tolist()}
        number = rng.normal(size=120)
        target = [number, np.exp(2 * number), np.where(number > 0.8, "yes", "no"), np.digitize(number, [-0.5, 0.5])][
            seed
        ]
        options = {"fast": True, "parameters": small_tables.SHORT} if seed else {}
        options |= {"categorical": ["code"]} if "code" in given else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = tables.train(pl.DataFrame({**given, "y": target}), "y", **options)
        tables.save(run, tmp_path / f"run{seed}")
        model = cr.load(tmp_path / f"run{seed}")
        changes = {"number": math.inf, "word": "Oslo", "many": "new", "date": "2061-12-31"}
        rows = pl.DataFrame(given).to_dicts()
        rows += [{name: None if rng.random() < 0.3 else changes.get(name, value) if rng.random() < 0.2 else value
                  for name, value in row.items()} for row in rows]  # fmt: skip
        numbers = model.schema.task == "regression"
        y = model.predict(rows).reshape(-1, 1) if numbers else model.predict_proba(rows)
        cases.append((model, rows))
        expected.append((y, None if numbers else model.predict(rows).tolist()))
    found = run_all(dict(enumerate(cases)), tmp_path)
    for i, (y, said) in enumerate(expected):
        for results in found.values():
            np.testing.assert_allclose(results[i][0], y, rtol=0, atol=1e-5 * max(1, np.abs(y).max()))
            assert said is None or results[i][1] == said


# ---------------------------------------------------------------- the code itself


SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover")


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
def test_c_reads_and_writes_nothing_else(compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    made = handmade()
    rows = every_step()[2]
    broken = [
        {**row, NAMES["notes"]: "a\udcc3 near\udce6"} for row in rows[:3]
    ]  # ends within a letter, and is not UTF-8
    made = {name: (model, [*rows, *broken]) for name, (model, rows) in made.items()} | {
        name: case
        for name, case in CASES.items()
        if name in ("images", "labels", "table of classes", "text") or "Pool" in name
    }
    files, expected = [], []
    for i, (model, rows) in enumerate(made.values()):
        path, program = tmp_path / f"m{i}.c", build.program(model)
        saving.write(saving.texts(program, path), "", overwrite=False)
        files.append(Case(path, program, rows))
        expected.append(comparing.expected(model, program, rows))
    found = comparing.run_c(files, compiler, SANITIZERS)
    assert len(found) == len(files)
    for (y, _), (ours, _) in zip(found, expected, strict=True):
        good = len(ours) - 3 * (len(ours) > 150)
        np.testing.assert_allclose(y[:good], ours[:good], rtol=0, atol=1e-5 * max(1, np.abs(ours).max()))


def test_the_size_report_counts_what_is_there(tmp_path):
    layers = [Dense(64), ReLU(), Dense(32), Residual([Dense(32), Tanh()]), Dense(3)]
    program = build.program(cr.Network(16, layers, "softmax_cross_entropy", seed=0))
    weights = 16 * 64 + 64 * 32 + 32 * 32 + 32 * 3
    assert program.multiply_adds == weights
    assert program.bytes == 4 * (weights + 64 + 32 + 32 + 3)
    source = c.files(program, "small")[".c"]
    assert "static float floats[96];" in source  # 64 + 32, not 64 + 64 + 32 + 32 + 32 + 32 + 3
    assert (
        c.size(program)
        == "17,292 bytes of parameters, 384 bytes of work buffer (static) and 4,192 multiply-adds for a row"
    )
    assert f"It takes {c.size(program)}." in c.files(program, "small")[".h"]


@pytest.mark.slow
def test_the_same_model_gives_the_same_files():
    model, _ = handmade()["binary ('no', 'yes')"]
    for make in (lambda p: c.files(p, "m"), javascript.module, numpy_script.script):
        assert make(build.program(model)) == make(build.program(model))
        assert str(make(build.program(model))).isascii()


@pytest.mark.slow
def test_what_the_code_needs():
    """NumPy and Python's own modules; nothing in JavaScript; math.h and integers in C."""
    model, _ = handmade()["regression (), ensemble"]
    for program in (build.program(model), build.program(CASES["images"][0])):
        imported = set(re.findall(r"^(?:import|from) ([\w.]+)", numpy_script.script(program), re.MULTILINE))
        assert {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names} <= {
            "numpy",
            "numpy.typing",
        }
        assert not re.search(r"^import |require\(|\bimport\(", javascript.module(program), re.MULTILINE)
        source = c.files(program, "m")[".c"]
        assert set(re.findall(r"#include (\S+)", source)) <= {"<math.h>", "<stdint.h>", '"m.h"'}
        assert not re.search(r"\b(malloc|calloc|realloc|alloca|free)\(", source)


@pytest.mark.slow
def test_nothing_ends_a_string_a_comment_or_a_script():
    model, _ = handmade()[f"multiclass {EVIL[:3]}"]
    program = build.program(model)
    module, sources = javascript.module(program), c.files(program, "m")
    assert "</script" not in module
    assert "<!--" not in module
    for source in sources.values():
        found = re.findall(r'"(?:\\.|[^"\\])*"|/\*.*?\*/', source, re.DOTALL)
        comments = [text for text in found if text[0] == "/"]
        assert not any("/*" in comment[2:] or "??" in comment for comment in comments)


@pytest.mark.parametrize("name", ["a b", 'a"b', "größe", "a\nb", "-"])
def test_names_of_c_files_are_letters_and_digits(name):
    program = build.program(cr.Network(2, [Dense(1)], "squared_error", seed=0))
    if name == "-":
        assert "void x__predict(const float *x, float *y);" in c.files(program, name)[".h"]
        return
    with pytest.raises(ValueError, match=r"expected letters of ASCII, digits, _, - and dots, such as model\.c"):
        c.files(program, name)


def test_fields_have_different_names_that_c_takes():
    given = [Column(name, "number") for name in ("a b", "a_b", "a-b", "int", "int_", "1", "", "a_b_2", "ö")]
    columns = tuple(Input(column.name, "number") for column in given)
    names = list(c_text.fields(columns).values())
    assert names == ["a_b", "a_b_2", "a_b_3", "int_", "int__2", "x1", "x", "a_b_2_2", "x_"]
    assert len({*names}) == len(names)


def test_values_that_do_not_fit_are_refused_in_a_sentence(tmp_path):
    """The same sentences in JavaScript and in Python."""
    rows = every_step()[2]
    model, _ = handmade()["binary ('no', 'yes'), ensemble"]
    program = build.program(model)
    wrong = [
        ({"size": "many"}, "int is a number, but got 'many'."),
        ({"opened": "soon"}, "1_? is a date, but got 'soon': write it as 2024-12-31."),
        ({"opened": "31.02.2001"}, "1_? is a date, but got '31.02.2001': write it as 2024-12-31."),
        ({"built": "2001-02-29"}, "1 ? is a date, but got '2001-02-29': write it as 2024-12-31."),
        ({"at": "2001-02-03T00:00:00Z"}, "class is a date, but got '2001-02-03T00:00:00Z': write it as 2024-12-31."),
        ({"code": "x"}, "constructor is a number, but got 'x'."),
        ({"code": 1.5}, "constructor is an integer, but got 1.5."),
        ({"sold": "maybe"}, "</script> is true or false, but got 'maybe'."),
        ({"size": "1_000"}, "int is a number, but got '1_000'."),
        ({"size": "0x10"}, "int is a number, but got '0x10'."),
        ({"street": ...}, "größe is missing: give {} where a value is unknown."),
    ]
    good = rows[1]
    cases = [{NAMES[name]: value for name, value in change.items()} for change, _ in wrong]
    cases = [{name: value for name, value in {**good, **case}.items() if value is not ...} for case in cases]
    for suffix in (".py", ".mjs"):
        saving.write(saving.texts(program, tmp_path / f"m{suffix}"), "", overwrite=False)
    script = runpy.run_path(str(tmp_path / "m.py"))
    for row, (_, message) in zip(cases, wrong, strict=True):
        with pytest.raises(ValueError, match=re.escape(message.format("None"))):
            script["predict"]([row])
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    code = (
        "const { predict } = await import('./m.mjs'); for (const row of JSON.parse(process.argv[1])) "
        "try { predict(row); console.log('no error'); } catch (error) { console.log(error.message); }"
    )
    given = json.dumps(cases).replace("Infinity", "1e999").replace("NaN", "null")
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", code, given], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    said = [message.format("null").replace("'", '"') for _, message in wrong]
    assert done.stdout.splitlines() == said


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
def test_dates_that_c_reads(compiler, tmp_path):
    program = build.program(handmade()["regression ()"][0])
    saving.write(saving.texts(program, tmp_path / "m.c"), "", overwrite=False)
    good = [
        "1970-01-01",
        "2024-05-03",
        "2024-02-29",
        "1969-12-31T23:59:59",
        "0001-01-01",
        "9999-12-31 12:30",
        "2024-05-03 18:30:15.25",
    ]
    bad = ["", "2024", "2024-13-01", "2023-02-29", "2024-04-31", "2024-00-10", "2024-01-00", "24-01-01", "2024-01-01x",
           "2024-01-01 25:00", "2024-01-01Z", "x", "2024-1-", "24-1-1", "2024-01-01 10:61"]  # fmt: skip
    lines = "".join(f'printf("%.17g\\n", m_date({c_text.string(text)}));' for text in [*good, *bad])
    (tmp_path / "main.c").write_text(f'#include <stdio.h>\n#include "m.h"\nint main(void) {{{lines} return 0;}}\n')
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    subprocess.run([compiler, *comparing.FLAGS, "main.c", "m.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    said = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    epoch = np.datetime64("1970-01-01T00:00:00")
    wanted = [(np.datetime64(text.replace(" ", "T"), "ms") - epoch) / np.timedelta64(1, "s") for text in good]
    assert [float(number) for number in said[: len(good)]] == wanted
    assert all(math.isnan(float(number)) for number in said[len(good) :])


READ = """
#include <math.h>
#include <stdio.h>
#include "m.h"
int main(void) {
    static const char *const texts[][2] = {TEXTS};
    struct m_row row;
    int i;
    for (i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) {
        int k = 0, good;
        while (texts[i][0][0] != m_columns[k][0] || texts[i][0][1] != m_columns[k][1]) k++;
        good = m_read(&row, k, texts[i][1]);
        if (!good) printf("refused ");
        if (k == 0) printf("%.17g\\n", row.number);
        if (k == 1) printf("%.17g\\n", row.day);
        if (k > 1) printf("%s\\n", k == 2 ? row.code ? row.code : "missing" : row.flag ? row.flag : "missing");
    }
    return m_read(&row, 4, "x") + m_read(&row, -1, "x");
}
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_texts_that_c_reads(compiler, tmp_path):
    """Numbers exactly as Python reads them, dates in the formats of training, categories in any spelling."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    numbers = ["41", " 41.50\t", "+.5", "-5.", "1e3", "4.1E-1", "0.1", "123456.789", "0.30000000000000004", "1" + 60 * "0",
               "1e99", "9007199254740993", "0000", "-0.0", "1e-400", "1.7976931348623157e99"]  # fmt: skip
    found = {
        **{("number", text): repr(float(text)) for text in numbers},
        ("number", "1e400"): "inf", ("number", "-1e101"): "-inf", ("number", "Infinity"): "inf", ("number", " -inf "): "-inf",
        ("number", ""): "nan", ("number", None): "nan", ("number", " n/a "): "nan", ("number", "NaN"): "nan",
        **{("number", text): "refused nan" for text in ("x", "1_0", "0x10", "1e", "--1", "1.2.3", "5 kg", ".", "- 1", "in", "-")},
        ("day", "03.05.2024"): "1714694400", ("day", " 3.5.2024 "): "1714694400", ("day", "2024-05-03"): "1714694400",
        ("day", "20240503"): "1714694400", ("day", "2024-05"): "1714521600", ("day", "2024-05-03T18:30:15.25"): "1714761015.25",
        ("day", "2024-05-03Z"): "1714694400", ("day", "unknown"): "nan", ("day", " "): "nan",
        **{("day", text): "refused nan" for text in ("soon", "31.02.2024", "03.05.24", "2024-05-03 25:00", "3. Mai 2024")},
        ("code", "2"): "2", ("code", " +02 "): "2", ("code", "2.0"): "2", ("code", "2e0"): "2", ("code", "7"): "7",
        ("code", "9007199254740993"): "9007199254740993", ("code", "9007199254740992"): "9007199254740992",
        ("code", ""): "missing", ("code", "x"): "refused missing", ("code", "1.5"): "refused missing", ("code", "inf"): "refused missing",
        ("flag", "TRUE"): "true", ("flag", " 0"): "false", ("flag", ""): "missing", ("flag", "maybe"): "refused missing",
    }  # fmt: skip
    keys = ("2", "9007199254740993", "-3")
    columns = (
        Column("number", "number", holes=("n/a",)),
        Column("day", "date", "text", date_format="%d.%m.%Y or %Y%m%d", holes=("unknown",)),
        Column("code", "category", "whole", categories=keys), Column("flag", "category", "boolean", categories=("false", "true")),
    )  # fmt: skip
    steps = [Filled(("number",), np.zeros(1)), Lookup(("code",), keys, np.zeros((4, 1))),
             Lookup(("flag",), ("false", "true"), np.zeros((3, 1))), Dates(("day",), (("year",),), np.zeros(1), np.ones(1), 3.0)]  # fmt: skip
    unit = Unit(*(np.array([v]) for v in (0.0, 1.0, -np.inf, np.inf)))
    schema = Schema(columns, (Column("y", "number"),), "regression")
    model = TableModel(Table(schema, steps, unit, Widths()), Regressor([member(4, 1, "squared_error", 0)]))
    saving.save(model, tmp_path / "m.c")
    given = ["NULL" if text is None else c_text.string(text) for _, text in found]
    texts = ", ".join(f'{{"{name}", {text}}}' for (name, _), text in zip(found, given, strict=True))
    (tmp_path / "main.c").write_text(READ.replace("TEXTS", texts))
    subprocess.run([compiler, *comparing.FLAGS, "main.c", "m.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    said = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
    for (of, text), expected, read in zip(found, found.values(), said, strict=True):
        if of == "number" and text in numbers:
            assert float(read) == pytest.approx(float(expected), rel=0 if len(text) < 20 else 1e-15), text
        else:
            assert read.replace("-nan", "nan") == expected, (of, text)


class Own(Layer):
    def forward(self, x, memo):
        return x

    def backward(self, dy, memo):
        return dy


class OwnLoss(cr.Loss):
    def forward(self, y, t, memo):
        return y[:, 0]

    def backward(self, t, memo):
        raise NotImplementedError

    def inverse_link(self, y):
        return np.tanh(y)


def test_what_has_no_form_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"^export: layer 1, Own\(\), cannot be written in another language\.$"):
        build.program(cr.Network(2, [Dense(2), Own()], "squared_error", seed=0))
    with pytest.raises(
        ValueError, match=r"^export: the inverse link of the loss, OwnLoss\(\), cannot be written in another"
    ):
        build.program(cr.Network(2, [Dense(2)], OwnLoss(), seed=0))
    with pytest.raises(
        TypeError, match=r"expected a model that chainrule\.load returned, got MLPClassifier: save the model"
    ):
        build.program(cr.MLPClassifier())
    texts = np.empty((8, 1), object)
    texts[:, 0] = ["1", 1, "a", "b"] * 2
    e = ensemble("softmax_cross_entropy", 2, list(texts.T))
    with pytest.raises(ValueError, match=r"the categories of column 'x0' are of several types"):
        build.program(Classifier(e.networks, labels(["no", "yes"], "binary"), None, e))


# ---------------------------------------------------------------- the command


def export(*arguments, status=0):
    from typer.testing import CliRunner  # noqa: PLC0415  (an extra)

    from chainrule.cli.app import app  # noqa: PLC0415  (the same)

    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.stderr


@pytest.fixture
def saved(tmp_path):
    cr.save(CASES["two classes"][0].networks[0], tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("option", "name", "tool"),
    [("--c", "my-model.v2.c", "gcc"), ("--js", "m.js", "node"), ("--numpy", "m.py", "python3")],
)
def test_the_command_writes_and_compares(saved, tmp_path, option, name, tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    printed = export(saved, option, tmp_path / name)
    assert printed.count("\n") == 1
    assert "5 inputs, 1 prediction;" in printed
    assert float(re.search(r"largest difference from chainrule on 256 random rows: (\S+)\.\n$", printed)[1]) < 1e-5
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"model.safetensors", name, *(["my-model.v2.h"] if option == "--c" else [])}
    assert "--overwrite" in export(saved, option, tmp_path / name, status=2)
    export(saved, option, tmp_path / name, "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "expected exactly one of --onnx, --c, --js and --numpy, with a file to write"),
        (["--c", "{tmp}/m.c", "--js", "{tmp}/m.mjs"], "expected exactly one of"),
        (["--c", "{tmp}/m.cpp"], "expected a name that ends in .c"),
        (["--js", "{tmp}/m.c"], "expected a name that ends in .mjs or .js"),
        (["--numpy", "{tmp}/m"], "expected a name that ends in .py"),
        (["--numpy", "{tmp}/re.py"], "it would hide Python's module 're': choose another name."),
        (["--numpy", "{tmp}/no/m.py"], "does not exist"),
        (["--numpy", "{tmp}/folder.py"], "is a folder"),
        (["--numpy", "{tmp}/m.py", "--opset", "20"], "--opset applies only to --onnx"),
        (["--c", "{tmp}/a b.c"], "expected letters of ASCII"),
        (["--c", "{tmp}/there.c"], "there.h already exists"),
    ],
)
def test_the_command_refuses_in_a_sentence(saved, tmp_path, arguments, match):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "there.h").write_text("precious")
    before = {*tmp_path.iterdir()}
    said = export(saved, *(a.format(tmp=tmp_path) for a in arguments), status=2)
    assert re.match(f"Error: .*{match}", said), said
    assert said.count("\n") == 1
    assert {*tmp_path.iterdir()} == before


def test_the_model_itself_is_never_replaced(saved, tmp_path):
    model = tmp_path / "m.py"
    model.write_bytes(saved.read_bytes())
    assert "is the model itself" in export(model, "--numpy", model, "--overwrite", status=2)
    assert model.read_bytes() == saved.read_bytes()


def test_the_command_says_why_it_does_not_compare(saved, tmp_path, monkeypatch):
    cr.save(cr.Network(2, [Embedding(5, 2), Dense(1)], "squared_error", seed=0), tmp_path / "e.safetensors")
    assert "not compared: the network rejects random rows: Embedding" in export(
        tmp_path / "e.safetensors", "--numpy", tmp_path / "e.py"
    )
    monkeypatch.setattr(comparing.shutil, "which", lambda _: None)
    assert export(saved, "--c", tmp_path / "m.c").endswith("not compared: a C compiler is not installed.\n")
    assert export(saved, "--js", tmp_path / "m.mjs").endswith("not compared: Node is not installed.\n")
    monkeypatch.setattr(comparing.shutil, "which", lambda _: "/usr/bin/false")
    assert re.search(r"not compared: false: status 1\n$", export(saved, "--c", tmp_path / "n.c"))


def test_the_command_takes_a_script_of_rows(tmp_path):
    model, rows = CASES["text"]
    saving.save(model, tmp_path / "m.py")
    done = subprocess.run(
        [sys.executable, "m.py"], cwd=tmp_path, input=json.dumps(rows[:5]), capture_output=True, text=True, check=True
    )
    given = np.array([[*row.values()] for row in rows[:5]], object)
    assert json.loads(done.stdout) == model.predict(given).tolist()


@pytest.mark.slow
def test_a_file_of_an_estimator_and_a_run_on_a_data_set(tmp_path):
    stored = Path(__file__).parent / "files" / "0.1.0" / "classifier-words.safetensors"
    assert re.search("probabilities; .* on 256 random rows: ", export(stored, "--numpy", tmp_path / "m.py"))
    from typer.testing import CliRunner  # noqa: PLC0415  (an extra)

    from chainrule.cli.app import app  # noqa: PLC0415  (the same)

    run = ["train", "moons", "--epochs", "2", "--layers", "4", "--out", str(tmp_path / "moons"), "--quiet"]
    assert CliRunner().invoke(app, run).exit_code == 0
    assert "2 inputs, 2 probabilities" in export(tmp_path / "moons", "--numpy", tmp_path / "moons.py")
    classes = json.loads((tmp_path / "moons" / "config.json").read_text())["classes"]
    assert runpy.run_path(str(tmp_path / "moons.py"))["CLASSES"] == classes
    assert "does not exist" in export(tmp_path / "nowhere", "--numpy", tmp_path / "n.py", status=2)


# ---------------------------------------------------------------- the page and the documentation

PAGES = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
    """Return the folder of a run on a table with a number, a category and a date, and the model."""
    pl = pytest.importorskip("polars")
    from chainrule import tables  # noqa: PLC0415  (an extra)

    rng = np.random.default_rng(0)
    days = [
        f"{year}-0{month}-1{day}" for year, month, day in rng.integers((2019, 1, 0), (2025, 9, 9), (200, 3)).tolist()
    ]
    frame = pl.DataFrame({"age": rng.integers(18, 80, 200), "plan": rng.choice(["basic", "pro"], 200), "since": days})
    frame = frame.with_columns(left=pl.Series(np.where(frame["age"] > 50, "yes", "no")))
    folder = tmp_path_factory.mktemp("runs") / "sales"
    tables.save(tables.train(frame, "left", parameters={"max_iter": 3, "hidden_layer_sizes": (8,)}), folder)
    return folder, cr.load(folder)


@pytest.mark.slow
def test_the_command_on_the_folder_of_a_table(customers, tmp_path):
    folder, model = customers
    for option, name in (("--c", "sales.c"), ("--js", "sales.mjs"), ("--numpy", "sales.py")):
        printed = export(folder, option, tmp_path / name)
        assert "3 columns, 2 probabilities" in printed
        if "not compared" not in printed:
            assert float(re.search(r"chainrule on 256 made-up rows: (\S+)\.\n$", printed)[1]) < 1e-5
    row = {"age": 41, "plan": "pro", "since": "2024-05-03"}
    script = runpy.run_path(str(tmp_path / "sales.py"))
    np.testing.assert_allclose(script["probabilities"]([row]), model.predict_proba([row]), atol=1e-6)
    assert script["predict"](row) == model.predict(row).tolist()
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    cr.save(cr.Network(2, [Dense(1)], "squared_error", seed=0), old / "model.safetensors", overwrite=True)
    assert "is from an earlier version: train again" in export(old, "--c", tmp_path / "o.c", status=2)


@pytest.mark.slow
def test_code_in_the_documentation(customers, tmp_path):
    _, model = customers
    text = (PAGES / "docs" / "export.md").read_text(encoding="utf-8")
    (in_c, typed), (in_js,) = (re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("c", "js"))
    row = {"age": 41, "plan": "pro", "since": "2024-05-03"}
    label, p = model.predict([row])[0], model.predict_proba([row])[0]
    read = re.sub(r"row = \{.*?\};", f"row;\n{typed}    if (!complete) return 1;".replace("\\", r"\\"), in_c)
    programs = [(compiler, source) for compiler in filter(shutil.which, COMPILERS) for source in (in_c, read)]
    for compiler, source in programs:
        saving.save(model, tmp_path / "sales.c", overwrite=True)
        (tmp_path / "main.c").write_text(source)
        subprocess.run([compiler, *comparing.FLAGS, "main.c", "sales.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
        said = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert said == f"{label}: {p.max():.3f}\n"
    if shutil.which("node"):
        saving.save(model, tmp_path / "sales.mjs")
        (tmp_path / "main.mjs").write_text(
            re.sub(r"^(pre|pro)(.*?);", r"console.log(\1\2);", in_js, flags=re.MULTILINE)
        )
        said = subprocess.run(["node", "main.mjs"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert said.startswith(f"{label}\n[")


@pytest.mark.slow
def test_the_page_in_a_browser(customers, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")
    _, model = customers
    saving.save(model, tmp_path / "model.mjs")
    page = (PAGES / "examples" / "export" / "page.html").read_text(encoding="utf-8")
    row = {"age": 60, "plan": "pro", "since": "2024-05-03"}
    filled = "".join(f"fields[{i}].value = {value!r};" for i, value in enumerate(row.values()))
    (tmp_path / "page.html").write_text(page.replace("  predict();\n</script>", f"  {filled}\n  predict();\n</script>"))
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=tmp_path, stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
        done = subprocess.run(
            [browser, *arguments, f"http://127.0.0.1:{port}/page.html"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    output = re.search(r"<output>(.*)</output>", done.stdout, re.DOTALL)[1]
    assert f"<strong>{model.predict([row])[0]}</strong>" in output
    for name, p in zip(model.classes_, model.predict_proba([row])[0], strict=True):
        assert f"<td>{name}</td>" in output
        assert f"<td>{p:.3f}</td>" in output
    assert '<option value="basic">basic</option>' in done.stdout
    assert 'placeholder="18 to 79"' in done.stdout
