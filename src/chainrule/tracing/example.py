"""A worked example: every number of one forward pass, one backward pass and one step of the optimizer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import optimizers
from chainrule._internal.checks import check_count
from chainrule._internal.names import named
from chainrule._internal.typing import Array, ArrayLike, MatrixLike, is_sparse
from chainrule.files.writing import write_atomically
from chainrule.gradient_check.failing import failure
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import SGD, Optimizer
from chainrule.pages.formatting import number, rows
from chainrule.pages.page import Page
from chainrule.tracing.computation import Computation, Draws
from chainrule.tracing.page import TITLE, about, blocks
from chainrule.tracing.record import record
from chainrule.tracing.steps import Check, Step

ENDINGS = (".html", ".md", ".txt")


@dataclass(frozen=True, eq=False)
class Trace:
    """The result of :func:`chainrule.trace`: the steps of a worked example, and three ways to print them.

    ``print(trace)`` is the text, a notebook shows the page of :meth:`html`, :meth:`save` writes a file.

    Attributes
    ----------
    steps : tuple of Step
        In the order of the computation: forward, the loss, backward, the update. Their arrays are those of the pass
        itself.
    value, value_after : float
        L, and what it is after the step.
    prediction : (batch, outputs) array
        The loss's link of the last layer's y.
    x, t : the batch and its targets
    network, loss, optimizer, dtype : str
    classes : names of the classes, where they were given
    image_shape : (height, width), where it was given
    labeled : bool
        Whether t is the truth, and not a prediction that stands for it.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(1, [cr.layers.Dense(1, weights="zeros")], "squared_error", dtype="float64")
    >>> trace = cr.trace(network, [[2.0]], [3.0], optimizer=cr.optimizers.SGD(0.1))
    >>> trace.value, round(trace.value_after, 4)                  # ½ · 3², and ½ · (3 − 1.5)²
    (4.5, 1.125)
    >>> for step in trace.steps:
    ...     print(step.phase, *step.worked, sep=": ")
    forward: y[0, 0] = 0 + 0 = 0
    loss: dy[0, 0] = 0 − 3 = −3
    backward: dW[0, 0] = 2 · (−3) = −6
    update: W[0, 0] ← 0 − 0.1 · (−6) = 0.6: b[0] ← 0 − 0.1 · (−3) = 0.3
    """

    steps: tuple[Step, ...]
    value: float
    value_after: float
    prediction: Array
    x: Array
    t: Array
    network: str
    loss: str
    optimizer: str
    dtype: str
    classes: tuple[str, ...] | None = None
    image_shape: tuple[int, int] | None = None
    labeled: bool = True

    @property
    def rows(self) -> int:
        """How many samples were traced."""
        return len(self.x)

    @property
    def checks(self) -> list[Check]:
        """All entries that were checked by central differences."""
        return [check for step in self.steps for check in step.checks]

    def outcome(self, row: int) -> str:
        """Return the target and the prediction of one sample in words, where they are classes; else nothing.

        >>> import chainrule as cr
        >>> network = cr.Network(1, [cr.layers.Dense(2, weights="zeros")], "softmax_cross_entropy")
        >>> cr.trace(network, [1.0], 1, classes=["cat", "dog"]).outcome(0)
        'true: dog, predicted: cat with 0.500'
        """
        p, t = self.prediction[row], self.t[row]
        if np.ndim(t) or len(p) < 2:
            return ""
        names = self.classes or [str(i) for i in range(len(p))]
        true = f"true: {names[int(t)]}, " if self.labeled else ""
        return f"{true}predicted: {names[int(p.argmax())]} with {p.max():.3f}"

    def page(self, digits: int = 4) -> Page:
        """Return the worked example as a page; ``digits`` are the significant ones of an array's largest value."""
        digits = check_count("Trace", "digits", digits)
        return Page(TITLE, about(self), tuple(blocks(self, digits)))

    def text(self, width: int = 100, digits: int = 4) -> str:
        """Return the worked example as plain text."""
        return self.page(digits).text(check_count("Trace", "width", width, 40))

    def markdown(self, digits: int = 4) -> str:
        """Return the worked example as Markdown, with its equations as LaTeX between dollar signs."""
        return self.page(digits).markdown

    def html(self, digits: int = 4) -> str:
        """Return the worked example as one HTML file: nothing is loaded, and no script runs."""
        return self.page(digits).html

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a file of the kind that its ending says: ``.html``, ``.md`` or ``.txt``.

        Raises
        ------
        ValueError
            When the ending is another one.
        FileExistsError
            When the file is there and ``overwrite`` is false.
        """
        path = Path(path)
        check_ending(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} is there already: choose another name, or replace it with overwrite=True.")
        ending = path.suffix.lower()
        written = self.html() if ending == ".html" else self.markdown() if ending == ".md" else self.text()
        write_atomically(path, written.encode())

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def __repr__(self) -> str:
        checked = f"{sum(check.ok for check in self.checks)} of {len(self.checks)} checked entries agree"
        return f"Trace({rows(self.rows, 'sample')}, L {self.value:.4g} -> {self.value_after:.4g}, {checked})"

    def __rich__(self) -> Any:
        return self.page().styled()

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()


def check_ending(path: Path) -> None:
    """Refuse a name with an ending that is not known."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in .html, .md or .txt, got {path.suffix or 'no ending'}.")


