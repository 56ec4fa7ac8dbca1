"""The page of the four tutorials runs as the chapters of the book do, and keeps to their form."""

from pathlib import Path

import pytest

import test_book as book

NAME = "four-tutorials.md"


@pytest.fixture
def _page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "docs" / NAME).read_text(encoding="utf-8")
    monkeypatch.setitem(book.PAGES, NAME, text)


@pytest.mark.slow
@pytest.mark.usefixtures("_page")
def test_the_cells_run_in_order_and_twice():
    if said := book.broken(NAME):
        pytest.fail(said, pytrace=False)


@pytest.mark.usefixtures("_page")
def test_the_page_checks_its_figures_and_has_no_wall_of_text():
    book.test_a_chapter_checks_its_figures_in_cells_that_are_not_shown(NAME)
    book.test_a_chapter_is_neither_short_nor_long_and_has_no_wall_of_text(NAME)
    book.test_the_cells_are_those_that_the_site_runs(NAME)
