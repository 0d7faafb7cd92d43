"""Texts of others drive no terminal and fold no log, and stay legible."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbt_relay.records.display import displayed, in_one_line

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text\n\tand lines", "plain text\n\tand lines"),
        ("größer 日本語 😀", "größer 日本語 😀"),
        (f"{ESC}[31mred{ESC}[0m and {ESC}[1;38;5;208mbold{ESC}[m", "red and bold"),
        (f"{ESC}[2J{ESC}[H{ESC}[1A{ESC}[Kgone", "gone"),
        (f"{ESC}[?1049h{ESC}[?25l{ESC}[>4;2m{ESC}[!p{ESC}[2 qmodes", "modes"),
        (f"{ESC}]0;title{BEL}a {ESC}]2;title{ST}b \x9d0;title\x9cc", "a b c"),
        (f"{ESC}]8;;https://evil{ST}link{ESC}]8;;{ST}", "link"),
        (f"{ESC}]52;c;cm0gLXJm{BEL}clipboard", "clipboard"),
        (f"{ESC}Pq#0;2;0{ST}sixel {ESC}_apc{ST}{ESC}^pm{ST}{ESC}Xsos{ST}rest", "sixel rest"),
        ("\x9b31mred\x9b0m", "red"),
        (f"{ESC}cfull reset{ESC}7{ESC}8{ESC}(B{ESC}=", "full reset"),
        (f"{ESC}]0;no end", "0;no end"),
        (f"{ESC}[31", "31"),
        (f"{ESC}{ESC}[31mtwice", "\ufffdtwice"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("pass\x08\x08word\x00\x07\x7f\x0e\x85", "pass\ufffd\ufffdword" + "\ufffd" * 5),
        ("\u202egnp.exe\u2066", "\ufffdgnp.exe\ufffd"),
        ("::group::Fold\n  ::endgroup::", ": :group::Fold\n  : :endgroup::"),
        ("x ::group:: y", "x : :group:: y"),
        (f"::gr{ESC}[0moup::", ": :group::"),
        (":::group::", ":: :group::"),
        ("a::b std::vector ::text", "a::b std::vector ::text"),
    ],
)  # fmt: skip
def test_a_text(text: str, shown: str) -> None:
    assert displayed(text) == shown
    assert displayed(shown) == shown


def test_a_name() -> None:
    assert in_one_line("a\nb\r\n\tc\x1b[2K") == "a b  c"


PIECES = [*"\x1b[]\\\x07\x9b\x9d\x9c\r\na:", "31m", "0;", "::", "group::", "end"]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3))).map("".join))
def test_no_control_character_and_no_fold_survive(text: str) -> None:
    shown = displayed(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert "::group::" not in shown
    assert "::endgroup::" not in shown
    assert displayed(shown) == shown


@pytest.mark.parametrize("piece", ["\x1b]", "\x9d", "\x1b[", "\x9b1;", "\x1b]0;x", "::", "\r"])
def test_it_takes_no_more_than_linear_time(piece: str) -> None:
    """In quadratic time this would take minutes."""
    displayed(piece * 300_000)
    displayed(piece + "0" * 1_000_000)
