"""The engines of docs/predict-large.md call a model from its page: the predictions are those of the model itself."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import polars as pl
import pytest

import chainrule as cr

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "predict-large.md"
ENGINES = {"Dask": "dask.dataframe", "Ray Data": "ray.data", "Spark": "pyspark.sql", "DuckDB": "duckdb"}
LAST = 'found[["id", "p_yes"]].to_csv("found.csv", index=False)'


def rows(count, seed):
    rng = np.random.default_rng(seed)
    age, plan = rng.integers(18, 80, count).astype(float), np.array(["free", "pro"])[rng.integers(0, 2, count)]
    left = np.where(age + 20 * (plan == "pro") > 60, "yes", "no")
    table = pl.DataFrame({"id": np.arange(count), "age": age, "plan": plan, "left": left})
    missing = pl.when(pl.col("id") % 7 == 3).then(None)
    return table.with_columns(missing.otherwise("age").alias("age"), missing.otherwise("plan").alias("plan"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run, and with two files of new rows, some of them with missing values."""
    folder = tmp_path_factory.mktemp("engines")
    trained = cr.tables.train(rows(200, 0).drop("id"), "left", fast=True)
    cr.tables.save(trained, folder / "runs" / "customers")
    (folder / "new").mkdir()
    new = rows(400, 1).drop("left")
    new[:250].write_parquet(folder / "new" / "a.parquet")
    new[250:].write_parquet(folder / "new" / "b.parquet")
    return folder


def test_the_page_has_these_engines():
    assert re.findall(r"^### (.*)\n+```py", PAGE.read_text("utf-8"), re.MULTILINE) == [*ENGINES]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_predicts_as_the_model(engine, place):
    package = ENGINES[engine].partition(".")[0]
    if not find_spec(package):
        pytest.skip(f"{package} is not installed")
    if not (find_spec("pandas") and find_spec("pyarrow")):
        pytest.skip("pandas and pyarrow are not both installed")
    if engine == "Spark" and not which("java"):
        pytest.skip("Spark needs Java, which is not installed")
    code = re.search(rf"### {engine}\n+```py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    environment = os.environ | {"CHAINRULE_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    script = f"{code}\n{LAST}\n"
    (place / "found.csv").unlink(missing_ok=True)
    # a process of its own, because engines start others that stay, and warn in their own way
    ran = subprocess.run(
        [sys.executable, "-c", f"if __name__ == '__main__':\n    exec({script!r})"],
        cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = pl.read_csv(place / "found.csv").sort("id")
    new = pl.read_parquet(place / "new" / "*.parquet").sort("id")
    assert found["id"].to_list() == new["id"].to_list()
    expected = cr.load(place / "runs" / "customers").predict_proba(new)[:, 1]
    np.testing.assert_allclose(found["p_yes"].to_numpy(), expected, rtol=1e-5, atol=1e-6)
    assert expected.std() > 0.1
