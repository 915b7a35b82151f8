"""One clock: the Redis server's time is carried on by a clock that nobody sets, and no other module asks the machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.state.clock import STALE_S, Clock, in_words

ROOT = Path(__file__).parents[2]
THE_CLOCK = ROOT / "tasks" / "state" / "clock.py"
# Vendors have clocks of their own, which are no concern of ours. (`logging` stamps log lines by itself.)
VENDORS = ROOT / "worker" / "sandbox"
MODULES = sorted(
    path
    for room in ("tasks", "worker", "config")
    for path in (ROOT / room).rglob("*.py")
    if path != THE_CLOCK and VENDORS not in path.parents
)

# What reads the machine's clock, by the last two parts of its name; the second group does so only where it is given no moment.
ALWAYS = {
    *("time.time", "time.time_ns", "time.CLOCK_REALTIME", "time.CLOCK_TAI", "time.ctime", "time.asctime"),
    "Fernet.encrypt",  # the token shows when it was made; `encrypt_at_time` is given what it shows
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1"),
}
BARE = {"time.localtime": 0, "time.gmtime": 0, "time.strftime": 1, "utils.formatdate": 0, "utils.localtime": 0}


def readings(source: str) -> list[tuple[int, str]]:
    """Where a module reads the machine's clock: line and name."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        call = calls.get(id(node))
        seals = isinstance(node, ast.Attribute) and node.attr == "encrypt" and not (call and call.keywords)
        name = "Fernet.encrypt" if seals else _name(node, known)  # Fernet's takes nothing by keyword
        given = len(call.args) if call else 0
        if name in ALWAYS or given <= BARE.get(name, -1):
            found.append((node.lineno, name))
    return found


def _name(node: ast.AST, known: dict[str, str]) -> str:
    """The last two parts of what an expression names, through the module's imports."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or node.id not in known:
        return ""
    return ".".join([*known[node.id].split("."), *parts][-2:])


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_but_one_reads_the_machines_clock(module):
    """`tasks.state.clock` is that module: take the time from it, or a duration from the monotonic clock."""
    assert readings(module.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\nfield = time.time",
        "import time as t\nt.time_ns()",
        "from time import time\ntime()",
        "from time import time as now\nf(now)",
        "import time\ntime.clock_gettime(time.CLOCK_REALTIME)",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import datetime as dt\ndt.date.today()",
        "from datetime import date\ndate.today()",
        "import time\ntime.strftime('%H')",
        "import time\ntime.gmtime()",
        "from email.utils import formatdate\nformatdate()",
        "import email.utils\nemail.utils.formatdate()",
        "import uuid\nuuid.uuid1()",
        "fernet.encrypt(b'')",
    ],
)
def test_every_way_to_read_the_machines_clock_is_found(source):
    """The test above can fail."""
    assert readings(source)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "import time\ntime.strftime('%H', moment)",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(ms / 1000, UTC)",
        "from email.utils import formatdate\nformatdate(moment)",
        "import uuid\nuuid.uuid4()",
    ],
)
def test_durations_and_given_moments_are_no_reading(source):
    """What has its moment from elsewhere is fine."""
    assert not readings(source)


class Times:
    """A server and a machine whose clocks a test sets."""

    def __init__(self, server_s: float = 1_800_000_000.0, machine_s: float = 1_800_000_000.0) -> None:
        self.steady_s, self.server_s, self.machine_s = 100.0, server_s, machine_s
        self.clock = Clock(lambda: self.steady_s, lambda: self.machine_s)

    def pass_by(self, seconds: float) -> None:
        self.steady_s, self.server_s, self.machine_s = (
            moment + seconds for moment in (self.steady_s, self.server_s, self.machine_s)
        )

    def ask(self, there_s: float = 0.0, back_s: float = 0.0) -> None:
        """Ask the server for its time, which takes so long there and back."""
        asked = self.clock.asking()
        self.pass_by(there_s)
        told = self.server_s
        self.pass_by(back_s)
        self.clock.heard(told, asked)


def test_the_servers_time_goes_on_between_two_looks():
    """Whatever the machine's own clock says."""
    times = Times(machine_s=1_000_000_000.0)
    times.ask()
    times.pass_by(3.0)
    assert times.clock.now_ms() == 1_800_000_003_000


def test_a_machines_clock_that_is_set_changes_nothing_but_its_skew():
    """Nor does it when it is set while the process runs."""
    times = Times()
    times.ask()
    times.machine_s += 3600
    assert times.clock.now_ms() == 1_800_000_000_000
    assert times.clock.skew_s() == 3600


@given(st.floats(0, 30), st.floats(0, 30), st.floats(0, 0.001), st.floats(0, 30), st.floats(0, 30))
def test_the_time_is_as_exact_as_the_quickest_answer(there_s, back_s, quick_s, later_s, again_s):
    """A slow answer before it or after it makes it no worse."""
    times = Times()
    times.ask(there_s, back_s)
    times.ask(quick_s, quick_s)
    times.ask(later_s, again_s)
    assert abs(times.clock.now_s() - times.server_s) <= 0.002


def test_a_server_whose_clock_is_set_is_followed_with_the_next_look():
    """As is another server that became the primary."""
    times = Times()
    times.ask()
    times.server_s -= 500
    times.ask()
    assert times.clock.now_s() == times.server_s


def test_the_time_is_asked_for_again_once_it_is_old():
    """And before it is known at all."""
    times = Times()
    assert times.clock.stale
    times.ask()
    assert not times.clock.stale
    times.pass_by(STALE_S)
    assert times.clock.stale


def test_nobody_gets_a_time_that_the_server_never_told():
    """The machine's own is no substitute."""
    with pytest.raises(RuntimeError):
        Times().clock.now_ms()


def test_a_skew_is_told_with_its_direction():
    """Ahead or behind: who corrects it wants to know."""
    assert in_words(-61.04) == "61.0 s behind the Redis server's"
    assert in_words(2.5) == "2.5 s ahead of the Redis server's"
