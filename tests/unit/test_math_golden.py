"""Published formulas in float64 to 1e-10 of a derivation by another way, in 40 digits (mpmath), and their laws.

No oracle here has the shape of the function it judges: losses are rebuilt from probabilities, GAE from n-step returns,
whitening from exact fractions, KL from sums over probabilities.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from rlhf_core.math.advantages import center_and_scale, estimate_advantages, mean_and_std, moments, scale
from rlhf_core.math.kl import adapt_kl_coef, exact_kl, k1, k2, k3, sequence_estimates
from rlhf_core.math.logprobs import entropy, mean_logprobs, sequence_logprobs, token_logprobs
from rlhf_core.math.losses import (
    bradley_terry_loss,
    centering_loss,
    clipped_policy_loss,
    clipped_value_loss,
    dpo_loss,
    hinge_dpo_loss,
    ipo_loss,
    robust_dpo_loss,
)
from rlhf_core.math.rewards import per_token_rewards

mp.dps = 40
TIGHT = 1e-10
SEEDS = range(5)
Four = tuple[float, float, float, float]


def close(expected: object) -> object:
    return pytest.approx(float(expected), rel=TIGHT, abs=TIGHT)  # type: ignore[arg-type]


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pairs(seed: int, count: int = 8) -> list[Four]:
    """Sequence logprobs: chosen, rejected, and the reference's."""
    draw = random.Random(seed)
    return [
        (draw.uniform(-40, 0), draw.uniform(-40, 0), draw.uniform(-40, 0), draw.uniform(-40, 0)) for _ in range(count)
    ]


def apply(loss: Callable[..., torch.Tensor], four: Sequence[Four], **options: float) -> list[float]:
    return loss(*(t(*column) for column in zip(*four, strict=True)), **options).tolist()


# --- losses on pairs


def preference(four: Four, beta: float) -> mpf:
    """p(chosen preferred) as a ratio of powers of likelihood ratios: Rafailov et al. 2023, eq. 6."""
    chosen, rejected, ref_chosen, ref_rejected = map(mpf, four)
    weights = [mp.exp(chosen - ref_chosen) ** mpf(beta), mp.exp(rejected - ref_rejected) ** mpf(beta)]
    return weights[0] / mp.fsum(weights)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("beta", [0.05, 0.1, 0.7])
def test_sigmoid_is_minus_the_log_of_the_preference(seed: int, beta: float) -> None:
    four = pairs(seed)
    assert apply(dpo_loss, four, beta=beta) == [close(-mp.log(preference(p, beta))) for p in four]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("smoothing", [0.1, 0.45])
def test_conservative_dpo_is_the_cross_entropy_to_the_smoothed_label(seed: int, smoothing: float) -> None:
    four, share = pairs(seed), mpf(smoothing)
    expected = []
    for pair in four:
        chosen, rejected, ref_chosen, ref_rejected = pair
        swapped = preference((rejected, chosen, ref_rejected, ref_chosen), 0.2)
        expected.append(close(-(1 - share) * mp.log(preference(pair, 0.2)) - share * mp.log(swapped)))
    assert apply(dpo_loss, four, beta=0.2, label_smoothing=smoothing) == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_the_mean_of_robust_dpo_over_flipped_labels_is_the_dpo_loss_of_the_true_ones(
    seed: int, smoothing: float
) -> None:
    four = pairs(seed)
    swapped = [(b, a, d, c) for a, b, c, d in four]
    as_given = apply(robust_dpo_loss, four, beta=0.2, label_smoothing=smoothing)
    flipped = apply(robust_dpo_loss, swapped, beta=0.2, label_smoothing=smoothing)
    for pair, one, other in zip(four, as_given, flipped, strict=True):
        assert (1 - smoothing) * one + smoothing * other == close(-mp.log(preference(pair, 0.2)))


