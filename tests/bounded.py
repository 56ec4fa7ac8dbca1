"""How much work a call does, in calls of functions: the same on every machine, and however busy it is."""

import contextlib
import functools
import re
import sys

CHECKING = re.compile(r"jaxtyping|beartype|shape.checking|<string>|\binspect\.py$")  # files of what checks signatures


class TooMuchWork(AssertionError):  # noqa: N818  (it is what failed)
    """More functions were called than expected."""


@functools.cache
def checks(file):
    """Return whether the code in a file checks signatures, which it does in the tests alone."""
    return bool(CHECKING.search(file))


@contextlib.contextmanager
def calls(limit):
    """End what makes more than ``limit`` calls of Python's and C's functions."""
    count = [0]

    def seen(frame, event, argument):
        if event in {"call", "c_call"} and not checks(frame.f_code.co_filename):
            count[0] += 1
            if count[0] > limit:
                sys.setprofile(None)
                raise TooMuchWork(f"more than {limit:,} calls of functions")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(before)
