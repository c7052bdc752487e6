"""Decoding's forward passes against transformers' own, and how much they compute."""

from __future__ import annotations

import pytest
import torch
from policy_parts import (
    CPU,
    EOS,
    ROWS,
    VOCABULARY,
    WordCodec,
    stir,
    tiny_gpt2,
    tiny_grouped_llama,
    tiny_neox,
    tiny_policy,
    trunk_of,
)  # fmt: skip
from torch import nn
from transformers import AutoModelForCausalLM, MistralConfig, Qwen2Config, Qwen3Config

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.policy import graphs, runner_choice
from rlhf_core.policy import quick_linears as quick
from rlhf_core.policy.cache import Room
from rlhf_core.policy.decoding import _closed_up
from rlhf_core.policy.graphs import GraphedRunner
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.policy.quick_linears import quick_linears
from rlhf_core.policy.runner_choice import choose_runner
from rlhf_core.policy.runners import FlatRunner, TransformersRunner

PROMPTS = [Row(record_id=row.record_id, prompt=row.prompt) for row in ROWS]
SPEC = SamplingSpec(max_new_tokens=20, n=12, temperature=3.0)
"""Hot, so that EOS is as likely as any token and samples end one by one."""
SIZES = {
    "vocab_size": VOCABULARY, "max_position_embeddings": 32, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "initializer_range": 0.2, "bos_token_id": EOS, "eos_token_id": EOS,
}  # fmt: skip


def of_type(config_class, **changes):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config_class(**(SIZES | changes))).eval()


FLAT = {
    "gpt2": tiny_gpt2,
    "gpt2 scaled by layer": lambda: tiny_gpt2(scale_attn_by_inverse_layer_idx=True),
    "llama": tiny_grouped_llama,
    "mistral": lambda: of_type(MistralConfig, sliding_window=None),
    "qwen2": lambda: of_type(Qwen2Config),
    "qwen3": lambda: of_type(Qwen3Config),
}
OTHERS = {
    "gpt_neox": tiny_neox,
    "mistral with a window": lambda: of_type(MistralConfig, sliding_window=4),
    "gpt2 with another norm": lambda: renormed(tiny_gpt2()),
}


def renormed(model):
    """Looks like GPT-2 to its configuration, and is not."""
    for block in model.transformer.h:
        block.forward = lambda hidden, *_, inner=block.forward, **others: 2 * inner(hidden, **others)
    return model


def policy_of(model):
    return TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)


@pytest.mark.parametrize("name", FLAT)
def test_known_architectures_have_a_pass_of_their_own_that_gives_the_same(name):
    model = FLAT[name]()
    assert choose_runner(model) is FlatRunner
    policy = policy_of(model)
    ours = policy.sample(PROMPTS, SPEC, seed=2)
    policy.__dict__["_runner"] = TransformersRunner
    theirs = policy.sample(PROMPTS, SPEC, seed=2)
    assert [rollout.completions for rollout in ours] == [rollout.completions for rollout in theirs]
    assert len({len(tokens) for rollout in ours for tokens in rollout.completions}) > 2, "some ended early"
    for found, expected in zip(ours, theirs, strict=True):
        assert (torch.cat(found.logprobs) - torch.cat(expected.logprobs)).abs().max() < 1e-5


@pytest.mark.parametrize("name", FLAT)
def test_steps_that_stand_still_give_the_same(name):
    """What a recording on a GPU repeats: fixed shapes, samples that run on unread. Recording alone is left out."""
    policy = policy_of(FLAT[name]())
    expected = policy.sample(PROMPTS, SPEC, seed=2)
    sizes = []

    class Counting(GraphedRunner):
        def advance(self, tokens):
            hidden = super().advance(tokens)
            sizes.append((len(tokens), len(self.tokens)))
            return hidden

    policy.__dict__["_runner"] = Counting
    found = policy.sample(PROMPTS, SPEC, seed=2)
    assert [rollout.completions for rollout in found] == [rollout.completions for rollout in expected]
    for one, other in zip(found, expected, strict=True):
        assert (torch.cat(one.logprobs) - torch.cat(other.logprobs)).abs().max() < 1e-5
    assert any(live < size for live, size in sizes), "samples ran on"
    assert all(2 * live > size for live, size in sizes), "not longer than until half of them were gone"


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_steps_that_stand_still_also_do_in_bfloat16(name):
    """As on a GPU: stores, mask and products of one type. Longer sums round otherwise, so that a few draws differ."""
    policy = policy_of(FLAT[name]())

    def drawn(runner):
        policy.__dict__["_runner"] = runner
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rollouts = policy.sample(PROMPTS, SPEC, seed=2)
        return [each for rollout in rollouts for each in zip(rollout.completions, rollout.logprobs, strict=True)]

    pairs = list(zip(drawn(FlatRunner), drawn(GraphedRunner), strict=True))
    alike = [(a, b) for (tokens, a), (others, b) in pairs if tokens == others]
    assert len(alike) > 0.8 * len(pairs)
    assert all((a - b).abs().max() < 0.1 for a, b in alike)


@pytest.mark.parametrize("fault", [RuntimeError("operation not permitted when stream is capturing"), "other numbers"])
def test_a_recording_that_fails_or_differs_is_not_used(fault, monkeypatch):
    monkeypatch.setattr(runner_choice, "QUICKEST_FIRST", {"cpu": (GraphedRunner, FlatRunner)})
    assert choose_runner(tiny_gpt2()) is GraphedRunner

    def faulty(_step, _device):
        if isinstance(fault, Exception):
            raise fault
        return lambda: None

    monkeypatch.setattr(graphs, "recorded", faulty)
    assert choose_runner(tiny_gpt2()) is FlatRunner


