"""Texts of the formats that the API's description names, for Schemathesis: what fits a pattern alone would be refused."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("toml", st.sampled_from(["", "# nothing\n", 'severity = "P2"\n', "[fields]\n"]))
schemathesis.openapi.format("jira-label", st.from_regex(r"[b-z][a-z0-9_.]{0,30}", fullmatch=True))
