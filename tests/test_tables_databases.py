"""Tables in databases: SQLite and DuckDB as files, and a PostgreSQL server that the tests start."""

import datetime as dt
import importlib.util
import json
import re
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

import postgres
from chainrule import tables
from chainrule.cli.app import app
from chainrule.tables import unpacking
from chainrule.tables.reading import read
from chainrule.tables.sources import columns, databases
from test_tables_training import passengers

SMALL = {"max_iter": 2, "hidden_layer_sizes": (4,)}
ROWS = 5


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(here):
    with sqlite3.connect("shop.db") as base:
        base.execute(
            "CREATE TABLE goods (id INTEGER, name TEXT, born DATE, ok BOOLEAN, price DECIMAL(10, 2), mixed, b BLOB)"
        )
        rows = [(i, f"né{i}", f"2024-01-0{i + 1}", i % 2, 1.5 * i, i if i % 2 else "u", b"x") for i in range(ROWS)]
        base.executemany("INSERT INTO goods VALUES (?, ?, ?, ?, ?, ?, ?)", [*rows, (None,) * 7])
        base.execute("CREATE TABLE empty (a)")
        base.execute('CREATE VIEW "the ""view""" AS SELECT id FROM goods')
    base.close()
    return "sqlite:///shop.db"


@pytest.fixture
def ducks(here):
    base = duckdb.connect("s.duckdb")
    base.execute(
        "CREATE TABLE goods AS SELECT range::INT id, 'n' || range name, DATE '2024-01-01' + range::INT born, range % 2 = 0 ok, "
        "(range * 1.5)::DECIMAL(10, 2) price, TIMESTAMPTZ '2024-01-01 10:00+02' moment, sum(range) OVER () total, "
        "TIME '10:00' clock, INTERVAL 2 DAY long, [1, 2] list, 'x'::ENUM ('x', 'y') kind FROM range(5)"
    )
    base.execute("CREATE SCHEMA z; CREATE TABLE z.one (a INT); INSERT INTO z.one VALUES (7)")
    base.close()
    return "duckdb:///s.duckdb"


