"""What of a document a Markdown field may hold: no address that runs what it holds, no tag that its reader wouldn't see."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tasks.markup.addresses import SCHEME, is_program, may_be_linked, named, normal
from tasks.markup.azure_devops.elements import RawTags
from tasks.markup.clean import escape
from tasks.markup.parser.token import Token, as_code, pair, paragraph, text
from tasks.markup.tags import PROGRAM, attributes_of, without_comments
from tasks.markup.words import PANELS

_STARTS_A_BLOCK = re.compile(r" {0,3}<(?:/?[A-Za-z]|!--)")
_KEPT = ("href", "src", "alt", "title", "width", "height", "align", "colspan", "rowspan", "start", "id", "name")
_OPEN = re.compile(r"\sopen(?=[\s/]|\Z)", re.IGNORECASE)
_ALERTS = frozenset({"note", "tip", "important", "warning", "caution"})
_ALERT_OF_PANEL = {"info": "note", "tip": "tip", "note": "important", "warning": "caution"}
_JUDGED = frozenset({"link_open", "image", "html_inline"})


class _Tags(RawTags):
    """Raw tags as they stand in Markdown: of the allow-list, without what could run."""

    def link(self, found: re.Match[str]) -> tuple[str, str]:
        """The start and end of what a raw link becomes; of a place that others lead to, itself."""
        if "href" in attributes_of(found["rest"]):
            return super().link(found)
        return self.kept(found), "</a>"

    def kept(self, found: re.Match[str]) -> str:
        """The tag with its attributes, but for events and styles."""
        if found["close"] or not found["rest"].strip("/ "):
            return found[0]
        given = attributes_of(found["rest"])
        attributes = "".join(f' {name}="{escape(given[name])}"' for name in _KEPT if given.get(name))
        return f"<{found['name']}{attributes}{' open' * bool(_OPEN.search(found['rest']))}>"


def allowed(tokens: list[Token]) -> list[Token]:
    """The tokens with words for what a field may not hold; the same list where nothing has to change."""
    tags = _Tags()
    out: list[Token] = []
    ends: list[Token] = []  # of the panels that are open
    changed = False
    for token in tokens:
        stays = [token]
        if token.children and not _JUDGED.isdisjoint(child.type for child in token.children):
            children = _inline(token.children, tags)
            if children != list(token.children):
                stays, changed = [token._replace(children=children)], True
        elif token.type == "html_block":
            stays = _block(token, tags)
            changed = changed or stays != [token]
        elif token.type == "admonition_open":
            start, end = _panel(token)
            ends.append(end)
            stays, changed = [start], True
        elif token.type == "admonition_close":
            stays = [ends.pop()]
        out += stays
    return out if changed else tokens


def _panel(token: Token) -> tuple[Token, Token]:
    """The start and end of what a panel of another dialect is here: one of GitHub's alerts, or what folds in HTML."""
    kind, title = token.meta["kind"], token.meta["title"]
    if token.meta["folds"]:
        summary = f"<details><summary>{escape(title)}</summary>"
        return Token("html_block", content=summary), Token("html_block", content="</details>")
    if not title:
        return pair("blockquote", "blockquote")
    alert = kind if kind in _ALERTS else _ALERT_OF_PANEL[PANELS[kind]]
    return pair("alert", "blockquote", meta={"kind": alert, "folds": False, "title": title})


def _block(token: Token, tags: RawTags) -> list[Token]:
    """Raw HTML between blocks; a program as code, and what is no HTML any more as paragraphs."""
    source = token.content
    if PROGRAM.match(source):
        return [as_code(source, token.line)]
    if not without_comments(source).strip():
        return [token]
    shown = tags.shown(source).lstrip("\n")
    if _STARTS_A_BLOCK.match(shown):
        return [token._replace(content=shown)]
    lines = [
        line.strip() for line in html.unescape(re.sub(r"</?[A-Za-z][^<>]*>", "", shown)).split("\n") if line.strip()
    ]
    return [paragraph(line, token.line) for line in lines]


def _inline(children: Sequence[Token], tags: RawTags) -> list[Token]:
    out: list[Token] = []
    ends: list[Token | None] = []  # what stands in place of each link's end; nothing where the link stays
    for child in children:
        match child.type:
            case "link_open":
                end = _instead(child)
                ends.append(end)
                if end is None:
                    out.append(child)
            case "link_close":
                end = ends.pop()
                if end is None or end.content:
                    out.append(end or child)
            case "image":
                out.append(_image(child, tags))
            case "html_inline" if without_comments(child.content).strip():
                shown = tags.shown(child.content)
                if shown.startswith("<"):
                    out.append(child if shown == child.content else child._replace(content=shown))
                elif shown:
                    out.append(text(html.unescape(shown)))
            case _:
                out.append(child)
    return out


def _instead(link: Token) -> Token | None:
    """What stands behind the words of a link that a field may not hold; nothing where it may."""
    href = normal(str(link.attrs["href"]))
    if may_be_linked(href) or not SCHEME.match(href):
        return None
    return text("" if is_program(href) or link.info == "auto" else f" ({href})")


def _image(image: Token, tags: RawTags) -> Token:
    source = normal(str(image.attrs["src"]))
    if is_program(source):
        return text(image.content or named(source))
    if not image.content and (name := named(source)):
        return image._replace(content=name, children=[text(name)])
    children = _inline(image.children, tags)
    return image if children == list(image.children) else image._replace(children=children)
