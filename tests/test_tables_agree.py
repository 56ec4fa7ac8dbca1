"""For random tables, all that predict give the same answers: the pipeline, NumPy, ONNX, C, JavaScript and the script."""

import datetime as dt
import functools
import json
import math
import re
import runpy
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl
import pytest

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.export import build, comparing, numpy_script, saving
from chainrule.export.comparing import Case
from chainrule.tables import converting, models
from chainrule.tables.number_patterns import is_plain
from chainrule.tables.schema import KINDS as KINDS_OF_COLUMNS
from chainrule.tables.schema import TASKS
from chainrule.tables.serving.steps import STEPS

TABLES, ROWS = 60, 90
COMPILERS = ("gcc", "clang")
FEW = (0, 5, 19, 30)  # of each task
FLOOR = 45  # tables that ONNX takes
START = dt.date(2015, 1, 1)
NAMES = (  # of columns: strange ones, and those that generated code uses itself
    "size", "größe", "a b", "a_b", "__proto__", "constructor", "int", "1", "x", "y", "row", "rows", "self", "class", "keys0", "table0",
    'say "hi"\n', "</script>", "*/", "😀", "%s", "${x}", "label", "variable", "probabilities", "prepare.Cast", "prediction", "text",
    "prepare.constant", "column", "\\", "'", "predict", "classes", "outputs", "numbers", "v0", "日本",
)  # fmt: skip
LABELS = ("no", "YES", "ü \"'\\", "</script>", "maybe", "*/", "😀", "(missing)", "true", "1")

pytestmark = pytest.mark.filterwarnings("ignore")


# ---------------------------------------------------------------- tables


def days(rng, most=3000):
    return [START + dt.timedelta(days=int(n)) for n in rng.integers(0, most, ROWS)]


def moments(rng):
    return [dt.datetime.combine(day, dt.time(*(int(rng.integers(0, n)) for n in (24, 60, 60)))) for day in days(rng)]


def money(value):
    return f"{value:,.2f}".translate({44: ".", 46: ","}) + " €"


def some(rng, values, *odd, share=0.15):
    """Return the values with some others among them."""
    return [odd[rng.integers(len(odd))] if rng.random() < share else value for value in values]


