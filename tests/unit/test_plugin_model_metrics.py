"""Perplexity, KL and reward-model score against sums taken position by position over the model's own distributions."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
import torch
from evaluation_standins import EOS, CharacterCodec, SmallPolicy, build, lend

from rlhf_core.contract.evaluator import EvalContext
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row
from rlhf_core.evaluation.running import sample_completions


@pytest.fixture(scope="module")
def policy() -> Any:
    return SmallPolicy(0, reference=SmallPolicy(1))


def distributions(
    policy: SmallPolicy, prompt: str, tokens: tuple[int, ...], role: str, temperature: float = 1.0
) -> torch.Tensor:
    row = Row(record_id="r", prompt=CharacterCodec().encode_prompt(prompt))
    with torch.no_grad():
        return (policy.logits(row, tokens, role).double() / temperature).softmax(-1)


def test_perplexity_is_exp_of_the_mean_surprise_of_the_text_without_eos(policy: Any) -> None:
    texts = ["pun", "", "a pun"]
    evaluator = build("model_metrics", "evaluator", "perplexity", batch_tokens=12)
    found = evaluator.evaluate(
        [Completion(prompt="q", text=text) for text in texts], EvalContext(lend=lend(), policy=policy)
    )
    surprise = []
    for text in texts:
        tokens = tuple(CharacterCodec.characters(text))
        p = distributions(policy, "q", tokens, "reference") if tokens else torch.zeros(0, 1)
        surprise.append(sum(-math.log(p[i, token]) for i, token in enumerate(tokens)))
    assert found.scores["nats-per-token"] == [
        pytest.approx(surprise[0] / 3, rel=1e-5), None, pytest.approx(surprise[2] / 5, rel=1e-5),
    ]  # fmt: skip
    assert found.corpus["perplexity"] == pytest.approx(math.exp(sum(surprise) / 8), rel=1e-5)
    assert found.recompute is not None
    assert found.recompute([0])["perplexity"] == pytest.approx(math.exp(surprise[0] / 3), rel=1e-5)
    assert found.recompute([1]) == {}


def test_perplexity_can_be_taken_under_another_model(policy: Any) -> None:
    opened: list[str] = []

    def open_policy(path: str) -> Any:
        opened.append(path)
        return policy

    evaluator = build("model_metrics", "evaluator", "perplexity", model="runs/other")
    assert evaluator.needs == frozenset()
    found = evaluator.evaluate([Completion(prompt="q", text="pun")], EvalContext(lend=lend(open_policy=open_policy)))
    tokens = tuple(CharacterCodec.characters("pun"))
    p = distributions(policy, "q", tokens, "policy")
    expected = sum(-math.log(p[i, token]) for i, token in enumerate(tokens)) / 3
    assert opened == ["runs/other"]
    assert found.scores["nats-per-token"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("temperature", [1.0, 0.8])
def test_kl_is_that_of_the_two_distributions_at_each_sampled_token(policy: Any, temperature: float) -> None:
    records = [PromptRecord(id=str(i), prompt="ab"[:i]) for i in range(3)]
    completions = sample_completions(policy, records, SamplingSpec(max_new_tokens=6, n=2), seed=0)
    completions.append(Completion(prompt="q", text="", tokens=(), finished=False))
    found = build("model_metrics", "evaluator", "kl", batch_tokens=20, temperature=temperature).evaluate(
        completions, EvalContext(lend=lend(), policy=policy)
    )
    for index, completion in enumerate(completions[:-1]):
        tokens = completion.tokens or ()
        p = distributions(policy, completion.prompt, tokens, "policy", temperature)
        q = distributions(policy, completion.prompt, tokens, "reference", temperature)
        ratios = [float(p[i, token] / q[i, token]) for i, token in enumerate(tokens)]
        exact = float((p * (p / q).log()).sum())
        assert found.scores["k1"][index] == pytest.approx(sum(map(math.log, ratios)), rel=1e-4, abs=1e-4)
        assert found.scores["k3"][index] == pytest.approx(sum(1 / r - 1 + math.log(r) for r in ratios), rel=1e-3)
        assert found.scores["k2"][index] == pytest.approx(sum(math.log(r) ** 2 / 2 for r in ratios), rel=1e-3)
        assert found.scores["exact"][index] == pytest.approx(exact, rel=1e-4)
        gap = sum(map(math.log, ratios)) - exact
        assert found.scores["k1-minus-exact"][index] == pytest.approx(gap, rel=1e-3, abs=1e-4)
        assert found.scores["exact-per-token"][index] == pytest.approx(exact / len(tokens), rel=1e-4)
        assert found.scores["entropy"][index] == pytest.approx(float(-(p * p.log()).sum()) / len(tokens), rel=1e-4)
    assert {name: scores[-1] for name, scores in found.scores.items()} == dict.fromkeys(found.scores)


@pytest.mark.parametrize(("sampled_at", "agrees"), [(1.0, True), (0.5, False)])
def test_k1_parts_from_the_exact_kl_where_sampling_was_from_another_distribution(
    policy: Any, sampled_at: float, agrees: bool
) -> None:
    """The commonest cause of a negative KL: sampled at one temperature, scored at another."""
    records = [PromptRecord(id=str(i), prompt=chr(34 + i)) for i in range(60)]
    completions = sample_completions(policy, records, SamplingSpec(max_new_tokens=5, temperature=sampled_at), seed=0)
    found = build("model_metrics", "evaluator", "kl").evaluate(completions, EvalContext(lend=lend(), policy=policy))
    gaps = [gap for gap in found.scores["k1-minus-exact"] if gap is not None]
    error = statistics.stdev(gaps) / len(gaps) ** 0.5
    assert (abs(statistics.fmean(gaps)) < 3 * error) == agrees


def test_kl_of_a_policy_to_itself_is_zero() -> None:
    same = SmallPolicy(0)
    completions = [Completion(prompt="q", text="pun", tokens=(*CharacterCodec.characters("pun"), EOS))]
    found = build("model_metrics", "evaluator", "kl").evaluate(
        completions,
        EvalContext(lend=lend(), policy=same),  # type: ignore[arg-type]
    )
    for name in ("k1", "k3", "exact"):
        assert found.scores[name] == [pytest.approx(0.0, abs=1e-5)]


def test_kl_takes_the_sampled_tokens_and_not_the_text_encoded_anew(policy: Any) -> None:
    """The text of tokens with white space outside is stripped: encoded anew it would be another completion."""
    tokens = (0, *CharacterCodec.characters("x"), 0)
    evaluator, context = build("model_metrics", "evaluator", "kl"), EvalContext(lend=lend(), policy=policy)
    sampled = evaluator.evaluate([Completion(prompt="q", text="x", tokens=tokens, finished=False)], context)
    anew = evaluator.evaluate([Completion(prompt="q", text="x", finished=False)], context)
    assert sampled.scores["exact"][0] == pytest.approx(3 * sampled.scores["exact-per-token"][0])
    assert anew.scores["exact"][0] == pytest.approx(1 * anew.scores["exact-per-token"][0])


def test_the_reward_models_score_is_its_head_at_the_last_token(policy: Any) -> None:
    evaluator = build("model_metrics", "evaluator", "reward-model", run="runs/reward", batch_tokens=8)
    completions = [Completion(prompt="q", text="pun"), Completion(prompt="q", text="a bad pun", finished=False)]
    found = evaluator.evaluate(completions, EvalContext(lend=lend(open_policy=lambda _: policy)))
    row = Row(record_id="r", prompt=CharacterCodec().encode_prompt("q"))
    with torch.no_grad():
        ended = policy.hidden(row, (*CharacterCodec.characters("pun"), EOS), "reward")[-1, 0]
        cut = policy.hidden(row, tuple(CharacterCodec.characters("a bad pun")), "reward")[-1, 0]
    assert found.scores["score"] == [pytest.approx(float(ended), rel=1e-5), pytest.approx(float(cut), rel=1e-5)]
    assert found.better == {"score": "higher"}
    assert "runs/reward" in found.notes[0]
