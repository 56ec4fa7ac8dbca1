"""Time zones are kept: a moment in Tokyo is the same moment in UTC, and times without a zone are said to be taken so."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from chainrule import tables
from chainrule.tables.converting import feeds, to_onnx
from chainrule.tables.loading import load
from test_tables_script import same

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # what is advised after three epochs on 80 rows
QUICK = {"max_iter": 3, "hidden_layer_sizes": (4,)}
ROWS = 80
HOURS = np.random.default_rng(0).integers(0, 24 * 300, ROWS).tolist()
MOMENTS = pl.Series("when", [dt.datetime(2022, 1, 1) + dt.timedelta(hours=h) for h in HOURS]).dt.replace_time_zone(
    "UTC"
)
TOKYO = MOMENTS.dt.convert_time_zone("Asia/Tokyo")
TARGET = pl.Series("y", ["day" if 6 <= hour < 18 else "night" for hour in TOKYO.dt.hour()])
SPELLED = {
    "Tokyo": TOKYO,
    "UTC": MOMENTS,
    "Berlin, in nanoseconds": MOMENTS.dt.convert_time_zone("Europe/Berlin").cast(pl.Datetime("ns", "Europe/Berlin")),
    "text +09:00": TOKYO.dt.strftime("%Y-%m-%dT%H:%M:%S%:z"),
    "text Z": MOMENTS.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
}


def table(when):
    return pl.DataFrame([when.alias("when"), TARGET])


@pytest.fixture(scope="module", params=["Tokyo", "UTC", "text +09:00", "text Z"])
def network(request):
    return tables.train(table(SPELLED[request.param]), "y", parameters=QUICK)


@pytest.mark.parametrize("spelled", SPELLED)
def test_the_same_moment_has_the_same_prediction(network, spelled):
    expected = tables.predict(network, table(TOKYO))[0]
    found, notes = tables.predict(network, SPELLED[spelled].to_frame())
    assert found.equals(expected)
    assert notes == ()


def test_the_zone_is_in_the_schema_and_said():
    trained = tables.train(table(TOKYO), "y", parameters=QUICK)
    (column,) = trained.schema.used
    assert column.notation.zone == "Asia/Tokyo"
    assert column.low == TOKYO.dt.replace_time_zone(None).min().isoformat()  # as a clock there shows it
    assert "'when': times with a time zone, converted to Asia/Tokyo." in trained.notes
    naive, notes = tables.predict(trained, TOKYO.dt.replace_time_zone(None).to_frame())
    assert naive.equals(tables.predict(trained, table(TOKYO))[0])
    assert notes == ("'when': 80 times have no time zone; treated as Asia/Tokyo, as in training.",)


@pytest.mark.parametrize("as_text", [False, True])
def test_times_without_a_zone_are_taken_as_they_stand_and_those_with_one_are_refused(as_text):
    naive = TOKYO.dt.replace_time_zone(None)
    naive = naive.dt.strftime("%Y-%m-%d %H:%M") if as_text else naive
    trained = tables.train(table(naive), "y", parameters=QUICK)
    assert "'when': times without a time zone, used as they are." in trained.notes
    with pytest.raises(
        ValueError, match="'when' has times with the time zone Asia/Tokyo, but those of training had none"
    ):
        tables.predict(trained, TOKYO.to_frame())
    assert tables.predict(trained, TOKYO.to_frame(), coerce=True)[1][0].startswith("'when': 80 values are not a date")


def test_days_alone_say_nothing_of_zones():
    for days in (
        MOMENTS.dt.date(),
        MOMENTS.dt.strftime("%Y-%m-%d"),
        MOMENTS.dt.replace_time_zone(None).dt.truncate("1d"),
    ):
        assert not any("time zone" in note for note in tables.train(table(days), "y", parameters=QUICK).notes)


def test_an_ambiguous_date_among_new_rows_is_refused_where_training_tells_no_format():
    trained = tables.train(table(MOMENTS.dt.date()), "y", parameters=QUICK)
    rows = pl.DataFrame({"when": ["03/04/2023"]})
    with pytest.raises(ValueError, match=r"'03/04/2023' may be 2023-04-03 or 2023-03-04. Write them as 2023-04-03"):
        tables.predict(trained, rows)
    assert tables.predict(trained, rows, coerce=True)[1] == ("'when': 1 value is not a date; treated as missing.",)
    clear, _ = tables.predict(trained, pl.DataFrame({"when": ["2023-04-03", "03 April 2023"]}))
    assert clear["p_day"].n_unique() == 1


def test_an_ambiguous_date_among_new_rows_follows_the_format_of_training():
    american = pl.Series("when", [f"{1 + i % 12:02d}/{1 + i % 28:02d}/2022" for i in range(ROWS)])
    trained = tables.train(table(american), "y", parameters=QUICK)
    iso = tables.train(table(american.str.to_date("%m/%d/%Y")), "y", parameters=QUICK)
    given, read = pl.DataFrame({"when": ["03/04/2022"]}), pl.DataFrame({"when": [dt.date(2022, 3, 4)]})
    assert tables.predict(trained, given)[0].equals(tables.predict(iso, read)[0])


@pytest.mark.parametrize("spelled", SPELLED)
def test_the_script_reads_a_test_file_in_another_zone(spelled, tmp_path):
    table(TOKYO).write_parquet(tmp_path / "t.parquet")
    table(SPELLED[spelled]).write_parquet(tmp_path / "test.parquet")
    same(tmp_path / "t.parquet", "y", test=tmp_path / "test.parquet")


def test_the_script_reads_offsets_amounts_and_durations(tmp_path):
    numbers = np.random.default_rng(1).normal(10, 2, ROWS).round(2).tolist()
    frame = table(SPELLED["text +09:00"]).with_columns(
        w=pl.Series([f"{n} kg" if i % 3 else f"{1000 * n:.0f} g" for i, n in enumerate(numbers)]),
        t=MOMENTS.dt.strftime("%I:%M %p"),
        day=MOMENTS.dt.strftime("%Y%m%d").cast(pl.Int64),
        wait=pl.Series([dt.timedelta(hours=h) for h in HOURS]),
    )
    frame.write_parquet(tmp_path / "t.parquet")
    same(tmp_path / "t.parquet", "y")
    frame.drop("wait").write_csv(tmp_path / "t.csv")
    same(tmp_path / "t.csv", "y")


def test_the_file_of_onnx_says_which_clock_it_takes():
    onnx = pytest.importorskip("onnx")
    frame = table(TOKYO).with_columns(w=pl.Series([f"{h} kg" for h in HOURS]))
    trained = tables.train(frame, "y", parameters=QUICK)
    content, said = to_onnx(trained)
    assert "predictions" in said
    inputs = {entry.name: entry.doc_string for entry in onnx.load_from_string(content).graph.input}
    assert inputs["when"] == "seconds since 1970-01-01T00:00:00, in local time in Asia/Tokyo; missing: NaN"
    assert inputs["w"] == "a number: kg; missing: NaN"
    for spelled in SPELLED.values():
        given = feeds(
            frame.with_columns(spelled.alias("when"), w=pl.Series([f"{1000 * h} g" for h in HOURS])), trained.schema
        )
        np.testing.assert_array_equal(given["when"].ravel(), TOKYO.dt.replace_time_zone(None).dt.timestamp("us") / 1e6)
        np.testing.assert_allclose(given["w"].ravel(), HOURS)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("spelled", ["Tokyo", "text +09:00"])
def test_streaming_reads_the_same(spelled, ending, tmp_path):
    numbers = np.random.default_rng(1).normal(10, 2, ROWS).round(2).tolist()
    frame = table(SPELLED[spelled]).with_columns(
        w=pl.Series([f"{n} kg" if i % 3 else f"{1000 * n:.0f} g" for i, n in enumerate(numbers)]),
        t=MOMENTS.dt.strftime("%I:%M %p"),
        day=MOMENTS.dt.strftime("%Y%m%d").cast(pl.Int64),
        wait=pl.Series([dt.timedelta(hours=h) for h in HOURS]),
    )
    frame = frame if ending == "parquet" else frame.drop("wait").with_columns(SPELLED["text +09:00"].alias("when"))
    path = tmp_path / f"t.{ending}"
    getattr(frame, f"write_{ending}")(path)
    memory, streamed = (tables.train(path, "y", parameters=QUICK, stream=stream) for stream in (False, True))
    assert streamed.schema == memory.schema
    expected = tables.predict(streamed, frame)[0]
    assert expected.equals(tables.predict(memory, frame)[0])
    grams = frame.with_columns(w=pl.Series([f"{1000 * n:.0f} g" for n in numbers]), when=MOMENTS)
    np.testing.assert_allclose(tables.predict(streamed, grams)[0]["p_day"], expected["p_day"], rtol=1e-5)


def test_words_anywhere_in_a_streamed_file_are_spoken_of_as_in_memory(tmp_path):
    rows = 3000
    when = pl.datetime_range(pl.datetime(2022, 1, 1), pl.datetime(2024, 1, 1), "1h", eager=True)[:rows]
    texts = when.dt.strftime("%d/%m/%Y %H:%M").to_list()
    kilos = [f"{i % 50} kg" for i in range(rows)]
    for row in (1500, 2500):
        texts[row], kilos[row] = "soon", "much"
    frame = pl.DataFrame({"when": texts, "w": kilos, "y": ["a", "b"] * (rows // 2)})
    frame.write_parquet(tmp_path / "t.parquet")
    memory, streamed = (load(tmp_path / "t.parquet", "y", stream=stream) for stream in (False, True))
    assert streamed.notes[1:] == memory.notes
    assert sum("soon" in note or "much" in note for note in streamed.notes) == 2
