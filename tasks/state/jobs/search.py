"""What jobs are found by: words of their title, ids, remote number, error and actor, as keyed digests.

Redis holds none of the words, only which jobs share one. The key is made once and kept sealed like every other record,
so a rotation of keys changes nothing here.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import unicodedata
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble
from tasks.state.outages import unavailable
from tasks.state.vault import Vault

log = logging.getLogger(__name__)

TERM = 12  # characters of a term: 48 bits, so that two words of a million hardly ever share one
MOST_WORDS = 48
RECORD = "searchkey"
_WORD = re.compile(r"[^\W_]+")


def words_of(texts: Iterable[str]) -> list[str]:
    """The words of these texts, each once, in lower case, without single letters; 48 at most."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
            if len(word) > 1 or word.isdigit():
                found[word] = None
    return list(found)[:MOST_WORDS]


class Search:
    """Makes the terms of texts. One a process; it reads its key at the first use."""

    def __init__(self, redis: Redis, vault: Vault, prefix: str) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._place = f"{prefix}:{RECORD}"
        self._owner = prefix
        self._key: bytes | None = None

    async def terms(self, texts: Iterable[str]) -> list[str]:
        """The terms of these texts' words. None, with a warning, where the key can't be opened: no job fails for that.

        Raises `StateUnavailable`.
        """
        if self._key is None:
            try:
                self._key = await self._opened()
            except KeyTrouble as trouble:
                log.warning("jobs can't be searched by words: %s", trouble)
                return []
        return [term_of(self._key, word) for word in words_of(texts)]

    async def _opened(self) -> bytes:
        try:
            record = await self._redis.get(self._place)
            if record is None:
                sealed = self._vault.seal(secrets.token_hex(32), purpose="search", owner=self._owner)
                await self._redis.set(self._place, sealed, nx=True)
                record = await self._redis.get(self._place)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        return bytes.fromhex(self._vault.open(record, purpose="search", owner=self._owner))


def term_of(key: bytes, word: str) -> str:
    """The term of one word."""
    return hmac.digest(key, word.encode("utf-8", "surrogatepass"), "sha256").hex()[:TERM]
