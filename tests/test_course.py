"""The course: solved by its solutions, failed by planted mistakes in words that name them, graded safely."""

import ast
import contextlib
import csv
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.course import child, grading, handouts, learning, marking, worker
from chainrule.course.exercises import EXERCISES
from chainrule.course.learning import NUMBERS, Marker, find, stem
from chainrule.course.worker import FailureError, Limits, Reply, Worker

SOON = Limits(seconds=20.0, memory=256)
BY_NAME = {exercise.name: number for number, exercise in enumerate(EXERCISES, 1)}
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="resource limits are Unix's")


def written(name, body):
    """Return a learner's file: the head of the starter, and another body."""
    exercise = find(BY_NAME[name])
    head = re.match(r'.*?""".*?"""\n', exercise.starter, re.DOTALL)[0]
    return head + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"


def marked(name, source, seed=learning.SEED):
    """Mark a file in this process, which is faster; what its function returns goes through a frame as ever."""
    token = b"t" * child.TOKEN

    def call(arguments):
        answer, result = child._called(function, "f.py", [*arguments])
        if "error" in answer:
            raise worker._explained(answer, worker.USUAL)
        frame = io.BytesIO()
        child.write(frame, token, {}, result)
        frame.seek(0)
        return Reply(child.read(frame, token)["values"][0], tuple(answer["changed"]))

    with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        failure, function = child._opened(source, "f.py", name)
        if failure:
            return marking.failed(worker._explained(failure, worker.USUAL))
        return marking.mark(find(BY_NAME[name]), call, seed)


@pytest.fixture(scope="module")
def marker():
    with Marker(SOON) as found:
        yield found


# ------------------------------------------------------------ the exercises


@pytest.mark.few(5)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_solution_gets_all_points_and_a_starter_none(number, marker):
    exercise = find(number)
    for seed in (2, 1, learning.SEED):
        marker.seed = seed
        found = marker.mark(number, exercise.answer)
        assert found.points == exercise.points, found.complaint
        assert found.complaint is None
        assert found.error is None or found.error < 1e-6
    found = marker.mark(number, exercise.starter)
    assert found.points == 0
    assert found.complaint.kind == ("planted" if exercise.planted else "unwritten")


@pytest.mark.parametrize("number", NUMBERS)
def test_an_exercise_is_a_page_a_file_and_hints(number):
    exercise = find(number)
    assert re.search(r"^Source: .+", exercise.text, re.MULTILINE | re.DOTALL)
    assert 60 < len(exercise.text.split()) < 200
    assert all(exercise.hints)
    (function,) = (node for node in ast.parse(exercise.starter).body if isinstance(node, ast.FunctionDef))
    assert function.name == exercise.name
    assert ast.get_docstring(function)
    first = next(iter(exercise.cases(np.random.default_rng(0))))
    assert first.about == ""
    assert len(first.arguments) == len(inspect.signature(exercise.solution).parameters)


def test_the_points_add_up():
    assert sum(exercise.points for exercise in EXERCISES) == learning.OUT_OF == 100
    assert sum(exercise.planted is not None for exercise in EXERCISES) == 6


@pytest.mark.parametrize("number", NUMBERS)
def test_every_known_mistake_is_recognized(number):
    """On an ordinary batch or a later case, its answer is refused with its words."""
    exercise = find(number)
    several = len(exercise.returns) > 1

    def answered(mistake, arguments):
        right = exercise.solution(*child.fresh(arguments))
        try:
            answer = mistake.answer(*child.fresh(arguments))
        except ValueError:  # it has none for these arguments
            return right
        if not isinstance(answer, dict):
            return answer
        results = dict(zip(exercise.returns, right if several else (right,), strict=True)) | answer
        return tuple(results.values()) if several else results[exercise.returns[0]]

    for mistake in exercise.mistakes:
        with np.errstate(all="ignore"):
            found = marking.mark(exercise, lambda given, m=mistake: Reply(answered(m, given), ()), 1)
        assert mistake.words in found.complaint.words


# ------------------------------------------------------------ planted mistakes: the file, and words that name the mistake

SIGMOID = "if name == 'sigmoid':\n    y = 0.5 + 0.5 * np.tanh(x / 2)\n    return y, y * (1 - y)\n"
SHIFTED = "e = np.exp(z - z.max(axis=1, keepdims=True))\n"
CE = "p = np.exp(z - z.max(axis=1, keepdims=True)); p /= p.sum(axis=1, keepdims=True); n = len(z); r = np.arange(n)\n"
BN = "m = x.mean(axis=0); v = x.var(axis=0); s = np.sqrt(v + epsilon); h = (x - m) / s\n"
BN_END = "return gamma * h + beta, dx, (dy * h).sum(axis=0), dy.sum(axis=0)"
POOL = """
r, c = x.shape[1] // 2, x.shape[2] // 2
blocks = x[:, :2 * r, :2 * c].reshape(len(x), r, 2, c, 2, -1)
y = blocks.max(axis=(2, 4))
"""
LOOP = """
W = W.copy()
for epoch in range(epochs):
    order = rng.permutation(len(X))
    for i in range(0, len(X), batch_size):
        rows = order[i:i + batch_size]
"""
STEP = "        W -= rate * X[rows].T @ (X[rows] @ W - t[rows]) / len(rows)\n"
CONV = """
h, w = x.shape[1] - W.shape[0] + 1, x.shape[2] - W.shape[1] + 1
y = np.zeros((len(x), h, w, W.shape[3]), x.dtype)
for i in range(h):
    for j in range(w):
"""
ADAM = "m = beta_1 * m + (1 - beta_1) * grad; v = beta_2 * v + (1 - beta_2) * grad * grad\n"

