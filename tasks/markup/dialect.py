"""The Markdown we read: GFM, admonitions and math, over markdown-it's rules, tried only where their first character stands.

markdown-it tries every inline rule at every stop. Sorting the rules by the character they begin with gives the same tokens
in less time, and keeps long runs of one character linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.admon.index import admonition
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from tasks.markup.math_rules import math_block, math_inline
from tasks.markup.words import PANELS

DEEPEST = 250
DEEPEST_INLINE = 80
LONGEST_LINK = 8_000
LONGEST_ACCOUNT = 256
LONGEST_DOMAIN = 260

InlineRule = Callable[[StateInline, bool], bool]

_STARTS = {
    "\n": ("newline",),
    "$": ("math_inline",),
    "\\": ("escape",),
    "`": ("backticks",),
    "~": ("strikethrough",),
    "*": ("emphasis",),
    "_": ("emphasis",),
    "[": ("link", "footnote_ref"),
    "]": (),
    "!": ("image",),
    "<": ("autolink", "html_inline"),
    "&": ("entity",),
    "w": ("gfm_autolink_www",),
    ":": ("gfm_autolink_protocol",),
    "@": ("gfm_autolink_email",),
}
# Where text stops. A single underscore inside a word means nothing, an address begins with www. or ends its scheme here.
_STOP = re.compile(
    r"[\n$\\`~*\[\]<&@]|!(?=\[)|w(?=ww\.)|(?:(?<=https)|(?<=http)|(?<=mailto)|(?<=xmpp)):"
    r"|_(?<![A-Za-z0-9]_(?=[A-Za-z0-9]))"
)
_LINK_END = re.compile(r"[\s<]")
_BEFORE_LINK = frozenset(" \t\r\n*_~(")
_ACCOUNT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_")
_SCHEME = re.compile(r"(?:https?|mailto|xmpp)\Z")
_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]*([A-Za-z]+)(?:[ \t]+\"[^\"]*\")?[ \t]*$")


class Inline(ParserInline):
    """markdown-it's inline rules, by first character."""

    by_character: dict[str, tuple[InlineRule, ...]]

    def sort_rules(self) -> None:
        """Sort the rules that are enabled; call it when all are."""
        rules = {rule.name: rule.fn for rule in self.ruler.__rules__ if rule.enabled}
        self.by_character = {start: tuple(rules[name] for name in names) for start, names in _STARTS.items()}

    def tokenize(self, state: StateInline) -> None:
        """Generate tokens for the state's range."""
        src, by_character, search = state.src, self.by_character, _STOP.search
        while (position := state.pos) < state.posMax:
            rules = by_character.get(src[position])
            if rules is None:
                found = search(src, position, state.posMax)
                stop = found.start() if found else state.posMax
                if stop == position:
                    stop += 1
                state.append_pending(src[position:stop])
                state.pos = stop
                continue
            if state.level < DEEPEST_INLINE and any(rule(state, False) for rule in rules):
                continue
            state.append_pending(src[position])
            state.pos = position + 1
        if state.pending:
            state.pushPending()

    def skipToken(self, state: StateInline) -> None:  # noqa: N802 - the parser's name for it
        """Step over one token without making it."""
        position = state.pos
        if position in state.cache:
            state.pos = state.cache[position]
            return
        rules = self.by_character.get(state.src[position])
        if rules is None:
            found = _STOP.search(state.src, position, state.posMax)
            state.pos = max(found.start() if found else state.posMax, position + 1)
        elif state.level >= DEEPEST_INLINE:
            state.pos = state.posMax
        else:
            state.level += 1
            matched = any(rule(state, True) for rule in rules)
            state.level -= 1
            if not matched:
                state.pos = position + 1
        state.cache[position] = state.pos


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The one parser. Links of every scheme are tokens: what may be linked is the renderers' decision."""
    made = MarkdownIt("commonmark", {"maxNesting": DEEPEST})
    inline = Inline()
    made.inline = inline
    made.enable(["table", "strikethrough"])
    made.options["tasklists"] = True
    made.options["alerts"] = True
    made.options["strikethrough_single_tilde"] = True
    made.use(footnote_plugin, inline=False, move_to_end=False).use(gfm_autolink_plugin).use(admon_plugin)
    made.inline.ruler.before("escape", "math_inline", math_inline)
    made.block.ruler.before("fence", "math_block", math_block, {"alt": ["paragraph", "blockquote", "list"]})
    made.block.ruler.at("admonition", _admonition, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    made.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    for rule in inline.ruler.__rules__:
        if rule.name.startswith("gfm_autolink"):
            rule.fn = _bounded(rule.fn, rule.name)
    made.disable(["text", "linkify"], ignoreInvalid=True)
    made.validateLink = lambda url: not url.strip().lower().startswith(("javascript:", "vbscript:", "data:text/"))  # type: ignore[method-assign]
    inline.sort_rules()
    return made


def _bounded(rule: InlineRule, name: str) -> InlineRule:
    """An autolink rule that looks no further than an address can reach, back or forth."""

    def bounded(state: StateInline, silent: bool) -> bool:
        if silent or state.linkLevel > 0:
            return False
        src, position, end = state.src, state.pos, state.posMax
        reach = LONGEST_LINK
        if name == "gfm_autolink_email":
            if position == 0 or src[position - 1] not in _ACCOUNT:
                return False
            reach = LONGEST_DOMAIN
        else:
            scheme = _SCHEME.search(src, max(position - 6, 0), position) if src[position] == ":" else None
            before = (scheme.start() if scheme else position) - 1
            if (src[position] == ":" and scheme is None) or (before >= 0 and src[before] not in _BEFORE_LINK):
                return False
        pending = state.pending
        if len(pending) > LONGEST_ACCOUNT:
            state.pending = pending[:-LONGEST_ACCOUNT]
            state.pushPending()
            state.pending = pending[-LONGEST_ACCOUNT:]
        found = _LINK_END.search(src, position, min(end, position + reach))
        state.posMax = found.start() if found else min(end, position + reach)
        try:
            return rule(state, False)
        finally:
            state.posMax = end

    return bounded


def _admonition(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """The plug-in's rule for kinds that have a panel, with a title in quotes or none; anything else is an exclamation."""
    position = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith(("!!!", "???"), position):
        return False
    found = _ADMONITION.match(state.src, position, state.eMarks[start_line])
    if found is None or found.group(1).lower() not in PANELS:
        return False
    return admonition(state, start_line, end_line, silent)


def _html_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """markdown-it's rule, but for a comment that never ends: it is words, and what follows is read."""
    position = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith("<", position):
        return False
    if state.src.startswith("<!--", position):
        last = state.env.get("last_comment_end")
        if last is None:
            last = state.env["last_comment_end"] = state.src.rfind("-->")
        if last < position:
            return False
    return html_block(state, start_line, end_line, silent)
