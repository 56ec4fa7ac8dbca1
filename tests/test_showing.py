"""Objects in notebooks: their HTML stands alone, is well-formed, escaped and bounded; Progress is one bar."""

import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import chainrule as cr
from chainrule._internal.showing import Shown
from chainrule.datasets import Dataset
from chainrule.gradient_check.report import GradientReport, ParameterCheck
from chainrule.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Residual, Tanh
from chainrule.showing import SHOWN, html
from chainrule.training import notebook
from chainrule.training.callbacks import Run
from chainrule.training.rate_finder import RangeTest
from pages import check_alone

LARGEST = 200_000
HOSTILE = '<script>alert("x")</script>&\'\u202e\n' + "long" * 40


class Wrong(cr.Layer):
    """A layer with a wrong gradient and a name that is HTML."""

    def forward(self, x, memo):
        memo.x = x
        return np.sin(x)

    def backward(self, dy, memo):
        return -dy * np.cos(memo.x)

    def __repr__(self):
        return HOSTILE


def history(epochs, columns=("epoch", "loss", "val_loss", "val_accuracy", "learning_rate", "seconds"), value=None):
    made = cr.History(columns)
    for epoch in range(1, epochs + 1):
        made.append([epoch, *((1 / epoch if value is None else value) for _ in columns[1:])])
    return made


def network(*layers, inputs=4, loss="softmax_cross_entropy"):
    return cr.Network(inputs, layers, loss, seed=0)


def stopped():
    made = history(3)
    made.stopped = HOSTILE
    made.engine = HOSTILE
    return made


def with_text():
    made = history(2)
    made.add(HOSTILE, [0.5, 0.25])
    made.add("val_words", ["a", "b"])
    return made


def data(count=30, inputs=2, classes=3, image_shape=None, dtype="float32", **changed):
    rng = np.random.default_rng(0)
    X = (255 * rng.random((count, inputs))).astype(dtype)
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else classes
    given = {"X": X, "t": np.arange(count) % max(1, len(names))} | changed
    return Dataset("data", given["X"], given["t"], names, image_shape)


def holey():
    X = np.random.default_rng(0).normal(size=(40, 2))
    X[::3] = np.nan
    X[1] = np.inf
    return data(40, X=X)


def report(count):
    """Return a report of many parameters, of which the last is wrong."""
    wrong = {count - 1: "the sign is flipped"}
    checks = [
        ParameterCheck(i, HOSTILE, "W", (3, 3), 9, 1.0, 1.0, 1e-9, (0, 0), 0, wrong.get(i, ""), 2.0)
        for i in range(count)
    ]
    return GradientReport(ok=False, verdict=f"The gradient is WRONG:\n  {HOSTILE}", parameters=checks)


def range_test(**changed):
    rates = np.geomspace(1e-6, 1, 50)
    given = {"rates": rates, "losses": rates + 1, "smoothed": rates + 1, "suggestion": 0.01, "diverged": True} | changed
    return RangeTest(**given)


