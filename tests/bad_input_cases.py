"""What a user can get wrong, and what chainrule says: run as a program, it prints every message as JSON.

A program of its own, because the tests check types in signatures and would answer before chainrule does.
"""

import json
import warnings

import numpy as np

import chainrule as cr
from chainrule.layers import Dense, Dropout, ReLU, Reshape
from chainrule.optimizers import SGD
from chainrule.penalties import L2, MaxNorm
from chainrule.training.augmentation import Mixup, RandomShift

warnings.simplefilter("error")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
T = np.arange(20) % 2


def net(**options):
    return cr.Network(3, [Dense(4), ReLU(), Dense(2)], **({"loss": "softmax_cross_entropy", "seed": 0} | options))


def fit(x=X, t=T, network=None, **options):
    network = network or net()
    before = network.theta.copy()
    try:
        cr.train(network, x, t, **({"epochs": 1, "seed": 0} | options))
    finally:
        assert np.array_equal(network.theta, before), "the network was changed before the input was checked"


MASKED, MASKED_T = np.ma.array(X, mask=X > 1.5), np.ma.array(T, mask=T < 0)
MASKED_T[3:5] = np.ma.masked


class Sparse:
    def toarray(self):
        return X


def hole(value, row=7, column=1):
    x = X.copy()
    x[row, column] = value
    return x


def regression(t, loss="squared_error", outputs=2):
    return lambda: fit(t=t, network=cr.Network(3, [Dense(outputs)], loss, seed=0))


