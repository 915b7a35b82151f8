"""Tables as plain text: in columns while they fit a form's width, one field a line where they don't."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDEST = 110


def laid_out(rows: Sequence[Sequence[str]], kept: str = "") -> str:
    """Rows in columns, the first one underlined, each behind `kept`; rows too wide for that as `header: value` lines."""
    columns = max((len(row) for row in rows), default=0)
    padded = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(width(row[i]) for row in padded) for i in range(columns)]
    if sum(widths) + 2 * columns > WIDEST and len(padded) > 1:
        return _as_fields(padded[0], padded[1:])
    lines = [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)) for row in padded
    ]
    lines.insert(1, "  ".join("-" * max(size, 1) for size in widths))
    return "\n".join(kept + line.rstrip() for line in lines)


def _as_fields(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not any(rows):
        return "\n".join(header)
    named = [
        [f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=True) if cell] for row in rows
    ]
    return "\n\n".join("\n".join(lines) for lines in named)


def width(text: str) -> int:
    """Columns of a text in a fixed-width font: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) or c in "\u200d\ufe0f" else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
