"""A sandbox for other people's clients, and their programs run against it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.clients.outside import HERE, printed
from tests.contract.sandbox_support import running


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


@pytest.fixture
async def secured(tmp_path):
    """A sandbox behind TLS, with a certificate of the authority in `ca.pem`."""
    authority = Authority(tmp_path, "ca")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("localhost"))
    async with running(context) as sandbox:
        yield sandbox


@pytest.fixture
def printed_by(tmp_path, python):
    """Run one of the programs with the module's interpreter, `python`, against a sandbox."""

    async def run(program: str, live, **environment: str):
        path = Path(HERE, "programs", f"{program}.py")
        return await printed(python, "-W", "ignore", path, live=live, home=tmp_path, **environment)

    return run