EXAMPLES = {
    "Network": {
        "small": lambda: network(Dense(3), Tanh(), Dense(2)),
        "one layer": lambda: network(Dense(1), loss="squared_error"),
        "images": lambda: network(
            Conv2D(4, 3), BatchNorm(), ReLU(), MaxPool2D(2), Flatten(), Dense(10), inputs=(12, 12, 1)
        ),
        "nested": lambda: network(Residual([Dense(4), Residual([Dense(4), ReLU()]), Dropout(0.5)]), Dense(2)),
        "400 layers": lambda: network(*(layer for _ in range(200) for layer in (Dense(8), ReLU())), Dense(2)),
        "300 nested": lambda: network(Residual([Dense(4) for _ in range(300)]), Dense(2)),
        "hostile": lambda: network(Wrong(), Dense(3)),
        "no parameters": lambda: network(Tanh()),
    },
    "History": {
        "some": lambda: history(30),
        "one epoch": lambda: history(1),
        "no epoch": lambda: history(0),
        "loss only": lambda: history(5, ("epoch", "loss")),
        "NaN": lambda: history(5, value=np.nan),
        "infinite": lambda: history(5, value=-np.inf),
        "huge": lambda: history(5, value=1e308),
        "zero": lambda: history(5, value=0.0),
        "10,000 epochs": lambda: history(10_000),
        "100 metrics": lambda: history(200, ("epoch", "loss", *(f"val_{HOSTILE}_{i}" for i in range(100)))),
        "stopped": stopped,
        "text": with_text,
        "no column of epochs": lambda: cr.History(("loss",)),
    },
    "RangeTest": {
        "some": range_test,
        "none": lambda: range_test(suggestion=None, diverged=False),
        "one step": lambda: range_test(rates=np.ones(1), losses=np.ones(1), smoothed=np.ones(1), suggestion=0.1),
        "NaN": lambda: range_test(losses=np.full(50, np.nan), smoothed=np.full(50, np.nan)),
        "spike": lambda: range_test(losses=np.r_[np.ones(49), 1e300]),
        "negative": lambda: range_test(losses=np.full(50, -3.0), smoothed=np.full(50, -3.0)),
        "empty": lambda: range_test(rates=np.zeros(0), losses=np.zeros(0), smoothed=np.zeros(0)),
        "100,000 steps": lambda: range_test(
            rates=np.geomspace(1e-6, 1, 100_000), losses=np.sin(np.arange(1e5)), smoothed=np.sin(np.arange(1e5))
        ),
    },
    "GradientReport": {
        "right": lambda: cr.check_gradient(network(Dense(2)), [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 1.0, 2.0]], [0, 1]),
        "wrong": lambda: cr.check_gradient(
            network(Dense(3), Wrong(), Dense(2)), np.random.default_rng(0).normal(size=(4, 4)), [0, 1, 1, 0]
        ),
        "500 parameters": lambda: report(500),
        "nothing": lambda: GradientReport(ok=False),
    },
    "LayerReport": {
        "right": lambda: cr.check_layer(Dense(3), 4),
        "wrong": lambda: cr.check_layer(Wrong()),
    },
    "OptimizerReport": {
        "right": lambda: cr.check_optimizer(cr.optimizers.Adam()),
        "wrong": lambda: cr.check_optimizer(lambda w, dw: w + 0.1 * dw, "sgd"),
    },
    "Dataset": {
        "images": lambda: data(inputs=64, classes=10, image_shape=(8, 8)),
        "bytes": lambda: data(inputs=784, classes=10, image_shape=(28, 28), dtype="uint8"),
        "large images": lambda: data(30, inputs=512 * 300, image_shape=(512, 300)),
        "another shape": lambda: data(inputs=64, image_shape=(9, 9)),
        "points": data,
        "one point": lambda: data(1),
        "100,000 points": lambda: data(100_000, classes=50),
        "huge points": lambda: data(X=np.array([[1e308, -1e308], [-1e308, 1e308]]), t=np.array([0, 1])),
        "equal points": lambda: data(X=np.ones((5, 2)), t=np.zeros(5, int)),
        "NaN": holey,
        "NaN in images": lambda: data(2, X=np.full((2, 4), np.nan), t=np.array([0, 1]), image_shape=(2, 2)),
        "table": lambda: data(inputs=7),
        "1,000 classes": lambda: data(3000, inputs=64, classes=1000, image_shape=(8, 8)),
        "hostile": lambda: data(6, inputs=4, classes=(HOSTILE, "b"), image_shape=(2, 2)),
        "no rows": lambda: data(0, inputs=64, image_shape=(8, 8)),
        "no classes": lambda: data(3, classes=()),
    },
    "Trace": {
        "small": lambda: cr.trace(network(Dense(3), Tanh(), Dense(2)), [1.0, 0.0, -1.0, 2.0], 1, classes=["a", HOSTILE]),
        "too long": lambda: cr.trace(
            network(Conv2D(16, 3), ReLU(), Conv2D(16, 3), Flatten(), Dense(3), inputs=(20, 20, 1)),
            np.random.default_rng(0).normal(size=(20, 20, 1)), 1,
        ),
        "25 layers": lambda: cr.trace(network(*(Dense(4) for _ in range(25))), [1.0, 0.0, -1.0, 2.0], 1),
    },
}  # fmt: skip
CASES = [pytest.param(make, id=f"{name}: {case}") for name, cases in EXAMPLES.items() for case, make in cases.items()]


def classes():
    """Return the classes of the package that show themselves, by name."""
    root = Path(cr.__file__).parent
    for path in root.rglob("*.py"):
        if "import Shown" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(root).with_suffix("").parts
            importlib.import_module(".".join(("chainrule", *(part for part in parts if part != "__init__"))))

    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    names = {cls: cls.__module__ for cls in below(Shown) - {Shown}}
    shown = {cls for cls, of in names.items() if of.startswith("chainrule.") and not of.startswith("chainrule.cli.")}
    return {cls.__name__: cls for cls in shown if cls.__name__ != "Report"} | {"Trace": cr.Trace}


