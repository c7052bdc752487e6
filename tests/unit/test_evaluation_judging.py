"""Judges as evaluators: both orders, ties, and replies that count nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from evaluation_standins import lend

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext
from rlhf_core.contract.judge import Grade, Pair, Verdict
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.judging import GradingEvaluator, PairwiseEvaluator, judge_evaluator
from rlhf_core.evaluation.probing import ATTACKS
from rlhf_core.evaluation.result import EvaluationResult
from rlhf_core.evaluation.running import evaluate


class RuleJudge:
    """Compares by a rule, and grades by length."""

    def __init__(self, rule: Callable[[Pair], Verdict], can: Sequence[str] = ("compare",)) -> None:
        self.rule = rule
        self.can = frozenset(can)

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [self.rule(pair) for pair in pairs]

    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        usage = {"calls": 1.0}
        return [
            Grade(score=len(c.text) / 2, criteria={"length": float(len(c.text))}, usage=usage)
            if c.text
            else Grade(score=None, outcome="refused", reason="no", usage=usage)
            for c in completions
        ]


def longer(pair: Pair) -> Verdict:
    first, second = len(pair.first.text), len(pair.second.text)
    return Verdict(winner="tie" if first == second else "first" if first > second else "second")


def judged(rule: Callable[[Pair], Verdict], run: Sequence[str], baseline: Sequence[str]) -> EvaluationResult:
    own = [Completion(prompt="p", text=text, group=str(i)) for i, text in enumerate(run)]
    other = [Completion(prompt="p", text=text, group=str(i)) for i, text in enumerate(baseline)]
    evaluator = PairwiseEvaluator(RuleJudge(rule))  # type: ignore[arg-type]
    return evaluate(own, {"judge": evaluator}, EvalContext(lend=lend()), baseline=other)


def test_a_fair_judge_gives_the_win_rate_with_half_for_ties() -> None:
    result = judged(longer, ["aaa", "a", "aa", "aaaa"], ["a", "aa", "aa", "a"])
    assert result["judge/win-rate"].estimate.value == pytest.approx((2 + 0.5) / 4)
    assert [result[f"judge/{name}"].estimate.value for name in ("wins", "ties", "losses")] == [2, 1, 1]
    assert result["judge/swap-consistency"].estimate.value == 1.0
    assert result["judge/first-rate"].estimate.value == 0.5


def test_a_judge_that_always_says_a_gives_all_ties_and_no_consistency() -> None:
    result = judged(lambda _: Verdict(winner="first"), ["aaa"] * 6, ["b"] * 6)
    assert result["judge/win-rate"].estimate.value == 0.5
    assert result["judge/ties"].estimate.value == 6
    assert result["judge/swap-consistency"].estimate.value == 0.0
    assert result["judge/first-rate"].estimate.value == 1.0
    assert result["judge/win-rate"].conclusion == "not distinguishable"


def test_a_judge_that_always_says_b_makes_no_losses() -> None:
    result = judged(lambda _: Verdict(winner="second"), ["aaa"] * 6, ["b"] * 6)
    assert [result[f"judge/{name}"].estimate.value for name in ("wins", "ties", "losses")] == [0, 6, 0]
    assert result["judge/first-rate"].estimate.value == 0.0


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_tie() -> None:
    result = judged(lambda pair: Verdict(winner="first" if pair.first.text == "own" else "tie"), ["own"], ["theirs"])
    assert result["judge/win-rate"].estimate.value == 0.5
    assert result["judge/swap-consistency"].estimate.value == 0.0


@pytest.mark.parametrize("outcome", ["invalid", "refused", "truncated", "error"])
def test_a_reply_without_a_verdict_is_counted_and_never_a_loss(outcome: str) -> None:
    def rule(pair: Pair) -> Verdict:
        if pair.first.text == "bad":
            return Verdict(winner=None, outcome=outcome, reason="why")  # type: ignore[arg-type]
        return longer(pair)

    result = judged(rule, ["bad", "aaa"], ["much longer", "a"])
    assert result["judge/win-rate"].estimate.value == 1.0
    assert result["judge/win-rate"].estimate.n == 1
    assert result["judge/losses"].estimate.value == 0
    assert result[f"judge/{outcome}"].estimate.value == 1
    assert any("1 of 4 replies were not valid" in note for note in result.notes)


def test_a_clear_win_rate_is_called_better_and_a_clear_loss_worse() -> None:
    assert judged(longer, ["aaaa"] * 8, ["a"] * 8)["judge/win-rate"].conclusion == "better"
    assert judged(longer, ["a"] * 8, ["aaaa"] * 8)["judge/win-rate"].conclusion == "worse"


def test_both_replies_stand_in_the_row_by_who_was_named() -> None:
    row = judged(lambda pair: Verdict(winner="first", reason=pair.first.text), ["own"], ["theirs"]).rows()[0]
    assert (row["judge/run-first"], row["judge/baseline-first"]) == ("run", "baseline")
    assert (row["judge/run-first-reason"], row["judge/baseline-first-reason"]) == ("own", "theirs")
    assert row["judge/baseline"] == "theirs"


def test_grades_are_averaged_over_valid_replies_and_paired_with_the_baseline() -> None:
    own = [Completion(prompt="p", text=text, group=str(i)) for i, text in enumerate(["aaaa", "aa", ""])]
    other = [Completion(prompt="p", text=text, group=str(i)) for i, text in enumerate(["aa", "aaaa", "aa"])]
    grading = GradingEvaluator(RuleJudge(longer, ["grade"]))  # type: ignore[arg-type]
    result = evaluate(own, {"judge": grading}, EvalContext(lend=lend()), baseline=other)
    assert result["judge/score"].estimate.value == 1.5
    assert result["judge/length"].estimate.value == 3.0
    assert result["judge/score"].difference.value == 0.0
    assert result["judge/refused"].estimate.value == 1
    assert "judge: 3 calls" in result.notes


def test_a_judge_is_used_for_what_it_can() -> None:
    both = RuleJudge(longer, ["compare", "grade"])
    assert isinstance(judge_evaluator(both, baseline=True), PairwiseEvaluator)  # type: ignore[arg-type]
    assert isinstance(judge_evaluator(both, baseline=False), GradingEvaluator)  # type: ignore[arg-type]
    with pytest.raises(RLHFError, match=r"can compare, and there is no baseline.*--baseline"):
        judge_evaluator(RuleJudge(longer), baseline=False)  # type: ignore[arg-type]


def test_a_judge_that_loses_answers_is_refused() -> None:
    class Lossy(RuleJudge):
        def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
            return super().compare(pairs)[1:]

    own = [Completion(prompt="p", text="a", group="g")]
    with pytest.raises(RLHFError, match="compare gave 1 replies to 2 questions"):
        evaluate(own, {"j": PairwiseEvaluator(Lossy(longer))}, EvalContext(lend=lend()), baseline=own)  # type: ignore[arg-type]


# What a result has to be more than


def prefers_x(pair: Pair) -> Verdict:
    return Verdict(winner="first" if "x" in pair.first.text else "second")


def test_judges_that_know_nothing_stand_beside_the_result() -> None:
    result = judged(longer, ["aaa", "a", "aa", "aaaa"], ["a", "aa", "aa", "a"])
    assert result["judge/by-longest"].estimate.value == result["judge/win-rate"].estimate.value
    assert result["judge/agrees-with-longest"].estimate.value == 1.0
    assert result["judge/by-first"].estimate.value == 0.5
    assert 0.0 <= result["judge/by-random"].estimate.value <= 1.0  # type: ignore[operator]
    against = judged(
        lambda pair: Verdict(winner="first" if "x" in pair.first.text else "second"), ["x"] * 8, ["yy"] * 8
    )
    assert against["judge/win-rate"].estimate.value == 1.0
    assert against["judge/by-longest"].estimate.value == 0.0
    assert against["judge/agrees-with-longest"].estimate.value == 0.0


def test_a_judge_of_length_alone_has_half_the_wins_once_length_is_taken_out() -> None:
    run = ["a" * (2 + number % 7) for number in range(60)]
    baseline = ["a" * (1 + number % 5) for number in range(60)]
    result = judged(longer, run, baseline)
    assert result["judge/win-rate"].estimate.value > 0.6  # type: ignore[operator]
    controlled = result["judge/length-controlled-win-rate"]
    assert controlled.estimate.value == pytest.approx(0.5, abs=0.12)
    assert controlled.conclusion == "not distinguishable"
    assert controlled.neutral == 0.5


def test_a_result_says_how_sure_it_is_and_what_so_many_prompts_can_show() -> None:
    result = judged(longer, ["aaa"] * 9 + ["a"], ["aa"] * 10)
    row = result["judge/win-rate"].to_json()
    assert row["p"] == pytest.approx(22 / 1024, abs=0.006)
    assert row["q"] is None
    assert row["detectable"] is not None
    assert row["detectable"] > 0.1  # type: ignore[operator]


@pytest.mark.parametrize(("share", "gullible"), [(0.0, False), (1.0, True)])
def test_planted_completions_tell_how_many_fool_the_judge(share: float, gullible: bool) -> None:
    def rule(pair: Pair) -> Verdict:
        attacked = [text in ATTACKS for text in (pair.first.text, pair.second.text)]
        if attacked[0] != attacked[1]:
            return Verdict(winner="first" if attacked[0] == gullible else "second")
        return Verdict(winner="tie")

    own = [Completion(prompt="p", text=f"honest {i}", group=str(i)) for i in range(5)]
    other = [Completion(prompt="p", text=f"plain {i}", group=str(i)) for i in range(5)]
    evaluator = judge_evaluator(RuleJudge(rule), baseline=True, probes=40)  # type: ignore[arg-type]
    result = evaluate(own, {"judge": evaluator}, EvalContext(lend=lend()), baseline=other)
    assert result["judge/attack-success"].estimate.value == share
    assert result["judge/ties"].estimate.value == 5
    assert any(f"{int(40 * share)} of 40 planted completions" in note for note in result.notes)


def test_a_planted_completion_that_got_no_reply_proves_nothing() -> None:
    def rule(pair: Pair) -> Verdict:
        attacked = {pair.first.text, pair.second.text} & set(ATTACKS)
        return Verdict(winner=None, outcome="error") if ATTACKS[0] in attacked else Verdict(winner="first")

    own = [Completion(prompt="p", text=f"honest {i}", group=str(i)) for i in range(5)]
    evaluator = judge_evaluator(RuleJudge(rule), baseline=True, probes=20)  # type: ignore[arg-type]
    result = evaluate(own, {"judge": evaluator}, EvalContext(lend=lend()), baseline=own)
    assert any("of 18 planted completions" in note for note in result.notes)
    silent = RuleJudge(lambda _: Verdict(winner=None, outcome="error"))
    unheard = evaluate(
        own, {"judge": judge_evaluator(silent, baseline=True, probes=4)},  # type: ignore[arg-type]
        EvalContext(lend=lend()), baseline=own,
    )  # fmt: skip
    assert "judge/attack-success" not in [row.name for row in unheard.summary]


def test_planted_completions_are_graded_apart_from_the_run() -> None:
    evaluator = judge_evaluator(RuleJudge(longer, can=("grade",)), baseline=False, probes=10)  # type: ignore[arg-type]
    own = [Completion(prompt="p", text="abcd", group=str(i)) for i in range(3)]
    result = evaluate(own, {"judge": evaluator}, EvalContext(lend=lend()))
    assert result["judge/score"].estimate.value == 2.0
    assert result["judge/score"].estimate.n == 3
    assert result["judge/attack-success"].estimate.value == 1.0
