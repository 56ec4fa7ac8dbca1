"""Tables larger than memory: the same bits however the file is read, and the same preparation as in memory."""

import gzip
import hashlib
import itertools
import os
import signal

import numpy as np
import pytest

pl = pytest.importorskip("polars")
pytest.importorskip("skrub")

import chainrule  # noqa: E402
from chainrule import tables  # noqa: E402
from chainrule.tables import kinds  # noqa: E402
from chainrule.tables.casting import cast  # noqa: E402
from chainrule.tables.preparation import preparation  # noqa: E402
from chainrule.tables.streaming import ChangedFileError, Printer, State, needs_streaming, open_source, train_stream  # noqa: E402
from chainrule.tables.streaming import source as source_module  # noqa: E402
from chainrule.tables.streaming.csv_source import BadLineError  # noqa: E402
from chainrule.tables.streaming.digest import Digest  # noqa: E402
from chainrule.tables.streaming.preparing import Preparation  # noqa: E402
from chainrule.tables.streaming.progress import Meter  # noqa: E402
from chainrule.tables.streaming.sampling import BottomK, row_hashes  # noqa: E402
from chainrule.tables.streaming.shuffling import ShuffleBuffer  # noqa: E402
from chainrule.tables.streaming.sides import ByGroup, ByRow  # noqa: E402
from chainrule.tables.streaming.source import Block  # noqa: E402
from chainrule.tables.streaming.statistics import ColumnStatistics  # noqa: E402
from chainrule.tables.streaming.survey import survey  # noqa: E402

ROWS = 3000


def table(rows=ROWS, seed=0):
    """Numbers with holes, infinities and a constant, categories of which one comes late and one is rare, dates, and more."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    words = rng.choice(["red", "green", "blue"], rows).astype(object)
    words[-40:] = "late"
    words[rng.integers(0, rows, 9)] = None
    high = x[:, 2].copy() * 1000
    high[5] = np.inf
    score = x[:, 0] * x[:, 1] + (words == "red")
    frame = pl.DataFrame(
        {
            "row": np.arange(rows),
            "a": x[:, 0],
            "b": x[:, 1].astype(np.float32),
            "high": high,
            "word": pl.Series(words.tolist(), dtype=pl.String),
            "many": [f"shop {i}" for i in rng.integers(0, 60, rows)],
            "yes": rng.choice([True, False], rows),
            "same": ["x"] * rows,
            "whole": rng.integers(0, 100, rows),
            "y": np.where(score > 0.2, "yes", "no"),
        }
    )
    holes = pl.int_range(rows) % 13 == 4
    return frame.with_columns(pl.when(holes).then(None).otherwise(pl.col("a")).alias("a"), target=pl.Series(score))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So small that a short table has many."""
    monkeypatch.setattr(source_module, "LARGEST_BLOCK", 256)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    table().write_parquet(folder / "t.parquet", row_group_size=500)
    return folder


def theta(trained):
    network = trained.pipeline[-1]
    return getattr(network, "regressor_", network).network_.theta


def run(path, target="y", **options):
    drop = [name for name in ("target", "y") if name != target]
    return train_stream(path, target, drop=drop, **{"epochs": 2, **options})


# ---------------------------------------------------------------- the same bits


def test_chunks_and_row_groups_change_not_one_bit(folder, tmp_path):
    expected = theta(run(folder / "t.parquet"))
    for chunk in (37, 256, 100_000):
        assert np.array_equal(theta(run(folder / "t.parquet", chunk=chunk)), expected), f"chunk={chunk}"
    for group in (100, 1024, ROWS):  # the last is one row group
        table().write_parquet(tmp_path / f"{group}.parquet", row_group_size=group)
        assert np.array_equal(theta(run(tmp_path / f"{group}.parquet")), expected), f"row groups of {group}"


def test_a_seed_gives_one_result_and_another_seed_another(folder):
    one, other = (theta(run(folder / "t.parquet", seed=seed)) for seed in (1, 2))
    assert np.array_equal(theta(run(folder / "t.parquet", seed=1)), one)
    assert not np.array_equal(one, other)


