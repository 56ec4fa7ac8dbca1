"""Shapes and types in chainrule's signatures are checked while the tests run."""

import os

os.environ["CHAINRULE_CHECK_SHAPES"] = "1"