PLANTED = [
    ("dense_forward", "return x @ W.T + b", "transposed W"),
    ("dense_forward", "return x @ W", "bias is missing"),
    ("dense_forward", "x += 0; x *= 2; return x @ W / 2 + b", "changes its input in place: x"),
    ("dense_forward", "b += x.mean(); return x @ W + b", "changes its input in place: b"),
    ("dense_forward", "y = np.zeros((len(x), len(b))); y += x @ W + b; return y", "float32, y is float64"),
    ("dense_forward", "x @ W + b", "returns None: is the return missing"),
    ("dense_forward", "return (x @ W + b).tolist()", "y is a list or tuple of 5"),
    ("dense_forward", "return x @ W + b, x", "y is a list or tuple of 2"),
    ("dense_forward", "return 'y'", "y is a text"),
    ("dense_forward", "y = np.zeros((len(x), len(b)), int); y[:] = x @ W + b; return y", "integers only: the fractions"),
    ("dense_forward", "return np.float32(x @ W + b)", "right to a few digits only"),
    ("dense_forward", "y = x @ W + b\nraise NotImplementedError", "Line 7: not written yet: replace raise"),
    ("dense_forward", "return x @ W + c", r"name 'c' is not defined \(x is"),
    ("dense_forward", "return (x @ W + b) / len(x)", "divided by the 5 rows one time too many"),
    ("dense_forward", "return x @ W + b if len(x) > 1 else x @ W", "not with a batch of one row. The bias is missing"),
    ("dense_forward", "return W @ x + b", r"Line 6: ValueError: the inner sizes of a product with @ differ, 3 and 5\. \(x is"),
    ("dense_forward", "return np.dot(W, x) + b", r"(?s)ValueError.*x is \(5, 3\), W is \(3, 3\)"),
    ("dense_forward", "return np.array([x[i] @ W + b for i in range(5)])", "fails with a batch of one row"),
    ("dense_forward", "y = x @ W + b; y[-1] = 0; return y", "Only the last row"),
    ("dense_forward", "return x @ W + b + np.random.normal() * 1e-3", "something else when it is called again"),
    ("dense_forward", "return np.maximum(x @ W + b, 0)", "y has a wrong value: y\\[2, 2\\] is 0, but"),
    ("dense_db", "return dy.sum(axis=1)", "sum is over the wrong axis"),
    ("dense_db", "return dy.mean(axis=0)", "divided by the 4 rows one time too many"),
    ("dense_db", "return dy.sum()", "one number. Is it a sum over everything"),
    ("dense_db", "return dy.sum(axis=0, keepdims=True)", "axis of length 1 is left over"),
    ("dense_db", "return np.full(dy.shape[1], dy.sum())", "every entry is the sum over all of dy"),
    ("dense_db", "return dy", r"shape \(4, 4\), but should have \(4,\): an axis is left"),
    ("dense_db", "return dy[0] + dy[1] + dy[2] + dy[3]", "fails with a batch of one row: line 6: IndexError"),
    ("dense_db", "return dy.T @ np.ones(len(dy))", "For inputs in float32, db is float64"),
    ("dense_dW", "return x.T @ dy / x.size", "divided by 15, which is not the number of rows"),
    ("dense_dW", "return x @ dy.T", r"shape \(5, 5\), but should have \(3, 3\)\.$"),
    ("dense_dW", "return dy.T @ x", "transposed product"),
    ("dense_dW", "return x.T @ dy / len(x)", "divided by the 5 rows one time too many"),
    ("dense_dW", "return len(x) * x.T @ dy", "summed over the 5 rows, and the batch's mean is missing"),
    ("dense_dW", "return -x.T @ dy", "sign is flipped"),
    ("dense_dW", "return x.T @ dy * (len(x) == 5)", "ordinary batch, but not with a batch of one row. dW is zero"),
    ("dense_dW", "return sum(np.outer(x[i], dy[i]) for i in range(len(x) - 1))", "wrong value"),
    ("dense_dx", "return dy @ W", "transpose is missing"),
    ("dense_dx", "return dy @ W.T / len(dy)", "divided by the 5 rows one time too many"),
    ("dense_dx", "return (W @ dy.T)", "shape .3, 5., but should have .5, 3.: it is transposed"),
    ("activation", "s = lambda a: 1 / (1 + np.exp(-a))\nif name == 'sigmoid':\n    y = s(x)\n    return y, s(y) * (1 - s(y))", "σ′ of an activated value"),
    ("activation", "if name == 'sigmoid':\n    y = 0.5 + 0.5 * np.tanh(x / 2)\n    return y, y * (1 - y)\nif name == 'tanh':\n    y = np.tanh(x)\n    return y, 1 - np.tanh(y)**2\nreturn np.maximum(x, 0), 1.0 * (x > 0)", "tanh′ of an activated value"),
    ("activation", "if name == 'sigmoid':\n    y = 0.5 + 0.5 * np.tanh(x / 2)\n    return y, y * (1 - y)\nif name == 'tanh':\n    return np.tanh(x), 1 - np.tanh(x)\nreturn np.maximum(x, 0), 1.0 * (x > 0)", "square is missing"),
    ("activation", "if name == 'sigmoid':\n    y = 0.5 + 0.5 * np.tanh(x / 2)\n    return y, y * (1 - y)\nif name == 'tanh':\n    return np.tanh(x), 1 - np.tanh(x)**2\nx[x < 0] = 0\nreturn x, 1.0 * (x > 0)", "in place: x"),
    ("activation", SIGMOID + "if name == 'tanh':\n    y = np.tanh(x)\n    return y, 1 - y**2", r'not for "relu"\. The function returns None'),
    ("activation", SIGMOID + "if name == 'tanh':\n    y = np.tanh(x)\n    return y, 1 - y**2\nreturn np.maximum(x, 0), x > 0", 'not for "relu"\\. slope is bool, and not float64'),
    ("activation", SIGMOID + "raise NotImplementedError", 'fails for "tanh": line 9: not written yet'),
    ("activation", SIGMOID + "if name == 'tanh':\n    y = np.tanh(x)\n    return y, 1 - y**2\nreturn np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)", "float32, slope is float64"),
    ("activation", SIGMOID + "if name == 'tanh':\n    y = (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))\n    return y, 1 - y**2\nreturn np.maximum(x, 0), (x > 0).astype(x.dtype)", '"tanh" and large x. y is NaN'),
    ("activation", "y = 1 / (1 + np.exp(-x))\nreturn y * (1 - y), y", "wrong order: slope, y"),
    ("softmax", "e = np.exp(z - z.max(axis=1))\nreturn e / e.sum(axis=1, keepdims=True)", "maxima are subtracted along the wrong axis"),
    ("softmax", SHIFTED + "return e / e.sum(axis=0)", "sum is over the wrong axis"),
    ("softmax", SHIFTED + "return e / e.sum(axis=1)", "keepdims is missing"),
    ("softmax", SHIFTED + "return e / e.sum()", "sum is over the whole batch"),
    ("softmax", "return 1 / (1 + np.exp(-z))", "sigmoid of each logit"),
    ("softmax", "e = np.exp(z)\nreturn e / e.sum(axis=1, keepdims=True)", "maximum is not subtracted"),
    ("softmax", "e = np.exp(z - z.max())\nreturn e / e.sum(axis=1, keepdims=True)", "maximum is that of the whole batch"),
    ("softmax", "e = np.exp(z)\nreturn e / e.sum(axis=0)", "sum is over the wrong axis"),
    ("softmax", "e = np.exp(z)\nreturn e / e.sum(axis=1)", "keepdims is missing"),
    ("softmax", "z -= z.max(axis=1, keepdims=True)\ne = np.exp(z)\nreturn e / e.sum(axis=1, keepdims=True)", "in place: z"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]).mean(), d", "dz is 5 times what it should be: .*batch's mean is missing"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]).sum(), d / n", "L is 5 times .*batch's mean is missing"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]).mean(), d / n", "probability that was rounded to 0"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t] + 1e-8).mean(), d / n", "small number is added inside the logarithm"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]).mean(), d / z.size", "mean over the rows, not over all entries"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]).mean(), d * p * (1 - p) / n", "multiplied by p .1 − p., too"),
    ("softmax_cross_entropy", CE + "return -np.log(p[r, t]).mean(), p / n", "one-hot targets are not subtracted"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[r, t]), d / n", "L has shape .5,., .*one number. Is a sum or a mean missing"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[:, t] -= 1; return -np.log(p[r, t]).mean(), d / n", "takes whole columns"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; return -np.log(p[:, t]).mean(), d / n", "is a matrix"),
    ("softmax_cross_entropy", CE + "d = p.copy(); d[r, t] -= 1; m = z.max(axis=1)\nreturn (np.log(np.exp(z - m[:, None]).sum(axis=1)) - z[r, t]).mean(), d / n", "not added again"),
    ("softmax_cross_entropy", CE + "return -np.log(p[r, t]).mean()", "one result, but 2 are expected"),
    ("squared_error", "return 0.5 * np.sum((y - t)**2) / len(y), y - t", "dy is 5 times .*batch's mean is missing"),
    ("squared_error", "return 0.5 * np.mean((y - t)**2), (y - t) / len(y)", "mean over all entries"),
    ("squared_error", "return np.mean((y - t)**2), 2 * (y - t) / y.size", "mean over all entries, and lacks the ½"),
    ("squared_error", "return (y - t) / len(y), 0.5 * np.sum((y - t)**2) / len(y)", "wrong order: dy, L"),
    ("squared_error", "return np.sum((y - t)**2) / len(y), 2 * (y - t) / len(y)", "L is 2 times .*factor of ½ is missing"),
    ("squared_error", "return 0.5 * np.sum((y - t)**2) / len(y), (t - y) / len(y)", "sign is flipped"),
    ("squared_error", "return 0.5 * np.sum((y - t)**2) / 5, (y - t) / 5", "not with a batch of one row. .*divided by the 5|batch of one row"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (rng.random(x.shape) < keep).astype(x.dtype)\nreturn x * m, m", "without its scale"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (rng.random(x.shape) < keep).astype(x.dtype)\nreturn x * m / keep, m", "factor has no scale"),
    ("dropout", "m = (rng.random(x.shape) < keep).astype(x.dtype) / keep\nreturn x * m, m", "in prediction"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (rng.random(x.shape) > keep).astype(x.dtype) / (1 - keep)\nreturn x * m, m", "probability of being dropped"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (rng.random(x.shape) < 1 - keep).astype(x.dtype) / keep\nreturn x * m, m", "kept with the probability 1 − keep"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (rng.random(x.shape) < keep).astype(x.dtype) / (1 - keep)\nreturn x * m, m", "divided by 1 − keep: divide by keep"),
    ("dropout", "if not training: return x.copy(), np.ones_like(x)\nm = (np.random.rand(*x.shape) < keep).astype(x.dtype) / keep\nreturn x * m, m", "something else when it is called again"),
    ("dropout", "m = (rng.random(x.shape) < keep).astype(x.dtype) / keep if training else np.ones(x.shape)\nreturn x * m, m", "float32, y is float64"),
    ("momentum", "v = mu * v + grad\nreturn theta - rate * v, v", "some libraries write"),
    ("momentum", "v = mu * v - rate * grad\nreturn v, theta + v", "wrong order: v, theta"),
    ("momentum", "n = mu * v - rate * grad\nreturn theta + v, n", "moved by the old v"),
    ("momentum", "v = mu * v - (1 - mu) * rate * grad\nreturn theta + v, v", "average of gradients"),
    ("momentum", "v *= mu; v -= rate * grad\nreturn theta + v, v", "in place: v"),
    ("adam", ADAM + "return theta - rate * m / (np.sqrt(v) + epsilon), m, v", "bias correction is missing"),
    ("adam", ADAM + "return theta - rate * m / (1 - beta_1**t) / (np.sqrt(v) + epsilon), m, v", "bias correction of v is"),
    ("adam", ADAM + "return theta - rate * m / (1 - beta_1) / (np.sqrt(v / (1 - beta_2)) + epsilon), m, v", "power t is missing"),
    ("adam", ADAM + "return theta - rate * m / (1 - beta_1**t) / np.sqrt(v / (1 - beta_2**t) + epsilon), m, v", "ε is inside the square root"),
    ("adam", ADAM + "t = t + 1\nreturn theta - rate * m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v", "one too large"),
    ("adam", ADAM + "return theta - rate * m / (1 - beta_1**t) / np.sqrt(v / (1 - beta_2**t)), m, v", "ε is missing"),
    ("adam", ADAM + "return theta + rate * m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v", "the loss rises"),
    ("adam", ADAM + "m = m / (1 - beta_1**t)\nreturn theta - rate * m / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v", "would be corrected again"),
    ("training_loop", LOOP + STEP.replace("len(rows)", "batch_size") + "return W", "last batch is divided by batch_size"),
    ("training_loop", LOOP + STEP.replace(" / len(rows)", "") + "return W", "batch's mean is missing"),
    ("training_loop", LOOP.replace("rng.permutation(len(X))", "np.arange(len(X))") + STEP + "return W", "not shuffled"),
    ("training_loop", LOOP.replace("W = W.copy()", "") + STEP + "return W", "in place: W"),
    ("training_loop", LOOP + STEP.replace("W -=", "dW =") + "return W", "W is W as it came in"),
    ("training_loop", LOOP.replace("order = ", "X = X[rng.permutation(len(X))]; order = np.arange(len(X)) #") + STEP + "return W", "X is shuffled and t is not"),
    ("training_loop", LOOP + STEP + "    return W", "stops after the first epoch"),
    ("training_loop", LOOP.replace("len(X), batch", "len(X) - batch_size + 1, batch") + STEP + "return W", "short batch of each epoch is left out"),
    ("batch_norm", BN + "dx = gamma * dy / s\n" + BN_END, "mean and the variance as constants"),
    ("batch_norm", BN + "dx = gamma / s * (dy - dy.mean(axis=0))\n" + BN_END, "treats the variance as a constant"),
    ("batch_norm", BN.replace("np.sqrt(v + epsilon)", "np.sqrt(v) + epsilon") + "dx = dy\n" + BN_END, "ε is added outside the square root"),
    ("batch_norm", BN + "dx = dy\n" + BN_END.replace("gamma * h + beta", "h"), "y is x̂"),
    ("batch_norm", BN.replace("x.var(axis=0)", "x.var(axis=0, ddof=1)") + "dx = dy\n" + BN_END, "divided by n − 1"),
    ("batch_norm", BN.replace("axis=0", "axis=1, keepdims=True") + "dx = dy\n" + BN_END, "wrong axis"),
    ("convolution", CONV + "        y[:, i, j] = np.einsum('nuvc,uvcf->nf', x[:, i:i+W.shape[0], j:j+W.shape[1]], W[::-1, ::-1])\nreturn y + b", "kernel is flipped"),
    ("convolution", CONV + "        y[:, i, j] = np.einsum('nuvc,uvcf->nf', x[:, i:i+W.shape[0], j:j+W.shape[1]], W)\nreturn y", "bias is missing"),
    ("convolution", CONV + "        y[:, i, j] = np.einsum('nuvc,uvcf->nf', x[:, i:i+3, j:j+3], W)\nreturn y + b", "fails with a kernel of 2 × 3"),
    ("max_pooling", POOL + "dx = np.zeros_like(x); dx[:, :2*r, :2*c] = dy.repeat(2, axis=1).repeat(2, axis=2)\nreturn y, dx", "all four entries"),
    ("max_pooling", POOL.replace(".max", ".mean") + "return y, np.zeros_like(x)", "mean of each block"),
    ("max_pooling", "r, c = x.shape[1] // 2, x.shape[2] // 2\ny = x.reshape(len(x), r, 2, c, 2, -1).max(axis=(2, 4))\nu = y.repeat(2, axis=1).repeat(2, axis=2)\nreturn y, (x == u) * dy.repeat(2, axis=1).repeat(2, axis=2)", "fails with an odd height"),
    ("own_loss", "e = y - t\nreturn np.abs(e).sum(axis=1).mean(), np.sign(e)", "(?s)not the derivative of L.*5 times the numeric"),
    ("own_loss", "e = y - t\nreturn np.abs(e).sum(), np.sign(e)", "batch's mean is missing"),
    ("own_loss", "return (t - y).sum(axis=1).mean(), -np.ones_like(y) / len(y)", "not smallest where y = t"),
    ("own_loss", "e = y - t + 0.1\nreturn np.abs(e).sum(axis=1).mean(), np.sign(e) / len(y)", "not smallest where y = t"),
    ("own_loss", "e = y - t / 2\nreturn (e**2).sum(axis=1).mean(), 2 * e / len(y)", "not smallest where y = t"),
    ("own_loss", "return int(((y - t)**2).sum(axis=1).mean()), np.zeros_like(y)", "zero everywhere"),
    ("own_loss", "return ((y - t)**2).sum(axis=1).mean(), None", "dy is None"),
    ("own_loss", "e = y - t\nreturn (e**2).mean(axis=1), e", "should be one number"),
    ("own_loss", "return (y**2).sum(axis=1).mean(), 2 * y / len(y)", "not smallest where y = t"),
    ("weight_decay", "return L + strength * np.sum(W**2) / 2, dW + strength * W, db + strength * b", "biases are penalized"),
    ("weight_decay", "return L + strength * np.sum(W**2) / 2, dW, db", "penalty is missing in dW"),
    ("weight_decay", "return L + strength * np.sum(W**2), dW + strength * W, db", "factor ½ of the penalty is missing"),
    ("weight_decay", "return L + strength * np.sum(W**2) / 2, dW + 2 * strength * W, db", "factor 2 too many"),
    ("find_momentum", "return theta - rate * gradients.sum(axis=0)", "plain gradient descent"),
    ("find_momentum", "v = 0 * theta\nfor g in gradients:\n    v = mu * v - (1 - mu) * g\n    theta = theta + v\nreturn theta", "wrong value"),
    ("find_mean", "e = x @ W + b - t\nreturn 0.5 * np.sum(e**2) / len(x), x.T @ e / len(x), e.sum(axis=0)", "db is summed, too"),
    ("find_schedule", "return rate / (1 + decay * np.arange(1, epochs + 1))", "one epoch ahead"),
]  # fmt: skip


