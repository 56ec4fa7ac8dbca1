"""The commands on the folder of a run on a data set: evaluate, predict and explain."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli import config as config_module
from chainrule.cli import data as data_module
from chainrule.cli import json_output, report
from chainrule.cli.config import Config
from chainrule.cli.options import spelled
from chainrule.cli.output import printable, say, tell, write_data
from chainrule.cli.reading import is_data_set, read_rows
from chainrule.datasets import Dataset, images
from chainrule.files.writing import write_atomically
from chainrule.tracing import Trace
from chainrule.tracing.example import trace

NAMED = {"label": "class"}  # arguments whose options have other names


def evaluate(folder: Path, source: str | None, data: Path | None, **of_tables: Any) -> None:
    """Print the scores by class and the accuracy on the held-out rows of a data set."""
    config, network = config_module.read(folder)
    _refuse(of_tables)
    rows = _held_out(config, source, data)
    if len(rows.classes) != len(config.classes):
        raise ValueError(
            f"{rows.name} has {len(rows.classes)} classes, but the network in {folder} was trained on "
            f"{config.dataset}, which has {len(config.classes)}: give the data set used for training."
        )
    outcome = report.measure(network, rows)
    json_output.record(
        kind="data set", source=rows.name, folder=folder, rows=len(rows), classes=rows.classes,
        scores={"accuracy": outcome.accuracy, "loss": outcome.loss},
        by_class=report.by_class(rows.t, outcome.labels, rows.classes),
    )  # fmt: skip
    tell(f"{report.table(rows.t, outcome.labels, rows.classes)}\n\n{report.sentence(outcome)}")


def predict(folder: Path, source: str, out: Path | None, data: Path | None = None, **of_tables: Any) -> None:
    """Write the label and the class probabilities of each row of a file or a data set."""
    config, network = config_module.read(folder)
    _refuse(of_tables)
    if out is not None and out.suffix.lower() not in ("", ".csv", ".txt"):
        raise ValueError(f"--out: {out}: predictions for a data set are CSV: give a name ending in .csv.")
    files = None
    if config.dataset == data_module.IMAGES and (paths := _images(source)):
        X, files = images.pixels(paths, data_module.image_shape(config.arguments)), [str(path) for path in paths]
    else:
        X = _held_out(config, source, data).X if is_data_set(source) else read_rows(source, config.image_shape)
    p = network.predict(X)
    low, high = config.input_range
    width, least, most = (high - low) or 1.0, float(X.min()), float(X.max())
    if least < low - width or most > high + width:  # forgotten scaling is the most common mistake
        say(
            f"Note: inputs range from {least:g} to {most:g}, but training inputs ranged from {low:g} to {high:g}. "
            "Were they scaled the same way?"
        )
    text = to_csv(p, config.classes, files)
    json_output.record(kind="data set", source=source, folder=folder, rows=len(p), classes=config.classes, out=out)
    if out is None and json_output.is_asked():
        found = [{"prediction": config.classes[row.argmax()], "probabilities": row} for row in p]
        json_output.record(predictions=found)
    elif out is None:
        write_data(text)
    else:
        write_atomically(out, text.encode())


def _images(source: str) -> list[Path]:
    """Return the images in a folder and the folders in it, or the one that is given."""
    place = Path(source)
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    return [path for path in found if path.is_file() and path.suffix.lower() in images.ENDINGS]


def to_csv(p: np.ndarray, classes: Sequence[str], files: Sequence[str] | None = None) -> str:
    r"""Return predictions as CSV, after the names of the files if they are of images.

    >>> to_csv(np.array([[0.25, 0.75]]), ["cat", "dog"])
    'label,p_cat,p_dog\ndog,0.25,0.75\n'
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(["file"] if files else []), "label", *(f"p_{name}" for name in classes)])
    for i, (label, row) in enumerate(zip(p.argmax(axis=1), p.tolist(), strict=True)):
        writer.writerow([*([files[i]] if files else []), classes[label], *(f"{value:.6g}" for value in row)])
    return file.getvalue()


def traced(
    folder: Path, source: str | None, row: int | None, how: Mapping[str, Any], data: Path | None, **of_tables: Any
) -> Trace:
    """Return the worked example of one held-out row; by default, of the one whose class is least probable.

    ``how`` has arguments of :func:`chainrule.trace`.
    """
    config, network = config_module.read(folder)
    _refuse(of_tables)
    if source is not None:
        raise ValueError(f"{source}: the run in {folder} has its own held-out rows: omit the file.")
    rows = _held_out(config, None, data)
    if row is None:
        p = network.predict(rows.X)[np.arange(len(rows)), rows.t]
        row = int(p.argmin())
        said = f"the worst of {len(rows):,} predictions, {100 * p[row]:.3g}% for {rows.classes[rows.t[row]]}"
        say(f"Note: row {row} is explained: {said}. To choose another, use --row.")
    if not 0 <= row < len(rows):
        raise ValueError(f"--row: expected a held-out row from 0 to {len(rows) - 1}, got {row}.")
    json_output.record(row=row)
    return trace(
        network, rows.X[row], rows.t[row], **how, image_shape=config.image_shape,
        classes=[printable(name) for name in config.classes],
    )  # fmt: skip


def _refuse(of_tables: Iterable[str]) -> None:
    for name in of_tables:
        raise ValueError(f"{spelled(NAMED.get(name, name))} applies only to runs on tables: omit it.")


def _held_out(config: Config, dataset: str | None, data: Path | None) -> Dataset:
    """Return the held-out rows of a data set, drawn again as in training."""
    name = config.dataset if dataset is None else data_module.find(dataset)
    if dataset is not None and name == data_module.IMAGES and images.has_images(dataset):
        if config.dataset != name:
            raise ValueError(f"{dataset} is a folder of images, but the network was trained on {config.dataset}.")
        return data_module.read_folder(config.arguments, dataset, config.classes)
    known = name == config.dataset and data is None
    arguments = config.arguments if known else data_module.arguments(name, config.seed, data)
    rows = data_module.held_out(name, arguments, config.seed, config.test)
    if name == config.dataset and data_module.digest(rows) != config.test_sha256:
        say(
            "Note: these held-out rows differ from those held out during training, so the network may have been "
            "trained on some of them. Was the folder written with another version of scikit-learn or NumPy? See "
            "config.json."
        )
    return rows
