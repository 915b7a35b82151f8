"""Benchmarks begin: each one is there, and imports what the code has."""

from bench.__main__ import BARRED, benchmarks


def test_every_benchmark_can_be_started_and_says_what_it_measures():
    found = benchmarks()
    assert {"backlog", "isolation", "memory", "rendering", "screening", "throughput"} <= set(found)
    assert set(found) > set(BARRED)
    for name, module in found.items():
        assert module.__doc__, name
