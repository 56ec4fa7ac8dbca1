"""From maximum likelihood to a network, in three steps.

1. A network without a hidden layer is exactly the logistic function, and its loss is the negative log-likelihood.
2. A deep network outputs probabilities that sum to one, and each of its hand-written gradients is correct.
3. Ten hidden units are enough to overfit the two moons by plain gradient descent, from any of ten seeds.

    python examples/moons_from_likelihood.py            # a few seconds
"""

import argparse
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.initializers import Uniform
from chainrule.layers import Dense, Tanh

RATE, EPOCHS = 0.5, 300


def logistic_function():
    """Compare a network of one unit with the formulas of logistic regression."""
    moons = cr.datasets.load_moons(rows=200, noise=0.1, seed=0)
    X, t = moons.X.astype("float64"), moons.t
    network = cr.Network(2, [Dense(1)], cr.losses.SigmoidCrossEntropy(), seed=0, dtype="float64")
    cr.train(network, X, t, optimizer=cr.optimizers.SGD(RATE), epochs=EPOCHS, batch_size=len(X), shuffle=False)

    w, b = network.layers[0].W, network.layers[0].b
    p = 1 / (1 + np.exp(-(X @ w + b)))[:, 0]  # the probability of class 1
    difference = np.abs(network.predict(X)[:, 0] - p).max()
    # For independent samples, the likelihood is Π pᵗ (1 − p)¹⁻ᵗ. The loss is minus its logarithm, averaged over the
    # rows.
    likelihood = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))
    loss = cr.evaluate(network, X, t)["loss"]

    print("1. A network without a hidden layer: Dense(1), sigmoid cross-entropy")
    print(f"largest difference to 1 / (1 + exp(-(x w + b))): {difference:.1e}")
    print(f"loss of the network:                             {loss:.15f}")
    print(f"-mean(t log p + (1 - t) log(1 - p)):             {likelihood:.15f}")


def deep_network():
    """Check the probabilities of a network with four layers, and its gradients against finite differences."""
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(20, 500)), rng.integers(10, size=20)
    layers = [Dense(100), Tanh(), Dense(50), Tanh(), Dense(40), Tanh(), Dense(10)]
    network = cr.Network(500, layers, cr.losses.SoftmaxCrossEntropy(), seed=0, dtype="float64")
    sums = network.predict(X).sum(axis=1)  # softmax: e^yᵢ / Σₖ e^yₖ

    print("\n2. A network 500-100-50-40-10: tanh, softmax cross-entropy")
    print(f"largest deviation of a row's sum of probabilities from 1: {np.abs(sums - 1).max():.1e}")
    # For a sample of entries of every W and b: (L(θ + h) − L(θ − h)) / 2h next to dL/dθ from the backward pass.
    print(cr.check_gradient(network, X, t, entries=20))


def overfit_moons(seed):
    """Train 2-10-2 by full-batch gradient descent: every step uses all rows, so the loss can decrease at each one."""
    moons = cr.datasets.load_moons(rows=200, noise=0.1, seed=seed)
    # A hidden unit is a tanh step across the line x w + b = 0. Large weights make it steep, and random biases spread
    # the lines over the plane. From there, plain gradient descent converges in a few hundred epochs.
    layers = [
        Dense(10, weights=Uniform(-3, 3), biases=Uniform(-3, 3)),
        Tanh(),
        Dense(2, weights=Uniform(-1, 1)),
    ]
    network = cr.Network(2, layers, cr.losses.SoftmaxCrossEntropy(), seed=seed)
    history = cr.train(
        network,
        moons.X,
        moons.t,
        optimizer=cr.optimizers.SGD(RATE),
        epochs=EPOCHS,
        batch_size=len(moons),
        shuffle=False,
    )
    return moons, network, history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="folder for the two pictures")
    pictures = parser.parse_args().pictures

    logistic_function()
    deep_network()

    print(f"\n3. The moons: 2-10-2, 200 points, gradient descent with learning rate {RATE}, {EPOCHS} epochs")
    print("seed  first loss  last loss  falls at every step  accuracy    on new points")
    fresh = cr.datasets.load_moons(rows=2000, noise=0.1, seed=12345)
    for seed in range(10):
        moons, network, history = overfit_moons(seed)
        trained = cr.evaluate(network, moons.X, moons.t)
        losses = [*history["loss"], trained["loss"]]  # the history has the loss before each step
        falls = "yes" if np.all(np.diff(losses) < 0) else "no"
        new = cr.evaluate(network, fresh.X, fresh.t)["accuracy"]
        print(f"{seed:4}  {losses[0]:10.4f}  {losses[-1]:9.4f}  {falls:>19}  {trained['accuracy']:8.4f}  {new:15.4f}")
        if seed == 0:
            shown = moons, network, history

    from chainrule.plotting import plot_boundary, plot_history  # noqa: PLC0415  (needs matplotlib)

    moons, network, history = shown
    pictures.mkdir(parents=True, exist_ok=True)
    plot_history(history).savefig(pictures / "moons_loss.png", dpi=150)
    plot_boundary(network, moons.X, moons.t).savefig(pictures / "moons_boundary.png", dpi=150)
    print(f"pictures of seed 0: {pictures / 'moons_loss.png'}, {pictures / 'moons_boundary.png'}")


if __name__ == "__main__":
    main()
