"""A structural validator of Confluence's storage format, independent of the renderer: elements, nesting, attributes, CDATA."""

from __future__ import annotations

import re

from lxml import etree

AC, RI = "{ac}", "{ri}"
DECLARED = "xmlns:ac='ac' xmlns:ri='ri'"

HEADINGS = {f"h{level}" for level in range(1, 7)}
MARKS = {"strong", "em", "u", "del", "sub", "sup", "code", "small", "span", "time"}
LINKS = {"a", f"{AC}link"}
INLINE = MARKS | LINKS | {"br", f"{AC}image", f"{AC}emoticon", f"{AC}inline-comment-marker"}
BLOCK = HEADINGS | {"p", "pre", "ul", "ol", "table", "blockquote", "hr", f"{AC}task-list"}
INLINE_MACROS = {"anchor", "status", "mathinline"}
BLOCK_MACROS = {
    "code",
    "toc",
    "expand",
    "info",
    "tip",
    "note",
    "warning",
    "panel",
    "mathblock",
    "mermaid-macro",
    "plantuml",
}
PHRASE = MARKS | HEADINGS | {"p", "pre", "a", f"{AC}link-body", f"{AC}inline-comment-marker"}
MIXED = {"li", "td", "th", f"{AC}task-body"}
FLOW = {"root", "blockquote", f"{AC}rich-text-body", f"{AC}layout-cell"}
ONLY = {
    "ul": {"li"},
    "ol": {"li"},
    "table": {"thead", "tbody", "tfoot", "colgroup"},
    "colgroup": {"col"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tfoot": {"tr"},
    "tr": {"td", "th"},
    f"{AC}task-list": {f"{AC}task"},
    f"{AC}layout": {f"{AC}layout-section"},
    f"{AC}layout-section": {f"{AC}layout-cell"},
}
EMPTY = {"br", "hr", "col", f"{RI}url", f"{RI}attachment", f"{RI}page", f"{RI}user"}
ATTRIBUTES = {
    "a": {"href"},
    "ol": {"start"},
    "td": {"style", "colspan", "rowspan"},
    "th": {"style", "colspan", "rowspan"},
    "p": {"style"},
    **{heading: {"style"} for heading in HEADINGS},
    f"{AC}structured-macro": {f"{AC}name"},
    f"{AC}parameter": {f"{AC}name"},
    f"{AC}link": {f"{AC}anchor"},
    f"{AC}image": {f"{AC}alt", f"{AC}title", f"{AC}width"},
    f"{AC}inline-comment-marker": {f"{AC}ref"},
    f"{AC}layout-section": {f"{AC}type"},
    f"{RI}url": {f"{RI}value"},
    f"{RI}attachment": {f"{RI}filename"},
    f"{RI}page": {f"{RI}content-title", f"{RI}space-key"},
}
CDATA = re.compile(r"<!\[CDATA\[.*?\]\]>", re.DOTALL)
STYLE = re.compile(r"text-align: (?:left|center|right);")
ADDRESS = re.compile(r"(?:https?://|mailto:)\S+|(?![a-z][a-z0-9+.-]*:)\S*", re.IGNORECASE)
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Invalid(AssertionError):
    """The body isn't what Confluence would take."""


def validated(body: str) -> etree._Element:
    """The body as a tree under a `root` element; raises `Invalid` saying what breaks which rule."""
    if found := NOT_XML.search(body):
        raise Invalid(f"character {found.group()!r} can't stand in XML 1.0")
    for found in CDATA.finditer(body):
        before = body[max(found.start() - 20, 0) : found.start()]
        _check(before.endswith(("<ac:plain-text-body>", "]]>")), "CDATA outside of a plain text body")
    _check(not re.search(r"<[!?]", CDATA.sub("", body)), "a comment or declaration")
    try:
        root = etree.fromstring(f"<root {DECLARED}>{body}</root>".encode())
    except etree.XMLSyntaxError as error:
        raise Invalid(f"not well-formed: {error}") from None
    for element in root.iter():
        _check_element(element)
    identifiers = [element.text for element in root.iter(f"{AC}task-id")]
    _check(len(identifiers) == len(set(identifiers)), "two tasks with one id")
    return root


def _check(fine: object, what: str) -> None:
    if not fine:
        raise Invalid(what)


def _check_element(element: etree._Element) -> None:
    tag = element.tag
    _check(isinstance(tag, str), "a comment or processing instruction")
    children = [child.tag for child in element]
    where = f"in {etree.tostring(element, encoding='unicode')[:200]}"
    _check_attributes(element, where)
    if tag in EMPTY:
        _check(not children and not element.text, f"content {where}")
    elif tag in ONLY:
        _check(children, f"nothing {where}")
        _check(set(children) <= ONLY[tag], f"{set(children) - ONLY[tag]} {where}")
        _check(not _own_words(element), f"words {where}")
    elif tag in PHRASE:
        _check(all(_is_inline(child) for child in element), f"a block {where}")
        _check(tag not in ("a", f"{AC}link-body") or not _links_inside(element), f"a link in a link {where}")
    elif tag in MIXED:
        _check(all(_is_inline(child) or _is_block(child) for child in element), f"{children} {where}")
    elif tag in FLOW:
        _check(not _own_words(element), f"words without a paragraph {where}")
        _check(
            all(_is_block(child) or _is_anchor(child) for child in element), f"{children} without a paragraph {where}"
        )
    else:
        _check_confluence(element, children, where)


def _check_confluence(element: etree._Element, children: list[str], where: str) -> None:
    match element.tag.removeprefix(AC):
        case "task":
            _check(children == [f"{AC}task-id", f"{AC}task-status", f"{AC}task-body"], f"{children} {where}")
            _check(element[1].text in ("complete", "incomplete"), f"status {where}")
        case "task-id" | "task-status" | "plain-text-body" | "plain-text-link-body" | "parameter":
            _check(not children, f"elements {where}")
        case "structured-macro":
            bodies = [child for child in children if child in (f"{AC}rich-text-body", f"{AC}plain-text-body")]
            parameters = children[: len(children) - len(bodies)]
            _check(len(bodies) <= 1 and set(parameters) <= {f"{AC}parameter"}, f"{children} {where}")
            names = [child.get(f"{AC}name") for child in element if child.tag == f"{AC}parameter"]
            _check(len(names) == len(set(names)), f"a parameter twice {where}")
            _check(element.get(f"{AC}name") in INLINE_MACROS | BLOCK_MACROS, f"an unknown macro {where}")
        case "link":
            resources = [child for child in children if child.startswith(RI)]
            bodies = [child for child in children if not child.startswith(RI)]
            _check(children == resources + bodies and len(resources) <= 1 and len(bodies) <= 1, f"{children} {where}")
            _check(resources or element.get(f"{AC}anchor"), f"no target {where}")
            _check(set(bodies) <= {f"{AC}link-body", f"{AC}plain-text-link-body"}, f"{bodies} {where}")
        case "image":
            _check(len(children) == 1 and children[0] in (f"{RI}url", f"{RI}attachment"), f"{children} {where}")
        case _:
            raise Invalid(f"element {element.tag} {where}")


def _check_attributes(element: etree._Element, where: str) -> None:
    unknown = set(element.attrib) - ATTRIBUTES.get(element.tag, set())
    _check(not unknown, f"attributes {unknown} {where}")
    style, href = element.get("style"), element.get("href")
    _check(style is None or STYLE.fullmatch(style), f"style {where}")
    _check(element.tag != "a" or (href is not None and ADDRESS.fullmatch(href)), f"address {where}")
    for name in ("start", "colspan", "rowspan"):
        _check(element.get(name, "0").isdigit(), f"{name} {where}")
    _check(element.tag != f"{AC}layout" or element.getparent().tag == "root", f"a layout that isn't on top {where}")


def _own_words(element: etree._Element) -> bool:
    return bool((element.text or "").strip() or any((child.tail or "").strip() for child in element))


def _is_anchor(element: etree._Element) -> bool:
    return element.tag == f"{AC}structured-macro" and element.get(f"{AC}name") == "anchor"


def _is_inline(element: etree._Element) -> bool:
    if element.tag == f"{AC}structured-macro":
        return element.get(f"{AC}name") in INLINE_MACROS
    return element.tag in INLINE


def _is_block(element: etree._Element) -> bool:
    if element.tag == f"{AC}structured-macro":
        return element.get(f"{AC}name") in BLOCK_MACROS
    return element.tag in BLOCK or (element.tag == f"{AC}layout" and element.getparent().tag == "root")


def _links_inside(element: etree._Element) -> bool:
    return any(inner.tag in LINKS for inner in element.iterdescendants())
