"""What a record was when a process read it, in a few characters: a script that finds it changed refuses (`lua/marks.lua`).

So what was read before, and its signature checked, can be relied on without reading it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def mark_of(record: Mapping[str, str], fields: Sequence[str]) -> str:
    """The mark of these fields of a record; of what isn't there, that it isn't."""
    said = "\n".join(record.get(field, "") for field in fields)
    return hashlib.sha1(said.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