@pytest.mark.parametrize("name", BY_NAME)
def test_planted_mistakes_are_named(name):
    bodies = {body: words for exercise, body, words in PLANTED if exercise == name}
    assert bodies or find(BY_NAME[name]).planted
    for body, words in bodies.items():
        found = marked(name, written(name, body))
        assert found.points < find(BY_NAME[name]).points, body
        assert re.search(words, found.complaint.words), (body, found.complaint)
        assert found.complaint.stronger
        assert found.complaint.stronger != found.complaint.words


OTHERS = [
    ("dense_forward", "print('x' * 10**6)\nreturn np.einsum('ik,kj->ij', x, W) + b"),
    ("dense_forward", "return np.array([[sum(x[i, k] * W[k, j] for k in range(len(W))) + b[j] for j in range(len(b))] for i in range(len(x))])"),
    ("dense_db", "return sum(dy)"),
    ("dense_dW", "return np.einsum('ni,nj->ij', x, dy)"),
    ("dense_dx", "return np.array([W @ row for row in dy])"),
    ("activation", SIGMOID + "if name == 'tanh': return [np.tanh(x), 1 / np.cosh(x)**2]\nreturn x * (x > 0), np.heaviside(x, 0)"),
    ("softmax", "return np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])"),
    ("softmax_cross_entropy", "s = np.logaddexp.reduce(z, axis=1); Y = np.eye(z.shape[1], dtype=z.dtype)[t]\nreturn np.mean(s - (z * Y).sum(axis=1)), (np.exp(z - s[:, None]) - Y) / len(z)"),
    ("squared_error", "e = (t - y).ravel()\nreturn 0.5 * e @ e / len(y), (y - t) / len(y)"),
    ("dropout", "if not training: return x, np.ones_like(x)\nm = (rng.random(x.shape) > 1 - keep).astype(x.dtype) / keep\nreturn x * m, m"),
    ("dropout", "if not training: return x, np.ones_like(x)\nm = rng.binomial(1, keep, x.shape).astype(x.dtype) / keep\nreturn x * m, m"),
    ("momentum", "step = lambda a, g: a * mu - g * rate\nreturn theta + step(v, grad), step(v, grad)"),
    ("adam", "m = m + (1 - beta_1) * (grad - m); v = v + (1 - beta_2) * (grad**2 - v); a = (1 - beta_2**t)**0.5\nreturn theta - rate * a / (1 - beta_1**t) * m / (v**0.5 + epsilon * a), m, v"),
    ("training_loop", LOOP.replace("order = ", "p = ").replace("len(X))", "len(X)); X = X[p]; t = t[p]; order = np.arange(len(X))", 1) + STEP + "return W"),
    ("training_loop", "order = np.arange(len(X))" + LOOP.replace("order = rng.permutation(len(X))", "rng.shuffle(order)") + STEP + "return W"),
    ("batch_norm", BN + "n = len(x); d = dy * gamma; dx = (n * d - d.sum(0) - h * (d * h).sum(0)) / (n * s)\n" + BN_END),
    ("convolution", "p = np.lib.stride_tricks.sliding_window_view(x, W.shape[:2], axis=(1, 2))\nreturn np.einsum('nijcuv,uvcf->nijf', p, W) + b"),
    ("max_pooling", "y = np.zeros_like(dy); dx = np.zeros_like(x)\nfor n, i, j, c in np.ndindex(*dy.shape):\n    b = x[n, 2*i:2*i+2, 2*j:2*j+2, c]; u, v = divmod(b.argmax(), 2)\n    y[n, i, j, c] = b.max(); dx[n, 2*i+u, 2*j+v, c] = dy[n, i, j, c]\nreturn y, dx"),
    ("own_loss", "e = y - t\nreturn np.abs(e).sum(axis=1).mean(), np.sign(e) / len(y)"),
    ("own_loss", "e = y - t\nreturn float((e**2).sum(axis=1).mean()), 2 * e / len(y)"),
    ("own_loss", "e = y - t\nreturn np.maximum(2 * e, -e).sum(axis=1).mean(), np.where(e > 0, 2, -1).astype(y.dtype) / len(y)"),
    ("own_loss", "e = y - t\nreturn np.maximum(np.abs(e) - 0.1, 0).sum(axis=1).mean(), np.sign(e) * (np.abs(e) > 0.1) / len(y)"),
    ("weight_decay", "return L + strength * np.linalg.norm(W)**2 / 2, np.add(dW, np.multiply(W, strength)), db.copy()"),
    ("find_hidden_layer", "a = 1 / (1 + np.exp(-x @ W)); dy = (a @ V - t) / len(x)\nreturn 0.5 * np.sum((a @ V - t)**2) / len(x), x.T @ (dy @ V.T * a * (1 - a)), a.T @ dy"),
    ("find_mean", "e = (x @ W + b - t) / len(x)\nreturn 0.5 * np.sum(e**2) * len(x), x.T @ e, e.sum(axis=0)"),
    ("find_in_place", "z = x @ W; a = z.copy(); a[a < 0] = 0\nreturn z + a, (dy + np.where(z > 0, dy, 0)) @ W.T"),
    ("find_broadcast", "e = (x @ W + b)[:, 0] - t\nreturn 0.5 * np.mean(e**2), x.T @ e[:, None] / len(x)"),
    ("find_momentum", "v = 0 * theta\nfor g in gradients:\n    v = mu * v + g\n    theta = theta - rate * v\nreturn theta"),
    ("find_schedule", "return rate / (1 + decay * np.arange(epochs))"),
]  # fmt: skip


