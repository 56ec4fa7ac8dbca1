"""What checks the shapes in chainrule's signatures while the tests run (see addopts in pyproject.toml).

A check takes longer than most functions. It is written when a function is first called, because most of the 8,000 that
are imported are not, and in each test it is done in the first calls of a function only: all calls of a gradient check
or of a thousand epochs took four times as long with it.
"""

import functools
import inspect

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 50  # of each function in each test
tests = [0]  # begun so far
always = jaxtyping.jaxtyped
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a function that takes a float also takes an int


def pytest_runtest_setup():
    """Count the tests: conftest.py registers this module as a plugin."""
    tests[0] += 1


def typecheck(function):
    """Return a function that checks its arguments, as jaxtyping asks for it."""
    ready = None

    @functools.wraps(function)
    def check(*arguments, **named):
        nonlocal ready
        if ready is None:
            ready = checked(function)
        return ready(*arguments, **named)

    return check


def sampled(decorated=None, *, typechecker):
    """Do what jaxtyping's decorator does in the first calls of a function in a test."""
    if decorated is None:
        return functools.partial(sampled, typechecker=typechecker)
    with_checks = always(decorated, typechecker=typechecker)
    if not inspect.isfunction(decorated):
        return with_checks
    test = calls = 0

    @functools.wraps(decorated)
    def call(*arguments, **named):
        __tracebackhide__ = True
        nonlocal test, calls
        if test != tests[0]:
            test, calls = tests[0], 0
        calls += 1
        return (with_checks if calls <= CALLS else decorated)(*arguments, **named)

    call.__code__ = call.__code__.replace(co_filename="<shape checking>")  # errors name the line of a user's file
    return call


jaxtyping.jaxtyped = sampled  # what the hook of the import calls for every function; conftest.py imports this before
