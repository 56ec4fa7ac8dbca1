"""A trained table that predicts with NumPy alone."""

from __future__ import annotations

import os
from typing import Any, final

import numpy as np

from chainrule._internal.checks import check_real
from chainrule._internal.typing import Array
from chainrule.files.container import opened, read_header
from chainrule.files.serving import Classifier, Regressor, read_model
from chainrule.files.values import ModelFileError, shown
from chainrule.tables.serving.cells import Reader
from chainrule.tables.serving.drift import PSI, Drift, drift
from chainrule.tables.serving.files import Table, read_table
from chainrule.tables.serving.reference import Reference
from chainrule.tables.serving.steps import Columns, Lookup, inputs


def load(path: str | os.PathLike[str]) -> TableModel:
    """Load the model file of a table: ``model.safetensors`` in the folder of a run.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
    ModelFileError
        If the file is corrupt, from another tool or a newer version, or holds something else.
    """
    expected = "the model file of a table"
    with opened(path, expected) as file:
        header = read_header(file, expected)
        model = read_model(file, header, expected)
        if not isinstance(model, Classifier | Regressor):
            raise ModelFileError(f"{expected} was expected, but it holds a network.")
        table = read_table(file, header, model.n_features_in_)
        _check(table, model)
        return TableModel(table, model)