@pytest.mark.parametrize("name", BY_NAME)
def test_other_right_answers_are_right(name):
    bodies = [body for exercise, body in OTHERS if exercise == name]
    assert bodies
    for body in bodies:
        assert marked(name, written(name, body)).complaint is None, body


def test_a_function_of_another_name_is_not_there(marker):
    found = marker.mark(2, "def db(dy): return dy.sum(axis=0)")
    assert found.complaint.words == "The file has no function dense_db: keep its name."
    assert marker.mark(2, "dense_db = lambda dy: dy.sum(axis=0)").complaint is None


# ------------------------------------------------------------ hostile and broken files

BROKEN = {
    "an endless loop": ("while True: pass", "time", "No answer within 1 s"),
    "a memory bomb": ("return np.ones(10**12)", "memory", "needs more than 64 MB"),
    "a growing list": ("a = []\nwhile True: a.append(bytearray(10**6))", "memory", "Line 7: needs more than"),
    "a syntax error": ("return (x", "syntax", r"Line 6: SyntaxError: '\(' was never closed"),
    "a missing import": ("import torch_is_not_here", "import", "need NumPy and nothing else"),
    "our solution": ("from chainrule.layers import Dense", "import", "plain NumPy"),
    "sys.exit": ("import sys; sys.exit()", "exit", "calls sys.exit"),
    "os._exit": ("import os; os._exit(0)", "exit", "ended the process"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "exit", "ended the process"),
    "waiting for input": ("input()", "input", "Line 6: input\\(\\) has nothing to read"),
    "recursion": ("return dense_forward(x, W, b)", "recursion", "calls itself without end"),
    "garbage on the channel": (
        "import os\nfor i in range(3, 20):\n    try: os.write(i, b'x' * 10000)\n    except OSError: pass\nreturn x",
        "channel", "only return values count",
    ),
    "another dtype": ("return np.array([1, None])", "type", "array of object"),
    "a huge integer": ("return 10**5000", "type", "value of type int"),
    "a list in itself": ("a = []; a.append(a); return a", "recursion", "without end"),
    "an exception that cannot be shown": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "exit", "ended the process",
    ),
}  # fmt: skip


