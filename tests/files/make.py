"""Write one model file of each kind, with inputs and predictions beside it: tests/files/VERSION/.

Run once for each version, and never again: what a version wrote must stay readable. The folder format-1 has two files
as they were written before the first release: no seed, networks only. The folder several-networks has two estimators
that were fitted with ``n_ensemble=3``, a parameter that they no longer have; the folder tables/1 two tables, as
model.safetensors of a run first held them.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import initializers, layers, losses
from chainrule._internal.names import public_classes
from chainrule.layers import Dense, Dropout, Layer, Tanh

FOLDER = Path(__file__).parent / cr.__version__


def every_layer():
    """Return one of each layer that rows of numbers go through."""
    special = {
        "Dense": Dense(6, weights=initializers.Uniform(-0.3, 0.3), biases=initializers.Constant(0.1), inputs=4),
        "Dropout": Dropout(0.4),
        "ELU": layers.ELU(0.5),
        "GELU": layers.GELU("tanh"),
        "LeakyReLU": layers.LeakyReLU(0.2),
    }
    stack = [special.get(name) or cls() for name, cls in sorted(public_classes(layers, Layer).items())]
    return sorted(stack, key=lambda layer: not isinstance(layer, Dense))


def networks(rng):
    """Return all layers in both dtypes, and small networks with the other losses."""
    chosen = {"float32": losses.SoftmaxCrossEntropy(0.1), "float64": losses.Huber(0.7)}
    for dtype, loss in chosen.items():
        network = cr.Network(4, [*every_layer(), Dense(3, biases=None)], loss, seed=1, dtype=dtype)
        network.theta[:] = rng.normal(size=network.theta.size)
        yield f"network-{dtype}", network
    for name in ("SquaredError", "AbsoluteError", "Quantile", "Poisson", "SigmoidCrossEntropy"):
        yield f"network-{name}", cr.Network(4, [Dense(5), Tanh(), Dense(2)], getattr(losses, name)(), seed=2**100)


def estimators(X):
    """Return fitted estimators, each with its targets."""
    words = np.array(["ant", "bee", "cat"])[X[:, :3].argmax(axis=1)]
    options = {"hidden_layer_sizes": (5, 4), "max_iter": 300, "learning_rate_init": 0.02, "random_state": 0}
    mixed = {"dropout": (0.1, 0.0), "activation": ["tanh", "relu"], "solver": cr.optimizers.RMSProp(0.01)}
    early = {"early_stopping": True, "callbacks": [cr.EarlyStopping(patience=250)]}
    smooth = {"learning_rate": cr.schedules.WarmUp(2, then=cr.schedules.Cosine())}
    yield "classifier-words", cr.MLPClassifier(**options, **mixed).fit(X, words)
    yield (
        "classifier-two",
        cr.MLPClassifier(**options, dtype="float32", class_weight={3: 1.0, 7: 2.0}).fit(X, np.where(X[:, 0] > 0, 7, 3)),
    )
    yield "classifier-multilabel", cr.MLPClassifier(**options, **early).fit(X, (X[:, :3] > 0).astype(int))
    yield "regressor", cr.MLPRegressor(cr.losses.Huber(0.3), **options, **smooth).fit(X, X[:, 0] * X[:, 1])
    yield "regressor-lbfgs", cr.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=1000).fit(X, X[:, :2])


def main():
    """Write the files of this version."""
    FOLDER.mkdir()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4)).astype("float32").astype("float64")
    expected = {"X": X}
    for name, model in [*networks(rng), *estimators(X)]:
        cr.save(model, FOLDER / f"{name}.safetensors", {"made by": f"chainrule {cr.__version__}"})
        expected[f"{name}.predict"] = model.predict(X)
        if hasattr(model, "predict_proba"):
            expected[f"{name}.predict_proba"] = model.predict_proba(X)
    np.savez(FOLDER / "expected.npz", **expected)
    sys.path.insert(0, str(FOLDER.parents[1]))
    from test_checkpoints import Killed, fit, of_every_version  # noqa: PLC0415

    with contextlib.suppress(Killed):
        fit(FOLDER / "checkpoints", killed=3, keep=1, **of_every_version())


if __name__ == "__main__":
    main()
