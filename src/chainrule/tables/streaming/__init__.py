"""Tables larger than memory: read block by block, twice and more, and trained on as they pass by."""

from chainrule.tables.streaming.opening import needs_streaming, open_source
from chainrule.tables.streaming.progress import Printer, State
from chainrule.tables.streaming.source import ChangedFileError
from chainrule.tables.streaming.training import train_stream

__all__ = ["ChangedFileError", "Printer", "State", "needs_streaming", "open_source", "train_stream"]
