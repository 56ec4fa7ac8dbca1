"""The commands on the folder of a run, by its kind; no module is imported before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule.cli.folder import is_table_run


def commands_of(folder: Path) -> Any:
    """Return the module with the commands on the folder of a run, by the kind of source it was trained on."""
    commands: Any
    if is_table_run(folder):
        from chainrule.cli import table_runs as commands  # noqa: PLC0415  (an extra)
    else:
        from chainrule.cli import data_set_runs as commands  # noqa: PLC0415  (start-up time)
    return commands


def predictions_of(folder: Path) -> Any:
    """Return the module with the commands that predict."""
    if not is_table_run(folder):
        return commands_of(folder)
    from chainrule.cli import table_predictions  # noqa: PLC0415  (an extra)

    return table_predictions
