"""markdown-it's rules, tried only where the character stands that they begin with.

The parser tries every rule at every stop and every line. Sorting the rules by their first character gives the same tokens
(a test compares them) in less time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import mdTrim
from markdown_it.parser_block import ParserBlock
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from tasks.markup.parser.lists import list_block
from tasks.markup.parser.quotes import blockquote
from tasks.markup.parser.states import DEEPEST, BlockState, LineState, QuickToken, emphasis

DEEPEST_INLINE = 20
InlineRule = Callable[[StateInline, bool], bool]
# Takes the state (markdown-it's or ours), a line, the line after the last, and whether only to look.
BlockRule = Callable[[Any, int, int, bool], bool]

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
_BELOW_HEADER = re.compile(r"(?:[|:]|-(?=[-|:]))[-|: \t]+")
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*")
_RULE = re.compile(r"(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}")
# The block rules that begin with a character; a table, code, and a heading by its underline can begin with any.
_BLOCK_STARTS = {
    "!": ("admonition",),
    "?": ("admonition",),
    "$": ("math_block",),
    "`": ("fence",),
    "~": ("fence",),
    ">": ("blockquote",),
    "*": ("hr", "list"),
    "-": ("hr", "list"),
    "_": ("hr",),
    "+": ("list",),
    **dict.fromkeys("0123456789", ("list",)),
    "[": ("footnote_def", "reference"),
    "<": ("html_block",),
    "#": ("heading",),
}


class Inline(ParserInline):
    """markdown-it's inline rules, by first character."""

    by_character: dict[str, tuple[InlineRule, ...]]

    def sort_rules(self) -> None:
        """Sort the rules that are enabled; call it when all are."""
        rules = {rule.name: rule.fn for rule in self.ruler.__rules__ if rule.enabled} | {"emphasis": emphasis}
        self.by_character = {start: tuple(rules[name] for name in names) for start, names in _STARTS.items()}

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """The tokens of a line or paragraph; one without a character that means anything is one token."""
        if _STOP.search(src) is None:
            if src:
                tokens.append(QuickToken("text", "", 0, content=src))
            return tokens
        state = LineState(src, md, env, tokens)
        self.tokenize(state)
        if state.delimiters or any(state.tokens_meta):
            for rule in self.ruler2.getRules(""):
                rule(state)
        return state.tokens

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
            may_begin = state.level < DEEPEST_INLINE and not _is_open_bracket(state, position)
            if may_begin and any(rule(state, False) for rule in rules):
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
        elif _is_open_bracket(state, position):
            state.pos = position + 1
        else:
            state.level += 1
            matched = any(rule(state, True) for rule in rules)
            state.level -= 1
            if not matched:
                state.pos = position + 1
        state.cache[position] = state.pos


def link_label(state: LineState, start: int, disable_nested: bool = False) -> int:
    """Where the label ends whose bracket opens at `start`; -1 where it never does, or where a link in it isn't wanted.

    A bracket that nothing closes leaves those around it unclosed, too. It is remembered, since the search from every earlier
    bracket comes to it.
    """
    src, end, skipped, unclosed = state.src, state.posMax, state.cache, state.unclosed
    before, level, position = state.pos, 1, start + 1
    while position < end:
        character = src[position]
        if character == "]":
            level -= 1
            if level == 0:
                return position
        following = skipped.get(position)
        if following is None:
            state.pos = position
            state.md.inline.skipToken(state)
            following, state.pos = state.pos, before
        if character == "[":
            if following > position + 1:
                if disable_nested:
                    return -1
            elif (position, end) in unclosed:
                break
            else:
                level += 1
        position = following
    unclosed.add((start, end))
    return -1


def _is_open_bracket(state: StateInline, position: int) -> bool:
    """Whether a bracket opens here that nothing closes. A run of them would be searched to the end again and again."""
    return state.src[position] in "[!" and state.html_terminator_last("]") < position


