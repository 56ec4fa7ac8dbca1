"""Build, train, check, save, load and predict where only NumPy, safetensors and threadpoolctl are installed; predict as
estimators did that were fitted elsewhere.

Run as a program: in .ci/run in an environment that has nothing else, and by tests/test_package.py with everything else
hidden.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.layers import GELU, Dense, Dropout

ALLOWED = {"numpy", "safetensors", "threadpoolctl", "chainrule"}
FILES = Path(__file__).parent / "files"
BUILT_IN = {"cython_runtime"}  # NumPy's own compiled modules register it


def serve():
    """Load every file of tests/files; return how many predict what they did where they were written."""
    count = 0
    for path in sorted(FILES.glob("*/*.safetensors")):
        expected = np.load(path.parent / "expected.npz", allow_pickle=False)
        model = cr.load(path)
        tolerance = 1e-5 if getattr(model, "network", model).dtype == "float32" else 1e-12
        for method in ("predict", "predict_proba"):
            if f"{path.stem}.{method}" in expected:
                got, wanted = getattr(model, method)(expected["X"]), expected[f"{path.stem}.{method}"]
                if got.dtype.kind == "f":
                    np.testing.assert_allclose(got, wanted, tolerance, tolerance, err_msg=f"{path}: {method}")
                else:
                    np.testing.assert_array_equal(got, wanted, f"{path}: {method}")
        count += 1
    assert count > 10, count
    return count


def serve_tables():
    """Predict rows of tables that were trained elsewhere, as a person types them; return the number of tables."""
    paths = sorted(FILES.glob("tables/*/*.safetensors"))
    for path in paths:
        expected, model = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), cr.load(path)
        rows = expected.pop("rows")
        for method, wanted in expected.items():
            got = getattr(model, method)(rows)
            if isinstance(wanted[0], str):
                assert got.tolist() == wanted, path
            else:
                np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5, err_msg=f"{path}: {method}")
    assert len(paths) >= 2, paths
    return len(paths)


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    t = (X[:, 0] * X[:, 1] > 0).astype(int)
    network = cr.Network(4, [Dropout(0.05), Dense(32), GELU(), Dense(2)], "softmax_cross_entropy", seed=0)
    assert cr.check_gradient(network, X[:10], t[:10])
    cr.train(
        network,
        X,
        t,
        optimizer="adam",
        schedule=cr.schedules.WarmUp(2, then=cr.schedules.Cosine()),
        epochs=60,
        validation=0.2,
        penalties=[cr.penalties.L2(1e-4)],
        callbacks=[cr.EarlyStopping(patience=30), cr.Progress(every=20)],
        seed=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        cr.save(network, path)
        loaded = cr.load(path)
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))
    accuracy = cr.evaluate(loaded, X, t)["accuracy"]
    assert accuracy > 0.8, accuracy
    spirals = cr.datasets.load_spirals(rows=60)
    assert spirals.X.shape == (60, 2)
    served = serve() + serve_tables()
    foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - ALLOWED - BUILT_IN
    foreign = {name for name in foreign if not name.startswith(("_", "sitecustomize", "usercustomize"))}
    assert not foreign, f"chainrule loaded {sorted(foreign)}"
    print(f"accuracy {accuracy:.3f}, {served} files served with {', '.join(sorted(ALLOWED))} alone")


if __name__ == "__main__":
    main()