def test_rounding_by_autocast_is_no_reason_to_turn_a_runner_down_and_hides_no_fault(monkeypatch):
    monkeypatch.setattr(runner_choice, "QUICKEST_FIRST", {"cpu": (GraphedRunner, FlatRunner)})
    advance = GraphedRunner.advance
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert choose_runner(tiny_gpt2()) is GraphedRunner
        monkeypatch.setattr(GraphedRunner, "advance", lambda runner, tokens: 1.003 * advance(runner, tokens))
        assert choose_runner(tiny_gpt2()) is FlatRunner


@pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs are CUDA's")
def test_a_gpu_repeats_recorded_steps():
    model = tiny_gpt2().to("cuda")
    assert choose_runner(model) is GraphedRunner
    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=torch.device("cuda"))
    found = policy.sample(PROMPTS, SPEC, seed=2)
    policy.__dict__["_runner"] = FlatRunner
    expected = policy.sample(PROMPTS, SPEC, seed=2)
    for one, other in zip(found, expected, strict=True):
        assert one.completions == other.completions
        assert (torch.cat(one.logprobs) - torch.cat(other.logprobs)).abs().max() < 1e-4


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_model_goes_through_transformers(name):
    assert choose_runner(OTHERS[name]()) is TransformersRunner


def test_every_token_is_computed_once_and_only_while_its_sample_lives():
    """Prompts without padding and once for all their samples; after that as many rows as there are live samples."""
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)
    computed = []

    class Counting(FlatRunner):
        def __init__(self, model):
            super().__init__(model)
            forward = self.forward
            self.forward = lambda tokens, *others: computed.append(len(tokens)) or forward(tokens, *others)

    policy.__dict__["_runner"] = Counting
    rollouts = policy.sample(PROMPTS, SPEC, seed=1)
    lengths = [len(tokens) for rollout in rollouts for tokens in rollout.completions]
    assert len(set(lengths)) > 5, "they end one by one"
    assert computed[0] == sum(len(row.prompt) for row in PROMPTS)
    assert computed[1:] == [sum(length > step for length in lengths) for step in range(1, max(lengths))]


def test_what_stays_moves_into_the_gaps_and_nothing_else_moves():
    assert _closed_up([0, 1, 2]) == [0, 1, 2]
    assert _closed_up([0, 2, 3]) == [0, 3, 2]
    assert _closed_up([3, 4]) == [4, 3]
    assert _closed_up([]) == []


def test_a_room_keeps_rows_in_the_order_asked_for():
    states = torch.randn(4, 2, 3, 5)
    room = Room(states.clone(), capacity=6)
    more = torch.randn(4, 2, 1, 5)
    assert torch.equal(room.append(more), torch.cat([states, more], dim=2))
    room.keep(torch.tensor([0, 3, 2]))
    assert torch.equal(room.content, torch.cat([states, more], dim=2)[[0, 3, 2]])
    room.repeat(2)
    assert torch.equal(room.content, torch.cat([states, more], dim=2)[[0, 0, 3, 3, 2, 2]])


@pytest.mark.parametrize("family", [tiny_gpt2, tiny_grouped_llama, tiny_neox])
def test_under_autocast_weights_are_rounded_once_and_to_the_same(family):
    model = family()
    ids = torch.arange(12)[None]
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = model(ids).logits
        with quick_linears(model, "full", rows=12):
            assert "forward" in vars(model.get_output_embeddings())
            found = model(ids).logits
        assert "forward" not in vars(model.get_output_embeddings())
    assert found.dtype == expected.dtype
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("family", [tiny_gpt2, tiny_grouped_llama, tiny_neox])
def test_prepacked_weights_give_the_same_completions(family, monkeypatch):
    policy = policy_of(family())
    expected = policy.sample(PROMPTS, SPEC, seed=3)
    packed = []
    monkeypatch.setattr(quick, "SMALLEST", 1)
    reorder = torch.ops.mkldnn._reorder_linear_weight
    monkeypatch.setattr(quick, "lay_out", lambda weight, rows: packed.append(weight.shape) or reorder(weight, rows))
    found = policy.sample(PROMPTS, SPEC, seed=3)
    assert (VOCABULARY, 32) in packed, "the output layer is among them"
    assert [rollout.completions for rollout in found] == [rollout.completions for rollout in expected]


def test_weights_of_8_bits_are_near_and_their_logprobs_are_their_own():
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)
    rollouts = policy.sample(PROMPTS, SamplingSpec(max_new_tokens=12, n=8, precision="int8"), seed=3)
    scored = policy.score(rollouts)
    sampled = torch.cat([logprobs for rollout in rollouts for logprobs in rollout.logprobs])
    difference = (scored.logprobs[scored.mask] - sampled).abs()
    assert 1e-4 < difference.mean() < 0.1
    assert difference.max() < 0.6


@pytest.mark.parametrize("precision", ["full", "int8"])
def test_linear_layers_are_as_before_afterwards_even_after_an_error(precision, monkeypatch):
    monkeypatch.setattr(quick, "SMALLEST", 1)
    model = tiny_gpt2()
    hidden = torch.randn(3, 32)
    before = model.lm_head(hidden)
    with quick_linears(model, precision, rows=3):
        assert "forward" in vars(model.lm_head)
        close = model.lm_head(hidden) - before
        assert close.abs().max() < (1e-4 if precision == "full" else 0.5)
    assert not any("forward" in vars(module) for module in model.modules())

    def fail():
        with quick_linears(model, precision, rows=3):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(model.lm_head(hidden), before)


def test_layers_that_are_not_float32_stay_as_they_are():
    model = nn.Sequential(nn.Linear(4, 4, dtype=torch.bfloat16))
    with quick_linears(model, "int8", rows=2):
        assert "forward" not in vars(model[0])
