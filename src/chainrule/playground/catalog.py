"""The catalog: every layer, loss, optimizer and so on, from the library's own tables."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from chainrule._internal.config import Config
from chainrule._version import __version__
from chainrule.files.descriptions import MODULES, describe, table
from chainrule.layers.activation import Activation
from chainrule.playground.bounds import LIMITS
from chainrule.playground.data import FEATURES
from chainrule.playground.editing import MISTAKES, is_editable, source_of
from chainrule.playground.lessons import LESSONS
from chainrule.playground.sets import SETS
from chainrule.playground.state import read


def catalog(begin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first message: what a page can offer, and the state to begin with."""
    return {"type": "catalog", "version": __version__, "state": read(begin).json, "limits": LIMITS, **_offers()}


@cache
def _offers() -> dict[str, Any]:
    return {
        "datasets": [
            {"name": name, "title": s.title, "inputs": s.inputs, "task": s.task, "outputs": s.outputs}
            for name, s in SETS.items()
        ],
        "features": list(FEATURES),
        "lessons": [{"name": name, "title": one.title, "state": read(one.state).json} for name, one in LESSONS.items()],
        "layers": [_layer(cls) for cls in table("Layer").values()],
        "losses": [_known(cls) for cls in table("Loss").values()],
        "optimizers": [_known(cls) | {"slots": list(cls.slots)} for cls in table("Optimizer").values()],
        "schedules": [_known(cls) for cls in table("Schedule").values()],
        "penalties": [_known(cls) for base in ("Penalty", "Constraint") for cls in table(base).values()],
        "initializers": [_known(cls) for cls in table("Initializer").values()],
        "mistakes": [{"layer": m.layer, "title": m.title, "source": m.source()} for m in MISTAKES],
    }


def _known(cls: type) -> dict[str, Any]:
    return {"type": cls.__name__, "summary": (inspect.getdoc(cls) or "").partition("\n")[0], "fields": [*_fields(cls)]}


def _fields(cls: Any) -> Iterator[dict[str, Any]]:
    for field in fields(cls) if is_dataclass(cls) else ():
        if field.init:
            value = field.default
            default = {} if value is MISSING else {"default": _plain(value)}
            yield {"name": field.name, "form": str(field.type), **default}


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        base = next(base for base in MODULES if table(base).get(type(value).__name__) is type(value))
        return describe("a default", value, base)
    return list(value) if isinstance(value, tuple) else value


def _layer(cls: type) -> dict[str, Any]:
    editable = is_editable(cls)
    source = {"source": source_of(cls)} if editable else {}
    return _known(cls) | {"editable": editable, "activation": issubclass(cls, Activation)} | source
