"""Check signatures in all tests; here, above ``src`` and ``tests``, so that doctests alone do it too."""

import shape_checking

shape_checking.install()
