"""The check of signatures itself: what it refuses, and that no module is left out."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import shape_checking
from chainrule._internal.checks import check_count
from chainrule._internal.typing import Array, Float, Int


@shape_checking.checked
def product(
    x: "Float[Array, 'rows inner']", W: "Float[Array, 'inner columns']", turned=False
) -> "Float[Array, 'rows columns']":
    y = x @ W
    return y.T if turned else y


@shape_checking.checked
def numbers(count: int) -> Iterator[int]:
    yield from range(count)


@shape_checking.checked
@dataclass
class Rows:
    x: "Float[Array, 'rows columns'] | Int[Array, 'rows']"
    unknown: "NotImported | None" = None


X, W = np.ones((2, 3)), np.ones((3, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        partial(product, X, X),
        partial(product, X[0], W),
        partial(product, X.astype(int), W),
        partial(product, X, W=W[:2]),
        partial(product, X, W, turned=True),
        partial(product, [[1.0]], W),
        partial(numbers, "three"),
        partial(Rows, X[0]),
        partial(check_count, 3, "units", 4),
    ],
)
def test_a_wrong_signature_is_refused_at_every_call(wrong):
    assert product(X, W).shape == (2, 4)
    assert list(numbers(3)) == [0, 1, 2]
    assert Rows(X).x is X
    assert Rows(np.arange(3), 7).unknown == 7
    for _ in range(60):
        with pytest.raises(TypeCheckError):
            wrong()


def test_every_module_is_checked_but_those_that_numba_compiles():
    loaders = {name: module.__spec__.loader for name, module in sys.modules.items() if name.startswith("chainrule.")}
    unchecked = [name for name, loader in loaders.items() if not isinstance(loader, shape_checking._Loader)]
    assert len(loaders) > 50
    assert {*unchecked} == {name for name in loaders if name.startswith(shape_checking.UNCHECKED)}
