"""PPO against a straightforward implementation: plain forward passes, one completion at a time, loops over floats."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from policy_parts import EOS, LORA, naive_logprobs, stir
from ppo_parts import PROMPTS, new_trainer
from trainer_parts import ByText, assert_same, collect, context_of, gradients, llama_policy, new_policy

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Reward, Scores
from rlhf_core.store.rows import load_rows, save_rows
from rlhf_core.training.batching import count
from rlhf_plugins.naive_ppo.options import PPOOptions
from rlhf_plugins.naive_ppo.scores import ScoreNormaliser
from rlhf_plugins.naive_ppo.trainer import PPO, PPORow


def plain_values(trainer, rows):
    """Per completion ``[tokens]``: the head on the hidden state from which each token is predicted."""
    weight, bias = trainer.groups["value"][-2:]
    found = []
    with trainer.policy.roles.acting(trainer.value_role) as model:
        for row in rows:
            for completion in row.completions:
                ids = torch.tensor([row.prompt + completion])
                hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0]
                found.append(hidden[len(row.prompt) - 1 : -1] @ weight[0] + bias[0])
    return found


def plain_logprobs(trainer, rows, role):
    with trainer.policy.roles.acting(role) as model:
        temperature = trainer.context.sampling.temperature
        return [values for row in rows for values in naive_logprobs(model, row, temperature)]


def plain_advantages(trainer, rows):
    """(advantages, returns) per completion, as lists of floats."""
    o = trainer.options
    with torch.no_grad():
        logprobs = [x.tolist() for x in plain_logprobs(trainer, rows, "policy")]
        reference = [x.tolist() for x in plain_logprobs(trainer, rows, "reference")]
        values = [x.tolist() for x in plain_values(trainer, rows)]
    completions = [completion for row in rows for completion in row.completions]
    scores = [score for row in rows for score in row.scores.tolist()]
    mean, spread = moments(scores)
    advantages, returns = [], []
    for tokens, score, p, q, v in zip(completions, scores, logprobs, reference, values, strict=True):
        if o.score_normalisation == "scale":
            score = score / spread
        elif o.score_normalisation == "center-and-scale":
            score = (score - mean) / spread
        if o.score_clip is not None:
            score = max(-o.score_clip, min(o.score_clip, score))
        if tokens[-1] != EOS:
            score -= o.missing_eos_penalty
        rewards = [
            -o.kl_coef * ((a - b) if o.kl_estimator == "k1" else math.exp(b - a) - 1 - (b - a))
            for a, b in zip(p, q, strict=True)
        ]
        rewards[-1] += score
        found = [0.0] * len(tokens)
        for t in range(len(tokens)):  # the definition: discounted sum of all later deltas
            for later in range(t, len(tokens)):
                following = v[later + 1] if later + 1 < len(tokens) else 0.0
                delta = rewards[later] + o.gamma * following - v[later]
                found[t] += (o.gamma * o.gae_lambda) ** (later - t) * delta
        advantages.append(found)
        returns.append([a + b for a, b in zip(found, v, strict=True)])
    mean, spread = moments([a for found in advantages for a in found])
    return [[(a - mean) / spread for a in found] for found in advantages], returns


def moments(numbers):
    mean = sum(numbers) / len(numbers)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in numbers) / len(numbers))


def plain_loss(trainer, rows):
    """The loss, token by token."""
    o = trainer.options
    old = {
        name: [x for row in rows for x in getattr(row, name)]
        for name in ("logprobs", "values", "advantages", "returns")
    }
    logprobs, values = plain_logprobs(trainer, rows, "policy"), plain_values(trainer, rows)
    total, tokens = torch.zeros(()), 0
    for i in range(len(logprobs)):
        for t in range(len(logprobs[i])):
            ratio = torch.exp(logprobs[i][t] - old["logprobs"][i][t])
            advantage = old["advantages"][i][t]
            surrogate = torch.minimum(
                ratio * advantage, torch.clamp(ratio, 1 - o.clip_range, 1 + o.clip_range) * advantage
            )
            before, target, value = old["values"][i][t], old["returns"][i][t], values[i][t]
            near = torch.clamp(value, before - o.value_clip_range, before + o.value_clip_range)
            total = total - surrogate
            total = total + o.value_coef * 0.5 * torch.maximum((value - target) ** 2, (near - target) ** 2)
            tokens += 1
    return total / tokens


def flat(rows, name):
    return torch.cat([x for row in rows for x in getattr(row, name)])


SETTINGS = [
    {},
    {"kl_estimator": "k3", "kl_coef": 0.3, "gamma": 0.9, "gae_lambda": 0.8},
    {"missing_eos_penalty": 1.5, "score_normalisation": "scale", "temperature": 0.7},
    {"missing_eos_penalty": 0.5, "score_normalisation": "center-and-scale", "score_clip": 0.8, "n": 3},
    {"value_model": "separate", "temperature": 1.6, "n": 2},
]


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("settings", SETTINGS)
def test_collected_numbers_equal_a_plain_implementation(settings, lora):
    trainer = new_trainer(new_policy() if lora else new_policy(None), **settings)
    if not lora:
        stir(trainer.policy, 0.03, seed=9)
    rows = collect(trainer, PROMPTS)
    assert [len(row.completions) for row in rows] == [settings.get("n", 1)] * 4
    advantages, returns = plain_advantages(trainer, rows)
    for name, expected in (("advantages", advantages), ("returns", returns)):
        found = [x for row in rows for x in getattr(row, name)]
        for one, other in zip(found, expected, strict=True):
            assert one.tolist() == pytest.approx(other, abs=2e-4, rel=1e-4)
    with torch.no_grad():
        for name, role in (("logprobs", "policy"), ("ref_logprobs", "reference")):
            plain = torch.cat(plain_logprobs(trainer, rows, role))
            torch.testing.assert_close(flat(rows, name), plain, atol=1e-5, rtol=0)
        torch.testing.assert_close(flat(rows, "values"), torch.cat(plain_values(trainer, rows)), atol=1e-5, rtol=0)
    assert (flat(rows, "logprobs") - flat(rows, "ref_logprobs")).abs().max() > 0.05
    assert flat(rows, "values").abs().max() > 0.05


def test_collected_numbers_of_a_llama_equal_a_plain_implementation():
    trainer = new_trainer(llama_policy(), moved=0.02, reward=ByText(lambda text: len(text) / 10))
    rows = collect(trainer, PROMPTS)
    advantages, _ = plain_advantages(trainer, rows)
    assert flat(rows, "advantages").tolist() == pytest.approx([a for found in advantages for a in found], abs=1e-4)


def test_completions_that_end_by_themselves_escape_the_penalty():
    trainer = new_trainer(
        ends_early(), missing_eos_penalty=2.0, reward=ByText(lambda _: 1.0), kl_coef=0.0, gae_lambda=1.0
    )
    rows = collect(trainer, PROMPTS)
    finished = {row.record_id: row.finished[0] for row in rows}
    assert set(finished.values()) == {True, False}
    for row in rows:
        # With λ = γ = 1 and no KL every return is the score.
        assert row.returns[0].tolist() == pytest.approx(
            [1.0 if row.finished[0] else -1.0] * len(row.returns[0]), abs=1e-5
        )
        assert row.finished[0] == (row.completions[0][-1] == EOS)


def ends_early():
    """EOS made likelier, so that some completions end by themselves and some do not."""
    policy = new_policy()
    with torch.no_grad():
        direction = policy.roles.model.lm_head.weight[EOS]
        policy.roles.model.transformer.ln_f.bias.add_(direction * 2.0 / direction.square().sum())
    return policy


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_ratio_is_one_before_the_first_update(settings):
    trainer = new_trainer(**settings)
    rows = collect(trainer, PROMPTS)
    metrics = trainer.loss(rows, count(rows)).metrics
    (check,) = trainer.checks()
    assert metrics[check.metric].item() == pytest.approx(check.expected, abs=1e-5)
    assert metrics["step_kl"].item() == pytest.approx(0.0, abs=1e-8)
    assert metrics["clip_fraction"] == 0.0
    with torch.no_grad():
        now = torch.cat(plain_logprobs(trainer, rows, "policy"))
    assert (now - flat(rows, "logprobs")).exp().tolist() == pytest.approx([1.0] * len(now), abs=1e-5)


@pytest.mark.parametrize("value_model", ["shared", "separate"])
@pytest.mark.parametrize("n", [1, 3])
def test_loss_and_gradient_equal_a_plain_implementation_after_the_policy_moved(value_model, n):
    trainer = new_trainer(
        value_model=value_model, n=n, temperature=1.3, clip_range=0.1, value_clip_range=0.05, value_coef=0.5
    )
    rows = collect(trainer, PROMPTS)
    stir(trainer.policy, 0.02, seed=3)
    loss, found = gradients(trainer, [rows])
    assert 0.1 < trainer.loss(rows, count(rows)).metrics["clip_fraction"].item() < 0.95
    for parameter in trainer.policy.trained().values():
        parameter.grad = None
    expected = plain_loss(trainer, rows)
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-5)
    assert_same(found, {name: p.grad for name, p in trainer.policy.trained().items()}, 1e-5)


def test_lora_dropout_stays_off_and_would_be_told_at_the_first_update():
    quiet = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    trainer = new_trainer(new_policy({**LORA, "lora_dropout": 0.1}, **quiet), moved=0.2)
    rows = collect(trainer, PROMPTS)
    (check,) = trainer.checks()
    assert trainer.loss(rows, count(rows)).metrics["ratio"].item() == pytest.approx(1.0, abs=1e-5)
    trainer.policy.allow_dropout = True  # the fault
    found = trainer.loss(rows, count(rows)).metrics["ratio"].item()
    assert abs(found - check.expected) > check.tolerance


def test_a_sampler_that_rounds_otherwise_weighs_its_tokens_up_to_the_cap_and_leaves_the_ratio_alone():
    trainer = new_trainer(importance_cap=1.5)
    rows = collect(trainer, PROMPTS)
    right = trainer.loss(rows, count(rows)).metrics
    for found_likelier, weight in ((0.1, math.exp(0.1)), (-0.1, math.exp(-0.1)), (0.9, 1.5)):
        shifted = [
            dataclasses.replace(row, logprobs=tuple(x - found_likelier for x in row.logprobs)) for row in rows
        ]  # fmt: skip
        metrics = trainer.loss(shifted, count(shifted)).metrics
        assert metrics["policy_loss"].item() == pytest.approx(weight * right["policy_loss"].item(), abs=1e-5)
        assert metrics["value_loss"].item() == pytest.approx(right["value_loss"].item(), abs=1e-6)
        assert metrics["ratio"].item() == pytest.approx(1.0, abs=1e-6)


def test_in_bfloat16_the_ratio_still_starts_at_one():
    trainer = new_trainer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = collect(trainer, PROMPTS)
        metrics = trainer.loss(rows, count(rows)).metrics
    assert (flat(rows, "old_logprobs") - flat(rows, "logprobs")).abs().max() > 1e-3, "they do round otherwise"
    assert metrics["ratio"].item() == pytest.approx(1.0, abs=1e-5)
    assert metrics["step_kl"].item() == pytest.approx(0.0, abs=1e-6)


def test_the_entropy_bonus_pays_for_entropy():
    plain, paid = (new_trainer(entropy_coef=coef) for coef in (0.0, 0.1))
    rows = collect(plain, PROMPTS)
    without, with_bonus = (trainer.loss(rows, count(rows)) for trainer in (plain, paid))
    entropy = without.metrics["entropy"].item()
    assert with_bonus.total.item() == pytest.approx(without.total.item() - 0.1 * entropy, abs=1e-6)
    with plain.policy.roles.acting("policy") as model, torch.no_grad():
        tables = [
            model(input_ids=torch.tensor([row.prompt + row.completions[0]])).logits[0, len(row.prompt) - 1 : -1]
            for row in rows
        ]
    assert entropy == pytest.approx(
        torch.distributions.Categorical(logits=torch.cat(tables)).entropy().mean().item(), abs=1e-5
    )


@pytest.mark.parametrize("value_model", ["shared", "separate"])
def test_splitting_into_micro_batches_changes_neither_loss_nor_gradient(value_model):
    trainer = new_trainer(ends_early(), value_model=value_model, n=2, entropy_coef=0.01)
    rows = collect(trainer, PROMPTS)
    stir(trainer.policy, 0.02, seed=3)
    whole, expected = gradients(trainer, [rows])
    split, found = gradients(trainer, [rows[3:], rows[:1], rows[1:3]])
    assert split == pytest.approx(whole, abs=1e-6)
    assert_same(found, expected, 1e-6)


def test_metrics_of_micro_batches_add_up():
    trainer = new_trainer(n=2)
    rows = collect(trainer, PROMPTS)
    totals = count(rows)
    whole, first, rest = (trainer.batch_metrics(part, totals) for part in (rows, rows[:1], rows[1:]))
    for name, value in whole.items():
        assert float(first[name]) + float(rest[name]) == pytest.approx(float(value), abs=1e-5), name
    assert whole["_completions"] == 8
    assert whole["score"].item() == pytest.approx(sum(s for row in rows for s in row.scores.tolist()) / 8, abs=1e-6)
    kl = (flat(rows, "logprobs") - flat(rows, "ref_logprobs")).sum().item() / 8
    assert whole["kl_k1"].item() == pytest.approx(kl, abs=1e-4)


def test_clipping_acts_after_several_updates_and_the_step_kl_grows():
    trainer = new_trainer()
    rows = collect(trainer, PROMPTS)
    optimizer = torch.optim.AdamW(trainer.policy.trained().values(), lr=1e-2)
    clipped, moved = [], []
    for _ in range(6):
        optimizer.zero_grad()
        loss = trainer.loss(rows, count(rows))
        loss.total.backward()
        optimizer.step()
        clipped.append(loss.metrics["clip_fraction"].item())
        moved.append(loss.metrics["step_kl"].item())
    assert clipped[0] == 0.0 < clipped[-1]
    assert all(later > earlier for earlier, later in pairwise(moved))


def test_the_value_head_starts_at_zero_and_gets_a_gradient():
    trainer = new_trainer(moved=0.0)
    rows = collect(trainer, PROMPTS)
    assert flat(rows, "values").abs().max() == 0.0
    _, found = gradients(trainer, [rows])
    assert all(found[name].abs().sum() > 0 for name in found if name.startswith("heads."))


def test_a_separate_value_adapter_moves_and_leaves_the_policy_adapter_to_the_policy_loss():
    trainer = new_trainer(value_model="separate", value_coef=1.0)
    rows = collect(trainer, PROMPTS)
    idle = [  # no advantages: the policy has no loss, the value still has
        dataclasses.replace(row, advantages=tuple(torch.zeros_like(x) for x in row.advantages)) for row in rows
    ]
    _, found = gradients(trainer, [idle])
    policy_parameters = {id(parameter) for parameter in trainer.groups["policy"]}
    for name, parameter in trainer.policy.trained().items():
        moves = bool(found[name].abs().max() > 0)
        assert moves != (id(parameter) in policy_parameters), name


def test_every_trained_weight_is_in_one_group():
    for settings in ({}, {"value_model": "separate"}):
        for lora in (True, False):
            trainer = new_trainer(new_policy() if lora else new_policy(None), moved=0.0, **settings)
            grouped = [id(parameter) for group in trainer.groups.values() for parameter in group]
            assert sorted(grouped) == sorted(id(parameter) for parameter in trainer.policy.trained().values())


# --- what adapts


def test_later_batches_are_normalised_by_all_earlier_ones():
    normaliser = ScoreNormaliser(PPOOptions(score_normalisation="center-and-scale"))
    batches = [[1.0, 3.0], [5.0, 7.0]]
    for batch in batches:
        normaliser.update(sum(batch) / 2, sum(x * x for x in batch) / 2)
    mean, spread = moments(batches[0] + batches[1])
    found = normaliser(torch.tensor([10.0]), torch.tensor([True]), -99.0, 99.0)
    assert found.item() == pytest.approx((10.0 - mean) / spread)


@pytest.mark.parametrize("kind", ["scale", "center-and-scale"])
@pytest.mark.parametrize("earlier_batches", [0, 3])
def test_equal_scores_are_not_blown_up(kind, earlier_batches):
    """A reward that is 0.1 for everything has no spread: divided by rounding error it would be in the thousands."""
    trainer = new_trainer(reward=ByText(lambda _: 0.1), score_normalisation=kind, moved=0.0, kl_coef=0.0)
    for _ in range(earlier_batches):
        rows = collect(trainer, PROMPTS)
        trainer.after_batch({name: float(x) for name, x in trainer.batch_metrics(rows, count(rows)).items()})
    returns = flat(collect(trainer, PROMPTS), "returns")
    assert returns.abs().max() <= 0.1 + 1e-6


def test_collecting_twice_gives_the_same_rows_and_changes_nothing():
    trainer = new_trainer(score_normalisation="scale", n=2)
    first = collect(trainer, PROMPTS, seed=4)
    state = trainer.state_dict()
    second = collect(trainer, PROMPTS, seed=4)
    assert [row.completions for row in first] == [row.completions for row in second]
    assert torch.equal(flat(first, "advantages"), flat(second, "advantages"))
    assert trainer.state_dict() == state
    assert [row.completions for row in collect(trainer, PROMPTS, seed=5)] != [row.completions for row in first]


def test_coefficient_and_moments_survive_a_resume():
    trainer = new_trainer(kl_target=1.0, score_normalisation="scale", moved=0.0)
    trainer.after_batch({"score": 2.0, "_completion_score_square": 5.0, "kl_k1": 3.0, "_completions": 4.0})
    other = new_trainer(kl_target=1.0, score_normalisation="scale", moved=0.0)
    other.load_state_dict(trainer.state_dict())
    assert other.kl_coef == trainer.kl_coef != PPOOptions().kl_coef
    assert other.normaliser.std == trainer.normaliser.std == 1.0


# --- rows and messages


class WithParts(Reward):
    def score(self, completions):
        total = ByText().score(completions)
        return Scores(total, {"short": [x / 2 for x in total], "long": [x * 2 for x in total]})


@pytest.mark.parametrize("reward", [ByText(), WithParts()])
def test_rows_are_saved_without_code_and_come_back_bit_for_bit(reward, tmp_path):
    trainer = new_trainer(reward=reward, n=2)
    rows = collect(trainer, PROMPTS)
    save_rows(tmp_path, rows)
    again = load_rows(tmp_path, PPORow)
    expected, found = trainer.loss(rows, count(rows)), trainer.loss(again, count(again))
    assert torch.equal(expected.total, found.total)
    before, after = (trainer.batch_metrics(some, count(some)) for some in (rows, again))
    assert {name: float(x) for name, x in before.items()} == {name: float(x) for name, x in after.items()}


def test_parts_of_a_score_are_reported_beside_it():
    trainer = new_trainer(reward=WithParts(), n=2)
    rows = collect(trainer, PROMPTS)
    metrics = trainer.batch_metrics(rows, count(rows))
    assert metrics["score/short"].item() == pytest.approx(metrics["score"].item() / 2, abs=1e-6)
    assert metrics["score/long"].item() == pytest.approx(metrics["score"].item() * 2, abs=1e-6)


def test_validation_reports_score_and_kl_of_held_out_prompts_and_no_loss():
    trainer = new_trainer(n=2)
    metrics = trainer.validate(PROMPTS, count(PROMPTS, sampled=2), seed=0)
    means = {name for name in metrics if not name.startswith("_")}
    assert means == {
        "score", "kl_k1", "kl_k2", "kl_k3", "kl_exact", "kl_in_reward", "length", "finished", "rows/score",
    }  # fmt: skip
    assert metrics["rows/score"].shape == (len(PROMPTS),)
    assert metrics["rows/score"].mean().item() == pytest.approx(metrics["score"].item(), abs=1e-6)
    rows = collect(trainer, PROMPTS)
    assert metrics["length"].item() == pytest.approx(sum(len(c) for row in rows for c in row.completions) / 8)


def test_the_best_is_what_the_reward_less_the_kl_says_on_held_out_prompts():
    assert PPO(PPOOptions()).best is None
    trainer = new_trainer(n=2, keep="best", kl_coef=0.5)
    assert trainer.best == ("reward", "max")
    metrics = trainer.validate(PROMPTS, count(PROMPTS, sampled=2), seed=0)
    assert metrics["kl_exact"] > 0
    assert metrics["kl_exact"].item() != pytest.approx(metrics["kl_k3"].item(), rel=1e-3)
    expected = metrics["score"].item() - 0.5 * metrics["kl_exact"].item()
    assert metrics["reward"].item() == pytest.approx(expected, rel=1e-5)


def test_the_best_goes_by_k3_where_the_exact_kl_is_not_measured():
    metrics = new_trainer(n=2, keep="best", kl_coef=0.5, exact_kl_positions=0).validate(
        PROMPTS, count(PROMPTS, sampled=2), seed=0
    )
    expected = metrics["score"].item() - 0.5 * metrics["kl_k3"].item()
    assert metrics["kl_k3"] > 0
    assert metrics["reward"].item() == pytest.approx(expected, rel=1e-5)


def test_explained_variance_is_of_the_batch():
    trainer = new_trainer()
    rows = collect(trainer, PROMPTS)
    returns, values = flat(rows, "returns"), flat(rows, "values")
    expected = 1 - (returns - values).var(correction=0).item() / returns.var(correction=0).item()
    found = trainer.batch_metrics(rows, count(rows))["explained_variance"].item()
    assert found == pytest.approx(expected, rel=1e-3)


def test_one_update_per_rollout_is_refused():
    with pytest.raises(ValueError, match="clipping never acts"):
        PPOOptions(inner_epochs=1, minibatches=1)


def test_a_stage_without_reward_is_told_how_to_name_one():
    with pytest.raises(RLHFError, match="ppo needs a reward"):
        PPO(PPOOptions()).prepare(context_of(new_policy()))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [({"temperature": 0.0}, "temperature = 0"), ({"top_k": 5}, "top_k truncates"), ({"top_p": 0.9}, "top_p truncates")],
)
def test_sampling_that_cannot_be_trained_on_is_refused(sampling, message):
    with pytest.raises(RLHFError, match=message):
        PPO(PPOOptions()).prepare(context_of(new_policy(), reward=ByText(), **sampling))
