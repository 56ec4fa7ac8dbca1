"""Where tables come from: workbooks, archives, addresses and several files, each read, and refused when broken."""

import bz2
import datetime as dt
import gzip
import hashlib
import http.server
import io
import lzma
import re
import struct
import sys
import threading
import zipfile
from pathlib import Path

import fsspec
import polars as pl
import pytest
import xlsxwriter
from polars.testing import assert_frame_equal

from chainrule.tables import unpacking
from chainrule.tables.formats import Format
from chainrule.tables.reading import read
from chainrule.tables.sources import names, remote
from chainrule.tables.sources.excel_size import sheet_sizes, unpacked_size
from chainrule.tables.streaming.opening import open_table

CSV = b"number,word,share\n1,x,2.5\n2,y,3.5\n3,z,4.5\n"
FRAME = pl.DataFrame({"number": [1, 2, 3], "word": ["x", "y", "z"], "share": [2.5, 3.5, 4.5]})
HEADER = 'CSV with the delimiter ",", a header, in UTF-8'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name, content):
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def zipped(name, members, **options):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, content in members.items():
            archive.writestr(inside, content)


def workbook(name, sheets):
    """Write sheets, each a dictionary of cells by row and column."""
    with xlsxwriter.Workbook(name) as book:
        formats = {
            dt.datetime: book.add_format({"num_format": "yyyy-mm-dd"}),
            dt.time: book.add_format({"num_format": "hh:mm"}),
            dt.timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
        }
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    sheet.write(i, j, value, formats.get(type(value)))


