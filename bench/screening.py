"""Screening: recall on the labelled corpus, false findings, speed, and the longest megabytes."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

from tasks.screening import scan
from tests.corpus import people, secrets


def main() -> None:
    for name, made in (
        ("passwords", secrets.everyday()),
        ("tokens", secrets.tokens()),
        ("providers", secrets.providers()),
        ("kinds", secrets.kinds()),
    ):
        rows = [(text, value, [f for f in scan(text) if f.category == "secret"]) for text, value in made]
        whole = sum(any(text[f.start : f.end].find(value) >= 0 for f in found) for text, value, found in rows)
        print(f"{name:<12} found {sum(bool(found) for *_, found in rows)} of {len(rows)}, whole {whole}")
    harmless = list(secrets.harmless())
    print(
        f"harmless     flagged {sum(any(f.category == 'secret' for f in scan(text)) for text in harmless)} of {len(harmless)}"
    )
    found, total = Counter[str](), Counter[str]()
    for kind, text, _ in people.personal():
        total[kind] += 1
        found[kind] += any(f.category == "personal" for f in scan(text))
    print("personal     " + ", ".join(f"{kind} {found[kind]}/{total[kind]}" for kind in total))
    _prose()
    for name, text in longest().items():
        print(f"1 MB of {name:<18} {_seconds(text):5.2f} s")


def _prose() -> None:
    folder = Path(os.environ.get("AFTERWORD_SHARED", Path(__file__).parents[2] / "shared")) / "inputs"
    text = "".join(file.read_text("utf-8") for file in sorted(folder.glob("*.md")))
    if not text:
        print(f"no post-mortems in {folder}: speed and false findings left out")
        return
    count = Counter(finding.category for finding in scan(text))
    per = {kind: 100_000 * count[kind] / len(text) for kind in ("secret", "personal")}
    print(
        f"post-mortems {len(text)} characters; per 100 kB: {per['secret']:.2f} secrets, {per['personal']:.1f} personal"
    )
    megabyte = (text * (1_000_000 // len(text) + 1))[:1_000_000]
    print(
        f"speed        {1 / min(_seconds(megabyte) for _ in range(3)):.1f} MB/s, 4 kB {1000 * min(_seconds(text[3000:7000]) for _ in range(50)):.2f} ms"
    )


def longest() -> dict[str, str]:
    """A megabyte each of what takes longest."""
    draw, chance = secrets.Draw(3), random.Random(3)
    forms = {
        "phone numbers": lambda: f"+44 20 {draw.of(secrets.DIGITS, 4)} {draw.of(secrets.DIGITS, 4)}\n",
        "addresses": lambda: ".".join(str(chance.randint(1, 254)) for _ in range(4)) + " ",
        "e-mails": lambda: f"{draw.of(secrets.LOWER, 6)}@{draw.of(secrets.LOWER, 5)}.com ",
        "cards": lambda: f"4{draw.of(secrets.DIGITS, 15)} ",
        "cards in groups": lambda: " ".join(draw.of(secrets.DIGITS, 4) for _ in range(4)) + " ",
        "groups of digits": lambda: draw.of(secrets.DIGITS, 3) + " ",
        "accounts in groups": lambda: "DE" + " ".join(draw.of(secrets.DIGITS, 4) for _ in range(5)) + " ",
        "Chinese words": lambda: "数据库连接池已满 ",
        "commands": lambda: f"curl -u a:{draw.of(secrets.LOWER, 8)} x\n",
        "tax numbers": lambda: f"cpf {draw.of(secrets.DIGITS, 11)} ",
        "passwords": lambda: f"password={draw.of(secrets.ALNUM, 12)}\n",
        "tokens": lambda: f"ghp_{draw.of(secrets.ALNUM, 36)}\n",
        "keys without end": lambda: "-----BEGIN " + "PRIVATE KEY-----\nMIIE\n\n",
    }
    texts = {}
    for name, make in forms.items():
        parts: list[str] = []
        while len(parts) * len(make()) < 1_000_000:
            parts.append(make())
        texts[name] = "".join(parts)[:1_000_000]
    return texts


def _seconds(text: str) -> float:
    began = time.process_time()
    scan(text)
    return time.process_time() - began
