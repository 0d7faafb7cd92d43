"""Text and a panel on one terminal; nobody waits for the terminal."""

from __future__ import annotations

import io
import os
import pty
import threading
from typing import Any

import pyte
import pytest
from support.timing import wait_until, within

from dbt_relay.cli.output.screen import Screen


class Out(io.BytesIO):
    """A terminal that can be stopped, as Ctrl-S does."""

    def __init__(self) -> None:
        super().__init__()
        self.goes = threading.Event()
        self.goes.set()
        self.frames: list[bytes] = []

    def write(self, data: Any, /) -> int:
        self.goes.wait()
        self.frames.append(bytes(data))
        return super().write(data)

    def shown(self) -> list[str]:
        screen = pyte.Screen(40, 10)
        pyte.ByteStream(screen).feed(self.getvalue())
        return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def test_the_panel_stays_below_the_text() -> None:
    out = Out()
    screen = Screen(out)
    screen.write(b"before\r\n")
    with screen.showing(lambda *_: ["panel", "of two lines"]):
        for n in range(3):
            screen.write(b"line %d\r\nhalf a " % n)
            wait_until(lambda n=n: f"line {n}" in "".join(out.shown()), "the line")
            assert out.shown()[-2:] == ["panel", "of two lines"]
            screen.write(b"line\r\n")
    screen.write(b"after\r\n")
    halves = [f for n in range(3) for f in (f"line {n}", "half a line")]
    assert out.shown() == ["before", *halves, "after"]


def test_a_panel_that_gets_shorter_keeps_its_height() -> None:
    out, lines = Out(), ["a", "b", "c"]
    screen = Screen(out)
    with screen.showing(lambda *_: [*lines]):
        wait_until(lambda: out.shown() == ["a", "b", "c"], "the panel")
        del lines[1:]
        wait_until(lambda: out.shown() == ["a"], "the shorter panel")
        screen.write(b"text\r\n")
        wait_until(lambda: out.shown() == ["text", "a"], "the text")
    assert out.shown() == ["text"]


def test_a_terminal_that_takes_nothing_stops_nobody() -> None:
    out = Out()
    screen = Screen(out)
    with screen.showing(lambda *_: ["panel"]):
        wait_until(lambda: out.shown() == ["panel"], "the panel")
        out.goes.clear()
        with within(2.0):
            for n in range(20_000):
                screen.write(b"%d\r\n" % n)
        out.goes.set()
    assert out.getvalue().count(b"\r\n") == 20_000
    assert len(out.frames) < 100


def test_an_unchanged_panel_is_not_drawn_again() -> None:
    out, draws = Out(), threading.Semaphore(0)

    def draw(*_: int) -> list[str]:
        draws.release()
        return ["panel"]

    with Screen(out).showing(draw):
        for _ in range(4):
            draws.acquire()
        assert len(out.frames) == 1


def test_text_goes_on_without_a_panel_that_cannot_be_drawn() -> None:
    out, faults = Out(), list[BaseException]()

    def draw(*_: int) -> list[str]:
        raise ValueError("bug")

    screen = Screen(out)
    with screen.showing(draw, faults.append):
        wait_until(lambda: faults, "the fault")
        screen.write(b"text\r\n")
        wait_until(lambda: out.shown() == ["text"], "the text")
    assert len(faults) == 1


def test_a_terminal_that_is_gone_is_no_error() -> None:
    keyboard, end = pty.openpty()
    with os.fdopen(end, "wb") as out:
        screen = Screen(out)
        with screen.showing(lambda *_: ["panel"]):
            os.close(keyboard)
            screen.write(b"text\r\n")
        screen.write(b"text\r\n")


def test_an_error_of_the_block_erases_the_panel() -> None:
    out = Out()

    def stopped() -> None:
        with Screen(out).showing(lambda *_: ["panel"]):
            wait_until(lambda: out.shown() == ["panel"], "the panel")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert out.shown() == [""]
