"""The report of a table: its numbers against scikit-learn's, its pages, and data that nobody expects."""

import itertools
import re
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.pages.drawing import Axis, Plot, ticks
from chainrule.pages.formatting import fixed, percent, short
from chainrule.tables import Column, HeldOut, Schema, Split, Trained, row_inputs
from chainrule.tables.casting import cast
from chainrule.tables.report import ReportData, build
from chainrule.tables.report import page as page_of
from chainrule.tables.report.collect import collect
from chainrule.tables.report.data import ColumnSummary, Importance, Influence, Score, WrongRow
from chainrule.tables.report.uncertainty import interval, intervals
from pages import check_alone

NASTY = "<script>alert('a')</script> & \"b\" | *c* `d`\n\u202ee"


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def classes_data(k=2, n=200, seed=0, **fields):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    p = softmax(1.5 * np.eye(k)[y] + rng.normal(size=(n, k)))
    names = ("no", "yes") if k == 2 else tuple(f"class {i}" for i in range(k))
    history = {"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.3], "val_loss": [1.0, 0.6, 0.8]}
    task = "binary" if k == 2 else "multiclass"
    return ReportData(task, "target", y, p.argmax(axis=1), p, names, history=history, **fields)


def numbers_data(n=200, seed=0, **fields):
    rng = np.random.default_rng(seed)
    y = rng.normal(50, 10, n)
    return ReportData("regression", "price", y, y + rng.normal(1, 5, n), **fields)


def labels_data(n=200, labels=3, seed=0, **fields):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, labels)) < np.linspace(0.2, 0.6, labels)).astype(int)
    p = 1 / (1 + np.exp(-(3 * y - 1.5 + rng.normal(size=y.shape))))
    return ReportData(
        "multilabel", "a, b", y, (p > 0.5).astype(int), p, tuple(f"label {i}" for i in range(labels)), **fields
    )


EVERY = {
    "binary": classes_data,
    "multiclass": lambda **fields: classes_data(4, **fields),
    "regression": numbers_data,
    "multilabel": labels_data,
}
FULL = {
    "source": "t.csv",
    "rows": 800,
    "columns": (
        ColumnSummary("age", "number", 80, 60, "0 to 99", (0.2, 0.5, 0.3)),
        ColumnSummary("id", "identifier", 0, 800, dropped="every row has another value"),
    ),
    "targets": (ColumnSummary("target", "yes/no", 0, 2, "no 50%, yes 50%", (0.5, 0.5)),),
    "parts": (("training", 500), ("test", 200)),
    "split": "rows at random",
    "notes": ("CSV with a comma",),
    "warnings": ("'age' looks like the target",),
    "scores": (Score("accuracy", 0.9, 0.85, 0.93, {"majority class": 0.5, "linear model": 0.95}),),
    "verdict": "The network does not beat the linear model: difference -0.05 ± 0.02.",
    "importance": Importance((Influence("age", 0.25, 0.01), Influence("fare", -0.001, 0.01)), "log loss", 0.5, 200, 5),
    "wrong": (WrongRow(7, "yes", "no", "2%", (("age", "(missing)"), ("fare", "8"))),),
    "command": "chainrule train t.csv --target target",
    "facts": (("seed", "0"), ("versions", "Python 3.11, numpy 2.0")),
}


