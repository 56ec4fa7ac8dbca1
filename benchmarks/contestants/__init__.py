"""The contestants: for each, the module that does the work, its requirements, and the settings to try."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CORES = "BENCHMARK_CORES"  # number of cores that worker.py leaves to its process: JAX has no other setting
THREADS = (CORES, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SETTINGS: dict[str, dict[str, str]] = {
    "": {},
    "all threads": {},
    "1 thread": dict.fromkeys(THREADS, "1"),
    "2 threads": dict.fromkeys(THREADS, "2"),
}
EITHER = ("all threads", "1 thread")


@dataclass(frozen=True)
class Contestant:
    """A module of this package, the environment of its process, and additional arguments for all its work.

    ``role`` is "ours", "peer" or "floor". ``settings`` name additional environments, of which the fastest is kept.
    """

    module: str
    role: str
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ("",)
    work: Mapping[str, Any] = field(default_factory=dict)
    compiles: bool = False  # compiles in every new process

    def missing(self) -> str:
        """Return why it cannot run here, or an empty string."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return f"{package} is not installed"
        compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
        if self.work.get("compiled") and not any(map(shutil.which, compilers)):
            return "it needs a C++ compiler (g++ or clang++)"
        return ""


CONTESTANTS = {
    "chainrule": Contestant("ours", "ours", ("numba", "scipy"), {"CHAINRULE_KERNELS": "numba"}),
    "chainrule, NumPy": Contestant("ours", "ours", (), {"CHAINRULE_KERNELS": "reference"}),
    "scikit-learn": Contestant("scikit", "peer", ("sklearn",), settings=EITHER),
    "PyTorch": Contestant("pytorch", "peer", ("torch",), settings=EITHER),
    "torch.compile": Contestant("pytorch", "peer", ("torch",), settings=EITHER, work={"compiled": True}, compiles=True),
    "JAX": Contestant("jaxes", "peer", ("jax",), settings=EITHER, compiles=True),
    "Keras": Contestant("keras_jax", "peer", ("keras", "jax"), {"KERAS_BACKEND": "jax"}, EITHER, compiles=True),
    "bare products": Contestant("floor", "floor", settings=EITHER),
}