def test_csv_plain_and_packed_in_any_chunks(tmp_path):
    frame = table().select("a", "high", "word", "whole", "y").with_columns(pl.col("high").replace(np.inf, 1e6))
    frame.write_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    expected = theta(train_stream(tmp_path / "t.csv", "y", epochs=1))
    for name, chunk in (("t.csv", 100), ("t.csv", 997), ("t.csv.gz", 500)):
        assert np.array_equal(theta(train_stream(tmp_path / name, "y", epochs=1, chunk=chunk)), expected), (name, chunk)


def test_parquet_and_csv_of_the_same_rows(tmp_path):
    frame = table().select("a", "b", "word", "many", "whole", "y").with_columns(pl.col("b").cast(pl.Float64))
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=700)
    frame.write_csv(tmp_path / "t.csv")
    by_rows, by_order = (train_stream(tmp_path / name, "y", epochs=1, seed=1) for name in ("t.parquet", "t.csv"))
    assert by_rows.held_out.frame.equals(by_order.held_out.frame)
    rows = cast(frame, by_rows.schema.columns)
    assert np.array_equal(by_rows.pipeline[0].transform(rows), by_order.pipeline[0].transform(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module.ParquetSource, "any_order", False)  # as CSV is read
        expected = theta(train_stream(tmp_path / "t.parquet", "y", epochs=1, seed=1))
    assert np.array_equal(theta(by_order), expected)
    assert not np.array_equal(theta(by_rows), expected), "the order of the segments changes nothing: what is tested?"


# ---------------------------------------------------------------- what is held out


def test_groups_are_never_on_both_sides(folder):
    sizes = []
    for chunk in (37, 1000):
        trained = run(folder / "t.parquet", group="many", chunk=chunk)
        held_out = set(trained.held_out.frame["many"])
        trained_on = trained.pipeline[0].named_transformers_["many"][0].categories_[0]
        assert held_out
        assert not held_out & set(trained_on)
        sizes.append((len(held_out), trained.split.train, theta(trained).tobytes()))
    assert sizes[0] == sizes[1]
    rows = table().filter(~pl.col("many").is_in(list(held_out)))
    assert trained.split.train + trained.split.validation == rows.height, "a row of a held-out group was trained on"
    assert trained.split.how == "whole groups of 'many' by a hash of their value"
    with pytest.raises(ValueError, match="no group of 'same' fell to the part to"):
        run(folder / "t.parquet", group="same")
    with pytest.raises(ValueError, match="--group: there is no column 'shop'"):
        run(folder / "t.parquet", group="shop")


def test_all_rows_of_held_out_groups_are_left_out_of_training(folder):
    """Also those of the groups whose rows are more than the sample holds."""
    sides = ByGroup("many", 40, 0, 0.2, 0.1)
    frame = table()
    for start in range(0, ROWS, 256):
        sides.offer(Block(start, frame[start : start + 256]), np.ones(len(frame[start : start + 256]), bool))
    parts = sides.settle(ROWS)
    assert (len(parts.sample), len(parts.validation), len(parts.test)) == (40, 10, 10)
    trained = sides.trains_on(Block(0, frame))
    assert trained.sum() == parts.train
    assert not set(frame["many"].to_numpy()[trained]) & {*parts.test["many"], *parts.validation["many"]}


@pytest.mark.parametrize("kind", ["number", "date", "text"])
def test_the_last_rows_by_a_column(kind, tmp_path):
    rng = np.random.default_rng(0)
    when = pl.Series("when", rng.permutation(ROWS) + 0.5)
    if kind != "number":
        when = pl.Series("when", np.datetime64("2001-01-01") + rng.permutation(ROWS))
    frame = table().select("a", "b", "word", "y").with_columns(when)
    written = frame if kind != "text" else frame.with_columns(pl.col("when").dt.strftime("%d.%m.%Y"))
    written.write_parquet(tmp_path / "t.parquet", row_group_size=700)
    trained = train_stream(tmp_path / "t.parquet", "y", epochs=1, time_column="when")
    last = trained.held_out.frame["when"]
    last = last.str.to_date("%d.%m.%Y") if kind == "text" else last
    assert sorted(last) == sorted(when)[-600:]
    assert (trained.split.train, trained.split.validation, trained.split.test) == (2100, 300, 600)
    assert trained.split.how.endswith(f"{written['when'][int((when == sorted(when)[-600]).arg_max())]} and later")
    again = train_stream(tmp_path / "t.parquet", "y", epochs=1, time_column="when", chunk=100)
    assert np.array_equal(theta(again), theta(trained))


def test_time_beyond_the_sample_is_found_to_its_rank_error(folder, monkeypatch):
    monkeypatch.setattr("chainrule.tables.streaming.survey.SMALLEST_SAMPLE", 400)
    monkeypatch.setattr("chainrule.tables.streaming.survey.LARGEST_SAMPLE", 400)
    trained = run(folder / "t.parquet", time_column="row", epochs=1)
    assert trained.split.train == pytest.approx(0.7 * ROWS, rel=0.1)
    assert trained.split.train + trained.held_out.frame["row"].min() != ROWS  # counted, not taken from the sample
    fitted = trained.pipeline[0].named_transformers_["category"].categories_[0]
    assert "late" not in fitted, "the preparation has seen rows of the test"


def test_a_time_that_cannot_be_ordered(tmp_path):
    frame = table().select("a", "b", "word", "y")
    for values, message in (
        (pl.Series(["soon"] * ROWS), "is text that is no date"),
        (pl.Series(["01/02/2020", "02/01/2021"] * (ROWS // 2)), "could be read in two ways: say how with --date when"),
        (pl.Series([1.0] * ROWS), "too few different values"),
        (pl.Series([None, *range(ROWS - 1)]), "1 rows without a value"),
        (pl.Series([[1]] * ROWS), "neither a number nor a date"),
    ):
        frame.with_columns(values.alias("when")).write_parquet(tmp_path / "t.parquet")
        with pytest.raises(ValueError, match=message):
            train_stream(tmp_path / "t.parquet", "y", epochs=1, time_column="when")
    with pytest.raises(ValueError, match="leave one of them out"):
        train_stream(tmp_path / "t.parquet", "y", group="word", time_column="when")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_of_its_own_for_the_test(folder, tmp_path, ending):
    other = table(700, seed=9)
    path = tmp_path / f"test.{ending}"
    getattr(other.drop("row"), f"write_{ending}")(path)
    trained = train_stream(folder / "t.parquet", "y", epochs=2, drop=["target", "row"], test=path)
    assert trained.split.how == f"those of {path}"
    assert trained.split.test == len(trained.held_out.frame) == 700
    assert trained.split.train + trained.split.validation == ROWS
    expected = trained.pipeline.predict(cast(other, trained.schema.columns))
    found = dict(zip(trained.held_out.frame["a"], trained.held_out.predictions, strict=True))
    assert all(found[a] == y for a, y in zip(other["a"], expected, strict=True) if a is not None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("a"), "has no column 'a'"),
        (lambda f: f.drop("y"), "has no column 'y'"),
        (lambda f: f.with_columns(y=pl.lit("maybe")), "has the class 'maybe'"),
        (lambda f: f.with_columns(a=pl.lit("big")), "'a' is a number, but row"),
        (lambda f: f.with_columns(y=pl.lit(None, pl.String)), "no row with a target"),
    ],
)
def test_a_test_file_that_does_not_fit(folder, tmp_path, change, message):
    change(table(100, seed=9)).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=f"--test: .*{message}"):
        run(folder / "t.parquet", test=str(tmp_path / "test.parquet"))


def test_the_digest_and_the_command_of_the_run(folder):
    trained = run(folder / "t.parquet", group="many", seed=3)
    assert trained.sha256 == hashlib.sha256((folder / "t.parquet").read_bytes()).hexdigest()
    path = str(folder / "t.parquet")
    assert trained.command == f"train_stream({path!r}, 'y', drop=['target'], group='many', epochs=2, seed=3)"
    again = eval(trained.command, {"train_stream": train_stream})
    assert np.array_equal(theta(again), theta(trained))


# ---------------------------------------------------------------- statistics and preparation


def test_statistics_are_those_of_the_whole_column():
    """Counts and extremes exactly, moments to rounding, distinct values to the sketch's 3 % (here 10 %)."""
    frame = table()
    for name in ("a", "b", "high", "word", "yes", "whole", "row"):
        values, found = frame[name], ColumnStatistics(name)
        for start in range(0, ROWS, 256):
            found.add(values[start : start + 256])
        column = kinds.infer(values)
        assert found.missing == column.missing == values.null_count()
        assert abs(found.distinct - column.distinct) <= (0 if found.counts is not None else 0.1 * column.distinct), name
        if values.dtype.is_numeric():
            finite = values.drop_nulls().to_numpy().astype(np.float64)
            finite = finite[np.isfinite(finite)]
            assert (found.low, found.high) == (finite.min(), finite.max())
            assert np.isclose(found.mean, finite.mean(), rtol=1e-12, atol=1e-12)
            assert np.isclose(found.variance, finite.var(), rtol=1e-12)
    assert ColumnStatistics("empty").variance == 0


def test_a_table_that_fits_into_the_sample_is_prepared_as_in_memory(folder):
    trained = run(folder / "t.parquet")
    used = {column.name: column for column in trained.schema.columns}
    assert used["row"].dropped == "its numbers rise by one: an identifier"
    assert used["same"].kind == "constant"
    assert used["word"].categories == ("blue", "green", "late", "red")
    assert used["a"].missing == table()["a"].null_count()
    source = open_source(folder / "t.parquet")
    names = [name for name in source.columns if name not in ("y", "target")]
    with Digest(source.path) as digest:
        found = survey(source, ["y"], names, lambda size: ByRow(size, 0, 0.2, 0.1), Meter(None, "", 1, 1), digest)
    assert len(found.sample) + len(found.validation) + len(found.test) == ROWS
    expected = preparation(trained.schema.columns, len(found.sample), 0)
    expected.fit(cast(found.sample, trained.schema.columns), found.sample["y"].to_numpy().astype(str))
    rows = cast(found.test, trained.schema.columns)
    assert np.allclose(trained.pipeline[0].transform(rows), expected.transform(rows), rtol=1e-12)


def test_the_fast_preparation_is_the_transformers(folder):
    trained = run(folder / "t.parquet")
    frame, columns = table(500, seed=1), trained.schema.columns
    frame = frame.with_columns(word=pl.Series(["never seen", *["red"] * 498, None]))
    fast = Preparation(columns, trained.pipeline[0], frame)
    assert fast.slow == ()
    assert np.allclose(fast(frame), trained.pipeline[0].transform(cast(frame, columns)), rtol=1e-6, atol=1e-6)


def test_dates_go_through_the_transformer(tmp_path):
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2022, 9, 26), eager=True)
    frame = pl.DataFrame({"day": days, "x": np.arange(len(days)) % 7.5}).with_columns(y=pl.col("day").dt.weekday() > 5)
    frame.write_parquet(tmp_path / "days.parquet")
    trained = train_stream(tmp_path / "days.parquet", "y", epochs=30)
    assert trained.scores["accuracy"] > 0.9
    assert any("slow to prepare: date" in note for note in trained.notes)


