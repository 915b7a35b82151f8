"""The address of a site, out of one that was pasted from a browser."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tasks.destinations.atlassian import is_cloud_site

# What the pages of a site begin with, below Cloud's `/wiki` or a server's own path.
_PAGE = re.compile(r"/(?:(?:spaces|display|pages|rest)/.|(?:login|dashboard|index)\.action$)")


def site_of(url: str) -> str:
    """The site that the address of one of its pages belongs to; an address of something else stays as it is."""
    parts = urlsplit(url)
    if is_cloud_site(parts.hostname) and not parts.path.startswith("/wiki"):
        return f"{parts.scheme}://{parts.netloc}"
    below_wiki = re.match(r"/wiki(?=/|$)", parts.path)
    if below_wiki:
        return f"{parts.scheme}://{parts.netloc}/wiki"
    page = _PAGE.search(parts.path)
    return f"{parts.scheme}://{parts.netloc}{parts.path[: page.start()]}" if page else url
