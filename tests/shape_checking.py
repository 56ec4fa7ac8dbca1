"""What checks the shapes in chainrule's signatures while the tests run (see addopts in pyproject.toml).

A check takes longer than most of the functions, so in each test only the first calls of a function are checked: all of
them took three quarters of the time of the tests.
"""

import functools
import inspect

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 20  # of each function in each test
typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is welcome where a float is asked for
always = jaxtyping.jaxtyped
tests = [0]  # begun so far: conftest.py counts them


# A place in no file, as jaxtyping's own wrappers have it: an error names the line of a user's file.
CODE = """
def wrapped(checked, decorated, tests, most):
    test, calls = -1, 0
    def call(*args, **kwargs):
        __tracebackhide__ = True
        nonlocal test, calls
        if test != tests[0]:
            test, calls = tests[0], 0
        calls += 1
        return (checked if calls <= most else decorated)(*args, **kwargs)
    return call
"""
PLACE = {}
exec(compile(CODE, "<shape checking>", "exec"), PLACE)
WRAPPED = PLACE["wrapped"]


def sampled(decorated=None, *, typechecker):
    """Do what jaxtyping's decorator does in the first calls of a function in a test."""
    if decorated is None:
        return functools.partial(sampled, typechecker=typechecker)
    checked = always(decorated, typechecker=typechecker)
    if not inspect.isfunction(decorated):
        return checked
    return functools.wraps(decorated)(WRAPPED(checked, decorated, tests, CALLS))


jaxtyping.jaxtyped = sampled  # what the hook of the import calls for every function; this module comes with the first