def test_robust_dpo_by_hand() -> None:
    """Margin 2, β ½, ε ¼: (¾ ln(1 + e⁻¹) − ¼ ln(1 + e)) / ½."""
    expected = (mpf(3) / 4 * mp.log(1 + mp.exp(-1)) - mpf(1) / 4 * mp.log(1 + mp.e)) * 2
    assert apply(robust_dpo_loss, [(-1, -3, -2, -2)], beta=0.5, label_smoothing=0.25) == [close(expected)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_ipo_is_the_expanded_square(seed: int, beta: float) -> None:
    """h² − h/β + 1/4β², h the logarithm of a quotient of likelihoods (Azar et al. 2023, eq. 17)."""
    four, expected = pairs(seed), []
    for pair in four:
        likelihoods = [mp.exp(mpf(x)) for x in pair]
        h = mp.log(likelihoods[0] * likelihoods[3] / (likelihoods[1] * likelihoods[2]))
        expected.append(close(h**2 - h / mpf(beta) + 1 / (4 * mpf(beta) ** 2)))
    assert apply(ipo_loss, four, beta=beta) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_hinge_is_what_a_margin_lacks_to_one_over_beta(seed: int) -> None:
    four, beta = pairs(seed), Fraction(1, 16)
    expected = []
    for pair in four:
        a, b, c, d = map(Fraction, pair)
        lack = 1 / beta - ((a - c) - (b - d))
        expected.append(close(beta * lack if lack > 0 else Fraction(0)))
    found = apply(hinge_dpo_loss, four, beta=float(beta))
    assert found == expected
    assert 0.0 in found or seed, "the flat part is among the cases"


ON_PAIRS: dict[str, tuple[Callable[..., torch.Tensor], dict[str, float], float]] = {
    "sigmoid": (dpo_loss, {"beta": 0.3}, 0.3),
    "smoothed": (dpo_loss, {"beta": 0.3, "label_smoothing": 0.2}, 0.3 * 0.6),
    "robust": (robust_dpo_loss, {"beta": 0.3, "label_smoothing": 0.2}, 0.3 / 0.6),
    "ipo": (ipo_loss, {"beta": 0.3}, 2 / 0.3),
}
"""Loss, options, and by how much a swap of the labels raises it per nat of margin."""
logprob = st.floats(-30, 0)


@pytest.mark.parametrize("name", ON_PAIRS)
@settings(max_examples=30, deadline=None)
@given(four=st.tuples(logprob, logprob, logprob, logprob))
def test_swapping_chosen_and_rejected_raises_the_loss_in_proportion_to_the_margin(name: str, four: Four) -> None:
    loss, options, slope = ON_PAIRS[name]
    a, b, c, d = four
    (here,), (there,) = apply(loss, [four], **options), apply(loss, [(b, a, d, c)], **options)
    assert there - here == pytest.approx(slope * ((a - c) - (b - d)), abs=1e-9)


@pytest.mark.parametrize(
    ("loss", "options", "start"),
    [
        (dpo_loss, {"beta": 0.4}, mp.log(2)),
        (dpo_loss, {"beta": 0.4, "label_smoothing": 0.3}, mp.log(2)),
        (robust_dpo_loss, {"beta": 0.4, "label_smoothing": 0.3}, mp.log(2)),
        (ipo_loss, {"beta": 0.4}, mpf(25) / 16),
        (hinge_dpo_loss, {"beta": 0.4}, mpf(1)),
    ],
)
@settings(max_examples=20, deadline=None)
@given(chosen=logprob, rejected=logprob)
def test_a_policy_that_is_its_reference_has_the_start_value_of_the_loss(
    loss: Callable[..., torch.Tensor], options: dict[str, float], start: mpf, chosen: float, rejected: float
) -> None:
    assert apply(loss, [(chosen, rejected, chosen, rejected)], **options) == [close(start)]


@pytest.mark.parametrize("seed", SEEDS)
def test_bradley_terry_with_margin_is_the_chance_that_chosen_wins_after_paying_it(seed: int) -> None:
    draw = random.Random(seed)
    cases = [(draw.uniform(-5, 5), draw.uniform(-5, 5), draw.uniform(0, 3)) for _ in range(8)]
    expected = [
        close(-mp.log(mp.exp(mpf(a) - mpf(m)) / (mp.exp(mpf(a) - mpf(m)) + mp.exp(mpf(b))))) for a, b, m in cases
    ]
    chosen, rejected, margin = (t(*column) for column in zip(*cases, strict=True))
    assert bradley_terry_loss(chosen, rejected, margin).tolist() == expected
    squares = [close((Fraction(a) + Fraction(b)) ** 2) for a, b, _ in cases]
    assert centering_loss(chosen, rejected).tolist() == squares


# --- logprobs and KL


def distributions(seed: int, count: int = 6, vocabulary: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, count, vocabulary, generator=generator, dtype=torch.float64) * 3
    return logits[0], logits[1]


def probabilities(logits: Sequence[float]) -> list[mpf]:
    powers = [mp.exp(mpf(x)) for x in logits]
    return [power / mp.fsum(powers) for power in powers]


@pytest.mark.parametrize("seed", SEEDS)
def test_logprobs_entropy_exact_kl_and_estimators_from_probabilities(seed: int) -> None:
    logits, other = distributions(seed)
    tokens = torch.arange(len(logits)) % logits.shape[-1]
    p, q = ([probabilities(row) for row in table.tolist()] for table in (logits, other))
    own = token_logprobs(logits, tokens)
    reference = token_logprobs(other, tokens)
    chosen = [(p[i][int(token)], q[i][int(token)]) for i, token in enumerate(tokens)]
    assert own.tolist() == [close(mp.log(a)) for a, _ in chosen]
    assert entropy(logits).tolist() == [close(mp.fsum(x * mp.log(1 / x) for x in row)) for row in p]
    divergence = [
        mp.fsum(x * (mp.log(x) - mp.log(y)) for x, y in zip(a, b, strict=True)) for a, b in zip(p, q, strict=True)
    ]
    assert exact_kl(logits, other).tolist() == [close(value) for value in divergence]
    assert k1(own, reference).tolist() == [close(mp.log(a / b)) for a, b in chosen]
    assert k2(own, reference).tolist() == [close(mp.log(b / a) ** 2 / 2) for a, b in chosen]
    assert k3(own, reference).tolist() == [close((b - a) / a + mp.log(a / b)) for a, b in chosen]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_exact_kl_is_never_negative_zero_to_itself_and_blind_to_a_shift_of_logits(seed: int) -> None:
    logits, other = distributions(seed, count=3)
    kl = exact_kl(logits, other)
    assert bool((kl >= 0).all())
    assert torch.allclose(exact_kl(logits, logits + 7.0), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(exact_kl(logits + 3.0, other - 2.0), kl, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_kl_of_two_tokens_is_the_first_ones_and_the_mean_of_the_second_ones(seed: int) -> None:
    """The chain rule by which sums over tokens estimate the KL of whole completions, over all pairs of tokens."""
    logits, other = distributions(seed, count=5, vocabulary=4)
    first, second = (slice(0, 1), slice(1, 5))
    p, q = logits.softmax(-1), other.softmax(-1)
    joint_p, joint_q = (x[first].T * x[second] for x in (p, q))
    whole = (joint_p * (joint_p / joint_q).log()).sum()
    by_token = exact_kl(logits[first], other[first]) + (p[0] * exact_kl(logits[second], other[second])).sum()
    assert by_token.item() == close(whole)
    for name in ("kl_k1", "kl_k3"):
        own = torch.stack([p[0].log()[:, None].expand(4, 4), p[second].log()], -1).view(16, 2)
        reference = torch.stack([q[0].log()[:, None].expand(4, 4), q[second].log()], -1).view(16, 2)
        mean = (joint_p.flatten() * sequence_estimates(own, reference)[name]).sum()
        assert mean.item() == close(whole)


@pytest.mark.parametrize(("kl", "error"), [(9.0, "0.2"), (6.6, "0.1"), (5.7, "-0.05"), (-4.0, "-0.2")])
def test_the_adaptive_coefficient_in_exact_fractions(kl: float, error: str) -> None:
    expected = Fraction(1, 5) * (1 + Fraction(error) * 96 / 1000)
    assert adapt_kl_coef(0.2, kl, target=6.0, horizon=1000, samples=96) == close(expected)


def test_mean_logprobs_are_per_real_token() -> None:
    mask = torch.tensor([[True, True, True], [True, False, False]])
    logprobs = t(-1, -2, -4.5, -3, float("nan"), 9).view(2, 3)
    assert mean_logprobs(logprobs, mask).tolist() == [-2.5, -3.0]
    assert sequence_logprobs(logprobs, mask).tolist() == [-7.5, -3.0]


# --- PPO


def ragged(seed: int, rows: int = 4, width: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards, values and a mask of rows of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, width + 1, (rows, 1), generator=generator)
    return numbers[0], numbers[1], torch.arange(width) < lengths


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.8), (0.99, 0.0), (1.0, 1.0)])
def test_gae_is_the_weighted_mean_of_n_step_returns_less_the_value(seed: int, gamma: float, lam: float) -> None:
    """(1 − λ) Σ λⁿ⁻¹ G⁽ⁿ⁾ with the rest of the weight on the full return (Sutton and Barto, λ-return)."""
    rewards, values, mask = ragged(seed)
    advantages, returns = estimate_advantages(rewards, values, mask, gamma=gamma, gae_lambda=lam)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        r, v = ([mpf(x) for x in table[row, :length].tolist()] for table in (rewards, values))
        for t0 in range(length):
            steps = length - t0
            n_step = [
                mp.fsum(mpf(gamma) ** k * r[t0 + k] for k in range(n))
                + (mpf(gamma) ** n * v[t0 + n] if t0 + n < length else 0)
                for n in range(1, steps + 1)
            ]
            lam_ = mpf(lam)
            target = (
                mp.fsum((1 - lam_) * lam_**n * n_step[n] for n in range(steps - 1)) + lam_ ** (steps - 1) * n_step[-1]
            )
            assert returns[row, t0].item() == close(target)
            assert advantages[row, t0].item() == close(target - v[t0])


