"""What the middleware notes on a request for the handlers behind it."""

from __future__ import annotations

from aiohttp import web

OWN = web.RequestKey("own", bool)  # it is for the sandbox itself, not for a vendor
READ_ACL = web.RequestKey("read_acl", bool)  # rows are hidden from it, but counted
QUERY_IGNORED = web.RequestKey("query_ignored", bool)  # its query is one that the instance can't read
