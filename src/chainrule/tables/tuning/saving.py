"""What tuning leaves in its folder beside the study and the files of ``train``: the trials as a table, and a page."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from chainrule.files.writing import write_atomically
from chainrule.pages import html, markdown
from chainrule.tables.tuning import page
from chainrule.tables.tuning.result import Tuned

TRIALS, PAGE, TEXT = "trials.csv", "tuning.html", "tuning.md"
OURS = (TRIALS, PAGE, TEXT)


def save(tuned: Tuned, folder: Path) -> None:
    """Write ``trials.csv``, ``tuning.html`` and ``tuning.md``, each whole or not at all."""
    blocks = page.blocks(tuned)
    texts = {
        PAGE: html.page(page.title(tuned), page.about(tuned), blocks),
        TEXT: markdown.render(page.title(tuned), page.about(tuned), blocks),
    }
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    names = [dimension.name for dimension in tuned.space]
    writer.writerow(["trial", "state", tuned.measure, "seconds", *names])
    for trial in tuned.trials:
        value = "" if trial.value is None else repr(trial.value)
        point = [trial.point[name] for name in names]
        writer.writerow([trial.number, trial.state, value, f"{trial.seconds:.3f}", *point])
    for name, text in {**texts, TRIALS: table.getvalue()}.items():
        write_atomically(folder / name, text.encode(), follow=False)
