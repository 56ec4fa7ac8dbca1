"""A training for test_resume.py to kill: ``python training_to_kill.py KIND CHECKPOINTS RESULT``.

It says "training" when training begins and "epoch" after every epoch, just before the checkpoint is written; it writes
parameters and history when it has ended.
"""

import sys
import warnings

import numpy as np

import chainrule as cr
from chainrule.layers import Dense, Dropout, ReLU, Tanh
from chainrule.training.callbacks import Callback

EPOCHS = 60


class Say(Callback):
    def on_start(self, run):
        print("training", flush=True)

    def on_epoch(self, run):
        print("epoch", flush=True)


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 10)).astype("float32")
    return X, (X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=400) > 0).astype(int)


def by_train(folder, **settings):
    X, t = data()
    layers = [Dense(32), ReLU(), Dropout(0.3), Dense(16), Tanh(), Dense(2)]
    network = cr.Network(10, layers, "softmax_cross_entropy", seed=1)
    stop = cr.EarlyStopping("val_loss", patience=25)
    history = cr.train(
        network, X, t, epochs=EPOCHS, batch_size=20, validation=0.2, seed=2, resume=folder,
        callbacks=[cr.Checkpoint(folder, keep=2), stop, Say()], **settings,
    )  # fmt: skip
    return network.theta, history


def by_estimator(kind, folder, **settings):
    X, t = data()
    model = kind(
        hidden_layer_sizes=(24,), max_iter=EPOCHS, random_state=3, batch_size=20, n_iter_no_change=20,
        callbacks=[cr.Checkpoint(folder, keep=2), Say()], resume=folder, **settings,
    )  # fmt: skip
    model.fit(X, t)
    return model.network_.theta, model.history_


KINDS = {
    "adam": lambda folder: by_train(folder, optimizer="adam", schedule="cosine"),
    "momentum": lambda folder: by_train(
        folder, optimizer=cr.optimizers.Momentum(0.05), schedule="one_cycle", penalties=[cr.penalties.L2(1e-3)]
    ),
    "classifier": lambda folder: by_estimator(cr.MLPClassifier, folder, dropout=0.2, early_stopping=True),
    "regressor": lambda folder: by_estimator(cr.MLPRegressor, folder, solver="sgd", learning_rate="adaptive"),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    kind, folder, result = sys.argv[1:]
    theta, history = KINDS[kind](folder)
    columns = history.to_dict()
    del columns["seconds"]
    np.savez(result, theta=theta, stopped=history.stopped, **columns)