def test_every_class_that_shows_itself_has_examples():
    assert classes().keys() == EXAMPLES.keys()
    assert {cls.__name__ for cls in SHOWN} <= {*EXAMPLES, "Report"}


@pytest.mark.slow
def test_a_long_trace_is_its_summary():
    trace = EXAMPLES["Trace"]["too long"]()
    assert len(trace.html()) > LARGEST
    shown = check_alone(trace._repr_html_()).text
    assert "steps are too long for a notebook. To see them, type trace.save('example.html')" in shown
    assert "relative difference" in shown
    assert f"L = {trace.value:.6g} before the step" in shown


@pytest.mark.few(14)
@pytest.mark.filterwarnings("ignore:.*are linear:UserWarning")
@pytest.mark.parametrize("make", CASES)
def test_html_stands_alone_and_is_well_formed_escaped_and_bounded(make):
    thing = make()
    shown = thing._repr_html_()
    assert shown
    assert len(shown) < LARGEST
    read = check_alone(shown)
    assert type(thing).__name__ in read.text or isinstance(thing, cr.Trace)
    assert "alert(" not in re.sub(r"&lt;script&gt;alert\(", "", shown)
    assert "\u202e" not in shown
    assert not re.search(r"(?<![A-Za-z-])(?:nan|inf)\b(?!inity)", re.sub(r">[^<]*<", "><", shown)), "in an attribute"
    inside = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)[1]
    for selector in re.findall(r"^(\.[^{]*) \{", inside, re.MULTILINE):
        assert all(part.strip().startswith(".chainrule-") for part in selector.split(", .")[:1]), selector


def test_colors_follow_the_notebook():
    """No color of the page is set for text, so that light and dark notebooks are legible; a trace has its own ground."""
    shown = network(Dense(3), Dense(2))._repr_html_()
    style = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)[1]
    assert "color: inherit" in style
    assert not re.search(r"background: #|color: #(000|111|fff)", style)
    for color in re.findall(r"--(?:s\d|good|bad): (#\w{6})", style):  # marks are told from white and from black
        r, g, b = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
        light = sum(
            w * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
            for w, v in zip((0.2126, 0.7152, 0.0722), (r, g, b), strict=True)
        )
        assert min(1.05 / (light + 0.05), (light + 0.05) / 0.0556) >= 3, color


