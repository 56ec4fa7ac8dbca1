"""Ray: the recipe of the page with Ray Tune, and joblib's back end, on a local cluster of two worker processes."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("ray"), reason="ray is not installed"),
    pytest.mark.filterwarnings("ignore"),  # of Ray's own code
]

PAGE = Path(__file__).parents[1] / "docs" / "tune-cluster.md"


@pytest.fixture(scope="module")
def ray():
    import ray  # noqa: PLC0415  (takes seconds)

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def test_ray_tune_of_the_page_stops_the_trials_that_fall_behind(ray, tmp_path):
    (code,) = [
        block for block in re.findall(r"```py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "from ray" in block
    ]
    names = {"FOLDER": str(tmp_path)}
    exec(compile(code, PAGE.name, "exec"), names)
    results = names["results"]
    assert results.num_errors == 0
    epochs = [result.metrics["training_iteration"] for result in results]
    assert len(epochs) == 6
    assert max(epochs) == 9
    assert results.get_best_result().metrics["training_iteration"] == 9
    assert names["best"]["rate"] > 1e-5


def test_grid_search_on_joblibs_ray_back_end_is_the_serial_grid_search(ray):
    import joblib  # noqa: PLC0415
    from ray.util.joblib import register_ray  # noqa: PLC0415
    from sklearn.datasets import load_digits  # noqa: PLC0415
    from sklearn.model_selection import GridSearchCV  # noqa: PLC0415

    from chainrule import MLPClassifier  # noqa: PLC0415

    register_ray()
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((16,), batch_size=32, max_iter=3, random_state=0)
    search = GridSearchCV(model, {"learning_rate_init": [1e-7, 1e-2]}, cv=2, refit=False)
    serial = search.fit(X / 16, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="ray", n_jobs=2):
        spread = search.fit(X / 16, y).cv_results_["mean_test_score"]
    assert spread == pytest.approx(serial, abs=1e-3)
    assert serial.max() > 0.8
