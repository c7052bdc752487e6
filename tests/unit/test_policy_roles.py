"""Which weights answer as which role, which of them move, and what survives a resume."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from policy_parts import (
    CPU,
    LORA,
    ROWS,
    WordCodec,
    naive_logprobs,
    stir,
    tiny_gpt2,
    tiny_policy,
    trunk_of,
)  # fmt: skip
from torch.nn.functional import logsigmoid

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.policy import attention, recomputing
from rlhf_core.policy import policy as policy_module
from rlhf_core.policy.layout import pack
from rlhf_core.policy.policy import TrunkPolicy

PAIR = [ROWS[0]]
SETUPS = pytest.mark.parametrize("lora", [LORA, None], ids=["lora", "full"])


def dpo_loss(policy, beta=0.1):
    """−log σ(β·Δ), Δ the chosen's gain over the reference less the rejected's."""
    ratio = (policy.score(PAIR).logprobs - policy.score(PAIR, "reference").logprobs.detach()).sum(1)
    return -logsigmoid(beta * (ratio[0] - ratio[1]))


def step(parameters, loss, rate=0.1):
    """One SGD step of the parameters."""
    optimizer = torch.optim.SGD(parameters, lr=rate)
    loss.backward()
    optimizer.step()


def saved_adapter(folder):
    """A policy that was trained and saved, to start a stage from."""
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)
    folder.mkdir()
    policy.save(folder)
    return policy


def continuing(folder, lora=LORA, seed=0):
    return TrunkPolicy(trunk_of(tiny_gpt2(), lora, adapter=folder), WordCodec(), device=CPU, seed=seed)


@SETUPS
def test_the_first_dpo_loss_is_ln_2_and_the_reference_stays(lora):
    policy = tiny_policy(lora)
    parameters = policy.train_role("policy")
    loss = dpo_loss(policy)
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-6)
    reference = policy.score(PAIR, "reference").logprobs.detach()
    step(parameters, loss)
    step(parameters, dpo_loss(policy))
    assert float(dpo_loss(policy).detach()) < math.log(2) - 0.01
    assert torch.equal(policy.score(PAIR, "reference").logprobs, reference)
    plain = torch.cat(naive_logprobs(tiny_gpt2(), ROWS[0]))
    mask = policy.score(PAIR).mask
    assert torch.allclose(reference[mask], plain, atol=1e-5), "the reference is the start"


def test_after_an_adapter_the_reference_is_its_frozen_copy(tmp_path):
    before = saved_adapter(tmp_path / "sft")
    policy = continuing(tmp_path / "sft")
    parameters = policy.train_role("policy")
    assert torch.allclose(policy.score(PAIR).logprobs, before.score(PAIR).logprobs, atol=1e-6)
    loss = dpo_loss(policy)
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-6)
    step(parameters, loss)
    assert float(dpo_loss(policy).detach()) < math.log(2)
    assert torch.allclose(policy.score(PAIR, "reference").logprobs, before.score(PAIR).logprobs, atol=1e-6)


def test_a_value_role_after_an_adapter_starts_as_that_adapter(tmp_path):
    before = saved_adapter(tmp_path / "sft")
    policy = continuing(tmp_path / "sft")
    policy.train_role("policy")
    stir(policy)
    policy.train_role("value")
    assert torch.allclose(policy.score(PAIR, "value").logprobs, before.score(PAIR).logprobs, atol=1e-6)


@SETUPS
def test_in_a_joint_backward_every_trained_role_moves_and_no_other_weight_does(lora):
    policy = tiny_policy(lora)
    parameters = [*policy.train_role("policy"), *policy.train_role("value"), *policy.add_head("value")]
    policy.score(PAIR, "reference")
    stir(policy, 0.05)  # the head away from zero, or no gradient reaches the value role
    before = {name: value.detach().clone() for name, value in policy.trained().items()}
    frozen = {
        f"{i}.{name}": parameter.detach().clone()
        for i, network in enumerate(policy.roles.networks())
        for name, parameter in network.named_parameters()
        if not parameter.requires_grad
    }
    logprobs = policy.score(PAIR).logprobs
    values = policy.score(PAIR, "value", want={"values"}).values
    with torch.no_grad():
        policy.score(PAIR, "reference")
        policy.sample(PAIR, SamplingSpec(max_new_tokens=2), seed=0)
    step(parameters, logprobs.sum() + (values - 1).square().sum(), rate=0.01)
    still = [name for name, value in policy.trained().items() if torch.equal(value, before[name])]
    assert [name for name in still if "lm_head" not in name] == []
    assert {name.split(".")[0] for name in before} >= ({"policy", "value", "heads"} if lora is None else {"heads"})
    for i, network in enumerate(policy.roles.networks()):
        for name, parameter in network.named_parameters():
            if f"{i}.{name}" in frozen:
                assert torch.equal(parameter, frozen[f"{i}.{name}"]), name


def test_only_what_was_asked_for_is_trained():
    policy = tiny_policy()
    policy.train_role("value")
    assert all(".value." in name for name in policy.trained())
    policy.score(PAIR)
    assert not any(p.requires_grad for n, p in policy.roles._peft.named_parameters() if ".policy." in n)


def test_parameter_counts():
    policy = tiny_policy()
    base = sum(p.numel() for p in tiny_gpt2().parameters())
    assert policy.parameter_counts()["trained"] == 0
    policy.train_role("policy")
    # Per layer, r·(in + out): c_attn 32→96, attention c_proj 32→32, c_fc 32→128, MLP c_proj 128→32.
    adapter = 2 * 4 * (128 + 64 + 160 + 160)
    assert policy.parameter_counts() == {"trained": adapter, "total": base + adapter}
    policy.add_head("value")
    assert policy.parameter_counts()["trained"] == adapter + 33


def test_full_fine_tuning_pays_for_a_second_network_only_when_it_needs_one():
    policy = tiny_policy(None)
    base = sum(p.numel() for p in tiny_gpt2().parameters())
    policy.score(PAIR, "reference")
    assert policy.parameter_counts()["total"] == base, "an untouched trunk is its own reference"
    policy.train_role("policy")
    policy.score(PAIR)
    assert policy.parameter_counts() == {"trained": base, "total": base}
    policy.score(PAIR, "reference")
    assert policy.parameter_counts() == {"trained": base, "total": 2 * base}


def test_a_reward_stage_on_full_fine_tuning_is_one_network():
    policy = tiny_policy(None)
    base = sum(p.numel() for p in tiny_gpt2().parameters())
    policy.train_role("reward")
    policy.add_head("reward")
    policy.score(PAIR, "reward", want={"last"}, head="reward")
    assert policy.parameter_counts() == {"trained": base + 33, "total": base + 33}


def test_a_reference_asked_for_too_late_is_refused():
    policy = tiny_policy(None)
    parameters = policy.train_role("policy")
    step(parameters, -policy.score(PAIR).logprobs.sum())
    with pytest.raises(RuntimeError, match="after the first update"):
        policy.score(PAIR, "reference")


@SETUPS
def test_a_resumed_policy_is_the_same_one_with_the_same_reference(lora):
    policy = tiny_policy(lora)
    parameters = [*policy.train_role("policy"), *policy.add_head("value")]
    step(parameters, dpo_loss(policy))
    state = {name: value.clone() for name, value in policy.state().items()}
    resumed = tiny_policy(lora)
    resumed.train_role("policy")
    resumed.add_head("value")
    resumed.load_state(state)
    assert torch.equal(resumed.score(PAIR).logprobs, policy.score(PAIR).logprobs)
    assert torch.equal(resumed.score(PAIR, "reference").logprobs, policy.score(PAIR, "reference").logprobs)
    assert set(resumed.state()) == set(state)


def test_a_checkpoint_of_another_policy_is_refused():
    policy = tiny_policy()
    policy.train_role("policy")
    other = tiny_policy(dict(LORA) | {"r": 2})
    other.train_role("policy")
    with pytest.raises(RLHFError, match="another policy"):
        policy.load_state(other.state())
    policy.add_head("value")
    with pytest.raises(RLHFError, match=r"heads\.value"):
        policy.load_state({name: value for name, value in policy.state().items() if "heads" not in name})


def test_fresh_adapters_follow_the_seed_and_leave_the_random_state_alone():
    state = torch.get_rng_state()
    models = [tiny_gpt2() for _ in range(3)]
    torch.set_rng_state(state)
    first, same, other = (
        TrunkPolicy(trunk_of(model), WordCodec(), device=CPU, seed=seed)
        for model, seed in zip(models, (1, 1, 2), strict=True)
    )
    for policy in (first, same, other):
        policy.train_role("policy")
    assert torch.equal(torch.get_rng_state(), state)
    name = next(name for name in first.trained() if "lora_A" in name)
    assert torch.equal(first.trained()[name], same.trained()[name])
    assert not torch.equal(first.trained()[name], other.trained()[name])


def test_an_unknown_role_is_named():
    for lora in (LORA, None):
        with pytest.raises(RLHFError, match="no role 'reward', only policy"):
            tiny_policy(lora).score(PAIR, "reward")


def test_an_adapter_of_another_rank_is_refused(tmp_path):
    saved_adapter(tmp_path / "sft")
    with pytest.raises(RLHFError, match=r"model\.lora\.r = 8, but the adapter in .*sft has 4"):
        continuing(tmp_path / "sft", lora=dict(LORA) | {"r": 8})


def test_the_output_layer_cannot_be_adapted():
    with pytest.raises(RLHFError, match="output layer"):
        tiny_policy(dict(LORA) | {"target_modules": ["c_attn", "lm_head"]})


def test_an_adapter_of_another_base_is_refused_naming_both(tmp_path):
    base = {"path": "/models/a", "revision": None, "sha256": "a" * 64}
    policy = TrunkPolicy(replace(trunk_of(tiny_gpt2()), base=base), WordCodec(), device=CPU)
    policy.save(tmp_path)
    other = {"path": "/models/b", "revision": None, "sha256": "b" * 64}
    with pytest.raises(RLHFError, match=r"trained on /models/a .*base is /models/b"):
        TrunkPolicy(replace(trunk_of(tiny_gpt2(), adapter=tmp_path), base=other), WordCodec(), device=CPU)
    moved = {"path": "/elsewhere/a", "revision": None, "sha256": "a" * 64}
    TrunkPolicy(replace(trunk_of(tiny_gpt2(), adapter=tmp_path), base=moved), WordCodec(), device=CPU)


def joint_gradients(policy):
    """Of a loss that two roles of one network have a part in."""
    own, value = policy.score(ROWS), policy.score(ROWS, "value", want={"values"})
    loss = own.logprobs.sum() + (value.values * torch.arange(1.0, 1 + value.values.shape[1])).sum()
    return dict(zip(policy.trained(), torch.autograd.grad(loss, list(policy.trained().values())), strict=True))


def with_two_roles(lora):
    policy = tiny_policy(lora)
    policy.train_role("policy")
    policy.train_role("value")
    policy.add_head("value")
    stir(policy)
    return policy


@SETUPS
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_recomputing_layers_changes_no_gradient_of_two_roles(lora, layout):
    policy = with_two_roles(lora)
    policy.layout = layout
    expected = joint_gradients(policy)
    calls = []
    layer = policy.roles.model.base_model.h[1].attn
    layer.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    policy.recompute = True
    found = joint_gradients(policy)
    assert len(calls) == (4 if lora else 2), "each pass of the network computes its layer twice"
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], atol=1e-5), name


def test_recomputing_in_the_role_that_acts_last_would_be_silently_wrong(monkeypatch):
    """The fault that the policy rules out: without the role's own circumstances nothing fails and gradients are off."""
    policy = with_two_roles(LORA)
    expected = joint_gradients(policy)
    real = recomputing.recomputing
    monkeypatch.setattr(policy_module, "recomputing", lambda model, _: real(model, lambda: attending_as_packed(model)))
    policy.recompute = True
    wrong = joint_gradients(policy)
    assert any(not torch.allclose(wrong[name], expected[name], atol=1e-3) for name in expected)


def attending_as_packed(model):
    return attention.attending(model, pack(ROWS, CPU))


def test_recomputing_keeps_less_for_the_backward_pass():
    def kept(policy):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            policy.score(ROWS)
        return sum(sizes)

    policy = tiny_policy()
    policy.train_role("policy")
    usual = kept(policy)
    policy.recompute = True
    assert kept(policy) < usual / 3