class TestExcel:
    def test_one_sheet(self):
        FRAME.write_excel("t.xlsx")
        table = read("t.xlsx")
        assert_frame_equal(table.frame, FRAME, check_dtypes=False)
        assert table.notes == ("Excel, the sheet 'Sheet1'",)
        assert table.reads == "tables.read('t.xlsx').frame"

    def test_kinds_of_values(self):
        rows = [["n", "x", "day", "clock", "long", "yes", "word"]]
        for i in range(4):
            day, clock = dt.datetime(2024, 1, 1 + i), dt.time(10, 5 * i)
            rows.append(
                [i, "n/a" if i == 2 else 1.5e-20 * (i + 1), day, clock, dt.timedelta(hours=30), i > 1, f" w{i} "]
            )
        workbook("t.xlsx", {"Data": rows})
        frame = read("t.xlsx").frame
        assert frame["n"].to_list() == [0, 1, 2, 3]
        assert frame["x"].to_list() == [1.5e-20, 3e-20, None, 6e-20]  # to the last digit
        assert frame["day"].dt.date().to_list() == [dt.date(2024, 1, d) for d in (1, 2, 3, 4)]
        assert frame["clock"].to_list() == [36000, 36300, 36600, 36900]  # seconds, as in other formats
        assert frame["long"].to_list() == [108000] * 4
        assert frame["yes"].to_list() == [False, False, True, True]
        assert frame["word"].to_list() == ["w0", "w1", "w2", "w3"]

    def test_the_sheet(self):
        workbook("t.xlsx", {"Info": [["a", "b"], [1, 2]], "Data": [["c", "d"], [3, 4]], "Empty": []})
        assert read("t.xlsx").frame.columns == ["a", "b"]
        assert read("t.xlsx").notes == (
            "Excel, the sheet 'Info'",
            "other sheets of the workbook, which --sheet chooses: 'Data', 'Empty'",
        )
        for sheet in ("Data", 2, "2"):
            assert read("t.xlsx", sheet=sheet).frame.columns == ["c", "d"]
        assert read("t.xlsx", sheet="Data").reads == "tables.read('t.xlsx', sheet='Data').frame"
        with pytest.raises(ValueError, match=r"no sheet 'Dat'. Did you mean 'Data'\? It has: Info, Data, Empty."):
            read("t.xlsx", sheet="Dat")
        with pytest.raises(ValueError, match="the sheet 'Empty' is empty: expected a table with a header and rows"):
            read("t.xlsx", sheet=3)
        put("t.csv", CSV)
        with pytest.raises(ValueError, match=r"--sheet applies to Excel workbooks, and t.csv is not one"):
            read("t.csv", sheet="Data")

    def test_titles_blank_rows_and_columns(self):
        body = [[None, None, None], [None, "a", "b"], [None, 1, "x"], [None, None, None], [None, 2, "y"]]
        workbook("t.xlsx", {"Data": [["Report of 2024", None, None], *body]})
        assert read("t.xlsx").frame.rows() == [(1, "x"), (2, "y")]
        workbook("t.xlsx", {"Data": [["Report of 2024", None, None], ["a", "b", "c"], [1, "x", 2], [2, "y", 3]]})
        table = read("t.xlsx")
        assert table.frame.columns == ["a", "b", "c"]

    def test_without_a_header(self):
        workbook("t.xlsx", {"Data": [[1, "x"], [2, "y"]]})
        assert read("t.xlsx").frame.rows() == [(1, "x"), (2, "y")]
        assert read("t.xlsx").frame.columns == ["column_1", "column_2"]
        assert not read("t.xlsx").format.header
        assert read("t.xlsx", header=True).frame.rows() == [(2, "y")]

    def test_skip_and_words(self):
        rows = [["for", "your", "eyes"], ["a", "b", "c"], [1, "none given", -999], [2, "x", 5]]
        workbook("t.xlsx", {"Data": rows})
        table = read("t.xlsx", skip=1, na=["none given", "-999"])
        assert table.frame.rows() == [(1, None, None), (2, "x", 5)]
        assert (table.format.skip, table.format.missing[-2:]) == (1, ("none given", "-999"))

    def test_types_that_do_not_go_together_are_text(self):
        workbook("t.xlsx", {"Data": [["a", "b"], [dt.timedelta(hours=1), 1], ["late", 2]]})
        assert read("t.xlsx").frame["b"].to_list() == [1, 2]
        assert read("t.xlsx").frame["a"][1] == "late"

    @pytest.mark.parametrize("kept", [100, 3000])
    def test_broken(self, kept):
        FRAME.write_excel("t.xlsx")
        put("u.xlsx", Path("t.xlsx").read_bytes()[:kept])
        with pytest.raises(ValueError, match=r"^u.xlsx is corrupt: it cannot be"):
            read("u.xlsx")

    def test_names_and_endings(self):
        FRAME.write_excel("t.xlsx")
        content = Path("t.xlsx").read_bytes()
        put("t.csv", content)
        with pytest.raises(ValueError, match=r"t.csv does not match its ending: it is an Excel workbook"):
            read("t.csv")
        put("u.xlsx", b"\xd0\xcf\x11\xe0" + bytes(99))
        with pytest.raises(
            ValueError, match=r"an old or encrypted Excel workbook: save it as .xlsx without a password"
        ):
            read("u.xlsx")
        workbook("v.xlsx", {"Data": [["a", "a"], [1, 2]]})
        with pytest.raises(ValueError, match="duplicate column name 'a'"):
            read("v.xlsx")

    def test_not_installed(self, monkeypatch):
        FRAME.write_excel("t.xlsx")
        monkeypatch.setitem(sys.modules, "fastexcel", None)
        with pytest.raises(ImportError, match=r'pip install -e "\.\[sources\]"'):
            read("t.xlsx")


def changed(name, change):
    """Write a workbook again with a part changed."""
    with zipfile.ZipFile(name) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    zipped(name, {part: change(part, content) for part, content in parts.items()})
    return Path(name).read_bytes()


