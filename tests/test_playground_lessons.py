"""Lessons of the playground, and links."""

import base64
import json
import re
import zlib
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.playground.bounds import MESSAGE, RefusedError
from chainrule.playground.lessons import LESSONS, from_link
from chainrule.playground.state import BEGIN, read

BOOK = Path(__file__).parent.parent / "docs" / "book"


def link(content):
    text = base64.urlsafe_b64encode(zlib.compress(content)).decode().rstrip("=")
    return f"http://127.0.0.1:4000/#{text}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_trains_has_a_goal_to_work_for_and_is_in_its_chapter(name):
    plan = read(LESSONS[name].state)
    network = plan.network()
    goal = plan.json["lesson"]["goal"]
    if goal:
        assert cr.evaluate(network, plan.rows.X_test, plan.rows.t_test)["accuracy"] < goal["at_least"]
    before = network.loss_and_grad(plan.rows.X, plan.rows.t)[0]
    plan._replace(epochs=1).train(network, [])
    assert network.loss_and_grad(plan.rows.X, plan.rows.t)[0] < before
    text = (BOOK / f"{LESSONS[name].chapter}.md").read_text(encoding="utf-8")
    assert re.findall(r"^    chainrule playground (\S+)$", text, re.MULTILINE) == [name]


def test_a_link_holds_a_state():
    state = json.loads(json.dumps(read(BEGIN).json))
    assert from_link(link(json.dumps(state).encode())) == state


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("http://127.0.0.1/#", "copy all of it"),
        ("#a%20b", "copy all of it"),
        (link(b"{")[:-3], "copy all of it"),
        (link(b"{"), "copy all of it"),
        (link(b" " * (MESSAGE + 1)), "more than 8,388,608 bytes"),
    ],
)
def test_a_link_that_holds_none_is_refused(wrong, said):
    with pytest.raises(RefusedError, match=said):
        from_link(wrong)
