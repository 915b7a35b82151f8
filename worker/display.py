"""What a vendor would show of a body, as markup that is safe in any page of ours.

Nothing is taken on trust: text is escaped, markup is built or parsed anew from an allow-list, and pictures from elsewhere
are named instead of loaded.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import nh3

from tasks.markup.confluence import viewer

TAGS = set(
    "a abbr b blockquote br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i ins kbd li ol p pre s span strong "  # noqa: SIM905
    "sub sup table tbody td tfoot th thead tr u ul".split()
)
ATTRIBUTES = {"a": {"href", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "ol": {"start"}}
_PICTURE = re.compile(r'<img\b[^>]*?src="([^"]*)"(?:[^>]*?alt="([^"]*)")?[^>]*>', re.IGNORECASE)


def as_html(vendor: str, text: str, address: Callable[[str], str | None] = lambda _: None) -> str:
    """What a vendor would show of this body, as markup that is safe in any page. `address` is where a page's file is."""
    if vendor in ("servicenow", "jira"):
        return f"<pre>{html.escape(text)}</pre>"
    if vendor == "confluence":
        return viewer.to_html(text, address)
    named = _PICTURE.sub(lambda found: f'<a href="{found[1]}">{found[2] or "picture"}</a>', text)
    return nh3.clean(named, tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto"})
