"""Convolutional networks on the 8 x 8 digits: the same split as in digits_validated.py, and eight candidates.

Two 3 x 3 convolutions, pooling, two more, pooling, and one Dense layer; narrow or wide, with or without images shifted
by up to a pixel, one network or the mean of five. The best candidate on the validation set is retrained with the
validation set added, and the test set is used once, at the very end.

    python examples/digits_convolutional.py        # about two minutes
"""

import argparse
import time

import numpy as np
from sklearn.model_selection import train_test_split

import chainrule as cr
from chainrule.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from chainrule.optimizers import Adam
from chainrule.schedules import OneCycle

WIDTHS = [16, 32]
MEMBERS = [1, 5]


def block(filters):
    return [Conv2D(filters, 3, padding="same", biases=None), BatchNorm(), ReLU()]


def fit(width, shifted, members, X, t, epochs):
    networks = []
    for seed in range(members):
        layers = [*block(width), *block(width), MaxPool2D(), *block(2 * width), *block(2 * width), MaxPool2D()]
        network = cr.Network(
            (8, 8, 1), [*layers, Flatten(), Dropout(0.3), Dense(10)], "softmax_cross_entropy", seed=seed
        )
        cr.train(
            network,
            X,
            t,
            optimizer=Adam(0.003),
            schedule=OneCycle(),
            epochs=epochs,
            batch_size=32,
            augment=[cr.training.RandomShift(1)] if shifted else [],
            seed=seed,
        )
        networks.append(network)
    return networks


def measure(networks, X, t):
    """Return accuracy and loss of the networks' mean probabilities."""
    p = np.mean([network.predict(X) for network in networks], axis=0)
    return float((p.argmax(axis=1) == t).mean()), float(-np.log(p[np.arange(len(t)), t]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs

    digits = cr.datasets.load_digits()
    images = digits.X.reshape(-1, 8, 8, 1)
    X_rest, X_test, t_rest, t_test = train_test_split(images, digits.t, test_size=0.33, random_state=111)
    X_train, X_val, t_train, t_val = train_test_split(X_rest, t_rest, test_size=0.40, random_state=123)
    print(f"{len(X_train)} images for training, {len(X_val)} for validation, {len(X_test)} for testing")

    start = time.perf_counter()
    print("\nwidth  shifts  networks   loss on the validation set  accuracy")
    found = {}
    for width in WIDTHS:
        for shifted in (False, True):
            largest = fit(width, shifted, max(MEMBERS), X_train, t_train, epochs)
            for members in MEMBERS:
                accuracy, loss = measure(largest[:members], X_val, t_val)
                found[width, shifted, members] = loss  # finer than accuracy, in which 1 image of 482 is 0.2 %
                shifts = "yes" if shifted else "no"
                print(f"{width:5}  {shifts:>6}  {members:8}  {loss:27.4f}  {100 * accuracy:6.1f} %", flush=True)
    width, shifted, members = min(found, key=found.get)
    how = "shifted images" if shifted else "the original images"
    print(f"chosen: {members} network(s) of width {width}, {how}")

    # The validation set is no longer needed: the chosen networks are retrained with it added.
    accuracy, loss = measure(fit(width, shifted, members, X_rest, t_rest, epochs), X_test, t_test)
    print(f"\ntrained on {len(X_rest)} images, evaluated once on the test set:")
    print(f"test accuracy {100 * accuracy:.2f} %, loss {loss:.4f}")
    print(f"{time.perf_counter() - start:.1f} seconds")


if __name__ == "__main__":
    main()