def test_as_good_as_scikit_learn_is_in_memory(folder):
    trained = run(folder / "t.parquet", epochs=40)
    assert trained.scores["accuracy"] > 0.93
    assert trained.scores["accuracy"] > trained.baselines["linear model"]["accuracy"] + 0.1
    assert "beats the linear model" in trained.verdict
    held_out = trained.held_out
    again = trained.pipeline.predict(cast(held_out.frame, trained.schema.columns))
    assert (again == held_out.predictions).all()
    assert held_out.probabilities.shape == (len(held_out.y), 2)


def test_regression_and_several_classes(folder, tmp_path):
    trained = run(folder / "t.parquet", "target", epochs=40)
    assert trained.schema.task == "regression"
    assert trained.scores["R²"] > 0.7
    frame = table().with_columns(y=(pl.col("a").fill_null(0) > 0).cast(pl.Int64) + (pl.col("b") > 0.5).cast(pl.Int64))
    frame.drop("target").write_parquet(tmp_path / "three.parquet")
    trained = train_stream(tmp_path / "three.parquet", "y", epochs=20, parameters={"class_weight": "balanced"})
    assert (trained.schema.task, trained.schema.classes) == ("multiclass", (0, 1, 2))
    assert trained.scores["accuracy"] > 0.85


def test_every_row_is_used_once_an_epoch():
    rng = np.random.default_rng(0)
    buffer = ShuffleBuffer(100, 32, 1, np.zeros(1, np.int64), rng)
    x, out = np.arange(1000, dtype=np.float32).reshape(-1, 1), []
    for start in range(0, 1000, 270):
        part = x[start : start + 270]
        out += [rows.copy() for rows, _ in buffer.push(part, part[:, 0].astype(np.int64))]
    out += [rows.copy() for rows, _ in buffer.drain()]
    assert [len(rows) for rows in out] == [32] * 31 + [8]
    order = np.concatenate(out).ravel()
    assert sorted(order) == list(range(1000))
    assert np.corrcoef(order, np.arange(1000))[0, 1] < 0.99, "not mixed"