KINDS = {  # a function of (rng) that returns the values of a column, and values that training did not have
    "number": (lambda rng: (rng.normal(size=ROWS) * 10.0 ** rng.integers(-3, 6)).tolist(), [None, math.inf, -math.inf, 1e30, 1e99, 1e200, -1e308, 0.0]),
    "holes": (lambda rng: some(rng, rng.normal(size=ROWS).tolist(), None, math.inf, -math.inf), [None, math.nan, 1e9]),
    "count": (lambda rng: rng.integers(0, 40, ROWS).tolist(), [-7, 10**12, None]),
    "far": (lambda rng: (1.7e9 + rng.integers(0, 1000, ROWS)).tolist(), [None, 0.0, 1.8e9]),
    "mostly 0": (lambda rng: np.where(rng.random(ROWS) < 0.8, 0, rng.integers(0, 9, ROWS)).tolist(), [None, 1000]),
    "tiny": (lambda rng: (rng.normal(size=ROWS) * 1e-30).tolist(), [None, 1.0]),
    "heavy": (lambda rng: (rng.standard_cauchy(ROWS) * 1e6).tolist(), [None, math.inf]),
    "money": (lambda rng: [money(v) for v in rng.uniform(0, 9999, ROWS)], [None, "1.000.000,00 €"]),
    "amount": (lambda rng: [f"{v:.1f} kg" for v in rng.uniform(0, 99, ROWS)], [None, "3 t"]),
    "clock": (lambda rng: [f"{a}:{b:02d}" for a, b in rng.integers(0, (24, 60), (ROWS, 2))], [None]),
    "yes/no": (lambda rng: rng.choice(["no", "yes"], ROWS).tolist(), [None, "perhaps", "YES"]),
    "holes yes/no": (lambda rng: some(rng, rng.choice(["<b>", "ü"], ROWS).tolist(), None), [None, "u"]),
    "0/1": (lambda rng: rng.integers(0, 2, ROWS).tolist(), [None, 2]),
    "flag": (lambda rng: (rng.random(ROWS) < 0.3).tolist(), [None]),
    "holes flag": (lambda rng: some(rng, (rng.random(ROWS) < 0.3).tolist(), None), [None]),
    "word": (lambda rng: rng.choice(["a", "Łódź", 'c"\n', "rare"], ROWS, p=[0.5, 0.3, 0.19, 0.01]).tolist(), [None, "Oslo", "A", " a", ""]),
    "holes word": (lambda rng: some(rng, rng.choice(["Bern", "Graz", "Köln"], ROWS).tolist(), None), [None, "Oslo", "", "bern"]),
    "blank word": (lambda rng: rng.choice(["", "a", "b", "(missing)"], ROWS).tolist(), [None, "c"]),
    "code": (lambda rng: rng.integers(0, 4, ROWS).tolist(), [None, 9]),
    "holes code": (lambda rng: some(rng, (rng.integers(0, 4, ROWS) * 10).tolist(), None), [None, 7]),
    "half code": (lambda rng: (rng.integers(0, 5, ROWS) / 2).tolist(), [None, 0.25]),
    "long code": (lambda rng: (2**60 + rng.integers(0, 3, ROWS)).tolist(), [None, 2**60 + 9]),
    "many": (lambda rng: [f"v{i}" for i in rng.integers(0, 60, ROWS)], [None, "v", ""]),
    "holes many": (lambda rng: some(rng, [f"ö{i}" for i in rng.integers(0, 60, ROWS)], None), [None, "x"]),
    "many codes": (lambda rng: rng.integers(0, 60, ROWS).tolist(), [None, 1000]),
    "date": (days, [None, dt.date(2090, 2, 28), dt.date(1600, 2, 29), dt.date(9999, 12, 31)]),
    "holes date": (lambda rng: some(rng, days(rng), None), [None, dt.date(2061, 12, 31)]),
    "moment": (moments, [None, dt.datetime(2061, 12, 31, 23, 59, 59, 999_999), dt.datetime(1969, 12, 31, 23)]),
    "zone": (lambda rng: [at.replace(tzinfo=dt.UTC) for at in moments(rng)], [None, dt.datetime(2061, 7, 1, 12, tzinfo=dt.UTC)]),
    "iso": (lambda rng: [day.isoformat() for day in days(rng)], [None, "2061-12-31"]),
    "german": (lambda rng: [f"{day:%d.%m.%Y}" for day in days(rng)], [None, "31.12.2061", "1.2.1968"]),
    "named": (lambda rng: [f"{day:%d %b %Y}" for day in days(rng)], [None, "31 Dec 2061"]),
    "time": (lambda rng: [f"{at:%Y-%m-%d %H:%M:%S}" for at in moments(rng)], [None, "2061-12-31 23:59:59"]),
    "digits": (lambda rng: [int(f"{day:%Y%m%d}") for day in days(rng)], [None, 20611231]),
    "text": (lambda rng: [" ".join(rng.choice(small_tables.WORDS, 8)) for _ in range(ROWS)],
             [None, "", "no such words ... ÄÖÜ 12", "Straße ΑΒΓ 日本語 x1_2 it's 😀", "near NEAR near"]),
    "berlin": (lambda rng: pl.Series(moments(rng)).dt.replace_time_zone("Europe/Berlin", ambiguous="earliest", non_existent="null").to_list(), [None]),
    "month": (lambda rng: [f"{day:%Y-%m}" for day in days(rng)], [None, "2061-12"]),
    "month digits": (lambda rng: [int(f"{day:%Y%m}") for day in days(rng)], [None, 206112]),
    "minutes": (lambda rng: [f"{at:%d/%m/%Y %H:%M}" for at in moments(rng)], [None, "31/12/2061 23:59"]),
    "fraction": (lambda rng: [f"{at:%Y-%m-%dT%H:%M:%S}.{rng.integers(0, 999):03d}" for at in moments(rng)], [None, "2061-12-31T23:59:59.999"]),
    "offset": (lambda rng: [f"{at:%Y-%m-%dT%H:%M:%S}+01:00" for at in moments(rng)], [None, "2061-12-31T23:59:59+02:00"]),
    "short year": (lambda rng: [f"{day:%d.%m.%y}" for day in days(rng)], [None, "31.12.61"]),
    "holes german": (lambda rng: some(rng, [f"{day:%d.%m.%Y}" for day in days(rng)], "unknown", None), [None, "31.12.2061", "unknown"]),
    "percent": (lambda rng: [f"{v:.1f} %" for v in rng.uniform(0, 99, ROWS)], [None, "120 %"]),
    "grouped": (lambda rng: [f"{v:,}" for v in rng.integers(0, 10**6, ROWS)], [None, "9,999,999"]),
    "mixed": (lambda rng: some(rng, [f"{v:.2f}" for v in rng.normal(size=ROWS)], "unknown", "-"), [None, "unknown", "-", "1e3", "inf", " 2.5 "]),
    "duration": (lambda rng: [dt.timedelta(seconds=int(v)) for v in rng.integers(0, 10**5, ROWS)], [None, dt.timedelta(days=40)]),
    "time of day": (lambda rng: [at.time() for at in moments(rng)], [None, dt.time(12)]),
    "am": (lambda rng: [f"{at:%I:%M %p}" for at in moments(rng)], [None, "12:30 am"]),
    "tenths": (lambda rng: (rng.integers(0, 5, ROWS) / 10).tolist(), [None, 0.25]),
    "halves yes/no": (lambda rng: (rng.integers(1, 3, ROWS) / 2).tolist(), [None, 0.25]),
    "whole halves": (lambda rng: some(rng, rng.integers(0, 3, ROWS).astype(float).tolist(), math.nan), [None, 9.0]),
    "truth words": (lambda rng: rng.choice(["TRUE", "FALSE"], ROWS).tolist(), [None, "true"]),
    "digits words": (lambda rng: rng.choice(["001", "002", "010"], ROWS).tolist(), [None, "1"]),
    "decimal": (lambda rng: [Decimal(f"{v:.2f}") for v in rng.uniform(0, 99, ROWS)], [None]),
    "constant": (lambda rng: [5.0] * ROWS, [None]),
    "nothing": (lambda rng: [None] * ROWS, [None]),
    "rare": (lambda rng: np.where(np.arange(ROWS) == 5, "once", "often").tolist(), [None, "never"]),
}  # fmt: skip
CATEGORIES = (
    "code",
    "holes code",
    "half code",
    "long code",
    "many codes",
    "mostly 0",
    "tenths",
    "whole halves",
    "digits words",
)


