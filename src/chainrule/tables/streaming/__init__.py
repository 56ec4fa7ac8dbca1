"""Tables larger than memory, which stay on disk and are read column by column and block by block."""

from chainrule.tables.streaming.on_disk import ChangedFileError
from chainrule.tables.streaming.opening import needs_streaming
from chainrule.tables.streaming.progress import Printer, State

__all__ = ["ChangedFileError", "Printer", "State", "needs_streaming"]
