"""A document's tokens as Markdown again, in one form whatever their author's was.

What isn't sure to be read as it was is left to the caller: `written` gives None there, having read its own text again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.markup.addresses import SCHEME
from tasks.markup.azure_devops.allowed import allowed
from tasks.markup.parser.parse import parse
from tasks.markup.parser.token import Token
from tasks.markup.plain_html import target_beside, text_of

_SIGNS = re.compile(
    r"[\\`*\[\]<>~$|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|&(?=#?[A-Za-z0-9]+;)|:(?=[A-Za-z0-9_+-]+:)|!(?=\[|\Z)"
)
# What the pattern above may find, in a tenth of its time. A colon alone, which most texts have, is none.
_ANY_SIGN = re.compile(r"\\|`|\*|\[|\]|<|>|~|\$|\||_|&|!|:[A-Za-z0-9_+-]+:")
# An address with a sign behind it, which would be read as a link to both.
_ENDS_IN_A_SIGN = re.compile(r"(?i)\b(?:https?|ftp)(?=://\S*\\)|\bwww(?=\.\S*\\)")
_AT_START = re.compile(r"([ \t]*)(?:(\d{1,9})([.)])(?=\s|\Z)|([#+=>-]|:::|!!!|\?\?\?|:(?=\s)))")
_BEGINS_A_BLOCK = re.compile(r"^(?:\s|\Z|[>#*+=`~<|:_!?-]|\d+[.)])|\$\$|\\\Z", re.MULTILINE)
_MARKS = {"strong": "**", "s": "~~"}
_SIDES = {"text-align:left": ":--", "text-align:center": ":-:", "text-align:right": "--:"}


def written(tokens: Sequence[Token], *, exactly: bool = True) -> str | None:
    """The tokens as Markdown that reads as the same tokens, or not `exactly`: as their words. None where none is found."""
    text = "\n".join(_Writer().blocks(tokens)).strip("\n")
    read = parse(text + "\n")
    if same(read, tokens) or (not exactly and allowed(read) is read and plainly(read) == plainly(tokens)):
        return text
    return None


def plainly(tokens: Sequence[Token]) -> str:
    """The words of the tokens, block by block, and code as it is: nothing in them is read as a link or a tag."""
    blocks: list[str] = []
    for token in tokens:
        match token.type:
            case "alert_open" | "admonition_open" if token.meta["title"]:
                blocks.append(_at_line_starts(_escaped(token.meta["title"])))
            case "paragraph" | "heading" | "th" | "td":
                words = _ENDS_IN_A_SIGN.sub(r"\g<0>\\", _escaped(_said(token.children)))
                blocks.append(_at_line_starts(words))
            case "fence" | "code_block" | "math_block":
                blocks.append("\n".join(_fence(token._replace(content=token.content.rstrip("\n") + "\n"))))
            case "html_block":
                lines = filter(None, map(str.strip, text_of(token.content).split("\n")))
                blocks += [_at_line_starts(_escaped(line)) for line in lines]
            case "footnote_open":
                blocks.append(f"\\[{int(token.meta['id']) + 1}\\]")
            case "stray_note_open":
                blocks.append(_escaped(f"[{token.meta['label']}]"))
    return "\n\n".join(blocks)


def _said(children: Sequence[Token]) -> str:
    """The words of a block, with the address of each link behind it."""
    parts: list[str] = []
    targets: list[tuple[int, str]] = []
    for child in children:
        match child.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "link_open":
                targets.append((len(parts), str(child.attrs["href"])))
            case "link_close":
                start, target = targets.pop()
                parts.append(target_beside("".join(parts[start:]), target))
            case "html_inline":
                parts.append(text_of(child.content))
            case "footnote_ref":
                parts.append(f"[{int(child.meta['id']) + 1}]")
            case _:
                parts.append(child.content)
    return "".join(parts)


def same(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether both say the same in the same form, on whatever lines."""
    if len(one) != len(other):
        return False
    # Most tokens differ in their line only, which stands last: nothing has to be made of them.
    return all(a is b or a[:-1] == b[:-1] or _bare(a) == _bare(b) for a, b in zip(one, other, strict=True))


def _bare(token: Token) -> tuple[object, ...]:
    children: list[tuple[object, ...]] = []
    for child in map(_bare, token.children):
        if child[0] == "text" and children and children[-1][0] == "text":
            children[-1] = (*children[-1][:3], f"{children[-1][3]}{child[3]}", *children[-1][4:])
        elif child[0] != "text" or child[3]:
            children.append(child)
    attrs, meta = dict(token.attrs), dict(token.meta)
    content = token.content.rstrip() if token.type == "html_block" else token.content
    return token.type, token.tag, token.nesting, content, children, attrs, token.info, meta, token.hidden


