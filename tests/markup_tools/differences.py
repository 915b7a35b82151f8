"""Where a target says something else than GitHub, and why: the reasons that docs/markdown.md lists.

`python -m tests.markup_tools.differences` prints that list.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import cmarkgfm

from tasks.markup import azure_devops, confluence, jira, servicenow
from tasks.markup.addresses import is_program, may_be_linked
from tasks.markup.confluence import PageOptions
from tasks.markup.relative import joined
from tests.markup_tools import outline
from tests.markup_tools.specification import Example, examples

BASE = "https://example.org/"
Outline = list[str]
_ODD_HOST = re.compile(r"xn--|\.\.|[^A-Za-z0-9.:-]|:(?!\d+\Z)|[.:-]\Z|\.\d+\Z")


def _page(markdown: str) -> Outline:
    return outline.of_storage(confluence.render_page(markdown, PageOptions(link_base=BASE)).body)


def _form(markdown: str) -> Outline:
    return outline.of_html(azure_devops.render(markdown, link_base=BASE))


TARGETS: Mapping[str, Callable[[str], Outline]] = {"Confluence": _page, "Azure DevOps": _form}
TEXTS: Mapping[str, Callable[[str], str]] = {
    "ServiceNow": lambda markdown: servicenow.render(markdown, link_base=BASE),
    "Jira": lambda markdown: jira.words(jira.render(markdown, link_base=BASE)),
}


class Case(NamedTuple):
    """An example in one target: what GitHub says, what the example's own page says, and what we say."""

    example: Example
    target: str
    github: Outline
    specified: Outline
    ours: Outline


def _links(pieces: Sequence[str]) -> Iterator[str]:
    """Addresses seen from the base; of those that no target links the words, with the address beside them."""
    ends: list[str] = []
    said: list[str] = []
    for piece in pieces:
        if piece.startswith("‹a "):
            address = _from_base(piece[3:-1])
            place = address.startswith("#")
            linked = may_be_linked(address) or place
            ends.append("‹/a›" if linked else f" ({address})" if address and not is_program(address) else "")
            said.append("")
            yield f"‹a {_shown(address)}›" if linked else ""
        elif piece == "‹/a›":
            words, end = said.pop(), ends.pop()
            yield "" if re.sub(r"[\s_]", "", end) == re.sub(r"[\s_]", "", f"({words})") else end
        else:
            said = [words + ("" if piece.startswith("‹") else piece) for words in said]
            yield piece


def _images(pieces: Sequence[str]) -> Iterator[str]:
    """Images from the web, seen from the base; of any other the words."""
    for piece in pieces:
        found = re.fullmatch(r"‹img ?(\S*) ?(.*)›", piece, re.DOTALL)
        address = _from_base(found[1]) if found else ""
        yield piece if not found else f"‹img {_shown(address)} {found[2]}›" if may_be_linked(address) else found[2]


def _from_base(address: str) -> str:
    """The address seen from the base; a backslash had a percent sign, and is no slash."""
    return joined(BASE, address.replace("\\", "%5C"))


def _shown(address: str) -> str:
    return re.sub("%(22|3C|3E|5C)", lambda sign: unquote(sign[0]), address)


def _strong(pieces: Sequence[str]) -> Iterator[str]:
    """Bold in bold once: GitHub's parser writes it once, ours twice, and it looks the same."""
    depth = 0
    for piece in pieces:
        depth += (piece == "‹strong›") - (piece == "‹/strong›")
        if not (piece == "‹strong›" and depth > 1) and not (piece == "‹/strong›" and depth > 0):
            yield piece


def _comparable(pieces: Sequence[str]) -> Outline:
    return outline.joined(_strong(outline.joined(_images(outline.joined(_links(pieces))))))


def _without(signs: str, pieces: Sequence[str]) -> Outline:
    return outline.joined(piece for piece in pieces if not re.fullmatch(signs, piece))


def _without_tags(piece: str) -> str:
    """The words of an image, in which GitHub's parser leaves tags as they are."""
    return re.sub(r"<[^<>]*>", " ", re.sub(r"‹img ?\S* ?(.*)›", r"\1", piece)) if piece.startswith("‹") else piece


def words_of(pieces: Sequence[str]) -> list[str]:
    """The words of an outline, those of images among them."""
    shown = " ".join(_without_tags(piece) for piece in pieces if not re.match(r"‹(?!img)", piece))
    return re.findall(r"\w+", shown)


def holds_letters(text: str, words: Sequence[str]) -> bool:
    """Whether the text has every letter of the words as often."""
    return not Counter("".join(words)) - Counter(text)


def holds(text: str, words: Sequence[str]) -> bool:
    """Whether the text has the words, in their order."""
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
        at += len(word)
    return True


def _newer(case: Case) -> bool:
    return case.ours == case.specified


def _cells(case: Case) -> bool:
    warnings = " ".join(confluence.render_page(case.example.markdown).warnings)
    return "cells beyond" in warnings and holds(" ".join(case.ours), words_of(case.github))


def _tasks(case: Case) -> bool:
    lists = r"‹/?[uo]l.*›"
    boxes = any("☑" in piece or "☐" in piece for piece in case.ours)
    return case.target == "Confluence" and boxes and _without(lists, case.ours) == _without(lists, case.github)


