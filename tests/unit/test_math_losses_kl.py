"""Losses and KL against hand-computed values and laws, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_core.contract.errors import ShapeError
from rlhf_core.math.importance import truncated_importance
from rlhf_core.math.kl import adapt_kl_coef, exact_kl, k1, k2, k3
from rlhf_core.math.logprobs import entropy, sequence_logprobs, token_logprobs
from rlhf_core.math.losses import (
    bradley_terry_loss,
    centering_loss,
    classification_loss,
    clipped_policy_loss,
    clipped_value_loss,
    dpo_loss,
)

logprob = st.floats(-20, 0)


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_dpo_by_hand() -> None:
    # margin = 0.1 ((-1 - -3) - (-2 - -2)) = 0.2; -ln sigma(0.2) = ln(1 + e^-0.2)
    assert dpo_loss(t(-1), t(-3), t(-2), t(-2), beta=0.1).item() == pytest.approx(math.log1p(math.exp(-0.2)), abs=1e-12)


def test_dpo_label_smoothing_by_hand_and_it_acts() -> None:
    smooth = dpo_loss(t(-1), t(-3), t(-2), t(-2), beta=0.1, label_smoothing=0.25).item()
    assert smooth == pytest.approx(0.75 * math.log1p(math.exp(-0.2)) + 0.25 * math.log1p(math.exp(0.2)), abs=1e-12)
    # With smoothing the loss is bounded below: past the best margin it rises again.
    far = dpo_loss(t(0), t(-300), t(0), t(0), beta=0.1, label_smoothing=0.25).item()
    assert far > smooth


@settings(max_examples=50, deadline=None)
@given(chosen=logprob, rejected=logprob, beta=st.floats(0.01, 2))
def test_dpo_of_policy_equal_to_reference_is_ln_2(chosen: float, rejected: float, beta: float) -> None:
    loss = dpo_loss(t(chosen), t(rejected), t(chosen), t(rejected), beta=beta).item()
    assert loss == pytest.approx(math.log(2), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(a=logprob, b=logprob, c=logprob, d=logprob)
def test_dpo_swap_identity(a: float, b: float, c: float, d: float) -> None:
    """exp(-loss) is the probability of the preference: it and its swap add up to one."""
    loss, swapped = dpo_loss(t(a), t(b), t(c), t(d), beta=0.3), dpo_loss(t(b), t(a), t(d), t(c), beta=0.3)
    assert (loss.neg().exp() + swapped.neg().exp()).item() == pytest.approx(1.0, abs=1e-12)


def test_bradley_terry_with_margin_and_centring_by_hand() -> None:
    assert bradley_terry_loss(t(1.5), t(0.5), t(0.25)).item() == pytest.approx(math.log1p(math.exp(-0.75)), abs=1e-12)
    assert bradley_terry_loss(t(-800), t(800)).item() == 1600.0  # log(sigmoid) would be inf
    assert centering_loss(t(1.5), t(0.5)).item() == 4.0


@pytest.mark.parametrize("margin", [-1000.0, 1000.0])
def test_losses_of_pairs_far_apart_are_finite_and_pull_where_they_must(margin: float) -> None:
    """log(sigmoid(x)) is −inf at −1000 and its gradient NaN; the true values are those of a straight line and of 0."""
    one, zero = torch.tensor([margin], requires_grad=True), torch.zeros(1)
    for loss in (
        bradley_terry_loss(one, zero),
        dpo_loss(one, zero, zero, zero, beta=1.0),
        classification_loss(one, torch.ones(1)),
    ):
        (slope,) = torch.autograd.grad(loss.sum(), one)
        assert loss.item() == max(-margin, 0.0)
        assert slope.item() == (-1.0 if margin < 0 else 0.0)


def test_classification_by_hand() -> None:
    losses = classification_loss(t(2, 2), t(1, 0))
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-2)), math.log1p(math.exp(2))], abs=1e-12)


def test_clipped_policy_loss_takes_the_worse_and_stops_gradients_where_it_clips() -> None:
    logprobs = t(math.log(1.5), math.log(1.5), math.log(0.5), math.log(0.5)).requires_grad_()
    advantages = t(1, -1, 1, -1)
    losses = clipped_policy_loss(logprobs, torch.zeros_like(logprobs), advantages, clip_range=0.2)
    assert losses.tolist() == pytest.approx([-1.2, 1.5, -0.5, 0.8])
    losses.sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([0.0, 1.5, -0.5, 0.0])


def test_clipped_value_loss_by_hand() -> None:
    # Returns are 2. v = 1 from 0.5 is clipped to 0.7: the worse error is 1.3. v = 3 from 2.5, to 2.7: the worse is 1.
    losses = clipped_value_loss(t(1, 3), t(0.5, 2.5), t(2, 2), clip_range=0.2)
    assert losses.tolist() == pytest.approx([0.5 * 1.3**2, 0.5])


def test_kl_estimators_by_hand() -> None:
    p, q = t(math.log(0.5)), t(math.log(0.25))
    assert k1(p, q).item() == pytest.approx(math.log(2))
    assert k2(p, q).item() == pytest.approx(0.5 * math.log(2) ** 2)
    assert k3(p, q).item() == pytest.approx(0.5 - 1 + math.log(2))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_k1_and_k3_average_to_the_exact_kl_and_exact_is_not_negative(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, ref_logits = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    exact = exact_kl(logits, ref_logits).item()
    p = logits.softmax(-1)
    logprobs, ref_logprobs = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    assert exact >= -1e-12
    # The expectation over p, summed exactly over the vocabulary.
    assert (p * k1(logprobs, ref_logprobs)).sum().item() == pytest.approx(exact, abs=1e-10)
    assert (p * k3(logprobs, ref_logprobs)).sum().item() == pytest.approx(exact, abs=1e-10)
    assert bool((k3(logprobs, ref_logprobs) >= 0).all())


def test_adaptive_coefficient_moves_towards_the_target_and_is_clipped() -> None:
    assert adapt_kl_coef(0.2, 12.0, target=6.0, horizon=10_000, samples=64) == pytest.approx(
        0.2 * (1 + 0.2 * 64 / 10_000)
    )
    assert adapt_kl_coef(0.2, 5.7, target=6.0, horizon=1000, samples=100) == pytest.approx(0.2 * (1 - 0.05 * 0.1))
    assert adapt_kl_coef(0.2, 6.0, target=6.0, horizon=1000, samples=100) == 0.2


def test_logprobs_and_entropy_by_hand() -> None:
    logits = torch.log(t(0.5, 0.25, 0.25))[None]
    assert token_logprobs(logits, torch.tensor([1])).item() == pytest.approx(math.log(0.25))
    assert entropy(logits).item() == pytest.approx(1.5 * math.log(2))
    assert token_logprobs(logits + 100.0, torch.tensor([1])).item() == pytest.approx(math.log(0.25))
    mask = torch.tensor([[True, True, False]])
    assert sequence_logprobs(torch.tensor([[-1.0, -2.0, float("nan")]]), mask).tolist() == [-3.0]


def test_importance_weights_by_hand_cut_above_and_without_gradient() -> None:
    logprobs = torch.tensor([0.5, 0.2, 0.9, 0.3]).log().requires_grad_()
    sampled = torch.tensor([0.5, 0.4, 0.3, 0.25]).log()
    weights = truncated_importance(logprobs, sampled, cap=2.0)
    assert weights.tolist() == pytest.approx([1.0, 0.5, 2.0, 1.2], abs=1e-6)
    assert not weights.requires_grad
    with pytest.raises(ShapeError, match="sampled_logprobs"):
        truncated_importance(logprobs, sampled[:2], cap=2.0)
