"""The type checker for the shapes in chainrule's signatures, which every call in the tests passes (see addopts)."""

import functools

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a function that takes a float also takes an int


def typecheck(function):
    """Write the checks of a function when it is first called: most that are imported are not, and there are 8,000."""
    ready = None

    @functools.wraps(function)
    def check(*arguments, **named):
        nonlocal ready
        if ready is None:
            ready = checked(function)
        return ready(*arguments, **named)

    return check
