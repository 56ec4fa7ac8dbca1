"""The 8 x 8 digits by a network 64-15-10: ReLU, sigmoid, squared error on one-hot targets, 100 epochs in batches of 15.

Squared error behind a sigmoid has a trap. With y = σ(a) its derivative is dL/da = (y − t) · y (1 − y): where an output
is far on the wrong side, y (1 − y) is almost 0, and the image that needs a correction most gets the smallest one. (With
cross-entropy that factor cancels.) Three things get the last images of 1,797 right all the same:

- a small L2 on the last layer's weights keeps its sigmoids from the flat ends, a smaller one on the first layer helps;
- Adam divides by the size of recent gradients, so that small ones still move the weights;
- the learning rate rises first and falls later (one cycle): large steps get around, small ones settle.

With 98 of the first 100 seeds every class ends with precision and recall of 0.99 or more.

All images are trained on and looked at: this shows that so small a network can learn them, not how well it would read
others. For that see digits_validated.py.

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
    parser.add_argument("--seed", type=int, default=0, help="draws the weights and the order of the batches")
    args = parser.parse_args()

    digits = cr.datasets.load_digits()
    X = StandardScaler().fit_transform(digits.X)  # every pixel: mean 0, variance 1
    t = cr.one_hot(digits.t, 10)  # 3 becomes 0 0 0 1 0 0 0 0 0 0

    # y = x W with x of variance 1: Var(y) = inputs · Var(W), which is 1 where Var(W) = 1 / inputs.
    start = {"weights": LeCunNormal(), "biases": Zeros()}
    network = cr.Network(
        inputs=64,
        layers=[Dense(15, **start), ReLU(), Dense(10, **start), Sigmoid()],
        loss=cr.losses.SquaredError(),  # ½ Σ (y − t)² over the ten outputs, a mean over the images
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
        penalties=[L2(7e-5, layers=0), L2(7e-4, layers=2)],  # + ½ λ Σ W², for the layer of that number
        epochs=args.epochs,
        batch_size=15,
        seed=args.seed,
    )
    seconds = time.perf_counter() - begin
    print(f"\nloss {history['loss'][0]:.4f} in the first epoch, {history['loss'][-1]:.4f} in the last")

    # The answer is the output nearest to 1. Of a class: precision is how many of the images called so are of it,
    # recall how many of its images are called so, F1 = 2 / (1/precision + 1/recall), support how many there are.
    answers = network.predict(X).argmax(axis=1)
    print(classification_report(digits.t, answers, target_names=digits.classes, digits=4))
    wrong = (answers != digits.t).sum()
    print(f"wrong after {len(history)} epochs: {wrong} of {len(X)} images; {seconds:.1f} seconds")


if __name__ == "__main__":
    main()
