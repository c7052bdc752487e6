"""The model made from scratch, its tokenizer, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from policy_parts import CPU
from trainer_parts import context_of, train

from rlhf_core.contract.backbone import LoadContext
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Text
from rlhf_core.contract.rows import Row
from rlhf_core.data.blocks import text_blocks
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_plugins.pretrain.backbone import NewGPT2
from rlhf_plugins.pretrain.options import NewGPT2Options
from rlhf_plugins.pretrain.trainer import Pretrain

SENTENCE = "Why did the bicycle fall over? It was two tired.\n"
SMALL = NewGPT2Options(layers=2, width=32, heads=2, context=32, vocabulary=300)


def load(options=SMALL, texts=(SENTENCE,), **changes):
    settings = {"path": "", "start": None, "device": CPU, "dtype": torch.float32, "seed": 0}
    context = LoadContext(**(settings | changes), texts=lambda: iter(texts))
    return NewGPT2(options).load(context)


def codec_of(trunk):
    return TextCodec(trunk.tokenizer, TemplateOptions(), context_length=SMALL.context)


TEXTS = [
    "plain", " two  spaces ", "naïve — „Gänsefüßchen“", "日本語のだじゃれ", "tab\tline\r\nend", "don 't .",
    "\x00\x7f\u200b\ufeff", "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f469\U0001f3fd\u200d\U0001f680",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_gives_any_text_back(text):
    tokenizer = load().tokenizer
    tokens = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(tokens, clean_up_tokenization_spaces=False) == text
    assert tokenizer.decode(tokens) == text


def test_every_text_starts_with_end_of_text_and_ends_with_it():
    trunk = load()
    end = trunk.tokenizer.eos_token_id
    assert trunk.tokenizer("a").input_ids[0] == end == trunk.tokenizer.bos_token_id
    codec = codec_of(trunk)
    (row, _), *_ = text_blocks([Text(id="t", text="short")], codec)
    assert row.prompt == (end,)
    assert row.completions[0][-1] == end
    assert codec.encode_prompt("a question")[0] == end


def test_the_special_token_written_out_in_a_text_is_plain_text():
    trunk = load()
    tokens = codec_of(trunk).encode_text("a<|endoftext|>b")
    assert trunk.tokenizer.eos_token_id not in tokens


def test_the_model_has_the_size_that_was_asked_for_and_knows_its_special_tokens():
    trunk = load(texts=[SENTENCE * 20])
    config = trunk.model.config
    assert (config.n_layer, config.n_embd, config.n_head, config.n_positions) == (2, 32, 2, 32)
    assert config.vocab_size == len(trunk.tokenizer) <= 300
    assert config.eos_token_id == config.bos_token_id == trunk.tokenizer.eos_token_id
    assert trunk.lora is None


def test_weights_depend_on_the_seed_alone_and_the_global_random_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    weights = load(seed=5).model.transformer.wte.weight
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(load(seed=5).model.transformer.wte.weight, weights)
    assert not torch.equal(load(seed=6).model.transformer.wte.weight, weights)


def test_it_refuses_to_go_on_from_a_run_rather_than_to_throw_its_weights_away(tmp_path):
    with pytest.raises(RLHFError, match=r"cannot go on from .* set model.backbone"):
        load(start=tmp_path)


def test_a_width_that_heads_do_not_divide_is_named_with_one_that_they_do():
    with pytest.raises(RLHFError, match="width 33 is not a multiple of heads 2: try width 32"):
        NewGPT2(NewGPT2Options(width=33, heads=2))


def test_it_learns_a_repeated_sentence_in_a_few_steps():
    trunk = load(texts=[SENTENCE])
    policy = TrunkPolicy(trunk, codec_of(trunk), device=CPU)
    trainer = Pretrain(NoOptions())
    trainer.prepare(context_of(policy))
    rows = [row for row, _ in text_blocks([Text(id="t", text=SENTENCE)] * 2, policy.codec)]
    losses = train(trainer, rows, steps=60, learning_rate=5e-3)
    assert losses[0] == pytest.approx(
        math.log(len(trunk.tokenizer)), abs=0.3
    )  # knows nothing: the uniform distribution
    assert losses[-1] < 0.1
    opening = Row(record_id="t", prompt=(policy.codec.eos, *policy.codec.encode_text("Why did")))
    rollout = policy.sample([opening], SamplingSpec(max_new_tokens=24, temperature=0.0), seed=0)[0]
    text = trunk.tokenizer.decode(opening.prompt[1:] + rollout.completions[0], skip_special_tokens=True)
    assert text == SENTENCE