class TestNumbers:
    """What the page says, beside scikit-learn's."""

    @pytest.mark.parametrize("k", [2, 3, 10])
    def test_classes(self, k):
        data = classes_data(k)
        y, said, p = data.truth, data.predicted, data.probabilities
        page = check_alone(page_of(data).html)
        report = metrics.classification_report(y, said, target_names=data.classes, output_dict=True)
        for line in page.table("class", "precision", "recall", "F1"):
            wanted = report[line["class"]]
            assert line["precision"] == percent(wanted["precision"])
            assert line["recall"] == percent(wanted["recall"])
            assert line["F1"] == f"{wanted['f1-score']:.3f}"
            assert line["rows"] == f"{wanted['support']:.0f}"
        matrix = [[int(line[name]) for name in data.classes] for line in page.table("actual", *data.classes)]
        assert matrix == metrics.confusion_matrix(y, said).tolist()
        areas = dict(re.findall(r"([a-z 0-9]+): AUC (\d\.\d+)", page.text))
        means = dict(re.findall(r"([a-z 0-9]+): average precision (\d\.\d+)", page.text))
        assert len(areas) == len(means) == (1 if k == 2 else min(k, 5))
        for name, area in areas.items():
            i = data.classes.index(name)
            assert area == f"{metrics.roc_auc_score(y == i, p[:, i]):.3f}"
            assert means[name] == f"{metrics.average_precision_score(y == i, p[:, i]):.3f}"

    def test_the_sentence_about_two_classes(self):
        y = np.repeat([0, 1], [60, 60])
        said = np.concatenate([np.zeros(43, int), np.ones(17, int), np.ones(50, int), np.zeros(10, int)])
        page = page_of(ReportData("binary", "t", y, said, classes=("no", "yes"))).html
        assert (
            "50 of the 67 rows predicted as &#x27;yes&#x27; are correct; 50 of the 60 rows that are &#x27;yes&#x27; are detected."
            in page
        )

    @pytest.mark.parametrize("k", [2, 4])
    def test_the_tables_of_the_curves(self, k):
        data = classes_data(k)
        page = page_of(data).markdown
        name = next(iter(re.findall(r"\| (\S[^|]*?) \| \d\.\d{3} \| ", page)))
        i = data.classes.index(name)
        alarms, found, _ = metrics.roc_curve(data.truth == i, data.probabilities[:, i])
        shown = re.search(rf"\| {name} \| \d\.\d{{3}} \|(.*)\|", page)[1].split("|")
        assert [s.strip() for s in shown] == [percent(found[alarms <= a].max()) for a in (0.01, 0.05, 0.1, 0.2, 0.5)]

    def test_calibration(self):
        data = classes_data(2)
        p, y = data.probabilities[:, 1], data.truth
        happened, said = calibration_curve(y, p)
        lines = re.findall(r"\| \d+% to \d+% \| ([\d,]+) \| ([^|]+) \| ([^|]+) \|", page_of(data).markdown)
        assert [(a, b) for _, a, b in lines] == [(percent(a), percent(b)) for a, b in zip(said, happened, strict=True)]
        assert sum(int(n) for n, *_ in lines) == len(y)

    def test_if_it_may_decline(self):
        data = classes_data(3)
        order = np.argsort(-data.probabilities.max(axis=1), kind="stable")
        right = (data.predicted == data.truth)[order]
        assert f"{percent(right[:100].mean())} on the most confident half" in page_of(data).markdown
        assert f"Accuracy is {percent(right.mean())} on all rows" in page_of(data).markdown

    def test_regression(self):
        data = numbers_data()
        error = data.predicted - data.truth
        page = check_alone(page_of(data).html)
        lines = page.table("MAE", "MAE, mean baseline", "bias")
        parts = np.array_split(np.argsort(data.truth), 5)
        for line, part in zip(lines, parts, strict=True):
            y, f = data.truth[part], data.predicted[part]
            mean = np.full(len(y), data.truth.mean())
            assert float(line["MAE"]) == pytest.approx(metrics.mean_absolute_error(y, f), abs=0.01)
            assert float(line["MAE, mean baseline"]) == pytest.approx(metrics.mean_absolute_error(y, mean), abs=0.01)
            assert float(line["bias"].replace("−", "-")) == pytest.approx(error[part].mean(), abs=0.01)
        assert f"within {short(metrics.median_absolute_error(data.truth, data.predicted), 3)}" in page.text
        assert f"Predictions are {short(error.mean(), 3)} too high on average" in page.text
        assert f"{percent((np.abs(error) <= 0.1 * data.truth).mean())} of predictions are within 10%" in page.text
        histogram = re.findall(r"\| (?:█|▏|▎|▍|▌|▋|▊|▉)* ?(\d+) \|$", page_of(data).markdown, re.MULTILINE)
        assert sum(map(int, histogram)) == 200

    def test_labels(self):
        data = labels_data()
        page = check_alone(page_of(data).html)
        report = metrics.classification_report(
            data.truth, data.predicted, target_names=data.classes, output_dict=True, zero_division=0
        )
        for i, line in enumerate(page.table("label", "precision", "recall", "F1")):
            wanted = report[line["label"]]
            assert line["F1"] == f"{wanted['f1-score']:.3f}"
            assert line["precision"] == percent(wanted["precision"])
            assert line["correct"] == percent(metrics.accuracy_score(data.truth[:, i], data.predicted[:, i]))
        exact = percent(metrics.accuracy_score(data.truth, data.predicted))
        assert f"Every label is correct in {exact} of rows" in page.text
        assert f"AUC {metrics.roc_auc_score(data.truth[:, 0], data.probabilities[:, 0]):.3f}" in page.text


