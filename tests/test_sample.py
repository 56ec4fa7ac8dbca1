"""``chainrule sample``: the table of the documents, which every command on tables can be tried on."""

import csv
import io

import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.datasets.customers import customers


def run(*arguments):
    return CliRunner().invoke(app, ["sample", *map(str, arguments)], catch_exceptions=False)


def test_the_same_seed_gives_the_same_customers(tmp_path):
    assert customers(50, 3) == customers(50, 3) != customers(50, 4)
    done = run(tmp_path / "customers.csv", "--rows", 50, "--seed", 3)
    assert (tmp_path / "customers.csv").read_text() == customers(50, 3)
    assert "50 customers, seed 3" in done.output
    assert "--target churned" in done.output
    assert run("-", "--rows", 50, "--seed", 3).output == customers(50, 3)


def test_it_has_what_tables_have():
    rows = [*csv.DictReader(io.StringIO(customers()))]
    assert len(rows) == 2000
    left = sum(row["churned"] == "yes" for row in rows) / 2000
    assert 0.15 < left < 0.35
    for name, share in (("age", 0.08), ("payment", 0.05), ("last_message", 0.25)):
        assert abs(sum(row[name] == "" for row in rows) / 2000 - share) < 0.03
    calls = [sum(row["churned"] == "yes" for row in rows if (row["support_calls"] > "1") == many) for many in (0, 1)]
    assert min(calls) > 20


def test_new_customers_have_no_label(tmp_path):
    done = run(tmp_path / "new.csv", "--rows", 5, "--new")
    assert "churned" not in (tmp_path / "new.csv").read_text()
    assert "--target" not in done.output
    assert customers(5, labeled=False).splitlines()[1] + "," in customers(5) + ","


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["customers.xlsx"], "a CSV file is written: give a name such as customers.csv"),
        (["there.csv"], "already exists: choose another name, or replace it with --overwrite"),
        (["a.csv", "--rows", "0"], "--rows: expected a whole number of at least 1"),
        (["a.csv", "--rows", "2000000"], "--rows: expected at most 1,000,000, got 2,000,000"),
        (["a.csv", "--seed", "-1"], "--seed: expected a whole number of at least 0"),
        (["no/such/folder/a.csv"], "does not exist. Create it first"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("mine")
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert [*tmp_path.iterdir()] == [tmp_path / "there.csv"]


def test_an_existing_file_is_replaced_when_asked(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    assert run(tmp_path / "a.csv", "--rows", 3, "--overwrite").exit_code == 0
    assert (tmp_path / "a.csv").read_text() == customers(3)
