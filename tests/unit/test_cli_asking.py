"""What is seen while a judge is asked."""

from __future__ import annotations

import re
import time

import pytest
from terminals import shown_on_a_terminal

from rlhf_core.cli.asking import Bar, Lines, Pace, watched
from rlhf_core.contract.judge import Asked


def after(done: int, total: int = 5, **more: object) -> Asked:
    return Asked(judge="chatgpt", done=done, total=total, **more)  # type: ignore[arg-type]


def test_without_a_terminal_lines_come_now_and_then_and_quick_answers_bring_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = Lines()
    for done in range(1, 6):
        lines(after(done))
    assert capsys.readouterr().out == ""
    for done in range(1, 8):
        lines(after(done, 7, kept=min(done, 2), failed=done // 4, usd=0.01 * done))
        now += 20
    # At 0, 20, 40 … s: the third and the fifth come 40 s after the line before, the seventh is told by the result. Two
    # were kept, each of the others took 20 s.
    assert capsys.readouterr().out.splitlines() == [
        "judge chatgpt: 3 of 7 answered, 2 kept from before, 0.03 dollars",
        "judge chatgpt: 5 of 7 answered, 2 kept from before, 1 without a verdict, 0.05 dollars, 0:40 left",
    ]


def test_the_time_left_goes_by_what_had_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    pace.see(after(1, 10, kept=1))
    pace.see(after(2, 10, kept=2))
    assert pace.left is None
    for done in (3, 4):
        now += 10
        pace.see(after(done, 10, kept=2))
    assert pace.left == 60.0
    pace.see(after(1, 4))
    assert pace.left is None


def test_what_is_no_terminal_gets_lines() -> None:
    with watched() as asked:
        assert isinstance(asked, Lines)


def a_few() -> None:
    """Four answers, and a look at the line after each."""
    bar = Bar()
    for done in range(1, 5):
        bar(after(done, 4, kept=1, failed=1, usd=0.5))
        if bar.progress is not None:
            bar.progress.refresh()
    assert bar.progress is None


def test_on_a_terminal_the_line_moves_and_goes() -> None:
    code = "import test_cli_asking as t; t.a_few()"
    shown = shown_on_a_terminal(code, columns=110)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "judge chatgpt" in plain
    assert "3/4 answered, 1 kept from before, 1 without a verdict, 0.5 dollars, 0:00 left" in plain
    assert shown.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h\r\x1b[1A\x1b[2K"))  # nothing of it stays
