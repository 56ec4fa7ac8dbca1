"""A worked example: all numbers of one forward pass, one backward pass and one optimizer step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from chainrule.pages.blocks import Heading, Text
from chainrule.pages.formatting import number, rows
from chainrule.pages.page import Page
from chainrule.tracing.computation import Computation, Draws
from chainrule.tracing.equations import symbol
from chainrule.tracing.operations import Example, Index
from chainrule.tracing.page import PHASES, about, blocks
from chainrule.tracing.record import record

ENDINGS = (".html", ".md", ".txt")
LARGEST = 200_000  # characters of the output of a notebook's cell


@dataclass(frozen=True, eq=False)
class Trace(Example):
    """The result of :func:`chainrule.trace`, to print, show in a notebook, or save as HTML, Markdown or text.

    This is not graph tracing: no code is generated from it.

    Attributes
    ----------
    steps : tuple of Operation
        In the order of computation: forward, loss, backward, update, and the updates of further optimizer steps. Their
        arrays are those of the pass itself.
    values : tuple of float
        L before the first optimizer step, and after each.
    value, value_after : float
        The first and the last of them.
    prediction : (batch, outputs) array
        The predictions: the loss's inverse link applied to y of the last layer.
    x, t : arrays
        The batch and its targets.
    network, loss, optimizer, dtype : str
    classes : tuple of str or None
        Names of the classes.
    image_shape : (height, width) or None
    labeled : bool
        Whether t is the true target, not a prediction used in its place.
    title : str
        The title of the page.
    front : tuple of blocks
        What the page says before the worked example, in the blocks of :mod:`chainrule.pages.blocks`.

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

    def page(self, digits: int = 4) -> Page:
        """Return the worked example as a page; ``digits`` is the number of significant digits of an array's maximum."""
        digits = check_count("Trace", "digits", digits)
        return Page(self.title, about(self), tuple(blocks(self, digits)))

    def text(self, width: int = 80, digits: int = 4) -> str:
        """Return the worked example as plain text."""
        return self.page(digits).text(check_count("Trace", "width", width, 40))

    def markdown(self, digits: int = 4) -> str:
        """Return the worked example as Markdown, with equations in LaTeX between dollar signs."""
        return self.page(digits).markdown

    def html(self, digits: int = 4) -> str:
        """Return the worked example as one HTML page without scripts or external resources."""
        return self.page(digits).html

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save the worked example as HTML, Markdown or text, according to the ending: ``.html``, ``.md`` or ``.txt``.

        Raises
        ------
        ValueError
            If the name has another ending.
        FileExistsError
            If the file exists and ``overwrite`` is false.
        """
        path = Path(path)
        check_ending(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} already exists: choose another name, or replace it with overwrite=True.")
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
        """Return the page, or what stands before the steps if it is too large for a notebook."""
        whole = self.page()
        html = whole._repr_html_()
        if len(html) <= LARGEST:
            return html
        steps = next(i for i, block in enumerate(whole.blocks) if isinstance(block, Heading) and block.anchor in PHASES)
        note = f"The {len(self.steps)} steps are too long for a notebook. To see them, type trace.save('example.html')."
        return replace(whole, blocks=(*whole.blocks[:steps], Text(note, "warning"), *whole.blocks[-1:]))._repr_html_()


def check_ending(path: Path) -> None:
    """Raise an error for a name with an unknown ending."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in .html, .md or .txt, got {path.suffix or 'no ending'}.")


def trace(
    network: Network,
    x: MatrixLike,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str | None = None,
    sample_weight: ArrayLike | None = None,
    steps: int = 1,
    training: bool = False,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
    entries: Mapping[int | str, Mapping[str, Sequence[int]]] | None = None,
) -> Trace:
    """Trace a training step: each layer's equations with the numbers of one sample or a small batch.

    Runs ``loss_and_grad`` and optimizer steps on a copy; the network is not modified. One entry of every gradient
    is compared with a central difference of L in float64.

    Parameters
    ----------
    network : Network
    x : (inputs,) or (batch, inputs)
    t : () or (batch,) or (batch, outputs)
        The target or targets, in the form expected by the loss.
    optimizer : Optimizer or str, optional
        Its steps are shown; ``SGD(0.1)`` by default.
    sample_weight : (batch,), optional
    steps : int
        Number of optimizer steps, all on this batch and with the same dropout: with ``Momentum``, a velocity is seen
        from the second one on. They end early if L becomes NaN or infinite.
    training : bool
        Whether dropout is active and normalization uses the statistics of the batch.
    seed : int
        Random seed for dropout.
    classes : sequence of str, optional
        Names of the classes.
    image_shape : (height, width), optional
        Shape of the image, if each row of x is one.
    entries : mapping, optional
        The entries to work out and to check, by layer and gradient: ``{0: {"dW": (1, 2)}}``; ``"2.0"`` is the first
        layer inside layer 2, and ``"loss"`` has ``"dy"``. By default, the largest of each parameter's gradient, and of
        dx for a layer without parameters.

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
    network = network.on_cpu
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
    steps = check_count("trace", "steps", steps)
    draws = Draws(check_count("trace", "seed", seed, 0), network.dtype)
    computation = Computation(network, x, t, weight, training=training, draws=draws)
    wanted = _wanted(computation, entries or {})
    try:
        value = computation.run()
        operations, values = record(computation, chosen, steps, wanted)
    except Exception as error:
        raise ValueError(_failed(network, x, t, error, training=training, draws=draws)) from error
    return Trace(
        tuple(operations),
        (value, *values),
        network.loss.inverse_link(computation.loss.seen.y).copy(),
        x,
        t.copy(),
        repr(network),
        repr(network.loss),
        f"{type(chosen).__name__}, η = {number(chosen.learning_rate, 6)}",
        str(network.dtype),
        names,
        image_shape,
    )


def _wanted(
    computation: Computation, entries: Mapping[int | str, Mapping[str, Sequence[int]]]
) -> dict[tuple[int | str, str], Index]:
    """Return the entries by layer and gradient, checked."""
    shapes: dict[tuple[int | str, str], tuple[int, ...]] = {}
    for layer in computation.all:
        shapes |= {(layer.label, f"d{symbol(name)}"): entry.shape for name, entry in layer.names.items()}
        if not layer.layer.integer_columns():
            shapes[layer.label, "dx"] = (len(computation.x), *layer.input_shape)
    shapes["loss", "dy"] = (len(computation.x), *computation.network.output_shape)
    wanted: dict[tuple[int | str, str], Index] = {}
    for label, by_name in entries.items():
        for name, index in by_name.items():
            shape = shapes.get((label, name))
            if shape is None:
                known = ", ".join(gradient for where, gradient in shapes if where == label)
                raise ValueError(f"entries: layer {label} has no gradient {name!r}. It has: {known or 'none'}.")
            if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
                raise ValueError(f"entries: layer {label}, {name}: expected an index of shape {shape}, got {[*index]}.")
            wanted[label, name] = tuple(map(int, index))
    return wanted


def _failed(network: Network, x: Array, t: Array, error: Exception, *, training: bool, draws: Draws) -> str:
    """Return a message that names the layer that fails, or the loss, and the check to run."""

    def fresh() -> Memo:
        draws.bit_generator.state = draws.start
        return Memo(training=training, rng=draws)

    where = "in training" if training else "in prediction, where memo.training is false"
    return f"trace: {where}, {failure(network, x, t, error, fresh)}. chainrule.check_layer says what to change."
