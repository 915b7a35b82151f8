"""Rendering puts the cycle collector off, and leaves it as it was."""

from __future__ import annotations

import gc
import threading

import pytest

from tasks.markup import azure_devops, collector, confluence, servicenow


def test_the_collector_comes_back_with_the_last_one_to_leave():
    inside, leave = threading.Event(), threading.Event()

    def render():
        with collector.put_off():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=render)
    with collector.put_off():
        other.start()
        assert inside.wait(10)
    assert not gc.isenabled()
    leave.set()
    other.join()
    assert gc.isenabled()


def test_the_collector_comes_back_after_an_error():
    with pytest.raises(ValueError, match="x"), collector.put_off():
        raise ValueError("x")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collector.put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("render", [confluence.render, azure_devops.render, servicenow.render])
def test_a_rendering_leaves_no_cycles_to_collect(render):
    text = "# a\n\n- b *c* [d](e) ![f](g)\n  - [ ] h\n\n> i[^1]\n\n|j|\n|-|\n|k|\n\n[^1]: l\n\n" * 50
    render(text)
    gc.collect()
    render(text)
    assert gc.collect() < 50