def calibration_curve(y, p):
    from sklearn.calibration import calibration_curve  # noqa: PLC0415

    return calibration_curve(y, p, n_bins=10)


class TestIntervals:
    """A 95 % interval holds the true score 95 times in a hundred."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "task"),
        [
            *((n, "binary") for n in ("accuracy", "balanced accuracy", "log loss", "ROC AUC")),
            *((n, "multiclass") for n in ("accuracy", "ROC AUC")),
            *((n, "regression") for n in ("RMSE", "MAE", "R²")),
            *((n, "multilabel") for n in ("accuracy", "macro F1", "subset accuracy", "log loss")),
        ],
    )
    def test_how_often_it_holds_the_truth(self, name, task):
        truth = score(name, EVERY[task](n=200_000, seed=1))
        held = 0
        for seed in range(200):
            data = EVERY[task](n=150, seed=100 + seed)
            low, high = interval(name, score(name, data), task, data.truth, data.predicted, data.probabilities)
            held += low <= truth <= high
        assert 178 <= held <= 200, f"{held} of 200"

    def test_a_share_of_all_rows_is_not_certain(self):
        y = np.ones(20, int)
        low, high = interval("accuracy", 1.0, "binary", y, y, None)
        assert 0.8 < low < 0.9
        assert high == 1.0

    @pytest.mark.parametrize("name", ["accuracy", "balanced accuracy", "ROC AUC"])
    def test_four_rows_that_are_all_right_are_not_certain(self, name):
        y = np.array([0, 1, 0, 1])
        low, high = interval(name, 1.0, "binary", y, y, np.eye(2)[y])
        assert low == pytest.approx(0.5101, abs=1e-4)
        assert high == 1
        low, high = interval("log loss", 0.001, "binary", y, y, np.clip(np.eye(2)[y], 0.001, 0.999))
        assert low == 0
        assert high > 0.4

    def test_a_class_of_two_rows_makes_a_mean_over_classes_uncertain(self):
        y = np.r_[np.zeros(1000, int), 1, 1]
        low, _ = interval("balanced accuracy", 1.0, "binary", y, y, None)
        assert low < 0.75

    def test_errors_that_do_not_differ_have_no_interval(self):
        y = np.arange(4.0)
        assert np.isnan(interval("RMSE", 0.0, "regression", y, y, None)).all()
        assert np.isnan(interval("R²", 1.0, "regression", y, y, None)).all()

    def test_few_errors_have_a_wide_one(self):
        y = np.arange(4.0)
        off = np.array([0.1, -0.2, 0.3, 0.0])
        low, high = interval("MAE", 0.15, "regression", y, y + off, None)
        assert high - 0.15 == pytest.approx(3.1824 * np.abs(off).std(ddof=1) / 2, rel=1e-4)
        assert low == 0

    def test_what_is_not_known_has_no_interval(self):
        y = np.array([0, 1, 0])
        assert np.isnan(interval("my score", 0.5, "binary", y, y, np.full((3, 2), 0.5))).all()
        assert np.isnan(interval("ROC AUC", 0.5, "binary", np.zeros(3, int), y, np.full((3, 2), 0.5))).all()
        assert np.isnan(interval("accuracy", np.nan, "binary", y, y, None)).all()


def score(name, data):
    y, f, p = data.truth, data.predicted, data.probabilities
    if name == "accuracy":
        return (y == f).mean()
    if name == "log loss":
        return log_loss_of_labels(y, p) if y.ndim == 2 else metrics.log_loss(y, p)
    if name == "ROC AUC":
        return metrics.roc_auc_score(y, p[:, 1]) if p.shape[1] == 2 else metrics.roc_auc_score(y, p, multi_class="ovr")
    if name == "macro F1":
        return metrics.f1_score(y, f, average="macro")
    of = {
        "balanced accuracy": metrics.balanced_accuracy_score,
        "subset accuracy": metrics.accuracy_score,
        "RMSE": metrics.root_mean_squared_error,
        "MAE": metrics.mean_absolute_error,
        "R²": metrics.r2_score,
    }
    return of[name](y, f)


def log_loss_of_labels(y, p):
    return np.mean([metrics.log_loss(y[:, i], p[:, i]) for i in range(y.shape[1])])


class TestPages:
    @pytest.mark.parametrize("task", EVERY)
    def test_it_is_well_formed_and_loads_nothing(self, task):
        text = page_of(EVERY[task](**FULL)).html
        page = check_alone(text)
        assert page.tags.count("h1") == 1
        for tag, name, value in page.attributes:
            if name == "href":
                assert ("section", "id", value[1:]) in page.attributes, f"{tag}: nothing is called {value}"
        for part in ("prefers-color-scheme: dark", "@media print", "max-width: 44rem", "--s1", "--paper", "viewport"):
            assert part in text
        colours = re.findall(r"(?:fill|stroke)=\"(#\w+|rgb[^\"]*)\"", text)
        assert colours == [], "colours belong in the style sheet, which knows light and dark"
        assert len(text) < 100_000

    @pytest.mark.parametrize("task", EVERY)
    def test_every_picture_says_what_it_is(self, task):
        text = page_of(EVERY[task](**FULL)).html
        pictures = re.findall(r'<svg class="plot".*?</svg>', text, re.DOTALL)
        assert len(pictures) >= 2
        for picture in pictures:
            assert re.search(r'role="img"><title>[^<]+</title><desc>[^<]+</desc>', picture)
            assert picture.count('class="label"') == 2
            assert not re.search(r"nan|inf", re.sub(r"<title>.*?</desc>", "", picture))
        for figure in re.findall(r'<figure class="card">.*?</figure>', text, re.DOTALL):
            assert '<svg class="plot"' not in figure or re.search("<figcaption>[^<]+</figcaption>", figure)

    @pytest.mark.parametrize("task", EVERY)
    def test_markdown_says_the_same(self, task):
        data = EVERY[task](**FULL)
        text, page = page_of(data).markdown, page_of(data).html
        heads = re.findall(r"<h[23]>([^<]+?)(?: <small>|</h)", page)
        assert len(heads) > 8
        for head in heads:
            assert re.search(rf"^##+ {re.escape(head)}", text, re.MULTILINE), head
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1, table
        assert "nan" not in text
        assert "```text\nchainrule train t.csv --target target\n```" in text

    def test_what_it_says_of_the_whole(self):
        page = check_alone(page_of(classes_data(**FULL)).html)
        (line,) = page.table("score", "network", "linear model")
        assert line == {
            "score": "accuracy", "network": "90.0%", "95% confidence interval (network)": "85.0% to 93.0%", "majority class": "50.0%",
            "linear model": "95.0%",
        }  # fmt: skip
        for said in (
            "A baseline is better on accuracy.",
            "difference −0.05 ± 0.02",
            "'age' looks like the target",
            "1 column with missing values, most in 'age': 10% of the rows. Dropped: 1 column.",
            "Shuffling 'age' raises it to 0.75.",
            "For 1 of 2 columns, the increase is within chance.",
            "It then rises to 0.8 while the training loss falls: the network is overfitting",
            "Python 3.11, numpy 2.0",
        ):
            assert said in page.text, said
        assert page.table("held-out row", "age")[0] == {
            "held-out row": "7", "actual": "yes", "predicted": "no", "probability of the true class": "2%",
            "age": "(missing)", "fare": "8",
        }  # fmt: skip

    def test_a_network_that_wins_is_not_told_otherwise(self):
        score = Score("RMSE", 1.0, 0.9, 1.1, {"mean": 3.0, "linear model": 2.0}, lower_is_better=True)
        page = page_of(numbers_data(scores=(score,))).html
        assert "<b>1.000</b>" in page
        assert "A baseline is better" not in page

    @pytest.mark.parametrize("task", EVERY)
    def test_everything_from_the_data_is_escaped(self, task):
        data = EVERY[task](**FULL)
        data = replace(
            data,
            target=NASTY, source=NASTY, split=NASTY, notes=(NASTY,), warnings=(NASTY,), verdict=NASTY, stopped=NASTY,
            classes=tuple(f"{i} {NASTY}" for i in range(len(data.classes))), command=f"{NASTY} ```` x",
            columns=(ColumnSummary(NASTY, "number", 1, 2, "0 to 1"), ColumnSummary("b" * 5000, "text", dropped=NASTY)),
            importance=Importance((Influence(NASTY, 0.1, 0.1),), "log loss", 0.5, 20, 5),
            wrong=(WrongRow(1, NASTY, NASTY, "1%", ((NASTY, NASTY),)),),
            scores=(Score(NASTY, 0.5, baselines={NASTY: 0.4}),), facts=((NASTY, NASTY),),
        )  # fmt: skip
        text = page_of(data).html
        check_alone(text)
        assert "<script" not in text
        assert "\u202e" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
        assert max(map(len, re.findall("b+", text))) < 100
        text = page_of(data).markdown
        assert "<script" not in text.replace(data.command, "")
        assert "`````text\n" in text
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


class TestHardCases:
    """Held-out rows that nobody hopes for."""

    def both(self, data):
        page = check_alone(page_of(data).html)
        text = page_of(data).markdown
        assert not re.search(r"\bnan\b|\binf\b", page.text)
        assert not re.search(r"\bnan\b|\binf\b", text)
        return page.text

    @pytest.mark.few(5)
    @pytest.mark.parametrize("task", EVERY)
    @pytest.mark.parametrize("n", [0, 1, 2, 3])
    def test_few_rows(self, task, n):
        data = EVERY[task](n=12)
        p = data.probabilities
        data = replace(
            data, truth=data.truth[:n], predicted=data.predicted[:n], probabilities=None if p is None else p[:n]
        )
        assert "too few for reliable scores" in self.both(data)

    def test_a_class_that_no_held_out_row_has(self):
        data = classes_data(4)
        kept = data.truth != 2
        data = replace(
            data, truth=data.truth[kept], predicted=data.predicted[kept], probabilities=data.probabilities[kept]
        )
        assert "No held-out rows belong to class 2" in self.both(data)
        data = classes_data(2)
        kept = data.truth == 0
        data = replace(
            data, truth=data.truth[kept], predicted=data.predicted[kept], probabilities=data.probabilities[kept]
        )
        assert "No held-out rows belong to yes" in self.both(data)

    def test_constant_predictions(self):
        data = classes_data(3)
        p = np.full_like(data.probabilities, 1 / 3)
        self.both(replace(data, predicted=np.zeros_like(data.predicted), probabilities=p))
        data = classes_data(2)
        text = self.both(
            replace(data, predicted=np.zeros_like(data.predicted), probabilities=np.eye(2)[0] + 0 * p[:, :2])
        )
        assert "No row is predicted as 'yes'; 0 of the 100 rows that are 'yes' are detected." in text
        data = numbers_data()
        assert "it has learned nothing" in self.both(replace(data, predicted=np.full(200, 50.0)))
        self.both(replace(data, predicted=np.full(200, 5.0), truth=np.full(200, 5.0)))

    def test_a_hundred_classes(self):
        data = classes_data(100, n=2000)
        text = page_of(data).html
        page = check_alone(text)
        wrong = metrics.confusion_matrix(data.truth, data.predicted)
        np.fill_diagonal(wrong, 0)
        first = page.table("actual", "predicted", "share of class")[0]
        assert int(first["rows"]) == wrong.max()
        assert wrong[data.classes.index(first["actual"]), data.classes.index(first["predicted"])] == wrong.max()
        assert len(page.table("class", "precision", "F1")) == 20
        assert len(text) < 200_000

    def test_predictions_that_are_no_numbers(self):
        data = numbers_data()
        predicted = data.predicted.copy()
        predicted[:3] = np.nan, np.inf, -np.inf
        assert "not finite: 3 rows of 200 held out" in self.both(replace(data, predicted=predicted))
        data = classes_data(3)
        p = data.probabilities.copy()
        p[5] = np.nan
        scores = (Score("accuracy", np.nan, baselines={"linear model": np.nan}), Score("log loss", np.inf))
        assert "not finite: 1 row of 200 held out" in self.both(replace(data, probabilities=p, scores=scores))
        self.both(replace(data, probabilities=p * np.nan))

    @pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
    def test_huge_and_tiny_numbers(self, scale):
        data = numbers_data()
        scores = (Score("RMSE", 5.0 * scale, 4.0 * scale, 6.0 * scale, {"mean": 10.0 * scale}, lower_is_better=True),)
        self.both(replace(data, truth=data.truth * scale, predicted=data.predicted * scale, scores=scores))

    def test_a_target_over_many_powers_of_ten(self):
        y = np.exp(np.linspace(0, 14, 500))
        text = self.both(ReportData("regression", "price", y, y[::-1].copy()))
        assert "10⁵" in text or "100,000" in text

    def test_one_value_far_off(self):
        data = numbers_data()
        predicted = data.predicted.copy()
        predicted[0] = 1e9
        assert "drawn at its edge: 1 row." in self.both(replace(data, predicted=predicted))

    def test_a_history_of_one_epoch_and_one_that_failed(self):
        failed = {"epoch": [1, 2], "loss": [np.nan, np.nan], "val_loss": [1.0, np.inf]}
        for history in ({"epoch": [1], "loss": [0.5]}, failed, {"epoch": [1, 2], "loss": [np.nan, np.nan]}):
            self.both(replace(classes_data(2), history=history))

    @pytest.mark.slow
    @pytest.mark.parametrize("task", EVERY)
    def test_a_million_rows_are_a_small_page(self, task):
        assert len(page_of(EVERY[task](n=1_000_000)).html) < 300_000

    def test_ten_thousand_columns(self):
        columns = tuple(ColumnSummary(f"x{i}", "number", 0, 10, "0 to 1", (0.5, 0.5)) for i in range(10_000))
        text = page_of(numbers_data(columns=columns)).html
        assert "Not listed: 9,940 columns." in text
        assert len(text) < 200_000


class Logistic:
    """Looks at the first input only, the column x."""

    seconds = 0.0

    def predict_proba(self, X):
        time.sleep(self.seconds)
        p = 1 / (1 + np.exp(-3 * X[:, 0]))
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return 3 * X[:, 0]


class Prepared:
    """A preparation with an input for each number, and one for the words."""

    transformers_ = [("number", None, ["x", "noise"]), ("many", None, ["word"])]  # noqa: RUF012


def trained(task="binary", n=120, **fields):
    """Return what training gives, of a model that says the first column."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=n),
            "noise": rng.normal(size=n),
            "word": [("red", "green", None)[i % 3] for i in range(n)],
            "id": [f"row {i}" for i in range(n)],
        }
    )
    x = frame["x"].to_numpy()
    p = 1 / (1 + np.exp(-3 * x))
    drawn = rng.random(n) < p
    columns = (
        Column("x", "number", distinct=n, low=-3.0, high=3.0),
        Column("noise", "number", missing=3, distinct=n, low=-3.0, high=3.0),
        Column("word", "category", "text", missing=40, distinct=2, categories=("green", "red")),
        Column("id", "identifier", "text", distinct=n, dropped="every row has another value"),
    )
    history = cr.History(("epoch", "loss", "val_loss"))
    history.append([1, 0.7, 0.8])
    if task == "binary":
        y, said, probabilities = (
            np.where(drawn, "yes", "no"),
            np.where(p > 0.5, "yes", "no"),
            np.column_stack([1 - p, p]),
        )
        schema = Schema(
            columns, (Column("t", "yes/no", "text", distinct=2, categories=("no", "yes")),), task, ("no", "yes"), n
        )
        scores = {"accuracy": float((y == said).mean())}
        frame = frame.with_columns(t=pl.Series(y))
    else:
        y, said, probabilities = 3 * x + drawn, 3 * x, None
        schema = Schema(columns, (Column("t", "number", distinct=n, low=-9.0, high=9.0),), task, (), n)
        scores = {"RMSE": float(np.sqrt(np.square(y - said).mean()))}
        frame = frame.with_columns(t=pl.Series(y))

    inputs = np.column_stack([frame["x"], frame["noise"], frame["word"].is_null()])
    held_out = HeldOut(frame, y, said, probabilities, inputs=inputs)
    given = {
        "pipeline": [Prepared(), Logistic()], "schema": schema, "scores": scores, "baselines": {"linear model": dict.fromkeys(scores, 0.5)},
        "verdict": "The network beats the linear model.", "held_out": held_out, "intervals": intervals(schema, held_out, scores),
        "history": history, "split": Split(700, 80, n, "rows at random"), "sha256": "ab" * 32, "source": "t.csv",
        "command": "chainrule train t.csv --target t", "settings": {"seed": 3}, "seconds": 1.5,
    }  # fmt: skip
    return Trained(**{**given, **fields})


