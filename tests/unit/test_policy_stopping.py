"""Completions that end with a string, wherever the borders of tokens are."""

from __future__ import annotations

import dataclasses
from importlib.resources import as_file, files

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_parts import CPU, EOS, ROWS, WordCodec, open_model, tiny_policy, trunk_of
from transformers import AutoTokenizer

from rlhf_core.contract.errors import TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Rollout, Row
from rlhf_core.policy import decoding
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.policy.stopping import StopStrings
from rlhf_core.testing.tokenizer import byte_tokenizer
from rlhf_core.training.invariants.tokens import require_whole

PROMPTS = [Row(record_id=row.record_id, prompt=row.prompt) for row in ROWS]
BYTES = byte_tokenizer()


@pytest.fixture(scope="module")
def shipped():
    """The embedded model with its tokenizer of merged bytes."""
    with as_file(files("rlhf_core.res") / "tiny-gpt2") as folder:
        return open_model(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def first_end(strings, decode, tokens):
    return next((n for n in range(1, len(tokens) + 1) if any(s in decode(tokens[:n]) for s in strings)), None)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("aab é€\n", min_size=1, max_size=12),
    strings=st.lists(st.text("abé€\n ", min_size=1, max_size=3), min_size=1, max_size=2),
)
def test_a_string_ends_where_the_text_first_contains_it_though_characters_span_tokens(text, strings):
    tokens = tuple(BYTES(text)["input_ids"])
    assert StopStrings(strings, BYTES.decode).end(tokens, 0) == first_end(strings, BYTES.decode, tokens)


@pytest.mark.parametrize("text", ["Why did the cat sit? It liked the view.", "one\n\ntwo  three", "élan vital"])
def test_with_merged_tokens_the_end_is_where_the_text_first_contains_it(shipped, text):
    _, tokenizer = shipped
    tokens = tuple(tokenizer(text)["input_ids"])
    strings = {text[i : i + n] for i in range(len(text)) for n in (1, 2, 3, 7)}
    for string in sorted(strings):
        assert StopStrings([string], tokenizer.decode).end(tokens, 0) == first_end([string], tokenizer.decode, tokens)


def test_the_text_is_read_behind_few_tokens_only():
    reads = []
    stop = StopStrings(["#"], lambda tokens: reads.append(tokens) or "".join(map(chr, tokens)))
    tokens = tuple(map(ord, "abcabcabcabc#"))
    assert stop.end(tokens, 0) == 13
    assert [len(read) for read in reads] == [1, 1, 1, 1, 13], "each token once by itself, and the whole once"


@pytest.mark.parametrize("look_every", [1, 100])
def test_sampling_cuts_what_it_would_have_drawn_anyway(look_every, monkeypatch):
    monkeypatch.setattr(decoding, "LOOK_EVERY", {"cpu": look_every})
    policy = tiny_policy()
    spec = SamplingSpec(max_new_tokens=20, n=12, temperature=3.0)
    strings = ("5 w3", "w1")  # w13 and a border of tokens as well; w1 itself is EOS
    whole = policy.sample(PROMPTS, spec, seed=0)
    cut = policy.sample(PROMPTS, dataclasses.replace(spec, stop=strings), seed=0)
    decode, ends = policy.tokenizer.decode, set()
    for before, after in zip(whole, cut, strict=True):
        for tokens, kept, logprobs, finished in zip(
            before.completions, after.completions, after.logprobs, after.finished, strict=True
        ):
            end = first_end(strings, decode, tokens)
            assert kept == tokens[:end]
            assert len(logprobs) == len(kept)
            assert finished == (end is not None)
            ends.add(decode(kept[-2:])[-4:] in strings)
    assert ends == {True, False}, "some ended across a border of tokens"


def test_the_same_tokens_as_transformers_with_stop_strings(shipped):
    model, tokenizer = shipped
    policy = TrunkPolicy(dataclasses.replace(trunk_of(model, None), tokenizer=tokenizer), WordCodec(), device=CPU)
    policy.codec.eos = tokenizer.eos_token_id
    spec = SamplingSpec(max_new_tokens=24, temperature=0)
    cut = 0
    for prompt in ("make a pun about pianos", "tell me about the sea"):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        row = Row(record_id=prompt, prompt=tuple(ids[0].tolist()))
        (free,) = policy.sample([row], spec, seed=0)
        text = tokenizer.decode(free.completions[0])
        for string in (text[5:8], text[9:14], text[3:4]):
            (ours,) = policy.sample([row], dataclasses.replace(spec, stop=(string,)), seed=0)
            theirs = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, stop_strings=[string],
                tokenizer=tokenizer, pad_token_id=0, eos_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
            assert ours.completions[0] == tuple(theirs[0, ids.shape[1] :].tolist())
            assert ours.finished == (True,)
            cut += len(ours.completions[0]) < len(free.completions[0])
    assert cut > 3


def test_a_completion_without_eos_may_be_finished_where_strings_stop_it_and_nowhere_else():
    row = Rollout(record_id="r", prompt=(3,), completions=((4, 5),), logprobs=(torch.zeros(2),), finished=(True,))
    require_whole([row], WordCodec(), stops=True)
    with pytest.raises(TrainingStopped, match="finished is True"):
        require_whole([row], WordCodec())
    unfinished = dataclasses.replace(row, completions=((4, EOS),), finished=(False,))
    with pytest.raises(TrainingStopped, match="finished is False"):
        require_whole([unfinished], WordCodec(), stops=True)
