"""What a policy writes: that others load it in two lines, and that we open it as it was."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import PeftModel
from policy_parts import CPU, EOS, LORA, ROWS, WordCodec, naive_logprobs, stir, tiny_gpt2, tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlhf_core.contract.backbone import LoadContext
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import identify
from rlhf_core.contract.pretrained import LoraOptions, PretrainedBackbone, PretrainedOptions
from rlhf_core.policy.loading import fingerprint, load_policy, merge
from rlhf_core.policy.policy import TrunkPolicy

LORA_4 = LoraOptions(r=4, alpha=8)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base model's folder."""
    folder = tmp_path_factory.mktemp("base")
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def begin(base, lora=LORA_4, start=None):
    """A policy as a stage gets it."""
    context = LoadContext(path=str(base), start=start, device=CPU, dtype=torch.float32, seed=0, texts=lambda: iter(()))
    return TrunkPolicy(PretrainedBackbone(PretrainedOptions(lora=lora)).load(context), WordCodec(), device=CPU)


def trained(base, lora=LORA_4, roles=("policy",)):
    policy = begin(base, lora)
    policy.score(ROWS, "reference")
    for role in roles:
        policy.train_role(role)
    policy.add_head("value")
    stir(policy, 0.05)
    return policy


def reopen(folder, **keywords):
    return load_policy(folder, make_codec=lambda *_: WordCodec(), device=CPU, dtype=torch.float32, **keywords)


def logprobs(model):
    return torch.cat([values for row in ROWS for values in naive_logprobs(model.eval(), row)])


def scores(policy, role="policy"):
    scored = policy.score(ROWS, role)
    return scored.logprobs[scored.mask].detach()


def test_an_adapter_loads_in_two_lines_of_peft(base, tmp_path):
    policy = trained(base, roles=("policy", "value"))
    policy.save(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(base)
    model = PeftModel.from_pretrained(model, tmp_path)
    assert torch.allclose(logprobs(model), scores(policy), atol=1e-5)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    assert AutoTokenizer.from_pretrained(tmp_path).eos_token_id == EOS


def test_a_full_model_loads_in_one_line_of_transformers(base, tmp_path):
    policy = trained(base, lora=None)
    policy.save(tmp_path)
    assert torch.allclose(logprobs(AutoModelForCausalLM.from_pretrained(tmp_path)), scores(policy), atol=1e-5)


def test_the_identity_says_what_was_saved(base, tmp_path):
    trained(base, roles=("policy", "value")).save(tmp_path)
    identity = json.loads((tmp_path / "rlhf.json").read_text())
    assert identity["base"] == {"path": str(base), "revision": None, "sha256": fingerprint(base)}
    assert identity["roles"] == {"policy": ".", "value": "value"}
    assert identity["heads"] == {"value": 1}
    assert identity["template"] == WordCodec().describe()
    assert identity["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("lora", [LORA_4, None], ids=["lora", "full"])
def test_a_reopened_policy_has_its_roles_and_heads_frozen_and_the_plain_base_as_reference(base, tmp_path, lora):
    policy = trained(base, lora, roles=("policy", "value"))
    policy.save(tmp_path)
    opened = reopen(tmp_path)
    for role in ("policy", "value"):
        assert torch.allclose(scores(opened, role), scores(policy, role), atol=1e-6)
    values = policy.score(ROWS, "value", want={"values"}).values
    assert values.abs().max() > 0.1
    assert torch.allclose(opened.score(ROWS, "value", want={"values"}).values, values, atol=1e-5)
    assert torch.allclose(scores(opened, "reference"), logprobs(tiny_gpt2()), atol=1e-5)
    assert opened.trained() == {}
    assert opened.compare(ROWS).kl.max() > 1e-3


@pytest.mark.parametrize("lora", [LORA_4, None], ids=["lora", "full"])
def test_a_reward_run_keeps_its_role(base, tmp_path, lora):
    policy = begin(base, lora)
    policy.train_role("reward")
    policy.add_head("reward")
    stir(policy, 0.05)
    policy.save(tmp_path)
    opened = reopen(tmp_path)
    expected = policy.score(ROWS, "reward", want={"last"}, head="reward").last
    assert expected.std() > 0.01
    assert torch.allclose(opened.score(ROWS, "reward", want={"last"}, head="reward").last, expected, atol=1e-5)


def test_a_full_reward_run_is_no_policy_to_start_from(base, tmp_path):
    policy = begin(base, None)
    policy.train_role("reward")
    policy.save(tmp_path)
    with pytest.raises(RLHFError, match="holds reward, but no policy to start from"):
        begin(base, None, start=tmp_path)
    with pytest.raises(RLHFError, match="no policy to export"):
        merge(tmp_path, tmp_path / "out")
    with pytest.raises(RLHFError, match="no role 'policy', only reward"):
        reopen(tmp_path).score(ROWS)


def test_a_stage_goes_on_from_a_runs_adapter_on_the_plain_base(base, tmp_path):
    first = trained(base)
    first.save(tmp_path / "sft")
    second = begin(base, start=tmp_path / "sft")
    assert torch.allclose(scores(second), scores(first), atol=1e-6)
    second.train_role("policy")
    stir(second, 0.05, seed=9)
    second.save(tmp_path / "dpo")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "dpo")
    assert torch.allclose(logprobs(model), scores(second), atol=1e-5)


@pytest.mark.parametrize(("first", "second"), [(LORA_4, None), (None, LORA_4), (None, None)])
def test_a_stage_goes_on_from_a_run_of_the_other_kind(base, tmp_path, first, second):
    before = trained(base, first)
    before.save(tmp_path / "first")
    policy = begin(base, second, start=tmp_path / "first")
    assert torch.allclose(scores(policy), scores(before), atol=1e-5)
    policy.train_role("policy")
    policy.score(ROWS, "reference")
    stir(policy, 0.05, seed=9)
    policy.save(tmp_path / "second")
    opened = reopen(tmp_path / "second")
    assert torch.allclose(scores(opened), scores(policy), atol=1e-5)
    recorded = json.loads((tmp_path / "second" / "rlhf.json").read_text())["base"]["path"]
    assert recorded == str(tmp_path / "first" if second is LORA_4 else base)


@pytest.mark.parametrize("lora", [LORA_4, None], ids=["lora", "full"])
def test_merging_gives_a_plain_model_with_the_same_logprobs(base, tmp_path, lora):
    policy = trained(base, lora)
    policy.save(tmp_path / "run")
    merge(tmp_path / "run", tmp_path / "plain")
    assert not (tmp_path / "plain" / "adapter_config.json").exists()
    assert torch.allclose(logprobs(AutoModelForCausalLM.from_pretrained(tmp_path / "plain")), scores(policy), atol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "plain").eos_token_id == EOS


def test_merging_what_is_merged_already_adds_nothing(base, tmp_path):
    policy = trained(base)
    policy.save(tmp_path / "run")
    merge(tmp_path / "run", tmp_path / "once")
    merge(tmp_path / "once", tmp_path / "twice")
    assert fingerprint(tmp_path / "once") == fingerprint(tmp_path / "twice") != fingerprint(base)


def test_adapter_weights_are_not_taken_for_a_plain_models(base, tmp_path):
    """transformers would load the folder's base, or nothing, without a word; here it opens as what it is."""
    policy = trained(base)
    policy.save(tmp_path / "run")
    opened = reopen(tmp_path / "run")
    assert torch.allclose(scores(opened), scores(policy), atol=1e-5)
    assert (scores(opened) - scores(begin(base))).abs().max() > 0.01


def test_another_base_is_refused_naming_both(base, tmp_path):
    trained(base).save(tmp_path / "run")
    tiny_gpt2(seed=1).save_pretrained(tmp_path / "other")
    tiny_tokenizer().save_pretrained(tmp_path / "other")
    for lora in (LORA_4, None):
        with pytest.raises(RLHFError, match=rf"trained on {base} .*base is {tmp_path / 'other'}"):
            begin(tmp_path / "other", lora, start=tmp_path / "run")
    with pytest.raises(RLHFError, match=r"set model\.path"):
        reopen(tmp_path / "run", base=str(tmp_path / "other"))


def test_a_base_that_moved_is_found_where_it_is_named(base, tmp_path):
    shutil.copytree(base, tmp_path / "old")
    policy = trained(tmp_path / "old")
    policy.save(tmp_path / "run")
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(RLHFError, match=r"base model .*old is not there any more"):
        reopen(tmp_path / "run")
    assert torch.allclose(scores(reopen(tmp_path / "run", base=str(tmp_path / "new"))), scores(policy), atol=1e-6)


def test_a_plain_model_opens_as_a_policy(base):
    opened = reopen(base)
    assert torch.allclose(scores(opened), logprobs(tiny_gpt2()), atol=1e-5)
    assert opened.compare(ROWS).kl.abs().max() < 1e-6


def test_the_fingerprint_is_of_the_weights_alone(base, tmp_path):
    copied = shutil.copytree(base, tmp_path / "copy")
    (copied / "notes.txt").write_text("x")
    assert fingerprint(copied) == fingerprint(base) == identify(str(base))["sha256"]
    tiny_gpt2(seed=1).save_pretrained(copied)
    assert fingerprint(copied) != fingerprint(base)
    with pytest.raises(RLHFError, match="no model weights"):
        fingerprint(tmp_path)


def test_a_peft_folder_made_elsewhere_opens(base, tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**(dict(LORA) | {"r": 2})))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path)
    assert torch.allclose(scores(reopen(tmp_path)), logprobs(model), atol=1e-5)


