"""Data-parallel training over MPI: each process has a share of the rows, and all take the same steps.

``train(network, X, t, reduce=MPI())``, started by ``mpirun -n 2 python program.py``. Needs the extra ``mpi``.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._internal.checks import check_count
from chainrule._internal.extras import require
from chainrule._internal.typing import Array
from chainrule.training.ranks import ParallelError, Reduce

__all__ = ["MPI", "ParallelError", "Reduce"]

CHECK_SECONDS = 0.2  # between looks at whether the others still run, while waiting for them
LEFT = 1  # the tag of the message of a rank that ends


class MPI:
    """The processes of an MPI job: how many they are, and the sum of a vector over them.

    Parameters
    ----------
    comm : mpi4py communicator, optional
        ``COMM_WORLD`` by default. A duplicate of it is used, so your messages do not interfere.

    Attributes
    ----------
    rank, size : int
        Which process this is, counted from 0, and how many there are.
    local : int
        How many of them run on this machine and share its cores.

    Raises
    ------
    ImportError
        If mpi4py is not installed.
    ConnectionError
        While the others are waited for, if one of them has ended: it was killed, raised an error, or finished early.

    Notes
    -----
    A sum is an ``Iallreduce`` in place. A process that ends tells the others, and one that is killed is missed by those
    on the same machine within a second. Most launchers then end the whole job by themselves.

    Source: MPI Forum, "MPI: a message-passing interface standard, version 4.0" (2021), section 6.12.

    Examples
    --------
    In a program that ``mpirun -n 2 python program.py`` starts, or alone:

    >>> ranks = MPI()  # doctest: +SKIP
    >>> rows = ranks.share(len(X))  # doctest: +SKIP
    >>> history = cr.train(network, X[rows], t[rows], reduce=ranks, seed=0)  # doctest: +SKIP
    """

    def __init__(self, comm: Any = None) -> None:
        self._mpi = require("mpi4py.MPI", "mpi")
        world = self._mpi.COMM_WORLD if comm is None else comm
        self._comm, self._ends = world.Dup(), world.Dup()
        self.rank, self.size = world.Get_rank(), world.Get_size()
        mine = np.array([_machine(), os.getpid()], np.int64)
        everyone = np.empty((self.size, 2), np.int64)
        self._comm.Allgather(mine, everyone)
        here = [(rank, int(pid)) for rank, (machine, pid) in enumerate(everyone) if machine == mine[0]]
        self.local = len(here)
        self._others = [(rank, pid) for rank, pid in here if rank != self.rank]
        self._broken = False
        atexit.register(self._leave)

    def __call__(self, vector: Array) -> None:
        """Replace a vector by its sum over all processes, in place."""
        self._wait(self._comm.Iallreduce(self._mpi.IN_PLACE, vector, op=self._mpi.SUM))

    def share(self, rows: int) -> slice:
        """Return this process's share of the rows: equally many for each, so up to ``size`` − 1 rows at the end remain.

        >>> ranks = MPI()  # doctest: +SKIP
        >>> ranks.share(101)  # of two processes, in the second  # doctest: +SKIP
        slice(50, 100, None)
        """
        size = check_count("share", "rows", rows, least=self.size) // self.size
        return slice(self.rank * size, (self.rank + 1) * size)

    def _wait(self, request: Any) -> None:
        """Wait for the others, and give the core to them; raise an error if one of them has ended."""
        looked = time.monotonic()
        while not request.Test():
            if time.monotonic() - looked > CHECK_SECONDS:
                gone = self._ended()
                if gone is not None and not request.Test():
                    self._broken = True
                    raise ConnectionError(
                        f"rank {gone} of {self.size} has ended, so rank {self.rank} cannot continue. If there are "
                        "checkpoints, start the job again to resume from the newest."
                    )
                looked = time.monotonic()
            os.sched_yield() if hasattr(os, "sched_yield") else time.sleep(0)

    def _ended(self) -> int | None:
        """Return a rank that has ended, if there is one."""
        status = self._mpi.Status()
        if self._ends.Iprobe(source=self._mpi.ANY_SOURCE, tag=LEFT, status=status):
            return int(status.Get_source())
        return next((rank for rank, pid in self._others if not _runs(pid)), None)

    def _leave(self) -> None:
        """Tell the others that this process ends, and do not wait in MPI for one that was killed."""
        sys.stdout.flush()
        sys.stderr.flush()
        if not self._broken and not self._mpi.Is_finalized():
            nothing = np.zeros(0)
            sent = [self._ends.Isend(nothing, dest=rank, tag=LEFT) for rank in range(self.size) if rank != self.rank]
            everyone = self._ends.Ibarrier()
            while not everyone.Test():
                if not all(_runs(pid) for _, pid in self._others):
                    os._exit(1)
                time.sleep(0.01)
            self._mpi.Request.Waitall(sent)
        elif self._broken:
            os._exit(1)


def _machine() -> int:
    """Return a number that tells this machine from others."""
    return int.from_bytes(hashlib.sha256(platform.node().encode()).digest()[:6], "little")


def _runs(pid: int) -> bool:
    """Return whether a process of this machine runs; one that was killed and is still listed does not."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat")
            return stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False
    if os.name == "posix":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    return True
