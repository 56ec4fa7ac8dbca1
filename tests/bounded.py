"""How much work a call does, in calls of functions: the same on every machine, and however busy it is."""

import contextlib
import sys


class TooMuchWork(AssertionError):  # noqa: N818  (it is what failed)
    """More functions were called than expected."""


@contextlib.contextmanager
def calls(limit):
    """End what makes more than ``limit`` calls of Python's and C's functions."""
    count = [0]

    def seen(frame, event, argument):
        if event in {"call", "c_call"}:
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