def test_a_reward_model_on_the_policys_base_is_no_second_network(base, tmp_path):
    trained(base, roles=("reward",)).save(tmp_path)
    policy = begin(base)
    policy.train_role("policy")
    reward, alone = reopen(tmp_path), reopen(tmp_path)
    reward.share_base(policy)
    ours, theirs = policy.roles.fixed(), reward.roles.fixed()
    assert set(ours) == set(theirs)
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in ours)
    expected = scores(alone, "reward")
    with policy.roles.sampling("policy"):  # folds the policy's adapter into its own weights for the time being
        stir(policy)
        assert torch.equal(scores(reward, "reward"), expected)
    stir(policy)
    assert torch.equal(scores(reward, "reward"), expected), "what trains is not shared"


def test_a_base_that_differs_in_one_weight_shares_the_others_alone(base, tmp_path):
    trained(base, roles=("reward",)).save(tmp_path)
    policy = begin(base)
    name, changed = next(iter(policy.roles.fixed().items()))
    with torch.no_grad():
        changed.view(-1)[0] += 1.0
    reward = reopen(tmp_path)
    expected = scores(reward, "reward")
    reward.share_base(policy)
    ours, theirs = policy.roles.fixed(), reward.roles.fixed()
    assert [each for each in ours if ours[each].data_ptr() != theirs[each].data_ptr()] == [name]
    assert torch.equal(scores(reward, "reward"), expected)


def test_under_full_fine_tuning_nothing_is_shared_since_all_of_it_trains(base, tmp_path):
    trained(base, roles=("reward",)).save(tmp_path)
    policy, reward = begin(base, lora=None), reopen(tmp_path)
    reward.share_base(policy)
    theirs = {weight.data_ptr() for weight in reward.roles.fixed().values()}
    assert theirs.isdisjoint(weight.data_ptr() for weight in policy.roles.model.parameters())