class TestWhatIsShown:
    def test_a_network(self):
        shown = network(Dense(3), Tanh(), Dropout(0.5), Dense(2))._repr_html_()
        read = check_alone(shown)
        rows = read.table("layer", "parameters")
        assert [row["layer"] for row in rows] == ["Dense(3)", "Tanh()", "Dropout(0.5)", "Dense(2)"]
        assert [row["parameters"] for row in rows] == ["15", "", "", "8"]
        assert rows[0]["shape"] == "4 → 3"
        assert rows[0]["arrays"] == "W (4, 3), b (3,)"
        assert shown.count("<circle") == 4 + 3 + 2
        assert "23 parameters" in read.text

    def test_layers_inside_of_a_layer(self):
        read = check_alone(network(Residual([Dense(4), Residual([Dense(4)])]), Dense(2))._repr_html_())
        rows = read.table("layer", "parameters")
        assert [row[""] for row in rows] == ["0", "0.0", "0.1", "0.1.0", "1"]
        assert [row["parameters"] for row in rows] == ["", "20", "", "20", "10"]

    def test_a_long_network_is_shortened(self):
        read = check_alone(EXAMPLES["Network"]["400 layers"]()._repr_html_())
        rows = read.table("layer", "parameters")
        assert len(rows) == 36
        assert rows[25]["layer"] == "366 more layers"
        assert rows[-1][""] == "400"

    def test_a_history(self):
        made = history(0, ("epoch", "loss", "val_loss", "val_rmse", "seconds"))
        for row in ([1, 2.0, 3.0, 5.0, 0.5], [2, 1.0, 1.5, 4.0, 0.5], [3, 0.5, 2.0, 4.5, 1.0]):
            made.append(row)
        read = check_alone(made._repr_html_())
        assert "3 epochs in 2 s" in read.text
        assert "Best on the validation rows after epoch 2: 1.5. It then rises to 2" in read.text
        assert "Best on the validation rows after epoch 2: 4." in read.text, "the smallest error is the best"
        (row,) = [row for row in read.table("first", "best") if row[""] == "val_loss"]
        assert (row["first"], row["best"], row["in epoch"], row["last"]) == ("3", "1.5", "2", "2")

    def test_gaps_of_a_curve(self):
        made = history(0, ("epoch", "loss"))
        for epoch, loss in enumerate([1.0, 2.0, np.nan, 3.0, np.inf, 1.0, 2.0], 1):
            made.append([epoch, loss])
        path = re.search(r'<path class="line s1" d="(.*?)"', made._repr_html_())[1]
        assert path.count("M") == 3
        assert path.count("L") == 2

    def test_a_range_test(self):
        read = check_alone(range_test(suggestion=0.0123)._repr_html_())
        assert "suggested learning rate 0.012" in read.text
        assert ("path", "class", "line s2") in read.attributes

    def test_a_wrong_gradient_is_in_the_table_however_many_are_right(self):
        read = check_alone(report(500)._repr_html_())
        (rows,) = read.tables
        assert len(rows) == 31
        assert rows[-1][0].startswith("499")
        assert "WRONG" in rows[-1][-1]
        assert "470 more gradients" in read.text

    def test_a_verdict_has_its_mark(self):
        right, wrong = (EXAMPLES["LayerReport"][name]()._repr_html_() for name in ("right", "wrong"))
        assert '<p class="check good"><b>✓</b>' in right
        assert '<p class="check bad"><b>✗</b>' in wrong
        assert "the sign is flipped" in wrong

    def test_images_of_every_class(self):
        made = data(20, inputs=4, classes=("cat", "dog"), image_shape=(2, 2))
        shown = made._repr_html_()
        assert shown.count('fill="#000"') == 6
        assert re.findall(r'text-anchor="middle">(\w+)</text>', shown) == ["cat", "dog"] * 3
        assert [row["rows"] for row in check_alone(shown).table("class", "rows")] == ["10", "10"]

    def test_points(self):
        shown = data(9)._repr_html_()
        paths = re.findall(r'<path class="dots s\d" [^>]* d="(.*?)"', shown)
        assert [path.count("M") for path in paths] == [3, 3, 3]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_keep_scikit_learns_html_and_have_a_network():
    fitted = cr.MLPClassifier((3,), max_iter=2, random_state=0).fit(np.eye(4), [0, 1, 0, 1])
    assert "sk-estimator" in fitted._repr_html_()
    assert "chainrule-output" in fitted.network_._repr_html_()


