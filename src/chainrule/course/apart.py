"""Runs a script apart from other processes and from the network, where Linux allows it: ``python apart.py SCRIPT``.

In namespaces of its own (see ``man 7 namespaces``), a process can neither signal the one that started it nor look into
it, and all that it starts ends with it. Elsewhere, the script just runs. This imports nothing of chainrule.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import sys

NEW_USER, NEW_PROCESSES, NEW_NETWORK, NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
SIGNAL = 128  # is added to the number of a signal, as in shells


def is_apart() -> bool:
    """Enter new namespaces, with the next process that is started as the first; return whether that was possible."""
    flags = NEW_PROCESSES | NEW_NETWORK | NEW_IPC | (NEW_USER if os.geteuid() else 0)
    try:
        return bool(ctypes.CDLL(None).unshare(flags) == 0)
    except (OSError, AttributeError):
        return False


def main() -> None:
    """Run the script, with the exit status of its process."""
    if sys.platform == "linux" and is_apart():
        for _ in range(2):  # no limit on time ends the first process of a namespace
            if (process := os.fork()) != 0:
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                os._exit(status if status >= 0 else SIGNAL - status)
    runpy.run_path(sys.argv[1], run_name="__main__")


if __name__ == "__main__":
    main()
