"""The introduction of a state: the shapes of its layers, and its rows."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import numpy as np

from chainrule.network import Network
from chainrule.playground.bounds import SHOWN
from chainrule.playground.data import expanded
from chainrule.playground.frames import WIDEST, Box, encode
from chainrule.playground.state import Plan


def introduction(plan: Plan, network: Network, edited: Collection[int], batches: int) -> dict[str, Any]:
    """Return the message ``configured``."""
    data = plan.rows
    return {
        "type": "configured",
        "state": plan.json,
        "layers": [
            {
                "type": type(layer).__name__,
                "title": repr(layer),
                "input": list(layer.input_shape),
                "output": list(layer.output_shape),
                "parameters": {e.name: list(e.shape) for e in network.layout.entries if e.layer == i},
                "edited": i in edited,
                **_place(type(plan.layers[i])),
            }
            for i, layer in enumerate(network.layers)
        ],
        "data": {
            "rows": len(data.X),
            "test_rows": len(data.X_test),
            "inputs": plan.inputs,
            "features": len(plan.data.features),
            "names": list(data.names),
            "classes": list(data.classes),
            "left_out": list(data.left_out),
            "mean": data.mean.tolist(),
            "scale": data.scale.tolist(),
        },
        "parameters": network.layout.size,
        "outputs": network.output_shape[0],
        "batches": batches,
    }


def rows(plan: Plan, box: Box | None) -> bytes:
    """Return the rows as a binary message, training rows first, with the plane of the heat maps.

    ``place`` has the rows' coordinates on the plane, and ``plane`` the values of the inputs over it.
    """
    data, parts = plan.rows, ((plan.rows.X, plan.rows.t), (plan.rows.X_test, plan.rows.t_test))
    X, t = (np.concatenate([part[k][:SHOWN] for part in parts]) for k in (0, 1))
    test = np.repeat([0, 1], [len(data.X[:SHOWN]), len(data.X_test[:SHOWN])])
    arrays = {"X": X, "t": t.reshape(len(t), -1), "test": test}
    if box is not None:
        arrays["place"] = box.places(X[:, : data.base])
        if plan.inputs <= WIDEST:
            plane = expanded(box.points(), plan.data.features)
            arrays["plane"] = plane.T.reshape(-1, *box.shape)
    return encode({"kind": "data", "box": None if box is None else _box(box)}, arrays)


def _box(box: Box) -> dict[str, Any]:
    x, *y = box.ranges
    return {
        "columns": list(box.columns),
        "names": list(box.names),
        "shape": list(box.shape),
        "x": list(x),
        "y": list(y[0]) if y else None,
        "slice": box.origin.tolist(),
    }


def _place(cls: type) -> dict[str, Any]:
    """Return the file in the package, and the line of a layer's forward and backward."""
    methods = (cls.forward, cls.backward)  # type: ignore[attr-defined]
    lines = [inspect.getsourcelines(method)[1] for method in methods]
    return {"file": f"{cls.__module__.replace('.', '/')}.py", "forward": lines[0], "backward": lines[1]}
