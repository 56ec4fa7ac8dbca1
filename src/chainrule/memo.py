"""The memo: what happened to one batch in one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.memory import owned


class Memo:
    """What one layer (or the loss) wrote down about one batch.

    ``self`` of a layer is what was learned; its memo is what happened to this batch. ``forward`` and ``backward``
    write to nothing else, so that many batches, and many threads, can be in flight through one network.

    A name that was never set reads as ``None``. That is on purpose: ``np.matmul(x, W, out=memo.y)`` fills the
    planned buffer inside a :class:`~chainrule.Workspace`, and allocates the result with a fresh ``Memo()``.

    Attributes
    ----------
    training : bool
        Whether the batch is for learning: dropout drops only then.
    dx_wanted : bool
        Whether anybody will read dL/dx. False in the first layer that has parameters.
    rng : numpy.random.Generator
        The source of randomness of the layers that need one.
    y, dx, dW, db, ... : numpy.ndarray
        Buffers, and whatever else the layer stored for its backward pass.

    Examples
    --------
    >>> memo = Memo(training=True)
    >>> memo.x = [1.0, 2.0]
    >>> memo.x, memo.training, memo.never_set
    ([1.0, 2.0], True, None)
    """

    def __init__(self, *, training: bool = False, rng: Any = None) -> None:
        self.training = training
        self.dx_wanted = True
        self.rng = rng

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for special methods
            raise AttributeError(name)
        return None

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(
            {name: owned(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}
        )

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __repr__(self) -> str:
        return f"Memo({', '.join(sorted(vars(self)))})"