class TestBombs:
    def test_two_cells_that_span_a_sheet(self):
        workbook("t.xlsx", {"Data": [["a", "b"], [1, 2]]})
        content = changed("t.xlsx", lambda part, xml: xml.replace(b'"B2"', b'"XFD1048576"'))
        assert sheet_sizes(content) > 2**34 * 24
        with pytest.raises(unpacking.TooLargeError, match=r"t.xlsx has .* kB, but could take 412 GB or more in memory"):
            read("t.xlsx")

    def test_the_bound_is_no_less_than_the_size(self):
        FRAME.write_excel("t.xlsx")
        content = Path("t.xlsx").read_bytes()
        assert 0 < sheet_sizes(content) <= sheet_sizes(content, 2**30) < 10_000
        for old, new in (
            (b' r="B2"', b" r='XFD9999'"),
            (b' r="B2"', b' r="&#88;FD9999"'),
            (b'<c r="B2"', b'<c ph="0" r="XFD9999"'),
        ):
            FRAME.write_excel("t.xlsx")
            odd = changed("t.xlsx", lambda part, xml, old=old, new=new: xml.replace(old, new))
            assert sheet_sizes(odd, 2**30) > 9999 * 16384 * 24, new

    def test_a_long_text_in_many_cells(self, monkeypatch):
        monkeypatch.setenv(unpacking.VARIABLE, "20MB")
        workbook("t.xlsx", {"Data": [["a"], ["b"]]})
        row = b'<row r="%d"><c r="A%d" t="s"><v>1</v></c></row>'
        many = b"".join(row % (i, i) for i in range(3, 1_003))

        def change(part, xml):
            if "sharedStrings" in part:
                return xml.replace(b"<t>b</t>", b"<t>" + b"b" * 32_000 + b"</t>")
            return xml.replace(b"</sheetData>", many + b"</sheetData>")

        assert sheet_sizes(changed("t.xlsx", change)) > 1_000 * 32_000
        with pytest.raises(unpacking.TooLargeError, match=r"32\.\d MB or more"):
            read("t.xlsx")

    def test_a_directory_that_lies(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", bytes(10**7))
        content = bytearray(file.getvalue())
        at = content.find(b"PK\x01\x02")
        content[at + 24 : at + 28] = struct.pack("<I", 10)
        assert unpacked_size(bytes(content), 2**30) == 10**7
        assert unpacked_size(bytes(content), 10**6) > 10**6

    def test_entities_are_refused(self):
        workbook("t.xlsx", {"Data": [["a"], ["b"]]})
        changed("t.xlsx", lambda part, xml: xml.replace(b"<worksheet", b'<!DOCTYPE a [<!ENTITY b "b">]><worksheet'))
        with pytest.raises(ValueError, match=r"t.xlsx is corrupt: .*declares a type of document"):
            read("t.xlsx")

    @pytest.mark.few(1)
    @pytest.mark.parametrize("ending", ["bz2", "xz", "zip"])
    def test_archives(self, ending, monkeypatch):
        monkeypatch.setenv(unpacking.VARIABLE, "1MB")
        content = b"a,b\n" + b"1,2\n" * 300_000
        if ending == "zip":
            zipped("t.csv.zip", {"t.csv": content})
        else:
            put(f"t.csv.{ending}", {"bz2": bz2, "xz": lzma}[ending].compress(content))
        with pytest.raises(unpacking.TooLargeError, match=r"the limit is 1 MB. If you trust its source"):
            read(f"t.csv.{ending}")
        monkeypatch.setenv(unpacking.VARIABLE, "10MB")
        assert read(f"t.csv.{ending}").frame.height == 300_000

    def test_an_archive_in_an_archive_has_the_limit_of_the_outer_one(self, monkeypatch):
        monkeypatch.setenv(unpacking.VARIABLE, "1MB")
        zipped("t.zip", {"t.csv.gz": gzip.compress(b"a,b\n" + b"1,2\n" * 300_000)})
        with pytest.raises(unpacking.TooLargeError, match="the limit is 1 MB"):
            read("t.zip")

    def test_an_address(self, monkeypatch):
        monkeypatch.setenv(unpacking.VARIABLE, "1MB")
        with fsspec.open("memory://large.csv", "wb") as file:
            file.write(b"1,2\n" * 10**6)
        with pytest.raises(unpacking.TooLargeError, match=r"memory://large.csv would take .* MB or more in memory"):
            read("memory://large.csv")


class TestArchives:
    @pytest.mark.parametrize(
        ("name", "content", "note"),
        [
            ("t.csv.bz2", bz2.compress(CSV), "packed by bzip2"),
            ("t.csv.bz2", bz2.compress(CSV[:30]) + bz2.compress(CSV[30:]), "packed by bzip2"),
            ("t.csv.xz", lzma.compress(CSV), "packed by xz"),
            ("t.csv.xz", lzma.compress(CSV[:30]) + bytes(4) + lzma.compress(CSV[30:]), "packed by xz"),
            ("t.csv", bz2.compress(CSV), "packed by bzip2"),
        ],
    )
    def test_bzip2_and_xz(self, name, content, note):
        put(name, content)
        table = read(name)
        assert_frame_equal(table.frame, FRAME)
        assert table.notes == (HEADER, note)
        assert table.reads == f"tables.read({name!r}).frame"

    @pytest.mark.parametrize(("ending", "module"), [("bz2", bz2), ("xz", lzma)])
    def test_broken(self, ending, module):
        put(f"t.csv.{ending}", module.compress(CSV)[:-9])
        with pytest.raises(ValueError, match=rf"t.csv.{ending} is corrupt: it cannot be unpacked by"):
            read(f"t.csv.{ending}")
        put(f"t.csv.{ending}", CSV)
        with pytest.raises(ValueError, match=rf"t.csv.{ending} is not packed by .*, as its ending says: rename it."):
            read(f"t.csv.{ending}")

    def test_one_table(self):
        zipped("t.zip", {"readme.md": "hi", "data/t.csv": CSV, "__MACOSX/data/._t.csv": "x", "data/.DS_Store": "x"})
        table = read("t.zip")
        assert_frame_equal(table.frame, FRAME)
        assert table.notes == (HEADER, "data/t.csv in a zip archive")
        assert table.reads == "tables.read('t.zip').frame"

    def test_one_of_several(self, here):
        zipped("t.zip", {"a.csv": CSV, "b/c.csv.gz": gzip.compress(b"q\n5\n6\n"), "d.parquet": "x"})
        with pytest.raises(
            ValueError, match=r"3 tables: name one, as in t.zip/a.csv. It has: a.csv, b/c.csv.gz, d.parq"
        ):
            read("t.zip")
        assert_frame_equal(read("t.zip/a.csv").frame, FRAME)
        assert read("t.zip/a.csv").sha256 == hashlib.sha256(CSV).hexdigest()
        assert read(here / "t.zip" / "b" / "c.csv.gz").frame.rows() == [(5,), (6,)]
        with pytest.raises(ValueError, match=r"t.zip has no a.cs. Did you mean 'a.csv'\? It has: a.csv, "):
            read("t.zip/a.cs")
        with pytest.raises(FileNotFoundError, match=r"no such file: none.zip/a.csv"):
            read("none.zip/a.csv")
        put("u.zip", CSV)
        with pytest.raises(ValueError, match=r"u.zip is not a zip archive, so it has no a.csv"):
            read("u.zip/a.csv")

    def test_a_folder_called_like_an_archive(self, here):
        (here / "t.zip").mkdir()
        put("t.zip/a.csv", CSV)
        assert_frame_equal(read("t.zip/a.csv").frame, FRAME)

    def test_refused(self):
        zipped("t.zip", {"readme.md": "hi", "notes.md": "x"})
        with pytest.raises(ValueError, match=r"t.zip is a zip archive without a table: expected a .csv"):
            read("t.zip")
        zipped("t.zip", {"t.csv": CSV})
        content = bytearray(Path("t.zip").read_bytes())
        put("u.zip", content[:-30])
        with pytest.raises(ValueError, match=r"u.zip is corrupt: it cannot be unpacked by zip"):
            read("u.zip")
        for at, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.find(at) + flags] |= 1
        put("u.zip", content)
        with pytest.raises(ValueError, match=r"u.zip/t.csv is encrypted: unpack the archive with its password"):
            read("u.zip")


