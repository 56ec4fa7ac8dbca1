"""The type checker for the shapes in chainrule's signatures, which every call in the tests passes (see addopts)."""

import functools

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a function that takes a float also takes an int


def typecheck(function):
    """Return a function that checks its arguments; the check is written at the first call, which most never have."""
    ready = None

    @functools.wraps(function)
    def check(*arguments, **named):
        nonlocal ready
        if ready is None:
            ready = checked(function)
        return ready(*arguments, **named)

    return check
