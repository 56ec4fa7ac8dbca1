"""The contestants: for each, the module that does the work, its requirements, and the settings to try."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL = {"all threads": {}}
ONE = {"1 thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}}
# JAX's thread pool has no size option; the runtime before "thunks" starts small steps faster.
XLA = {
    "1 thread": {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"},
    "classic runtime": {"XLA_FLAGS": "--xla_cpu_use_thunk_runtime=false"},
}


@dataclass(frozen=True)
class Contestant:
    """A module of this package, the environment of its process, and additional arguments for all its work.

    ``role`` is "ours", "peer" or "floor". ``settings`` are additional environments, of which the fastest is kept; the
    first is the default.
    """

    module: str
    role: str
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"": {}})
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
    "scikit-learn": Contestant("scikit", "peer", ("sklearn",), settings=ALL | ONE),
    "PyTorch": Contestant("pytorch", "peer", ("torch",), settings=ALL | ONE),
    "torch.compile": Contestant(
        "pytorch", "peer", ("torch",), settings=ALL | ONE, work={"compiled": True}, compiles=True
    ),
    "JAX": Contestant("jaxes", "peer", ("jax",), settings=ALL | XLA, compiles=True),
    "bare products": Contestant("floor", "floor", settings=ALL | ONE),
}