class TestSeveral:
    def test_a_folder_of_csv(self, here):
        (here / "sales").mkdir()
        put("sales/2.csv", "share;number;word\n4,5;3;z\n")  # another order, delimiter and decimal mark
        put("sales/1.csv", "number;word;share\n1;x;2,5\n2;y;3,5\n")
        put("sales/_SUCCESS", "")
        put("sales/notes.md", "x")
        table = read("sales")
        assert_frame_equal(table.frame, FRAME)
        assert table.notes[-1] == "2 files: 1.csv, 2.csv"
        assert table.reads == "tables.read('sales').frame"
        assert read("sales/*.csv").sha256 == table.sha256
        put("sales/2.csv", "share;number;word\n4,5;3;q\n")
        assert read("sales/").sha256 != table.sha256

    def test_the_notation_is_that_of_all_files(self, here):
        put("1.csv", "a;b\n1.234;x\n2.345;y\n")
        put("2.csv", "a;b\n3,5;x\n")
        assert read("*.csv").frame["a"].to_list() == [1234, 2345, 3.5]

    def test_files_without_a_header(self):
        put("1.csv", "1,x\n2,y\n")
        put("2.csv", "3,z\n")
        assert read("*.csv").frame.rows() == [(1, "x"), (2, "y"), (3, "z")]
        put("2.csv", "3,z,4\n")
        with pytest.raises(ValueError, match=r"2.csv has 3 columns, but 1.csv has 2"):
            read("*.csv")

    def test_skip_encoding_and_words_in_each_file(self):
        for i, word in enumerate(("né", "oui")):
            put(f"{i}.csv", f"made by hand\na,b\n{i},{word}\n5,rien\n".encode("cp1252"))
        table = read("*.csv", skip=1, encoding="cp1252", na=["rien"])
        assert table.frame.rows() == [(0, "né"), (5, None), (1, "oui"), (5, None)]
        assert (table.format.skip, table.format.encoding) == (1, "cp1252")

    def test_parquet(self, here):
        FRAME[:2].write_parquet("1.parquet")
        FRAME[2:].select("word", "share", pl.col("number").cast(pl.Float64)).write_parquet("2.parquet")
        assert_frame_equal(read("*.parquet").frame, FRAME, check_dtypes=False)
        FRAME[2:].select("word", "share", pl.col("number").cast(pl.String)).write_parquet("2.parquet")
        with pytest.raises(ValueError, match=r"2.parquet: the column 'number' is String, but it is Int64 in 1.parquet"):
            read("*.parquet")

    def test_refused(self, here):
        put("1.csv", CSV)
        put("2.csv", CSV.replace(b"word", b"text"))
        with pytest.raises(ValueError, match=r"2.csv has no column 'word', which 1.csv has: expected the same columns"):
            read("*.csv")
        FRAME.with_columns(more=1).write_parquet("3.parquet")
        FRAME.write_parquet("4.parquet")
        with pytest.raises(ValueError, match=r"4.parquet has no column 'more', which 3.parquet has"):
            read("*.parquet")
        with pytest.raises(ValueError, match=r"\* mixes formats: 3.parquet is Parquet, 1.csv is text"):
            read("*")
        with pytest.raises(FileNotFoundError, match=r"no file fits the pattern \*.tsv"):
            read("*.tsv")
        with pytest.raises(FileNotFoundError, match="no file: the name is empty"):
            read("")
        (here / "deep" / "one").mkdir(parents=True)
        with pytest.raises(
            FileNotFoundError, match=r"the folder deep has no table.* give a pattern such as 'deep/\*/\*"
        ):
            read("deep")
        with pytest.raises(ValueError, match=r"\*.csv: several files cannot be streamed: join them into one Parquet"):
            open_table("*.csv")
        with pytest.raises(
            ValueError, match=r"^postgresql://ann@host/shop cannot be streamed: give a Parquet, NumPy or CSV file"
        ):
            open_table("postgresql://ann:s3c@host/shop")

    def test_a_file_whose_name_looks_like_a_pattern(self):
        put("t[1].csv", CSV)
        assert_frame_equal(read("t[1].csv").frame, FRAME)


