"""Math between dollar signs as GitHub reads it; prices, variables of a shell and lone signs stay text."""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# Opens before a character, closes after one and never before a letter or digit: `$5 and $6` is money, `$A/$B` a path.
_INLINE = re.compile(
    r"\$`(?P<code>[^`\n]{1,1000})`\$|\$(?![\s$\d])(?P<plain>(?:\\.|[^$\\\n]){1,1000})(?<![\s\\])\$(?![\w$])"
)
_DOUBLE = re.compile(r"\$\$(?![\s$])((?:\\.|[^$\\\n]){1,1000})(?<!\s)\$\$(?!\$)")
_WORD_END = re.compile(r"[\w$\\]")


def math_inline(state: StateInline, silent: bool) -> bool:
    """`$…$`, `` $`…`$ `` and `$$…$$` inside a line."""
    position = state.pos
    if position and _WORD_END.match(state.src[position - 1]):
        return False
    double = _DOUBLE.match(state.src, position, state.posMax)
    found = double or _INLINE.match(state.src, position, state.posMax)
    if found is None:
        return False
    if not silent:
        token = state.push("math_inline_double" if double else "math_inline", "math", 0)
        token.content = next(part for part in found.groups() if part is not None)
        token.markup = "$$" if double else "$"
    state.pos = found.end()
    return True


def math_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Lines between `$$` and `$$`; one without an end is text."""
    position = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith("$$", position) or state.is_code_block(start_line):
        return False
    first = state.src[position + 2 : state.eMarks[start_line]].strip()
    last = start_line
    if first.endswith("$$") and len(first) > 2:
        lines = [first.removesuffix("$$")]
        if "$$" in lines[0]:
            return False
    else:
        # The same lines read differently in another container.
        unclosed = state.env.setdefault("unclosed_math", {})
        container = state.level, state.blkIndent, end_line
        searched, reached = unclosed.get(container, (0, 0))
        if "$$" in first or searched <= start_line < reached:
            return False
        lines = [first]
        while True:
            last += 1
            if last >= end_line or (state.sCount[last] < state.blkIndent and not state.isEmpty(last)):
                unclosed[container] = start_line, last
                return False
            line = state.src[state.bMarks[last] + state.tShift[last] : state.eMarks[last]].rstrip()
            if line.endswith("$$"):
                lines.append(line.removesuffix("$$"))
                break
            lines.append(line)
    if silent:
        return True
    token = state.push("math_block", "math", 0)
    token.block = True
    token.content = "\n".join(lines).strip("\n")
    token.markup = "$$"
    token.map = [start_line, last + 1]
    state.line = last + 1
    return True
