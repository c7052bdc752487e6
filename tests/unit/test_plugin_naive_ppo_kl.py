"""The KL of PPO: what is reported of it under which name, and the three ways to control it."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from policy_parts import naive_logits
from ppo_parts import PROMPTS, new_trainer
from trainer_parts import ByText, collect, context_of

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.rows import Row
from rlhf_core.contract.trainer import Next
from rlhf_core.math.averages import reported
from rlhf_core.store.rows import load_rows, save_rows
from rlhf_core.training.batching import count
from rlhf_plugins.naive_ppo.options import PPOOptions
from rlhf_plugins.naive_ppo.trainer import PPORow


def written(trainer, rows):
    return reported({name: float(x) for name, x in trainer.batch_metrics(rows, count(rows)).items()})


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_kl_in_the_reward_is_named_apart_from_the_estimates(estimator):
    trainer = new_trainer(kl_estimator=estimator, n=2)
    rows = collect(trainer, PROMPTS)
    found = written(trainer, rows)
    ratios = [
        [a - b for a, b in zip(p.tolist(), q.tolist(), strict=True)]
        for row in rows
        for p, q in zip(row.logprobs, row.ref_logprobs, strict=True)
    ]
    by_hand = {
        "kl_k1": [sum(r) for r in ratios],
        "kl_k2": [sum(x * x / 2 for x in r) for r in ratios],
        "kl_k3": [sum(math.exp(-x) - 1 + x for x in r) for r in ratios],
    }
    by_hand["kl_in_reward"] = by_hand[f"kl_{estimator}"]
    for name, numbers in by_hand.items():
        per_prompt = [(a + b) / 2 for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
        assert found[name] == pytest.approx(statistics.fmean(per_prompt), rel=1e-4)
        assert found[f"{name}_se"] == pytest.approx(statistics.stdev(per_prompt) / 2, rel=1e-3)
    assert found["kl_k1"] != pytest.approx(found["kl_k3"], rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_exact_kl_is_of_the_distributions_that_were_sampled_from(temperature):
    trainer = new_trainer(exact_kl_positions=None, temperature=temperature)
    rows = collect(trainer, PROMPTS)
    total = 0.0
    for row in rows:
        tables = []
        for role in ("policy", "reference"):
            with trainer.policy.roles.acting(role) as model, torch.no_grad():
                tables.append((naive_logits(model, row.prompt, row.completions[0]) / temperature).log_softmax(-1))
        total += (tables[0].exp() * (tables[0] - tables[1])).sum().item()
    assert written(trainer, rows)["kl_exact"] == pytest.approx(total / len(rows), rel=1e-4)


def test_k1_k3_and_the_exact_kl_agree_within_their_errors_on_many_rollouts():
    """All three estimate one number; a sampler that draws from another distribution than is scored parts them."""
    trainer = new_trainer(moved=0.1, exact_kl_positions=4)
    prompts = [Row(record_id=f"{row.record_id}{i}", prompt=row.prompt) for row in PROMPTS for i in range(60)]
    found = trainer_on(trainer, prompts)
    for name in ("kl_k1", "kl_k3"):
        error = math.hypot(found[f"{name}_se"], found["kl_exact_se"])
        assert abs(found[name] - found["kl_exact"]) < 4 * error
    assert found["kl_k1_se"] < 0.2 * found["kl_k1"]


def trainer_on(trainer, prompts):
    trainer.context = context_of(trainer.policy, prompts, reward=ByText())
    return written(trainer, collect(trainer, prompts))


def test_without_positions_there_is_no_exact_kl(tmp_path):
    trainer = new_trainer(exact_kl_positions=0)
    rows = collect(trainer, PROMPTS)
    assert "kl_exact" not in written(trainer, rows)
    save_rows(tmp_path, rows)
    assert len(load_rows(tmp_path, PPORow)) == len(rows)


# --- control


@pytest.mark.parametrize(
    ("kl", "factor"), [(6.0, 1.0), (6.6, 1 + 0.1 * 0.04), (60.0, 1 + 0.2 * 0.04), (0.0, 1 - 0.2 * 0.04)]
)
def test_the_kl_coefficient_moves_as_published(kl, factor):
    """Ziegler et al. 2019, sec. 2.2: e = clip(KL / target − 1, ±0.2), β ← β (1 + K e); K = samples / horizon here."""
    trainer = new_trainer(kl_target=6.0, kl_horizon=1000, kl_coef=0.2, moved=0.0)
    trainer.after_batch({"score": 0.0, "_completion_score_square": 1.0, "kl_k1": kl, "_completions": 40.0})
    assert trainer.kl_coef == pytest.approx(0.2 * factor)


def test_without_a_target_the_coefficient_stays():
    trainer = new_trainer(kl_coef=0.2, moved=0.0)
    trainer.after_batch({"score": 0.0, "_completion_score_square": 1.0, "kl_k1": 50.0, "_completions": 40.0})
    assert trainer.kl_coef == 0.2


def test_adaptive_control_holds_the_target_where_the_kl_falls_as_the_coefficient_rises():
    """A policy whose KL answers the coefficient at once, KL = 1 / coefficient: the target 4 is held by 0.25."""
    trainer = new_trainer(kl_target=4.0, kl_horizon=1000, kl_coef=2.0, moved=0.0)
    for _ in range(300):
        kl = 1.0 / trainer.kl_coef
        trainer.after_batch({"score": 0.0, "_completion_score_square": 1.0, "kl_k1": kl, "_completions": 64.0})
    assert trainer.kl_coef == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("horizon", [12, 1])
def test_a_horizon_that_would_turn_the_coefficient_negative_is_refused(horizon):
    trainer = new_trainer(kl_target=4.0, kl_horizon=horizon, moved=0.0)
    with pytest.raises(RLHFError, match=r"kl_horizon = \d+ with 64 completions a batch could turn kl_coef negative"):
        trainer.after_batch({"score": 0.0, "_completion_score_square": 1.0, "kl_k1": 0.0, "_completions": 64.0})
    assert trainer.kl_coef == PPOOptions().kl_coef


def test_adaptive_control_that_could_never_move_is_refused():
    with pytest.raises(ValueError, match="from kl_coef = 0 it never would"):
        PPOOptions(kl_target=4.0, kl_coef=0.0)


def test_the_coefficient_weighs_the_kl_in_every_reward():
    """Fixed control: with λ = γ = 1 the first return is the score less the coefficient times the KL in the reward."""
    for coef in (0.0, 0.2, 0.4):
        trainer = new_trainer(kl_coef=coef, gae_lambda=1.0, reward=ByText(lambda _: 1.0))
        for row in collect(trainer, PROMPTS):
            kl = (row.logprobs[0] - row.ref_logprobs[0]).sum().item()
            assert row.returns[0][0].item() == pytest.approx(1.0 - coef * kl, abs=1e-4)


def test_a_batch_is_left_once_the_policy_has_moved_far_enough():
    trainer = new_trainer(step_kl_limit=0.02, moved=0.0)
    assert trainer.after_step({"step_kl": 0.019}) is Next.CONTINUE
    assert trainer.after_step({"step_kl": 0.021}) is Next.NEXT_BATCH
    assert new_trainer(moved=0.0).after_step({"step_kl": 9.9}) is Next.CONTINUE
