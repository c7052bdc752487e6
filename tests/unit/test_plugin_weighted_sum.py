"""Sums of rewards, their parts kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from evaluation_standins import build, lend
from pydantic import ValidationError

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Completion, Reward, Scores

COMPLETIONS = [Completion(prompt="p", text="ab"), Completion(prompt="p", text="abcd")]


class Length(Reward):
    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [float(len(completion.text)) for completion in completions]


class Constant(Reward):
    def __init__(self, value: float) -> None:
        self.value = value

    def score(self, completions: Sequence[Completion]) -> Scores:
        values = [self.value] * len(completions)
        return Scores(values, {"half": [value / 2 for value in values]})


def build_reward(section: dict[str, Any]) -> Any:
    return {"length": Length, "constant": Constant, "empty": Short}[section["reward"]](
        **{key: value for key, value in section.items() if key != "reward"}
    )


class Short(Reward):
    def score(self, completions: Sequence[Completion]) -> list[float]:
        return []


def test_the_total_is_the_weighted_sum_and_parts_are_kept_before_their_weight() -> None:
    parts = [{"reward": "length", "weight": 0.5}, {"reward": "constant", "weight": -2, "name": "penalty", "value": 3.0}]
    reward = build("weighted_sum", "reward", "weighted-sum", parts=parts)
    reward.prepare(lend(build_reward=build_reward))
    found = reward.score(COMPLETIONS)
    assert found.total == [0.5 * 2 - 2 * 3, 0.5 * 4 - 2 * 3]
    assert found.parts == {"length": [2.0, 4.0], "penalty": [3.0, 3.0], "penalty/half": [1.5, 1.5]}


def test_two_parts_of_one_name_need_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="two parts are called 'length'; give each a `name`"):
        build("weighted_sum", "reward", "weighted-sum", parts=[{"reward": "length"}, {"reward": "length"}])
    with pytest.raises(ValidationError, match="at least 1"):
        build("weighted_sum", "reward", "weighted-sum", parts=[])


def test_a_part_with_too_few_scores_is_named() -> None:
    reward = build("weighted_sum", "reward", "weighted-sum", parts=[{"reward": "empty"}])
    reward.prepare(lend(build_reward=build_reward))
    with pytest.raises(RLHFError, match="part empty gave 0 scores for 2 completions"):
        reward.score(COMPLETIONS)
