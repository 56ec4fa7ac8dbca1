"""The 8 x 8 digits with a network 64-15-10: ReLU, sigmoid, squared error on one-hot targets, batches of 15.

Squared error after a sigmoid has a pitfall. With y = σ(a), its derivative is dL/da = (y − t) · y (1 − y): if an output
is far off, y (1 − y) is almost 0, and the image that needs the largest correction gets the smallest one. (With
cross-entropy, that factor cancels.) Three measures get the last of the 1,797 images right anyway:

- a small L2 penalty on the last layer's weights keeps its sigmoids from saturating; a smaller one on the first layer
  helps as well;
- Adam divides by the magnitude of recent gradients, so that small ones still move the weights;
- the learning rate first rises and then falls (one cycle): large steps explore, small ones converge.

With 98 of the first 100 seeds, every class ends with precision and recall of at least 0.99.

The network is evaluated on its training images: this shows that such a small network can learn them, not how well it
generalizes. For that, see digits_validated.py.

    python examples/digits_relu_sigmoid.py            # two seconds
"""

import argparse
import time

from sklearn.metrics import classification_report
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.initializers import LeCunNormal, Zeros
from chainrule.layers import Dense, ReLU, Sigmoid
from chainrule.optimizers import Adam
from chainrule.penalties import L2
from chainrule.schedules import OneCycle


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and the order of the batches")
    args = parser.parse_args()

    digits = cr.datasets.load_digits()
    X = StandardScaler().fit_transform(digits.X)  # every pixel: mean 0, variance 1
    t = cr.one_hot(digits.t, 10)  # 3 becomes 0 0 0 1 0 0 0 0 0 0

    # y = x W with x of variance 1: Var(y) = inputs · Var(W), which is 1 if Var(W) = 1 / inputs.
    start = {"weights": LeCunNormal(), "biases": Zeros()}
    network = cr.Network(
        inputs=64,
        layers=[Dense(15, **start), ReLU(), Dense(10, **start), Sigmoid()],
        loss=cr.losses.SquaredError(),  # ½ Σ (y − t)² over the ten outputs, averaged over the images
        seed=args.seed,
    )
    print(network)

    begin = time.perf_counter()
    history = cr.train(
        network,
        X,
        t,
        optimizer=Adam(0.025, beta_2=0.995),
        schedule=OneCycle(rise=0.1),  # up for ten epochs, then down along half a cosine
        penalties=[L2(7e-5, layers=0), L2(7e-4, layers=2)],  # + ½ λ Σ W² for the layer with that index
        epochs=args.epochs,
        batch_size=15,
        seed=args.seed,
    )
    seconds = time.perf_counter() - begin
    print(f"\nloss {history['loss'][0]:.4f} in the first epoch, {history['loss'][-1]:.4f} in the last")

    # The prediction is the output closest to 1. Precision: the fraction of the images predicted as a class that belong
    # to it. Recall: the fraction of its images that are found. F1 = 2 / (1/precision + 1/recall). Support: their
    # number.
    answers = network.predict(X).argmax(axis=1)
    print(classification_report(digits.t, answers, target_names=digits.classes, digits=4))
    wrong = (answers != digits.t).sum()
    print(f"misclassified after {len(history)} epochs: {wrong} of {len(X)} images; {seconds:.1f} seconds")


if __name__ == "__main__":
    main()
