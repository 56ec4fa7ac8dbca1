"""The type checker for the shapes in chainrule's signatures, which every call in the tests passes (see addopts)."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a function that takes a float also takes an int