def test_the_sample_is_uniform_and_the_same_in_any_pieces():
    frame = pl.DataFrame({"x": np.arange(5000)})
    whole, parts = BottomK(500, seed=3), BottomK(500, seed=3)
    whole.offer(Block(0, frame))
    for start in range(0, 5000, 77):
        parts.offer(Block(start, frame[start : start + 77]))
    assert whole.rows().equals(parts.rows())
    counts = np.histogram(whole.rows()["x"].to_numpy(), bins=10, range=(0, 5000))[0]
    assert counts.min() > 25, counts
    assert len(np.unique(row_hashes(0, 100_000, 3))) == 100_000


# ---------------------------------------------------------------- what can go wrong


def test_a_target_with_holes_and_infinities(folder, tmp_path):
    frame = table().with_columns(target=pl.when(pl.int_range(ROWS) < 7).then(float("nan")).otherwise(pl.col("target")))
    frame.write_parquet(tmp_path / "nan.parquet")
    trained = run(tmp_path / "nan.parquet", "target")
    assert "7 row(s) without a target are left out." in trained.notes
    frame.with_columns(
        target=pl.when(pl.int_range(ROWS) == 2500).then(float("inf")).otherwise(pl.col("target"))
    ).write_parquet(tmp_path / "inf.parquet")
    with pytest.raises(ValueError, match=r"'target' has 1 infinite values .or beyond 1e100.: remove them"):
        run(tmp_path / "inf.parquet", "target")
    frame.with_columns(target=pl.lit(None, pl.Float64)).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="no row with a target: all are missing"):
        run(tmp_path / "none.parquet", "target")
    frame.with_columns(y=pl.lit("no")).write_parquet(tmp_path / "one.parquet")
    with pytest.raises(ValueError, match="'y' has one value only, 'no'"):
        run(tmp_path / "one.parquet")


