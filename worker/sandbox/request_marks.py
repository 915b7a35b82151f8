"""What the middleware notes on a request for the handlers behind it."""

from __future__ import annotations

from aiohttp import web

from worker.sandbox.store import Issued

OWN = web.RequestKey("own", bool)  # it is for the sandbox itself, not for a vendor
READ_ACL = web.RequestKey("read_acl", bool)  # rows are hidden from it, but counted
TOKEN = web.RequestKey("token", Issued)  # its bearer is an access token that was given out and still lives
REFUSED = web.RequestKey("refused", bool)  # it names an account and doesn't log in as it
TOKEN_ENDED = web.RequestKey("token_ended", bool)  # its bearer is one that has ended, or is none of ours
THROUGH_GATEWAY = web.RequestKey("through_gateway", bool)  # it came through Atlassian's gateway
QUERY_IGNORED = web.RequestKey("query_ignored", bool)  # its query is one that the instance can't read
