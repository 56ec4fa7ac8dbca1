"""Model selection on the 8 x 8 digits with a validation set: two sigmoid layers, softmax, L2.

The images are split into three sets. Networks of several sizes and penalties are trained on the first and compared on
the second. The third, the test set, is used once, at the very end: a score that influenced a choice is no longer an
unbiased estimate.

    python examples/digits_validated.py            # about ten seconds
"""

import argparse
import time

from sklearn.model_selection import train_test_split

import chainrule as cr
from chainrule.initializers import GlorotUniform
from chainrule.layers import Dense, Sigmoid
from chainrule.optimizers import Adam
from chainrule.penalties import L2
from chainrule.schedules import Cosine

SIZES = [(25, 25), (50, 25), (50, 50), (100, 50), (100, 100), (200, 100)]
STRENGTHS = [0.0, 1e-4, 3e-4, 1e-3]


def fit(sizes, strength, X, t, epochs):
    # Glorot: weights uniform on ±√(6 / (inputs + outputs)), so that the scale of the signal is preserved.
    first, second = sizes
    layers = [
        Dense(first, weights=GlorotUniform()),
        Sigmoid(),
        Dense(second, weights=GlorotUniform()),
        Sigmoid(),
        Dense(10, weights=GlorotUniform()),
    ]
    network = cr.Network(64, layers, cr.losses.SoftmaxCrossEntropy(), seed=0)
    cr.train(
        network,
        X,
        t,
        optimizer=Adam(0.01),
        schedule=Cosine(),  # down to 0 along half a cosine, so that the last epochs converge
        penalties=[L2(strength)],  # + ½ λ Σ W²
        epochs=epochs,
        batch_size=32,
        seed=0,
    )
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    epochs = parser.parse_args().epochs

    digits = cr.datasets.load_digits()
    X_rest, X_test, t_rest, t_test = train_test_split(digits.X, digits.t, test_size=0.33, random_state=111)
    X_train, X_val, t_train, t_val = train_test_split(X_rest, t_rest, test_size=0.40, random_state=123)
    print(f"{len(X_train)} images for training, {len(X_val)} for validation, {len(X_test)} for testing")

    start = time.perf_counter()
    print("\nloss on the validation set (accuracy in %)")
    print("hidden layers" + "".join(f"{f'L2({strength:g})':>16}" for strength in STRENGTHS))
    found = {}
    for sizes in SIZES:
        row = f"{sizes[0]:5}, {sizes[1]:3}   "
        for strength in STRENGTHS:
            scores = cr.evaluate(fit(sizes, strength, X_train, t_train, epochs), X_val, t_val)
            found[sizes, strength] = scores["loss"]  # finer than accuracy, in which 1 image of 482 is 0.2 %
            row += f"{scores['loss']:9.4f} ({100 * scores['accuracy']:.1f})"
        print(row, flush=True)
    sizes, strength = min(found, key=found.get)
    print(f"chosen: hidden layers of {sizes[0]} and {sizes[1]}, L2({strength:g})")

    # The validation set is no longer needed: the chosen network is retrained with it added.
    network = fit(sizes, strength, X_rest, t_rest, epochs)
    scores = cr.evaluate(network, X_test, t_test)
    print(f"\ntrained on {len(X_rest)} images, evaluated once on the test set:")
    print(f"test accuracy {100 * scores['accuracy']:.2f} %, loss {scores['loss']:.4f}")
    print(f"{time.perf_counter() - start:.1f} seconds for {len(found) + 1} networks of {epochs} epochs")


if __name__ == "__main__":
    main()
