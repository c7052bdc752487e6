"""DPO: where it starts, where it goes, what it keeps."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from policy_parts import CPU, EOS, WordCodec, naive_logprobs, stir, tiny_gpt2, trunk_of
from trainer_parts import assert_same, collect, context_of, gradients, llama_policy, new_policy, train

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import PairRow, Row
from rlhf_core.contract.trainer import PER_ROW
from rlhf_core.math.averages import reported
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.dpo.options import DPOOptions
from rlhf_plugins.dpo.trainer import DPO

PAIRS = [
    PairRow(record_id="a", prompt=(5, 6, 7), completions=((10, 11, EOS), (12, 13, 14, 15, EOS))),
    PairRow(record_id="b", prompt=(20,), completions=((21, EOS), (22, 23))),
    PairRow(record_id="c", prompt=(30, 31), completions=((32, 33, 34, EOS), (EOS,))),
]


def new_trainer(policy, **options):
    trainer = DPO(DPOOptions(**options))
    trainer.prepare(context_of(policy))
    return trainer


def from_adapter(folder):
    """A policy that goes on from a trained adapter, as DPO after SFT does."""
    before = new_policy()
    before.train_role("policy")
    stir(before)
    before.save(folder)
    return TrunkPolicy(trunk_of(tiny_gpt2(), adapter=folder), WordCodec(), device=CPU)


def start(kind, folder):
    return {"lora": new_policy, "full": lambda: new_policy(None), "adapter": lambda: from_adapter(folder)}[kind]()


def loss_of(trainer, rows=PAIRS):
    return trainer.loss(collect(trainer, rows), count(rows))


@pytest.mark.parametrize("kind", ["lora", "full", "adapter"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_first_loss_is_ln_2(kind, smoothing, tmp_path):
    trainer = new_trainer(start(kind, tmp_path), label_smoothing=smoothing)
    loss = loss_of(trainer)
    assert loss.total.item() == pytest.approx(math.log(2), abs=1e-6)
    assert loss.metrics["reward_margin"].item() == pytest.approx(0, abs=1e-5)


def test_the_first_loss_of_a_llama_is_ln_2():
    assert loss_of(new_trainer(llama_policy())).total.item() == pytest.approx(math.log(2), abs=1e-6)


def test_the_reference_after_sft_is_the_adapter_and_not_the_base(tmp_path):
    trainer = new_trainer(from_adapter(tmp_path))
    bare = tiny_gpt2()
    with torch.no_grad():
        of_base = [values.sum().item() for row in PAIRS for values in naive_logprobs(bare, row)]
    found = torch.cat([row.ref_logprobs for row in collect(trainer, PAIRS)]).tolist()
    assert max(abs(a - b) for a, b in zip(found, of_base, strict=True)) > 0.1


def test_a_beta_that_leaves_no_margin_is_not_taken_for_another_reference():
    trainer = new_trainer(new_policy(), beta=1e-8)
    (check,) = trainer.checks()
    rows = collect(trainer, PAIRS)
    assert trainer.loss(rows, count(rows)).total.item() == pytest.approx(math.log(2), abs=check.tolerance)
    assert check.tolerance < 1e-6


OTHERS = {
    "ipo": (lambda h: (h - 1 / 0.6) ** 2, 1 / 0.36, {}),
    "hinge": (lambda h: max(0.0, 1 - 0.3 * h), 1.0, {}),
    "robust": (
        lambda h: (0.8 * math.log(1 + math.exp(-0.3 * h)) - 0.2 * math.log(1 + math.exp(0.3 * h))) / 0.6,
        math.log(2), {"label_smoothing": 0.2},
    ),
}  # fmt: skip
"""By name: the loss of a margin in nats at beta .3, where it starts, and what else it needs."""


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_the_other_losses_start_where_they_declare_and_are_those_of_plain_margins(name, normalised):
    by_hand, start, options = OTHERS[name]
    policy = new_policy()
    trainer = new_trainer(policy, beta=0.3, loss=name, length_normalised=normalised, **options)
    rows = collect(trainer, PAIRS)
    (check,) = trainer.checks()
    assert check.expected == pytest.approx(start)
    assert trainer.loss(rows, count(rows)).total.item() == pytest.approx(start, abs=check.tolerance)
    stir(policy, 0.03)
    expected = sum(by_hand(margin) for margin in plain_margins(policy, normalised)) / len(PAIRS)
    assert expected != pytest.approx(start, rel=1e-2), "the policy has moved"
    assert trainer.loss(rows, count(rows)).total.item() == pytest.approx(expected, rel=1e-4)


def plain_margins(policy, normalised):
    found = []
    for row in PAIRS:
        change = []
        for i, tokens in enumerate(row.completions):
            logprobs = []
            for role in ("policy", "reference"):
                with policy.roles.acting(role) as model, torch.no_grad():
                    logprobs.append(naive_logprobs(model, row)[i].sum().item())
            change.append((logprobs[0] - logprobs[1]) / (len(tokens) if normalised else 1))
        found.append(change[0] - change[1])
    return found


def test_length_normalised_dpo_is_of_means_per_token():
    policy = new_policy()
    trainer = new_trainer(policy, beta=2.0, length_normalised=True)
    rows = collect(trainer, PAIRS)
    stir(policy, 0.03)
    margins = plain_margins(policy, normalised=True)
    expected = sum(math.log(1 + math.exp(-2 * h)) for h in margins) / 3
    assert trainer.loss(rows, count(rows)).total.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "ipo", "label_smoothing": 0.1}, "loss ipo has none"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "loss hinge has none"),
        ({"loss": "robust"}, "set label_smoothing to their share"),
        ({"loss": "sigmod"}, "sigmoid"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DPOOptions(**options)


def test_held_out_pairs_tell_how_far_free_answers_have_moved_and_how_surely():
    policy = new_policy()
    trainer = new_trainer(policy, exact_kl_positions=None)
    stir(policy, 0.05)
    with torch.no_grad():
        found = trainer.validate(PAIRS, count(PAIRS), seed=3)
        samples = policy.sample(
            [Row(record_id=row.record_id, prompt=row.prompt) for row in PAIRS], SamplingSpec(max_new_tokens=8), seed=3
        )
        exact = policy.compare(samples).kl.sum(1).tolist()
    written = reported({name: float(value) for name, value in found.items() if not name.startswith(PER_ROW)})
    assert written["kl_exact"] == pytest.approx(statistics.fmean(exact), rel=1e-4)
    assert written["kl_exact_se"] == pytest.approx(statistics.stdev(exact) / 3**0.5, rel=1e-3)
    assert {"kl_k1_se", "kl_k2_se", "kl_k3_se", "entropy_se", "length_se", "accuracy_se"} <= set(written)


@pytest.mark.parametrize("kind", ["lora", "full", "adapter"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_metrics_equal_a_scalar_computation_on_plain_forward_passes(kind, smoothing, tmp_path):
    policy = start(kind, tmp_path)
    trainer = new_trainer(policy, beta=0.3, label_smoothing=smoothing)
    rows = collect(trainer, PAIRS)
    stir(policy, 0.03)
    sums = {}
    for role in ("policy", "reference"):
        with policy.roles.acting(role) as model, torch.no_grad():
            sums[role] = [[values.sum().item() for values in naive_logprobs(model, row)] for row in PAIRS]
    expected, accuracy = 0.0, 0.0
    for now, ref in zip(sums["policy"], sums["reference"], strict=True):
        h = 0.3 * ((now[0] - ref[0]) - (now[1] - ref[1]))
        expected += (1 - smoothing) * math.log(1 + math.exp(-h)) + smoothing * math.log(1 + math.exp(h))
        accuracy += h > 0
    loss = trainer.loss(rows, count(rows))
    assert loss.total.item() == pytest.approx(expected / 3, abs=1e-5)
    assert loss.metrics["accuracy"].item() == pytest.approx(accuracy / 3)
    change = sum(now[0] - ref[0] for now, ref in zip(sums["policy"], sums["reference"], strict=True)) / 3
    assert loss.metrics["chosen_logprob_change"].item() == pytest.approx(change, abs=1e-5)


def test_a_step_along_the_gradient_raises_chosen_above_rejected():
    policy = new_policy()
    trainer = new_trainer(policy)
    rows = collect(trainer, PAIRS)
    losses = train(trainer, rows, steps=8)
    metrics = trainer.loss(rows, count(rows)).metrics
    assert losses == sorted(losses, reverse=True)
    assert metrics["chosen_reward"] > 0 > metrics["rejected_reward"]
    assert metrics["accuracy"].item() == pytest.approx(1.0)


def test_label_smoothing_weakens_the_first_gradient_by_one_minus_twice_itself():
    """At the start d loss / d margin is −½(1 − ε) + ½ε."""
    _, plain = gradients_at_start(label_smoothing=0.0)
    _, smooth = gradients_at_start(label_smoothing=0.3)
    assert_same(smooth, {name: 0.4 * gradient for name, gradient in plain.items()}, 1e-7)


def gradients_at_start(**options):
    trainer = new_trainer(new_policy(), **options)
    return gradients(trainer, [collect(trainer, PAIRS)])


def test_splitting_into_micro_batches_changes_neither_loss_nor_gradient():
    trainer = new_trainer(new_policy())
    rows = collect(trainer, PAIRS)
    stir(trainer.policy, 0.03)
    whole, expected = gradients(trainer, [rows])
    split, found = gradients(trainer, [rows[2:], rows[:1], rows[1:2]])
    assert split == pytest.approx(whole, abs=1e-6)
    assert_same(found, expected, 1e-6)


def test_pairs_of_another_file_with_the_same_ids_have_their_own_reference():
    """``pairs.jsonl:1`` may stand in the training and in the validation folder."""
    trainer = new_trainer(new_policy())
    held_out = [PairRow(record_id="a", prompt=(8,), completions=((40, EOS), (41, 42, EOS)))]
    collect(trainer, PAIRS)
    assert loss_of(trainer, held_out).total.item() == pytest.approx(math.log(2), abs=1e-6)


def test_dropout_is_refused():
    assert not DPO.dropout_ok
