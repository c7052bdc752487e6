"""Evaluators over completions: what they are lent, what becomes of their numbers, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from evaluation_standins import SmallPolicy, lend

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Demonstration, Message, PromptRecord
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.running import evaluate, sample_completions


class Length:
    """Characters per completion, and the number of different characters of all."""

    needs = frozenset()

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        texts = [completion.text for completion in completions]
        return Evaluation(
            scores={"characters": [float(len(text)) if text else None for text in texts]},
            corpus=self.different(texts, range(len(texts))),
            recompute=lambda which: self.different(texts, which),
            better={"characters": "lower"},
            notes=["spaces count"],
            rows=[{"first": text[:1]} for text in texts],
        )

    @staticmethod
    def different(texts: Sequence[str], which: Sequence[int]) -> dict[str, float]:
        return {"different": float(len(set("".join(texts[index] for index in which))))}


class Asking:
    """Says what it was lent."""

    def __init__(self, *needs: str) -> None:
        self.needs = frozenset(needs)
        self.seen: list[EvalContext] = []

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
        self.seen.append(context)
        return Evaluation(scores={"one": [1.0] * len(completions)})


def completions(*texts: str, each: int = 1) -> list[Completion]:
    return [Completion(prompt=f"p{i // each}", text=text, group=f"g{i // each}") for i, text in enumerate(texts)]


CONTEXT = EvalContext(lend=lend())


def test_the_summary_holds_mean_interval_and_paired_difference() -> None:
    run, baseline = completions("abc", "abcd", "abcde"), completions("abcde", "abcdef", "abcdefgh")
    result = evaluate(run, {"length": Length()}, CONTEXT, baseline=baseline)
    row = result["length/characters"]
    assert row.estimate.value == 4.0
    assert row.baseline.value == pytest.approx(19 / 3)
    assert row.difference.value == pytest.approx(-7 / 3)
    assert (row.difference.low, row.difference.high) == (-3.0, -2.0)
    assert row.conclusion == "better"
    assert result["length/different"].estimate.value == 5.0
    assert result["length/different"].difference.value == -3.0
    assert result["length/different"].difference.low is not None
    assert result.notes == ["length: spaces count"]


def test_what_an_interval_does_not_settle_is_called_not_distinguishable() -> None:
    run, baseline = completions("ab", "a", "abc", "a"), completions("a", "ab", "ab", "a")
    assert evaluate(run, {"length": Length()}, CONTEXT, baseline=baseline)["length/characters"].conclusion == (
        "not distinguishable"
    )
    assert evaluate(run, {"length": Length()}, CONTEXT)["length/characters"].conclusion == ""


def test_rows_keep_every_sample_with_its_scores_and_columns() -> None:
    rows = evaluate(completions("xy", ""), {"length": Length()}, CONTEXT, baseline=completions("z", "zz")).rows()
    assert [(row["of"], row["completion"], row["length/characters"]) for row in rows] == [
        ("run", "xy", 2.0), ("run", "", None), ("baseline", "z", 1.0), ("baseline", "zz", 2.0),
    ]  # fmt: skip
    assert rows[0]["length/first"] == "x"


def test_the_result_is_plain_json_without_nan() -> None:
    result = evaluate(completions("a", ""), {"length": Length()}, CONTEXT, seed=7)
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["seed"] == 7
    assert [row["name"] for row in found["summary"]] == ["length/characters", "length/different"]
    json.dumps(result.rows(), allow_nan=False)


def test_an_evaluator_sees_only_what_it_asked_for() -> None:
    policy = SmallPolicy()
    context = EvalContext(lend=lend(), policy=policy, train_texts=["t"])  # type: ignore[arg-type]
    nothing, texts, reference = Asking(), Asking("train_set"), Asking("reference")
    evaluate(completions("a"), {"n": nothing, "t": texts, "r": reference}, context)
    assert (nothing.seen[0].policy, nothing.seen[0].train_texts) == (None, None)
    assert (texts.seen[0].policy, texts.seen[0].train_texts) == (None, ["t"])
    assert reference.seen[0].policy is policy


def test_the_baseline_is_measured_with_its_own_policy_but_by_the_same_reference() -> None:
    own, other = SmallPolicy(), SmallPolicy(1)
    context = EvalContext(lend=lend(), policy=own)  # type: ignore[arg-type]
    kl, perplexity = Asking("policy", "reference"), Asking("reference")
    evaluators = {"kl": kl, "perplexity": perplexity}
    evaluate(completions("a"), evaluators, context, baseline=completions("b"), baseline_policy=other)  # type: ignore[arg-type]
    assert [seen.policy for seen in kl.seen] == [own, other]
    assert [seen.policy for seen in perplexity.seen] == [own, own]


def test_without_the_baselines_policy_its_side_is_left_out_and_said() -> None:
    context = EvalContext(lend=lend(), policy=SmallPolicy())  # type: ignore[arg-type]
    result = evaluate(completions("a"), {"kl": Asking("policy")}, context, baseline=completions("b"))
    assert result["kl/one"].baseline.value is None
    assert "kl: not measured on the baseline, whose model is not at hand" in result.notes


@pytest.mark.parametrize(("need", "mend"), [("policy", "a run that holds a model"), ("baseline", "--baseline RUN")])
def test_a_need_that_cannot_be_met_is_named_with_its_mend(need: str, mend: str) -> None:
    with pytest.raises(RLHFError, match=f"evaluator asks: needs the {need}.*{mend}"):
        evaluate(completions("a"), {"asks": Asking(need)}, CONTEXT)


def test_other_prompts_than_the_baselines_are_refused() -> None:
    with pytest.raises(RLHFError, match="1 completions and the baseline 2"):
        evaluate(completions("a"), {}, CONTEXT, baseline=completions("a", "b"))
    with pytest.raises(RLHFError, match="completion 1 of the run answers 'g1'"):
        evaluate(completions("a", "b"), {}, CONTEXT, baseline=completions("a", "b", each=2))


def test_a_column_that_is_called_like_a_metric_is_refused_before_it_is_written() -> None:
    class Bad(Asking):
        def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
            return Evaluation(scores={"near": [1.0] * len(completions)}, rows=[{"near": "a text"}] * len(completions))

    with pytest.raises(RLHFError, match="evaluator bad: near is a metric and a column of rows"):
        evaluate(completions("a", "b"), {"bad": Bad()}, CONTEXT)


def test_wrong_counts_and_nan_of_an_evaluator_are_refused() -> None:
    class Bad(Asking):
        def __init__(self, scores: list[float]) -> None:
            super().__init__()
            self.scores = scores

        def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation:
            return Evaluation(scores={"m": self.scores})

    with pytest.raises(RLHFError, match="evaluator bad: m has 1 numbers for 2 completions"):
        evaluate(completions("a", "b"), {"bad": Bad([1.0])}, CONTEXT)
    with pytest.raises(RLHFError, match="m of completion 1 is nan"):
        evaluate(completions("a", "b"), {"bad": Bad([1.0, float("nan")])}, CONTEXT)


def test_samples_come_in_the_order_of_the_records_whatever_their_batch() -> None:
    policy, spec = SmallPolicy(), SamplingSpec(max_new_tokens=4, n=2)
    records = [PromptRecord(id=f"r{i}", prompt="x" * (i % 3), fields={"i": i}) for i in range(70)]
    found = sample_completions(policy, records, spec, seed=1)  # type: ignore[arg-type]
    assert [c.group for c in found] == [f"r{i // 2}" for i in range(140)]
    alone = sample_completions(policy, records[66:67], spec, seed=1)  # type: ignore[arg-type]
    assert [c.tokens for c in found[132:134]] == [c.tokens for c in alone]
    assert found[132].record == {"i": 66}
    assert all(c.tokens is not None and 1 <= len(c.tokens) <= 4 for c in found)


def test_a_chat_keeps_its_turns_and_a_demonstration_is_asked_without_its_answer() -> None:
    turns = (Message("user", "hi"), Message("assistant", "ho"), Message("user", "hm"))
    records = [PromptRecord(id="c", prompt=turns), Demonstration(id="d", prompt="q", completion="the answer")]
    chat, plain = sample_completions(SmallPolicy(), records, SamplingSpec(max_new_tokens=2), seed=0)  # type: ignore[arg-type]
    assert chat.prompt == "user: hi\nassistant: ho\nuser: hm"
    assert chat.conversation == turns
    assert (plain.prompt, plain.turns, plain.conversation) == ("q", None, "q")


def test_equal_record_ids_are_refused() -> None:
    records = [PromptRecord(id="same", prompt="a"), PromptRecord(id="same", prompt="b")]
    with pytest.raises(RLHFError, match="'same' occurs twice"):
        sample_completions(SmallPolicy(), records, SamplingSpec(max_new_tokens=2), seed=0)  # type: ignore[arg-type]
