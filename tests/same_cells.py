"""What polars makes of a column of new values, and what the reader without it makes of each."""

import numpy as np
import polars as pl

from chainrule.tables.casting import cast
from chainrule.tables.checking import Checker
from chainrule.tables.frames import as_frame
from chainrule.tables.schema import Column, Schema
from chainrule.tables.serving.cells import Reader

TARGET = Column("y", "number")


def schema_of(*columns, **more):
    return Schema(columns, (TARGET,), "regression", **more)


def arrays(frame, columns):
    """Return the columns of a frame as the reader returns them."""
    made = {}
    for column in columns:
        values = frame[column.name]
        if column.kind == "date":
            made[column.name] = values.dt.timestamp("us").cast(pl.Float64).to_numpy() / 1e6
        else:
            is_number = values.dtype.is_numeric()
            made[column.name] = values.to_numpy() if is_number else np.array(values.to_list(), dtype=object)
    return made


def theirs(column, values, **more):
    """Return what polars makes of values, and which of them it refuses."""
    schema = schema_of(column, **more)
    frame = as_frame(pl.DataFrame({column.name: pl.Series(values)}))
    checked = Checker(schema, coerce=True)(frame)
    refused = checked[column.name].is_null() & frame[column.name].is_not_null()
    return arrays(cast(checked, schema.columns), [column])[column.name], refused.to_numpy()


def differences(column, values, **more):
    """Return the values that are read in another way than by polars: the value, theirs and ours; None for refused."""
    expected, refused = theirs(column, values, **more)
    reader, found, fine = Reader(schema_of(column, **more)), [], []
    for value, want, no in zip(values, expected, refused, strict=True):
        try:
            (ours,) = reader({column.name: [value]})[column.name]
        except ValueError:
            ours = None
        want = None if no and value not in column.holes else want
        if want is not None:
            fine.append((value, want))
        if (want is None) != (ours is None) or (want is not None and want != ours and (want == want or ours == ours)):
            found.append((value, want, ours))
    if fine and not found:  # all at once
        at_once = reader({column.name: [value for value, _ in fine]})[column.name]
        np.testing.assert_array_equal(at_once, np.array([want for _, want in fine], dtype=at_once.dtype))
    return found
