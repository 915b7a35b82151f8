"""A text as bytes, one for each character: patterns run on it at full speed, and its offsets are those of the text."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import re2

_ERRORS, _LATIN_ERRORS = "afterword-view", "afterword-latin-view"
_SAME = str.maketrans(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2013\u2014\u2212\uff1a\uff1d\u2192",
    "''''\"\"\"\"'\"---:=>",
)
_PLAIN = bytes(range(256)).translate(bytes.maketrans(b"\x00\x01\x02\x80\x85\xa0\xab\xad\xbb", b'   \x02\n "\x01"'))
# What a password is called in other scripts, and a word of ours that is as long.
_CALLED = {
    "\u043f\u0430\u0440\u043e\u043b": "passw",  # Russian, Ukrainian, Bulgarian
    "\u043b\u043e\u0437\u0438\u043d\u043a\u0430": "_passwd",  # Serbian, Macedonian
    "\u0442\u043e\u043a\u0435\u043d": "token",
    "\u043a\u043b\u044e\u0447": "_key",
    "\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2": "_passwd",  # Greek
    "\u0643\u0644\u0645\u0629 \u0627\u0644\u0645\u0631\u0648\u0631": "___password",  # Arabic
    "\u05e1\u05d9\u05e1\u05de\u05d4": "passw",  # Hebrew
    "\u092a\u093e\u0938\u0935\u0930\u094d\u0921": "_passwd",  # Hindi
    "\u0e23\u0e2b\u0e31\u0e2a\u0e1c\u0e48\u0e32\u0e19": "password",  # Thai
    "m\u1eadt kh\u1ea9u": "password",  # Vietnamese
    "\ube44\ubc00\ubc88\ud638": "_pwd",  # Korean
    "\uc554\ud638": "pw",
    "\u5bc6\u7801": "pw",  # Chinese
    "\u5bc6\u78bc": "pw",
    "\u53e3\u4ee4": "pw",
    "\u5bc6\u94a5": "pw",
    "\u4ee4\u724c": "pw",
    "\u30d1\u30b9\u30ef\u30fc\u30c9": "passw",  # Japanese
    "\u30c8\u30fc\u30af\u30f3": "_pat",
}
_SPELLED = tuple((spelled, same) for word, same in _CALLED.items() for spelled in {word, word.title(), word.upper()})
_OTHER_SCRIPT = re.compile("[\u0370-\u1eff\u3000-\ud7ff]")
# Letters that are no letter with a mark.
_FOLDED_LETTERS = {"\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D", "\u0131": "i"}
# Default ignorable and format characters (Unicode 16, DerivedCoreProperties), and marks that combine with a letter.
INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20d0-\u20f0\u3164\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
UNSEEN = b"\x01"  # what stands in a view for an invisible character; \x02 stands for another form of an ASCII one
_ASCII = bytes(byte if byte < 0x80 else 0x20 for byte in range(256))
MANY = 0x11000  # characters that are remembered: the first plane, and some beyond it
_NO_CHARACTER = frozenset({"Cn", "Co"})  # not assigned, or for private use
_BLANK = re.compile(rb"\\ ")  # as `re.escape` writes it
_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 64 << 20
_FOLDED = re2.Options()
_FOLDED.encoding = re2.Options.Encoding.LATIN1
_FOLDED.case_sensitive = False
_FOLDED.max_mem = 64 << 20


@lru_cache(maxsize=4096)
def _standing_in(char: str) -> str:
    """What stands for a character beyond Latin-1: a letter for a letter, a blank for a blank."""
    if INVISIBLE.fullmatch(char):
        return "\xad"
    if "\u4e00" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3":
        return "\xff"
    if char >= "\U000e1000":  # for private use
        return "\xa4"
    if "\U00020000" <= char < "\U000e0000":
        return "\xff" if char.isalpha() else "\xa4"
    if (category := unicodedata.category(char)) in _NO_CHARACTER:
        return "\xa4"
    same = char.translate(_SAME)
    if same != char:
        return same
    if char.isspace():
        return "\n" if char in "\u2028\u2029" else " "
    other = unicodedata.normalize("NFKC", char)
    if other.isascii() and (other.isalnum() or other in "@._-"):
        return "\x80"
    if (letter := _FOLDED_LETTERS.get(char) or unicodedata.normalize("NFD", char)[0]).isascii() and letter.isalpha():
        return letter
    return "\xff" if char.isalpha() else "9" if category == "Nd" else "\xa4"


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    run = error.object[error.start : error.end]
    return "".join(map(_standing_in, run)).encode("latin-1"), error.end


def _replaced_in_latin(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - views are only encoded
    if _OTHER_SCRIPT.search(error.object, error.start, error.end):
        raise _OtherScript
    return _replaced(error)


class _OtherScript(Exception):
    """The text has letters that a word of `_CALLED` may be of."""


codecs.register_error(_ERRORS, _replaced)
codecs.register_error(_LATIN_ERRORS, _replaced_in_latin)


class _StandIns(dict[int, str]):
    """What stands for each character, worked out when it is first met; kept for the first thousands of them."""

    def __missing__(self, code: int) -> str:
        same = chr(code) if code < 0x100 else _standing_in(chr(code))
        if len(self) < MANY:
            self[code] = same
        return same


@lru_cache(maxsize=1)
def _stand_ins() -> _StandIns:
    return _StandIns()


def view(text: str) -> bytes:
    """The text in Latin-1, with typographic quotes and dashes as plain ones, letters of Latin script without what Latin-1 has
    no mark for, and a stand-in for every other character.
    """
    try:
        return text.encode("latin-1", _LATIN_ERRORS).translate(_PLAIN)
    except _OtherScript:
        for word, same in _SPELLED:
            text = text.replace(word, same)
    # One call for each run beyond Latin-1 is the fastest way for a few of them, and the slowest for many.
    if len(text.encode("utf-8", "replace")) > len(text) * 5 // 4:
        text = text.translate(_stand_ins())
    return text.encode("latin-1", _ERRORS).translate(_PLAIN)


def ascii_only(raw: bytes) -> bytes:
    """The view with a blank for each character beyond ASCII, for an engine that reads UTF-8."""
    return raw if raw.isascii() else raw.translate(_ASCII)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern for views, compiled by RE2: linear in the text, whatever the text."""
    return re2.compile(pattern.encode("latin-1"), _OPTIONS)


class Triggers:
    """Tells in one pass which of many rules may find something: each needs one of its literals, in any case.

    A blank of a literal stands for as many as somebody typed. One that begins with `re:` is a pattern: the part
    of the rule's own that no ordinary text has. It counts little, or the pass gets slow.
    """

    def __init__(self, needs: Sequence[tuple[str, ...]]) -> None:
        self._set = re2.Set.SearchSet(_FOLDED)
        self._always = [number for number, literals in enumerate(needs) if not literals]
        self._owner: list[int] = []
        for number, literals in enumerate(needs):
            for literal in literals:
                said = literal.encode("latin-1")
                pattern = said[3:] if said.startswith(b"re:") else _BLANK.sub(rb"[ \t]+", re.escape(said))
                self._set.Add(pattern)
                self._owner.append(number)
        self._set.Compile()

    def of(self, raw: bytes) -> list[int]:
        """The numbers of the rules worth trying, in order."""
        return sorted({*self._always, *(self._owner[found] for found in self._set.Match(raw) or ())})
