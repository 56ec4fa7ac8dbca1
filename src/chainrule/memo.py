"""The memo: the values of one batch in one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule._internal.memory import owned


class Memo:
    """The per-batch record of one layer or of the loss.

    ``self`` of a layer holds what is learned; its memo holds everything about the current batch. ``forward`` and
    ``backward`` write to nothing else, so many batches and many threads can use one network at the same time.

    An attribute that was never set is ``None``. This is deliberate: ``np.matmul(x, W, out=memo.y)`` fills the
    preallocated buffer in a :class:`~chainrule.Workspace`, and allocates the result with a new ``Memo()``.

    Attributes
    ----------
    training : bool
        Whether this is a training batch. Dropout is active only then.
    dx_wanted : bool
        Whether dL/dx is needed. False for the first layer that has parameters.
    rng : numpy.random.Generator
        The random generator for layers such as dropout.
    y, dx, dW, db, ... : numpy.ndarray
        Buffers, and anything else that the layer stores for its backward pass.

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
