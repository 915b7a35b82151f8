"""Writes nested elements that always close, whatever order a document's raw HTML opens and closes them in."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.markup.clean import escape

# What an element's parent must be; anything else there is shown as text.
PARENTS = {
    "tr": {"table", "thead", "tbody", "tfoot"},
    "td": {"tr"},
    "th": {"tr"},
    "thead": {"table"},
    "tbody": {"table"},
    "tfoot": {"table"},
    "li": {"ul", "ol"},
    "summary": {"details"},
}
# What opens by itself when text stands where only these may stand.
IMPLIED = {
    "table": ("tbody", "tr", "td"),
    "thead": ("tr", "td"),
    "tbody": ("tr", "td"),
    "tfoot": ("tr", "td"),
    "tr": ("td",),
    "ul": ("li",),
    "ol": ("li",),
}
BARRIER = "#"


@dataclass
class Writer:
    """Output parts and the stack of what is open. A barrier keeps raw HTML from closing what Markdown opened."""

    parts: list[str] = field(default_factory=list)
    stack: list[tuple[str, str]] = field(default_factory=list)

    def raw(self, markup: str) -> None:
        """Markup of our own, as it is."""
        self.parts.append(markup)

    def text(self, text: str) -> None:
        """A reader's words, escaped; inside a table or list without a cell or item, one opens for them."""
        if text.strip():
            self.imply()
        self.parts.append(escape(text))

    def imply(self) -> None:
        """Open what text or inline content needs around it here."""
        for name in IMPLIED.get(self.top, ()):
            self.open(name, f"<{name}>", f"</{name}>")

    @property
    def top(self) -> str:
        """The innermost open element's name, or the empty string."""
        return next((name for name, _ in reversed(self.stack) if name != BARRIER), "") if self.stack else ""

    def open(self, name: str, start: str, end: str) -> None:
        """Open an element that `close` or an outer end closes with `end`."""
        self.parts.append(start)
        self.stack.append((name, end))

    def close(self, name: str) -> bool:
        """Close the innermost element of that name and all inside it; False where none is open above the barrier."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index][0] == BARRIER:
                return False
            if self.stack[index][0] == name:
                self._pop_to(index)
                return True
        return False

    def barrier(self) -> int:
        """Begin a part that has to be closed as a whole by `end`."""
        self.stack.append((BARRIER, ""))
        return len(self.stack) - 1

    def end(self, index: int) -> None:
        """Close everything since that barrier."""
        self._pop_to(index)

    def _pop_to(self, index: int) -> None:
        while len(self.stack) > index:
            self.parts.append(self.stack.pop()[1])

    def result(self) -> str:
        """Everything written, with all elements closed."""
        self._pop_to(0)
        return "".join(self.parts)