# name: (call, the kind of error, what the message must hold: what was expected, what came, the remedy)
CASES = {
    # data
    "wrong number of features": (lambda: fit(X[:, :2]), ValueError, ["expected 3 features, got 2", "columns"]),
    "predict with another number of features": (lambda: net().predict(X[:, :2]), ValueError, ["expected 3 features, got 2"]),
    "1-D input": (lambda: fit(X[:, 0]), ValueError, ["expected an array of shape (rows, 3), got 1-D, shape (20,)", "reshape"]),
    "one sample without its batch axis": (lambda: net().predict(X[0]), ValueError, ["X[np.newaxis]"]),
    "1-D input for one feature": (
        lambda: cr.Network(1, [Dense(1)], "squared_error").predict(X[:, 0]), ValueError, ["X.reshape(-1, 1)"]),
    "masked inputs": (lambda: fit(MASKED), ValueError, [f"X: expected no masked values, got {(X > 1.5).sum()}: fill them"]),
    "masked targets": (lambda: fit(t=MASKED_T), ValueError, ["t: expected no masked values, got 2", "leave their rows out"]),
    "masked inputs of an estimator": (lambda: cr.MLPClassifier().fit(MASKED, T), ValueError, ["X: expected no masked values"]),
    "masked targets of an estimator": (lambda: cr.MLPClassifier().fit(X, MASKED_T), ValueError, ["y: expected no masked values"]),
    "masked weights of an estimator": (
        lambda: cr.MLPClassifier().fit(X, T, MASKED_T + 1.0), ValueError, ["sample_weight: expected no masked values, got 2"]),
    "masked weights of an ensemble": (
        lambda: cr.TabularClassifier().fit(X, T, MASKED_T + 1.0), ValueError, ["sample_weight: expected no masked values"]),
    "masked validation targets": (
        lambda: cr.MLPClassifier().fit(X, T, X_val=X, y_val=MASKED_T), ValueError, ["y_val: expected no masked values, got 2"]),
    "masked targets of an ensemble": (
        lambda: cr.TabularClassifier().fit(X, MASKED_T), ValueError, ["y: expected no masked values, got 2"]),
    "masked rows to predict": (lambda: net().predict(MASKED), ValueError, ["X: expected no masked values"]),
    "3-D input": (lambda: fit(X.reshape(20, 3, 1)), ValueError, ["got 3-D, shape (20, 3, 1)"]),
    "a scalar": (lambda: net().predict(1.0), ValueError, ["got 0-D"]),
    "no shape": (lambda: Reshape(3.5), TypeError, ["Reshape: shape: expected a whole number, got 3.5"]),
    "no shape at all": (lambda: Reshape(None), TypeError, ["Reshape: shape: expected a whole number, got None"]),
    "strings": (lambda: fit(np.array([["a", "b", "c"]] * 20)), TypeError, ["expected numbers", "'a'", "OneHotEncoder"]),
    "objects": (lambda: fit(X.astype(object)), TypeError, ["dtype object", "np.asarray(X, dtype=float)"]),
    "complex numbers": (lambda: fit(X * 1j), TypeError, ["complex128"]),
    "a sparse matrix": (lambda: fit(Sparse()), TypeError, ["got a sparse matrix", "X.toarray()"]),
    "no data at all": (lambda: fit(None), TypeError, ["its first value is None"]),
    "the arguments in another order": (lambda: cr.train(X, net(), T), TypeError, ["expected a Network", "got ndarray"]),
    "evaluate without a network": (lambda: cr.evaluate(X, X, T), TypeError, ["expected a Network", "got ndarray"]),
    "a metric that is no function": (lambda: fit(metrics={"m": 1}), TypeError, ["metrics: expected functions"]),
    "ragged lists": (lambda: fit([[1, 2, 3], [1, 2]] * 10), ValueError, ["rows of different lengths"]),
    "NaN": (lambda: fit(hole(np.nan)), ValueError, ["got nan in row 7, column 1", "Fill missing values"]),
    "infinity": (lambda: fit(hole(-np.inf, 19, 2)), ValueError, ["got -inf in row 19, column 2"]),
    "NaN in predict": (lambda: net().predict(hole(np.nan)), ValueError, ["got nan in row 7, column 1"]),
    "too large for float32": (lambda: fit(hole(1e300)), ValueError, ["1e+300", "overflows float32", "float64"]),
    "zero rows": (lambda: fit(X[:0], T[:0]), ValueError, ["expected at least one row, got an array of shape (0, 3)"]),
    "predict zero rows": (lambda: net().predict(X[:0]), ValueError, ["at least one row"]),
    "different lengths": (lambda: fit(X, T[:19]), ValueError, ["X and t: expected the same number of rows, got 20 and 19"]),
    "different lengths of weights": (lambda: fit(sample_weight=np.ones(3)), ValueError, ["X and sample_weight", "20 and 3"]),
    "negative weights": (lambda: fit(sample_weight=-np.ones(20)), ValueError, ["got a negative number"]),
    "zero weights": (lambda: fit(sample_weight=np.zeros(20)), ValueError, ["got zeros only"]),
    "2-D weights": (lambda: fit(sample_weight=np.ones((20, 1))), ValueError, ["one number per row"]),
    "NaN weights": (lambda: fit(sample_weight=np.full(20, np.nan)), ValueError, ["sample_weight", "nan in row 0"]),
    # targets
    "label too large": (lambda: fit(t=T + 1), ValueError, ["labels from 0 to 1 (2 outputs), got 2 in row 1", "start at 1"]),
    "negative label": (lambda: fit(t=T - 1), ValueError, ["got -1 in row 0"]),
    "labels that are not whole": (lambda: fit(t=T + 0.5), ValueError, ["whole numbers", "got 0.5 in row 0"]),
    "labels that are words": (lambda: fit(t=np.where(T, "yes", "no")), TypeError, ["t: expected numbers", "'no'", "np.unique(t, return_inverse=True)[1]"]),
    "labels with NaN": (lambda: fit(t=np.where(T, 1.0, np.nan)), ValueError, ["t: expected finite numbers, got nan in row 0"]),
    "labels in a column": (lambda: fit(t=T.reshape(-1, 1)), ValueError, ["expected labels of shape (rows,)", "(20, 1)", "t.ravel()"]),
    "one_hot outside": (lambda: cr.one_hot([0, 3], 3), ValueError, ["labels from 0 to 2", "got 3 in row 1"]),
    "one_hot not whole": (lambda: cr.one_hot([0.5], 3), ValueError, ["whole numbers"]),
    "probabilities that do not sum to one": (lambda: fit(t=np.full((20, 2), 0.7)), ValueError, ["sum to 1", "SigmoidCrossEntropy"]),
    "targets with too many columns": (regression(np.ones((20, 3))), ValueError, ["expected targets of shape (rows, 2)", "(20, 3)"]),
    "NaN in targets": (regression(np.full((20, 2), np.nan)), ValueError, ["t: expected finite numbers, got nan in row 0, column 0"]),
    "negative counts": (regression(-np.ones((20, 2)), "poisson"), ValueError, ["counts of at least 0, got -1.0 in row 0"]),
    "-1 and 1 for sigmoid": (regression(2.0 * T - 1, "sigmoid_cross_entropy", 1), ValueError, ["got [-1.0] in row 0", "(t + 1) / 2"]),
    "softmax with one output": (regression(T, "softmax_cross_entropy", 1), ValueError, ["at least 2 units, got 1"]),
    # settings
    "batch size 0": (lambda: fit(batch_size=0), ValueError, ["batch_size: expected a whole number of at least 1, got 0"]),
    "batch size above the rows": (lambda: fit(batch_size=21), ValueError, ["at most the 20 rows", "got 21", "batch_size=20"]),
    "batch size above the rows that validation leaves": (
        lambda: fit(batch_size=20, validation=0.25), ValueError, ["at most the 15 rows to train on (after validation=0.25), got 20"]),
    "batch size that is no number": (lambda: fit(batch_size="all"), TypeError, ["batch_size: expected a whole number, got 'all'"]),
    "zero epochs": (lambda: fit(epochs=0), ValueError, ["epochs: expected a whole number of at least 1, got 0"]),
    "negative learning rate": (lambda: fit(optimizer=SGD(-0.1)), ValueError, ["SGD: learning_rate", "got -0.1"]),
    "learning rate NaN": (lambda: SGD(np.nan), ValueError, ["learning_rate", "nan"]),
    "learning rate as text": (lambda: SGD("0.1"), TypeError, ["SGD: learning_rate: expected a number, got '0.1'"]),
    "unknown optimizer": (lambda: fit(optimizer="adamm"), ValueError, ["unknown optimizer 'adamm'", "Did you mean 'Adam'"]),
    "unknown loss": (lambda: net(loss="softmax"), ValueError, ["unknown loss 'softmax'", "Known: "]),
    "a loss of Keras": (lambda: net(loss="binary_crossentropy"), ValueError, ["Did you mean 'SigmoidCrossEntropy'"]),
    "a name for metrics": (
        lambda: fit(metrics=["accuracy"]), TypeError, ["metrics: expected functions", '{"accuracy": cr.metrics.accuracy}', "got ['accuracy']"]),
    "a name for a metric": (
        lambda: cr.evaluate(net(), X, T, metrics="accuracy"), TypeError, ["metrics: expected functions", "got 'accuracy'"]),
    "unknown schedule": (lambda: fit(schedule="cosin"), ValueError, ["Did you mean 'Cosine'"]),
    "a schedule that needs arguments": (lambda: fit(schedule="inverse_time"), ValueError, ["give the object, as in InverseTime(...)"]),
    "unknown initializer": (lambda: Dense(3, weights="he"), ValueError, ["unknown weights 'he'", "HeNormal"]),
    "a class in place of an object": (lambda: fit(optimizer=SGD), TypeError, ["got the class SGD", "SGD(...)"]),
    "an optimizer that is none": (lambda: fit(optimizer=0.1), TypeError, ["expected an Optimizer or its name, got 0.1"]),
    "penalties that are none": (lambda: fit(penalties=[0.1]), TypeError, ["[L2(1e-4), MaxNorm(3.0)]"]),
    "one penalty without its list": (lambda: fit(penalties=L2(0.1)), TypeError, ["expected a list of penalties"]),
    "a penalty for a layer that is not there": (lambda: fit(penalties=[L2(0.1, layers=3)]), ValueError, ["layer 3 is out of range", "0 to 2"]),
    "a penalty for a layer without weights": (lambda: fit(penalties=[MaxNorm(1.0, layers=1)]), ValueError, ["layers without weights"]),
    "validation of everything": (lambda: fit(validation=1.0), ValueError, ["validation: expected a number in (0, 1), got 1.0"]),
    "validation of one row": (lambda: fit(X[:1], T[:1], validation=0.5), ValueError, ["leaves no training rows"]),
    "validation with other features": (lambda: fit(validation=(X[:, :2], T)), ValueError, ["validation X: expected 3 features, got 2"]),
    "validation with other lengths": (lambda: fit(validation=(X, T[:3])), ValueError, ["20 and 3"]),
    "validation of four things": (
        lambda: fit(validation=(X, T, T, T)), ValueError, ["expected (X, t), (X, t, sample_weight) or a fraction, got 4"]),
    "a callback that is none": (lambda: fit(callbacks=[print]), TypeError, ["callbacks: expected a Callback"]),
    "clip that is a number": (lambda: fit(clip=1.0), TypeError, ["clip: expected a Clip such as ClipNorm(1.0), got 1.0"]),
    "early stopping without validation": (
        lambda: fit(callbacks=[cr.EarlyStopping()]), ValueError, ["no column 'val_loss'", "Train with validation=0.1"]),
    "early stopping on an unknown column": (
        lambda: fit(callbacks=[cr.EarlyStopping("val_acuracy")], validation=0.2), ValueError, ["Did you mean 'val_accuracy'"]),
    # better training
    "an average that forgets backwards": (lambda: cr.EMA(2), ValueError, ["EMA: decay: expected a number in (0, 1), got 2"]),
    "an average that begins after the end": (
        lambda: fit(callbacks=[cr.SWA(start=3)]), ValueError, ["SWA: start", "at most the 1 epochs of training, got 3"]),
    "two averages": (lambda: fit(callbacks=[cr.SWA(1), cr.EMA()]), ValueError, ["only one weight-averaging callback is allowed", "got several"]),
    "steps of no batch": (lambda: fit(accumulate=0), ValueError, ["accumulate: expected a whole number of at least 1, got 0"]),
    "steps of half a batch": (lambda: fit(accumulate=0.5), TypeError, ["accumulate: expected a whole number, got 0.5"]),
    "steps of more batches than there are": (
        lambda: fit(accumulate=5, batch_size=10), ValueError, ["at most the 2 batches of an epoch, got 5", "accumulate=2"]),
    "a rate for a layer that is not there": (lambda: fit(layer_rates={3: 0.1}), ValueError, ["layer 3 is out of range", "0 to 2"]),
    "a rate for a layer before the first": (lambda: fit(layer_rates={-4: 0.1}), ValueError, ["layer_rates", "at least -3, got -4"]),
    "a rate for a layer that learns nothing": (
        lambda: fit(layer_rates={1: 0.1}), ValueError, ["layer 1, ReLU(), has no trainable parameters"]),
    "a negative rate for a layer": (lambda: fit(layer_rates={0: -1.0}), ValueError, ["layer_rates[0]: expected a number in [0, inf), got -1"]),
    "rates of layers as a list": (lambda: fit(layer_rates=[0.1, 1]), TypeError, ["multipliers by layer index, such as {0: 0.1}", "[0.1, 1]"]),
    "augmentation that is a word": (lambda: fit(augment="shift"), TypeError, ["expected a list of augmentations", "'shift'"]),
    "augmentation that is not in a list": (
        lambda: fit(augment=Mixup()), TypeError, ["expected a list of augmentations such as [RandomShift(2)], got Mixup()"]),
    "augmentation that is a class": (lambda: fit(augment=[Mixup]), TypeError, ["expected a list of augmentations", "Mixup"]),
    "mixup of a regression": (
        lambda: fit(t=X[:, :2], network=cr.Network(3, [Dense(2)], "squared_error", seed=0), augment=[Mixup(0.2)]), ValueError,
        ["Mixup(): expected a loss that is linear in the targets", "SoftmaxCrossEntropy()", "got SquaredError()"]),
    "mixup that draws nothing": (lambda: Mixup(0), ValueError, ["Mixup: alpha: expected a number in (0, inf), got 0"]),
    "shifts of rows that are no images": (
        lambda: fit(augment=[RandomShift(1)]), ValueError, ["expected images (rows, height, width, channels)", "(3,)", "shape=(28, 28)"]),
    "shifts of images of another shape": (
        lambda: fit(augment=[RandomShift(1, shape=(2, 2))]), ValueError, ["samples of 4 numbers, but those of X have 3, shape (3,)"]),
    "shifts beyond the image": (
        lambda: fit(augment=[RandomShift(2, shape=(1, 3))]), ValueError, ["less than the 1 x 3 pixels of an image, got 2"]),
    "shifts of an image of one side": (lambda: RandomShift(1, shape=28), ValueError, ["shape: expected (height, width), got 28"]),
    "shifts of half a pixel": (lambda: RandomShift(0.5), TypeError, ["pixels: expected a whole number, got 0.5"]),
    "a range of rates upside down": (lambda: cr.lr_range_test(net(), X, T, low=1.0, high=0.1), ValueError, ["high: expected a number in (1, inf), got 0.1"]),
    "a range of rates from nothing": (lambda: cr.lr_range_test(net(), X, T, low=0.0), ValueError, ["low: expected a number in (0, inf), got 0.0"]),
    "a range of few steps": (lambda: cr.lr_range_test(net(), X, T, steps=3), ValueError, ["steps: expected a whole number of at least 10, got 3"]),
    "a range test with epochs": (lambda: cr.lr_range_test(net(), X, T, epochs=3), TypeError, ["epochs: expected settings among accumulate"]),
    "a range test of a name": (lambda: cr.lr_range_test("digits", X, T), TypeError, ["expected a Network", "got str"]),
    "decay that grows": (lambda: cr.optimizers.Momentum(weight_decay=-1.0), ValueError, ["Momentum: weight_decay: expected a number in [0, inf), got -1.0"]),
    "seed that is no number": (lambda: fit(seed="zero"), TypeError, ["seed: expected a whole number, got 'zero'"]),
    "negative seed": (lambda: net(seed=-1), ValueError, ["seed: expected a whole number of at least 0, got -1"]),
    # networks
    "no layers": (lambda: cr.Network(3, [], "squared_error"), ValueError, ["at least one layer, got none"]),
    "layers that do not fit": (
        lambda: cr.Network(3, [Dense(64), ReLU(), Dense(10, inputs=30)], "squared_error"), ValueError,
        ["layer 2, Dense(10, inputs=30): expects 30 inputs, but layer 1, ReLU(), gives 64"]),
    "inputs that do not fit": (
        lambda: cr.Network(3, [Dense(10, inputs=30)], "squared_error"), ValueError,
        ["layer 0, Dense(10, inputs=30): expects 30 inputs, but the network's inputs have 3"]),
    "images into Dense": (
        lambda: cr.Network((28, 28), [Dense(10)], "squared_error"), ValueError, ["expects rows of numbers", "(28, 28)"]),
    "a layer that is a class": (lambda: cr.Network(3, [Dense(2), ReLU], "squared_error"), TypeError, ["layer 1: got the class ReLU"]),
    "a layer that is a number": (lambda: cr.Network(3, [10], "squared_error"), TypeError, ["layer 0: expected a Layer", "got 10"]),
    "zero units": (lambda: Dense(0), ValueError, ["Dense: units: expected a whole number of at least 1, got 0"]),
    "units that are not whole": (lambda: Dense(2.5), TypeError, ["expected a whole number, got 2.5"]),
    "zero inputs": (lambda: cr.Network(0, [Dense(2)], "squared_error"), ValueError, ["inputs", "got 0"]),
    "inputs as text": (lambda: cr.Network("3", [Dense(2)], "squared_error"), TypeError, ["inputs: expected a whole number, got '3'"]),
    "dropout of everything": (lambda: Dropout(1.0), ValueError, ["Dropout: rate: expected a number in [0, 1), got 1.0"]),
    "dtype of integers": (lambda: net(dtype="int32"), ValueError, ["expected 'float32' or 'float64', got 'int32'"]),
    "no dtype": (lambda: net(dtype=None), ValueError, ["expected 'float32' or 'float64', got None"]),
    "unknown dtype": (lambda: net(dtype="float23"), ValueError, ["expected 'float32' or 'float64', got 'float23'"]),
    "a layer to check that is a class": (lambda: cr.check_layer(ReLU), TypeError, ["expected a Layer", "give an object of it: ReLU(...)"]),
    "a layer to check that is a name": (lambda: cr.check_layer("relu"), TypeError, ["expected a Layer, got 'relu'"]),
    "loss_and_grad checks too": (lambda: net().loss_and_grad(hole(np.nan), T), ValueError, ["got nan in row 7"]),
    "evaluate checks too": (lambda: cr.evaluate(net(), X, T[:4]), ValueError, ["20 and 4"]),
    # ONNX
    "an opset that is too old": (lambda: cr.onnx.convert(net(), opset=12), ValueError, ["opset: expected 13 to", "got 12"]),
    "an opset that is not there": (lambda: cr.onnx.convert(net(), opset=999), ValueError, ["opset: expected 13 to", "got 999"]),
    "an opset as text": (lambda: cr.onnx.convert(net(), opset="21"), TypeError, ["opset: expected a whole number, got '21'"]),
    "an opset that is true": (lambda: cr.onnx.convert(net(), opset=True), TypeError, ["opset: expected a whole number, got True"]),
    "ONNX of an unknown dtype": (lambda: cr.onnx.convert(net(), dtype="float16"), ValueError, ["'float32' or 'float64', got 'float16'"]),
    "metadata that are no texts": (lambda: cr.onnx.convert(net(), {"classes": ["a"]}), TypeError, ["expected strings", "json.dumps"]),
    "ONNX of an array": (lambda: cr.onnx.convert(X), TypeError, ["expected a Network, or an estimator", "got ndarray"]),
    "a converter for an object": (lambda: cr.onnx.register_layer(ReLU()), TypeError, ["a subclass of Layer, got ReLU()"]),
    "a converter for another class": (lambda: cr.onnx.register_loss(ReLU), TypeError, ["a subclass of Loss, got"]),
}  # fmt: skip

if __name__ == "__main__":
    said = {}
    for name, (call, _, _) in CASES.items():
        try:
            call()
            said[name] = ["nothing", ""]
        except Exception as error:  # noqa: BLE001  (whatever comes is the answer)
            said[name] = [type(error).__name__, str(error)]
    print(json.dumps(said))