def trace(
    network: Network,
    x: MatrixLike,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str | None = None,
    sample_weight: ArrayLike | None = None,
    training: bool = False,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> Trace:
    """Work an example: each layer's equations with the numbers of one sample or a small batch, to print and read.

    One ``loss_and_grad`` runs, and one step of the optimizer on a copy; the network is not changed. One entry of
    every gradient is compared with a central difference of L, in float64.

    Parameters
    ----------
    network : Network
    x : (inputs,) or (batch, inputs)
    t : the target, or the targets, as the loss wants them
    optimizer : Optimizer or str, optional
        Whose first step is shown; ``SGD(0.1)`` by default.
    sample_weight : (batch,), optional
    training : bool
        Whether dropout drops; ``seed`` is for what it draws.
    classes : sequence of str, optional
        What the classes are called.
    image_shape : (height, width), optional
        When a row of x is an image.

    Examples
    --------
    >>> import chainrule as cr
    >>> network = cr.Network(2, [cr.layers.Dense(3), cr.layers.Tanh(), cr.layers.Dense(2)],
    ...                      "softmax_cross_entropy", seed=0)
    >>> trace = cr.trace(network, [0.5, -1.0], 1)  # print(trace), trace.save("example.html")
    >>> trace.steps[0]["y"].shape, trace.steps[-1]["dW"].shape
    ((1, 3), (3, 2))
    >>> trace
    Trace(1 sample, L ...)
    """
    chosen: Optimizer = SGD(0.1) if optimizer is None else named("optimizer", optimizer, Optimizer, optimizers)
    if not is_sparse(x) and np.shape(x) == network.input_shape:
        x, t = np.asarray(x)[np.newaxis], np.asarray(t)[np.newaxis]
    x, t, weight = network.check(x, t, sample_weight)
    x = x.toarray() if is_sparse(x) else x.copy()
    names = None if classes is None else tuple(map(str, classes))
    if names is not None and len(names) != network.output_shape[0]:
        raise ValueError(
            f"classes: expected a name for each of the {network.output_shape[0]} outputs, got {len(names)}."
        )
    if image_shape is not None and int(np.prod(image_shape)) != int(np.prod(network.input_shape)):
        raise ValueError(
            f"image_shape: expected height times width to be the {int(np.prod(network.input_shape))} inputs, "
            f"got {image_shape}."
        )
    if image_shape is None and len(network.input_shape) == 3 and network.input_shape[-1] == 1:
        image_shape = network.input_shape[:2]
    draws = Draws(check_count("trace", "seed", seed, 0), network.dtype)
    computation = Computation(network, x, t, weight, training=training, draws=draws)
    try:
        value = computation.run()
        steps, value_after = record(computation, chosen)
    except Exception as error:
        raise ValueError(_failed(network, x, t, error, training=training, draws=draws)) from error
    return Trace(
        steps,
        value,
        value_after,
        network.loss.link(computation.loss.seen.y).copy(),
        x,
        t.copy(),
        repr(network),
        repr(network.loss),
        f"{type(chosen).__name__}, η = {number(chosen.learning_rate, 6)}",
        str(network.dtype),
        names,
        image_shape,
    )


def _failed(network: Network, x: Array, t: Array, error: Exception, *, training: bool, draws: Draws) -> str:
    """Return which layer, or the loss, does not run, and where to ask why."""

    def fresh() -> Memo:
        draws.bit_generator.state = draws.start
        return Memo(training=training, rng=draws)

    where = "in training" if training else "in prediction, where memo.training is false"
    return f"trace: {where}, {failure(network, x, t, error, fresh)}. chainrule.check_layer says what to change."