@pytest.mark.few(1)
@UNIX
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_an_answer(what):
    body, kind, words = BROKEN[what]
    with Marker(Limits(1.0, 64)) as marker:
        found = marker.mark(1, written("dense_forward", body))
        assert found.points == 0
        assert found.complaint.kind == kind, found
        assert re.search(words, found.complaint.words), found
        assert marker.mark(1, find(1).answer).points == 3  # the next file is marked as ever


@UNIX
def test_a_process_can_neither_fork_nor_write_files(tmp_path):
    tmp_path.chmod(0o777)
    with Marker(SOON) as marker:
        if os.geteuid() == 0 or sys.platform == "linux":
            found = marker.mark(1, written("dense_forward", "import os; os.fork(); return x @ W + b"))
            assert "BlockingIOError" in found.complaint.words
        file = tmp_path / "x"
        found = marker.mark(
            1, written("dense_forward", f"open({str(file)!r}, 'w').write('x' * 9999); return x @ W + b")
        )
        assert found.points == 0
        assert not file.exists() or file.stat().st_size == 0


@pytest.mark.few(1)
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@pytest.mark.parametrize("target", ["os.getppid()", "-1", "1", "PARENT"])
def test_a_process_cannot_end_the_one_that_started_it(target):
    """Nor others of the same user, which a process could if it were not apart."""
    with Worker(SOON) as worker:
        worker.open("import os\ndef f(): return os.getpid()", "f.py", "f")
        if worker.call(()).result != 2:
            pytest.skip("this machine allows no namespaces")
        target = target.replace("PARENT", str(os.getpid()))
        worker.open(f"import os\ndef f():\n    os.kill({target}, 9)", "f.py", "f")
        with contextlib.suppress(FailureError):
            assert worker.call(()).result is None
    with Worker(SOON) as worker:
        worker.open("def f(): return 3", "f.py", "f")
        assert worker.call(()).result == 3