@final
class TableModel:
    """A trained table, which predicts rows as they are, with NumPy alone.

    Returned by :func:`chainrule.load` for the folder of a run on a table, or for the ``model.safetensors`` in it. The
    predictions are those of :func:`chainrule.tables.predict`, to rounding.

    Attributes
    ----------
    schema : chainrule.tables.Schema
        The columns of the table and their types, and the targets.
    classes_ : (classes,) array
        The classes of a classification; the names of the labels if there are several.
    table : chainrule.tables.serving.files.Table
        The steps that prepare the rows, the unit of the target, and the widths of intervals.
    model : Classifier or Regressor
        The networks, which take prepared inputs.
    seen : dict of str to list of str
        The values seen in training, for high-cardinality columns.

    Examples
    --------
    >>> import chainrule as cr, polars as pl, tempfile
    >>> plans, left = ["pro", "free"] * 20, ["no", "no", "yes", "yes"] * 10
    >>> frame = pl.DataFrame({"age": [*range(20)] * 2, "plan": plans, "left": left})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cr.tables.save(cr.tables.train(frame, "left", fast=True), folder + "/customers")
    ...     model = cr.load(folder + "/customers")
    >>> model
    TableModel(age, plan -> left: 'no', 'yes')
    >>> model.predict_proba([{"age": 41, "plan": "pro"}, {"age": None, "plan": "free"}]).shape
    (2, 2)
    """

    def __init__(self, table: Table, model: Classifier | Regressor) -> None:
        self.schema, self.table, self.model = table.schema, table, model
        known = [step for step in table.steps if isinstance(step, Lookup)]
        many = {column.name for column in table.schema.used if column.kind == "many"}
        keys = {s.columns[0]: s.keys for s in known if s.columns[0] in many}
        self.seen = {name: [*texts] for name, texts in keys.items()}
        self._reader = Reader(self.schema, keys)
        few = {column.name: column.categories for column in table.schema.used if column.categories}
        self._seen = {name: frozenset(texts) for name, texts in (few | keys).items()}
        if self.schema.task != "regression":
            named = self.schema.classes or [column.name for column in self.schema.targets]
            self.classes_ = np.array(named)

    def predict(self, rows: Any) -> Array:
        """Return the prediction for each row: a class or a number; for several labels, a row of 0 and 1.

        Several numbers are (rows, targets), in the order of ``schema.targets``.

        Parameters
        ----------
        rows : dict, list of dict, dict of arrays, or data frame
            A dictionary of values is one row. Values may be missing: None or NaN.

        Raises
        ------
        ValueError
            If a required column is missing, or a value does not fit its column.
        """
        return self.predictions(self.read(rows))[0]

    def predict_proba(self, rows: Any) -> Array:
        """Return the probabilities (rows, classes), in the order of ``classes_``.

        Parameters
        ----------
        rows : as for :meth:`predict`
        """
        if self.schema.task == "regression":
            raise ValueError("predict_proba: the table predicts a number, not classes: use predict.")
        return np.asarray(self.predictions(self.read(rows))[1])

    def predict_interval(self, rows: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Return the ends of intervals that contain a share of new values, for a table that predicts numbers.

        Parameters
        ----------
        rows : as for :meth:`predict`
        coverage : float
            Share of new values between the ends, between 0 and 1; see
            :class:`chainrule.tables.intervals.Widths`.
        """
        if self.schema.task != "regression":
            raise ValueError("predict_interval: the table predicts classes, not a number: use predict_proba.")
        return self.interval(self.predict(rows), coverage)

    def interval(self, y: Array, coverage: float = 0.9) -> tuple[Array, Array]:
        """Return the ends of intervals around predicted numbers, as :meth:`predict_interval` does for their rows."""
        half = self.table.widths.half(coverage)
        return np.maximum(y - half, self.least), y + half

    @property
    def least(self) -> Any:
        """The least number that is predicted: 0 for a target that is never negative, else -∞; one for each target."""
        unit = self.table.unit or (self.model.ensemble and self.model.ensemble.unit)
        low = np.full(len(self.schema.targets), -np.inf) if unit is None else np.where(unit.low >= 0, 0.0, -np.inf)
        return low if len(low) > 1 else float(low[0])

    def read(self, rows: Any) -> dict[str, Array]:
        """Return the columns of rows as the preparation takes them; :attr:`notes` are those on these rows.

        Columns of several readings may be concatenated for :meth:`predictions`: no row depends on the others of them.
        """
        return self._reader(rows)

    def predictions(self, columns: Columns) -> tuple[Array, Array | None]:
        """Return the predictions for columns as read, and the probabilities (None for a number), from one pass."""
        return self.outputs(self.prepare(columns))

    def prepare(self, columns: Columns) -> Array:
        """Return the inputs of the network, (rows, inputs), for columns as read."""
        return inputs(self.table.steps, columns)

    def outputs(self, X: Array) -> tuple[Array, Array | None]:
        """Return the same as :meth:`predictions` for prepared inputs."""
        if isinstance(self.model, Classifier):
            return self.model.predict_both(X)
        return self.choices(X)

    def choices(self, X: Array) -> tuple[Array, Array | None]:
        """Return the same with the index of each class in place of its label."""
        if isinstance(self.model, Classifier):
            return self.model.choices(X)
        y, unit = self.model.predict(X), self.table.unit
        return (y if unit is None else unit(y.reshape(len(y), -1).astype(np.float64)).reshape(y.shape)), None

    def drift(self, rows: Any, limit: float = PSI) -> Drift:
        """Compare the distributions of rows, and of their predictions, with those of training.

        Parameters
        ----------
        rows : as for :meth:`predict`
        limit : float
            The least population stability index of a distribution that is said to have moved.

        Raises
        ------
        ValueError
            If the file is of a version that did not store the distributions.
        """
        check_real("drift", "limit", limit, 0, open_low=True)
        if self.table.reference is None:
            raise ValueError("drift: the model was saved without the distributions of training: train it again.")
        columns = self.read(rows)
        return drift(self.schema, self.table.reference, columns, self.predictions(columns), self._seen, limit)

    def inputs(self, rows: Any) -> Array:
        """Return the prepared inputs of the network, (rows, inputs)."""
        return self.prepare(self.read(rows))

    @property
    def sources(self) -> tuple[str, ...]:
        """The column of each prepared input."""
        return tuple(name for step in self.table.steps for name in step.sources)

    @property
    def reference(self) -> Reference | None:
        """The distributions of the columns in training; None in files of versions that did not store them."""
        return self.table.reference

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the last rows: values not seen in training, ignored columns."""
        return self._reader.notes

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.table, self.model)  # the reader is made anew

    def __repr__(self) -> str:
        names = [column.name for column in self.schema.used]
        shown_names = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        classes = ", ".join(map(repr, self.schema.classes[:5])) + (", ..." if len(self.schema.classes) > 5 else "")
        return f"TableModel({shown_names} -> {self.schema.target}{f': {classes}' if classes else ''})"


def _check(table: Table, model: Classifier | Regressor) -> None:
    """Reject a table whose target is not that of the network."""
    schema = table.schema
    if (schema.task == "regression") != isinstance(model, Regressor):
        raise ModelFileError(f"the task {schema.task} does not fit the network. The file is corrupt.")
    if isinstance(model, Regressor):
        outputs = (len(schema.targets),)
        if model.network.output_shape != outputs or (table.unit is None) == (model.ensemble is None):
            raise ModelFileError("the unit of the target does not fit the network. The file is corrupt.")
        return
    given, wanted = tuple(model.classes_.tolist()), schema.classes or tuple(range(len(schema.targets)))
    if given != wanted:
        raise ModelFileError(f"the network has the classes {shown(given)}, but the schema has {shown(wanted)}.")
