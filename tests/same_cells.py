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
    """Return the columns of a frame, as cast returns it, as the reader returns them."""
    made = {}
    for column in columns:
        values = frame[column.name]
        if column.kind == "date":
            made[column.name] = values.dt.timestamp("us").cast(pl.Float64).to_numpy() / 1e6
        else:
            is_number = values.dtype.is_numeric()
            made[column.name] = values.to_numpy() if is_number else np.array(values.to_list(), dtype=object)
    return made


def differences(column, texts, **more):
    """Return the texts that are read in another way than by polars: the text, theirs and ours; None for refused."""
    schema = schema_of(column, **more)
    frame = as_frame(pl.DataFrame({column.name: pl.Series(texts, dtype=pl.String)}))
    checked = Checker(schema, coerce=True)(frame)
    expected = arrays(cast(checked, schema.columns), [column])[column.name].tolist()
    refused = (checked[column.name].is_null() & frame[column.name].is_not_null() & (frame[column.name] != "")).to_list()
    reader, found, fine = Reader(schema), [], []
    for text, want, no in zip(texts, expected, refused, strict=True):
        theirs = None if no and text not in column.holes else want
        try:
            ours = reader({column.name: text})[column.name].tolist()[0]
        except ValueError:
            ours = None
        if repr(theirs) != repr(ours):
            found.append((text, theirs, ours))
        elif ours is not None:
            fine.append((text, ours))
    at_once = reader({column.name: [text for text, _ in fine]})[column.name].tolist() if fine else []
    assert repr(at_once) == repr([ours for _, ours in fine])
    return found


def both(column, values, **more):
    """Return what polars and the reader make of a column, and their notes; None where it is refused."""
    schema = schema_of(column, **more)
    made = []
    checker, reader = Checker(schema), Reader(schema)
    frame = as_frame(pl.DataFrame({column.name: values if isinstance(values, pl.Series) else pl.Series(values)}))
    for read, notes in (
        (lambda: arrays(cast(checker(frame), schema.columns), [column]), checker.notes),
        (lambda: reader({column.name: values}), lambda: reader.notes),
    ):
        try:
            made.append((read()[column.name].tolist(), notes()))
        except ValueError as error:
            made.append(str(error).split(": correct it")[0].split(": write it")[0])
    return made