@UNIX
def test_an_interrupted_grade_ends_at_once(tmp_path):
    for i in range(4):
        (tmp_path / f"s{i}").mkdir()
        (tmp_path / f"s{i}" / f"{stem(2)}.py").write_text(find(2).answer + "\nwhile True: pass\n", encoding="utf-8")
    begun = time.monotonic()

    def stop(_):
        raise KeyboardInterrupt

    (tmp_path / "r").mkdir()
    (tmp_path / "r" / f"{stem(2)}.py").write_text(find(2).answer, encoding="utf-8")
    folders = [tmp_path / "r", *(tmp_path / f"s{i}" for i in range(4))]
    with pytest.raises(KeyboardInterrupt):
        grading.grade_all(folders, Limits(60.0, 128), 0, stop)
    assert time.monotonic() - begun < 50  # of four minutes by the clock


TAMPERING = """
import sys, gc
import numpy as np
np.allclose = np.array_equal = lambda *a, **k: True
for module in list(sys.modules.values()):
    for name in ("same", "mark", "points", "_compared"):
        if hasattr(module, name):
            setattr(module, name, lambda *a, **k: True)

class Right(np.ndarray):
    def __eq__(self, other): return True
    def __array_ufunc__(self, *a, **k): return True

def {name}(*arguments, **more):
    frame = sys._getframe()
    while frame is not None:
        for key, value in list(frame.f_locals.items()):
            if isinstance(value, dict):
                value.update(points=100, error=None, changed=[], ok=True, right=True)
        frame = frame.f_back
    return np.zeros(()).view(Right)
"""


@pytest.mark.slow
def test_a_file_that_tampers_with_the_checker_gets_nothing():
    with Marker(SOON) as marker:
        for number in (1, 5, 7, 16, 19, 23):
            assert marker.mark(number, TAMPERING.replace("{name}", find(number).name)).points == 0
        assert marker.mark(2, find(2).answer).points == 3


def test_a_file_that_changes_numpy_spoils_no_other(marker):
    spoiled = find(1).answer + "\nnp.ndarray.sum = None\nnp.exp = np.sin\n".replace("np.ndarray.sum = None\n", "")
    with Marker(SOON) as found:
        assert found.mark(1, spoiled).points == 3
        assert found.mark(6, find(6).answer).points == 4


