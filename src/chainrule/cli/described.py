"""Networks described in text: ``dense 8, tanh, dense 3``."""

from __future__ import annotations

import inspect
from typing import Any

from chainrule import layers as layers_module
from chainrule import losses
from chainrule._internal.names import lookup, public_classes
from chainrule.layers import Layer
from chainrule.losses import Loss
from chainrule.network import Network


def network(inputs: str | None, layers: str | None, loss: str | None, seed: int) -> Network:
    """Return the network described by these options."""
    if layers is None or inputs is None:
        raise ValueError('give both --inputs and --layers, as in --inputs 4 --layers "dense 8, tanh, dense 3".')
    return Network(parse_inputs(inputs), parse_layers(layers), parse_loss(loss or "softmax_cross_entropy"), seed=seed)


def parse_layers(text: str) -> list[Layer]:
    """Return the layers, each a name and its arguments, separated by commas.

    >>> parse_layers("dense 8, tanh, dropout rate=0.2, dense 3 biases=none")
    [Dense(8), Tanh(), Dropout(0.2), Dense(3, biases=None)]
    """
    table = public_classes(layers_module, Layer)
    made: list[Layer] = []
    for item in text.split(","):
        words = item.split()
        if not words:
            raise ValueError(f'--layers: expected layers such as "dense 8, tanh, dense 3", got "{text}".')
        if words[0].isdigit():
            raise ValueError(
                f'--layers: "{item.strip()}" is a size without a layer: write "dense {words[0]}", with activations '
                'between, as in "dense 8, tanh, dense 3".'
            )
        made.append(_made("--layers", lookup("layer", words[0], table), words[1:]))
    return made


def parse_loss(text: str) -> Loss:
    """Return the loss, a name and its arguments.

    >>> parse_loss("huber 0.5"), parse_loss("squared-error")
    (Huber(delta=0.5), SquaredError())
    """
    words = text.split() or [""]
    made: Loss = _made("--loss", lookup("loss", words[0], public_classes(losses, Loss)), words[1:])
    return made


def parse_inputs(text: str) -> tuple[int, ...]:
    """Return the shape of one sample.

    >>> parse_inputs("4"), parse_inputs("28x28x1"), parse_inputs("8,8,1")
    ((4,), (28, 28, 1), (8, 8, 1))
    """
    try:
        shape = tuple(int(part) for part in text.lower().replace(",", "x").split("x"))
    except ValueError:
        shape = (0,)
    if min(shape) < 1:
        raise ValueError(f'--inputs: expected a number of at least 1, or a shape such as 28x28x1, got "{text}".')
    return shape


def _made(option: str, cls: Any, words: list[str]) -> Any:
    values = [_value(word) for word in words if "=" not in word]
    named = {name: _value(value) for name, _, value in (word.partition("=") for word in words if "=" in word)}
    signature = inspect.Signature() if cls.__init__ is object.__init__ else inspect.signature(cls)
    try:
        signature.bind(*values, **named)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "nothing"
        raise ValueError(
            f'{option}: "{" ".join([cls.__name__.lower(), *words])}": {error}; {cls.__name__} takes {takes}.'
        ) from error
    return cls(*values, **named)


def _value(word: str) -> Any:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    named = {"none": None, "null": None, "true": True, "false": False}
    return named.get(word.lower(), word)
