"""Files to tables: what is found out about each is said, and what is no table is refused in a sentence with the fix."""

import gzip
import io
import pickle
import random
import re

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

from chainrule.tables.delimited import decode
from chainrule.tables.formats import is_table
from chainrule.tables.frames import as_frame, plain
from chainrule.tables.reading import read
from chainrule.tables.streaming.opening import open_table

CSV = b"number,word,share\n1,x,2.5\n2,y,3.5\n3,z,4.5\n"
FRAME = pl.DataFrame({"number": [1, 2, 3], "word": ["x", "y", "z"], "share": [2.5, 3.5, 4.5]})
HEADER = 'CSV with the delimiter ",", a header, in UTF-8'


def written(method, frame=FRAME, **options):
    file = io.BytesIO()
    getattr(frame, method)(file, **options)
    return file.getvalue()


def saved(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def tried(function, *arguments):
    try:
        return function(*arguments), ""
    except ValueError as error:
        return None, str(error)


@pytest.fixture
def file(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        ("t.csv", CSV, [HEADER]),
        ("t.txt", CSV.replace(b",", b";"), ['CSV with the delimiter ";", a header, in UTF-8']),
        ("t.tsv", CSV.replace(b",", b"\t"), ["CSV with the delimiter tab, a header, in UTF-8"]),
        ("t.data", CSV.replace(b",", b"|"), ['CSV with the delimiter "|", a header, in UTF-8']),
        ("t.csv", CSV.replace(b"\n", b"\r\n"), [HEADER]),
        ("t.csv", CSV.replace(b"\n", b"\r"), [HEADER]),
        ("t.csv", CSV.rstrip(), [HEADER]),
        ("t.csv", b"\n\n" + CSV, [HEADER]),
        ("t.csv", b"\xef\xbb\xbf" + CSV, [HEADER]),
        ("t.csv", CSV.decode().encode("utf-16"), [HEADER.replace("UTF-8", "UTF-16")]),
        ("t.csv", CSV.decode().encode("utf-16-le"), [HEADER.replace("UTF-8", "UTF-16LE")]),
        ("t.csv", CSV.decode().encode("utf-16-be"), [HEADER.replace("UTF-8", "UTF-16BE")]),
        ("t.csv", CSV.replace(b",", b", "), [HEADER]),
        ("t.csv", CSV.replace(b"number,word", b'"number","word"'), [HEADER]),
        ("t.csv", CSV.replace(b",", b";").replace(b".", b","),
         ['CSV with the delimiter ";", decimal commas, a header, in UTF-8']),
        ("t.CSV.GZ", gzip.compress(CSV, mtime=0), [HEADER, "packed by gzip"]),
        ("t.csv", gzip.compress(CSV, mtime=0), [HEADER, "packed by gzip"]),
        ("t.dat", CSV, [HEADER, "format text detected from the content: the ending .dat is unknown"]),
        ("t", CSV, [HEADER, "format text detected from the content: the ending (none) is unknown"]),
        ("t.parquet", written("write_parquet"), ["Parquet"]),
        ("t.pq", written("write_parquet", compression="uncompressed"), ["Parquet"]),
        ("t.parquet.gz", gzip.compress(written("write_parquet"), mtime=0), ["Parquet", "packed by gzip"]),
        ("t.feather", written("write_ipc"), ["Arrow"]),
        ("t.arrow", written("write_ipc", compression="lz4"), ["Arrow"]),
        ("t.arrows", written("write_ipc_stream"), ["Arrow"]),
        ("t.jsonl", written("write_ndjson"), ["JSON lines"]),
        ("t.json", written("write_json"), ["a JSON array"]),
        ("t.json", written("write_ndjson"), ["JSON lines"]),
        ("t.ndjson", b"\xef\xbb\xbf" + written("write_ndjson"), ["JSON lines"]),
        ("t.npz", saved(np.savez, **FRAME.to_dict(as_series=False)), ["NumPy: number (3,), word (3,), share (3,)"]),
        ("t.npz", saved(np.savez_compressed, **FRAME.to_dict(as_series=False)),
         ["NumPy: number (3,), word (3,), share (3,)"]),
        ("t.npy", saved(np.save, np.array(FRAME.rows(), dtype="i8,U1,f8").astype(
            [("number", "i8"), ("word", "U1"), ("share", "f8")])), ["NumPy: number (3,), word (3,), share (3,)"]),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_table_and_is_said(name, content, notes, file):
    table = read(file(name, content))
    assert_frame_equal(table.frame, FRAME)
    assert list(table.notes) == notes


def test_zstd(file):
    size = len(CSV)
    stored = (
        b"\x28\xb5\x2f\xfd\x20" + bytes([size]) + (size << 3 | 1).to_bytes(3, "little") + CSV
    )  # one block, as it is
    table = read(file("t.csv.zst", stored))
    assert_frame_equal(table.frame, FRAME)
    assert table.notes == (HEADER, "packed by zstd")
    with pytest.raises(ValueError, match=r"t.csv.zst is corrupt: it cannot be unpacked by zstd"):
        read(file("t.csv.zst", stored[:-9]))


def test_standard_input(monkeypatch):
    for content, note in (
        (CSV, HEADER),
        (gzip.compress(CSV, mtime=0), "packed by gzip"),
        (written("write_parquet"), "Parquet"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        table = read("-")
        assert_frame_equal(table.frame, FRAME)
        assert note in table.notes
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(ValueError, match="standard input is empty: expected a table with a header and rows"):
        read("-")


@pytest.mark.parametrize(
    ("content", "rows", "said"),
    [
        ("näme,n\nMüller,1\n“Köln”,2\n".encode("cp1252"), [("Müller", 1), ("“Köln”", 2)], "in Windows-1252"),
        ("a,n\nM\x81ller,1\nKöln,2\n".encode("latin-1"), [("M\x81ller", 1), ("Köln", 2)], "in Latin-1"),
        ("a,n\nMüller,1\n".encode() + "Köln,2\n".encode("cp1252"), [("Müller", 1), ("Köln", 2)],
         "Warning: mixed encodings: 1 line of UTF-8, 1 line of other bytes (line 3), read as Windows-1252."),
        ('a,b\n"1, 2",x\n"li\nne",y\n"say ""no""",z\n', [("1, 2", "x"), ("li\nne", "y"), ('say "no"', "z")], HEADER),
        ("a,b\nx;y;z,1\nq;w;e,2\n", [("x;y;z", 1), ("q;w;e", 2)], HEADER),
        ("a;b\n1,5;x,y\n2,5;z\n", [(1.5, "x,y"), (2.5, "z")], "decimal commas"),
        ('a,b\n"1,234.5",x\n"12",y\n', [(1234.5, "x"), (12.0, "y")], "numbers written so that 1,234 is 1234: 'a'"),
        ("a;b\n1.234,5;x\n2.345;y\n", [(1234.5, "x"), (2345.0, "y")], "numbers written so that 1.234 is 1234: 'a'"),
        ('a,b\n"0,5",x\n"-1,25",y\n', [(0.5, "x"), (-1.25, "y")], "numbers written so that 12,5 is 12.5: 'a'"),
        ("a;b\n$1,234.50;x\n-$3;y\n", [(1234.5, "x"), (-3.0, "y")], "numbers written so that $1,234 is 1234: 'a'"),
        ("a;b\n2,5 €;7%\n\u22123 €;8%\n", [(2.5, 7.0), (-3.0, 8.0)], "numbers written so that 12.5 % is 12.5: 'b'"),
        ("a,b\nr1,1,x\nr2,2,y\n", [("r1", 1, "x"), ("r2", 2, "y")], "columns without a name in the header: 'column_1'"),  # R's
        ("a,zip\n1,01234\n2,20095\n", [(1, 1234), (2, 20095)], "numbers with leading zeros: 'zip'"),
        ("a,\n1.5,x\n1e300,y\n", [(1.5, "x"), (np.inf, "y")], "columns without a name in the header: 'column_2'"),
        ("a,b\n1.5,x\n-1e300,y\n", [(1.5, "x"), (-np.inf, "y")], "numbers beyond 1e100 are treated as infinite: 'a'"),
        ("a,b\n1 234 567,x\n89,y\n", [(1234567.0, "x"), (89.0, "y")], "numbers written so that 1 234 is 1234: 'a'"),
        ("a,b\n$5,5%\n€6,6\n", [("$5", "5%"), ("€6", "6")], HEADER),  # of two currencies, or not all percent
        ("a,b\n079 123 456,x\n044 123 456,y\n", [("079 123 456", "x"), ("044 123 456", "y")], HEADER),
        ("1,x,2.5\n2,y,3.5\n", [(1, "x", 2.5), (2, "y", 3.5)], "no header (columns named column_1, column_2, ...)"),
        ("a,b\nb,a\na,b\n", [("a", "b"), ("b", "a"), ("a", "b")], "no header"),
        ("a,b,c\n1,2,3\n4,5\n6\n", [(1, 2, 3), (4, 5, None), (6, None, None)],
         "Warning: 2 rows with fewer than 3 fields (line 3, 4); the rest are missing."),
        ("a,b\n1,2\n3,\n", [(1, 2), (3, None)], HEADER),
        ("a\n1\n2\n", [(1,), (2,)], "CSV of one column, a header"),
        ("a,b\n1,2\n", [(1, 2)], HEADER),
        ("a,b,c\n", [], HEADER),
        ("a,b\ninf,1\n-inf,2\n3,3\nInfinity,4\n", [(np.inf, 1), (-np.inf, 2), (3.0, 3), (np.inf, 4)], HEADER),
        ("a,b\nNA,1\n?,NULL\nnan,3\n7,n/a\n", [(None, 1), (None, None), (None, 3), (7, None)], HEADER),
        ("a, b\n 1 , x \n 2 ,  \n", [(1.0, "x"), (2.0, None)], HEADER),
        ("a,b\n" + "1,2\n" * 2000 + "x,2\n", [("1", 2)] * 2000 + [("x", 2)], HEADER),
        ("a,b\n170141183460469231731687303715884105728,1\n5,2\n", [(2.0**127, 1), (5.0, 2)], HEADER),
    ],
)  # fmt: skip
def test_what_is_found_out_about_csv(content, rows, said, file):
    table = read(file("t.csv", content))
    assert table.frame.rows() == rows
    assert any(said in note for note in table.notes), table.notes


def test_columns_without_a_name_get_one_and_other_names_stay(file):
    assert read(file("t.csv", ",a,,x y\n0,1,2,3\n1,4,5,6\n")).frame.columns == ["column_1", "a", "column_3", "x y"]


def test_what_is_said_overrides_what_is_found_out(file):
    path = file("t.csv", "1 2\n3 4\n")
    assert read(path).frame.shape == (1, 1)
    assert read(path, delimiter=" ").frame.rows() == [(1, 2), (3, 4)]
    assert read(path, delimiter=" ", header=True).frame.columns == ["1", "2"]
    words = file("w.csv", "a,b\nb,a\na,b\n")
    assert read(words, header=True).frame.height == 2
    assert read(words, expected=["b"]).frame.columns == ["a", "b"]  # the target that somebody named


@pytest.mark.slow
def test_ten_thousand_columns(file):
    names = [f"c{i}" for i in range(10_000)]
    table = read(file("t.csv", "\n".join([",".join(names), *[",".join("12" for _ in names)] * 3])))
    assert table.frame.columns == names
    assert table.frame.rows()[2] == (12,) * 10_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "t.csv is empty: expected a table with a header and rows."),
        ("t.csv", " \n\n", "t.csv is empty: expected a table with a header and rows."),
        ("t.csv.gz", gzip.compress(b"", mtime=0), "t.csv.gz is empty: expected a table with a header and rows."),
        ("t.csv", "a,b\n1,2\n3,4,5\n", ('t.csv, line 3: expected 2 fields as in the first line, got 3: put texts that '
         'contain the delimiter in quotes ("...").')),
        ("t.csv", "Report of 2020\na,b\n1,2\n3,4\n", ("t.csv, line 2: 2 fields under a first line of one: is that a title? "
         "Remove it, or pass --skip 1.")),
        ("t.csv", 'a,b\n1,x\n"y,1\nz,2\n', 't.csv, line 3: unclosed quote ("): close it, or double it.'),
        ("t.csv", "a,b,a\n1,2,3\n", "t.csv: duplicate column name 'a' (columns 1 and 3): rename one."),
        ("t.csv", "a,b, a \n1,2,3\n", "t.csv: duplicate column name 'a' (columns 1 and 3): rename one."),
        ("t.csv", "a,,column_2x,column_2\n1,2,3,4\n", ("t.csv: duplicate column name 'column_2' (columns 2 and 4): rename "
         "one.")),
        ("t.csv", b"a,b\n1,\x002\n", "t.csv is not a text file: expected a table, such as CSV, got binary data."),
        ("t.csv", random.Random(0).randbytes(300), "t.csv is not a text file: expected a table, such as CSV, got binary data."),
        ("t.csv", written("write_parquet"), ("t.csv does not match its ending: it is a Parquet file, not text (such as "
         "CSV). Rename it.")),
        ("t.parquet", CSV, "t.parquet does not match its ending: it is text (such as CSV), not a Parquet file. Rename it."),
        ("t.json", CSV, "t.json does not match its ending: it is text (such as CSV), not a JSON array. Rename it."),
        ("t.npz", written("write_ipc"), ("t.npz does not match its ending: it is an Arrow (Feather) file, not a NumPy file. "
         "Rename it.")),
        ("t.csv.gz", CSV, "t.csv.gz is not packed by gzip, as its ending says: rename it."),
        ("t.csv.zst", CSV, "t.csv.zst is not packed by zstd, as its ending says: rename it."),
        ("t.csv.gz", gzip.compress(CSV * 99, mtime=0)[:-20], "t.csv.gz is corrupt: it cannot be unpacked by gzip"),
        ("t.csv.gz", gzip.compress(CSV, mtime=0)[:12] + b"\xff" * 9, "t.csv.gz is corrupt: it cannot be unpacked by gzip"),
        ("t.parquet", written("write_parquet")[:-30], "t.parquet is corrupt: it cannot be read as Parquet"),
        ("t.arrow", written("write_ipc")[:-50], "t.arrow is corrupt: it cannot be read as Arrow"),
        ("t.jsonl", '{"a":1}\n{"a":\n', "t.jsonl is corrupt: it cannot be read as JSON lines"),
        ("t.jsonl", '{"a":1}\n{"a":NaN}\n', "NaN and Infinity are not JSON: write null."),
        ("t.json", '[{"a": -Infinity}]', "NaN and Infinity are not JSON: write null."),
        ("t.json", "[1, 2]", "t.json is corrupt: it cannot be read as a JSON array"),
        ("t.json", "[]", "t.json has no columns: expected a table with a header and rows."),
        ("t.npz", saved(np.savez, y=np.arange(3))[:-100], "t.npz cannot be read as a NumPy file: "),
        ("t.npz", saved(np.savez, X=np.ones((3, 2)), y=np.arange(4)), ("t.npz: expected arrays with the same number of rows, "
         "got [3, 4].")),
        ("t.npz", saved(np.savez, X=np.ones((2, 2)), X_1=np.ones(2)), "t.npz: two arrays give the column 'X_1': rename one."),
        ("t.npz", saved(np.savez, X=np.array([{}, 1], dtype=object)), ("t.npz cannot be read as a NumPy file: it holds Python "
         "objects.")),
        ("t.npy", saved(np.save, np.ones(3, complex)), ("t.npy: the array 'column' has type complex128: expected "
         "numbers, strings or dates.")),
        ("t.npy", saved(np.save, np.array(3)), "t.npy: expected arrays with the same number of rows, got [0]."),
        ("t.csv", pickle.dumps([1]), "t.csv is a pickle, which could run arbitrary code: write the table as Parquet."),
        ("t.csv", b"PK\x03\x04" + b"[Content_Types].xml" + bytes(99), "t.csv does not match its ending: it is an Excel workbook"),
        ("t.npz", b"PK\x05\x06" + bytes(18), "t.npz is a zip archive without a table"),
        ("t.csv", "<!-- saved -->\n<html>", "t.csv is a web page or XML, not a table"),
        ("t.csv", "<!DOCTYPE html><html>", "t.csv is a web page or XML, not a table: was the link to a page"),
        ("t.csv", b"SQLite format 3\0" + bytes(99), "t.csv is an SQLite database: give it as sqlite:///FILE"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_one_sentence(name, content, message, file):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read(file(name, content))
    assert "\n" not in str(error.value)


def test_a_pickle_in_npz_is_not_run(file, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = file("t.npz", saved(np.savez, X=np.array([Evil()], dtype=object)))
    with pytest.raises(ValueError, match="it holds Python objects"):
        read(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_not_there(file, tmp_path):
    file("customers.csv", CSV)
    with pytest.raises(FileNotFoundError, match=r"no such file: .*custmers.csv. Did you mean 'customers.csv'?"):
        read(tmp_path / "custmers.csv")
    with pytest.raises(FileNotFoundError, match=r"no such file: .*t.csv.$"):
        read(tmp_path / "nowhere" / "t.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"the folder .*empty has no table, such as a .csv or .parquet file."):
        read(tmp_path / "empty")


def test_names_of_tables():
    assert all(is_table(f"t.{ending}") for ending in ("csv", "TSV", "parquet", "feather", "npz", "jsonl.gz", "csv.zst"))
    assert not any(is_table(name) for name in ("digits", "t.py", "csv", "model.safetensors", ".gz"))


def test_frames_of_other_types_become_plain():
    frame = pl.DataFrame(
        {
            "nan": [1.5, np.nan],
            "word": pl.Series(["a", "b"], dtype=pl.Categorical),
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "money": pl.Series(["1.50", "2.50"]).cast(pl.Decimal(10, 2)),
            "wait": pl.Series([1000, 2000]).cast(pl.Duration("ms")),
            "bytes": [b"x", b"y"],
            "when": pl.Series(["2020-01-01", "2020-01-02"]).str.to_datetime(time_zone="UTC", time_unit="ns"),
        }
    )
    made = plain(frame)
    assert made.dtypes == [
        pl.Float64, pl.String, pl.Int64, pl.Float64, pl.Int64, pl.String, pl.Datetime("us", "UTC"),
    ]  # fmt: skip
    assert made["nan"].to_list() == [1.5, None]
    assert made["wait"].to_list() == [1, 2]
    assert plain(made) is made
    with pytest.raises(TypeError, match="expected a file, or a polars or pandas data frame, got list"):
        as_frame([1, 2])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
COLUMNS = st.lists(
    st.one_of(
        st.lists(st.integers(-(10**9), 10**9), min_size=6, max_size=6),
        st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3) + 0.0005), min_size=6, max_size=6),
        st.lists(WORDS.map(lambda word: f"w {word}"), min_size=6, max_size=6),
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.slow
@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    COLUMNS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_polars_writes_is_read_back(tmp_path, columns, delimiter, encoding, end):
    """Random columns by every delimiter, encoding and end of line."""
    frame = pl.DataFrame({f"name {i}": values for i, values in enumerate(columns)})
    text = frame.write_csv(separator=delimiter, quote_style="non_numeric", line_terminator=end)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    assert_frame_equal(read(path).frame, frame)


@pytest.mark.slow
@settings(
    derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200), st.sampled_from(["t.csv", "t.parquet", "t.npz", "t.json", "t.csv.gz", "t"]))
def test_any_bytes_are_a_table_or_one_sentence(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    table, sentence = tried(read, path)
    assert table is None or table.frame.width > 0
    assert table is not None or name in sentence
    assert "\n" not in sentence


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_decoding_never_fails_but_in_one_sentence(content):
    decoded, sentence = tried(decode, content, "t.csv")
    assert decoded or sentence.startswith("t.csv")
    assert not decoded or decoded[1] in ("UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "Windows-1252", "Latin-1")


@pytest.mark.parametrize("name", ["*", "^word$", "^.*$"])
def test_names_that_polars_takes_for_patterns(name, tmp_path):
    table = FRAME.rename({"share": name})
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    for read_it in (
        lambda: as_frame(table),
        lambda: read(tmp_path / "t.csv"),
        lambda: read(tmp_path / "t.parquet"),
        lambda: open_table(tmp_path / "t.csv"),
        lambda: open_table(tmp_path / "t.parquet"),
    ):
        with pytest.raises(
            ValueError, match=f"has a column called '{re.escape(name)}', which polars interprets as a patt"
        ):
            read_it()
    assert as_frame(FRAME.rename({"share": "^GSPC"})).width == 3


def test_pandas_columns_of_every_type():
    table = pd.DataFrame({
        "whole": pd.array([1, None, 3], "Int64"), "real": pd.array([0.5, None, 2.5], "Float64"),
        "flag": pd.array([True, None, False], "boolean"), "word": pd.array(["a", None, "b"], "string"),
        "kind": pd.Categorical(["x", None, "y"]), "mixed": [1, None, "b"], "number": [1.5, np.nan, 2.0],
        "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]), "month": pd.period_range("2024-01", periods=3, freq="M"),
        7: [1, 2, 3],
    })  # fmt: skip
    frame = as_frame(table)
    assert frame.columns == [*map(str, table.columns)]
    assert frame.row(0)[:7] == (1, 0.5, True, "a", "x", "1", 1.5)
    assert frame.row(1)[:8] == (None,) * 8
    assert frame["month"].to_list() == ["2024-01", "2024-02", "2024-03"]
    with pytest.raises(ValueError, match=r"the data frame has duplicate column names \('whole'\): rename one"):
        as_frame(pd.concat([table, table[["whole"]]], axis=1))
