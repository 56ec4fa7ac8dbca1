"""``mpirun -n 2 chainrule train``: several processes that train one network, of which the first prints and saves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from chainrule.training.ranks import Ranks, Reduce

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE")  # by MPICH and Intel MPI, by Open MPI


def started() -> Reduce | None:
    """Return the sum over the processes that mpirun has started; None for a process alone."""
    if not any(os.environ.get(name, "1") not in ("", "0", "1") for name in SIZES):
        return None
    from chainrule.parallel import MPI  # noqa: PLC0415  (an extra)

    return MPI()


@contextmanager
def of_rank_0(folders: AbstractContextManager[Path], reduce: Reduce | None) -> Iterator[Path]:
    """Enter ``folders`` on rank 0 only, and yield its folder on every rank."""
    ranks = Ranks(reduce)
    if ranks.rank:
        with ranks.together():  # an error of rank 0
            pass
        yield Path(ranks.texts("")[0])
        return
    with ExitStack() as stack:
        with ranks.together():
            folder = stack.enter_context(folders)
        ranks.texts(str(folder))
        yield folder
