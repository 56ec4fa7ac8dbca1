"""Numbers are read by the notation of their column, and what training detected binds what is predicted."""

import json
import re
from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from chainrule import tables
from chainrule.cli.app import app
from chainrule.files.values import ModelFileError
from chainrule.tables import quantities
from chainrule.tables.checking import check
from chainrule.tables.formats import FORMAT, NOTATION, Format, Notation
from chainrule.tables.loading import load
from chainrule.tables.notation import expression, find
from chainrule.tables.options import Options
from chainrule.tables.reading import read
from chainrule.tables.schema import Schema
from chainrule.tables.streaming.opening import open_rows, open_table
from chainrule.tables.tuning import prepare


@pytest.fixture
def file(tmp_path):
    def make(content, name="t.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


def streamed(path, *, schema=None, **options):
    if schema is not None:
        rows = open_rows(path, schema, **options)
        return pl.concat(rows.blocks(rows.columns))
    frame = open_table(path, **options).frame
    return frame.select(frame.columns)


@pytest.mark.parametrize(
    ("content", "rows", "said"),
    [
        ("umsatz;rabatt\n4.229;50,0\n967;53,0\n", [(4229, 50), (967, 53)], "1.234 is 1234: 'umsatz'"),
        ('umsatz,rabatt\n4.229,"50,0"\n967,"53,5"\n', [(4229, 50), (967, 53.5)], "1.234 is 1234: 'umsatz'"),
        ("lat;umsatz\n52.5;50,0\n48.25;53,5\n", [(52.5, 50), (48.25, 53.5)], "12,5 is 12.5: 'umsatz'"),
        ('a,b\n1.5,"2,500"\n2.5,"12"\n', [(1.5, 2500), (2.5, 12)], "1,234 is 1234: 'b'"),
        ('a,b\n"1.234.567","2.500"\n"89","12"\n', [(1234567, 2500), (89, 12)], "1.234 is 1234: 'a', 'b'"),
        (
            "a;b\n1'234.50;1\u2009234,5\n2\u2019000.25;\u22123,5\n",
            [(1234.5, 1234.5), (2000.25, -3.5)],
            "1'234 is 1234",
        ),
        ("a;b\n1\u00a0234,5;x\n1\u202f234\u202f567;y\n", [(1234.5, "x"), (1234567, "y")], "1 234 is 1234: 'a'"),
        ('a,b\n"(1,234.50)",3-\n"2,000.00",4\n', [(-1234.5, -3), (2000, 4)], "1,234 is 1234: 'a'"),
        ("a;b\n($1,234.50);(5)\n$(2.5);7\n", [(-1234.5, -5), (-2.5, 7)], "$1,234 is 1234: 'a'"),
        ("a;b\n1,5e-3;1,5-\n2;3\n", [(0.0015, -1.5), (2, 3)], "decimal commas"),
        ("a;b\n1.5;x\n2,5;y\n", [("1.5", "x"), ("2,5", "y")], "a header"),  # neither: mixed numbers are no numbers
    ],
)
def test_a_column_is_read_by_its_own_notation_informed_by_the_file(content, rows, said, file):
    path = file(content)
    table = read(path)
    assert table.frame.rows() == rows
    assert any(said in note for note in table.notes), table.notes
    assert not any("ambiguous" in note for note in table.notes)
    assert streamed(path).rows() == rows


def test_a_mark_that_only_later_rows_show_informs_the_columns_before_it(file):
    path = file("umsatz;rabatt\n" + "4.229;50\n967;53\n" * 300 + "1.000;50,5\n")
    assert read(path).frame.rows()[-1] == (1000, 50.5)
    assert streamed(path)["umsatz"].max() == 4229


@pytest.mark.parametrize(
    ("content", "default", "other", "mark"),
    [
        ("a;b\n4.229;x\n967;y\n", 4.229, 4229, ","),
        ("a;b\n2,500;x\n967;y\n", 2.5, 2500, "."),
        ('a,b\n"2,500",x\n"967",y\n', 2500, 2.5, ","),
        ("a;b;c\n4.229;1.5;2,5\n967;2.5;3,5\n", 4.229, 4229, ","),  # both marks elsewhere
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_said_and_an_option_decides(content, default, other, mark, file):
    path = file(content)
    table = read(path)
    assert table.frame["a"].to_list() == [default, 967]
    (said,) = [note for note in table.notes if "ambiguous" in note]
    assert said.endswith(f"'a'. To change it, use --decimal '{mark}'")
    assert f"is read as {default:g}, but could be {other:g}" in said
    told = read(path, decimal=mark)
    assert told.frame["a"].to_list() == [other, 967]
    assert not any("ambiguous" in note for note in told.notes)
    assert streamed(path, decimal=mark)["a"].to_list() == [other, 967]
    script_frame = eval(told.reads, {"pl": pl, "tables": tables})
    assert script_frame["a"].to_list() == [other, 967]


def test_a_mark_is_one_of_two(file):
    with pytest.raises(ValueError, match=r"--decimal: expected '.' or ',', got ';'"):
        read(file("a,b\n1,2\n"), decimal=";")


def test_texts_of_a_data_frame_are_numbers_too():
    frame = pl.DataFrame({"x": ["1.234,5", "7,25", "-", "3"] * 10, "y": [0, 1] * 20})
    loaded = load(frame, "y", numeric=["x"])
    (column,) = loaded.schema.columns
    assert (column.kind, column.notation, column.holes) == ("number", Notation(",", "."), ("-",))
    assert any("'x': numbers are written so that 1.234 is 1234" in note for note in loaded.notes)


NUMBERS = [f"{i // 10},{i % 10}" for i in range(10, 60)]
TRAINED = "a;b;y\n" + "\n".join(f"{x};{i};{'no' if i % 3 else 'yes'}" for i, x in enumerate(NUMBERS)) + "\n"


@pytest.fixture
def schema(file):
    return load(file(TRAINED, "train.csv"), "y", numeric=["b"]).schema


def test_the_schema_keeps_how_the_file_and_its_columns_are_written(schema):
    again = Schema.from_json(schema.to_json())
    assert again == schema
    assert again.format == Format(";", header=True, decimal=",")
    assert [column.notation for column in again.columns] == [Notation(","), Notation()]


def test_a_schema_of_an_older_version_has_the_plain_notation(schema):
    old = json.loads(schema.to_json())
    del old["written"]
    for column in (*old["columns"], *old["targets"]):
        del column["notation"]
    loaded = Schema.from_json(json.dumps(old))
    assert loaded.format == Format()
    assert loaded.columns[0] == replace(schema.columns[0], notation=Notation())


@pytest.mark.parametrize(
    "change",
    [
        {"written": {"delimiter": ";;"}}, {"written": {"decimal": "x"}}, {"written": {"more": 1}}, {"written": []},
        {"written": {"missing": [1]}}, {"written": {"header": 1}}, {"notation": {"group": "]"}}, {"notation": []},
        {"notation": {"mark": "]"}}, {"notation": {"decimal": ["."]}}, {"notation": {"negative": "x"}},
    ],
)  # fmt: skip
def test_a_damaged_notation_is_refused(change, schema):
    data = json.loads(schema.to_json())
    (data if "written" in change else data["columns"][0]).update(change)
    with pytest.raises(ModelFileError, match="the schema is corrupt"):
        Schema.from_json(json.dumps(data))


def test_each_field_has_its_check():
    assert set(NOTATION) == {field.name for field in fields(Notation)}
    assert set(FORMAT) == {field.name for field in fields(Format)}


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ('a,b\n"2,500",3\n"2,5",4\n', [2.5, 2.5]),  # of another delimiter, and what looks like a group of digits
        ("a;b\n2,500;3\n", [2.5]),
        ("a;b\n7;3\n-1,25;\n", [7, -1.25]),
    ],
)
def test_new_rows_are_read_by_the_notation_of_training(content, values, schema, file):
    path = file(content)
    checked, notes = check(read(path, schema=schema).frame, schema)
    assert checked["a"].to_list() == values
    assert not [note for note in notes if "'a'" in note]
    streaming, _ = check(streamed(path, schema=schema), schema)
    assert streaming["a"].to_list() == values


@pytest.mark.parametrize(
    ("content", "bad"),
    [("a;b\n7,5;1\n2.5;3\n", "2.5"), ("a,b\n7,1\n2.500,3\n", "2.500"), ("a;b\n7;1\n(2,5);3\n", "(2,5)")],
)
def test_what_does_not_fit_the_notation_of_training_is_refused_not_reinterpreted(content, bad, schema, file):
    path = file(content)
    expected = rf"'a' is a number, in training written so that 12,5 is 12.5, but row 2 has '{bad}'".replace("(", r"\(")
    for frame in (read(path, schema=schema).frame, streamed(path, schema=schema)):
        if bad == "(2,5)":  # brackets say the same in every notation
            assert check(frame, schema)[0]["a"].to_list() == [7, -2.5]
            continue
        with pytest.raises(ValueError, match=expected):
            check(frame, schema)
        checked, notes = check(frame, schema, coerce=True)
        assert checked["a"].null_count() == 1
        assert "'a': 1 value is not a number, in training written so that 12,5 is 12.5" in notes[0]


def test_another_decimal_mark_is_read_when_somebody_says_so(schema, file):
    path = file("a,b\n2.5,1\n7,3\n")
    with pytest.raises(ValueError, match=r"another decimal mark than training, use --decimal '\.'"):
        check(read(path, schema=schema).frame, schema)
    for frame in (read(path, schema=schema, decimal=".").frame, streamed(path, schema=schema, decimal=".")):
        assert check(frame, schema)[0]["a"].to_list() == [2.5, 7]


def test_a_test_file_and_its_target_are_read_by_the_notation_of_training(file):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    lines = [f"{a:.2f};{3 * a:.3f}".replace(".", ",") for a in x]
    path = file("x;y\n" + "\n".join(lines) + "\n", "train.csv")
    own = file('x,y\n"2,500","1,000"\n"3,000","2,500"\n' + '"1,5","2,5"\n' * 10, "own.csv")
    loaded = load(path, "y", test=own)
    assert loaded.test["y"].to_list() == [1, 2.5, *[2.5] * 10]
    assert loaded.test["x"].to_list() == [2.5, 3, *[1.5] * 10]
    wrong = file("x,y\n" + "1.5,2.5\n" * 12, "wrong.csv")
    with pytest.raises(ValueError, match=r"--test: .*wrong.csv: the target 'y' is a number, in training written so"):
        load(path, "y", test=wrong)


def test_the_printed_python_reads_numbers_as_the_library_does():
    texts = pl.Series("x", ["(1.234,50)", "2,5-", "7", "1.5", None, "\u22128"])
    how = find(texts.filter(texts.str.contains("[,7]")))
    assert how == Notation(",", ".", "", "accounting")
    frame = texts.to_frame()
    python = eval(quantities.code("x", how), {"pl": pl, "quantities": quantities})
    assert frame.select(python).equals(frame.select(expression(pl.col("x"), how)))
    assert frame.select(python)["x"].to_list() == [-1234.5, -2.5, 7, None, None, -8]


def test_trained_and_predicted_from_files_of_two_writers(tmp_path, file):
    trained = tables.train(file(TRAINED, "train.csv"), "y", numeric=["b"], parameters={"max_iter": 2})
    tables.save(trained, tmp_path / "run")
    run = tables.load(tmp_path / "run")
    new, same = file('a,b\n"2,500",3\n', "new.csv"), file("a;b\n2,5;3\n", "same.csv")
    one, two = (tables.predict(run, read(path, schema=run.schema).frame)[0] for path in (new, same))
    assert one.equals(two)


@pytest.mark.slow
def test_the_option_is_of_train_tune_the_script_and_predict(tmp_path, file):
    lines = [f"{1 + i}.{(7 * i) % 1000:03d};{'no' if i % 3 else 'yes'}" for i in range(60)]
    path = file("a;y\n" + "\n".join(lines) + "\n")
    value = load(path, "y", decimal=",").frame["a"][1]
    assert value == 2007
    assert prepare(path, "y", None, Options(decimal=","))[1].frame["a"].max() > 10_000

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result

    script = run("train", path, "--target", "y", "--decimal", ",", "--print-python").stdout
    reads = re.search(r"^frame = (.*?)$", script.replace("(\n", "(").replace(",\n", ","), re.MULTILINE)[1]
    assert eval(reads, {"pl": pl, "tables": tables})["a"][1] == value
    out = tmp_path / "run"
    run("train", path, "--target", "y", "--decimal", ",", "--out", out, "--epochs", "1", "--quiet")
    assert tables.load(out).schema.columns[0].notation == Notation(",", ".")
    new = file("a\n2.007\n", "new.csv")
    assert run("predict", out, new).stdout.count("\n") == 2
    assert run("predict", out, new, "--decimal", ".").stdout != run("predict", out, new).stdout
