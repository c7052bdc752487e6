"""What trainers tell the readers of their reports is true of their losses."""

from __future__ import annotations

import math

import pytest
import torch
from evaluation_standins import build

from rlhf_core.report.questions import stage_answers
from rlhf_plugins.dpo.objectives import OBJECTIVES
from rlhf_plugins.dpo.options import DPOOptions
from rlhf_plugins.dpo.readings import readings


def losses(**options: float | str) -> list[float]:
    """At margins of 0, and then wider and wider."""
    given = DPOOptions.model_validate({"beta": 0.5, **options})
    chosen = torch.tensor([0.0, 1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
    zero = torch.zeros_like(chosen)
    found: list[float] = OBJECTIVES[given.loss](given).loss(chosen, zero, zero, zero).tolist()
    return found


def moves(**options: float | str) -> str:
    return readings(DPOOptions.model_validate({"beta": 0.5, **options}))["How should this loss move?"]


def test_sigmoid_falls_for_ever_and_says_so() -> None:
    found = losses()
    assert found[0] == pytest.approx(math.log(2))
    assert found[:4] == sorted(found[:4], reverse=True)
    assert "ln 2" in moves()
    assert "no floor" in moves()


def test_losses_with_a_lowest_margin_turn_up_again_and_say_so() -> None:
    for options, words in (({"loss": "ipo"}, "has a floor"), ({"label_smoothing": 0.2}, "a margin beyond that costs")):
        assert losses(**options)[-1] > min(losses(**options))
        assert words in moves(**options)


def test_hinge_stops_and_robust_goes_below_zero_and_say_so() -> None:
    assert losses(loss="hinge")[0::2] == [1.0, 0.0, 0.0]
    assert "stops at 0" in moves(loss="hinge")
    assert losses(loss="robust", label_smoothing=0.2)[-1] < 0
    assert "below zero" in moves(loss="robust", label_smoothing=0.2)


def test_readings_name_the_runs_own_values_and_lead_the_answers() -> None:
    from report_parts import stage

    trainer = build("naive_ppo", "trainer", "ppo", kl_coef=0.375, kl_target=7.0)
    answers = stage_answers(stage(readings=trainer.readings))
    assert [answer.question for answer in answers] == ["How should this loss move?", "Which kl_coef?"]
    assert "0.375" in answers[1].text
    assert "at 7 nats" in answers[1].text
