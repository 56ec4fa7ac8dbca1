"""``chainrule evaluate``: a trained network on the rows that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.output import say, tell

if TYPE_CHECKING:
    from chainrule.cli.config import Config
    from chainrule.datasets import Dataset
else:
    Config = Dataset = Any


@in_one_sentence
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What chainrule train wrote, such as runs/digits.")],
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATASET|FILE]",
            help="By default the data set that it was trained on. Of a table's run: a file with the target.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the files of mnist are.")] = None,
) -> None:
    """Test the network in FOLDER on held-out rows of a data set, or on a file: the table of classes, and the scores."""
    from chainrule.cli import config as config_module  # noqa: PLC0415  (not needed for --help)
    from chainrule.cli import report, table_runs  # noqa: PLC0415

    if table_runs.is_run(folder):
        table_runs.evaluate(folder, dataset)
        return
    config, network = config_module.read(folder)
    rows = held_out(config, dataset, data)
    if len(rows.classes) != len(config.classes):
        raise ValueError(
            f"{rows.name} has {len(rows.classes)} classes, but the network in {folder} was trained on "
            f"{config.dataset}, which has {len(config.classes)}: give the data set that it was trained on."
        )
    outcome = report.measure(network, rows)
    tell(f"{report.table(rows.t, outcome.labels, rows.classes)}\n\n{report.sentence(outcome)}")


def held_out(config: Config, dataset: str | None, folder: Path | None) -> Dataset:
    """Return the held-out rows of a data set, made again as in training."""
    from chainrule.cli import data as data_module  # noqa: PLC0415

    name = config.dataset if dataset is None else data_module.find(dataset)
    if name == config.dataset and folder is None:
        arguments = config.arguments
    else:
        arguments = data_module.arguments(name, config.seed, folder)
    rows = data_module.held_out(name, arguments, config.seed, config.test)
    if name == config.dataset and data_module.digest(rows) != config.test_sha256:
        say(
            "Note: these held-out rows are not those of the training, so some of them may have been trained on. "
            "Was the folder made with another version of scikit-learn or NumPy? config.json names them."
        )
    return rows
