"""The Markdown we read: GFM with footnotes, alerts, admonitions and math, in one parser whose time is linear in any text."""

from __future__ import annotations

import re
from functools import lru_cache
from types import SimpleNamespace

from markdown_it import MarkdownIt, helpers
from markdown_it.common.normalize_url import normalizeLink, normalizeLinkText
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.admon.index import admonition
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from tasks.markup.parser.by_character import Block, Inline, InlineRule, link_label
from tasks.markup.parser.math import math_block, math_inline
from tasks.markup.parser.states import DEEPEST
from tasks.markup.words import PANELS

LONGEST_LINK = 8_000
LONGEST_ACCOUNT = 256
LONGEST_DOMAIN = 260

_LINK_END = re.compile(r"[\s<]")
_BEFORE_LINK = frozenset(" \t\r\n*_~(")
_ACCOUNT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_")
_SCHEME = re.compile(r"(?:https?|mailto|xmpp)\Z")
_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]*([A-Za-z]+)(?:[ \t]+\"[^\"]*\")?[ \t]*$")
# Addresses that read the same normalised: nothing to escape, no host in other letters. Taking them apart takes longest of all.
_PLAIN_LINK = re.compile(
    r"(?!.*xn--)(?:(?:https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?|mailto:[A-Za-z0-9_.+-]+@[a-z0-9][a-z0-9.-]*)(?=[/?#]|\Z)|(?!//))"
    r"[A-Za-z0-9_.~/-]*(?:\?[A-Za-z0-9_.~/=&-]*)?(?:#[A-Za-z0-9_.~/-]*)?\Z"
)


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The one parser."""
    made = MarkdownIt("commonmark")
    inline, block = Inline(), Block()
    made.inline, made.block = inline, block
    made.helpers = SimpleNamespace(**vars(helpers) | {"parseLinkLabel": link_label})  # type: ignore[assignment]
    made.normalizeLink, made.normalizeLinkText = _link, _link_text  # type: ignore[method-assign]
    with_dialect(made).disable(["text", "linkify"], ignoreInvalid=True)
    inline.sort_rules()
    block.sort_rules()
    return made


def with_dialect(made: MarkdownIt) -> MarkdownIt:
    """The parser with our rules. Links of other schemes are tokens too: what may be linked is the renderers' decision."""
    made.enable(["table", "strikethrough"])
    made.options.update({"maxNesting": DEEPEST, "tasklists": True, "alerts": True, "strikethrough_single_tilde": True})
    made.use(footnote_plugin, inline=False, move_to_end=False).use(gfm_autolink_plugin).use(admon_plugin)
    made.inline.ruler.before("escape", "math_inline", math_inline)
    made.block.ruler.before("fence", "math_block", math_block, {"alt": ["paragraph", "blockquote", "list"]})
    made.block.ruler.at("admonition", _admonition, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    made.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    for rule in made.inline.ruler.__rules__:
        if rule.name.startswith("gfm_autolink"):
            rule.fn = _bounded(rule.fn, rule.name)
    made.validateLink = _may_be_linked  # type: ignore[method-assign]
    return made


def _link(url: str) -> str:
    return url if _PLAIN_LINK.match(url) else normalizeLink(url)


def _link_text(link: str) -> str:
    return link if _PLAIN_LINK.match(link) else normalizeLinkText(link)


def _may_be_linked(url: str) -> bool:
    return not url.strip().lower().startswith(("javascript:", "vbscript:", "data:text/"))


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