@pytest.mark.parametrize("seed", SEEDS)
def test_whitening_by_exact_fractions(seed: int) -> None:
    """Of real tokens alone: mean 0, and divided by the population's deviation plus 1e-8."""
    _, values, mask = ragged(seed)
    numbers = [Fraction(x) for x in values[mask].tolist()]
    mean = sum(numbers) / len(numbers)
    variance = sum((x - mean) ** 2 for x in numbers) / len(numbers)
    deviation = mp.sqrt(mpf(variance.numerator) / variance.denominator) + mpf("1e-8")
    found = mean_and_std(moments(values[mask]))
    centred = [close((mpf((x - mean).numerator) / (x - mean).denominator) / deviation) for x in numbers]
    assert center_and_scale(values[mask], *found).tolist() == centred
    assert scale(values[mask], found[1]).tolist() == [
        close(mpf(x.numerator) / x.denominator / deviation) for x in numbers
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_clipped_losses_case_by_case(seed: int) -> None:
    """The surrogate never gains from a ratio beyond the range, and always loses by one (Schulman et al. 2017)."""
    draw = random.Random(seed)
    cases = [(draw.uniform(-3, 0), draw.uniform(-3, 0), draw.uniform(-2, 2)) for _ in range(16)]
    new, old, advantages = (t(*column) for column in zip(*cases, strict=True))
    expected = []
    for a, b, advantage in cases:
        ratio = mp.exp(mpf(a)) / mp.exp(mpf(b))
        bounded = mp.mpf(min(ratio, mpf("1.2"))) if advantage >= 0 else mp.mpf(max(ratio, mpf("0.8")))
        expected.append(close(-bounded * mpf(advantage)))
    assert clipped_policy_loss(new, old, advantages, clip_range=0.2).tolist() == expected
    expected = []
    for value, before, target in cases:
        v, v_old, r = Fraction(value), Fraction(before), Fraction(target)
        near = min(max(v, v_old - Fraction(1, 4)), v_old + Fraction(1, 4))
        expected.append(close(max(abs(v - r), abs(near - r)) ** 2 / 2))
    assert clipped_value_loss(new, old, advantages, clip_range=0.25).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_at_ratio_one_the_policy_loss_and_its_slope_are_minus_the_advantage(seed: int) -> None:
    logprobs, advantages, _ = ragged(seed)
    now = logprobs.clone().requires_grad_()
    losses = clipped_policy_loss(now, logprobs, advantages, clip_range=0.2)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(losses, -advantages)
    assert torch.equal(now.grad, -advantages)  # type: ignore[arg-type]


# --- invariance


def rewards_and_advantages(
    logprobs: torch.Tensor, reference: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scores: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    rewards = per_token_rewards(scores, logprobs, reference, mask, kl_coef=0.3)
    return rewards, *estimate_advantages(rewards, values, mask, gamma=0.97, gae_lambda=0.9)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), junk=st.sampled_from([0.0, 1e9, float("nan"), float("-inf")]), cut=st.integers(1, 3)
)
def test_padding_order_and_batch_split_change_no_reward_and_no_advantage(seed: int, junk: float, cut: int) -> None:
    logprobs, values, mask = ragged(seed)
    reference, _, _ = ragged(seed + 1)
    scores = values[:, 0].clone()
    whole = rewards_and_advantages(logprobs, reference, values, mask, scores)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    shuffled = rewards_and_advantages(logprobs[order], reference[order], values[order], mask[order], scores[order])
    extra = torch.full((4, 2), junk, dtype=torch.float64)
    wide = [torch.cat([x.masked_fill(~mask, junk), extra], 1) for x in (logprobs, reference, values)]
    wider = torch.cat([mask, torch.zeros(4, 2, dtype=torch.bool)], 1)
    padded = rewards_and_advantages(*wide, wider, scores)
    parts = [
        rewards_and_advantages(logprobs[s], reference[s], values[s], mask[s], scores[s])
        for s in (slice(0, cut), slice(cut, 4))
    ]
    for index, found in enumerate(whole):
        assert torch.equal(shuffled[index], found[order])
        assert torch.equal(padded[index][:, :6], found)
        assert not padded[index][:, 6:].any()
        assert torch.equal(torch.cat([part[index] for part in parts]), found)


@pytest.mark.parametrize("name", [*ON_PAIRS, "hinge"])
def test_the_loss_of_a_pair_depends_on_no_other_pair(name: str) -> None:
    loss, options = (hinge_dpo_loss, {"beta": 0.3}) if name == "hinge" else ON_PAIRS[name][:2]
    four = pairs(3)
    alone = [apply(loss, [pair], **options)[0] for pair in four]
    assert apply(loss, four, **options) == alone
    assert apply(loss, four[::-1], **options) == alone[::-1]
