"""Checks of the memory that training writes to: the parameters and the optimizer state."""

from __future__ import annotations

from chainrule._internal.backend import device_of, is_array
from chainrule._internal.memory import writeable
from chainrule.memo import Memo
from chainrule.network import Network
from chainrule.optimizers import Optimizer


def check_network_writable(network: Network) -> None:
    """Raise an error if parameters of the network are read-only."""
    whole = {name: getattr(network, name) for name in ("theta", "statistics", "values")}
    for name, array in whole.items():
        if not writeable(array):
            raise ValueError(
                f"network.{name} is read-only, and training would change it. Train a copy, copy.copy(network), or "
                f"allow it: network.{name}.setflags(write=True)."
            )
    for entry, layer, name in network.owners():
        if not writeable(getattr(layer, name)):
            raise ValueError(
                f"layer {entry.layer}, {network.layers[entry.layer]!r}: {entry.name} is read-only, and training would "
                f"change it. To freeze the layer, give layer_rates={{{entry.layer}: 0}}."
            )


def moved_state(optimizer: Optimizer, home: Network, state: Memo | None, network: Network) -> Memo:
    """Return the checked state of ``home`` for ``network``: the same network, or its copy on another device."""
    if network is home or state is None:
        return checked_state(optimizer, network, state)
    given, moved = checked_state(optimizer, home, state), optimizer.start(network.theta, network.weights)
    for name in optimizer.slots:
        getattr(moved, name)[:] = network.near(getattr(given, name))
    moved.t = given.t
    return moved


def checked_state(optimizer: Optimizer, network: Network, state: Memo | None) -> Memo:
    """Return the optimizer state, a new one for None; raise an error if it does not belong to this network."""
    theta = network.theta
    if state is None:
        return optimizer.start(theta, network.weights)
    for name in optimizer.slots:
        array = getattr(state, name)
        if not is_array(array):
            wrong = "is missing" if array is None else f"is a {type(array).__name__}"
        elif device_of(array) != network.device:
            wrong = f"is on {device_of(array)}, not on {network.device}"
        elif (array.shape, array.dtype) != (theta.shape, theta.dtype):
            wrong = f"has shape {array.shape} and dtype {array.dtype}, not {theta.shape} and {theta.dtype}"
        elif not (array.flags.c_contiguous and writeable(array)):
            wrong = "is read-only or not contiguous"
        else:
            continue
        raise ValueError(
            f"state: expected the result of {type(optimizer).__name__}(...).start(network.theta, network.weights) for "
            f"this network, but state.{name} {wrong}."
        )
    return state
