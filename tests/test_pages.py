"""The one renderer of all pages: every block as HTML, as Markdown and as text."""

import re
import typing
from dataclasses import dataclass

import numpy as np
import pytest

from chainrule.pages import arrays, html, markdown, text
from chainrule.pages.blocks import (
    Block,
    Card,
    Cell,
    Code,
    Figure,
    Figures,
    Formula,
    Heading,
    Matrix,
    Picture,
    Table,
    Text,
    Tiles,
    Verdict,
)
from chainrule.pages.drawing import Axis, Plot
from chainrule.pages.formula import filled
from pages import check_alone

HOSTILE = "<b>\x1b[31m\u202e|`$_*"
TABLE = Table(("name", "bar"), ((Cell(HOSTILE, note="what it is"), Cell("0.5", bar=0.5)),), "lr", "title", "caption")
MATRIX = Matrix("W", np.array([[0.5, -0.25], [0.0, 2.0]]), entry=(1, 0), batch=False)
BLOCKS = {
    Heading: (Heading(HOSTILE, "about it", "there"), ["about it"]),
    Text: (Text(f"words {HOSTILE}", "warning"), ["words"]),
    Code: (Code("chainrule train"), ["chainrule train"]),
    Table: (TABLE, ["title", "caption", "name", "what it is", "0.5"]),
    Figure: (Figure("picture", "<svg></svg>", "how to read it", TABLE), ["picture", "how to read it"]),
    Figures: (Figures((TABLE, MATRIX)), ["title", "W"]),
    Tiles: (Tiles((("0.9", "accuracy", ("linear 0.8",)),)), ["0.9", "accuracy", "linear 0.8"]),
    Formula: (Formula("y = x  in prediction"), ["y", "in prediction"]),
    Matrix: (MATRIX, ["W", "(2, 2)", "0.500", "0.250", "norm"]),
    Picture: (Picture(np.eye(2), "a sample"), []),
    Verdict: (Verdict((f"dW {HOSTILE}", "agree"), ok=True), ["agree"]),
    Card: (Card("Layer 0", HOSTILE, "2 → 3", (Formula("y = x"),), (TABLE,)), ["Layer 0", "2 → 3", "caption"]),
}


@pytest.mark.parametrize("kind", typing.get_args(Block))
def test_every_block_in_every_rendering(kind):
    """A new kind of block fails until each of the three writers knows it."""
    block, words = BLOCKS[kind]
    page = html.page("title", "about", [block])
    seen = check_alone(page).text
    written = markdown.render("title", "about", [block])
    plain = text.plain("title", "about", [block], 80)
    for word in words:
        assert word in seen
        assert word.upper() in re.sub(r"\\(.)", r"\1", written).upper()
        assert word.upper() in plain.upper()
    for found in (page, written, plain):
        assert not set(found) & {"\x1b", "\u202e"}
    assert "<b>[" not in page
    assert "<b>" not in written
    assert max(map(len, plain.splitlines())) <= 80


def test_a_table_leaves_out_what_is_far_where_there_is_no_room():
    table = Table(("a", "b", "c"), (("x" * 10, "y" * 10, "z" * 10),), "lll", far=(1,))
    assert "y" in text.plain("t", "", [table], 34)
    assert "y" not in text.plain("t", "", [table], 33)
    assert html.fragment("t", "", [table]).count('class="spare"') == 2


def test_the_first_column_is_cut_before_the_others():
    rows = [("layer", "order"), ("0  Dense(10, weights='zeros')", "2.00")]
    assert text.columns(rows, 20).splitlines()[1] == "0  Dense(10,…  2.00"
    assert text.columns(rows, None, "lr").splitlines()[0].endswith(" order")


def test_an_array_has_as_many_columns_as_fit():
    matrix = Matrix("x", np.arange(100.0).reshape(1, 100))
    for width in (40, 60, 100):
        lines = text.plain("t", "", [matrix], width).splitlines()
        assert width - 12 <= max(map(len, lines)) <= width
        assert lines[-1].split()[-1] == "99.00"


@pytest.mark.parametrize("values", [[0.0, np.nan], [np.inf, -np.inf], [1e38, -1e38], [3, 4], []])
def test_arrays_of_any_numbers(values):
    for shape in ((1, -1), (-1, 1), (-1,)):
        matrix = Matrix("x", np.array(values).reshape(shape))
        check_alone(html.page("t", "", [matrix]))
        assert text.plain("t", "", [matrix], 80)
        assert markdown.render("t", "", [matrix])


def test_the_tint_is_the_share_of_the_largest_and_whole_numbers_have_none():
    table, _ = arrays.table(Matrix("W", np.array([[1.0, -2.0, 0.0]])), 8)
    assert [cell.tint for cell in table.rows[0]] == [arrays.DEEP / 2, arrays.DEEP, 0.0]
    assert [cell.wrong for cell in table.rows[0]] == [False, True, False]
    whole, _ = arrays.table(Matrix("t", np.array([1, 2])), 8)
    assert [cell.tint for cell in whole.rows[0]] == [0.0, 0.0]


def test_a_plot_and_its_figure_say_the_same():
    plot = Plot(Axis(0.0, 1.0, "<x>"), Axis(0.0, 1.0, "y"))
    figure = plot.figure("<title>", "caption", TABLE, [("s1", "line")], "look")
    assert figure == Figure("<title>", plot.svg("<title>", "caption"), "caption", TABLE, (("s1", "line"),), "look")
    assert "<x>" not in figure.svg


@dataclass(frozen=True)
class Names(Axis):
    def ticks(self):
        return [(0.5, HOSTILE)]


def test_nothing_in_a_plot_is_markup():
    plot = Plot(Names(0.0, 1.0, HOSTILE), Names(0.0, 1.0, HOSTILE))
    plot.bars(np.array([0.0, 1.0]), np.array([1.0]), "s1", [HOSTILE])
    svg = plot.svg(HOSTILE, HOSTILE)
    assert "<b>" not in svg
    assert "\x1b" not in svg
    assert svg.count("&lt;b&gt;") == 7


def test_the_page_uses_every_class_of_the_style_sheet_of_cells():
    cells = tuple(Cell("1", kind=kind) for kind in ("good", "bad", "mark", "gap"))
    page = html.page("t", "", [Table(("a", "b", "c", "d"), (cells,), "llll")])
    for kind in ("good", "bad", "mark", "gap"):
        assert f'class="{kind}"' in page
        assert f".{kind} " in page


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("γ s (dy − dβ / N)", "2 · 3 · (4 − 5 / 6)"),
        ("max(x / 6 + ½, 0)", "max(7 / 6 + 0.5, 0)"),
        ("e^x", "e^7"),
        ("log(1 + eˣ)", "log(1 + e^7)"),
        ("k σ² + σ(x)", "9 · 8 + σ(7)"),
        ("[0 < x < 1]", "[0 < 7 < 1]"),
        ("√v + ε", ""),
        ("Σ dy x", ""),
        ("x where x > 0, else 0", ""),
        ("xᵢ", ""),
        ("1 − xᵗ", ""),
        ("x(", "7"),
        ("", ""),
    ],
)
def test_numbers_in_a_formula(formula, expected):
    names = dict(zip(("γ", "s", "dy", "dβ", "N", "x", "σ²", "k"), range(2, 10), strict=True))
    assert filled(formula, names, str) == expected