class TestSQLite:
    def test_types(self, shop):
        table = read(shop, query="goods")
        assert table.frame.row(1) == (1, "né1", "2024-01-02", 1, 1.5, "1", "x")
        assert table.frame.row(5) == (None,) * 7
        assert table.frame["mixed"].to_list() == ["u", "1", "u", "3", "u", None]
        assert table.notes == ("SQLite, the table 'goods'",)
        assert table.reads == "tables.read('sqlite:///shop.db', query='goods').frame"

    def test_what_is_read(self, shop, here):
        assert read(shop, query="SELECT id FROM goods WHERE price > 1").frame.height == 4
        assert read(shop, query="-- a comment\nWITH a AS (SELECT 1 AS x) SELECT * FROM a;").frame.rows() == [(1,)]
        assert read(shop, query='the "view"').frame.columns == ["id"]
        assert read(f"sqlite:///{here / 'shop.db'}", query="goods").frame.height == 6
        assert read(shop, query="goods").sha256 == read(shop, query="SELECT * FROM goods").sha256
        assert read(shop, query="goods").sha256 != read(shop, query="SELECT * FROM goods WHERE id > 0").sha256

    def test_the_only_table(self, here):
        with sqlite3.connect("one.db") as base:
            base.execute("CREATE TABLE t AS SELECT 1 AS a")
        base.close()
        assert read("sqlite:///one.db").frame.rows() == [(1,)]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (
                None,
                "sqlite:///shop.db: name a table, or give a SELECT statement, with --query. It has: empty, goods, the",
            ),
            ("god", "sqlite:///shop.db has no table 'god'. Did you mean 'goods'? It has: empty, goods, the"),
            ("SELECT * FROM gods", "sqlite:///shop.db: the query failed: no such table: gods. Did you mean 'goods'?"),
            ("SELECT idd FROM goods", "sqlite:///shop.db: the query failed: no such column: idd."),
            ("SELECT id, id FROM goods", "two columns of the result are called 'id': rename one with AS."),
            ("empty", "sqlite:///shop.db: the table 'empty' gave no rows."),
            (
                "DELETE FROM goods",
                "--query: expected a SELECT statement or the name of a table, got 'DELETE FROM goods'.",
            ),
            ("ATTACH 'new.db' AS n", "--query: expected a SELECT statement"),
            ("SELECT 1; DROP TABLE goods", "the query failed: You can only execute one statement at a time."),
            (
                "WITH a AS (SELECT 1 x) INSERT INTO empty SELECT x FROM a",
                "the query failed: attempt to write a readonly",
            ),
        ],
    )
    def test_refused(self, shop, query, message, here):
        before = (here / "shop.db").read_bytes()
        with pytest.raises(ValueError, match=re.escape(message)):
            read(shop, query=query)
        assert (here / "shop.db").read_bytes() == before

    def test_no_database(self, here):
        Path("bad.db").write_text("x" * 5000)
        with pytest.raises(ValueError, match=r"bad.db: cannot be opened as an SQLite database"):
            read("sqlite:///bad.db")
        with pytest.raises(FileNotFoundError, match=r"no such file: none.db, the database of sqlite:///none.db"):
            read("sqlite:///none.db")
        assert not Path("none.db").exists()
        with pytest.raises(ValueError, match=r"expected sqlite:/// and a file, such as sqlite:///shop.db"):
            read("sqlite://shop.db")
        with sqlite3.connect("nothing.db") as base:
            base.execute("PRAGMA user_version = 1")
        base.close()
        with pytest.raises(ValueError, match=r"with --query. It has no table."):
            read("sqlite:///nothing.db")
        with pytest.raises(ValueError, match=r"nothing.db is an SQLite database: give it as sqlite:///FILE"):
            read("nothing.db")

    def test_the_limit_on_memory(self, shop, monkeypatch):
        monkeypatch.setenv(unpacking.VARIABLE, "1MB")
        series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000) SELECT i FROM n"
        with pytest.raises(unpacking.TooLargeError, match=r"sqlite:///shop.db would take 1.\d+ MB or more in memory"):
            read(shop, query=series)

    def test_types_that_differ_between_batches(self, shop, monkeypatch):
        monkeypatch.setattr(databases, "BATCH", 1)
        assert read(shop, query="SELECT mixed FROM goods").frame["mixed"].to_list() == ["u", "1", "u", "3", "u", None]
        assert read(shop, query="VALUES (NULL), (1), (2.5)").frame.to_series().to_list() == [None, 1, 2.5]


class TestDuckDB:
    def test_types(self, ducks):
        frame = read(ducks, query="goods").frame
        assert frame.row(1)[:5] == (1, "n1", dt.date(2024, 1, 2), False, 1.5)
        assert frame["moment"][0] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
        assert frame["moment"].dtype.time_zone == "UTC"
        assert frame.row(0)[6:9] == (10, 36000, 172800)
        assert isinstance(frame.schema["list"], pl.List)  # excluded, as in other formats
        assert frame["kind"].to_list() == ["x"] * 5
        assert read(ducks, query="z.one").frame.rows() == [(7,)]
        assert read(ducks, query="FROM goods SELECT id").frame.columns == ["id"]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (None, "duckdb:///s.duckdb: name a table, or give a SELECT statement, with --query. It has: goods, z.one."),
            ("SELECT * FROM gods", "Table with name gods does not exist!. Did you mean 'goods'? It has: goods, z.one."),
            ("SELECT 1; COPY goods TO 'x.csv'", "duckdb:///s.duckdb: expected one SELECT statement as --query."),
            ("COPY goods TO 'x.csv'", "--query: expected a SELECT statement"),
        ],
    )
    def test_refused(self, ducks, query, message, here):
        with pytest.raises(ValueError, match=re.escape(message)):
            read(ducks, query=query)
        assert not (here / "x.csv").exists()

    def test_broken_or_not_installed(self, ducks, monkeypatch):
        Path("bad.duckdb").write_bytes(bytes(5000))
        with pytest.raises(ValueError, match=r"^duckdb:///bad.duckdb: the query failed: IO Error"):
            read("duckdb:///bad.duckdb")
        monkeypatch.setitem(sys.modules, "duckdb", None)
        with pytest.raises(ImportError, match=r'the package .duckdb.* pip install -e "\.\[sources\]"'):
            read(ducks)


