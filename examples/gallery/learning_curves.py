"""Learning curves: the training and validation loss by epoch.

With X_val and y_val, fit evaluates the validation set after every epoch and records it in history_. If its loss rises
while the training loss falls, the network is overfitting. Early stopping on the same set stops there and keeps the best
epoch.

    python examples/gallery/learning_curves.py
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

from chainrule import MLPClassifier


def draw(history, stopped):
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    epochs, lowest = history["epoch"], int(np.argmin(history["val_loss"]))
    axes.plot(epochs, history["loss"], color="#0072B2", label="training loss")
    axes.plot(epochs, history["val_loss"], color="#D55E00", label="validation loss")
    axes.plot(epochs[lowest], history["val_loss"][lowest], "o", color="#D55E00", label=f"lowest, epoch {lowest + 1}")
    axes.axvline(stopped, color="#777777", linestyle=":", label=f"early stopping ends, epoch {stopped}")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    axes.set_title("Where overfitting starts", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the picture")
    pictures = parser.parse_args().pictures

    X, y = make_moons(1600, noise=0.35, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, train_size=200, random_state=0)
    X_val, X_test, y_val, y_test = train_test_split(X_test, y_test, train_size=400, random_state=0)
    print(f"{len(y)} rows for training, {len(y_val)} for validation, {len(y_test)} for testing")

    settings = {
        "hidden_layer_sizes": (100, 100),
        "batch_size": 50,
        "learning_rate_init": 0.005,
        "alpha": 0,
        "random_state": 0,
    }
    free = MLPClassifier(**settings, max_iter=1000, n_iter_no_change=30).fit(X, y, X_val=X_val, y_val=y_val)
    stopped = MLPClassifier(**settings, early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val)

    history = free.history_
    print(f"history_ has the columns {', '.join(history.columns)}")
    lowest = int(np.argmin(history["val_loss"]))
    print("\nepoch        training loss   validation loss   validation accuracy")
    for name, i in (("first", 0), ("lowest", lowest), ("last", -1)):
        row = f"{history['epoch'][i]:3.0f}  {name:7}{history['loss'][i]:13.3f}{history['val_loss'][i]:18.3f}"
        print(row + f"{history['val_score'][i]:22.3f}")

    best = int(np.argmax(stopped.validation_scores_)) + 1
    print(f"\nwith early stopping: {stopped.n_iter_} epochs instead of {free.n_iter_}, the best is epoch {best}")
    print(f"test accuracy {stopped.score(X_test, y_test):.3f} instead of {free.score(X_test, y_test):.3f}")

    pictures.mkdir(parents=True, exist_ok=True)
    draw(history, stopped.n_iter_).savefig(pictures / "learning_curves.png", dpi=150)
    print(f"\n{pictures / 'learning_curves.png'}: both losses by epoch")


if __name__ == "__main__":
    main()
