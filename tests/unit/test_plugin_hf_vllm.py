"""The vLLM backbone, with a stand-in for the engine: vLLM itself needs a GPU, and none was at hand.

The stand-in has the names that the plugin uses, and decodes with transformers the weights that it was given.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
import torch
from policy_parts import CPU, EOS, ROWS, WordCodec, stir, tiny_gpt2, trunk_of

from rlhf_core.contract.backbone import LoadContext
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.policy.saving import plain_weights
from rlhf_core.testing.policy import save_tiny_model
from rlhf_plugins.hf_causal.options import VLLMCausalOptions
from rlhf_plugins.hf_causal.vllm import VLLMCausal, VLLMSampler, as_rollout, sampling_params

PROMPTS = [Row(record_id=row.record_id, prompt=row.prompt) for row in ROWS]
GREEDY = SamplingSpec(max_new_tokens=8, temperature=0)


@dataclass
class SamplingParams:
    """Those of vLLM 0.33's that are set."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)
    ignore_eos: bool = False
    max_tokens: int = 16
    logprobs: int | None = None
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False


class LLM:
    made: ClassVar[list[LLM]] = []

    def __init__(self, **settings):
        self.settings, self.calls = settings, []
        self.model = tiny_gpt2(seed=5)  # other weights than the policy's
        LLM.made.append(self)

    def load_weights(self, weights):
        given = dict(weights)
        missing, unexpected = self.model.load_state_dict(given, strict=False)
        assert set(missing) <= {"lm_head.weight"}, "tied to the embedding"
        assert not unexpected
        self.calls.append("weights")

    def apply_model(self, function):
        return [function(SimpleNamespace(load_weights=self.load_weights))]

    def reset_prefix_cache(self):
        self.calls.append("reset")

    def generate(self, prompts, params, *, use_tqdm):
        self.calls.append("generate")
        return [self._answer(prompt["prompt_token_ids"], asked) for prompt, asked in zip(prompts, params, strict=True)]

    def _answer(self, prompt, asked):
        ids = torch.tensor([prompt])
        found = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=asked.max_tokens, pad_token_id=0,
            eos_token_id=asked.stop_token_ids,
        )[0, len(prompt) :].tolist()  # fmt: skip
        return SimpleNamespace(
            outputs=[completion(0, found, "stop" if found[-1] in asked.stop_token_ids else "length")]
        )


def completion(index, tokens, reason):
    steps = [{token: SimpleNamespace(logprob=-0.5 - index)} for token in tokens]
    return SimpleNamespace(index=index, token_ids=tokens, logprobs=steps, finish_reason=reason)


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")  # restored afterwards
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(LLM, "made", [])


def policy_with_engine():
    trunk = trunk_of(tiny_gpt2())
    sampler = VLLMSampler("base", VLLMCausalOptions())
    policy = TrunkPolicy(
        type(trunk)(**{f.name: getattr(trunk, f.name) for f in fields(trunk)} | {"sampler": sampler}),
        WordCodec(), device=CPU,
    )  # fmt: skip
    policy.train_role("policy")
    return policy


def test_the_engine_draws_from_the_weights_that_the_policy_has_now():
    policy = policy_with_engine()
    own = TrunkPolicy(trunk_of(tiny_gpt2()), WordCodec(), device=CPU)
    own.train_role("policy")
    seen = []
    for seed in (1, 2):
        stir(policy, seed=seed)
        stir(own, seed=seed)
        theirs, ours = policy.sample(PROMPTS, GREEDY, seed=0), own.sample(PROMPTS, GREEDY, seed=0)
        assert [rollout.completions for rollout in theirs] == [rollout.completions for rollout in ours]
        assert [rollout.finished for rollout in theirs] == [rollout.finished for rollout in ours]
        seen.append([rollout.completions for rollout in theirs])
    assert seen[0] != seen[1]
    (made,) = LLM.made
    assert made.calls == ["weights", "reset", "generate"] * 2
    assert (made.settings["model"], made.settings["logprobs_mode"]) == ("base", "processed_logprobs")
    assert not policy.samples_exactly
    assert own.samples_exactly


def test_options_reach_the_engine_in_its_own_form():
    spec = SamplingSpec(max_new_tokens=10, temperature=0.7, top_k=5, top_p=0.9, n=3, stop=("\n",))
    row = Row(record_id="a", prompt=tuple(range(2, 28)))
    found = sampling_params(row, spec, seed=4, eos=EOS, context_length=32)
    assert (found.n, found.temperature, found.top_k, found.top_p) == (3, 0.7, 5, 0.9)
    assert found.max_tokens == 6, "what the context leaves"
    assert (found.stop, found.include_stop_str_in_output, found.stop_token_ids) == (["\n"], True, [EOS])
    plain = sampling_params(row, SamplingSpec(max_new_tokens=4), seed=4, eos=EOS, context_length=32)
    assert (plain.top_k, plain.top_p, plain.max_tokens) == (0, 1.0, 4)
    seeds = {
        sampling_params(Row(record_id=name, prompt=(2,)), spec, seed=seed, eos=EOS, context_length=32).seed
        for name in "ab"
        for seed in (0, 1)
    }
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_answers_come_back_as_rollouts_in_the_order_of_their_samples():
    output = SimpleNamespace(outputs=[completion(1, [7, 8, 9], "length"), completion(0, [5, EOS], "stop")])
    rollout = as_rollout(PROMPTS[0], output)
    assert rollout.completions == ((5, EOS), (7, 8, 9))
    assert rollout.finished == (True, False)
    assert [values.tolist() for values in rollout.logprobs] == [[-0.5, -0.5], [-1.5, -1.5, -1.5]]


def test_adapters_that_stand_apart_are_told():
    policy = TrunkPolicy(trunk_of(tiny_gpt2()), WordCodec(), device=CPU)
    with policy.roles.acting("policy") as model, pytest.raises(RLHFError, match="load the model in float32"):
        list(plain_weights(model))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SamplingSpec(max_new_tokens=2, precision="int8"), "rollout_dtype"),
        (SamplingSpec(max_new_tokens=2, temperature=0, n=2), "sampling.n above 1"),
    ],
)
def test_what_the_engine_does_not_have_is_refused(spec, message):
    with pytest.raises(RLHFError, match=message):
        policy_with_engine().sample(PROMPTS, spec, seed=0)


def test_a_prompt_without_room_is_named():
    with pytest.raises(RLHFError, match=r"far: the prompt has 32 tokens"):
        policy_with_engine().sample([Row(record_id="far", prompt=(2,) * 32)], GREEDY, seed=0)


def test_the_backbone_loads_as_hf_does_and_starts_no_engine(tmp_path):
    folder = save_tiny_model(tmp_path)
    context = LoadContext(path=str(folder), start=None, device=CPU, dtype=torch.float32, seed=0, texts=lambda: iter(()))
    trunk = VLLMCausal(VLLMCausalOptions()).load(context)
    assert isinstance(trunk.sampler, VLLMSampler)
    assert LLM.made == []
