"""What stands around the rows of a table: lines before the header, rows under it, row numbers, words for no value."""

import io

import pandas as pd
import polars as pl
import pytest

from chainrule.tables import layout
from chainrule.tables.checking import check
from chainrule.tables.loading import load
from chainrule.tables.reading import read
from chainrule.tables.streaming.opening import open_rows, open_table


@pytest.fixture
def file(tmp_path):
    def make(content, name="t.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize(
    ("content", "rows", "said"),
    [
        ("sep=;\na;b\n1;2\n3;4\n", [(1, 2), (3, 4)], 'delimiter set by the line "sep=;"'),
        ('"sep=|"\r\na|b\r\n1|2\r\n3|4\r\n', [(1, 2), (3, 4)], 'delimiter set by the line "sep=|"'),
        ("Sales;;\n;;\nof 2024;;\na;b;c\n1;2;x\n3;4;y\n", [(1, 2, "x"), (3, 4, "y")],
         "skipped 2 lines before the header: 'Sales', 'of 2024'"),
        ('"two\nlines",,\na,b,c\n1,2,x\n', [(1, 2, "x")], "skipped 1 line before the header"),
    ],
)  # fmt: skip
def test_lines_before_the_header_are_no_rows(content, rows, said, file):
    path = file(content)
    table = read(path)
    assert table.frame.rows() == rows
    assert any(said in note for note in table.notes), table.notes
    with pytest.raises(ValueError, match="streaming needs the header in the first line"):
        open_table(path)


@pytest.mark.parametrize(
    ("content", "below"),
    [
        ("speed,mass\nm/s,kg\n1,2\n3,4\n5,6\n", 1),
        ("name,mass\n,[kg]\na,2\nb,4\nc,6\n", 1),
        ("Q1,Q2,Q3\nHow old?,\"How\nmany?\",Which?\n{a},{b},{c}\n1,2,x\n3,4,y\n5,6,z\n", 2),  # a survey
        ("name,age,size\nBob,unknown,-\nAnn,3,4\nEve,5,6\nTim,7,8\n", 0),  # a row without values
        ("name,age\nBob,old\nAnn,3\nEve,5\nTim,7\n", 0),  # one word alone may be a value
        ("a,b\nx,y\nz,w\nq,r\nu,v\n", 0),  # a table of words
        ("a,b\n1,2\n3,4\n5,6\n", 0),
    ],
)  # fmt: skip
def test_a_second_header_row_is_said_and_not_taken_as_data(content, below, file):
    path = file(content)
    table = read(path)
    lines = len(list(pd.read_csv(io.StringIO(content), header=None).index))
    assert table.frame.height == lines - 1 - below
    assert any("under the header (words over columns" in note for note in table.notes) == bool(below)
    assert all(kind.is_numeric() for kind in table.frame.dtypes[1:2]) == (below > 0 or "1,2" in content)
    if below:
        with pytest.raises(ValueError, match="streaming needs data below the header: remove"):
            open_table(path)


@pytest.mark.parametrize(
    ("content", "fine"),
    [
        ("a,b\nr1,1,x\nr2,2,y\n", True),  # as R writes it
        ("a,b\n3,1,x\n7,2,y\n9,2,y\n", True),
        ("name,city,price\nBob,Paris, France,5\nAnn,Rome, Italy,6\n", False),  # a comma in every row
        ("city,price\nParis,France,5\nRome,Italy,6\nParis,France,7\n", False),
        ("price,n\n1,50,3\n3,20,4\n2,75,5\n", False),  # decimal commas without quotes
        ("price,n\n1,50,3\n", False),
    ],
)
def test_a_delimiter_too_many_in_every_row_is_not_taken_for_names_of_rows(content, fine, file):
    path = file(content)
    if fine:
        assert any("row names, as written by R" in note for note in read(path).notes)
        return
    for reader in (read, open_table):
        with pytest.raises(ValueError, match=r"t.csv, line 2: expected \d fields as in the first line, got \d: put"):
            reader(path)


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
def test_what_pandas_writes_as_json(orient, file):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, None, 2.0], "c": ["x", "y", None]}, index=[0, 2, 5])
    rows = [(1, 1.5, "x"), (2, None, "y"), (3, 2.0, None)]
    table = read(file(frame.to_json(orient=orient), "t.json"))
    assert table.frame.rows() == rows
    assert table.frame.columns == ["a", "b", "c"]
    assert orient == "records" or repr(orient) in table.notes[0]


def test_json_lines_of_one_row_and_of_structures_stay_what_they_are(file):
    assert read(file('{"a": 1, "b": "x"}', "t.jsonl")).frame.rows() == [(1, "x")]
    with pytest.raises(ValueError, match="columns repeat, or rows differ in length"):
        read(file('{"columns": ["a", "a"], "data": [[1, 2]]}', "twice.json"))
    assert read(file('{"a": {"x": 1}}\n{"a": {"x": 2}}\n', "s.jsonl")).frame.height == 2


NUMBERS = [f"{i}.5" for i in range(60)]


