"""The playground as a widget of a notebook: over comms in Python, and in a browser with anywidget's model around it."""

import base64
import queue
import re
import signal
import time
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import browsers
import chainrule as cr
from chainrule.playground.state import BEGIN, read
from test_playground import Page, threads

base_comm = pytest.importorskip("comm.base_comm")
notebook = pytest.importorskip("chainrule.playground.notebook")


class Comm(base_comm.BaseComm):
    """The kernel's end of a widget's connection; ``views`` has what each network of the views is sent."""

    def __init__(self, **given):
        self.views = {}
        super().__init__(**given)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        content = (data or {}).get("content")
        if content:
            self.views[content["to"]].put(buffers[0] if buffers else content["message"])


class View(Page):
    """One network of a view, in Python."""

    def __init__(self, widget, to="a", which="first"):
        self._comm, self._to, self.answers = widget.comm, to, queue.Queue()
        self._comm.views[to] = self.answers
        self.session = SimpleNamespace(
            tell=lambda message: self.send(message=message), close=lambda: self.send(close=True)
        )
        self.send(open=which)
        self.tell("configure", state=self.until("catalog")[0]["state"]).at(0)

    def send(self, **content):
        self._comm.handle_msg(
            {"content": {"data": {"method": "custom", "content": {"to": self._to, **content}}}, "buffers": []}
        )


@pytest.fixture
def widget(monkeypatch):
    """Make widgets without a kernel; at the end, no thread is left."""
    monkeypatch.setattr("comm.create_comm", Comm)
    with ExitStack() as made:

        def make(*begin):
            one = cr.playground.widget(*begin)
            made.callback(one.close)
            return one

        yield make
    assert threads() == []


def settled(count):
    deadline = time.monotonic() + 10
    while len(threads()) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(threads())


def test_it_trains_and_its_state_code_and_network_are_read_back(widget):
    one = widget("hidden-layer")
    assert one.state == read(cr.playground.lessons.LESSONS["hidden-layer"].state).json
    before = one.network().theta
    view = View(one)
    view.tell("step", count=30, unit="step").at(30)
    ran = {}
    exec(one.code(), ran)
    assert (one.network().theta == ran["network"].theta).all()
    assert not (one.network().theta == before).all()
    changed = one.state
    changed["data"]["noise"] = 0.25
    view.tell("configure", state=changed).at(0)
    assert one.state == changed


def test_a_state_that_is_assigned_opens_in_the_first_network_of_the_last_view(widget):
    one = widget()
    view, second = View(one), View(one, "b", "second")
    one.state = "neuron"
    assert view.until("configured")[0]["state"]["data"]["name"] == one.state["data"]["name"] == "moons"
    second.tell("step", count=1, unit="step").at(1)
    assert "Adam" in one.code()
    with pytest.raises(ValueError, match=r"data\.noise: expected a number from 0 to 10, got 11"):
        one.state = BEGIN | {"data": {"noise": 11}}
    assert one.state["data"]["name"] == "moons"


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([0, 1, 2] * 5), ("0", "1", "2")), (np.array(["b,c", "a"] * 7 + ["a"]), ("a", "b,c")),
        (np.arange(15) > 6, ("False", "True")), (np.linspace(0, 1, 15, dtype="float32"), ()),
    ],
)  # fmt: skip
def test_rows_of_your_own(widget, y, classes):
    X = np.random.default_rng(0).normal(size=(15, 3)).astype("float32")
    one = widget(X, y)
    rows = read(one.state | {"data": one.state["data"] | {"scale": False, "test": 0.0}}).rows
    assert (rows.X == X).all()
    assert rows.classes == classes
    assert (rows.t == (y if not classes else np.unique(y, return_inverse=True)[1])).all()
    assert rows.names == ("x1", "x2", "x3")


def test_a_data_frame_keeps_its_names(widget):
    frame = pl.DataFrame({"length": [1.5, 2.0, 3.0, 4.0], "width": [4.0, 3, 2, 1.25], "kind": ["a", "b"] * 2})
    data = widget(frame.drop("kind"), frame["kind"]).state["data"]
    assert data["csv"].startswith("length,width,kind\n1.5,4,a\n")


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        ((np.eye(4),), "got ndarray without y"), ((np.eye(4), [1, 2]), r"\(4, 4\) and \(2,\)"), (("hiden-layer",), "a lesson"),
        ((np.ones((20_001, 1)), np.arange(20_001)), "at most 20,000 rows"), (({"more": 1},), "unknown field 'more'"),
    ],
)  # fmt: skip
def test_what_it_does_not_take(widget, begin, said):
    with pytest.raises(ValueError, match=said):
        widget(*begin)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,x\n", r"few\.csv: expected at least 4 rows, got 1"),
        (b"\xff\n", r"few\.csv: expected UTF-8 .* save .* as"),
    ],
)
def test_a_file_that_it_does_not_take(widget, tmp_path, content, said):
    (tmp_path / "few.csv").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        widget(tmp_path / "few.csv")


