"""The files in the folder of a run on a table: their names, their digests, and the model, which needs NumPy alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from chainrule.files.container import has_table, opened
from chainrule.files.values import ModelFileError, parse
from chainrule.tables import unpacking
from chainrule.tables.schema import LARGEST
from chainrule.tables.serving import model as model_file
from chainrule.tables.serving.model import TableModel

FORMAT = 1
PIPELINE, NETWORK, SCHEMA, CONFIG = "pipeline.skops", "model.safetensors", "schema.json", "config.json"
HISTORY, PAGE, TEXT, CARD, ONNX = "history.csv", "report.html", "report.md", "card.md", "pipeline.onnx"
FILES = (PIPELINE, NETWORK, SCHEMA, HISTORY, PAGE, TEXT, CARD, ONNX, CONFIG)
LARGEST_CONFIG, LARGEST_PIPELINE = 2**24, 2**30  # bytes
LOADED = {PIPELINE: LARGEST_PIPELINE, SCHEMA: LARGEST, NETWORK: 2**32}
"""The files whose digests are in config.json, and the largest size of each in bytes."""


def read_config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config.json, and the digests in it; raise an error if the folder is not that of a finished run."""
    if not folder.is_dir():
        named = folder.name in FILES and folder.exists()
        hint = f" Give the folder that contains it: {folder.parent}." if named else ""
        raise FileNotFoundError(f"{folder} is not a folder that chainrule train wrote.{hint}")
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG}: it is not the folder of a run, or saving was interrupted. Type chainrule train "
            f"--resume {folder}, or train again with --overwrite."
        )
    with _opened(folder / CONFIG, LARGEST_CONFIG) as file:
        config = parse(unpacking.check_values(file.read(), CONFIG), CONFIG)
    digests = config.get("files")
    if config.get("format") != FORMAT or not isinstance(digests, dict):
        raise ModelFileError(f"{folder / CONFIG}: expected a run of format {FORMAT}. Is it from a newer version?")
    return config, digests


def load_model(folder: str | os.PathLike[str]) -> TableModel | None:
    """Return the model of a run, which predicts without scikit-learn, after checking that it belongs to the folder.

    None if the pipeline is to be used: for a run of a version whose model files could not prepare rows, and for columns
    of text, whose words scikit-learn hashes faster.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As :func:`chainrule.tables.load`.
    """
    folder = Path(folder)
    _, digests = read_config(folder)
    for name in LOADED:
        with verified(folder / name, digests):
            pass
    if not has_table(folder / NETWORK, "a file written by chainrule train"):
        return None
    model = model_file.load(folder / NETWORK)
    return None if any(column.kind == "text" for column in model.schema.used) else model


@contextmanager
def _opened(path: Path, most: int) -> Iterator[BinaryIO]:
    with opened(path, "a file written by chainrule train") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ModelFileError(f"its {size:,} bytes are more than chainrule writes.")
        yield file


@contextmanager
def verified(path: Path, digests: dict[str, Any]) -> Iterator[BinaryIO]:
    """Open a file after comparing its digest with config.json, without reading it into memory."""
    with _opened(path, LOADED[path.name]) as file:
        if digests.get(path.name) != hashlib.file_digest(file, "sha256").hexdigest():  # type: ignore[arg-type]
            raise ModelFileError(
                f"it was changed after saving, or belongs to another run than {CONFIG}: train again, or use another "
                "copy of the folder."
            )
        file.seek(0)
        yield file