class TestCollect:
    def test_classes(self):
        run = trained()
        data = collect(run)
        assert data.truth.tolist() == (run.held_out.y == "yes").astype(int).tolist()
        assert data.classes == ("no", "yes")
        assert data.importance.columns[0].name == "x"
        assert {i.name: i.mean for i in data.importance.columns}["noise"] == 0
        assert "id" not in {i.name for i in data.importance.columns}
        (found,) = data.scores
        assert found.low < found.value < found.high
        assert found.baselines == {"linear model": 0.5}
        assert data.columns[2].spread == "green 50%, red 50%"
        assert sum(data.columns[0].shares) == pytest.approx(1)
        assert data.columns[0].spread == "−3 to 3"
        facts = dict(data.facts)
        assert facts["seed"] == "3"
        assert facts["data SHA-256"] == "ab" * 32
        assert f"numpy {np.__version__}" in facts["versions"]

    def test_the_most_wrong_rows(self):
        run = trained()
        data = collect(run)
        p = run.held_out.probabilities[np.arange(120), data.truth]
        wrong = run.held_out.y != run.held_out.predictions
        rows = np.flatnonzero(wrong)[np.argsort(p[wrong])][:10]
        assert [w.row for w in data.wrong] == [i + 1 for i in rows]
        assert [w.how_wrong for w in data.wrong] == [percent(p[i]) for i in rows]
        assert dict(data.wrong[0].values)["word"] == (run.held_out.frame["word"][int(rows[0])] or "(missing)")

    def test_numbers(self):
        run = trained("regression")
        data = collect(run)
        error = np.abs(run.held_out.y - run.held_out.predictions)
        assert data.wrong[0].row == error.argmax() + 1
        assert data.importance.measure == "RMSE"
        assert data.importance.base == pytest.approx(run.scores["RMSE"])
        assert data.probabilities is None

    def test_columns_of_every_type(self):
        run = trained("regression")
        n = run.held_out.frame.height
        days = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 12, 1), "1d", eager=True)[:n]
        others = {
            "day": days.dt.date(), "moment": days, "flag": [i % 3 == 0 for i in range(n)], "nothing": [None] * n,
            "list": [[1, 2]] * n, "words": ["long " * 900] * n, "far": [np.inf, np.nan] * (n // 2), "": ["a"] * n, "count": ["a"] * n,
            "kind": pl.Series(["a", "b"] * (n // 2), dtype=pl.Categorical),
        }  # fmt: skip
        frame = run.held_out.frame.with_columns(pl.DataFrame(others))
        kinds = ["date", "date", "yes/no", "constant", "many", "text", "number", "category", "category", "category"]
        columns = (*run.schema.columns, *(Column(name, kind) for name, kind in zip(others, kinds, strict=True)))
        run.schema = replace(run.schema, columns=columns)
        run.held_out = replace(run.held_out, frame=frame)
        data = collect(run, seconds=0)  # these columns have no categories to be predicted by
        shown = {c.name: c for c in data.columns}
        assert len(shown["day"].shares) == len(shown["moment"].shares) == 12
        assert shown["flag"].spread == "false 67%, true 33%"
        assert shown["list"].spread == shown["nothing"].spread == ""
        assert shown["far"].shares == ()
        check_alone(page_of(data).html)

    def test_the_same_seed_gives_the_same_importance(self):
        run = trained()
        one, two = (collect(run, seconds=60).importance for _ in range(2))
        assert one == two

    def test_importance_ends_in_time(self):
        run = trained()
        run.pipeline[1].seconds = 0.05
        data = collect(run, seconds=0.08)
        assert data.importance.untried > 0
        assert "Not computed for lack of time" in page_of(data).html

    @pytest.mark.parametrize("task", ["binary", "regression"])
    def test_from_beginning_to_end(self, task):
        run = trained(task)
        report = build(run)
        check_alone(report.html)
        check_alone(report._repr_html_())
        assert "Column importance" in report.markdown
        assert "Column importance" not in build(run, seconds=0).markdown


@pytest.mark.slow
def test_the_inputs_of_a_shuffled_column_are_its_shuffled_inputs():
    """So the importance of a column of any type is measured without preparing the rows again."""
    table = small_tables.frame().drop(["grade", "price", "sold", "late"])
    run = tables.train(table, "ill", parameters={"max_iter": 1, "hidden_layer_sizes": (2,)})
    held, names = run.held_out, [name for name, _ in row_inputs.names(run)]
    order = np.random.default_rng(0).permutation(len(held.y))
    assert {column.kind for column in run.schema.used} >= {"number", "yes/no", "category", "many", "date", "text"}
    for column in run.schema.used:
        of = np.flatnonzero(np.array(names) == column.name)
        expected = held.inputs.copy()
        expected[:, of] = held.inputs[order][:, of]
        shuffled = held.frame.with_columns(held.frame[column.name].gather(order))
        assert len(of)
        np.testing.assert_array_equal(run.pipeline[0].transform(cast(shuffled, run.schema.columns)), expected)


def test_long_names_that_differ_in_their_middle_look_different():
    names = [f"the class with the number {i} of all classes that there are in this table" for i in range(16)]
    data = classes_data(16, 400)
    wrong = tuple(WrongRow(i, names[i], names[i + 1], "1%", ((n, "x"),)) for i, n in enumerate(names[:9]))
    columns = tuple(ColumnSummary(name, "number") for name in names)
    found = Importance(tuple(Influence(name, 0.1, 0.0) for name in names), "log loss", 0.5, 400, 5)
    data = replace(data, classes=tuple(names), wrong=wrong, columns=columns, importance=found)
    for page in (check_alone(page_of(data).html).text, page_of(data).markdown):
        assert all(page.count(name) >= 4 for name in names[:9])  # of classes twice, of columns, of wrong rows
        assert "class …" not in page
        assert "number…" not in page


def test_of_unbalanced_classes_the_rare_one_is_looked_for():
    data = classes_data(2, 400)
    rare = np.flatnonzero(data.truth == 0)[20:]  # all but 20 of "no"
    kept = np.delete(np.arange(400), rare)
    data = replace(data, truth=data.truth[kept], predicted=data.predicted[kept], probabilities=data.probabilities[kept])
    page = check_alone(page_of(data).html).text
    average = metrics.average_precision_score(data.truth == 0, data.probabilities[:, 0])
    assert f"no: average precision {average:.3f}" in page
    assert f"of the {(data.predicted == 0).sum()} rows predicted as 'no' are correct" in page
    assert "predicted probability of no" in page
    assert "yes: average precision" in check_alone(page_of(classes_data(2)).html).text


class TestDrawing:
    @pytest.mark.parametrize(
        ("low", "high"), [(0, 1), (-5, 7), (0, 1e-9), (1e9, 1e9 + 3), (0, 1e300), (-1e-300, 1e-300)]
    )
    def test_ticks_are_round_and_inside(self, low, high):
        marks = ticks(low, high)
        assert 2 <= len(marks) <= 8
        assert all(low - 1e-9 * (high - low) <= m <= high + 1e-9 * (high - low) for m in marks)
        steps = np.diff(marks)
        assert np.allclose(steps, steps[0])

    def test_a_line_has_gaps_where_there_is_no_number(self):
        plot = Plot(Axis(0, 3, "x"), Axis(0, 1, "y"))
        plot.line(np.arange(4.0), np.array([0, np.nan, 1, 1]), "s1")
        assert re.search(r'd="M[\d. ]+M[\d. ]+L[\d. ]+"', plot.parts[0])


@pytest.mark.parametrize("largest", [9.0, 12_345_678.0, 987_654_321.0])
def test_the_title_of_the_axis_stands_beside_its_labels(largest):
    """The kind: a title that is drawn over labels of eight digits, and labels that are drawn over each other."""
    plot = Plot(Axis(-largest, largest, "actual"), Axis(0.0, largest, "predicted"))
    svg = plot.svg("title", "caption")
    labels = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="(end|middle)">([^<]+)</text>', svg)
    starts = [float(x) - 6.2 * len(text) for x, anchor, text in labels if anchor == "end"]
    assert min(starts) >= 11 + 6  # the middle of the title, and half its height
    across = [(float(x), 3.1 * len(text)) for x, anchor, text in labels if anchor == "middle"]
    assert len(across) >= 2
    assert all(x + half < y - other for (x, half), (y, other) in itertools.pairwise(across))


def test_no_zero_has_a_minus():
    assert fixed(-0.0004, 3) == "0.000"
    assert fixed(-10.0, 1) == "−10.0"
