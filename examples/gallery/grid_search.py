"""Grid search over a pipeline: scaling, the network and the search as one scikit-learn estimator.

The task is to predict disease progression after one year from ten measurements: few rows and much noise, so that a
network overfits easily. chainrule's own parameters are searched like scikit-learn's. The scalers of X and y are fitted
in every fold on its training rows only, so that no information leaks. The test set is used once, at the end.

    python examples/gallery/grid_search.py
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import MLPRegressor

ACTIVATIONS, DROPOUTS = ["relu", "tanh", "GELU"], [0.0, 0.3, 0.6, 0.8]


def draw(table):
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="Blues")
    middle = (table.min() + table.max()) / 2
    for (i, j), value in np.ndenumerate(table):
        axes.text(j, i, f"{value:.3f}", ha="center", va="center", color="white" if value > middle else "black")
    axes.set_xticks(range(len(DROPOUTS)), DROPOUTS)
    axes.set_yticks(range(len(ACTIVATIONS)), ACTIVATIONS)
    axes.set(xlabel="dropout", ylabel="activation")
    axes.set_title("R², mean of five folds", loc="left")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, shrink=0.8).outline.set_visible(False)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the picture")
    pictures = parser.parse_args().pictures

    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
    print(f"{len(y)} rows for cross-validation in five folds; {len(y_test)} for testing")

    network = MLPRegressor(
        hidden_layer_sizes=(50,), batch_size=30, learning_rate_init=0.01, tol=1e-3, n_iter_no_change=5, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), network)
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    step = "regressor__mlpregressor__"
    search = GridSearchCV(model, {f"{step}activation": ACTIVATIONS, f"{step}dropout": DROPOUTS}, cv=5).fit(X, y)

    table = search.cv_results_["mean_test_score"].reshape(len(ACTIVATIONS), len(DROPOUTS))
    print("\nactivation" + "".join(f"{f'dropout={rate:g}':>14}" for rate in DROPOUTS))
    for activation, row in zip(ACTIVATIONS, table, strict=True):
        print(f"{activation:10}" + "".join(f"{value:14.3f}" for value in row))
    chosen = {name.removeprefix(step): value for name, value in search.best_params_.items()}
    print(f"\nchosen: {chosen['activation']} with dropout={chosen['dropout']:g}, R² {search.best_score_:.3f}")
    print(f"test R² {search.score(X_test, y_test):.3f}")

    pictures.mkdir(parents=True, exist_ok=True)
    draw(table).savefig(pictures / "grid_search.png", dpi=150)
    print(f"\n{pictures / 'grid_search.png'}: the table as a heat map")


if __name__ == "__main__":
    main()