def test_a_file_that_changes_between_the_passes_is_refused(folder, tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes((folder / "t.parquet").read_bytes())

    def touch(state):
        if state.what == "statistics" and state.done == state.rows:
            os.utime(path, (1, 1))

    with pytest.raises(ChangedFileError, match="was changed while it was being read"):
        run(path, show=touch)


def test_files_that_are_cut_or_empty(folder, tmp_path):
    content = (folder / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot be read as Parquet: .*Is it whole"):
        run(tmp_path / "cut.parquet")
    damaged = bytearray(content)
    damaged[2000:60_000] = bytes(58_000)
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    with pytest.raises(ValueError, match="cannot be read as Parquet in the rows from"):
        run(tmp_path / "damaged.parquet")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="is empty"):
        run(tmp_path / "empty.csv")
    table().head(0).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="it has no rows"):
        run(tmp_path / "none.parquet")
    table().head(1).write_parquet(tmp_path / "one.parquet")
    with pytest.raises(ValueError, match=r"1 row\(s\) with a target: expected 10 or more"):
        run(tmp_path / "one.parquet")
    for other, what in ((content, "a Parquet file"), (gzip.compress(b"a,y\n1,2\n"), "packed by gzip")):
        (tmp_path / "other.csv").write_bytes(other)
        with pytest.raises(ValueError, match=f"cannot be streamed as CSV: it is {what}"):
            run(tmp_path / "other.csv")


