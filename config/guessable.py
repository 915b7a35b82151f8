"""Keys that nobody drew at random, and so can be guessed: texts, patterns, digests of common passwords."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Collection
from itertools import pairwise

KEY_BYTES = 32
FEWEST_DISTINCT_BYTES = 16
MOST_OF_ONE_BYTE = 7  # of 32 drawn at random, one value comes eight times in one key of ten billion
# Of 3,000 random keys in base64, zxcvbn needs at least 10^41 guesses; of words strung together, 10^37 at most.
FEWEST_GUESSES_LOG10 = 38.0
OUR_WORDS = ("", "afterword", "changeme", "change-me", "fernet", "incident", "postmortem", "rootcause", "Password")


def is_weak(key: bytes) -> bool:
    """True for keys that show at a look that they weren't drawn at random.

    Few distinct bytes, one byte that fills up the rest, an even step from byte to byte, or any text in UTF-8: none of these happens to a random key in a lifetime.
    """
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    counts = Counter(key)
    return (
        len(counts) < FEWEST_DISTINCT_BYTES
        or max(counts.values()) > MOST_OF_ONE_BYTE
        or len(steps) == 1
        or _is_text(key)
    )


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_guessable(keys: Collection[bytes]) -> str | None:
    """Why one of those keys can be guessed by who tries common passwords and words; None where none can.

    Takes about a quarter of a second.
    """
    from zxcvbn import zxcvbn
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    for key in keys:
        if zxcvbn(base64.urlsafe_b64encode(key).decode())["guesses_log10"] < FEWEST_GUESSES_LOG10:
            return "is made of words or patterns"
    for word in (*OUR_WORDS, *FREQUENCY_LISTS["passwords"]):
        if any(digest in keys for digest in _digests(word)):
            return "is the digest of a common password"
    if any(key[: KEY_BYTES // 2] == key[KEY_BYTES // 2 :] for key in keys):
        return "is 16 bytes, written twice"
    return None


def _digests(word: str) -> tuple[bytes, ...]:
    """The usual digests of a word, made 32 bytes long as people do it: cut, or repeated; SHA-256 also of what `echo` writes, and in capitals."""
    text = word.encode()
    return (
        hashlib.sha256(text).digest(),
        hashlib.sha256(text + b"\n").digest(),
        hashlib.sha256(text.capitalize()).digest(),
        hashlib.sha512(text).digest()[:KEY_BYTES],
        hashlib.sha384(text).digest()[:KEY_BYTES],
        hashlib.blake2b(text, digest_size=KEY_BYTES).digest(),
        hashlib.sha3_256(text).digest(),
        hashlib.md5(text).digest() * 2,  # noqa: S324 - what others did with it
    )
