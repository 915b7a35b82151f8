"""The address of an instance, out of one that was pasted from a browser."""

from __future__ import annotations

from urllib.parse import urlsplit

VENDORS = (".service-now.com", ".servicenowservices.com")  # whose instances are at the top of their hosts
# What the pages of an instance begin with, in its frames of any age.
_PAGES = ("/now", "/nav_to.do", "/navpage.do", "/login.do", "/$", "/sp", "/incident", "/api", "/welcome.do", "/home.do")


def instance_of(url: str) -> str:
    """The instance that the address of one of its pages belongs to; an address of something else stays as it is."""
    parts = urlsplit(url)
    of_vendor = (parts.hostname or "").lower().endswith(VENDORS)
    paged = any(parts.path == page or parts.path.startswith((f"{page}/", f"{page}.", f"{page}_")) for page in _PAGES)
    return f"{parts.scheme}://{parts.netloc}" if of_vendor or paged or parts.path.endswith(".do") else url
