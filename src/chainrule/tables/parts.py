"""Predictions for any number of files, as parts in a folder; the same command resumes where it stopped."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule.files.writing import alone, remove_parts, write_atomically
from chainrule.tables._polars import pl
from chainrule.tables.formats import ending
from chainrule.tables.predicting import Predictor
from chainrule.tables.result import SavedRun
from chainrule.tables.serving.model import TableModel
from chainrule.tables.sources import remote, several
from chainrule.tables.sources.names import is_database, is_local, place, shown
from chainrule.tables.streaming import scratch
from chainrule.tables.streaming.on_disk import ChangedFileError
from chainrule.tables.streaming.opening import open_rows, streamed_kind
from chainrule.tables.streaming.progress import Meter, State

PLAN = "_predictions.json"  # readers of Parquet folders leave out names that start with an underscore
ROWS, BYTES = 2**20, 2**26  # of a part, at most, give or take a block

Begun = dict[str, tuple[list[str], int]]
"""By the number of a file: its stamp, and its rows if all are predicted, else -1."""


def predict_files(
    run: SavedRun | TableModel,
    model: Path,
    source: str,
    out: Path,
    *,
    overwrite: bool = False,
    interval: float | None = None,
    coerce: bool = False,
    keep: Sequence[str] = (),
    show: Callable[[State], Any] | None = None,
    **reads: Any,
) -> tuple[int, tuple[str, ...]]:
    """Write the predictions for the rows of files to a folder, as Parquet files of about a million rows.

    ``part-00002-00000.parquet`` has the first rows of the third file. Each part is written under another name, flushed
    and renamed. A call with the same arguments continues after the parts that are there; a file that has changed since
    is predicted again. Memory does not depend on the number of rows.

    Parameters
    ----------
    run : SavedRun or TableModel
    model : Path
        The file with the networks of the run, which the parts must share.
    source : str
        A Parquet or CSV file, a folder of them, or a pattern such as ``"sales/*.parquet"`` or
        ``"s3://bucket/sales/*.parquet"``.
    out : Path
        A folder, which is created: empty, or with parts of the same predictions.
    overwrite : bool
        Remove the parts that are there, and start again.
    interval, coerce, keep : as for :func:`chainrule.tables.predict`
    show : function of State, optional
        Called with the progress in each file.
    **reads
        How the files are read, as for :func:`chainrule.tables.read`.

    Returns
    -------
    rows : int
        Of all parts.
    notes : tuple of str
        On the rows that this call predicted.

    Raises
    ------
    FileNotFoundError
        If there is no file to predict.
    ValueError
        If ``out`` has other files, or parts of another model, of other files or options; or a file cannot be read, or
        does not match the schema. The complete parts are kept.
    OSError
        If the disk is full.
    """
    names = _inputs(source, out)
    predictor = Predictor(run, interval=interval, coerce=coerce, keep=keep, whole=False)
    options = {"interval": interval, "coerce": coerce, "keep": predictor.keep, **_plain(reads)}
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    plan = {"model": digest, "options": options, "files": [shown(name) for name in names]}
    with _locked(out):
        begun = _begun(out, plan, overwrite=overwrite)
        notes, total = list[str](), 0
        with _kept(out):
            for i, name in enumerate(names):
                stamp = remote.stamp(name)
                there, rows = _there(out, i)
                known, complete = begun.get(str(i), ([], -1))
                if there and known != stamp:
                    _removed(there)
                    notes.append(f"{shown(name)} has changed since it was predicted: it was predicted again.")
                    there, rows = [], 0
                if known != stamp or rows != complete:
                    begun[str(i)] = stamp, -1
                    _write(out, plan, begun)  # before its first part
                    with _local(name) as path:
                        predicted = _predicted(predictor, path, shown(name), rows, (i, len(names)), show, reads)
                        for number, (height, content) in enumerate(_joined(predicted), len(there)):
                            write_atomically(_part(out, i, number), content, follow=False)
                            rows += height
                    begun[str(i)] = stamp, rows
                    _write(out, plan, begun)
                total += rows
            if not total:
                raise ValueError("no rows to predict: expected at least one.")
    return total, (*notes, *predictor.notes())


def _inputs(source: str, out: Path) -> list[str]:
    """Return the names of the files, which must be of a kind that can be streamed, and not be in ``out``."""
    if source == "-" or is_database(source):
        name = "standard input" if source == "-" else shown(source)
        raise ValueError(f"--out: {out}: {name} is predicted into one file, such as {out / 'p.parquet'}.")
    names = several.files(source)
    for name in names:
        if not streamed_kind(name):
            raise ValueError(
                f"{shown(name)} cannot be streamed: only Parquet (.parquet, .pq) and CSV (.csv, .tsv, .csv.gz) can. "
                "Give a pattern for such files, such as '*.parquet'."
            )
        if is_local(name) and out.resolve() in Path(name).resolve().parents:
            raise ValueError(f"--out: {out} contains {name}, which is to be predicted: choose another folder.")
    return names


def _plain(reads: dict[str, Any]) -> dict[str, Any]:
    return {name: [*value] if isinstance(value, tuple) else value for name, value in reads.items() if value is not None}


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Create the folder, and let no other process write to it meanwhile."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--out: cannot create the folder {out}: {error.strerror}.") from None
    with alone(out, f"--out: another process is writing predictions to {out}: wait until it ends."):
        yield


def _begun(out: Path, plan: dict[str, Any], *, overwrite: bool) -> Begun:
    """Return the files of a plan that are begun in its folder; refuse parts of another plan."""
    remove_parts(out)
    path = out / PLAN
    if not path.exists():
        if other := next(out.iterdir(), None):
            raise ValueError(f"--out: {out} has other files, such as {other.name}: choose an empty or a new folder.")
        return {}
    whole = [*out.glob("part-*.parquet")]
    if overwrite or not whole:
        _removed([*whole, path])
        return {}
    again = "Choose another folder, or start again with --overwrite."
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        same = {name: old[name] == plan[name] for name in ("model", "options", "files")}
        begun: Begun = {i: ([*map(str, stamp)], int(rows)) for i, (stamp, rows) in old["begun"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"--out: {path} is damaged. {again}") from None
    for name, what in (("model", "of another model"), ("options", "with other options"), ("files", "for other files")):
        if not same[name]:
            raise ValueError(f"--out: {out} has predictions {what}{_difference(old[name], plan[name])}. {again}")
    return begun


def _difference(old: Any, new: Any) -> str:
    if isinstance(new, dict) and isinstance(old, dict):
        name = next(name for name in (*new, *old) if old.get(name) != new.get(name))
        return f" ({name}: {old.get(name)!r} then, {new.get(name)!r} now)"
    if isinstance(new, list) and isinstance(old, list):
        extra, gone = sorted({*new} - {*old}), sorted({*old} - {*new})
        return f" ({extra[0]} was not one of them)" if extra else f" ({gone[0]} was one of them)" if gone else ""
    return ""


def _there(out: Path, i: int) -> tuple[list[Path], int]:
    """Return the parts of a file up to the first that is missing, and their rows; remove those behind it."""
    found: list[Path] = []
    while (path := _part(out, i, len(found))).exists():
        found.append(path)
    _removed(path for path in out.glob(f"part-{i:05}-*.parquet") if path not in found)
    try:
        return found, sum(int(pl.scan_parquet(path).select(pl.len()).collect().item()) for path in found)
    except (pl.exceptions.PolarsError, OSError):
        raise ValueError(f"a part of {out} is damaged. Remove the parts part-{i:05}-*.parquet.") from None


def _part(out: Path, i: int, number: int) -> Path:
    return out / f"part-{i:05}-{number:05}.parquet"


def _removed(paths: Any) -> None:
    for path in paths:
        path.unlink()


def _write(out: Path, plan: dict[str, Any], begun: Begun) -> None:
    content = json.dumps(plan | {"begun": begun}, ensure_ascii=False)
    write_atomically(out / PLAN, content.encode(), follow=False)


@contextmanager
def _local(name: str) -> Iterator[Path]:
    """Yield the path of a file, or of a temporary copy of a remote one."""
    if is_local(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"copy{''.join(ending(Path(place(name))))}")
        with scratch.writing(), path.open("wb") as file:
            remote.copy(name, file)
        yield path


def _predicted(
    predictor: Predictor,
    path: Path,
    name: str,
    start: int,
    which: tuple[int, int],
    show: Callable[[State], Any] | None,
    reads: dict[str, Any],
) -> Iterator[pl.DataFrame]:
    """Yield the predictions for the rows of a file from ``start`` on, block by block."""
    try:
        source = open_rows(path, predictor.schema, **reads)
        names = predictor.begin(source, start)
        meter = Meter(show, "predicting", source.height - start, path.stat().st_size)
        meter.note = f"file {which[0] + 1:,} of {which[1]:,}"
        for frame in predictor.each(source.blocks(names, start)):
            yield frame
            meter.add(frame.height)
    except (ValueError, ChangedFileError) as error:
        said = str(error).replace(str(path), name)
        raise ValueError(said if name in said else f"{name}: {said}") from None


def _joined(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers of rows and the contents of parts."""
    waiting: list[pl.DataFrame] = []

    def part() -> tuple[int, bytes]:
        frame, file = pl.concat(waiting), io.BytesIO()
        waiting.clear()
        frame.write_parquet(file)
        return frame.height, file.getvalue()

    for frame in frames:
        waiting.append(frame)
        if sum(f.height for f in waiting) >= ROWS or sum(f.estimated_size() for f in waiting) >= BYTES:
            yield part()
    if waiting:
        yield part()


@contextmanager
def _kept(out: Path) -> Iterator[None]:
    """Add to an error that the parts are kept."""
    kept = f"Complete parts are kept in {out}: the same command resumes."
    try:
        yield
    except OSError as error:
        if error.errno in scratch.FULL:
            raise OSError(f"cannot write to {out}: {error.strerror}. Free some space. {kept}") from None
        raise type(error)(f"{error} {kept}") from None
    except ValueError as error:
        raise ValueError(f"{error} {kept}") from None
