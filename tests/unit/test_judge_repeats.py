"""The same question asked several times: what is made of the replies, each of which the store keeps by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from evaluation_standins import build, lend
from judge_servers import Request, Response, reply, serving

from rlhf_core.contract.evaluator import EvalContext
from rlhf_core.contract.judge import Grade, JudgeContext, Pair, Verdict
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.judging import judge_evaluator
from rlhf_core.evaluation.running import evaluate
from rlhf_core.store.replies import SQLiteReplies
from rlhf_plugins.chatgpt_judge.options import ChatGPTOptions
from rlhf_plugins.chatgpt_judge.repeats import one_grade, one_verdict

LOST = Verdict(winner=None, outcome="truncated", reason="cut", usage={"calls": 2.0})


def said(*winners: Any) -> list[Verdict]:
    return [Verdict(winner=winner, reason=f"for {winner}", usage={"calls": 1.0}) for winner in winners]


def test_most_replies_name_the_winner_and_agreement_is_over_pairs_of_replies() -> None:
    found = one_verdict(said("first", "second", "first"))
    assert (found.winner, found.outcome, found.reason) == ("first", "valid", "2 of 3 replies. for first")
    assert found.agreement == pytest.approx(1 / 3)  # of three pairs of replies one is alike
    assert found.usage == {"calls": 3.0}
    assert one_verdict(said("second", "second")).agreement == 1.0
    divided = one_verdict(said("first", "second"))
    assert (divided.winner, divided.reason) == ("tie", "the 2 replies are divided. for first")
    (alone,) = said("first")
    assert one_verdict([alone]) == alone


def test_what_half_of_the_replies_lack_is_no_verdict() -> None:
    found = one_verdict([*said("first"), LOST])
    assert (found.winner, found.outcome, found.agreement, found.usage) == (None, "truncated", None, {"calls": 3.0})
    carried = one_verdict([*said("first", "first"), LOST])
    assert (carried.winner, carried.agreement, carried.usage) == ("first", 1.0, {"calls": 4.0})


def test_grades_are_means_by_criterion_and_success_is_of_the_means() -> None:
    replies = [Grade(score=3.0, criteria={"a": 4.0, "b": 2.0}), Grade(score=4.0, criteria={"a": 5.0, "b": 2.0}),
               Grade(score=2.0, criteria={"a": 3.0, "b": 1.0})]  # fmt: skip
    found = one_grade(replies, lambda criteria: criteria["a"] >= 4)
    assert found.criteria == {"a": 4.0, "b": pytest.approx(5 / 3)}
    assert found.score == pytest.approx((4 + 5 / 3) / 2)
    assert found.success is True
    assert found.agreement == pytest.approx(1 / 6)  # three pairs of replies, two criteria: b alike once


def test_repeats_at_temperature_zero_make_no_sense() -> None:
    with pytest.raises(ValueError, match="repeats = 3 at temperature 0"):
        ChatGPTOptions(repeats=3)


def test_each_repeat_is_drawn_with_a_seed_of_its_own_and_kept(tmp_path: Path) -> None:
    """Of three replies to a question the one by seed 1 names B, the others the completion that is the run's."""

    def script(request: Request, _: int) -> Response:
        first = "own" in request["messages"][1]["content"].split("<completion_B")[0]
        winner = "B" if request["seed"] == 1 else "A" if first else "B"
        return reply({"ticket": "TICKET", "winner": winner, "reason": ""})

    def judge(url: str, **options: Any) -> Any:
        made = build("chatgpt_judge", "judge", "chatgpt", base_url=url, temperature=1, **options)
        made.prepare(
            JudgeContext(replies=lambda _: SQLiteReplies(tmp_path / "r.sqlite"), open_policy=lend, tell=lambda _: None)
        )
        return made

    own, other = [Completion(prompt="p", text="own")], [Completion(prompt="p", text="theirs")]
    with serving(script) as server:
        judge(server.url).compare([Pair(first=own[0], second=other[0])])
        assert len(server.requests) == 1
        evaluator = judge_evaluator(judge(server.url, repeats=3), baseline=True)
        result = evaluate(own, {"j": evaluator}, EvalContext(lend=lend()), baseline=other)
        # Two orders, three draws each, the first of which was kept from before.
        assert [request["seed"] for request in server.requests].count(0) == 2
        assert len(server.requests) == 6
        again = judge_evaluator(judge(server.url, repeats=3), baseline=True)
        evaluate(own, {"j": again}, EvalContext(lend=lend()), baseline=other)
        assert len(server.requests) == 6
    assert result["j/win-rate"].estimate.value == 1.0
    # Shown first: A, B, A, of which one pair of three agrees; shown second: B three times.
    assert result["j/self-consistency"].estimate.value == pytest.approx((1 / 3 + 1) / 2)