class _Writer:
    """Blocks as lines; what stands inside a container is written first, and then put behind its marker."""

    def __init__(self) -> None:
        self._tokens: Sequence[Token] = ()
        self._at = 0

    def blocks(self, tokens: Sequence[Token]) -> list[str]:
        """All lines of the document."""
        self._tokens, self._at = tokens, 0
        return self._until("")

    def _until(self, end: str, *, tight: bool = False) -> list[str]:
        """The blocks up to the token that ends their container, a blank line between them."""
        lines: list[str] = []
        last, other = "", False
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.type == end:
                break
            is_other = token.type == last and not other
            block = self._block(token, other=is_other)
            if block is None:
                continue
            if lines and not (tight and token.type != "html_block"):
                lines.append("")
            lines += block
            last, other = token.type, is_other
        return lines

    def _block(self, token: Token, *, other: bool) -> list[str] | None:
        match token.type:
            case "heading":
                return self._heading(token)
            case "paragraph":
                return _at_line_starts(_inline(token.children)).split("\n")
            case "bullet_list_open" | "ordered_list_open":
                return self._list(token, other=other)
            case "blockquote_open":
                return _behind("> ", self._until("blockquote_close"))
            case "alert_open":
                return self._alert(token)
            case "fence":
                return _fence(token)
            case "code_block":
                return [f"    {line}" if line else "" for line in token.content.removesuffix("\n").split("\n")]
            case "math_block":
                return _math(token)
            case "html_block":
                return token.content.removesuffix("\n").split("\n")
            case "table_open":
                return self._table()
            case "hr":
                return ["***"]
            case "toc":
                return ["[[_TOC_]]"]
            case "footnote_block_open":
                return self._notes()
            case "stray_note_open":
                return self._note(token.meta["label"], "stray_note_close")
            case _:
                return None

    def _heading(self, token: Token) -> list[str]:
        words = _inline(token.children) + (f" {{#{token.meta['id']}}}" if "id" in token.meta else "")
        if "\n" in words and token.tag in ("h1", "h2"):
            return [*_at_line_starts(words).split("\n"), "===" if token.tag == "h1" else "---"]
        return [f"{'#' * int(token.tag[1])} {re.sub(r'#+$', lambda signs: chr(92) + signs[0], words)}".rstrip()]

    def _list(self, token: Token, *, other: bool) -> list[str]:
        """A list; one right behind another of its kind has another sign, or they would be one."""
        numbered = token.type == "ordered_list_open"
        number = int(token.attrs.get("start", 1))
        tight = self._is_tight()
        lines: list[str] = []
        while self._at < len(self._tokens):
            item = self._tokens[self._at]
            self._at += 1
            if item.nesting < 0:
                break
            inner = self._until("list_item_close", tight=tight)
            if "checked" in item.meta:
                inner = [f"[{'x' if item.meta['checked'] else ' '}] {inner[0] if inner else ''}".rstrip(), *inner[1:]]
            marker = f"{number}{')' if other else '.'} " if numbered else "* " if other else "- "
            number += 1
            if lines and not tight:
                lines.append("")
            lines += [(marker + inner[0]).rstrip() if inner else marker.rstrip()]
            lines += _behind(" " * len(marker), inner[1:])
        return lines

    def _is_tight(self) -> bool:
        """Whether the list whose first item begins here is tight: what a paragraph of any of its items says."""
        depth = 0
        for place in range(self._at, len(self._tokens)):
            token = self._tokens[place]
            if depth == 1 and token.type == "paragraph":
                return token.hidden
            depth += token.nesting
            if depth < 0:
                break
        return False

    def _alert(self, token: Token) -> list[str]:
        kind, title = str(token.meta["kind"]), str(token.meta["title"])
        shown = "" if title.casefold() == kind else f" {title}"
        return _behind("> ", [f"[!{kind.upper()}]{shown}", *self._until("alert_close")])

    def _table(self) -> list[str]:
        rows: list[list[str]] = []
        sides: list[str] = []
        while (token := self._tokens[self._at]).type != "table_close":
            self._at += 1
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("th", "td"):
                rows[-1].append(_inline(token.children, cell=True))
                if token.type == "th":
                    sides.append(_SIDES.get(str(token.attrs.get("style", "")), "---"))
        self._at += 1
        lines = ["| " + " | ".join(cells) + " |" for cells in rows]
        return [lines[0], "| " + " | ".join(sides) + " |", *lines[1:]]

    def _notes(self) -> list[str]:
        lines: list[str] = []
        while (token := self._tokens[self._at]).type != "footnote_block_close":
            self._at += 1
            if token.type == "footnote_open":
                lines += [*([""] if lines else []), *self._note(str(int(token.meta["id"]) + 1), "footnote_close")]
        self._at += 1
        return lines

    def _note(self, label: str, end: str) -> list[str]:
        inner = self._until(end)
        return [f"[^{label}]: {inner[0] if inner else ''}".rstrip(), *_behind("    ", inner[1:])]


