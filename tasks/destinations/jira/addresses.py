"""The address of a site, out of one that was pasted from a browser."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tasks.destinations.atlassian import is_cloud_site

# What the pages of a server begin with, below its own path.
_PAGE = re.compile(r"/(?:(?:browse|projects|issues|secure|servicedesk|rest)(?=/|$)|login\.jsp$)")


def site_of(url: str) -> str:
    """The site that the address of one of its pages belongs to; an address of something else stays as it is."""
    parts = urlsplit(url)
    page = _PAGE.search(parts.path)
    own = "" if is_cloud_site(parts.hostname) else parts.path[: page.start()] if page else parts.path
    return f"{parts.scheme}://{parts.netloc}{own}"
