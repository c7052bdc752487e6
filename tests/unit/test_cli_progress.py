"""What is seen of a training while it goes on."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from terminals import shown_on_a_terminal

from rlhf_core.cli.progress import Board, Lines, clock, numbers

FIRST = {"score": -0.5, "kl_k1": 0.0, "length": 14.0}
STEP = {"loss": 0.01475, "score": 0.25, "kl_k1": 1.5, "length": 15.0, "entropy": 0.9, "tokens_per_second": 3075.0}


def board() -> str:
    """As it stands after two evaluations and a step."""
    shown = Board("ppo")
    shown.started(0, 20)
    assert shown.live is not None
    shown.evaluated(0, FIRST)
    shown.live.refresh()
    shown.step(5, STEP)
    shown.evaluated(5, {**FIRST, "score": 0.75})
    shown.failed()
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False).print(shown.drawn())
    return out.getvalue()


def test_the_board_is_a_bar_over_the_latest_numbers() -> None:
    lines = [re.sub(r"\s+", " ", line).strip() for line in board().splitlines()]
    assert "5/20" in lines[0]
    assert lines[0].endswith("3075 tokens/s")
    assert lines[1:] == [
        "loss score KL length entropy",
        "held out at first -0.5 0 14",
        "training 0.01475 0.25 1.5 15 0.9",
        "held out 0.75 0 14",
    ]


def test_it_moves_in_place_on_a_terminal() -> None:
    code = "import test_cli_progress as t; t.board()"
    shown = shown_on_a_terminal(code, columns=100)
    assert b"\x1b[1A" in shown  # goes back up to redraw
    assert shown.count(b"held out at first") >= 1


def test_plain_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("ppo")
    lines.started(0, 40)
    lines.evaluated(0, FIRST)
    for step in (1, 2):
        lines.step(step, STEP)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "ppo: step 0/40  held out: score -0.5  KL 0  length 14"
    assert second.startswith(
        "ppo: step 2/40  loss 0.01475  score 0.25  KL 1.5  length 15  entropy 0.9  3075 tokens/s, "
    )
    assert "\x1b" not in second


def test_numbers_falls_back_to_all_there_are() -> None:
    assert numbers({"zeta": 1.0}) == "zeta 1"
    assert clock(3661) == "1:01:01"


def test_the_kl_is_shown_with_its_interval_because_it_may_be_negative_by_chance() -> None:
    metrics = {"score": 1.25, "score_se": 0.5, "kl_k1": -0.012, "kl_k1_se": 0.02}
    assert numbers(metrics) == "score 1.25  KL -0.012 ± 0.039"
    assert numbers({"loss": 0.5, "kl_k1": 0.25}) == "loss 0.5  KL 0.25"