def _fence(token: Token) -> list[str]:
    """A block of code between signs of which it has fewer in a row."""
    sign = "~" if "`" in token.info else "`"
    fence = sign * max(3, *(len(run) + 1 for run in re.findall(f"{sign}+", token.content)), 3)
    return [fence + token.info, *token.content.removesuffix("\n").split("\n")[: token.content.count("\n")], fence]


def _math(token: Token) -> list[str]:
    """A block of math; between fences where a line of it would begin a block, or end this one."""
    if _BEGINS_A_BLOCK.search(token.content):
        return _fence(token._replace(content=f"{token.content}\n", info="math"))
    return ["$$", *token.content.split("\n"), "$$"]


def _behind(prefix: str, lines: Sequence[str]) -> list[str]:
    return [(prefix + line).rstrip() if not line.strip() else prefix + line for line in lines]


def _at_line_starts(words: str) -> str:
    """The words with what would begin a block escaped, at the start of each line."""
    return "\n".join(
        _AT_START.sub(lambda m: f"{m[1]}{m[2]}\\{m[3]}" if m[2] else f"{m[1]}\\{m[4]}", line, count=1)
        if _AT_START.match(line)
        else line
        for line in words.split("\n")
    )


def _inline(children: Sequence[Token], *, cell: bool = False) -> str:
    """The words of a block."""
    bars = _bars if cell else str
    parts: list[str] = []
    ends: list[str] = []
    auto = False
    emphasis = 0
    for place, child in enumerate(children):
        match child.type:
            case "text":
                parts.append(bars(_address(child.content)) if auto else _escaped(child.content))
            case "softbreak":
                parts.append("\n")
            case "hardbreak":
                parts.append("\\\n")
            case "code_inline":
                parts.append(bars(_code(child.content)))
            case "math_inline":
                parts.append(bars(f"${child.content}$"))
            case "emoji":
                parts.append(child.info)
            case "link_open":
                auto = child.info == "auto" and _says_so(children[place + 1].content)
                parts.append("" if auto else "[")
                ends.append("" if auto else f"]({_target(child.attrs, 'href')})")
            case "link_close":
                parts.append(ends.pop())
                auto = False
            case "image":
                parts.append(f"![{_inline(child.children, cell=cell)}]({_target(child.attrs, 'src')})")
            case "footnote_ref":
                parts.append(f"[^{int(child.meta['id']) + 1}]")
            case "em_open" | "em_close":
                emphasis += child.nesting > 0
                parts.append("*" if emphasis % 2 else "_")
                emphasis -= child.nesting < 0
            case _ if child.nesting:
                parts.append(_MARKS.get(child.tag, ""))
            case _:
                parts.append(bars(child.content))
    return "".join(parts)


def _bars(text: str) -> str:
    """What stands in a cell as it is, but for the bars, of which the table would make cells."""
    return text.replace("|", "\\|")


def _escaped(words: str) -> str:
    return _SIGNS.sub(r"\\\g<0>", words) if _ANY_SIGN.search(words) else words


def _says_so(words: str) -> bool:
    """Whether words by themselves are read as a link."""
    return bool(SCHEME.match(words)) or "@" in words or words.startswith("www.")


def _address(words: str) -> str:
    """The words of a link that says where it leads."""
    return f"<{words}>" if SCHEME.match(words) or "@" in words else words


def _code(text: str) -> str:
    ticks = "`" * next(count for count in range(1, len(text) + 2) if not re.search(f"(?<!`){'`' * count}(?!`)", text))
    pad = " " if text[:1] == "`" or text[-1:] == "`" or (text[:1] == text[-1:] == " " and text.strip()) else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _target(attrs: Mapping[str, object], name: str) -> str:
    address, title = str(attrs[name]), str(attrs.get("title", ""))
    escaped = title.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"<{address}>" * bool(re.search(r"[\s()]|\A\Z", address)) or address
        if not title
        else f'<{address}> "{escaped}"'
    )