def test_texts_are_read_as_they_are_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{w} ,${v:,.2f}, {i % 5}.5,{i % 2}" for i, (w, v) in
            enumerate(zip(rng.choice(["a", "b", "c"], 600), rng.normal(0, 9e3, 600) ** 2, strict=True))]  # fmt: skip
    rows = [row.replace("$", '"$').replace(", ", '", ', 1) for row in rows]
    (tmp_path / "t.csv").write_text("\n".join(["word,price,half,y", *rows]))
    frame = tables.read(tmp_path / "t.csv").frame
    read = pl.concat([block.frame for block in open_source(tmp_path / "t.csv").blocks()])
    assert read.equals(frame)
    assert [str(kind) for kind in frame.dtypes] == ["String", "Float64", "Float64", "Int64"]
    (tmp_path / "spaced.csv").write_text("a, y\n1,2\n")
    with pytest.raises(ValueError, match="the header has spaces around the name ' y'"):
        open_source(tmp_path / "spaced.csv")
    (tmp_path / "short.csv").write_text("a,y\n" + "".join(f"r{i},{i},{i % 2}\n" for i in range(9)))
    with pytest.raises(ValueError, match="the header is one name short"):
        open_source(tmp_path / "short.csv")


def test_numbers_of_forty_digits_are_streamed(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n170141183460469231731687303715884105728,1\n5,2\n")
    (block,) = open_source(tmp_path / "t.csv").blocks()
    assert block.frame["a"].to_list() == [2.0**127, 5.0]


def test_what_was_decided_is_told_before_training(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    frame = pl.DataFrame({"x": x, "day": [f"{1 + i % 9:02d}/{1 + i % 9:02d}/2020" for i in range(600)], "y": x > 0})
    frame.write_parquet(tmp_path / "t.parquet")
    told = []
    trained = train_stream(tmp_path / "t.parquet", "y", epochs=1, started=lambda *decided: told.append(decided))
    ((schema, split, notes),) = told
    assert (schema, split) == (trained.schema, trained.split)
    assert any(note.startswith("in the sample, 'day' is read as %d/%m/%Y, but every value fits") for note in notes)
    assert notes[-1] == trained.warnings[0]
    assert notes[-1].startswith("the column 'x' tells the target 'y' by itself")


def test_unbalanced_classes_are_spoken_of_with_the_counts_of_all_rows(tmp_path):
    x = np.random.default_rng(0).normal(size=3000)
    pl.DataFrame({"x": x, "y": np.where(np.arange(3000) % 30, "no", "yes")}).write_parquet(tmp_path / "t.parquet")
    (warning,) = train_stream(tmp_path / "t.parquet", "y", epochs=1).warnings
    assert warning.startswith("the classes are unbalanced: 2,900 rows are no, 100 are yes.")
    assert "--class-weight balanced" in warning


def test_a_class_that_only_held_out_rows_have_is_refused(tmp_path):
    y = [*["no", "yes"] * 300, "late"]
    pl.DataFrame({"x": np.arange(601) % 7 / 2, "t": np.arange(601) * 1.0, "y": y}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="the class 'late' has rows to test but none to train on"):
        train_stream(tmp_path / "t.parquet", "y", time_column="t", epochs=1)


def test_rows_that_are_kept_are_copied_once_for_all_columns(tmp_path, monkeypatch):
    """Once for each of 300 columns, it took minutes where there are thousands."""
    columns = {f"c{i}": np.random.default_rng(i).normal(size=100) for i in range(300)}
    pl.DataFrame({**columns, "y": ["no", "yes"] * 50}).write_parquet(tmp_path / "t.parquet")
    copied, rows = [], pl.DataFrame.__getitem__
    monkeypatch.setattr(pl.DataFrame, "__getitem__", lambda frame, key: copied.append(key) or rows(frame, key))
    train_stream(tmp_path / "t.parquet", "y", epochs=1, parameters={"hidden_layer_sizes": (4,)})
    assert sum(isinstance(key, list) and all(isinstance(row, int) for row in key) for key in copied) < 300


def test_several_labels_beside_a_column_of_many_values(folder):
    trained = train_stream(folder / "t.parquet", "y,yes", drop=["target"], epochs=1)
    assert [column.kind for column in trained.schema.columns if column.name == "many"] == ["many"]


def test_a_bad_line_names_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.tables.streaming.csv_source.HEAD", 5000)
    lines = ["a,b,y", *(f"{i},{i % 7},{'yes' if i % 3 else 'no'}" for i in range(3000))]
    lines[2501] = "1,2,3,yes"
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    with pytest.raises(BadLineError, match="line 2502: expected 3 fields as in the first line, got 4"):
        train_stream(tmp_path / "wide.csv", "y", epochs=1)


def test_a_column_whose_type_changes_late_is_read_as_the_wider_one(tmp_path, monkeypatch):
    monkeypatch.setattr("chainrule.tables.streaming.csv_source.HEAD", 5000)
    lines = ["a,b,y", *(f"{i % 50},{i % 7},{'yes' if i % 7 > 2 else 'no'}" for i in range(3000))]
    lines[2900] = "1,2.5,yes"
    (tmp_path / "late.csv").write_text("\n".join(lines))
    trained = train_stream(tmp_path / "late.csv", "y", epochs=1)
    assert any(
        "line 2901: the column 'b' has '2.5', not a whole number: the column is read as numbers" in n
        for n in trained.notes
    )
    assert next(c for c in trained.schema.columns if c.name == "b").read_as == "number"


def test_names_that_are_not_there(folder):
    with pytest.raises(ValueError, match="'targt' is not in the table"):
        train_stream(folder / "t.parquet", "targt")
    with pytest.raises(ValueError, match="--drop: there is no column 'nothing'"):
        train_stream(folder / "t.parquet", "y", drop=["nothing"])
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_source(folder / "no.parquet")
    with pytest.raises(ValueError, match="lbfgs"):
        run(folder / "t.parquet", parameters={"solver": "lbfgs"})


# ---------------------------------------------------------------- progress, the end, and what decides


def test_progress_knows_the_end(folder, capsys):
    seen = []
    run(folder / "t.parquet", epochs=3, show=seen.append)
    training = [state for state in seen if state.what == "training"]
    assert seen[0].what == "statistics"
    assert (training[-1].done, training[-1].rows) == (3 * ROWS, 3 * ROWS)
    assert all(later.done >= before.done for before, later in itertools.pairwise(training))
    show = Printer()
    show(State("training", 5, 10, 1_000_000, 11.0, "loss 0.5"))
    show(State("training", 6, 10, 1_000_000, 12.0))  # too soon for another line
    show(State("training", 10, 10, 1_000_000, 20.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "training   50 %  5 of 10 rows  0 MB/s  0:11 left  loss 0.5",
        "training   100 %  10 of 10 rows  0 MB/s  in 0:20",
    ]


def test_ctrl_c_keeps_what_was_learned(folder):
    pressed = []

    def press(state):
        if state.what == "training" and state.done > ROWS and not pressed:
            pressed.append(state)
            signal.raise_signal(signal.SIGINT)

    trained = run(folder / "t.parquet", epochs=50, show=press)
    assert trained.history.stopped.startswith("interrupted after")
    assert np.isfinite(theta(trained)).all()
    assert trained.scores


def test_early_stopping_goes_back_to_the_best_round(folder):
    trained = run(folder / "t.parquet", epochs=200, patience=2, parameters={"learning_rate_init": 0.02})
    history = trained.history
    assert "has not improved for 2 rounds" in history.stopped
    assert int(np.argmin(history["val_loss"])) == len(history) - 3
    assert history["epoch"] == [float(i + 1) for i in range(len(history))]


def test_what_is_streamed(folder):
    size = (folder / "t.parquet").stat().st_size
    assert needs_streaming(folder / "t.parquet", 100 * size) == ""
    assert "it is streamed" in needs_streaming(folder / "t.parquet", 2 * size)
    assert needs_streaming("digits", 1) == ""


def test_a_streamed_model_is_saved_as_any_other(folder, tmp_path):
    trained = run(folder / "t.parquet")
    cr.save(trained.pipeline[-1], tmp_path / "model.safetensors")
    loaded = chainrule.MLPClassifier.load(tmp_path / "model.safetensors")
    x = trained.pipeline[0].transform(cast(trained.held_out.frame, trained.schema.columns))
    assert (loaded.predict(x) == trained.held_out.predictions).all()
    assert loaded.history_.to_dict() == trained.history.to_dict()
