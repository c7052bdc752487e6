"""A judge's grade as a reward; completions without a grade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from evaluation_standins import build, lend
from pydantic import ValidationError

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import Grade, Pair, Verdict
from rlhf_core.contract.reward import Completion


class WordJudge:
    """Grades the number in the text; refuses a text without one."""

    can = frozenset({"grade"})

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        return [
            Grade(score=float(c.text), criteria={"funny": float(c.text) + 1})
            if c.text
            else Grade(score=None, outcome="refused", reason="cannot say")
            for c in completions
        ]


def prepared(judge: Any = None, **options: Any) -> Any:
    reward = build("judge_reward", "reward", "judge", **{"judge": {"judge": "word"}, **options})
    reward.prepare(lend(build_judge=lambda _: judge or WordJudge()))
    return reward


def texts(*found: str) -> list[Completion]:
    return [Completion(prompt="p", text=text) for text in found]


def test_the_score_is_the_grade_and_the_criteria_are_its_parts() -> None:
    found = prepared().score(texts("1", "4"))
    assert found.total == [1.0, 4.0]
    assert found.parts == {"funny": [2.0, 5.0], "unjudged": [0.0, 0.0]}


def test_a_missing_grade_gets_the_mean_of_the_batch_and_is_logged() -> None:
    found = prepared(max_unjudged=0.5).score(texts("1", "", "4"))
    assert found.total == [1.0, 2.5, 4.0]
    assert found.parts == {"funny": [2.0, 3.5, 5.0], "unjudged": [0.0, 1.0, 0.0]}


def test_too_many_missing_grades_stop_with_their_reason() -> None:
    with pytest.raises(
        RLHFError, match=r"word left 2 of 3 completions .*\(2 refused\); max_unjudged is 0.1.*cannot say"
    ):
        prepared().score(texts("1", "", ""))


def test_a_judge_has_to_be_able_to_do_what_the_reward_asks_of_it() -> None:
    class Comparing(WordJudge):
        can = frozenset({"compare"})

    with pytest.raises(RLHFError, match=r"word can compare, but here it has to grade; name a column .*against: COLUMN"):
        prepared(Comparing())
    with pytest.raises(RLHFError, match=r"word can grade, but here it has to compare$"):
        prepared(against="chosen")


class Longer(WordJudge):
    """Prefers the longer completion, of `odd` whichever stands first; has no word for an empty one."""

    can = frozenset({"compare"})

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [self._verdict(pair.first.text, pair.second.text) for pair in pairs]

    def _verdict(self, first: str, second: str) -> Verdict:
        if "" in (first, second):
            return Verdict(winner=None, outcome="refused", reason="cannot say")
        return Verdict(winner="first" if "odd" in (first, second) or len(first) > len(second) else "second")


def test_a_judge_that_compares_scores_who_beats_the_column_in_both_orders() -> None:
    def own(text: str) -> Completion:
        return Completion(prompt="p", text=text, record={"chosen": "four"})

    reward = prepared(Longer(), against="chosen", max_unjudged=0.25)
    found = reward.score([own("longer"), own("odd"), own("sho"), own("")])
    assert found.total == [1.0, 0.5, 0.0, 0.5]  # the last one without a verdict: the mean of the others
    assert found.parts == {"unjudged": [0.0, 0.0, 0.0, 1.0]}
    with pytest.raises(
        RLHFError, match=r"reward judge: .* in the column 'best' \(columns: chosen\); name it as against"
    ):
        prepared(Longer(), against="best").score([own("longer")])


def test_a_bare_name_stands_for_a_judge_without_options() -> None:
    assert prepared().options.judge == {"judge": "word"}
    assert build("judge_reward", "reward", "judge", judge="chatgpt").options.judge == {"judge": "chatgpt"}
    with pytest.raises(ValidationError, match="must name a judge"):
        build("judge_reward", "reward", "judge", judge={"model": "x"})
