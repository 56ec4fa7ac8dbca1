"""Feed-forward networks: layers, a loss and one flat parameter vector."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import losses
from chainrule._internal.backend import CPU, check_device, device_of, host, like, on_device, to, using
from chainrule._internal.checks import check_count, check_lengths, check_rows, check_seed, check_weights
from chainrule._internal.memory import owned
from chainrule._internal.names import named
from chainrule._internal.showing import Shown
from chainrule._internal.taken import Taken
from chainrule._internal.threads import SMALL, WORTH_ASKING, blas_threads
from chainrule._internal.typing import Array, ArrayLike, Float, MatrixLike, Number, SparseRows, is_sparse
from chainrule.advice import warn_link_twice
from chainrule.layers import Conv2D, Embedding, Identity, Layer
from chainrule.layers.base import SHIPPED, as_layers, initialized
from chainrule.losses import Loss
from chainrule.memo import Memo
from chainrule.parameters import Entry, Layout, locate
from chainrule.workspace import Workspace

ELSEWHERE = {
    "fit": "cr.train(network, X, t, epochs=10)", "train": "cr.train(network, X, t, epochs=10)",
    "compile": "cr.train(network, X, t, optimizer=cr.optimizers.Adam(0.001)): no compile step is needed",
    "evaluate": "cr.evaluate(network, X, t)", "score": "cr.evaluate(network, X, t)",
    "predict_proba": "network.predict(X), which gives probabilities", "summary": "print(network)",
    "parameters": "network.theta, or network.layers[0].W", "get_weights": "network.theta, or network.layers[0].W",
    "state_dict": "network.theta, or cr.save(network, path)", "save": "cr.save(network, path)",
    "load": "cr.load(path)", "trace": "cr.trace(network, x, t)", "folded": "cr.fold(network)",
    "to_onnx": "cr.onnx.save(network, path)", "export": "cr.onnx.save(network, path)",
    "eval": "network.predict(X): dropout does nothing there",
    "add": "cr.Network(inputs, [layer, layer, ...], loss): give all layers at once",
}  # fmt: skip
"""Methods of networks in other libraries, and what to type here."""
CHUNK_BYTES = 2**22  # the widest activation of a chunk in predict(): small enough for the cache
GPU_CHUNKS = 16  # chunks at a time on a GPU, which needs more rows to be busy
MANY = 100_000_000  # operations, some milliseconds of NumPy, from which on predict() asks for machine code


class Engine:
    """The engine that computes y of many rows faster than the layers do; the package sets ``many_rows``.

    A network knows of no engine: those are built on it.
    """

    @staticmethod
    def many_rows(_network: Network, _X: Array) -> Array | None:
        """Return y of all rows, or None."""
        return None


class Network(Shown):
    """A feed-forward network: a sequence of layers followed by a loss.

    .. formula::

        y = layerₙ(… layer₁(x))           L = mean loss(y, t)  over the batch

    Parameters
    ----------
    inputs : int or tuple of int
        The shape of one sample: the number of features, or (height, width, channels) for images.
    layers : sequence of Layer
        Layer specifications. The network copies them and binds the copies to its parameters.
    loss : Loss or str
        An object from :mod:`chainrule.losses`, a custom loss, or a name such as ``"softmax_cross_entropy"``.
    seed : int, optional
        Seed for parameter initialization. The same seed gives a bit-identical network.
    dtype : {"float32", "float64"}
        Floating-point type of parameters and computation.

    Attributes
    ----------
    layers : tuple of Layer
        The bound layers. Their arrays, ``layers[0].W`` and so on, are views of ``theta``.
    theta : (parameters,) array
        All parameters as one flat vector. Modify it in place to change the network.
    statistics : (numbers,) array
        Running statistics of layers such as :class:`~chainrule.layers.BatchNorm`; gradient descent does not update
        them.
    values : (parameters + numbers,) array
        ``theta`` followed by ``statistics``: everything that training changes. Copy it to save the state of the
        network.
    layout, statistics_layout : Layout
        Names, shapes and positions of the arrays in ``theta`` and ``statistics``.
    input_shape, output_shape : tuple of int
        The shapes of one sample of X and of y.
    seed : int, SeedSequence or None
        The seed used for initialization, or None if none was given or the parameters came from elsewhere.

    Raises
    ------
    ValueError
        If layer shapes are incompatible. The message names the layer and both shapes.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.layers import Dense, Tanh
    >>> network = cr.Network(inputs=2, layers=[Dense(10), Tanh(), Dense(2)],
    ...                      loss=cr.losses.SoftmaxCrossEntropy(), seed=0)
    >>> network
    Network: 2 inputs, SoftmaxCrossEntropy(), float32, 52 parameters
      0  Dense(10)  2 -> 10   W (2, 10)  b (10,)
      1  Tanh()     10 -> 10
      2  Dense(2)   10 -> 2   W (10, 2)  b (2,)
    >>> network.predict([[0.0, 1.0]]).shape
    (1, 2)
    """

    def __init__(
        self,
        inputs: int | tuple[int, ...],
        layers: Sequence[Layer],
        loss: Loss | str,
        *,
        seed: int | np.random.SeedSequence | None = None,
        dtype: Any = "float32",
    ) -> None:
        self._plan(inputs, layers, loss, dtype)
        self.allocate()
        self.seed = check_seed("Network", seed)
        warn_link_twice(self.layers, self.loss)
        self.draw(np.random.default_rng(self.seed))

    @classmethod
    def blank(cls, inputs: int | tuple[int, ...], layers: Sequence[Layer], loss: Loss | str, dtype: Any) -> Network:
        """Return a network without parameters: call ``allocate`` to reserve memory, then fill it."""
        network = object.__new__(cls)
        network._plan(inputs, layers, loss, dtype)
        network.seed = None
        return network

    def allocate(self) -> None:
        """Allocate memory for the parameters and the statistics."""
        self._bind(np.empty(self.layout.size + self.statistics_layout.size, self.dtype))

    def _plan(self, inputs: int | tuple[int, ...], layers: Sequence[Layer], loss: Loss | str, dtype: Any) -> None:
        shape = inputs if isinstance(inputs, tuple) else (inputs,)
        self.input_shape = tuple(check_count("Network", "inputs", n) for n in shape)
        self.dtype = _dtype(dtype)
        self.loss: Loss = named("loss", loss, Loss, losses)
        self.layers = as_layers("Network", layers)
        self._infer_shapes()
        self.layout = Layout.of(initialized(self.layers)[0])
        self.statistics_layout = Layout.of([layer.statistics() for layer in self.layers])

    def draw(self, rng: np.random.Generator, but: type[Layer] | None = None) -> None:
        """Initialize the parameters and statistics of all layers except those of class ``but``."""
        starts = [p | layer.statistics() for p, layer in zip(initialized(self.layers)[0], self.layers, strict=True)]
        for entry, array in self.arrays():
            if but is None or not isinstance(self.layers[entry.layer], but):
                array[...] = self.near(starts[entry.layer][entry.name].draw(rng))

    def _infer_shapes(self) -> None:
        shape = self.input_shape
        for i, layer in enumerate(self.layers):
            layer.input_shape = shape
            try:
                layer.output_shape = shape = layer.output(shape)
            except ValueError as error:
                before = f"layer {i - 1}, {self.layers[i - 1]!r}, gives" if i else "the network's inputs have"
                given = layer.input_shape[0] if len(layer.input_shape) == 1 else f"shape {layer.input_shape}"
                raise ValueError(f"layer {i}, {layer!r}: {error}, but {before} {given}.") from error
        if len(shape) != 1:
            raise ValueError(
                f"Network: the last layer must give rows of numbers for the loss, but gives shape {shape}: "
                "add Flatten() or GlobalAveragePool2D()."
            )
        self.output_shape = shape

    def _bind(self, values: Float[Array, "size"]) -> None:
        self._values = values
        self._theta, self._statistics = values[: self.layout.size], values[self.layout.size :]
        for (_, layer, name), (_, array) in zip(self.owners(), self.arrays(), strict=True):
            setattr(layer, name, array)

    def owners(self) -> list[tuple[Entry, Layer, str]]:
        """Return the layer and the attribute name of every array, in the order of ``arrays``."""
        entries = (*self.layout.entries, *self.statistics_layout.entries)
        return [(entry, *locate(self.layers[entry.layer], entry.name)) for entry in entries]

    def arrays(self) -> list[tuple[Entry, Array]]:
        """Return all arrays of the network, first parameters, then statistics, as views of ``values``."""
        return [(e, self.layout.view(self._theta, e)) for e in self.layout.entries] + [
            (e, self.statistics_layout.view(self._statistics, e)) for e in self.statistics_layout.entries
        ]

    @property
    def values(self) -> Float[Array, "size"]:
        """``theta`` and the statistics in one vector. Modify it in place."""
        return self._values

    @property
    def statistics(self) -> Float[Array, "size"]:
        """The running statistics. Modify them in place."""
        return self._statistics

    @property
    def theta(self) -> Float[Array, "size"]:
        """All parameters. Writing to it or assigning to it changes the arrays of the layers, which are views of it."""
        return self._theta

    @theta.setter
    def theta(self, values: ArrayLike) -> None:
        given: Any = values if on_device(values) else np.asarray(values)
        if given.shape != self._theta.shape:
            raise ValueError(
                f"theta: expected {self._theta.size} parameters, shape {self._theta.shape}, got {given.shape}."
            )
        if given is not self._theta:
            self._theta[:] = self.near(given)

    @property
    def weights(self) -> list[Array]:
        """The weight arrays, without biases, as views of theta."""
        return [self.layout.view(self.theta, e) for e in self.layout.select(None, biases=False)]

    def workspace(
        self, batch: int, *, training: bool = True, seed: int | np.random.SeedSequence | None = None
    ) -> Workspace:
        """Preallocate memory for steps of at most ``batch`` rows; ``seed`` seeds dropout."""
        with using(self.device):
            return Workspace(self.layers, self.loss, self.layout, batch, self.theta, training=training, seed=seed)

    def forward(
        self, x: Float[Array, "batch *inputs"] | SparseRows, workspace: Workspace | None = None
    ) -> Float[Array, "batch outputs"]:
        """Return y, the output of the last layer before the loss's inverse link, for a batch of the network's dtype.

        With a workspace, all intermediate values are stored in its memos; without one, none are kept.
        """
        return self._forward(x, [Memo() for _ in self.layers] if workspace is None else workspace.memos)

    def _forward(self, x: Any, memos: list[Memo]) -> Array:
        for layer, memo in zip(self.layers, memos, strict=True):
            x = layer.forward(x, memo)
        return x

    def backward(self, dy: Float[Array, "batch outputs"], workspace: Workspace) -> Float[Array, "size"]:
        """Return dL/dtheta given dL/dy, after a ``forward`` with the same workspace.

        Runs from the last layer to the first one that has parameters.
        """
        for i in range(len(self.layers) - 1, workspace.first - 1, -1):
            dy = self.layers[i].backward(dy, workspace.memos[i])  # type: ignore[assignment]  # None at the first
        return workspace.collect()

    def update_statistics(self, workspace: Workspace, momentum: float | None = None) -> None:
        """Update the running statistics with the batch that ran last in a workspace for training.

        ``momentum`` is the share of the old ones that stays; by default each layer's own.
        """
        if self.statistics_layout.size:
            for layer, memo in zip(self.layers, workspace.memos, strict=True):
                layer.update_statistics(memo, momentum)

    def loss_and_grad(
        self,
        x: MatrixLike,
        t: ArrayLike,
        workspace: Workspace | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> tuple[Number, Float[Array, "size"]]:
        """Return L on a batch and dL/dtheta, from one forward and one backward pass.

        Parameters
        ----------
        x : (batch, inputs)
        t : targets, in the form expected by the loss
        workspace : Workspace, optional
            Where to write. The returned gradient is its ``grad``, which the next call overwrites. An x of the network's
            dtype is then assumed to be checked, as are t and the weights, as returned by :meth:`check`. Without a
            workspace, everything is checked, dropout is disabled, and the gradient is a new array.
        sample_weight : (batch,), optional
            L is then Σ wᵢ ℓᵢ / Σ wᵢ.

        Examples
        --------
        >>> import chainrule as cr
        >>> network = cr.Network(1, [cr.layers.Dense(1, weights="zeros")], "squared_error", dtype="float64")
        >>> network.loss_and_grad([[1.0], [3.0]], [1.0, 1.0])       # y = 0: L = ½, dW = −mean(x), db = −1
        (0.5, array([-2., -1.]))
        """
        if workspace is None or getattr(x, "dtype", None) != self.dtype:
            x, t, sample_weight = self.check(x, t, sample_weight)
            workspace = workspace or self.workspace(x.shape[0], training=False)
        rows = x.shape[0]
        workspace.resize(rows)
        y = self.forward(x, workspace)
        memo = workspace.loss_memo
        values = self.loss.forward(y, t, memo)  # type: ignore[arg-type]
        dy = self.loss.backward(t, memo)  # type: ignore[arg-type]
        value = losses.mean(values, dy, sample_weight, memo)  # type: ignore[arg-type]
        return value, self.backward(dy, workspace)

    def check(
        self, x: MatrixLike, t: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Any, Array, Array | None]:
        """Validate x, t and weights; return them as ``loss_and_grad`` expects them with a workspace, on this device."""
        x = self.check_rows(x).astype(self.dtype, copy=False)
        t = self.loss.targets(host(t), self.output_shape[0], self.dtype)
        weight = None if sample_weight is None else check_weights(host(sample_weight), self.dtype)
        check_lengths(x, t=t, sample_weight=weight)
        return self.near(x), self.near(t), None if weight is None else self.near(weight)

    def check_rows(self, X: MatrixLike, name: str = "X") -> Any:
        """Validate X and return it as an array of the network's input shape; its dtype is not changed."""
        X = check_rows(X, self.input_shape, self.dtype, name)
        if is_sparse(X):
            if self.device != CPU:
                raise TypeError(f"{name}: got sparse rows, but the network is on {self.device}: give {name}.toarray().")
            takers = [(i, layer) for i, layer in enumerate(self.layers) if layer.sparse != "handed on"]
            i, first = takers[0] if takers else (0, self.layers[0])
            if first.sparse == "refused" and type(first) in SHIPPED.values():  # a custom layer may accept them
                raise TypeError(
                    f"{name}: got sparse rows, but layer {i}, {first!r}, takes arrays only: give {name}.toarray(), "
                    "or put a Dense layer in front."
                )
        return X

    def near(self, x: Any) -> Any:
        """Return x on the network's device; x itself if it is already there, or sparse."""
        return x if is_sparse(x) else to(x, self.device)

    def check_categories(self, X: Any, name: str = "X") -> None:
        """Raise an error for invalid categories in any row of X, if an Embedding reads X directly.

        Embeddings also check each batch. This check covers all rows before work begins batch by batch.
        """
        columns = None
        for layer in self.layers:
            if isinstance(layer, Embedding):
                columns = layer.check_rows(X, np.arange(X.shape[1]) if columns is None else columns, name)
            elif not isinstance(layer, Identity):
                break

    def logits(self, X: MatrixLike) -> Float[Array, "rows outputs"]:
        """Return y for any number of rows, computed in chunks: the values of ``predict`` before the inverse link."""
        chunk = self.chunk
        if not isinstance(X, Taken):  # which train checked
            X = self.check_rows(X)
        elif len(X) <= chunk:
            X = X[:]
        if self.device != CPU:
            return self._far_logits(X, chunk * GPU_CHUNKS)
        rows = X.shape[0]
        if rows == 1:
            return self._own(X, self.forward(X.astype(self.dtype, copy=False)))
        largest = min(rows, chunk) * self.layout.largest
        if WORTH_ASKING < largest <= SMALL or convolves(self.layers):
            with blas_threads(1):  # other threads would keep spinning long after this
                return self._logits(X, rows, chunk)
        return self._logits(X, rows, chunk)

    def _logits(self, X: Any, rows: int, chunk: int) -> Array:
        if rows * self._operations > MANY and not is_sparse(X):
            compiled = self._compiled(X)
            if compiled is not None:
                return compiled
        if rows <= chunk:
            return self._own(X, self.forward(X.astype(self.dtype, copy=False)))
        if not isinstance(X, Taken):  # of which an Embedding checks each chunk
            self.check_categories(X)
        y = np.empty((rows, *self.output_shape), self.dtype)
        memos = [Memo() for _ in self.layers]  # reused, with their buffers, by all chunks but a short last one
        for layer, memo in zip(self.layers, memos, strict=True):
            for name, shape in {"y": layer.output_shape, **layer.buffers()}.items():
                setattr(memo, name, np.empty((chunk, *shape), self.dtype))
        for start in range(0, rows, chunk):
            x = X[start : start + chunk].astype(self.dtype, copy=False)
            y[start : start + chunk] = self._forward(x, memos) if x.shape[0] == chunk else self.forward(x)
        return y

    def _far_logits(self, X: Any, chunk: int) -> Array:
        """Return y in the memory of X, computed on the network's device."""
        self.check_categories(X)
        with using(self.device):
            chunks = (X[start : start + chunk] for start in range(0, X.shape[0], chunk))
            y = [self.forward(self.near(x).astype(self.dtype, copy=False)) for x in chunks]
            return self._own(X, like(np.concatenate(y), X))

    def _compiled(self, X: Any) -> Array | None:
        """Return y computed by the engine, or None."""
        if isinstance(X, Taken):
            parts = [*takewhile(lambda y: y is not None, map(self._compiled, X.parts()))]
            return np.concatenate(parts) if parts else None  # type: ignore[arg-type]
        self.check_categories(X)
        return Engine.many_rows(self, X)

    def predict(self, X: MatrixLike) -> Float[Array, "rows outputs"]:
        """Return predictions (rows, outputs): the loss's inverse link applied to the output of the last layer.

        Probabilities after SoftmaxCrossEntropy and SigmoidCrossEntropy, rates after Poisson, else y itself.
        Dropout is disabled. The network is not modified, so any number of threads may call this method.
        """
        return self.loss.inverse_link(self.logits(X))

    @staticmethod
    def _own(X: Any, y: Array) -> Array:
        """Return y, or a copy if it shares memory with X, as in a network of Identity layers."""
        return y.copy() if not is_sparse(X) and np.may_share_memory(X, y) else y

    @property
    def chunk(self) -> int:
        """Number of rows that ``predict`` processes at a time."""
        widest = max(math.prod(shape) for shape in (self.input_shape, *(layer.output_shape for layer in self.layers)))
        return max(1, CHUNK_BYTES // (self.dtype.itemsize * widest))

    @property
    def _operations(self) -> int:
        """About how many numbers are read or multiplied for one row."""
        return self.layout.size + sum(layer.operations() for layer in self.layers)

    @property
    def on_cpu(self) -> Network:
        """The network itself, or a copy in main memory if it is on a GPU."""
        return self if self.device == CPU else self.to(CPU)

    @property
    def device(self) -> str:
        """Where the parameters are: ``"cpu"``, or a GPU such as ``"cuda:0"``."""
        return device_of(self._values)

    def to(self, device: str) -> Network:
        """Return a copy with the parameters on another device.

        Parameters
        ----------
        device : str
            ``"cpu"``, ``"cuda"`` for the first NVIDIA GPU, or ``"cuda:1"`` for the second. A GPU needs CuPy (the extra
            ``cuda``). ``predict`` takes rows from either memory, and returns its result in the same one.

        Raises
        ------
        ValueError
            If this machine has no such GPU.
        ImportError
            If CuPy is not installed.

        Examples
        --------
        >>> import chainrule as cr
        >>> network = cr.Network(2, [cr.layers.Dense(1)], "squared_error")
        >>> network.to("cpu").device
        'cpu'
        """
        other = copy.copy(self)
        other._bind(to(other.values, check_device("Network.to", device)))  # noqa: SLF001
        return other

    def astype(self, dtype: Any) -> Network:
        """Return a copy with parameters of another dtype."""
        other = copy.copy(self)
        other.dtype = _dtype(dtype)
        other._bind(self.values.astype(other.dtype))  # noqa: SLF001
        return other

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise an error that gives the equivalent of a method known from other libraries."""
            remedy = f" Type {ELSEWHERE[name]}." if name in ELSEWHERE else ""
            raise AttributeError(f"a Network has no {name!r}.{remedy}")

    def __copy__(self) -> Network:
        other = object.__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with one copy of the values, and layers without their views of it."""
        state = dict(vars(self), _values=self.values.copy())
        del state["_theta"], state["_statistics"]
        unbound = [copy.copy(layer) for layer in self.layers]
        for entry, _ in self.arrays():
            delattr(*locate(unbound[entry.layer], entry.name))
        state["layers"] = tuple(unbound)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._bind(owned(state["_values"]))

    def __repr__(self) -> str:
        inputs = self.input_shape[0] if len(self.input_shape) == 1 else self.input_shape
        head = f"Network: {inputs} inputs, {self.loss!r}, {self.dtype}, {self.layout.size:,} parameters"
        names = [repr(layer) for layer in self.layers]
        shapes = [f"{_short(layer.input_shape)} -> {_short(layer.output_shape)}" for layer in self.layers]
        arrays = ["  ".join(f"{e.name} {e.shape}" for e, _ in self.arrays() if e.layer == i) for i in range(len(names))]
        width, shape_width = max(map(len, names)), max(map(len, shapes))
        rows = [
            f"  {i:<{len(str(len(names) - 1))}}  {name:{width}}  {shape:{shape_width}}  {array}".rstrip()
            for i, (name, shape, array) in enumerate(zip(names, shapes, arrays, strict=True))
        ]
        return "\n".join([head, *rows])


def convolves(layers: Sequence[Layer]) -> bool:
    """Return whether there is a Conv2D: its products are too small for several BLAS threads, which sum differently."""
    return any(isinstance(layer, Conv2D) or convolves(layer.inner) for layer in layers)


def _dtype(dtype: Any) -> np.dtype[Any]:
    for name in ("float32", "float64"):
        if dtype is not None and dtype in (name, np.dtype(name)):  # NumPy takes None for float64
            return np.dtype(name)
    raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}.")


def _short(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else str(shape)
