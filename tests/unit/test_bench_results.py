"""What a run of the benchmarks leaves in its file: figures by their keys, beside their bars."""

import json

from bench.__main__ import BARRED, benchmarks
from bench.bars import BARS, Bar
from bench.peers.figures import RATIOS
from bench.results import Results


def test_a_bar_holds_at_its_own_figure():
    assert Bar(least=0.8).met(0.8)
    assert not Bar(least=0.8).met(0.79)
    assert Bar(most=25).met(25)
    assert not Bar(most=25).met(25.1)


def test_figures_of_several_benchmarks_stand_in_one_file_beside_their_bars(tmp_path):
    results = Results(tmp_path / "out" / "latest.json")
    results.add({"full_vs_celery_bare": 0.7, "rows": [{"row": "full"}]})
    results.add({"rss_backlog_mb": 3, "full_processor_vs_celery_bare": 2.0})
    kept = json.loads(results.place.read_text("utf-8"))
    assert (kept["full_vs_celery_bare"], kept["rss_backlog_mb"], kept["rows"]) == (0.7, 3, [{"row": "full"}])
    assert kept["bars"] == {
        "full_vs_celery_bare": {"figure": 0.7, "bar": "≥ 0.8", "met": False},
        "rss_backlog_mb": {"figure": 3, "bar": "≤ 20", "met": True},
    }


def test_the_table_says_which_figures_miss_their_bar(tmp_path):
    results = Results(tmp_path / "latest.json")
    results.add({"full_vs_celery_bare": 0.7, "rss_backlog_mb": 3, "submit_ms_p50": 3.3})
    lines = {line.split()[0]: line.split() for line in results.table().splitlines()[1:-1]}
    assert lines["full_vs_celery_bare"][-1] == "NO"
    assert lines["rss_backlog_mb"][-1] == "yes"
    assert lines["submit_ms_p50"] == ["submit_ms_p50", "3.30"]


def test_the_default_run_names_benchmarks_that_there_are_and_every_ratio_has_a_bar():
    assert set(BARRED) <= set(benchmarks())
    assert set(RATIOS) <= set(BARS)
