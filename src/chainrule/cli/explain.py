"""``chainrule explain``: one held-out row through a trained network and back, with every number."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.errors import in_one_sentence
from chainrule.cli.kinds import commands_of
from chainrule.cli.output import printable, tell, write_data

if TYPE_CHECKING:
    from chainrule.tracing import Trace
else:
    Trace = Any


@in_one_sentence
def explain(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What chainrule train wrote, such as runs/digits.")],
    row: Annotated[
        int, typer.Option(help="Which of the held-out rows, from 0; of a table's FILE, from 1 as in the report.")
    ],
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="For a table's run: the file that has the row.")
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of the step of gradient descent at the end.")
    ] = 0.1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there: .html, .md (with LaTeX) or .txt.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the files of mnist are.")] = None,
) -> None:
    """Explain one prediction: each layer's equations with the numbers of one row, forward and backward.

    For a table's run it begins with the row's columns and the inputs that they become.

    One entry of every gradient is compared with a central difference of the loss.
    """
    from chainrule.cli import bounds  # noqa: PLC0415  (start-up time: not needed for --help)
    from chainrule.cli.predict import check_out  # noqa: PLC0415  (start-up time)
    from chainrule.optimizers import SGD  # noqa: PLC0415  (start-up time)
    from chainrule.tracing.example import check_ending  # noqa: PLC0415  (start-up time)

    bounds.check("explain", {"learning_rate": learning_rate})
    if out is not None:
        check_ending(out)
    check_out(out, overwrite=overwrite)
    trace = commands_of(folder).traced(folder, file, row, SGD(learning_rate), data)
    if out is None:
        _print(trace)
    else:
        trace.save(out, overwrite=overwrite)
        tell(f"{trace.outcome(0) or repr(trace)}; the worked example is in {out}")


def _print(trace: Trace) -> None:
    """Print the text as wide as the terminal is, in colour where it is one."""
    width = max(40, min(shutil.get_terminal_size((100, 0)).columns, 120))
    if not sys.stdout.isatty():
        write_data(printable(trace.text(width)))
        return
    from rich.console import Console  # noqa: PLC0415

    Console(width=width).print(trace.page().styled(width), highlight=False, no_wrap=True, overflow="ignore", crop=False)