@pytest.fixture
def address(here):
    """Serve the folder of the test, and slow.csv, which never comes."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path.startswith("/slow"):
                threading.Event().wait(3)
            elif self.path.startswith("/broken"):
                self.send_error(503)
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestAddresses:
    def test_http(self, address, monkeypatch):
        put("t.csv", CSV)
        table = read(f"{address}/t.csv?version=1&token=s3cret")
        assert_frame_equal(table.frame, FRAME)
        assert table.path == f"{address}/t.csv?version=1"
        assert "s3cret" not in repr(table)
        zipped("a.zip", {"t.csv": CSV, "u.csv": "q\n1\n"})
        assert_frame_equal(read(f"{address}/a.zip/t.csv").frame, FRAME)
        with pytest.raises(FileNotFoundError, match=f"^no such file: {address}/none.csv.$"):
            read(f"{address}/none.csv")
        with pytest.raises(ConnectionError, match=f"cannot read {address}/broken.csv: the server answered 503"):
            read(f"{address}/broken.csv")
        monkeypatch.setattr(remote, "READ", 0.2)
        with pytest.raises(ConnectionError, match=r"cannot reach .*/slow.csv \(no answer in time\)"):
            read(f"{address}/slow.csv")

    def test_memory(self):
        with fsspec.open("memory://folder/t.parquet", "wb") as file:
            FRAME.write_parquet(file)
        table = read("memory://folder/t.parquet")
        assert_frame_equal(table.frame, FRAME)
        assert table.reads == "tables.read('memory://folder/t.parquet').frame"
        with pytest.raises(FileNotFoundError, match=r"no such file: memory://none.csv"):
            read("memory://none.csv")
        for name in ("u.parquet", ".hidden.parquet", "notes.pdf"):
            with fsspec.open(f"memory://folder/{name}", "wb") as file:
                table.frame.write_parquet(file)
        for source in ("memory://folder/", "memory://folder/[tu].parquet"):
            assert read(source).frame.equals(pl.concat([table.frame, table.frame])), source
        for source, message in {
            "memory://none/": "the folder memory://none/ has no table",
            "memory://folder/*.csv": "no file fits the pattern memory://folder/",
        }.items():
            with pytest.raises(FileNotFoundError, match=message):
                read(source)

    def test_refused(self, monkeypatch):
        with pytest.raises(ConnectionError, match=r"cannot reach https://ann@127.0.0.1:1/t.csv \(.*check the address"):
            read("https://ann:s3cret@127.0.0.1:1/t.csv")
        with pytest.raises(ValueError, match="fsspec does not know the kind of address nowhere://"):
            read("nowhere://t.csv")
        monkeypatch.setitem(sys.modules, "s3fs", None)
        with pytest.raises(ImportError, match=r"to read s3://, fsspec needs another package. Type: pip install s3fs"):
            read("s3://bucket/t.csv")
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(ImportError, match=r'needs the package .fsspec.* pip install -e "\.\[sources\]"'):
            read("memory://t.csv")


class TestNames:
    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("postgresql://ann:pa/s@s@db/shop", "postgresql://ann@db/shop"),
            ("postgresql://:pw@db/shop", "postgresql://@db/shop"),
            (
                "postgresql://db/shop?user=ann&password=pw&sslmode=require",
                "postgresql://db/shop?user=ann&sslmode=require",
            ),
            ("postgresql://ann:1234/5@db/shop", "postgresql://ann@db/shop"),
            ("--query=SELECT 'a@b:c@d'", "--query=SELECT 'a@b:c@d'"),
            ("https://u:p/w@host/a@b.csv?X-Amz-Signature=abc#part", "https://u@b.csv#part"),
            ("https://host:8080/@scope/t.csv", "https://host:8080/@scope/t.csv"),
            ("s3://bucket/t.csv", "s3://bucket/t.csv"),
            ("a:b@c.csv", "a:b@c.csv"),
        ],
    )
    def test_no_secret_is_shown(self, given, shown):
        assert names.shown(given) == shown

    def test_stems(self):
        stems = {
            "sales/*.parquet": "sales",
            "./pets/": "pets",
            "https://h/x/t.csv.gz?a=b": "t",
            "": "table",
            "..": "table",
        }
        stems |= {"postgresql://u:p@h/shop?sslmode=off": "shop", "a.zip/b/c.csv": "c", "*.csv": "table"}
        assert {source: names.stem(source) for source in stems} == stems


class TestOptions:
    TEXT = "written by hand\nin two lines\nage;name\n41;né\nrien;José\n-9;x\n"

    def test_words_skip_header_and_encoding(self):
        put("t.csv", self.TEXT.encode("cp850"))
        table = read("t.csv", skip=2, encoding="cp850", na=["rien", "-9"])
        assert table.frame.rows() == [(41, "né"), (None, "José"), (None, "x")]
        assert table.notes == (
            'CSV with the delimiter ";", a header, in cp850',
            "skipped the first 2 lines",
        )
        form = table.format
        assert (form.skip, form.encoding, form.missing[-2:]) == (2, "cp850", ("rien", "-9"))
        assert table.reads == "tables.read('t.csv', na=['rien', '-9'], skip=2, encoding='cp850').frame"
        assert (
            Format.from_json("the format", {"skip": 2, "encoding": "cp850", "sheet": "", "missing": ["rien"]}).skip == 2
        )

    def test_words_among_numbers_of_every_format(self):
        frame = pl.DataFrame({"a": [1, -9, 3], "b": [0.5, -9.0, 1.5], "c": ["x", "rien", "-9"]})
        for name in ("csv", "parquet", "ipc", "ndjson"):
            path = f"t.{name}"
            getattr(frame, f"write_{name}")(path)
            found = read(path, na=["rien", "-9"]).frame
            assert found["a"].to_list() == [1, None, 3], name
            assert found["c"].to_list() == ["x", None, None], name
            assert read(path, na="rien").frame["c"].to_list() == ["x", None, "-9"]
        assert read("t.parquet", na=["-9"]).frame["b"].to_list() == [0.5, None, 1.5]
        opened = open_table("t.parquet", na=["rien", "-9"])
        assert opened.frame["a"].to_list() == [1, None, 3]
        opened = open_table("t.csv", na=["rien", "-9"])
        assert opened.frame["c"].to_list() == ["x", None, None]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"encoding": "utf8-bom"}, "--encoding: unknown encoding 'utf8-bom'. Did you mean 'utf_8'?"),
            ({"encoding": "rot13"}, "--encoding: unknown encoding 'rot13'."),
            ({"encoding": "utf-8"}, "t.csv is not in the encoding utf_8 at byte 43: give another --encoding, or none."),
            ({"skip": 6}, "--skip 6: t.csv has no rows below its first 6 lines."),
            ({"skip": 99}, "--skip 99: t.csv has no rows below its first 99 lines."),
            ({"skip": -1}, "--skip: expected a number of lines, 0 or more, got -1."),
            ({"skip": True}, "--skip: expected a number of lines, 0 or more, got True."),
            ({"na": [str(i) for i in range(1001)]}, "--na: expected at most 900 words, got 1,001."),
            ({"query": "t"}, "--query applies to databases such as sqlite:///shop.db, not to t.csv: omit it."),
        ],
    )
    def test_refused(self, options, message):
        put("t.csv", self.TEXT.encode("cp850"))
        with pytest.raises(ValueError, match=re.escape(message)):
            read("t.csv", **options)

    def test_lines_are_counted_from_the_top_of_the_file(self):
        put("t.csv", "one\ntwo\na,b\n1,2\n1,2,3\n")
        with pytest.raises(ValueError, match=r"t.csv, line 5: expected 2 fields as in the first line, got 3"):
            read("t.csv", skip=2)

    def test_streaming_refuses_what_it_cannot_do(self):
        put("t.csv", self.TEXT.encode())
        FRAME.write_excel("t.xlsx")
        for options, message in (
            ({"skip": 2}, "streaming needs the header in the first line"),
            ({"sheet": 1}, "--sheet does not go with streaming"),
            ({"query": "t"}, "--query does not go with streaming"),
        ):
            with pytest.raises(ValueError, match=message):
                open_table("t.csv", **options)
        with pytest.raises(ValueError, match=r"t.xlsx cannot be streamed: only Parquet"):
            open_table("t.xlsx")

    @pytest.mark.parametrize(
        "entry", [{"skip": -1}, {"skip": True}, {"encoding": "zlib_codec"}, {"encoding": "os"}, {"sheet": 1}]
    )
    def test_a_damaged_format_is_refused(self, entry):
        with pytest.raises(ValueError, match="the schema is corrupt"):
            Format.from_json("the format", entry)
