"""``chainrule train``: train a network on a data set or a table, and write a folder with everything about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule._internal.extras import check_installed
from chainrule.cli import json_output, ranks, resuming
from chainrule.cli.data import IMAGES
from chainrule.cli.errors import in_one_sentence
from chainrule.cli.folder import claimed, run_folder
from chainrule.cli.options import DATA_SETS_ONLY, TABLES_ONLY, MaxUnpacked, TrainOptions, takes_options
from chainrule.cli.output import write_data
from chainrule.cli.reading import is_data_set
from chainrule.datasets.images import has_images
from chainrule.tables.formats import is_table
from chainrule.tables.sources.names import is_pattern, shown, stem


@in_one_sentence
@takes_options
def train(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET|FILE",
            help="A data set (digits, mnist, moons, circles or spirals), or a table: a file (CSV, Parquet, Arrow, "
            "JSON, Excel or NumPy), a folder or a pattern of files, a database (sqlite:///shop.db), an address "
            "(https://...), or - for standard input. Or a folder of images, with a subfolder for each class.",
        ),
    ] = None,
    max_unpacked: MaxUnpacked = None,  # noqa: ARG001  (its callback sets it)
    options: TrainOptions = TrainOptions(),  # noqa: B008  (frozen)
) -> None:
    """Train a network on DATASET or FILE, evaluate it on held-out rows, and save everything in a folder.

    Defaults depend on the data. Ctrl-C stops training early; the network trained so far is evaluated and saved.

    Use --resume FOLDER to resume an interrupted or killed run; the result is the same as without the interruption.

    The environment variable CHAINRULE_KERNELS=reference selects NumPy instead of the compiled engine.
    """
    from chainrule.cli.progress import compiling  # noqa: PLC0415  (start-up time)

    there = None if options.resume is None else resuming.read(options.resume)
    source = dataset or (there.source if there else None)
    if source is None:
        raise typer.BadParameter("give a data set, such as digits, or a file.", param_hint="DATASET|FILE")
    kind: Any
    is_of_table = there.kind == resuming.TABLE if there else _is_table(source)
    if is_of_table:
        options.refuse(DATA_SETS_ONLY, "applies only to data sets, not tables: omit it.")
        check_installed("polars", "skrub", extra="tables")
        from chainrule.cli import tables as kind  # noqa: PLC0415  (an extra)
    else:
        options.refuse(
            TABLES_ONLY, f"applies only to tables, and {shown(source)} is not a table: give a file such as data.csv."
        )
        check_installed("sklearn", "matplotlib", extra="cli")
        from chainrule.cli import data_sets as kind  # noqa: PLC0415  (start-up time)
    reduce = ranks.started()
    more = {} if reduce is None else {"reduce": reduce}
    if reduce is not None and not is_of_table:
        raise ValueError("mpirun: a data set is trained in one process; a table can be trained in several.")
    if options.resume is not None and there is not None:
        plan = resuming.continued(options.resume, there, dataset, options)
        with compiling(quiet=options.quiet), ranks.of_rank_0(claimed(options.resume), reduce):
            kind.run(plan, options.resume, options, **more)
        return
    plan = kind.begin(source, options)
    if options.print_python:
        if json_output.is_asked():
            raise ValueError("--print-python does not go with --json: omit one.")
        write_data(kind.script(plan, options))
        return
    place = plan.arguments["folder"] if plan.source == IMAGES else plan.source
    folders = run_folder(stem(place), options.out, overwrite=options.overwrite)
    with compiling(quiet=options.quiet), ranks.of_rank_0(folders, reduce) as folder:
        if reduce is None or reduce.rank == 0:
            resuming.remove(folder)  # with --overwrite: what another run left
        kind.run(plan, folder, options, **more)


def _is_table(source: str) -> bool:
    """Return whether a source is a table; the name of a data set comes before a folder of that name."""
    place = Path(source)
    folder = place.is_dir() and not is_data_set(source) and not has_images(source)
    return is_table(source) or place.is_file() or is_pattern(source) or folder
