"""MNIST with a network 784-30-10: tanh, softmax, mini-batches, momentum, and a decaying learning rate.

The usual first attempt is full-batch gradient descent. It needs a thousand epochs, because each epoch is one step.
Mini-batches take 938 steps per epoch, momentum makes them larger, and the decaying learning rate lets them converge:
five epochs are enough. The same network is then trained with each of three regularizers: L2, L1 and dropout.

Measured with --full-batch 1000 on two cores: a thousand full-batch epochs give a test accuracy of 96.22 % in 100
seconds, five mini-batch epochs 96.28 % in 1 second.

    CHAINRULE_DATA=folder/with/mnist python examples/mnist_tanh.py      # or it is downloaded
    python examples/mnist_tanh.py --full-batch 1000                     # the thousand epochs, for comparison
"""

import argparse
import time

import chainrule as cr
from chainrule.layers import Dense, Dropout, Tanh
from chainrule.optimizers import SGD, Momentum
from chainrule.penalties import L1, L2
from chainrule.schedules import InverseTime

FULL_BATCH = """\
Measured with --full-batch 1000 on two cores: full-batch gradient descent without momentum, at the best
of the rates 0.5, 0.7 and 1, reaches 97.37 % (train) and 96.22 % (test) in 1000 epochs, 100 seconds."""


def build(dropout=0.0):
    hidden = [Dense(30), Tanh(), *([Dropout(dropout)] if dropout else [])]
    return cr.Network(784, [*hidden, Dense(10)], cr.losses.SoftmaxCrossEntropy(), seed=0)


def report(name, network, epochs, seconds, train, test):
    # The prediction is the most probable of the ten classes.
    on_train = cr.evaluate(network, train.X, train.t)["accuracy"]
    on_test = cr.evaluate(network, test.X, test.t)["accuracy"]
    print(f"{name:28}  {epochs:6}  {100 * on_train:7.2f} %  {100 * on_test:7.2f} %  {seconds:7.1f}", flush=True)


def mini_batches(name, train, test, epochs, *, dropout=0.0, penalties=()):
    network = build(dropout)
    start = time.perf_counter()
    cr.train(
        network,
        train.X,
        train.t,
        optimizer=Momentum(0.1, momentum=0.9),  # v ← 0.9 v − η g,  θ ← θ + v
        schedule=InverseTime(decay=1.0),  # η = 0.1 / (1 + epoch): 0.1, 0.05, 0.033, …
        penalties=penalties,
        epochs=epochs,
        batch_size=64,
        seed=0,
    )
    report(name, network, epochs, time.perf_counter() - start, train, test)


def full_batch(train, test, epochs):
    network = build()
    start = time.perf_counter()
    cr.train(network, train.X, train.t, optimizer=SGD(1.0), epochs=epochs, batch_size=len(train), shuffle=False)
    report("full-batch gradient descent", network, epochs, time.perf_counter() - start, train, test)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument(
        "--full-batch", type=int, default=0, metavar="EPOCHS", help="also train this many full-batch epochs, first"
    )
    args = parser.parse_args()

    train, test = cr.datasets.load_mnist("train"), cr.datasets.load_mnist("test")
    print(f"{len(train)} images for training, {len(test)} for testing; 784-30-10, tanh, softmax cross-entropy")
    print(f"{'':28}  {'epochs':>6}  {'train':>9}  {'test':>9}  {'seconds':>7}")
    if args.full_batch:
        full_batch(train, test, args.full_batch)
    mini_batches("momentum, mini-batches of 64", train, test, args.epochs)
    mini_batches("  with L2(5e-4)", train, test, args.epochs, penalties=[L2(5e-4)])  # + ½ λ Σ W²
    mini_batches("  with L1(1e-4)", train, test, args.epochs, penalties=[L1(1e-4)])  # + λ Σ |W|
    mini_batches("  with Dropout(0.1)", train, test, args.epochs, dropout=0.1)  # zeroes a tenth of the hidden values
    if not args.full_batch:
        print(FULL_BATCH)


if __name__ == "__main__":
    main()