@pytest.mark.parametrize("word", ["None", "-", ".", "#DIV/0!", "n/a", "?", "\u2013", "unknown", "soon"])
def test_one_word_among_numbers_is_a_missing_value_and_said(word, file):
    lines = [f"{word if i % 11 == 0 else x},{i % 2}" for i, x in enumerate(NUMBERS)]
    loaded = load(file("x,y\n" + "\n".join(lines) + "\n"), "y")
    (column,) = loaded.schema.columns
    assert (column.kind, column.missing, column.low) == ("number", 6, 1.5)
    assert word in ("n/a", "?") or any(f"6 non-numeric values, such as {word!r}" in n for n in loaded.notes)
    few = load(file("x,y\n" + "\n".join([f"{i % 5},{i % 2}" for i in range(50)] + [f"{word},1"] * 5), "f.csv"), "y")
    assert few.schema.columns[0].kind == ("category" if word == "soon" else "number")  # which may be a value


@pytest.mark.parametrize("word", ["-", "#DIV/0!"])
def test_a_target_has_missing_values_of_that_kind_too(word, file):
    lines = [f"{i % 7},{word if i % 11 == 0 else x}" for i, x in enumerate(NUMBERS)]
    path = file("x,y\n" + "\n".join(lines) + "\n")
    for source in (path, pl.read_csv(path)):
        loaded = load(source, "y")
        assert (loaded.schema.task, len(loaded.y), loaded.left_out) == ("regression", 54, 6)
        assert f"'y': {word!r} in 6 rows treated as missing" in loaded.notes
    assert "targets=['y'" in load(path, "y").reads


def test_a_class_called_na_stays_a_class(file):
    content = "x,y,z\n" + "".join(f"{i},{('NA', 'EU', 'AS')[i % 3]},{('NA', 'q')[i % 2]}\n" for i in range(30))
    path = file(content)
    loaded = load(path, "y")
    assert loaded.schema.classes == ("AS", "EU", "NA")
    assert "'y': 'NA' in 10 rows is read as a class; leave missing values empty" in loaded.notes
    assert loaded.frame["z"].null_count() == 15  # no target: a missing value
    again = read(path, targets=["y"])
    assert again.reads == f"tables.read({str(path)!r}, targets=['y']).frame"
    with pytest.raises(ValueError, match="the target has the class 'NA', which streaming reads as missing"):
        load(path, "y", stream=True)
    own = file("x,y,z\n" + "1,NA,q\n2,EU,q\n3,,q\n" * 8, "own.csv")
    assert load(path, "y", test=own).test["y"].to_list() == ["NA", "EU"] * 8
    numbers = load(file(content.replace("EU", "1").replace("AS", "2"), "n.csv"), "y")
    assert numbers.schema.classes == (1, 2)


def test_spellings_of_one_word_are_spoken_of(file):
    rows = "".join(f"{('Yes', 'YES', 'no')[i % 3]},{('a', 'b', 'B')[i % 3]},{i / 7}\n" for i in range(30))
    said = load(file("x,y,z\n" + rows), "y").notes
    assert any(n.startswith("'y': values that differ only in capitals or spaces: 'B', 'b'.") for n in said)
    assert any(n.startswith("'x': values that differ only in capitals or spaces: 'YES', 'Yes'.") for n in said)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_numbers_of_rows_with_gaps_and_no_name_are_no_input(name, file):
    lines = [f"{(7 * i) % 101},{i / 3:.2f},{i % 2}" for i in range(40)]
    path = file(f"{name},x,y\n" + "\n".join(lines) + "\n")
    first, second = load(path, "y").schema.columns
    assert (first.kind, first.used, second.used) == ("identifier", False, True)
    assert "row numbers" in first.dropped
    named = load(file("n,x,y\n" + "\n".join(lines) + "\n", "n.csv"), "y").schema.columns[0]
    assert named.used
    counted = load(path, "y", numeric=[first.name]).schema.columns[0]
    assert counted.used
    streamed = load(path, "y", stream=True).schema.columns[0]
    assert not streamed.used


def test_a_single_row_without_a_header_is_a_row(file):
    lines = [f"{i / 3:.2f},{'ab'[i % 2]},{i % 7}.25" for i in range(40)]
    schema = load(file("\n".join(lines) + "\n"), "column_2").schema
    assert not schema.format.header
    for content in ("0.5,a,1.25\n", "0.5,1.25\n"):  # with the target or without it
        path = file(content, "row.csv")
        rows = open_rows(path, schema)
        for frame in (read(path, schema=schema).frame, next(rows.blocks(rows.columns))):
            checked, _ = check(frame, schema)
            assert checked.rows() == [(0.5, 1.25)]
    named = load(file("x,c,y\n" + "\n".join(lines) + "\n", "named.csv"), "c").schema
    with pytest.raises(ValueError, match=r"has none of the training columns: expected a first line with 'x', 'y'"):
        read(file("0.5,a,1.25\n", "row.csv"), schema=named)


def test_titles_need_a_header_under_them():
    assert layout.find("a;b\nx;\ny;\n", "t.csv").skipped == 0
    assert layout.find(";a\n0;1\n", "t.csv").skipped == 0
