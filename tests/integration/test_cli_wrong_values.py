"""Every option and argument of every command, given what it can't take: one line for a person, and none of Python's words."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from worker.cli import root

RUNS_ON = {"up", "demo", "worker", "api", "sandbox"}  # they would start something
WRONG = ("", "not a thing", "x\ny", "99999999999999999999999", "{", "\udcff")
PYTHONS = re.compile(
    r"pydantic|Traceback|fault in Afterword|Input should|String should|should match|object at 0x|<class|Errno"
    r"|codec can't|invalid literal|Expecting value|\b[A-Z]\w*(Error|Exception)\b|\b(str|int|dict|tuple|NoneType)\b"
)


def leaves(group=root, path=()):
    """The commands that do something, with their names."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        elif name not in RUNS_ON:
            yield (*path, name), command


def with_one_wrong(path, command, wrong, value):
    """A command line whose other parts are what they have to be."""
    options, arguments = [], []
    for part in command.params:
        given = value if part is wrong else "x"
        if isinstance(part, click.Argument):
            arguments += [given] if part.required or part is wrong else []
        elif part is wrong:
            options += [part.opts[0], given]
        elif part.required:
            options += [part.opts[0], part.type.choices[0] if isinstance(part.type, click.Choice) else "x"]
    return [*path, *options, "--", *arguments]


@pytest.mark.parametrize("name", sorted({path[0] for path, _ in leaves()}))
def test_a_wrong_value_is_told_in_one_line_without_pythons_words(settings, tmp_path, monkeypatch, name):
    """Whether it is refused at once or only by the instance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFTERWORD_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("AFTERWORD_PREFIX", settings.prefix)
    monkeypatch.setenv("AFTERWORD_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AFTERWORD_DATA", str(tmp_path))
    for path, command in leaves():
        for part in command.params if path[0] == name else ():
            if part.name in ("more", "bare", "as_json") or (isinstance(part, click.Option) and part.is_flag):
                continue
            for value in WRONG:
                line = with_one_wrong(path, command, part, value)
                done = CliRunner().invoke(root, line, input="fake-secret\n")
                said = done.output.replace(value, "…") if value.strip() else done.output
                assert not PYTHONS.search(said), (line, said)
                assert done.exit_code in (0, 1, 2, 3, 4), (line, said)
                told = [row for row in done.stderr.splitlines() if row.startswith("afterword: ")]
                assert len(told) == 1 or not done.exit_code or done.stdout, (line, said)