class Block(ParserBlock):
    """markdown-it's block rules, by first character."""

    def sort_rules(self) -> None:
        """Sort the rules that are enabled; call it when all are."""
        enabled = {rule.name: rule for rule in self.ruler.__rules__ if rule.enabled}
        rules: dict[str, BlockRule] = {name: rule.fn for name, rule in enabled.items()}
        rules |= {"list": list_block, "hr": rule_across, "blockquote": blockquote}
        self._rules = rules
        self._by_character = {start: tuple(rules[name] for name in names) for start, names in _BLOCK_STARTS.items()}
        chains = {}
        for chain in ("paragraph", "reference", "blockquote", "list", "admonition"):
            ends = {name for name, rule in enabled.items() if chain in rule.alt}
            chains[chain] = [self._ending(ends)]
        self._ends_paragraph = chains["paragraph"][0]
        self.ruler.getRules = lambda chainName="": chains.get(chainName, [])  # type: ignore[method-assign,assignment,misc] # noqa: N803

    def _ending(self, names: set[str]) -> BlockRule:
        """One rule that says whether any of those begins on a line."""
        rules = {
            start: tuple(self._rules[name] for name in starting if name in names)
            for start, starting in _BLOCK_STARTS.items()
        }
        table = self._rules["table"] if "table" in names else None

        def ends(state: StateBlock, line: int, last: int, _silent: bool) -> bool:
            position = state.bMarks[line] + state.tShift[line]
            if position >= state.eMarks[line]:
                return False
            if table is not None and _may_be_table(state, line, last) and table(state, line, last, True):
                return True
            for rule in rules.get(state.src[position], ()):  # noqa: SIM110 - any() would make a generator for each line
                if rule(state, line, last, True):
                    return True
            return False

        return ends

    def parse(self, src: str, md: MarkdownIt, env: EnvType, outTokens: list[Token]) -> list[Token] | None:  # noqa: N803
        """Add the tokens of a document's blocks to `outTokens`."""
        if src:
            state = BlockState(src, md, env, outTokens)
            self.tokenize(state, state.line, state.lineMax)
        return outTokens

    def tokenize(self, state: StateBlock, startLine: int, endLine: int) -> None:  # noqa: N803 - the parser's names
        """Generate tokens for a range of lines."""
        line, empty_lines, is_empty = startLine, False, state.isEmpty
        while line < endLine:
            if is_empty(line):
                line = state.skipEmptyLines(line)
            state.line = line
            if line >= endLine or state.sCount[line] < state.blkIndent:
                break
            if state.level >= DEEPEST:
                state.line = endLine
                break
            self._one(state, line, endLine)
            state.tight = not empty_lines
            line = state.line
            empty_lines = empty_lines or (line <= endLine and is_empty(line - 1))
            if line < endLine and is_empty(line):
                empty_lines = True
                line += 1
                state.line = line

    def _one(self, state: StateBlock, line: int, last: int) -> None:
        """The block that begins on a line."""
        rules = self._rules
        if state.sCount[line] - state.blkIndent >= 4:
            if rules["code"](state, line, last, False):
                return
        else:
            if _may_be_table(state, line, last) and rules["table"](state, line, last, False):
                return
            start = state.src[state.bMarks[line] + state.tShift[line]]
            for rule in self._by_character.get(start, ()):
                if rule(state, line, last, False):
                    return
            if last == state.lineMax or _is_one_line(state, line):
                self._words(state, line)
                return
            if rules["lheading"](state, line, last, False):
                return
        rules["paragraph"](state, line, last, False)

    def _words(self, state: StateBlock, line: int) -> None:
        """A paragraph, or a heading by its underline: one search for where it ends."""
        end, last, parent = line + 1, state.lineMax, state.parentType
        state.parentType = "paragraph"
        level = 0
        while end < last and not state.isEmpty(end):
            indent = state.sCount[end]
            if indent - state.blkIndent <= 3:
                if indent >= state.blkIndent and _UNDERLINE.fullmatch(
                    state.src, state.bMarks[end] + state.tShift[end], state.eMarks[end]
                ):
                    level = 1 if state.src[state.bMarks[end] + state.tShift[end]] == "=" else 2
                    break
                if indent >= 0 and self._ends_paragraph(state, end, last, True):
                    break
            end += 1
        state.parentType = parent
        _push_words(state, line, end, level)


def _may_be_table(state: StateBlock, line: int, last: int) -> bool:
    """Whether the next line reads as the line below a table's header does."""
    following = line + 1
    if following >= last or state.sCount[following] < state.blkIndent:
        return False
    start = state.bMarks[following] + state.tShift[following]
    # This takes less time than the pattern, and says the same of most lines.
    if not state.src.startswith(("|", "-", ":"), start):
        return False
    return _BELOW_HEADER.fullmatch(state.src, start, state.eMarks[following]) is not None


def _is_one_line(state: StateBlock, line: int) -> bool:
    """Whether a paragraph that begins here ends here, as most do."""
    return line + 1 >= state.lineMax or state.isEmpty(line + 1)


def _push_words(state: StateBlock, line: int, end: int, level: int) -> None:
    """The tokens of a paragraph, or of a heading whose underline stands on line `end`."""
    state.line = end + 1 if level else end
    if end == line + 1:
        words = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
    else:
        words = state.getLines(line, end, state.blkIndent, False)
    name, tag, markup = ("heading", f"h{level}", "=" if level == 1 else "-") if level else ("paragraph", "p", "")
    at = state.level
    state.tokens += (
        QuickToken(f"{name}_open", tag, 1, map=[line, state.line], level=at, markup=markup, block=True),
        QuickToken("inline", "", 0, map=[line, end], level=at + 1, children=[], content=mdTrim(words), block=True),
        QuickToken(f"{name}_close", tag, -1, level=at, markup=markup, block=True),
    )


def rule_across(state: StateBlock, line: int, _last: int, silent: bool) -> bool:
    """Three or more hyphens, stars or underscores on a line of their own."""
    position = state.bMarks[line] + state.tShift[line]
    if not _RULE.fullmatch(state.src, position, state.eMarks[line]) or state.is_code_block(line):
        return False
    if not silent:
        state.line = line + 1
        token = state.push("hr", "hr", 0)
        token.map = [line, state.line]
        marker = state.src[position]
        token.markup = marker * (state.src.count(marker, position, state.eMarks[line]) + 1)
    return True
