"""Random streams in checkpoints: a seed, and the states of generators and shufflers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.files.states import check_stream


def seed_state(seed: np.random.SeedSequence) -> dict[str, Any]:
    """Return the arguments that recreate this seed, in JSON types."""
    words: Any = seed.entropy
    entropy = words if isinstance(words, int) else [int(word) for word in np.ravel(words)]
    return {
        "entropy": entropy,
        "spawn_key": [int(key) for key in seed.spawn_key],
        "pool_size": seed.pool_size,
        "n_children_spawned": seed.n_children_spawned,
    }


class Stream:
    """Access to the state of a NumPy generator, a custom shuffler, or None."""

    def __init__(self, rng: Any) -> None:
        self._read: Callable[[], Any] = lambda: None
        self.restore: Callable[[Any], Any] = lambda _state: None
        """Restore a state that ``checked`` returned."""
        self._numpy = isinstance(rng, np.random.Generator | np.random.RandomState)
        if isinstance(rng, np.random.Generator):
            bits = rng.bit_generator
            self._read, self.restore = lambda: bits.state, lambda state: setattr(bits, "state", state)
        elif isinstance(rng, np.random.RandomState):
            self._read, self.restore = lambda: rng.get_state(legacy=False), rng.set_state
        elif hasattr(rng, "state") and hasattr(rng, "restore"):
            self._read, self.restore = rng.state, rng.restore
        elif rng is not None:
            raise TypeError(
                f"Checkpoint: shuffle: the state of {rng!r} is unknown: add a method state() that returns a "
                "JSON dictionary, and restore(state), or use a numpy.random.Generator."
            )

    def state(self) -> dict[str, Any] | None:
        """Return the state in JSON types; None if there is no generator."""
        return _plain(self._read())

    def checked(self, state: Any) -> Any:
        """Validate a state for NumPy; a custom shuffler's state is checked by its ``restore``."""
        return check_stream(state, self._read()) if self._numpy else state


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
