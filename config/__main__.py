"""`python -m config`: the page docs/configuration.md, on stdout."""

from __future__ import annotations

import sys

from config.reference import page

sys.stdout.write(page())