def target(rng, number, task, *, several=False):
    """Return the names of the targets and their columns."""
    yes = np.where(number > rng.normal() / 2, "yes", "no")
    if task == "binary":
        of = (
            *(np.array(LABELS)[rng.permutation(len(LABELS))[:2]] for _ in range(2)),
            np.array([0, 1]),
            np.array([False, True]),
        )
        return {"target": of[rng.integers(4)][(number > 0.3).astype(int)]}
    if task == "multiclass":
        of = (np.array(LABELS)[rng.permutation(len(LABELS))[:4]], np.array([2, 3, 5, 7]))
        return {"target": of[rng.integers(2)][np.digitize(number, [-0.8, 0.0, 0.8])]}
    if task == "multilabel":
        return {
            "sold": yes,
            "late": (number + rng.normal(size=ROWS) > 0).astype(int),
            "at home": rng.choice(["ü", "no"], ROWS),
        }
    if several:
        return {"target": 1e4 * number, "the other, rounded": np.round(np.exp(number) * rng.integers(0, 2, ROWS), 2)}
    return {
        "target": (1e4 * number, np.exp(2 * number), np.round(np.exp(number) * rng.integers(0, 2, ROWS), 2))[
            rng.integers(3)
        ]
    }


def random_table(seed):
    """Return a table, perturbed rows of it, the names of the targets, and options of training."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(list(KINDS))[: rng.integers(2, 8)].tolist()
    first = [*KINDS][seed % len(KINDS)]  # every kind, some twice
    chosen = [first, *(kind for kind in chosen if kind != first)]
    if not {*chosen} - {"constant", "nothing"}:
        chosen.append("number")
    names = dict(zip(chosen, rng.permutation(NAMES).tolist(), strict=False))
    values = {kind: KINDS[kind][0](rng) for kind in chosen}
    odd = {kind: some(rng, values[kind], *KINDS[kind][1], share=0.3) for kind in chosen}
    number = rng.normal(size=ROWS)
    task = ("binary", "multiclass", "regression", "multilabel")[seed // 2 % 4]
    goals = target(rng, number, task, several=seed // 8 % 2 == 1)
    frame = pl.DataFrame({names[kind]: values[kind] for kind in chosen}, strict=False)
    rows = pl.DataFrame(
        [pl.Series(names[kind], odd[kind], dtype=frame[names[kind]].dtype, strict=False) for kind in chosen]
    )
    options = {"categorical": [names[kind] for kind in chosen if kind in CATEGORIES]}
    if seed % 2:
        sizes = [(8,), (6, 5), ()][seed // 8 % 3]
        options["parameters"] = {
            "max_iter": 3,
            "hidden_layer_sizes": sizes,
            "activation": ["relu", "tanh", "logistic"][seed // 8 % 3],
        }
        options["parameters"] |= {"dtype": "float64"} if seed % 5 == 0 else {}
    elif task == "binary":
        options |= [{"metric": "f1"}, {"threshold": "cost:10:1"}, {}, {"metric": "balanced-accuracy"}][seed // 8 % 4]
    elif task == "multilabel":
        options |= [{"threshold": 0.3}, {"metric": "f1"}, {}][seed // 8 % 3]
    elif task == "multiclass":
        options |= [{"metric": "balanced-accuracy"}, {"parameters": {"class_weight": "balanced"}}, {}][seed // 8 % 3]
    return frame, rows, goals, options


# ---------------------------------------------------------------- answers


@dataclass
class Answers:
    """What one format says of rows: (rows, outputs), labels, and ends of intervals; or why it does not."""

    y: Any = None
    labels: Any = None
    ends: Any = None


@dataclass
class Run:
    """A trained table: the model without scikit-learn, its program, and rows."""

    seed: int
    folder: Any
    saved: Any
    model: Any
    program: Any
    rows: Any
    refused: str  # by ONNX


def trained(seed, folder):
    frame, odd, goals, options = random_table(seed)
    table = frame.with_columns(pl.Series(name, values) for name, values in goals.items())
    (note,) = tables.save(tables.train(table, [*goals], **options), folder)
    model = cr.load(folder)
    refused = "" if (folder / "pipeline.onnx").exists() else note
    return Run(seed, folder, tables.load(folder), model, build.program(model), pl.concat([frame, odd]), refused)


def by_pipeline(run):
    schema = run.saved.schema
    regression = schema.task == "regression"
    found = tables.predict(run.saved, run.rows, interval=0.8 if regression else None)[0]
    if regression:
        each = [found.select(pl.col(f"^{part}.*$")).to_numpy() for part in ("prediction", "low", "high")]
        return Answers(each[0], None, np.stack(each[1:], axis=1))
    p = found.select(column for column in found.columns if column.startswith("p_")).to_numpy()
    if schema.task != "multilabel":
        return Answers(p, found["prediction"].to_list())
    each = [found[f"prediction_{c.name}"].cast(pl.String) == c.categories[1] for c in schema.targets]
    return Answers(p, np.stack([column.to_numpy().astype(int) for column in each], axis=1).tolist())


def by_numpy(run):
    rows = run.rows.to_dicts()
    if run.saved.schema.task == "regression":
        ends = [end.reshape(len(rows), -1) for end in run.model.predict_interval(rows, 0.8)]
        return Answers(run.model.predict(rows).reshape(len(rows), -1), None, np.stack(ends, axis=1))
    return Answers(run.model.predict_proba(rows), run.model.predict(rows).tolist())


def by_onnx(run):
    import onnxruntime  # noqa: PLC0415  (an extra)

    session = onnxruntime.InferenceSession(str(run.folder / "pipeline.onnx"), providers=["CPUExecutionProvider"])
    given = converting.feeds(run.rows, run.saved.schema).values()
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, dict(zip(names, given, strict=True)))
    return Answers(found[-1].astype(float), None if len(found) == 1 else found[0].astype(object).tolist())


def typed(run):
    """Return rows as a person types them: dates in ISO format or that of training, and plain numbers."""
    read, columns = run.model.read(run.rows), {column.name: column for column in run.saved.schema.used}
    made = []
    for i, row in enumerate(run.rows.to_dicts()):
        for column in run.program.columns:
            value, of = row[column.name], columns[column.name]
            plain = isinstance(value, int | float | None) or (
                isinstance(value, str) and not column.unit and is_plain(of.notation)
            )
            if (column.kind == "number" and not plain) or (
                column.kind == "date" and isinstance(value, str) and not column.formats
            ):
                row[column.name] = float(read[column.name][i])
            elif isinstance(value, dt.date):
                row[column.name] = (
                    value.replace(tzinfo=None).isoformat() if isinstance(value, dt.datetime) else value.isoformat()
                )
            elif isinstance(value, Decimal) or (of.kind != "number" and type(value) is int and abs(value) > 2**53):
                row[column.name] = str(value)
        made.append({column.name: row[column.name] for column in run.program.columns})
    return made


def by_code(runs, folder):
    """Return the answers of C, JavaScript and NumPy scripts, where there is what runs them."""
    cases = {suffix: [] for suffix in ("c", "mjs", "py")}
    for run in runs:
        rows = typed(run)
        for suffix, of in cases.items():
            path = folder / f"m{run.seed}.{suffix}"
            saving.write(saving.texts(run.program, path), "", overwrite=False)
            of.append(Case(path, run.program, rows))
    found = {}
    for compiler in filter(shutil.which, COMPILERS):
        with ThreadPoolExecutor(2) as pool:  # of compilers
            run = functools.partial(comparing.run_c, compiler=compiler)
            halves = pool.map(lambda half, run=run: run(half) if half else [], (cases["c"][::2], cases["c"][1::2]))
        found[compiler] = [Answers(*result) for pair in zip_longest(*halves) for result in pair if result]
    if shutil.which("node"):
        found["JavaScript"] = [Answers(y, labels) for y, labels in comparing.run_js(cases["mjs"])]
    found["script"] = [Answers(y, labels) for y, labels in comparing.run_numpy(cases["py"])]
    return found


# ---------------------------------------------------------------- comparing


def differences(run, ours, theirs, tolerance):
    """Yield sentences on what differs from the pipeline."""
    scale = np.maximum(1.0, np.abs(ours.y).max(axis=0))
    off = (np.abs(theirs.y - ours.y) / scale).max(axis=1)
    if bad := np.flatnonzero(~(off <= tolerance)).tolist():
        yield f"{len(bad)} rows are off, by up to {np.nanmax(off):.1e}: {run.rows.row(bad[0], named=True)}"
    if theirs.ends is not None and not (np.abs(theirs.ends - ours.ends) <= tolerance * scale).all():
        yield "the ends of intervals are off"
    if ours.labels is None:
        return
    ensemble = run.model.model.ensemble
    limits = 0.5 if ensemble is None or ensemble.thresholds is None else ensemble.thresholds
    for row, (a, b, p) in enumerate(zip(ours.labels, theirs.labels, ours.y, strict=True)):
        if run.saved.schema.task == "multilabel":
            near = np.abs(p - limits) <= tolerance
            if any(x != y for x, y, close in zip(a, b, near, strict=True) if not close):
                yield f"row {row} has the labels {b}, not {a}"
        elif a != b:
            first, second = np.sort(p / limits)[:-3:-1]
            if first - second > tolerance * first:
                yield f"row {row} is {b!r}, not {a!r}: {p} {limits}"


def compared(runs, folder):
    """Return sentences on what differs, and for how many tables each format was compared."""
    told, counts = [], {}
    code = by_code(runs, folder)
    for i, run in enumerate(runs):
        ours = by_pipeline(run)
        others = {"NumPy": (by_numpy(run), 1e-6)}
        if not run.refused:
            others["ONNX"] = by_onnx(run), 1e-5
        others |= {name: (answers[i], 1e-6 if name == "script" else 1e-5) for name, answers in code.items()}
        for name, (theirs, tolerance) in others.items():
            counts[name] = counts.get(name, 0) + 1
            told += [f"table {run.seed}, {name}: {text}" for text in differences(run, ours, theirs, tolerance)]
    return told, counts


# ---------------------------------------------------------------- tests


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "ensemble", small_tables.small_ensembles)
        yield


def trained_all(seeds, folder):
    return [trained(seed, folder / f"run{seed}") for seed in seeds]


@pytest.mark.slow
def test_a_few_tables(tmp_path):
    told, counts = compared(trained_all(FEW, tmp_path), tmp_path)
    assert told == []
    assert counts["NumPy"] == len(FEW)


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return trained_all(range(TABLES), folder), folder


@pytest.mark.slow
def test_sixty_tables(every):
    runs, folder = every
    told, counts = compared(runs, folder)
    print(f"{TABLES} tables, {2 * ROWS} rows each, compared with the pipeline: {counts}")
    assert told == []
    assert counts["NumPy"] == counts["script"] == TABLES
    assert counts["ONNX"] == TABLES - sum(bool(run.refused) for run in runs) >= FLOOR
    for name, tool in (*zip(COMPILERS, COMPILERS, strict=True), ("JavaScript", "node")):
        assert counts.get(name) == (TABLES if shutil.which(tool) else None)


@pytest.mark.slow
def test_what_onnx_refuses(every):
    """Hashed words, and integers that float64 does not have; nothing else."""
    runs, _ = every
    for run in runs:
        used = run.saved.schema.used
        texts = [column.name for column in used if column.kind == "text"]
        long = [column for column in used for key in column.categories if key.isdigit() and int(key) > 2**53]
        if texts:
            reason = f"ONNX has no operator to hash words, as needed for the column {texts[0]!r}."
        elif long:
            reason = f"its numbers are float64, which cannot represent every category, such as {long[0].categories[0]}."
        else:
            assert not run.refused
            continue
        assert run.refused == f"pipeline.onnx was not written: {reason}"


@pytest.mark.slow
def test_every_kind_is_among_the_tables(every):
    runs, _ = every
    assert len(KINDS) <= TABLES
    schemas = [run.saved.schema for run in runs]
    assert {column.kind for schema in schemas for column in schema.columns} >= {*KINDS_OF_COLUMNS} - {"identifier"}
    assert {schema.task for schema in schemas} == {*TASKS}
    models_ = [run.model for run in runs]
    assert {type(step).__name__ for model in models_ for step in model.table.steps} == STEPS.keys()
    assert any(model.model.ensemble and model.model.ensemble.thresholds is not None for model in models_)
    units = [model.table.unit or model.model.ensemble.unit for model in models_ if model.schema.task == "regression"]
    known = {(unit.shift is not None, bool((unit.low >= 0).any())) for unit in units}
    assert known >= {(False, False), (True, True)}
    assert {name for schema in schemas for name in (column.name for column in schema.columns)} == {*NAMES}


IN_C = """
#include <stdio.h>
#include "m.h"
int main(void) {
    double y, coverage, low, high;
    while (scanf("%lf %lf", &y, &coverage) == 2) {
        m_interval(y, coverage, &low, &high);
        printf("%.17g %.17g\\n", low, high);
    }
    return 0;
}
"""
IN_JS = """
import { readFileSync } from "node:fs";
import { interval } from "./m.mjs";
const [rows, coverages] = JSON.parse(readFileSync(0, "utf8"));
const end = (of) => { try { return of(); } catch (error) { return error.message; } };
console.log(JSON.stringify(coverages.map((coverage) => rows.map((row) => end(() => interval(row, coverage))))));
"""


@pytest.mark.slow
@pytest.mark.parametrize("positive", [False, True])
def test_intervals_in_code(every, positive, tmp_path):
    runs, _ = every
    of_one = [run for run in runs if run.saved.schema.task == "regression" and len(run.saved.schema.targets) == 1]
    run = next(run for run in of_one if (run.model.least == 0) == positive)
    rows, coverages = typed(run), [0.5, 0.8, 0.9]
    expected = [np.stack(run.model.predict_interval(run.rows, share), axis=1) for share in coverages]
    scale = np.abs(expected[-1]).max()
    script = numpy_script.script(run.program)
    (tmp_path / "m.py").write_text(script)
    interval = runpy.run_path(str(tmp_path / "m.py"))["interval"]
    for share, ends in zip(coverages, expected, strict=True):
        np.testing.assert_allclose(interval(rows, share), ends, rtol=0, atol=1e-6 * scale)
    most = len(run.program.halves) / 100
    refused = f"coverage: expected a share of 0.01 to {most:g}, got 0.999."
    with pytest.raises(ValueError, match=re.escape(refused)):
        interval(rows, 0.999)
    saving.save(run.model, tmp_path / "m.mjs")
    if shutil.which("node"):
        text = json.dumps([rows, [*coverages, 0.999]]).replace("Infinity", "1e999").replace("NaN", "null")
        *found, last = json.loads(ran(["node", "--input-type=module", "--eval", IN_JS], tmp_path, text))
        for made, ends in zip(found, expected, strict=True):
            np.testing.assert_allclose(made, ends, rtol=0, atol=1e-5 * scale)
        assert last == [refused] * len(rows)
    saving.save(run.model, tmp_path / "m.c")
    for compiler in filter(shutil.which, COMPILERS):
        (tmp_path / "main.c").write_text(IN_C)
        ran([compiler, *comparing.FLAGS, "main.c", "m.c", "-o", "main", "-lm"], tmp_path)
        y = run.model.predict(run.rows)
        given = "".join(f"{value!r} {share}\n" for share in (*coverages, 0.999, 0.0) for value in y.tolist())
        made = np.array([line.split() for line in ran(["./main"], tmp_path, given).splitlines()], float)
        np.testing.assert_allclose(made[: -2 * len(y)], np.concatenate(expected), rtol=1e-12)
        assert np.isnan(made[-2 * len(y) :]).all()


def ran(command, folder, text=None):
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


SPELLED = (  # values as somebody might type them, in any column
    "", " ", "x", "2", "2.0", " 2 ", "+2", "2e0", "1_0", "0x10", ".5", "5.", "-", "inf", "-Infinity", "nan", "1e400", "TRUE", "false",
    True, False, 0, 1, 2, 2.0, 1.5, -1, 10**12, 1e200, "no", "YES", "a", "unknown", "2024-05-03", "2024-05-03 18:30", "2024-05-03T18:30:15",
    "2024-05-03T18:30:15.5", "2024-02-30", "03.05.2024", "3.5.2024", "2024-5-3", "20240503", 20240503, "2024-05", 202405, "24:00", "12 kg",
)  # fmt: skip

IN_NODE = """
import { readFileSync } from "node:fs";
const rows = JSON.parse(readFileSync(0, "utf8"));
const { predict, probabilities } = await import("./m.mjs");
const found = rows.map((row) => { try { return [].concat((probabilities ?? predict)(row)); } catch (error) { return null; } });
console.log(JSON.stringify(found));
"""


def tried(predict, rows):
    found = []
    for row in rows:
        try:
            found.append(np.ravel(predict(row)))
        except ValueError:
            found.append(None)
    return found


@pytest.mark.slow
def test_what_the_table_takes_the_code_takes(every, tmp_path):
    """Values of other types than in training, for a column of each sort: the same predictions where there is one.

    The code takes more: dates in seconds and in ISO format. Texts with a unit are the exception: it takes plain numbers.
    C is given texts.
    """
    runs, _ = every
    tested, compared_values = set(), 0
    for run in runs:
        used = {column.name: column for column in run.saved.schema.used}
        sorts = {(c.kind, c.read_as, c.date_format): name for name, c in used.items()}
        names = [name for sort, name in sorts.items() if sort not in tested]
        tested |= sorts.keys()
        changes = [{name: value} for name in names for value in SPELLED]
        if not changes:
            continue
        predict = run.model.predict if run.saved.schema.task == "regression" else run.model.predict_proba
        ours = tried(predict, [run.rows.row(0, named=True) | change for change in changes])
        rows = [typed(run)[0] | change for change in changes]
        for suffix in ("py", "mjs", "c"):
            saving.save(run.model, tmp_path / f"m.{suffix}", overwrite=True)
        script = tried(runpy.run_path(str(tmp_path / "m.py"))["outputs"], [[row] for row in rows])
        given = json.dumps(rows).replace("Infinity", "1e999").replace("NaN", "null")
        found = [script]
        if shutil.which("node"):
            found.append(json.loads(ran(["node", "--input-type=module", "--eval", IN_NODE], tmp_path, given)))
        if shutil.which("gcc"):
            ((made, _),) = comparing.run_c([Case(tmp_path / "m.c", run.program, rows)], "gcc")
            found.append([None if np.isnan(y).any() else y for y in made])
        for change, y, *others in zip(changes, ours, *found, strict=True):
            ((name, value),) = change.items()
            if y is None or (isinstance(value, str) and not is_plain(used[name].notation) and value != ""):
                continue
            for other in others:
                assert other is not None, (used[name], value)
                np.testing.assert_allclose(np.array(other, float), y, rtol=0, atol=1e-5 * max(1, np.abs(y).max()))
                compared_values += 1
    assert compared_values > 500
