"""The walk from scores to advantages on numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_core.math.advantages import center_and_scale, estimate_advantages, mean_and_std, moments, scale
from rlhf_core.math.rewards import per_token_rewards

LOGPROBS = torch.tensor([[-1.0, -2.0, -0.5, -1.5]], dtype=torch.float64)
REFERENCE = torch.tensor([[-1.2, -1.5, -0.5, -1.6]], dtype=torch.float64)
VALUES = torch.tensor([[0.5, 0.4, 0.3, 0.2]], dtype=torch.float64)
MASK = torch.ones(1, 4, dtype=torch.bool)
REWARDS = [-0.02, 0.05, 0.0, 0.99]
ADVANTAGES = [0.419576250, 0.567975, 0.6505, 0.79]


def walk(
    logprobs: torch.Tensor, reference: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    rewards = per_token_rewards(torch.ones(len(mask), dtype=torch.float64), logprobs, reference, mask, kl_coef=0.1)
    return rewards, *estimate_advantages(rewards, values, mask, gamma=1.0, gae_lambda=0.95)


def test_golden_rewards_and_advantages() -> None:
    rewards, advantages, returns = walk(LOGPROBS, REFERENCE, VALUES, MASK)
    torch.testing.assert_close(rewards[0], torch.tensor(REWARDS, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(advantages[0], torch.tensor(ADVANTAGES, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(returns, advantages + VALUES, atol=1e-12, rtol=0)


def test_k3_penalty_by_hand() -> None:
    # Token 1: log q/p = -0.2, so k3 = e^-0.2 - 1 + 0.2 = 0.018730753; the penalty is a tenth of it.
    rewards = per_token_rewards(
        torch.tensor([1.0], dtype=torch.float64), LOGPROBS, REFERENCE, MASK, kl_coef=0.1, estimator="k3"
    )
    assert rewards[0, 0].item() == pytest.approx(-0.0018730753, abs=1e-9)
    assert rewards[0, 2].item() == 0.0


@pytest.mark.parametrize("junk", [1e9, float("nan"), float("inf")])
def test_a_pad_column_of_junk_changes_nothing(junk: float) -> None:
    pad = torch.full((1, 1), junk, dtype=torch.float64)
    padded = [torch.cat([tensor, pad], 1) for tensor in (LOGPROBS, REFERENCE, VALUES)]
    mask = torch.cat([MASK, torch.zeros(1, 1, dtype=torch.bool)], 1)
    for with_pad, without in zip(walk(*padded, mask), walk(LOGPROBS, REFERENCE, VALUES, MASK), strict=True):
        assert torch.equal(with_pad[:, :4], without)
        assert with_pad[0, 4].item() == 0.0


def test_rewards_carry_no_gradient() -> None:
    logprobs = LOGPROBS.clone().requires_grad_()
    rewards = per_token_rewards(torch.ones(1, dtype=torch.float64), logprobs, REFERENCE, MASK, kl_coef=0.1)
    assert not rewards.requires_grad


tokens = st.lists(st.floats(-3, 3), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(rewards=tokens, gamma=st.floats(0, 1), seed=st.integers(0, 99))
def test_lambda_one_is_discounted_return_minus_value(rewards: list[float], gamma: float, seed: int) -> None:
    values = torch.randn(1, len(rewards), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mask = torch.ones(1, len(rewards), dtype=torch.bool)
    advantages, _ = estimate_advantages(
        torch.tensor([rewards], dtype=torch.float64), values, mask, gamma=gamma, gae_lambda=1.0
    )
    for t in range(len(rewards)):
        discounted = sum(gamma ** (k - t) * rewards[k] for k in range(t, len(rewards)))
        assert advantages[0, t].item() == pytest.approx(discounted - values[0, t].item(), abs=1e-9)


def test_moments_add_over_ranks() -> None:
    first, second = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([5.0])
    mean, std = mean_and_std(moments(first) + moments(second))
    assert mean == 3.0
    assert std == pytest.approx(2.5**0.5)
    assert center_and_scale(torch.tensor([3.0]), mean, std).item() == 0.0
    assert scale(torch.tensor([3.0]), 1.5).item() == pytest.approx(2.0)


def test_advantages_are_whitened_by_the_moments_of_real_tokens_and_the_mean_is_not_put_back() -> None:
    values = torch.tensor([[1.0, 2.0, 99.0], [6.0, 99.0, 99.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    white = center_and_scale(values, *mean_and_std(moments(values[mask])))
    # Mean 3, variance ((−2)² + (−1)² + 3²) / 3 = 14/3.
    assert white[mask].tolist() == pytest.approx([x / (14 / 3) ** 0.5 for x in (-2.0, -1.0, 3.0)], abs=1e-6)
    assert white[mask].mean().item() == pytest.approx(0.0, abs=1e-7)
    spoilt = center_and_scale(values, *mean_and_std(moments(values)))
    assert spoilt[mask].max() < -0.9, "with the pads in the moments every real advantage would be negative"