@pytest.fixture(scope="module")
def server():
    with postgres.server() as address:
        filled(address)
        yield address


def filled(address):
    base = psycopg.connect(address)
    with base:
        base.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        base.execute(
            "CREATE TABLE goods (id int, name text, born date, ok bool, price numeric(10, 2), at timestamptz, made timestamp, "
            "clock time, long interval, u uuid, js jsonb, kind mood, nan numeric, bytes bytea)"
        )
        base.execute(
            "INSERT INTO goods SELECT i, 'né' || i, date '2024-01-01' + i, i % 2 = 0, i * 1.5, '2024-01-01 10:00+02', "
            "'2024-01-01 10:00', '10:00', '2 days', '00000000-0000-0000-0000-000000000001', '{\"a\": 1}', 'ok', 'NaN', 'x' "
            "FROM generate_series(0, 4) i"
        )
        base.execute("INSERT INTO goods (id) VALUES (NULL)")
        base.execute("CREATE TABLE ends (at date); INSERT INTO ends VALUES ('infinity')")
        base.execute("CREATE TABLE titanic (number int, sex text, age numeric, port text, day date, survived text)")
        rows = passengers()["number", "sex", "age", "port", "day", "survived"].rows()
        with base.cursor() as cursor:
            cursor.executemany("INSERT INTO titanic VALUES (%s, %s, %s, %s, %s, %s)", rows)


@pytest.mark.slow
class TestPostgreSQL:
    def test_types(self, server):
        frame = read(server, query="goods").frame
        when = dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)  # whatever the time zone of the server
        made = dt.datetime(2024, 1, 1, 10)
        assert frame.row(1)[:9] == (1, "né1", dt.date(2024, 1, 2), False, 1.5, when, made, 36000, 172800)
        assert frame["u"][0] == "00000000-0000-0000-0000-000000000001"
        assert isinstance(frame.schema["js"], pl.List)
        assert frame.row(0)[11:] == ("ok", None, "x")
        assert frame.row(5) == (None,) * 14

    def test_what_is_read(self, server):
        assert read(server, query="SELECT id FROM goods WHERE name LIKE '%3'").frame.rows() == [(3,)]
        assert read(server.replace("postgresql:", "postgres:"), query="titanic").frame.height == 300
        table = read(server, query="goods")
        assert table.path == server.replace(":s3c%40ret%2Fx", "")
        assert "s3c" not in repr(table)

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (None, "name a table, or give a SELECT statement, with --query. It has: ends, goods, titanic."),
            ("god", "has no table 'god'. Did you mean 'goods'? It has: ends, goods, titanic."),
            (
                "SELECT * FROM gods",
                "relation \"gods\" does not exist. Did you mean 'goods'? It has: ends, goods, titanic.",
            ),
            ("SELECT 1 AS a; COMMIT; DROP TABLE goods", "the query failed: cannot insert multiple commands"),
            ("WITH d AS (DELETE FROM goods RETURNING id) SELECT * FROM d", "the query failed: DECLARE CURSOR must not"),
            ("SELECT pg_catalog.setval('a', 1)", "the query failed: relation"),
            (
                "DROP TABLE goods",
                "--query: expected a SELECT statement or the name of a table, got 'DROP TABLE goods'.",
            ),
            ("SELECT 1 / 0", "the query failed: division by zero."),
            ("ends", "the query failed: date too large (after year 10K): 'infinity'."),
        ],
    )
    def test_refused(self, server, query, message):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            read(server, query=query)
        assert "s3c" not in str(error.value)

    def test_what_cannot_be_reached(self, server):
        for change, message in (
            (("s3c", "s3cr3t"), "password authentication failed for user"),
            (("/postgres", "/none"), 'database "none" does not exist'),
            ((":s3c%40ret%2Fx", ""), "no password supplied"),
            (
                (":s3c%40ret%2Fx@", ":s3c/ret@"),
                "is not a valid connection string: write special characters in a password as",
            ),
            (("/postgres", "/postgres?pasword=s3c"), 'invalid URI query parameter: "pasword"'),
        ):
            with pytest.raises((ConnectionError, ValueError), match=re.escape(message)) as error:
                read(server.replace(*change), query="goods")
            assert "s3c" not in str(error.value), change
            assert error.value.__cause__ is None

    def test_no_password_is_kept(self, server, here, monkeypatch):
        query = "SELECT sex, age, port, day, survived FROM titanic ORDER BY number"
        words = [
            "train",
            server,
            "--query",
            query,
            "--target",
            "survived",
            "--epochs",
            "2",
            "--layers",
            "4",
            "--out",
            "run",
        ]
        monkeypatch.setattr(sys, "argv", ["chainrule", *words])
        monkeypatch.setattr("chainrule.tables.fitting.models.network", power_cut)
        with pytest.raises(RuntimeError, match="power cut"):
            CliRunner().invoke(app, words, catch_exceptions=False)
        shown = server.replace(":s3c%40ret%2Fx", "")
        plan = json.loads(Path("run/checkpoints/run.json").read_text())
        assert (plan["source"], plan["options"]["query"]) == (shown, query)
        monkeypatch.undo()
        monkeypatch.chdir(here)
        kept = [path.read_text() for path in here.rglob("*.json")]

        def run(*arguments, status=0):
            result = CliRunner().invoke(app, [str(argument) for argument in arguments])
            assert result.exit_code == status, result.output
            kept.append(result.output)
            return result.output

        assert "give it again, as in chainrule train" in run("train", "--resume", "run", status=2)
        assert "--query" in run("train", server, "--resume", "run", status=2)
        assert "PostgreSQL, a query" in run("train", server, "--query", query, "--resume", "run")
        config = json.loads(Path("run/config.json").read_text())
        assert (config["source"], config["settings"]["query"]) == (shown, query)
        assert shown in config["command"]
        assert "Wrote 300 rows to p.csv" in run("predict", "run", server, "--query", query, "--out", "p.csv")
        assert "accuracy" in run("evaluate", "run", server, "--query", query)
        assert shown in run(*words, "--print-python")
        for command in ("predict", "evaluate", "explain"):
            row = ["--row", "1"] if command == "explain" else []
            assert f'"source": "{shown}"' in run(command, "run", server, "--query", query, *row, "--json")
        assert f"rows of {shown} compared with" in run("drift", "run", server, "--query", query, "--psi", "9")
        kept += [path.read_bytes().decode("latin-1") for path in here.rglob("*") if path.is_file()]
        assert not any("s3c" in text for text in kept)


