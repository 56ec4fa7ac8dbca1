"""Quantile regression: a band that contains nine of ten points.

A network trained with loss="quantile" and quantile=q predicts the value that a fraction q of the targets lies below.
Networks for 0.05 and 0.95 form a band that should contain 90 % of new points. The noise here increases with x, and so
does the width of the band.

    python examples/gallery/quantile_band.py
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from chainrule import MLPRegressor

QUANTILES = (0.05, 0.5, 0.95)


def noise(x):
    return 0.1 + 0.5 * x


def draw_points(rows, seed):
    random = np.random.default_rng(seed)
    x = random.uniform(0, 1, (rows, 1))
    y = np.sin(6 * x[:, 0]) + noise(x[:, 0]) * random.normal(size=rows)
    return x, y


def draw(models, x_test, y_test):
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    line = np.linspace(0, 1, 300)[:, None]
    lower, middle, upper = (models[q].predict(line) for q in QUANTILES)
    axes.plot(x_test[:600], y_test[:600], ".", color="#777777", markersize=3, label="600 of the held-out points")
    axes.fill_between(line[:, 0], lower, upper, color="#56B4E9", alpha=0.4, linewidth=0, label="from 0.05 to 0.95")
    axes.plot(line, middle, color="#0072B2", label="median")
    axes.set(xlabel="x", ylabel="y", xlim=(0, 1))
    axes.set_title("A band for nine of ten points", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the picture")
    pictures = parser.parse_args().pictures

    x, y = draw_points(3000, seed=0)
    x_test, y_test = draw_points(3000, seed=1)
    settings = {"hidden_layer_sizes": (20, 20), "activation": "tanh", "learning_rate_init": 0.005, "random_state": 0}
    # Few rows lie near the quantiles, and the loss decreases slowly: more patience than the default.
    settings |= {"tol": 1e-5, "n_iter_no_change": 50, "max_iter": 1000}
    models = {q: MLPRegressor(loss="quantile", quantile=q, **settings).fit(x, y) for q in QUANTILES}
    print("quantile   held-out points below   epochs")
    for q, model in models.items():
        print(f"{q:8.2f}{100 * np.mean(y_test < model.predict(x_test)):22.1f} %{model.n_iter_:9}")

    lower, upper = models[0.05].predict(x_test), models[0.95].predict(x_test)
    inside = (lower <= y_test) & (y_test <= upper)
    print(f"\ncoverage of the band: {100 * inside.mean():.1f} % of {len(y_test)} held-out points, expected 90 %")
    print("\nx              coverage   mean width   of the true band")
    for start in (0, 0.25, 0.5, 0.75):
        part = (start <= x_test[:, 0]) & (x_test[:, 0] < start + 0.25)
        true = np.mean(2 * 1.6449 * noise(x_test[part, 0]))  # 5 % of a normal distribution are above 1.6449 σ
        row = f"{start:.2f} - {start + 0.25:.2f}{100 * inside[part].mean():10.1f} %"
        print(f"{row}{np.mean(upper[part] - lower[part]):13.2f}{true:19.2f}")

    pictures.mkdir(parents=True, exist_ok=True)
    draw(models, x_test, y_test).savefig(pictures / "quantile_band.png", dpi=150)
    print(f"\n{pictures / 'quantile_band.png'}: the band, the median and held-out points")


if __name__ == "__main__":
    main()
