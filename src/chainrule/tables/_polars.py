"""polars, imported when a name of it is first used: a missing extra then names the command to type.

>>> pl.DataFrame({"a": [1, 2]}).height
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._internal.extras import require

__all__ = ["pl"]


class _Polars:
    def __getattr__(self, name: str) -> Any:
        value = getattr(require("polars", "tables"), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import polars as pl
else:
    pl = _Polars()