def power_cut(*_, **__):
    raise RuntimeError("power cut")


def test_without_the_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ImportError, match=r'the package .psycopg.* pip install -e "\.\[sources\]"'):
        read("postgresql://ann:s3c@127.0.0.1:1/db")


def test_a_server_that_is_not_there():
    with pytest.raises(
        ConnectionError, match=r"^cannot connect to postgresql://ann@127.0.0.1:1/db: .*refused"
    ) as error:
        read("postgresql://ann:s3c@127.0.0.1:1/db?password=s3cret")
    assert "s3c" not in str(error.value)


def test_numbers_of_python():
    assert columns.column([2**70, 1]).to_list() == [float(2**70), 1.0]
    assert columns.column([Decimal("1.5"), None, True]).to_list() == [1.5, None, 1.0]
    assert columns.column([None, None]).dtype == pl.Null
    assert columns.column([1.5, "x"]).to_list() == ["1.5", "x"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_train_and_predict(here):
    frame = passengers()
    with sqlite3.connect("titanic.db") as base:
        base.execute(f"CREATE TABLE t ({', '.join(frame.columns)})")
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * frame.width)})", frame.rows())
    base.close()
    trained = tables.train("sqlite:///titanic.db", "survived", parameters=SMALL)
    expected = tables.predict(trained, frame.drop("survived"))[0]
    assert tables.predict(trained, "sqlite:///titanic.db")[0].equals(expected)
    frame.drop("survived").write_csv("new.csv")
    assert tables.predict(trained, "new.csv")[0].equals(expected)
    text = tables.script("sqlite:///titanic.db", "survived", parameters=SMALL, query="t")
    assert 'frame = tables.read("sqlite:///titanic.db", query="t").frame' in text
    assert importlib.util.find_spec("sqlite3")