@pytest.mark.slow
def test_networks_end_with_their_view_and_their_widget(widget):
    one, other = widget(), widget("neuron")
    views = [View(one), View(one, "b", "second"), View(other)]
    for view in views:
        view.tell("run").until("frame")
    assert settled(3) == 3
    views[0].session.close()
    assert settled(2) == 2
    other.close()
    assert settled(1) == 1
    for k in range(notebook.NETWORKS + 2):  # views that never say that they left
        View(one, f"lost {k}")
    assert settled(notebook.NETWORKS) == notebook.NETWORKS


def test_the_interrupt_of_the_kernel_pauses_training(widget, monkeypatch):
    kernel = SimpleNamespace()
    monkeypatch.setattr(notebook, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    view = View(widget())
    assert view.tell("run").until("frame")[0]["running"]
    kernel.saved_sigint_handler(signal.SIGINT, None)
    while view.until("frame")[0]["running"]:
        pass


def test_without_anywidget_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"notebook"):
        cr.playground.widget()


NOTEBOOK = """<!doctype html><title>A notebook</title><style>
html { overflow-y: scroll }
button { font-size: 30px !important } section, .field { display: none !important } * { letter-spacing: 4px }
</style><h1>Title</h1><button>Outside</button><div id="a"></div><div id="b"></div>"""
SHOW = """async ([esm, css, id]) => {
    const hears = new Set();
    const model = {
        get: () => css, send: content => tell(id, content),
        on: (name, hear) => name === "msg:custom" && hears.add(hear), off: (_, hear) => hears.delete(hear),
    };
    const { default: widget } = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
    const end = widget.render({ model, el: document.getElementById(id) });
    const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    (window.ends ??= []).push(end);
    (async () => {
        for (;;) for (const [content, frame] of await receive(id))
            for (const hear of hears) hear(content, frame ? [new DataView(bytes(frame).buffer)] : []);
    })();
}"""
STYLES = """() => [...document.querySelectorAll("h1, body > button")].map(one => JSON.stringify(
    Object.fromEntries([...getComputedStyle(one)].map(name => [name, getComputedStyle(one)[name]]))))"""


class Shown(Comm):
    """A connection to a page of the browser."""

    def __init__(self, **given):
        self.sent = queue.Queue()
        super().__init__(**given)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if (data or {}).get("content"):
            frame = base64.b64encode(buffers[0]).decode() if buffers else None
            self.sent.put([data["content"], frame])

    def receive(self):
        found = []
        while not found or not self.sent.empty():
            try:
                found.append(self.sent.get(timeout=0.02))
            except queue.Empty:
                break
        return found


@pytest.mark.slow
@pytest.mark.parametrize("name", browsers.EACH)
def test_two_widgets_in_a_page_whose_styles_and_keys_are_not_theirs(widget, monkeypatch, name):
    playwright = pytest.importorskip("playwright.sync_api")
    expect, patience = playwright.expect, {"timeout": 30_000}
    monkeypatch.setattr("comm.create_comm", Shown)
    widgets = {"a": widget("hidden-layer"), "b": widget()}

    def tell(to, content):
        widgets[to].comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    with browsers.browser(name) as browser:
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(30_000)
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.expose_function("tell", tell)
        page.expose_function("receive", lambda to: widgets[to].comm.receive())
        page.set_content(NOTEBOOK)
        outside = page.evaluate(STYLES)
        for to, one in widgets.items():
            page.evaluate(SHOW, [one._esm, one.css, to])
        first, second = page.locator("#a"), page.locator("#b")
        expect(first.locator(".task")).to_contain_text("Add a hidden layer", **patience)
        second.get_by_role("button", name="Run", exact=True).click()
        expect(second.locator(".readings dd").first).to_have_text(re.compile(r"\d{3}"), **patience)
        expect(first.locator(".readings dd").first).to_have_text("0")
        assert page.evaluate(STYLES) == outside
        style = "one => [getComputedStyle(one).fontSize, getComputedStyle(one).letterSpacing]"
        assert first.get_by_role("button", name="Step", exact=True).evaluate(style) == ["14px", "normal"]
        assert first.locator(".network").is_visible()
        page.evaluate("document.body.dataset.jpThemeLight = 'false'")  # as JupyterLab turns dark
        expect(first.locator(".playground[data-dark]")).to_have_count(1)
        page.evaluate("window.keys = 0; addEventListener('keydown', () => { keys += 1; })")
        first.get_by_role("button", name="Hidden 1, unit 1", exact=True).or_(
            first.get_by_role("button", name="Output unit 1")
        ).first.press("d")
        assert page.evaluate("keys") == 0
        first.get_by_role("button", name="Step", exact=True).press("Control+b")
        assert page.evaluate("keys") == 2  # Control and b, for the notebook
        first.get_by_role("button", name="Compare").click()
        expect(first.get_by_role("group", name="Second network", exact=True).locator("dd").first).to_have_text(
            "0", **patience
        )
        assert settled(3) == 3
        page.evaluate("ends[1]()")
        page.wait_for_timeout(200)
        assert settled(2) == 2
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        page.wait_for_timeout(200)
        assert settled(0) == 0
        assert said == []
