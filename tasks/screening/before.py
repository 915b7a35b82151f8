"""What stands before a number says what it is: a card, an order, somebody's telephone."""

from __future__ import annotations

import re


class Before:
    """The last words of some kind before a place, at most `reach` characters away.

    Places are asked for in ascending order, so that no part of a text is searched twice, however many numbers it has.
    """

    def __init__(self, text: str, words: re.Pattern[str], reach: int = 60) -> None:
        self._text, self._words, self._reach = text, words, reach
        self._searched = 0
        self._last: tuple[int, int] | None = None

    def end(self, at: int) -> int | None:
        """Where the last such words before `at` end; None where there are none within reach."""
        for found in self._words.finditer(self._text, max(self._searched, at - self._reach), at):
            self._last = found.span()
        self._searched = at
        return self._last[1] if self._last and self._last[0] >= at - self._reach else None

    def in_line(self, at: int, most: int) -> bool:
        """Whether such words stand in the same line, with at most so many characters between them and `at`."""
        end = self.end(at)
        return end is not None and at - end <= most and self._text.find("\n", end, at) < 0
