"""Writing the files of an exported model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from chainrule.export import c, javascript, numpy_script
from chainrule.export.build import program
from chainrule.export.program import Program
from chainrule.files.writing import write_atomically
from chainrule.onnx.model import check_free

SUFFIXES = {".c": "C", ".mjs": "JavaScript", ".js": "JavaScript", ".py": "NumPy"}


def save(model: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a model as C, JavaScript or NumPy, to predict without chainrule.

    Parameters
    ----------
    model : Network, Classifier, Regressor or TableModel
        As :func:`chainrule.load` returns it.
    path : path
        The suffix chooses the language: ``.c`` (a header is written beside it), ``.mjs`` or ``.js``, and ``.py``.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    ValueError
        If the suffix is another one, or a part of the model cannot be written in another language.
    TypeError
        If ``model`` is something else, such as an estimator: save it, and load the file.
    FileExistsError, IsADirectoryError, FileNotFoundError
        If a file exists and ``overwrite`` is false, the path is a folder, or its parent folder does not exist.

    Examples
    --------
    >>> import chainrule as cr, os, tempfile
    >>> from chainrule.export import save
    >>> network = cr.Network(2, [cr.layers.Dense(3), cr.layers.Tanh()], "squared_error", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(network, folder + "/small.c")
    ...     sorted(os.listdir(folder))
    ['small.c', 'small.h']
    """
    write(texts(program(model), Path(path)), "pass overwrite=True to replace it", overwrite=overwrite)


def texts(program: Program, path: Path) -> dict[Path, str]:
    """Return the files of a program: their paths, and what they hold."""
    language = SUFFIXES.get(path.suffix)
    if language is None:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}.")
    if path.suffix == ".py" and (path.stem in sys.stdlib_module_names or path.stem == "numpy"):
        raise ValueError(f"{path}: it would hide Python's module {path.stem!r}: choose another name.")
    if language == "C":
        return {path.with_suffix(suffix): text for suffix, text in c.files(program, path.stem).items()}
    return {path: javascript.module(program) if language == "JavaScript" else numpy_script.script(program)}


def write(files: dict[Path, str], remedy: str, *, overwrite: bool) -> None:
    """Write files, after checking that all of them can be written."""
    for path in files:
        check_free(path, remedy, overwrite=overwrite)
    for path, text in files.items():
        write_atomically(path, text.encode())
