"""The service: its routes, batches, bounds, bad requests, the process, and the page in a browser."""

import asyncio
import contextlib
import gc
import html
import html.parser
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import uvicorn
from starlette.responses import HTMLResponse
from typer.testing import CliRunner

import chainrule as cr
import small_tables
from chainrule import tables
from chainrule.cli.app import app as commands
from chainrule.serve.answers import Answers
from chainrule.serve.app import application
from chainrule.serve.batching import Batcher
from chainrule.serve.bodies import Request
from chainrule.serve.bounds import Bounds, RefusedError
from chainrule.tables.kinds import infer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have httpx2, and takes httpx
    from starlette.testclient import TestClient

ROOT = Path(__file__).parents[1]
TASKS = tuple(small_tables.TARGETS)
JSON, CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}
ENDS = (".", "?", "…")  # of a sentence
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of a run of every task."""
    folder = tmp_path_factory.mktemp("runs")

    def run(task):
        tables.save(small_tables.trained(task, optional=("notes",)), folder / task)
        return folder / task

    return small_tables.Made(run)


@pytest.fixture(scope="module")
def models(folders):
    return small_tables.Made(lambda task: cr.load(folders[task]))


@pytest.fixture(scope="module")
def rows():
    frame = small_tables.frame(30, seed=5).select(small_tables.INPUTS).drop("id", "only")
    return [{k: v.isoformat() if k == "built" and v else v for k, v in row.items()} for row in frame.to_dicts()]


def client(model, hosts=("localhost",), **bounds):
    app = application(model, Bounds(**bounds), hosts=hosts)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def plain(model, i, values, p):
    """What an entry of an answer must be, from what the model predicts in Python."""
    schema = model.schema
    if schema.task == "regression":
        return {"prediction": values[i]}
    if schema.task == "multilabel":
        return {
            c.name: {
                "prediction": c.categories[values[i][k]],
                "probabilities": dict(zip(c.categories, (1 - p[i, k], p[i, k]), strict=True)),
            }
            for k, c in enumerate(schema.targets)
        }
    return {"prediction": values[i], "probabilities": dict(zip(map(str, schema.classes), p[i], strict=True))}


def close(got, wanted):
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys()
        for name in wanted:
            close(got[name], wanted[name])
    else:
        assert got == (wanted if isinstance(wanted, str) else pytest.approx(wanted, rel=1e-5, abs=1e-6))


# ---------------------------------------------------------------- predictions


@pytest.mark.few(1)
@pytest.mark.parametrize("task", TASKS)
def test_the_answers_are_those_of_the_model(task, models, rows):
    model, ask = models[task], client(models[task])
    values, p = model.predictions(model.read(rows))
    for body in (rows, {"rows": rows}):
        answer = ask.post("/predict", json=body)
        assert answer.status_code == 200
        entries = answer.json()["predictions"]
        assert len(entries) == len(rows)
        for i, entry in enumerate(entries):
            close(entry, plain(model, i, values.tolist(), p))
    (alone,) = ask.post("/predict", json=rows[0]).json()["predictions"]
    close(alone, plain(model, 0, values.tolist(), p))


@pytest.mark.few(1)
@pytest.mark.parametrize("task", TASKS)
def test_csv_has_the_same_answers(task, models, rows, folders):
    ask = client(models[task])
    frame = pl.DataFrame(rows)
    answer = ask.post("/predict", content=frame.write_csv(), headers={**CSV, "accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    got = pl.read_csv(answer.content, infer_schema_length=None)
    wanted = tables.predict(tables.load(folders[task]), frame)[0]
    assert got.columns == wanted.columns
    for name in wanted.columns:
        if wanted[name].dtype.is_float():
            np.testing.assert_allclose(got[name].to_numpy(), wanted[name].to_numpy(), rtol=1e-5, atol=1e-5)
        else:
            assert got[name].cast(pl.String).to_list() == wanted[name].cast(pl.String).to_list()


def test_intervals_are_those_of_the_model(models, rows):
    model = models["regression"]
    ask = client(model)
    for answer in (
        ask.post("/predict", json={"rows": rows, "interval": 0.8}),
        ask.post("/predict?interval=0.8", json=rows),
    ):
        low, high = model.predict_interval(rows, coverage=0.8)
        entries = answer.json()["predictions"]
        np.testing.assert_allclose([(e["low"], e["high"]) for e in entries], np.stack([low, high], 1), rtol=1e-5)
    text = ask.post("/predict?interval=0.8", json=rows, headers={"accept": "text/csv"}).text
    assert text.startswith("prediction,low,high\n")


def test_notes_are_those_of_the_request(models, rows):
    odd = {**rows[0], "city": "Oslo", "more": 1}
    notes = client(models["binary"]).post("/predict", json=odd).json()["notes"]
    assert any("'Oslo'" in note for note in notes)
    assert any("'more'" in note for note in notes)


@pytest.mark.few(1)
@pytest.mark.parametrize("task", TASKS)
def test_the_schema_has_an_example_that_is_predicted_without_notes(task, models):
    ask = client(models[task])
    about = ask.get("/schema").json()
    assert [column["name"] for column in about["columns"]] == [c.name for c in models[task].schema.used]
    by = {column["name"]: column for column in about["columns"]}
    assert by["city"]["categories"] == ["Bern", "Graz", "Köln"]
    assert by["size"]["low"] < by["size"]["typical"] < by["size"]["high"]
    assert by["notes"]["required"] is False
    assert by["size"]["required"] is True
    answer = ask.post("/predict", json={k: v for k, v in about["example"].items() if v is not None or k != "notes"})
    assert answer.status_code == 200, answer.text
    assert not [note for note in answer.json()["notes"] if "notes" not in note]


@pytest.mark.few(1)
@pytest.mark.parametrize("task", TASKS)
def test_the_interface_describes_what_is_answered(task, models, rows):
    """Every name in OpenAPI's schemas is one in the answer, and the references lead somewhere."""
    ask = client(models[task])
    interface = ask.get("/openapi.json").json()
    assert interface["openapi"].startswith("3.1")
    for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(interface)):
        assert name in interface["components"]["schemas"]
    shape = interface["components"]["schemas"]["Answer"]["properties"]["predictions"]["items"]
    asked = {"rows": rows[:1]} | ({"interval": 0.8} if task == "regression" else {})

    def same(shape, value):
        if "properties" in shape:
            assert shape["properties"].keys() == value.keys()
            for name, inner in shape["properties"].items():
                same(inner, value[name])
        elif "enum" in shape:
            assert value in shape["enum"]
        else:
            assert isinstance(value, float)

    same(shape, ask.post("/predict", json=asked).json()["predictions"][0])
    example = interface["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert ask.post("/predict", json=example).status_code == 200
    assert {*interface["paths"]} == {"/predict", "/explain", "/schema", "/health", "/metrics", "/openapi.json"}


@pytest.mark.few(1)
@pytest.mark.parametrize("task", TASKS)
def test_contributions_add_up_to_the_prediction(task, models, rows):
    model, ask = models[task], client(models[task])
    labels = [None] if task == "regression" else model.classes_.tolist()
    for label in labels:
        answer = ask.post("/explain", json=rows[3], params={} if label is None else {"label": label})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        wanted = model.predict(rows[3])[0] if label is None else model.predict_proba(rows[3])[0, labels.index(label)]
        total = sum(one["contribution"] for one in found["contributions"])
        assert found["prediction"] == pytest.approx(wanted, rel=1e-5)
        assert found["base"] + total == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        assert {one["column"] for one in found["contributions"]} == {column.name for column in model.schema.used}
        assert ask.post("/explain", json=rows[3], params={"label": label} if label is not None else {}).json() == found
    shape = ask.get("/openapi.json").json()["components"]["schemas"]["Explanation"]["properties"]
    assert shape.keys() == found.keys()
    assert shape["contributions"]["items"]["properties"].keys() == found["contributions"][0].keys()


def test_an_explanation_is_refused_in_a_sentence(models, rows, monkeypatch):
    ask = client(models["binary"])
    for json_, label, status, said in (
        (rows[:2], None, 413, "more than 1 row in one request"),
        ({**rows[0], "size": "big"}, None, 422, "'size' is a number, but row 1 has 'big'"),
        (rows[0], "maybe", 422, "label: 'maybe' is not a class"),
        ([], None, 422, "no rows"),
    ):
        answer = ask.post("/explain", json=json_, params={} if label is None else {"label": label})
        assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text
        assert answer.json()["error"].endswith(ENDS)
    assert ask.post("/explain", content="x", headers={"content-type": "text/plain"}).status_code == 415
    monkeypatch.setattr("chainrule.serve.explanations.COLUMNS", 3)
    assert "at most 3 are explained" in ask.post("/explain", json=rows[0]).json()["error"]
    bare = cr.tables.TableModel(models["binary"].table._replace(reference=None), models["binary"].model)
    assert "without the distributions of training" in client(bare).post("/explain", json=rows[0]).json()["error"]
    monkeypatch.setattr("chainrule.serve.app.WAITING", 0)
    assert ask.post("/explain", json=rows[0]).status_code == 503


def test_the_work_of_an_explanation_is_bounded(models, rows, monkeypatch):
    model, counts = models["binary"], []
    outputs = type(model).outputs
    monkeypatch.setattr(type(model), "outputs", lambda self, X: counts.append(len(X)) or outputs(self, X))
    client(model).post("/explain", json=rows[0])
    assert sum(counts) < 2**13


def test_the_other_routes(models, rows):
    ask = client(models["binary"])
    assert ask.get("/health").json() == {"status": "ok"}
    ask.post("/predict", json=rows)
    ask.post("/predict", json={**rows[0], "size": "big"})
    ask.get("/nothing")
    lines = ask.get("/metrics").text.splitlines()
    assert f"chainrule_rows_total {len(rows)}" in lines
    assert "chainrule_rows_refused_total 1" in lines
    assert "chainrule_requests_in_flight 1" in lines  # this one
    for path, status in (("/health", 200), ("/predict", 200), ("/predict", 422), ("other", 404)):
        assert f'chainrule_requests_total{{path="{path}",status="{status}"}} 1' in lines
    buckets = [int(line.split()[1]) for line in lines if "seconds_bucket" in line]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 2
    for line in lines:
        assert re.fullmatch(r'# (HELP|TYPE) chainrule_\w+ .+|chainrule_\w+(\{[\w="./+,]+\})? [\d.e+-]+', line)


@pytest.mark.parametrize("path", ["/", "/docs", "/schema", "/health", "/metrics", "/openapi.json", "/nothing"])
def test_answers_keep_other_sites_out(path, models):
    answer = client(models["binary"]).get(path, headers={"origin": "http://other.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


class Tags(html.parser.HTMLParser):
    """The tags of a page, with all of them closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("task", TASKS)
def test_the_pages_load_nothing_from_elsewhere(task, models):
    ask = client(models[task])
    for path in ("/", "/docs"):
        text = ask.get(path).text
        for tag, attributes in Tags(text).found:
            for name in ("src", "href"):
                assert re.match(r"/|data:,|#", attributes.get(name) or "/"), (tag, attributes)
        assert "https://" not in text
    assert "Bern" in ask.get("/docs").text


def test_names_from_a_table_are_escaped(models):
    from chainrule.serve.described import describe, documented, openapi  # noqa: PLC0415
    from chainrule.tables.schema import Column, Schema  # noqa: PLC0415

    bad = "<script>alert('x')</script>"
    column = Column(bad, "category", "text", categories=(bad, "b"), typical=bad)
    schema = Schema((column,), (Column(f"{bad}!", "yes/no", categories=("a", bad)),), "binary", ("a", bad))
    about = describe(schema)
    text = documented(about, openapi(about, Bounds()), "<style>p {}</style>")
    Tags(text)
    assert "<script" not in text


# ---------------------------------------------------------------- bad requests


@pytest.mark.parametrize(
    ("change", "status", "field", "row", "said"),
    [
        ({"size": "big"}, 422, "size", 2, "'size' is a number, but row 2 has 'big'"),
        ({"size": True}, 200, None, None, ""),
        ({"size": [1]}, 422, "size", None, "lists"),
        ({"size": {"a": 1}}, 422, "size", None, "lists"),
        ({"built": "yesterday"}, 422, "built", 2, "a date"),
        ({"opened": "2020-13-45"}, 422, "opened", 2, "a date"),
        ({"size": None, "city": None, "garden": None, "built": None}, 200, None, None, ""),
        ({"size": 1e999, "rooms": -(10**400)}, 200, None, None, ""),
        ({"city": "x" * 100_000}, 200, None, None, ""),
        ({"size": "x" * 100_000}, 422, "size", 2, "'size' is a number, but row 2 has 'xxx"),
    ],
)
def test_a_bad_value_is_answered_with_its_column_and_row(change, status, field, row, said, models, rows):
    body = json.dumps([rows[0], {**rows[1], **change}], default=str).replace("Infinity", "1e999")
    answer = client(models["binary"]).post("/predict", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    if status != 200:
        error = answer.json()
        assert error.get("field") == field
        assert error.get("row") == row
        assert said in error["error"]
        assert error["error"].endswith(ENDS)
        assert len(error["error"]) <= 500


BAD = [
    (b"", JSON, 400, "not JSON"),
    (b"{", JSON, 400, "line 1, column 2"),
    (b"\xff\xfe{}", JSON, 400, "not UTF-8"),
    (b"7", JSON, 400, "got a number"),
    (b"null", JSON, 400, "got null"),
    (b'"rows"', JSON, 400, "got a text"),
    (b"[]", JSON, 422, "expected at least one"),
    (b"{}", JSON, 422, "missing but required"),
    (b"[1]", JSON, 400, "row 1 is a number"),
    (b"[{}, []]", JSON, 400, "row 2 is a list"),
    (b'{"rows": [], "more": 1}', JSON, 400, "'more'"),
    (b'{"rows": 3}', JSON, 422, "missing but required"),
    (b'{"size": NaN}', JSON, 400, "NaN is not JSON"),
    (b'{"size": -Infinity}', JSON, 400, "-Infinity is not JSON"),
    (b'{"city": "\\ud800"}', JSON, 400, "half of a character"),
    (b"[" * 100_000, JSON, 400, "nested too deeply"),
    (b'{"a":' * 100_000, JSON, 400, "nested too deeply"),
    (b'{"size": ' + b"9" * 10_000 + b"}", JSON, 400, "more digits"),
    (json.dumps({f"c{i}": 1 for i in range(1000)}).encode(), JSON, 400, "1,000 names"),
    (b"{}", {"content-type": "text/plain"}, 415, "got text/plain"),
    (b"{}", {}, 415, "got none"),
    (b"\x1f\x8b", {**JSON, "content-encoding": "gzip"}, 415, "compressed, with Content-Encoding: gzip. Send it as it is."),
    (b"", CSV, 400, "empty"),
    (b"size,size\n1,2\n", CSV, 400, "duplicate"),
    (b"size,city\n1\n", CSV, 400, "row 1 has 1 values"),
    (b'size,city\n1,"a\n', CSV, 400, "not CSV"),
    (b"size,city\n", CSV, 422, "expected at least one"),
    (b"size,city\n1,a\n", CSV, 422, "missing but required"),
    (b"\x00" * 100, CSV, 422, "expected at least one"),
    (b"size\n" + b"1" * 200_000, CSV, 400, "not CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "status", "said"), BAD, ids=range(len(BAD)))
def test_a_bad_body_is_answered_with_a_sentence(body, headers, status, said, models):
    answer = client(models["binary"]).post("/predict", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


def test_a_missing_column_is_named(models, rows):
    row = {k: v for k, v in rows[0].items() if k != "size"} | {"sise": 3}
    error = client(models["binary"]).post("/predict", json=row).json()
    assert error["field"] == "size"
    assert "Did you mean 'sise'?" in error["error"]


def test_an_optional_column_may_be_absent(models, rows):
    answer = client(models["binary"]).post("/predict", json={k: v for k, v in rows[0].items() if k != "notes"})
    assert answer.status_code == 200
    assert any("'notes'" in note for note in answer.json()["notes"])


def test_intervals_that_there_are_not(models, rows):
    for task, interval, said in (
        ("binary", "0.9", "is not a number"),
        ("regression", "2", "a share between 0 and 1"),
        ("regression", "x", "a share between 0 and 1"),
        ("regression", "nan", "a share between 0 and 1"),
        ("regression", "0.9999", "held-out rows"),
    ):
        answer = client(models[task]).post(f"/predict?interval={interval}", json=rows[0])
        assert answer.status_code == 400
        assert said in answer.json()["error"]


def test_unknown_paths_and_methods(models):
    ask = client(models["binary"])
    for method, path, status in (
        ("GET", "/predict", 405),
        ("POST", "/schema", 405),
        ("GET", "/x", 404),
        ("OPTIONS", "/predict", 405),
    ):
        answer = ask.request(method, path)
        assert answer.status_code == status
        assert "/docs" in answer.json()["error"]


def test_an_error_of_the_service_is_a_sentence(models, rows, monkeypatch):
    def broken(columns):
        raise ZeroDivisionError

    monkeypatch.setattr(models["binary"], "predictions", broken)
    answer = client(models["binary"]).post("/predict", json=rows[0])
    assert answer.status_code == 500
    assert answer.json() == {"error": "the service failed: its log has the error."}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_prediction_that_is_not_finite_is_refused(models, rows, monkeypatch):
    monkeypatch.setattr(models["regression"], "predictions", lambda columns: (np.array([1.0, np.nan]), None))
    answer = client(models["regression"]).post("/predict", json=rows[:2])
    assert answer.status_code == 422
    assert answer.json() == {"error": "row 2 has no finite prediction.", "row": 2}


VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    "x",
    "41",
    "1e5",
    "2020-01-01",
    "ä" * 50,
    [],
    {},
    [1],
    {"a": 1},
    "\x00",
    "NaN",
]


@pytest.mark.slow
def test_a_thousand_random_requests(models, rows):
    """No crash, no growth, and every answer is a prediction or a sentence."""
    rng = random.Random(0)

    def body():
        if rng.random() < 0.3:
            return rng.randbytes(rng.randrange(200))
        row = {
            **rows[rng.randrange(len(rows))],
            **{rng.choice([*rows[0]]): rng.choice(VALUES) for _ in range(rng.randrange(3))},
        }
        text = json.dumps(
            rng.choice([row, [row], {"rows": [row]}, {"rows": row}, [[row]], rng.choice(VALUES)])
        ).encode()
        if rng.random() < 0.3:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.randbytes(2) + text[at + rng.randrange(4) :]
        return text

    with client(models["binary"]) as ask:
        seen = set()
        for i in range(1000):
            if i == 200:
                gc.collect()
                tracemalloc.start()
            answer = ask.post("/predict", content=body(), headers=rng.choice([JSON, JSON, JSON, CSV]))
            seen.add(answer.status_code)
            told = answer.json()
            assert "predictions" in told if answer.status_code == 200 else told["error"].endswith(ENDS), told
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert seen == {200, 400, 422}
    assert grown < 2_000_000


# ---------------------------------------------------------------- bounds


def test_too_many_rows(models, rows):
    ask = client(models["binary"], rows=3)
    text = pl.DataFrame(rows[:4]).write_csv()
    for answer in (ask.post("/predict", json=rows[:4]), ask.post("/predict", content=text, headers=CSV)):
        assert answer.status_code == 413
        assert "at most 3" in answer.json()["error"]
    assert ask.post("/predict", json=rows[:3]).status_code == 200


def test_too_large_a_body(models):
    ask = client(models["binary"], body=1000)
    streamed = ask.post("/predict", content=(b" " * 100 for _ in range(11)), headers=JSON)  # without its length
    for answer in (ask.post("/predict", content=b" " * 1001, headers=JSON), streamed):
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.json()["error"]
    assert ask.post("/predict", content=b" " * 1000, headers=JSON).status_code == 400


async def asked(app, *messages, stay=True):
    """Return the status, headers and content of an answer to a request whose body comes in these parts."""
    waiting = [
        {"type": "http.request", "body": part, "more_body": stay or i + 1 < len(messages)}
        for i, part in enumerate(messages)
    ]
    sent = []

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


def test_a_body_that_does_not_arrive(models):
    app = application(models["binary"], Bounds(seconds=0.05))
    status, headers, answer = asyncio.run(asked(app, b"["))
    assert status == 408
    assert headers[b"connection"] == b"close"
    assert answer["error"] == "the body did not arrive in 0.05 s."


def test_too_many_requests_at_once(models):
    async def two():
        app = application(models["binary"], Bounds(requests=1, seconds=0.3))
        first = asyncio.create_task(asked(app, b"["))
        await asyncio.sleep(0.05)
        second = await asked(app, b"[]", stay=False)
        await first
        return second, await asked(app, b"[]", stay=False)

    (status, headers, answer), (later, _, _) = asyncio.run(two())
    assert status == 503
    assert headers[b"retry-after"] == b"1"
    assert answer["error"].startswith("1 requests")
    assert later == 422  # the first has given its place back


def test_large_bodies_that_wait_together_are_bounded(models):
    async def many():
        app = application(models["binary"], Bounds(body=100, seconds=0.3))
        others = [asyncio.create_task(asked(app, b" " * 100)) for _ in range(10)]
        await asyncio.sleep(0.05)
        one = await asked(app, b" " * 100)
        await asyncio.gather(*others)
        return one, await asked(app, b"[]", stay=False)

    (status, _, answer), (later, _, _) = asyncio.run(many())
    assert status == 503
    assert "large requests" in answer["error"]
    assert later == 422


def test_a_prediction_that_takes_too_long(models, rows, monkeypatch):
    monkeypatch.setattr(models["binary"], "read", lambda rows: time.sleep(0.2))
    answer = client(models["binary"], seconds=0.05).post("/predict", json=rows[0])
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "no answer in 0.05 s" in answer.json()["error"]


def test_only_the_names_of_the_loopback(models):
    app = application(models["binary"])
    for host, status in (
        ("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example:8000", 421), ("", 421),
    ):  # fmt: skip
        answer = TestClient(app).get("/health", headers={"host": host})
        assert answer.status_code == status, host
    assert "is not 'evil.example'" in TestClient(app).get("/health", headers={"host": "evil.example"}).json()["error"]
    assert client(models["binary"], hosts=None).get("/health", headers={"host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    "bad", [{"rows": 0}, {"body": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"requests": 0}]
)
def test_bounds_are_checked(bad):
    with pytest.raises(ValueError, match=f"serve: {next(iter(bad))}: expected"):
        Bounds(**bad)


# ---------------------------------------------------------------- batches


def test_requests_that_arrive_together_are_one_batch():
    sizes, go = [], threading.Event()

    def work(requests):
        sizes.append(len(requests))
        go.wait(5)
        return [request.body for request in requests]

    async def many():
        batch = Batcher(work)
        first = asyncio.create_task(batch(Request(b"0")))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batch(Request(b"%d" % i))) for i in range(1, 32)]
        await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(first, *others)
        batch.close()
        return found

    assert asyncio.run(many()) == [b"%d" % i for i in range(32)]
    assert sizes == [1, 31]


def test_a_large_batch_is_split_and_a_request_given_up_is_left_out():
    seen, go = [], threading.Event()

    def work(requests):
        seen.append([request.body[:1] for request in requests])
        go.wait(5)
        return [None] * len(requests)

    async def many():
        batch = Batcher(work)
        first = asyncio.create_task(batch(Request(b"0")))
        await asyncio.sleep(0.05)
        a, b, c, d = (asyncio.create_task(batch(Request(name * 2**19))) for name in (b"a", b"b", b"c", b"d"))
        await asyncio.sleep(0)
        a.cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, b, c, d)
        batch.close()

    asyncio.run(many())
    assert seen == [[b"0"], [b"b", b"c"], [b"d"]]


def test_a_batch_that_fails_as_a_whole_answers_every_request():
    def work(requests):
        raise MemoryError

    async def many():
        batch = Batcher(work)
        found = await asyncio.gather(*(batch(Request(b"")) for _ in range(3)), return_exceptions=True)
        batch.close()
        return found

    assert [type(error) for error in asyncio.run(many())] == [MemoryError] * 3


@pytest.mark.parametrize("task", TASKS)
def test_a_bad_request_fails_alone(task, models, rows):
    answers = Answers(models[task], 100)

    def request(rows):
        return Request(json.dumps(rows).encode())

    odd = {**rows[2], "city": "Oslo"}
    batch = [request(rows[0]), request({**rows[0], "size": "big"}), request(rows[:5]), Request(b"["), request(odd)]
    one, wrong, five, no_json, unseen = answers(batch)
    assert isinstance(wrong, RefusedError)
    assert (wrong.status, wrong.field, wrong.row) == (422, "size", 1)
    assert no_json.status == 400
    alone = [answers([each])[0] for each in (batch[0], batch[2], batch[4])]
    for together, apart in zip((one, five, unseen), alone, strict=True):
        assert together.rows == apart.rows
        ours, theirs = json.loads(together.body), json.loads(apart.body)
        assert ours["notes"] == theirs["notes"]
        for a, b in zip(ours["predictions"], theirs["predictions"], strict=True):
            close(a, b)


def test_a_request_that_fails_in_the_pass_fails_alone(models, rows, monkeypatch):
    model = models["binary"]
    usual = type(model).predictions

    def predictions(columns):
        if (columns["city"] == "Oslo").any():
            raise ZeroDivisionError
        return usual(model, columns)

    monkeypatch.setattr(model, "predictions", predictions)
    good, bad, last = Answers(model, 100)(
        [Request(json.dumps(row).encode()) for row in (rows[0], {**rows[1], "city": "Oslo"}, rows[2])]
    )
    assert isinstance(bad, ZeroDivisionError)
    assert good.rows == last.rows == 1


# ---------------------------------------------------------------- typical values


@pytest.mark.parametrize(
    ("values", "typical"),
    [
        ([1, 2, 30, 40, 50], 30.0),
        ([1.5, None, 2.5, 30.0], 2.5),
        (["1.234,50 €", "2,00 €", "3.000,00 €", "7,25 €", "5,00 €"], "7,25 €"),
        (["a", "b", "b", None, "c"], "b"),
        (["b", "a", "c", "a", "b"], "a"),
        ([True, False, True], "true"),
        ([3, 3, 7], "3"),
        (["01.02.2020", "28.01.2021", "15.06.2022", "31.12.2022", "30.11.2023"], "15.06.2022"),
        ([20200131, 20210228, 20220331, 20230430, 20240531], 20220331.0),
        (pl.Series(["2020-01-01", "2021-05-05", "2024-01-01"]).str.to_date(), "2021-05-05"),
    ],
)
def test_the_typical_value_of_a_column_is_as_in_the_table(values, typical):
    column = infer(pl.Series("x", values))
    assert column.typical == typical


# ---------------------------------------------------------------- the document


@pytest.mark.slow
def test_the_requests_in_the_document_are_answered_as_it_says(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1], "block", "exec"), names)
    ask = TestClient(names["app"], base_url="http://predict.example")
    pairs = re.findall(
        r"```sh\ncurl -H '(.*?): (.*?)' http://127.0.0.1:8000(/\w+) -d '(.*?)'\n```\n\n```json\n(.*?)\n```", text
    )
    assert len(pairs) == 2
    for header, value, path, body, answer in pairs:
        got, wanted = ask.post(path, content=body, headers={header: value}).json(), json.loads(answer)
        if "error" in wanted:
            assert got == wanted
        else:
            assert got["notes"] == wanted["notes"]
            (ours,), (theirs,) = got["predictions"], wanted["predictions"]
            assert ours["prediction"] == theirs["prediction"]
            assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=0.02)


# ---------------------------------------------------------------- the command


@pytest.fixture
def served(monkeypatch):
    """Lets the command do everything but wait for requests; what would run."""
    ran = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: ran.append((self.config, sockets[0].getsockname())))
    return ran


def test_the_command_prints_its_address(folders, served):
    done = CliRunner().invoke(commands, ["serve", str(folders["binary"]), "--port", "0"])
    assert done.exit_code == 0, done.output
    ((_, (host, port)),) = served
    assert host == "127.0.0.1"
    assert f"http://127.0.0.1:{port}/ " in done.output
    assert "no password" not in done.output
    assert "-> ill" in done.output


def test_another_host_says_what_that_means(folders, served):
    done = CliRunner().invoke(
        commands, ["serve", str(folders["binary"] / "model.safetensors"), "--port", "0", "--host", "0.0.0.0"]
    )
    assert done.exit_code == 0, done.output
    assert "no password and no encryption" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["{}/binary", "--port", "70000"], "--port: expected a port from 0 to 65535"),
        (["{}/binary", "--host", "no.such.host.example"], "choose another --port or --host"),
        (["{}/binary", "--body", "many"], "--body: expected a size"),
        (["{}/binary", "--rows", "0"], "rows: expected a whole number"),
        (["{}/network"], "does not hold a table"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, said, folders, served):
    folder = folders["binary"].parent
    (folder / "network").mkdir(exist_ok=True)
    network = cr.Network(2, [cr.layers.Dense(1)], "squared_error", seed=0)
    cr.save(network, folder / "network" / "model.safetensors", overwrite=True)
    given = [word.format(folder) + ("/model.safetensors" if word.endswith("network") else "") for word in arguments]
    done = CliRunner().invoke(commands, ["serve", *given])
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert not served


def test_a_port_in_use(folders, served):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = CliRunner().invoke(commands, ["serve", str(folders["binary"]), "--port", str(other.getsockname()[1])])
    assert done.exit_code == 2
    assert "Address already in use" in done.output


class Service:
    """A service in a process of its own."""

    def __init__(self, run, *options, code=("-m", "chainrule.serve")):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *code, str(run), "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
        self.port = 0
        for line in iter(self.process.stdout.readline, "Press Ctrl-C to stop.\n"):
            assert line, self.process.stderr.read()
            if found := re.search(r"http://[\w.]+:(\d+)/ ", line):
                self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def stopped(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


def answered(connection):
    """Return an answer, whole."""
    answer = b""
    while not (head := re.match(rb"HTTP.*?content-length: (\d+).*?\r\n\r\n", answer, re.DOTALL)) or len(
        answer
    ) < head.end() + int(head[1]):
        part = connection.recv(100_000)
        assert part, answer
        answer += part
    return answer


def request(body, path="/predict"):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_answers_what_it_has_begun_and_stops(number, folders, rows):
    body = json.dumps(rows[0]).encode()
    with Service(folders["binary"]) as service, service.connect() as first, service.connect() as second:
        first.sendall(request(body))
        assert b"200 OK" in answered(first)
        second.sendall(request(body)[:-5])
        time.sleep(0.3)
        service.process.send_signal(number)
        time.sleep(0.5)
        second.sendall(body[-5:])
        assert b"200 OK" in answered(second)
        out, err = service.process.communicate(timeout=20)
    assert service.process.returncode == 0, err
    assert out.endswith("Stopped.\n")
    assert not err


@pytest.mark.slow
def test_slow_clients_are_cut_off(folders):
    with Service(folders["binary"], "--seconds", "1") as service:
        sockets = [service.connect() for _ in range(20)]
        silent, header, body = sockets[:3]
        header.sendall(b"POST /predict HTTP/1.1\r\nHo")
        body.sendall(request(b"x" * 100)[:-50])
        begin = time.monotonic()
        assert b" 408 " in answered(body)
        assert silent.recv(10) == b""
        with contextlib.suppress(ConnectionResetError):
            assert header.recv(10) == b""
        assert time.monotonic() - begin < 6
        for each in sockets:
            each.close()
        with service.connect() as again:
            again.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'"ok"' in answered(again)
        assert service.stopped(signal.SIGTERM)[0] == 0


@pytest.mark.slow
def test_a_client_that_reads_no_answers_is_cut_off(folders, rows):
    body = json.dumps(rows * 100).encode()
    with Service(folders["binary"], "--seconds", "1") as service, service.connect() as deaf:
        begin = time.monotonic()
        with pytest.raises(ConnectionError):
            deaf.sendall(request(body) * 100)
        assert time.monotonic() - begin < 9
        assert service.stopped(signal.SIGTERM)[0] == 0


@pytest.mark.slow
def test_bytes_that_are_not_http(folders):
    rng = random.Random(0)
    with Service(folders["binary"]) as service:
        for _ in range(300):
            with service.connect() as bad:
                bad.sendall(rng.randbytes(rng.randrange(1, 2000)) + b"\r\n\r\n")
        with service.connect() as good:
            good.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'"ok"' in answered(good)
        code, _, err = service.stopped(signal.SIGTERM)
        assert code == 0
        assert "Traceback" not in err


@pytest.mark.slow
def test_the_module_needs_none_of_the_packages_of_training(folders, tmp_path):
    """With those that `chainrule[serve]` installs alone, a service starts and answers."""
    hidden = ("typer", "rich", "sklearn", "scipy", "polars", "pandas", "skops", "skrub", "matplotlib", "numba", "onnx")
    script = tmp_path / "alone.py"
    script.write_text(
        "import runpy, sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {hidden}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "runpy.run_module('chainrule.serve', run_name='__main__')\n"
    )
    with Service(folders["regression"], code=(str(script),)) as service, service.connect() as one:
        one.sendall(b"GET /schema HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'"price"' in answered(one)
        assert service.stopped(signal.SIGTERM)[0] == 0


@pytest.mark.slow
def test_the_command_of_the_container_starts(folders):
    text = (ROOT / "examples" / "serve" / "Dockerfile").read_text()
    python, *command, run, option, host = json.loads(re.search(r"^CMD (.*)", text, re.MULTILINE)[1])
    assert (python, option, host) == ("python", "--host", "0.0.0.0")
    assert f"COPY model.safetensors {run}" in text
    with Service(folders["binary"] / "model.safetensors", option, host, code=command) as service:
        check = json.loads(re.search(r"^HEALTHCHECK CMD (.*)", text, re.MULTILINE)[1])[1:]
        subprocess.run([sys.executable, *(word.replace(":8000", f":{service.port}") for word in check)], check=True)


def test_without_its_packages_the_command_says_what_to_type(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = CliRunner().invoke(commands, ["serve", str(folders["binary"])])
    assert done.exit_code == 1
    assert 'pip install -e ".[serve]"' in done.output


# ---------------------------------------------------------------- the page


def dumped(url, profile):
    """The page at a URL as a browser has it after its scripts."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=8000",
    ]
    command = [CHROMIUM, *options, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=100, check=True).stdout


NARROW = """<!DOCTYPE html><iframe id="page" src="/" style="width: 390px; height: 800px"></iframe><pre id="seen"></pre><script>
const wait = async found => { for (let one; ;) { if ((one = found())) return one; await new Promise(go => setTimeout(go, 50)); } };
(async () => {
  const page = document.getElementById("page");
  const moved = await wait(() => page.contentDocument?.querySelector("#moved:not([hidden])"));
  const there = page.contentDocument, type = (name, value) => {
    [...there.querySelectorAll("label")].find(one => one.textContent === name).control.value = value;
    there.getElementById("form").requestSubmit();
  };
  type("size", "120");
  const change = await wait(() => [...moved.querySelectorAll("li")].some(one => one.innerText.startsWith("size 120")) && moved.querySelector("li .track"));
  const seen = {wide: there.documentElement.scrollWidth, change: change.parentElement.innerText};
  type("rooms", "many");
  seen.error = (await wait(() => there.querySelector("[aria-invalid]"))).parentElement.innerText;
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
</script>"""


@contextlib.contextmanager
def framed(app):
    """Yield the address of a service whose page may be shown in a frame of the page at /narrow."""

    async def outer(scope, receive, send):
        async def bare(message):
            headers = message.get("headers", [])
            await send(message | {"headers": [h for h in headers if h[0] != b"content-security-policy"]})

        frame = HTMLResponse(NARROW) if scope.get("path") == "/narrow" else app
        await frame(scope, receive, bare if scope["type"] == "http" else send)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(outer, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://localhost:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_page_on_a_telephone(models, tmp_path):
    """It is no wider than 390 px, shows by how much a value moved the prediction, and where a value is wrong."""
    model = models["regression"]
    usual = client(model).get("/schema").json()["example"]
    explained = client(model).post("/explain", json={**usual, "size": 120}).json()["contributions"]
    with framed(application(model)) as address:
        page = dumped(f"{address}/narrow", tmp_path)
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.+?)</pre>', page)[1]))
    name, change = seen["change"].replace("−", "-").replace(",", "").split("\n")[:2]
    column = name.partition(" ")[0]
    assert name == f"{column} {120 if column == 'size' else usual[column]}"
    assert column == explained[0]["column"]
    assert float(change) == pytest.approx(explained[0]["contribution"], rel=1e-3)
    assert "'rooms' is a number, but row 1 has 'many'" in seen["error"]
    assert seen["wide"] <= 390


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("task", TASKS)
def test_the_page_in_a_browser(task, folders, tmp_path):
    """The page asks for the typical row at once, and shows its prediction."""
    with Service(folders[task]) as service:
        page = dumped(f"http://localhost:{service.port}/", tmp_path)
        about = TestClient(application(cr.load(folders[task])), base_url="http://localhost").get("/schema").json()
    assert f'<h1 id="title">Predict {about["target"]}</h1>' in page
    for column in about["columns"]:
        assert f">{column['name']}</label>" in page
    answer = re.search(r'<div id="answer".*?</section>', page, re.DOTALL)[0]
    assert "error" not in answer
    if task == "regression":
        assert re.search(r'class="big">[\d,.]+<', answer)
        assert "90 % interval" in answer
    else:
        assert answer.count(" %</span>") >= 2
    assert answer.count('class="track both"') == len(about["columns"])
    assert " on average over typical rows. With the contributions of your values" in answer
