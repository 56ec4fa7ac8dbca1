"""The free memory of this machine, or of the container in which it runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def free_memory() -> int:
    """Return the number of bytes of free memory, within the limits of a container; 0 if it is unknown.

    >>> free_memory() >= 0
    True
    """
    free = 0
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    with suppress(OSError, ValueError):
        most, used = (int(Path("/sys/fs/cgroup", f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, max(0, most - used)) if free else max(0, most - used)
    return free
