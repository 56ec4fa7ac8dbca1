"""What checks the shapes in chainrule's signatures while the tests run (see addopts in pyproject.toml)."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is welcome where a float is asked for
