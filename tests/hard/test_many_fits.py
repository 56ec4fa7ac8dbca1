"""Many trainings in one process: memory does not grow. 10,000 of them with CHAINRULE_HARD=1, else a few hundred."""

import os
import subprocess
import sys

import pytest

FITS = 10_000 if os.environ.get("CHAINRULE_HARD") else 600
ALLOWED = 20  # MiB more at the end than after the first hundred

CODE = """
import sys, warnings
import numpy as np
import chainrule as cr

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 6)).astype("float32")
t = (X[:, 0] > 0).astype(int)


def by_train(i):
    layers = [cr.layers.Dense(4 + i % 9), cr.layers.ReLU(), cr.layers.Dropout(0.1), cr.layers.Dense(2)]
    network = cr.Network(6, layers, "softmax_cross_entropy", seed=i)
    cr.train(network, X, t, epochs=2, batch_size=10, validation=0.2, seed=i, callbacks=[cr.EarlyStopping()])
    network.predict(X)


def by_estimator(i):
    model = (cr.MLPClassifier, cr.MLPRegressor)[i % 2](hidden_layer_sizes=(5 + i % 7,), max_iter=2, random_state=i)
    model.fit(X, t).predict(X)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


fit = {"train": by_train, "estimators": by_estimator}[sys.argv[1]]
for i in range(int(sys.argv[2])):
    fit(i)
    if i == 99:
        start = resident()
print(resident() - start)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the memory of a process from /proc")  # noqa: PTH110
@pytest.mark.parametrize("kernels", ["numba", "reference"])
@pytest.mark.parametrize("door", ["train", "estimators"])
def test_memory_does_not_grow(door, kernels):
    command = [sys.executable, "-c", CODE, door, str(FITS)]
    environment = os.environ | {"CHAINRULE_KERNELS": kernels}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=1200)
    grown = float(done.stdout)
    print(f"{door}, {kernels}: {grown:.1f} MiB after {FITS:,} fits")
    assert grown < ALLOWED
