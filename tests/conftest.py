"""What all tests share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _compile_once():
    """Let the compiler say that it compiles before the tests that look at what is said."""
    import chainrule as cr  # noqa: PLC0415  (after the hook that checks shapes)

    for dtype in ("float32", "float64"):
        network = cr.Network(1, [cr.layers.Dense(1)], "squared_error", seed=0, dtype=dtype)
        cr.train(network, [[0.0]], [0.0], epochs=1)
