"""Supervised fine-tuning against transformers' own loss, which shifts and masks by itself."""

from __future__ import annotations

import pytest
import torch
from policy_parts import EOS, stir, tiny_tokenizer
from trainer_parts import assert_same, context_of, gradients, llama_policy, new_policy, train

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.records import Demonstration
from rlhf_core.contract.rows import Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.training.batching import count
from rlhf_plugins.sft.trainer import SFT

ROWS = [
    Row(record_id="a", prompt=(5, 6, 7), completions=((10, 11, 12, EOS),)),
    Row(record_id="b", prompt=(20,), completions=((EOS,),)),
    Row(record_id="c", prompt=(30, 31, 32, 33, 34), completions=((35, 36),)),
]


def hugging_face_loss(model, rows):
    """Right-padded with EOS, as such trainers do it; −100 on prompts and padding, so the mean is over completions."""
    length = max(row.cost for row in rows)
    inputs = torch.full((len(rows), length), EOS)
    labels = torch.full((len(rows), length), -100)
    attention = torch.zeros(len(rows), length, dtype=torch.long)
    for index, row in enumerate(rows):
        inputs[index, : row.cost] = torch.tensor(row.prompt + row.completions[0])
        labels[index, len(row.prompt) : row.cost] = torch.tensor(row.completions[0])
        attention[index, : row.cost] = 1
    return model(input_ids=inputs, attention_mask=attention, labels=labels).loss


def new_trainer(policy):
    trainer = SFT(NoOptions())
    trainer.prepare(context_of(policy))
    stir(policy, 0.05)
    return trainer


@pytest.mark.parametrize("lora", [True, False])
def test_loss_and_gradient_equal_transformers_with_prompts_labelled_minus_100(lora):
    policy = new_policy() if lora else new_policy(None)
    trainer = new_trainer(policy)
    loss, found = gradients(trainer, [ROWS])
    for parameter in policy.trained().values():
        parameter.grad = None
    with policy.roles.acting("policy") as model:
        expected = hugging_face_loss(model, ROWS)
        expected.backward()
    assert loss == pytest.approx(expected.item(), abs=2e-6)
    assert_same(found, {name: parameter.grad for name, parameter in policy.trained().items()}, 2e-6)


def test_loss_of_a_llama_with_adapters_equals_transformers():
    policy = llama_policy()
    trainer = new_trainer(policy)
    with policy.roles.acting("policy") as model, torch.no_grad():
        expected = hugging_face_loss(model, ROWS).item()
    assert trainer.loss(ROWS, count(ROWS)).total.item() == pytest.approx(expected, abs=1e-5)


def test_splitting_into_micro_batches_changes_neither_loss_nor_gradient():
    """The mean is over the minibatch's tokens: a mean of the parts' means would weigh short rows more."""
    trainer = new_trainer(new_policy())
    whole, expected = gradients(trainer, [ROWS])
    split, found = gradients(trainer, [[ROWS[2]], ROWS[:2]])
    assert split == pytest.approx(whole, abs=1e-6)
    assert_same(found, expected, 1e-6)


def test_eos_is_learnt_from_encoded_demonstrations():
    policy = new_policy(None)
    codec = TextCodec(
        tiny_tokenizer(), TemplateOptions(prompt="{prompt}", completion=" {completion}"), context_length=32
    )
    row = codec.encode(Demonstration(id="d", prompt="w5 w6", completion="w7 w8"))
    assert row.completions == ((7, 8, EOS),)
    trainer = new_trainer(policy)
    losses = train(trainer, [row], steps=60)
    assert losses[-1] < 0.05 < losses[0]
    rollout = policy.sample(
        [Row(record_id="d", prompt=row.prompt)], context_of(policy, temperature=0.0).sampling, seed=0
    )
    assert rollout[0].completions == ((7, 8, EOS),)
    assert rollout[0].finished == (True,)
