"""Footnotes in the order of their references, below the text, and then those that nothing refers to."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.markup.parser.token import Token


@dataclass
class Notes:
    """What is known of footnotes: the number and count of references of each label, and whether any is written."""

    numbers: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    written: bool = False


def with_notes_last(tokens: list[Token], notes: Notes) -> list[Token]:
    """The tokens with footnotes below them, each with the ways back to what refers to it."""
    if not notes.written:
        return tokens
    body, written = _set_apart(tokens)
    referred: dict[int, tuple[str, list[Token]]] = {}
    strays: list[tuple[str, list[Token]]] = []
    for label, stray, content in written:
        number = notes.numbers.get(label.casefold())
        if stray or number is None or number in referred:
            strays.append((label, content))
        else:
            referred[number] = label.casefold(), content
    if referred:
        body.append(Token("footnote_block_open", nesting=1))
        for number, (label, content) in sorted(referred.items()):
            body += _note(number, notes.counts[label], content)
        body.append(Token("footnote_block_close", nesting=-1))
    for label, content in strays:
        body += [
            Token("stray_note_open", nesting=1, meta={"label": label}),
            *content,
            Token("stray_note_close", nesting=-1),
        ]
    return body


def _set_apart(tokens: list[Token]) -> tuple[list[Token], list[tuple[str, bool, list[Token]]]]:
    """The tokens outside of footnotes, and each footnote's label, whether nothing refers to it, and its tokens."""
    body: list[Token] = []
    written: list[tuple[str, bool, list[Token]]] = []
    open_notes: list[list[Token]] = []
    for token in tokens:
        if token.type == "footnote_reference_open":
            written.append((token.meta["label"], token.meta["stray"], []))
            open_notes.append(written[-1][2])
        elif token.type == "footnote_reference_close":
            open_notes.pop()
        else:
            (open_notes[-1] if open_notes else body).append(token)
    return body, written


def _note(number: int, count: int, content: list[Token]) -> list[Token]:
    """A footnote with the ways back at the end of its last paragraph."""
    back = [Token("footnote_anchor", meta={"id": number, "subId": index}) for index in range(count)]
    if content and content[-1].type == "paragraph":
        last = content.pop()
        back = [last._replace(children=[*last.children, *back])]
    meta = {"id": number}
    return [
        Token("footnote_open", nesting=1, meta=meta),
        *content,
        *back,
        Token("footnote_close", nesting=-1, meta=meta),
    ]