def test_nothing_is_imported_before_an_object_is_shown():
    code = (
        "import sys, chainrule as cr; n = cr.Network(2, [cr.layers.Dense(2)], 'softmax_cross_entropy', seed=0); "
        "h = cr.train(n, [[0.0, 1.0]] * 4, [0, 1, 0, 1], epochs=2); repr(n); repr(h); "
        "found = {m for m in sys.modules if m.startswith(('chainrule.pages', 'chainrule.showing'))}; assert not found, found; "
        "sys.modules['matplotlib'] = sys.modules['IPython'] = sys.modules['sklearn'] = None; "
        "assert '<svg' in n._repr_html_() and '<svg' in h._repr_html_()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_class_is_shown_as_text():
    class Mine(Shown):
        pass

    assert html(Mine()) is None
    assert Mine()._repr_html_() is None


class TestProgress:
    class Display:
        """Stands for IPython's display, and keeps what is displayed and updated."""

        def __init__(self):
            self.shown, self.updates = [], []

        def display(self, thing, *, display_id):
            assert display_id is True
            self.shown.append(thing._repr_html_())
            return self

        def update(self, thing):
            self.updates.append((repr(thing), thing._repr_html_()))

    @pytest.fixture
    def display(self, monkeypatch):
        display = self.Display()
        monkeypatch.setattr(notebook, "bar", lambda: notebook.Bar(display))
        return display

    def test_one_bar_is_updated(self, display, capsys, monkeypatch):
        monkeypatch.setattr(notebook, "INTERVAL", 0.0)
        self.train(cr.Progress(every=3), epochs=5)
        assert capsys.readouterr().out == ""
        assert len(display.shown) == 1
        assert 'value="0"' in display.shown[0]
        assert [re.search('value="(.)"', page)[1] for _, page in display.updates] == ["1", "2", "3", "4", "5", "5"]
        text, page = display.updates[-1]
        assert re.fullmatch(r"epoch 5/5  loss \d\.\d{4}  learning_rate 0.001  \d+\.\d s", text)
        assert re.search(r"epoch 2/5</span>.*, \d+ s left</span>", display.updates[1][1])
        for _, page in display.updates:
            check_alone(page)

    def test_updates_are_no_more_often_than_the_interval(self, display, monkeypatch):
        monkeypatch.setattr(notebook, "INTERVAL", 1e9)
        self.train(cr.Progress(), epochs=1000)
        ((text, _),) = display.updates
        assert text.startswith("epoch 1000/1000")

    def test_why_it_ended_is_said(self, display):
        class Stop(cr.Callback):
            def on_epoch(self, run):
                run.stop("<enough>")

        self.train(Stop(), cr.Progress(), epochs=9)
        assert re.search(r"  stopped: <enough>  \d+\.\d s$", display.updates[-1][0])
        assert "stopped: &lt;enough&gt;" in display.updates[-1][1]

    def test_an_error_before_the_first_epoch(self, display):
        class Fail(cr.Callback):
            def on_batch(self, run):
                raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            self.train(cr.Progress(), Fail(), epochs=9)
        said = r"epoch 0/9  stopped: RuntimeError in epoch 1, after batch 1 of 1  \d+\.\d s"
        assert re.fullmatch(said, display.updates[-1][0])

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_an_estimator_with_a_bar_can_be_copied_after_its_fit(self, display, monkeypatch):
        monkeypatch.setattr(notebook, "bar", lambda: notebook.Bar(sys))  # a module, as IPython's display is
        monkeypatch.setattr(sys, "display", display.display, raising=False)
        model = cr.MLPClassifier((2,), callbacks=[cr.Progress()], max_iter=2, random_state=0)
        model.fit(np.eye(4), [0, 1, 0, 1])
        assert display.updates
        clone(model)
        pickle.loads(pickle.dumps(model))

    def test_a_file_has_lines(self, display, tmp_path):
        with (tmp_path / "log").open("w", encoding="utf-8") as file:
            self.train(cr.Progress(file=file), epochs=2)
        assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 2
        assert not display.shown

    def test_there_is_no_bar_without_a_kernel(self):
        assert notebook.bar() is None
        run = Run(network(Dense(2)), history(0), (), 3, 1, 4)
        progress = cr.Progress()
        progress.on_start(run)
        assert progress._bar is None

    def train(self, *callbacks, epochs):
        cr.train(network(Dense(2)), np.eye(4), [0, 1, 0, 1], epochs=epochs, callbacks=callbacks, seed=0)


SETUP = """
import io, contextlib, numpy as np, chainrule as cr
from chainrule.layers import Dense, Tanh
data = cr.datasets.Dataset("corners", np.eye(4, dtype="float32"), np.arange(4) % 2, ("a", "b"), (2, 2))
network = cr.Network(4, [Dense(3), Tanh(), Dense(2)], "softmax_cross_entropy", seed=0)
"""
REDIRECTED = """
with contextlib.redirect_stdout(io.StringIO()) as text:
    cr.train(network, data.X, data.t, epochs=2, callbacks=[cr.Progress()], seed=0)
print(text.getvalue().count("epoch"))
"""
CELLS = (
    SETUP,
    "history = cr.train(network, data.X, data.t, epochs=100, callbacks=[cr.Progress()], seed=0)",
    "history",
    "network",
    "data",
    "cr.check_gradient(network, data.X, data.t)",
    "cr.check_layer(Dense(2), 3)",
    "cr.lr_range_test(network, data.X, data.t, steps=20, seed=0)",
    "cr.trace(network, data.X[0], data.t[0])",
    REDIRECTED,
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::RuntimeWarning")
def test_a_notebook():
    """Executed by Jupyter: training is one bar, not a hundred lines, and the objects are HTML."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    nbclient.NotebookClient(made, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in made.cells]
    (bar,) = outputs[1]
    assert bar.output_type == "display_data"
    assert bar.data["text/plain"].startswith("epoch 100/100  loss ")
    assert 'max="100" value="100"' in bar.data["text/html"]
    names = ["History", "Network", "Dataset", "GradientReport", "LayerReport", "RangeTest", "Trace"]
    for name, (output,) in zip(names, outputs[2:9], strict=True):
        assert output.output_type == "execute_result"
        shown = output.data["text/html"]
        assert f"<b>{name}</b>" in shown or name == "Trace"
        check_alone(shown)
        assert name in output.data["text/plain"]
    assert outputs[9][0].text == "2\n"
