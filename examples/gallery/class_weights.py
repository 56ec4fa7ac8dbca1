"""Class weights: find the rare class without giving up the others.

Three percent of the rows belong to class 1. A network that minimizes the mean loss over the rows fits the other 97
percent, and misses much of the rare class. With class_weight="balanced", every class has the same weight in the loss,
however many rows it has. The price is more false positives.

    python examples/gallery/class_weights.py
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from chainrule import MLPClassifier

WEIGHTS = {"none": None, "{1: 5}": {1: 5.0}, "balanced": "balanced"}
SCORES = {"recall": recall_score, "precision": precision_score, "balanced accuracy": balanced_accuracy_score}


def draw(found):
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, color) in enumerate(zip(SCORES, ("#0072B2", "#E69F00", "#009E73"), strict=True)):
        places = [j + 0.27 * (i - 1) for j in range(len(found))]
        bars = axes.bar(places, [scores[name] for scores in found.values()], 0.25, label=name, color=color)
        axes.bar_label(bars, fmt="%.2f", padding=2)
    axes.set_xticks(range(len(found)), list(found))
    axes.set(xlabel="class_weight", ylabel="score on held-out rows", ylim=(0, 1.08))
    axes.set_title("The rare class, 3 % of the rows", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the picture")
    pictures = parser.parse_args().pictures

    X, y = make_classification(
        6000, 10, n_informative=5, n_clusters_per_class=2, weights=[0.97], flip_y=0, class_sep=0.8, random_state=0
    )
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    scaler = StandardScaler().fit(X)
    print(
        f"{len(y)} rows to train on, {y.sum()} of them of the rare class; {y_test.sum()} of {len(y_test)} to test with"
    )

    print(f"\n{'class_weight':14}" + "".join(f"{name:>19}" for name in SCORES) + f"{'epochs':>9}")
    found = {}
    for name, weight in WEIGHTS.items():
        model = MLPClassifier(
            (16,), class_weight=weight, alpha=0.1, learning_rate_init=0.01, tol=1e-3, random_state=0
        ).fit(scaler.transform(X), y)
        predicted = model.predict(scaler.transform(X_test))
        found[name] = {title: score(y_test, predicted) for title, score in SCORES.items()}
        print(f"{name:14}" + "".join(f"{value:19.3f}" for value in found[name].values()) + f"{model.n_iter_:9}")

    pictures.mkdir(parents=True, exist_ok=True)
    draw(found).savefig(pictures / "class_weights.png", dpi=150)
    print(f"\n{pictures / 'class_weights.png'}: the three scores for each weight")


if __name__ == "__main__":
    main()
