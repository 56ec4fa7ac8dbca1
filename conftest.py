"""Check signatures in all tests; here, above ``src`` and ``tests``, so that doctests alone do it too."""

import gc

import shape_checking

shape_checking.install()
gc.disable()  # collecting the tests makes millions of objects, and all of them stay


def pytest_collection_finish():
    """Let what was collected alone from here on."""
    gc.enable()
    gc.freeze()