def test_frames_that_are_not_ours_are_refused():
    """Nothing that a child can send raises anything but ChannelError, and nothing large is made from it."""

    def read(content):
        return child.read(io.BufferedReader(io.BytesIO(content)), token)

    token = b"t" * child.TOKEN
    good = io.BytesIO()
    child.write(good, token, {"number": 1}, (np.arange(6.0).reshape(2, 3), None, "a", child.Seed(3)), 2)
    values = read(good.getvalue())["values"]
    assert values[0][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert values[0][1:] == (None, "a", 3)
    assert isinstance(values[0][3], child.Seed)
    for header in (
        b'{"values": [{"array": ["<f8", 1000000000]}]}', b'{"values": [{"array": ["<f8", -1]}]}', b'{"values": 3}',
        b'{"values": [{"array": ["O", 1]}]}', b'{"values": [{"array": ["<f8", 1e400]}]}', b"[1]", b"not json",
        b'{"values": [{}]}', b'{"values": [{"seed": null}]}', b"[" * 10**5, b'{"values": [{"array": []}]}', b"\xff",
        b'{"values": [{"array": ["<f8", "9" ]}]}', b"1" * 10**4,
    ):  # fmt: skip
        frame = token + len(header).to_bytes(4, "little") + (0).to_bytes(4, "little") + header
        with pytest.raises(child.ChannelError):
            read(frame)
    with pytest.raises(MemoryError):  # of the file, and not of the checker
        child.write(io.BytesIO(), token, {}, "x" * child.MOST_HEADER)
    with pytest.raises(child.ChannelError):
        read(b"u" * child.TOKEN + b"\0" * 8)
    with pytest.raises(child.ChannelError):
        read(token + b"\xff" * 8)


def test_what_a_file_prints_is_kept(marker):
    marker.mark(1, written("dense_forward", "print('shape', x.shape); return x @ W"))
    assert "shape (5, 3)" in marker.printed


# ------------------------------------------------------------ a learner's folder


def run(*arguments, status=0):
    result = CliRunner().invoke(app, ["course", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.mark.slow
def test_the_course_solved_by_its_solutions_gets_all_points(tmp_path):
    assert "47 files written" in run("start", tmp_path)
    shown = run("check", "--folder", tmp_path)
    assert "0 of 100 points; done: 0 of 23 exercises" in shown
    for number in NUMBERS:
        (tmp_path / f"{stem(number)}.py").write_text(run("solution", number), encoding="utf-8")
    assert "0 files written" in run("start", tmp_path)  # and what is there stays
    shown = run("check", "--folder", tmp_path)
    assert "100 of 100 points; done: 23 of 23 exercises" in shown
    assert shown.count("The gradient check finds an error of") == sum(e.gradients is not None for e in EXERCISES)
    kept = json.loads((tmp_path / "progress.json").read_text())
    assert sum(entry["points"] for entry in kept["exercises"].values()) == 100


@pytest.mark.slow
def test_hints_get_stronger(tmp_path):
    run("start", tmp_path)
    file = tmp_path / "03_dense_dW.py"
    file.write_text(written("dense_dW", "return dy.T @ x"), encoding="utf-8")
    first = run("check", 3, "--folder", tmp_path, status=1)
    assert "transposed product" in first
    assert "Hint" not in first
    second = run("check", 3, "--folder", tmp_path, status=1)
    assert "Hint: Swap the two" in second
    assert "course solution 3" in " ".join(run("check", 3, "--folder", tmp_path, status=1).split())
    file.write_text(written("dense_dW", "return -x.T @ dy"), encoding="utf-8")
    assert "Hint" not in run("check", 3, "--folder", tmp_path, status=1)  # another mistake
    file.write_text(written("dense_dW", "return x.T @ dy"), encoding="utf-8")
    assert "4 of 4 points" in run("check", 3, "--folder", tmp_path)
    assert "dV is right" in run("check", 18, "--folder", tmp_path, status=1)  # the planted mistake shows itself
    body = "for i in range(20): print('row', i)\nraise NotImplementedError"
    (tmp_path / "05_activation.py").write_text(written("activation", body), encoding="utf-8")
    shown = run("check", "--folder", tmp_path, status=1)
    assert "Line 7: not written yet: replace raise" in shown
    assert "row 9\n" in shown
    assert "row 10" not in shown
    assert "more than is shown" in shown


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"format": 2, "exercises": {}}', b'{"format": 1, "exercises": 3}',
        b'{"format": 1, "exercises": {"dense_db": 7, "dense_dx": {"points": "x", "times": -3, "kind": [1]}}}',
        b'{"format": 1, "exercises": {"dense_db": {"points": 99, "times": true}}}', b"[" * 10**5,
    ],
)  # fmt: skip
def test_damaged_progress_is_no_error(content, tmp_path):
    run("start", tmp_path)
    (tmp_path / "progress.json").write_bytes(content)
    (tmp_path / "02_dense_db.py").write_text(find(2).answer, encoding="utf-8")
    assert "3 of 100 points" in run("check", 2, "--folder", tmp_path)


