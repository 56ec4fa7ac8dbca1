"""The two kinds of runs, and where their commands are; neither is imported before it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule.cli.folder import SCHEMA


def is_table_run(folder: Path) -> bool:
    """Return whether a folder is that of a table's run."""
    return (folder / SCHEMA).is_file()


def commands_of(folder: Path) -> Any:
    """Return the module that has the commands on the folder of a run, by the kind of source it was trained on."""
    commands: Any
    if is_table_run(folder):
        from chainrule.cli import table_runs as commands  # noqa: PLC0415  (an extra)
    else:
        from chainrule.cli import data_set_runs as commands  # noqa: PLC0415  (start-up time)
    return commands
