"""Print what CuPy has of NumPy's functions: their names and arguments, for ``tests/fake_cupy.py``.

    pip install cupy-cuda12x && python tests/cupy_names.py > tests/cupy_names.json

No GPU is needed to ask.
"""

from __future__ import annotations

import inspect
import json
import operator

import numpy as np

OTHERS = (
    "ElementwiseKernel", "ReductionKernel", "asarray", "cuda.Device", "cuda.runtime.getDeviceCount",
    "cuda.runtime.getDeviceProperties", "cuda.runtime.memGetInfo", "empty", "get_default_memory_pool", "ndarray",
    "_core._routines_linalg.COMPUTE_TYPE_TF32", "_core._routines_linalg.get_compute_type",
    "_core._routines_linalg.set_compute_type",
)  # fmt: skip


def arguments(function: object) -> list[str] | None:
    """Return the names of a function's arguments; None for built-in ones that do not say."""
    try:
        return [*inspect.signature(function).parameters]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def main() -> None:
    """Print the names as JSON."""
    import cupy  # noqa: PLC0415

    ufuncs, functions = [], {}
    places = [("", np, cupy), ("lib.stride_tricks", np.lib.stride_tricks, cupy.lib.stride_tricks)]
    for prefix, numpy_module, cupy_module in places:
        for name in sorted(dir(numpy_module)):
            ours, theirs = getattr(numpy_module, name), getattr(cupy_module, name, None)
            if name.startswith("_") or theirs is None or isinstance(ours, type):
                continue
            if isinstance(ours, np.ufunc):
                ufuncs.append(name)
            elif callable(ours) and theirs is not ours:
                functions[f"{prefix}.{name}".strip(".")] = arguments(theirs)
    import cupy._core._routines_linalg  # noqa: PLC0415

    others = [name for name in OTHERS if operator.attrgetter(name)(cupy) is not None]
    methods = {name: arguments(getattr(cupy, name, None)) for name in dir(cupy.ndarray) if not name.startswith("_")}
    names = {
        "version": cupy.__version__,
        "ufuncs": ufuncs,
        "functions": functions,
        "methods": methods,
        "others": others,
    }
    print(json.dumps(names, separators=(",", ":")))


if __name__ == "__main__":
    main()