def test_a_learners_folder_may_be_odd(tmp_path):
    assert CliRunner().invoke(app, ["course", "check", "--folder", str(tmp_path)]).exit_code == 2
    run("start", tmp_path)
    (tmp_path / "01_dense_forward.py").unlink()
    (tmp_path / "02_dense_db.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "04_dense_dx.py").unlink()
    (tmp_path / "04_dense_dx.py").mkdir()
    assert "writes it again" in run("check", 1, "--folder", tmp_path, status=1)
    assert "not UTF-8 text" in run("check", 2, "--folder", tmp_path, status=1)
    assert "not a file" in run("check", 4, "--folder", tmp_path, status=1)
    assert CliRunner().invoke(app, ["course", "check", "99", "--folder", str(tmp_path)]).exit_code == 2
    named = CliRunner().invoke(app, ["course", "check", "mine"])
    assert named.exit_code == 2
    assert "expected a whole number, such as 10, got 'mine'." in named.output


# ------------------------------------------------------------ a class


@UNIX
@pytest.mark.slow
def test_a_class_of_thirty_is_graded(tmp_path):
    hostile = [body for body, *_ in BROKEN.values()]
    for i in range(30):
        folder = tmp_path / "class" / f"student {i:02}"
        folder.mkdir(parents=True)
        for number in NUMBERS[: 6 - i % 3]:
            (folder / f"{stem(number)}.py").write_text(find(number).answer, encoding="utf-8")
        if i < len(hostile):
            (folder / "01_dense_forward.py").write_text(written("dense_forward", hostile[i]), encoding="utf-8")
        elif i == 20:
            (folder / "02_dense_db.py").write_text(TAMPERING.replace("{name}", "dense_db"), encoding="utf-8")
    (tmp_path / "class" / "=1+1").mkdir()
    table = tmp_path / "grades.csv"
    run("grade", tmp_path / "class", "--csv", table, "--seconds", 1, "--memory", 64)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == 31
    for i, row in enumerate(rows[1:]):
        missing = sum(find(n).points for n in NUMBERS[6 - i % 3 :])
        lost = 3 * (i < len(hostile)) + 3 * (i == 20)
        assert int(row["points"]) == 100 - missing - lost, row
        assert bool(row["remarks"]) == bool(lost)
    assert "No answer within 1 s" in rows[1]["remarks"]
    assert "64 MB" in rows[2]["remarks"]
    assert rows[0]["points"] == "0"


def test_cells_are_no_formulas():
    mark = grading.Mark(0, grading.Complaint("x", "=cmd()", ""))
    text = grading.to_csv([grading.Grade("=1+1", (mark,) * len(NUMBERS))])
    assert text.splitlines()[1].startswith("'=1+1,0,100,0")


def test_hidden_cases_find_answers_that_were_learned_by_heart(tmp_path):
    """Expected values of the known seed are of no use with another."""
    first = next(iter(find(2).cases(np.random.default_rng(learning.SEED)))).arguments[0]
    body = f"return np.array({first.sum(axis=0).tolist()}) if len(dy) == 4 else dy.sum(axis=0)"
    (tmp_path / f"{stem(2)}.py").write_text(written("dense_db", body), encoding="utf-8")
    assert grading.grade(tmp_path, Marker(SOON, 5)).points == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no exercises in"):
        grading.submissions([tmp_path / "empty"])


def test_a_worker_that_is_closed_leaves_nothing():
    with Worker(SOON) as worker:
        worker.open("import os\ndef f(): return os.getcwd()", "f.py", "f")
        folder = worker.call(()).result
        assert Path(folder).is_dir()
        with pytest.raises(FailureError, match="keep its name"):
            worker.open("", "f.py", "f")
    assert not Path(folder).exists()
    worker.close()


# ------------------------------------------------------------ handouts


def test_handouts_differ_and_their_answers_are_right(tmp_path):
    (tmp_path / "names.csv").write_text(
        "id;Name\n1;Ada Lovelace\n2;Jürgen Groß\n3;Ada Lovelace\n4;a_b*\n\n", encoding="utf-8"
    )
    shown = run("handout", tmp_path / "pages", "--students", tmp_path / "names.csv")
    assert "4 pages" in shown
    pages = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "pages").iterdir()}
    assert {*pages} == {"ada-lovelace.md", "ada-lovelace-2.md", "jurgen-gro.md", "a-b.md", "answers.md"}
    assert pages["ada-lovelace.md"] != pages["ada-lovelace-2.md"]
    assert r"# a\_b\*" in pages["a-b.md"]
    first, *_ = handouts.tasks("Jürgen Groß", 0)
    y = first.given["x"] @ first.given["W"] + first.given["b"]
    assert (first.answers["y"] == y).all()
    error = np.maximum(y, 0) - first.given["t"]
    assert first.answers["L"] == 0.5 * (error**2).sum() / 2
    again = run("handout", tmp_path / "tex", "--students", 3, "--format", "latex", "--seed", 1)
    assert "answers.tex" in again
    text = (tmp_path / "tex" / "student-1.tex").read_text(encoding="utf-8")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert text.isascii()
    for wrong in (["--students", "0"], ["--students", "1", "--format", "word"], ["--students", tmp_path]):
        assert CliRunner().invoke(app, ["course", "handout", str(tmp_path / "x"), *map(str, wrong)]).exit_code == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_handouts_in_latex_compile_for_every_name(tmp_path):
    letters = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA1, 0x180), 0x218, 0x1EC7, 0x674E, 0x1F600]))
    handouts.write(tmp_path, ["Ada", "李", *(letters[i : i + 30] for i in range(0, len(letters), 30))], "latex", 0)
    for file in tmp_path.glob("*.tex"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
        said = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, said
        assert "Overfull" not in said, said


@pytest.mark.parametrize("seed", range(20))
def test_answers_on_paper_agree_with_the_library(seed):
    _, backward, momentum, convolution, pooling = handouts.tasks(f"student {seed}", seed)
    given, answers = backward.given, backward.answers
    assert (answers["dW"] == given["x"].T @ (given["da"] * (given["y"] > 0))).all()
    assert (answers["dx"] == answers["dy"] @ given["W"].T).all()
    theta, v = momentum.given["θ"].astype(float), np.zeros(2)
    for g in ("g₁", "g₂"):
        theta, v = find(10).solution(theta, v, momentum.given[g], 1.0, 0.5)
    assert (momentum.answers["θ after 2"] == theta).all()
    x, W = convolution.given["x"][None, :, :, None], convolution.given["W"][:, :, None, None]
    assert (convolution.answers["y"] == find(14).solution(x, W, np.zeros(1, int))[0, :, :, 0]).all()
    y, dx = find(15).solution(pooling.given["x"][None, :, :, None], pooling.given["dy"][None, :, :, None])
    assert (pooling.answers["y"] == y[0, :, :, 0]).all()
    assert (pooling.answers["dx"] == dx[0, :, :, 0]).all()
    for task in handouts.tasks(f"student {seed}", seed):
        assert all(np.asarray(value).dtype.kind == "i" for value in (*task.given.values(), *task.answers.values()))
