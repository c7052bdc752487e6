"""The backbone plugins: what they load, what they adapt, what they refuse."""

from __future__ import annotations

import pytest
import torch
from policy_parts import CPU, ROWS, WordCodec, shared_model, tiny_gpt2, tiny_tokenizer
from pydantic import ValidationError
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf_core.contract import pretrained
from rlhf_core.contract.backbone import LoadContext
from rlhf_core.contract.errors import RLHFError
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_plugins.hf_causal.backbone import HFCausal
from rlhf_plugins.hf_causal.options import HFCausalOptions
from rlhf_plugins.lora_gpt2.backbone import LoraGPT2
from rlhf_plugins.lora_gpt2.options import LoraGPT2Options


def context(path, start=None):
    return LoadContext(path=str(path), start=start, device=CPU, dtype=torch.float32, seed=0, texts=lambda: iter(()))


@pytest.fixture
def gpt2(tmp_path):
    tiny_gpt2().save_pretrained(tmp_path / "gpt2")
    tiny_tokenizer().save_pretrained(tmp_path / "gpt2")
    return tmp_path / "gpt2"


@pytest.fixture
def llama(tmp_path):
    config = AutoConfig.for_model(
        "llama", vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=32,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "llama")
    tiny_tokenizer().save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


@pytest.mark.parametrize("backbone", [LoraGPT2(LoraGPT2Options()), HFCausal(HFCausalOptions())])
def test_on_gpt2_every_linear_layer_is_adapted_the_right_way_round(backbone, gpt2):
    trunk = backbone.load(context(gpt2))
    assert trunk.lora is not None
    assert sorted(trunk.lora["target_modules"]) == ["c_attn", "c_fc", "c_proj"]
    assert trunk.lora["fan_in_fan_out"] is True
    assert not any(parameter.requires_grad for parameter in trunk.model.parameters())
    policy = TrunkPolicy(trunk, WordCodec(), device=CPU)
    policy.train_role("policy")
    shapes = {tuple(p.shape) for name, p in policy.trained().items() if "c_fc.lora_" in name}
    assert shapes == {(16, 32), (128, 16)}, "A reads 32 features, B writes 128"


def test_on_llama_every_linear_layer_but_the_output_is_adapted(llama):
    trunk = HFCausal(HFCausalOptions()).load(context(llama))
    assert trunk.lora is not None
    assert trunk.lora["target_modules"] == [
        "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj",
    ]  # fmt: skip
    assert trunk.lora["fan_in_fan_out"] is False
    assert TrunkPolicy(trunk, WordCodec(), device=CPU).layout == "packed"


def test_options_become_the_adapters_configuration(gpt2):
    options = LoraGPT2Options.model_validate({"lora": {"r": 2, "alpha": 5, "dropout": 0.1, "targets": ["c_attn"]}})
    assert dict(LoraGPT2(options).load(context(gpt2)).lora or {}) == {
        "r": 2, "lora_alpha": 5, "lora_dropout": 0.1, "target_modules": ["c_attn"], "fan_in_fan_out": True,
        "bias": "none", "task_type": "CAUSAL_LM",
    }  # fmt: skip


def test_lora_null_is_full_fine_tuning(gpt2):
    trunk = LoraGPT2(LoraGPT2Options(lora=None)).load(context(gpt2))
    assert trunk.lora is None
    policy = TrunkPolicy(trunk, WordCodec(), device=CPU)
    assert sum(p.numel() for p in policy.train_role("policy")) == sum(p.numel() for p in tiny_gpt2().parameters())


def test_lora_gpt2_refuses_other_models_and_names_the_backbone_that_takes_them(llama):
    with pytest.raises(RLHFError, match=r"'llama'; set model\.backbone to hf"):
        LoraGPT2(LoraGPT2Options()).load(context(llama))


def test_unknown_options_are_refused():
    with pytest.raises(ValidationError, match="rank"):
        LoraGPT2Options.model_validate({"lora": {"rank": 8}})


def test_a_missing_folder_is_one_line_with_the_mend(tmp_path):
    with pytest.raises(RLHFError, match=r"model\.path: no folder .*nowhere; give a folder with config\.json") as caught:
        HFCausal(HFCausalOptions()).load(context(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_one_line_with_the_mend(tmp_path):
    with pytest.raises(RLHFError, match="does not load as a causal language model") as caught:
        HFCausal(HFCausalOptions()).load(context(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_away_is_told_at_once(monkeypatch):
    monkeypatch.setattr(pretrained, "_hub_answers", lambda: False)
    with pytest.raises(RLHFError, match=r"'no-such-model-here' is no folder, .* the hub is away; give a folder"):
        HFCausal(HFCausalOptions()).load(context("no-such-model-here"))


def test_a_tokenizer_without_eos_must_name_a_token(gpt2):
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(gpt2)
    with pytest.raises(RLHFError, match=r"no end-of-sequence token.*model\.eos_token"):
        LoraGPT2(LoraGPT2Options()).load(context(gpt2))
    assert LoraGPT2(LoraGPT2Options(eos_token="w9")).load(context(gpt2)).tokenizer.eos_token_id == 9
    with pytest.raises(RLHFError, match="'<end>' is not in the vocabulary"):
        LoraGPT2(LoraGPT2Options(eos_token="<end>")).load(context(gpt2))


def test_options_import_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, rlhf_plugins.lora_gpt2.options, rlhf_plugins.hf_causal.options as o; o.HFCausalOptions();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.shared_data
def test_the_sorting_model_without_eos_is_refused_until_one_is_named():
    folder = shared_model("gpt2-nano-sort-85k")
    with pytest.raises(RLHFError, match="no end-of-sequence token"):
        LoraGPT2(LoraGPT2Options()).load(context(folder))
    trunk = LoraGPT2(LoraGPT2Options(eos_token="C")).load(context(folder))
    assert TrunkPolicy(trunk, WordCodec(), device=CPU).context_length == 11


@pytest.mark.shared_data
def test_the_llama_learns_through_its_adapter():
    trunk = HFCausal(HFCausalOptions()).load(context(shared_model("llama-stories260K")))
    policy = TrunkPolicy(trunk, WordCodec(), device=CPU)
    optimizer = torch.optim.AdamW(policy.train_role("policy"), lr=1e-3)
    losses = []
    for _ in range(5):
        loss = -policy.score(ROWS).logprobs.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 10
