"""One PPO sample from its record to its loss, each number worked out by hand: the walk of docs/architecture.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.reward import Completion, Reward
from rlhf_core.contract.rows import Rollout
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.math.advantages import estimate_advantages
from rlhf_core.math.losses import clipped_policy_loss, clipped_value_loss
from rlhf_core.math.masking import masked_mean, pad
from rlhf_core.math.rewards import per_token_rewards
from rlhf_core.testing import byte_tokenizer
from rlhf_core.training.context import as_completions
from rlhf_core.training.scoring import CheckedScores

RECORD = PromptRecord(id="prompts.jsonl:1", prompt="say abc", fields={"wanted": "abc"})
OLD_LOGPROBS = torch.tensor([-1.0, -2.0, -0.5, -1.5])
REF_LOGPROBS = torch.tensor([[-1.2, -1.5, -0.5, -1.6]])
VALUES = torch.tensor([[0.5, 0.4, 0.3, 0.2]])
# score 1 on the last token, minus 0.1 (logprob − ref_logprob) on each: −.1·.2, +.1·.5, 0, 1 − .1·.1
REWARDS = [-0.02, 0.05, 0.0, 0.99]
# From the end, with γ = 1 and λ = .95: .99 − .2; (0 + .2 − .3) + .95·.79; (.05 + .3 − .4) + .95·.6505; …
ADVANTAGES = [0.41957625, 0.567975, 0.6505, 0.79]


class AsWanted(Reward):
    """1 for the text that the record asks for."""

    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [float(completion.text == completion.record["wanted"]) for completion in completions]


@pytest.fixture
def codec() -> TextCodec:
    template = TemplateOptions(prompt="{prompt}\n", completion="{completion}")
    return TextCodec(byte_tokenizer(), template, context_length=32)


@pytest.fixture
def rollout(codec: TextCodec) -> Rollout:
    """The sampled tokens: the three bytes of "abc", and EOS."""
    row = codec.encode(RECORD)
    completion = (*codec.encode_text("abc"), codec.eos)
    return Rollout(
        record_id=row.record_id, prompt=row.prompt, completions=(completion,), logprobs=(OLD_LOGPROBS,),
        finished=(True,),
    )  # fmt: skip


def advantages_of(rewards: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.nn.functional.pad(VALUES, (0, mask.shape[1] - 4), value=float("nan"))
    return estimate_advantages(rewards, values, mask, gamma=1.0, gae_lambda=0.95)


def rewards_of(score: float, rollout: Rollout) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.ones(1, 4, dtype=torch.bool)
    logprobs = pad(rollout.logprobs)
    return per_token_rewards(torch.tensor([score]), logprobs, REF_LOGPROBS, mask, kl_coef=0.1), mask


def test_the_record_becomes_eight_prompt_tokens_and_the_completion_four(codec: TextCodec, rollout: Rollout) -> None:
    assert len(rollout.prompt) == len("say abc\n")
    assert len(rollout.completions[0]) == 4
    assert rollout.cost == 12
    assert codec.decode(rollout.prompt) == "say abc"


def test_the_reward_sees_the_text_without_eos_and_the_records_columns(codec: TextCodec, rollout: Rollout) -> None:
    completions = as_completions([rollout], {RECORD.id: RECORD}, codec)
    assert [(c.prompt, c.text, c.group, c.finished) for c in completions] == [("say abc", "abc", RECORD.id, True)]
    score = CheckedScores(AsWanted(), lambda rows: as_completions(rows, {RECORD.id: RECORD}, codec))
    assert score([rollout]).total == [1.0]


def test_the_score_becomes_rewards_and_advantages(rollout: Rollout) -> None:
    rewards, mask = rewards_of(1.0, rollout)
    assert rewards[0].tolist() == pytest.approx(REWARDS, abs=1e-6)
    advantages, returns = advantages_of(rewards, mask)
    assert advantages[0].tolist() == pytest.approx(ADVANTAGES, abs=1e-6)
    assert returns[0].tolist() == pytest.approx([0.91957625, 0.967975, 0.9505, 0.99], abs=1e-6)


def test_a_longer_neighbour_in_the_batch_changes_nothing() -> None:
    junk = torch.full((1, 2), float("nan"))
    mask = torch.tensor([[True] * 4 + [False] * 2])
    logprobs, reference = (torch.cat([x, junk], 1) for x in (OLD_LOGPROBS[None], REF_LOGPROBS))
    rewards = per_token_rewards(torch.tensor([1.0]), logprobs, reference, mask, kl_coef=0.1)
    advantages, _ = advantages_of(rewards, mask)
    assert advantages[0].tolist() == pytest.approx([*ADVANTAGES, 0.0, 0.0], abs=1e-6)


def test_the_first_loss_is_minus_the_mean_advantage_and_half_its_mean_square(rollout: Rollout) -> None:
    rewards, mask = rewards_of(1.0, rollout)
    advantages, returns = advantages_of(rewards, mask)
    policy_loss = clipped_policy_loss(OLD_LOGPROBS[None], OLD_LOGPROBS[None], advantages, clip_range=0.2)
    value_loss = clipped_value_loss(VALUES, VALUES, returns, clip_range=0.2)
    # (.41957625 + .567975 + .6505 + .79) / 4, and (.176044 + .322596 + .423150 + .6241) / 8
    assert float(masked_mean(policy_loss, mask)) == pytest.approx(-0.60701281, abs=1e-6)
    assert float(masked_mean(value_loss, mask)) == pytest.approx(0.19323626, abs=1e-6)


def test_after_a_step_clipping_stops_the_gain_and_never_the_loss(rollout: Rollout) -> None:
    rewards, mask = rewards_of(1.0, rollout)
    advantages, _ = advantages_of(rewards, mask)
    now = OLD_LOGPROBS + torch.tensor([-0.3, 0.0, 0.0, 0.3])
    losses = clipped_policy_loss(now[None], OLD_LOGPROBS[None], advantages, clip_range=0.2)[0].tolist()
    assert losses[0] == pytest.approx(-0.41957625 * math.exp(-0.3), abs=1e-6)
    assert losses[3] == pytest.approx(-0.79 * 1.2, abs=1e-6)