def _loose_tasks(case: Case) -> bool:
    boxes = any("☑" in piece or "☐" in piece for piece in case.ours)
    around = r"‹/?(?:[uo]l|li|p)\b.*›"
    ours, *theirs = (
        re.sub(r"\s", "", "".join(_without(around, pieces))) for pieces in (case.ours, case.github, case.specified)
    )
    return boxes and ours in theirs


def _nowhere(case: Case) -> bool:
    places = r"‹a #.*›|‹/a›"
    return case.target == "Confluence" and _without(places, case.ours) == _without(places, case.github)


def _raw(case: Case) -> bool:
    escaped = cmarkgfm.github_flavored_markdown_to_html(case.example.markdown)
    if "raw HTML omitted" not in escaped and "<!" not in case.example.markdown:
        return False
    # A tag that isn't seen parts no words, and one that is does.
    return holds_letters(" ".join(case.ours), words_of(case.github))


def _embedded(case: Case) -> bool:
    return "](data:image/" in case.example.markdown and holds(" ".join(case.ours), words_of(case.github))


def _no_host(case: Case) -> bool:
    """Its words stay, with the address beside them where they don't say it."""
    addressed = [re.match(r"‹(?:a|img) (https?://([^/?#\s›]*)[^\s›]*)", piece) for piece in case.github]
    odd = [found[1] for found in addressed if found and _ODD_HOST.search(found[2])]
    ours, *theirs = (_words_for(odd, pieces) for pieces in (case.ours, case.github, case.specified))
    return bool(odd) and ours in theirs


def _words_for(addresses: Sequence[str], pieces: Sequence[str]) -> str:
    """The outline with nothing but words for links, and for images at one of the addresses."""
    shown = (re.sub(r"‹img (\S*) ?(.*)›", lambda m: (m[2] or m[1]) if m[1] in addresses else m[0], p) for p in pieces)
    said = outline.plain("".join(outline.joined(_without(r"‹/?a\b.*›", list(shown)))))
    for address in addresses:
        said = said.replace(f"_({outline.plain(address)})", "")
    return said


def _tag_in_image(case: Case) -> bool:
    tags = r"<[^<>]*>|\s"
    ours, github = (re.sub(tags, "", "".join(pieces)) for pieces in (case.ours, case.github))
    return "‹img" in github and ours == github


def _link_in_link(case: Case) -> bool:
    links = r"‹/?a\b.*›"
    return (
        "‹/a›" in case.github
        and _without(links, case.ours) == _without(links, case.github)
        and "<" in case.example.markdown
    )


def _backslash(case: Case) -> bool:
    return "\\\\|" in case.example.markdown and holds(" ".join(case.ours), words_of(case.github))


def _percent(case: Case) -> bool:
    said, shown = ([outline.plain(piece) for piece in pieces] for pieces in (case.github, case.ours))
    return "%" in "".join((*case.ours, *case.github)) and _named_once(said) == _named_once(shown)


def _named_once(pieces: Sequence[str]) -> list[str]:
    """Without an address in parentheses behind the same words."""
    return [re.sub(r"(\S+?)_\(\1\)", r"\1", piece) for piece in pieces]


# In the order in which they are tried.
REASONS: Mapping[str, Callable[[Case], bool]] = {
    "GitHub's parser follows CommonMark 0.29 and other limits here; ours does what the example says": _newer,
    "cells beyond a table's columns join the last one, instead of being dropped": _cells,
    "tasks are lists of their own in Confluence, without numbers": _tasks,
    "the box of a task stands in the first paragraph of its item": _loose_tasks,
    "a link to a place that the page doesn't have stays words in Confluence": _nowhere,
    "a host that can't be one isn't linked": _no_host,
    "an address in a link's words is no link of its own": _link_in_link,
    "tags in an image's words are left out": _tag_in_image,
    "two backslashes before a bar in a cell both stay": _backslash,
    "an address that is shown beside its words has percent signs for other letters": _percent,
    "an image in the text is an attachment in Confluence, and its words elsewhere": _embedded,
    "raw HTML: unknown tags, tags without an end, instructions and declarations are shown as typed, programs as code, and "
    "loose words get a paragraph; no word that GitHub shows is missing": _raw,
}


def reason_of(example: Example, target: str) -> str | None:
    """Why the target says something else than GitHub: a reason, "" where it says the same, None where nothing explains it."""
    case = Case(
        example,
        target,
        github=_comparable(outline.of_github(example.markdown)),
        specified=_comparable(outline.of_html(example.html)),
        ours=outline.joined(_strong(TARGETS[target](example.markdown))),
    )
    if case.ours == case.github:
        return ""
    return next((reason for reason, explains in REASONS.items() if explains(case)), None)


def table() -> str:
    """The reasons with their examples, as docs/markdown.md has them."""
    found: dict[str, dict[str, None]] = {reason: {} for reason in REASONS}
    for example in examples():
        for target in TARGETS:
            if reason := reason_of(example, target):
                found[reason][example.name] = None
    rows = [f"| {reason} | {_listed(list(names))} |" for reason, names in found.items() if names]
    return "\n".join(["| Reason | Examples |", "|---|---|", *rows])


def _listed(names: Sequence[str]) -> str:
    groups: dict[str, list[str]] = {}
    for name in names:
        group, _, number = name.rpartition(" ")
        groups.setdefault(group, []).append(number)
    return "; ".join(f"{group} {', '.join(numbers)}" for group, numbers in groups.items())


if __name__ == "__main__":
    print(table())
