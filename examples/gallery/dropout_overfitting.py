"""Dropout against overfitting: a large network, few rows, and some wrong labels.

A fifth of the 400 training labels are wrong. A network of 2 x 200 units is large enough to memorize all labels,
including the wrong ones. With dropout, a different random subset of the units is disabled in every step, so the network
cannot rely on a few units to memorize a row.

    python examples/gallery/dropout_overfitting.py
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from chainrule import MLPClassifier

ROWS, EVERY, RATES = 400, 3, (0.0, 0.3, 0.6)


def draw(histories):
    figure = Figure(figsize=(8, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, title in zip(panels, ("train", "held out"), ("Training rows", "Held-out rows"), strict=True):
        for (rate, scores), color in zip(histories.items(), ("#D55E00", "#0072B2", "#009E73"), strict=True):
            epochs = range(EVERY, EVERY * len(scores[column]) + 1, EVERY)
            axes.plot(epochs, scores[column], color=color, label=f"dropout={rate:g}")
        axes.set_title(title, loc="left")
        axes.set(xlabel="epoch", ylim=(0.5, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy")
    share = panels[0].axhline(0.8, color="#777777", linestyle=":", zorder=0, label="fraction of correct labels")
    panels[0].legend(handles=[share], frameon=False, loc="lower right")
    panels[1].legend(frameon=False, loc="lower right")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the picture")
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()

    X, y = load_digits(return_X_y=True)
    random = np.random.default_rng(0)
    order = random.permutation(len(y))
    X, y = X[order] / 16, y[order]
    X_train, y_train, X_test, y_test = X[:ROWS], y[:ROWS].copy(), X[ROWS:], y[ROWS:]
    wrong = random.choice(ROWS, ROWS // 5, replace=False)
    y_train[wrong] = (y_train[wrong] + random.integers(1, 10, len(wrong))) % 10
    print(f"{ROWS} training images, {len(wrong)} of them with a wrong label; {len(y_test)} held out")

    print("\ndropout   train accuracy   held-out accuracy   wrong labels learned")
    histories = {}
    for rate in RATES:
        random_state = np.random.RandomState(0)  # not the integer 0, which would restart in every partial_fit
        model = MLPClassifier((200, 200), dropout=rate, batch_size=50, random_state=random_state)
        scores = histories[rate] = {"train": [], "held out": []}
        for epoch in range(1, arguments.epochs + 1):
            model.partial_fit(X_train, y_train, classes=range(10))
            if epoch % EVERY:
                continue
            scores["train"].append(model.score(X_train, y_train))
            scores["held out"].append(model.score(X_test, y_test))
        learned = np.mean(model.predict(X_train[wrong]) == y_train[wrong])
        print(f"{rate:7.2f}{scores['train'][-1]:17.3f}{scores['held out'][-1]:20.3f}{100 * learned:20.0f} %")

    arguments.pictures.mkdir(parents=True, exist_ok=True)
    picture = arguments.pictures / "dropout_overfitting.png"
    draw(histories).savefig(picture, dpi=150)
    print(f"\n{picture}: both accuracies, every third epoch")


if __name__ == "__main__":
    main()
