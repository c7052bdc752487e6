"""The sampling loop against the scorer, transformers' own generation, and the softmax it draws from."""

from __future__ import annotations

import pytest
import torch
from policy_parts import (
    CPU,
    EOS,
    ROWS,
    VOCABULARY,
    WordCodec,
    open_model,
    shared_model,
    stir,
    tiny_gpt2,
    tiny_grouped_llama,
    tiny_llama,
    tiny_neox,
    tiny_policy,
    trunk_of,
)  # fmt: skip
from scipy import stats

from rlhf_core.contract.errors import RLHFError, TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.policy import decoding
from rlhf_core.policy.cache import as_keyword
from rlhf_core.policy.drawing import draw, truncate, uniforms
from rlhf_core.policy.policy import TrunkPolicy

GOLDEN = [0.59689355, 0.49428296, 0.52451205]
PROMPTS = [Row(record_id=row.record_id, prompt=row.prompt) for row in ROWS]


def moved_policy(**changes):
    """A policy with an adapter that does something."""
    policy = tiny_policy(**changes)
    policy.train_role("policy")
    stir(policy)
    return policy


@pytest.mark.parametrize("temperature", [1.0, 0.5, 1.7])
def test_recomputed_logprobs_equal_those_of_sampling(temperature):
    policy = moved_policy()
    rollouts = policy.sample(PROMPTS, SamplingSpec(max_new_tokens=12, temperature=temperature, n=5), seed=3)
    scored = policy.score(rollouts, temperature=temperature)
    sampled = torch.cat([values for rollout in rollouts for values in rollout.logprobs])
    assert len({len(c) for rollout in rollouts for c in rollout.completions}) > 1, "some ended early"
    assert (scored.logprobs[scored.mask] - sampled).abs().max() < 1e-5


def test_completions_end_at_eos_or_at_the_limit():
    rollouts = moved_policy().sample(PROMPTS, SamplingSpec(max_new_tokens=10, n=8), seed=0)
    for rollout in rollouts:
        assert len(rollout.completions) == len(rollout.finished) == len(rollout.logprobs) == 8
        for completion, finished in zip(rollout.completions, rollout.finished, strict=True):
            assert EOS not in completion[:-1]
            assert finished == (completion[-1] == EOS)
            assert finished or len(completion) == 10


def test_completions_end_with_the_context():
    row = Row(record_id="long", prompt=tuple(range(2, 30)))
    policy = tiny_policy()
    policy.codec.eos = -1
    (rollout,) = policy.sample([row, *PROMPTS], SamplingSpec(max_new_tokens=10), seed=0)[:1]
    assert len(rollout.completions[0]) == 4
    assert rollout.finished == (False,)


def test_a_draw_depends_on_seed_record_and_sample_alone(monkeypatch):
    policy = moved_policy()
    spec = SamplingSpec(max_new_tokens=10, n=3)
    together = policy.sample(PROMPTS, spec, seed=4)
    alone = [policy.sample([row], spec, seed=4)[0] for row in PROMPTS]
    backwards = policy.sample(PROMPTS[::-1], spec, seed=4)[::-1]
    monkeypatch.setattr(decoding, "LOOK_EVERY", {"cpu": 100})
    monkeypatch.setattr(decoding, "CACHE_BYTES", {"cpu": 1})
    never_dropped = policy.sample(PROMPTS, spec, seed=4)
    completions = [rollout.completions for rollout in together]
    for other in (alone, backwards, never_dropped):
        assert [rollout.completions for rollout in other] == completions
    assert [r.completions for r in policy.sample(PROMPTS, spec, seed=5)] != completions
    assert len(set(together[0].completions)) == 3, "samples of one prompt differ"


def test_fewer_samples_are_a_prefix_of_more():
    policy = moved_policy()
    few = policy.sample(PROMPTS, SamplingSpec(max_new_tokens=6, n=2), seed=1)
    many = policy.sample(PROMPTS, SamplingSpec(max_new_tokens=6, n=4), seed=1)
    assert [r.completions for r in few] == [r.completions[:2] for r in many]


def test_sampling_leaves_weights_gradients_and_random_state_as_they_were():
    policy = moved_policy()
    before = {name: value.clone() for name, value in policy.roles.model.state_dict().items()}
    trained = set(policy.trained())
    state = torch.get_rng_state()
    logprobs = policy.score(ROWS).logprobs.detach()
    policy.sample(PROMPTS, SamplingSpec(max_new_tokens=4), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in policy.roles.model.state_dict().items())
    assert {n for n, p in policy.roles._peft.named_parameters() if p.requires_grad} == trained
    assert torch.equal(policy.score(ROWS).logprobs, logprobs)


@pytest.mark.parametrize("family", [tiny_gpt2, tiny_grouped_llama, tiny_neox])
def test_greedy_tokens_equal_those_of_transformers(family):
    """Of two forward passes of our own, grouped heads among them, and of a model that goes through transformers'."""
    model = family()
    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
    for row, rollout in zip(
        PROMPTS, policy.sample(PROMPTS, SamplingSpec(max_new_tokens=8, temperature=0), seed=0), strict=True
    ):
        ids = torch.tensor([row.prompt])
        theirs = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, pad_token_id=0,
            eos_token_id=EOS,
        )  # fmt: skip
        assert rollout.completions[0] == tuple(theirs[0, len(row.prompt) :].tolist())
        assert rollout.logprobs[0].eq(0).all(), "the likeliest token is drawn with probability 1"


ERROR_RATE = 1e-4
"""How often the test below would fail with other seeds though nothing is wrong."""


@pytest.mark.parametrize("family", [tiny_gpt2, tiny_grouped_llama, tiny_neox])
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "transformers"])
def test_sampled_tokens_follow_the_softmax(family, ours):
    """Pairs of tokens against the product of two softmaxes, by chi-square; transformers' own draws pass it as well."""
    model = family()
    prompt, temperature, count = PROMPTS[0].prompt, 0.7, 6000
    if ours:
        policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
        policy.codec.eos = -1
        (rollout,) = policy.sample(
            [PROMPTS[0]], SamplingSpec(max_new_tokens=2, temperature=temperature, n=count), seed=0
        )
        pairs = torch.tensor(rollout.completions)
    else:
        ids = torch.tensor([prompt])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            pairs = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=2, min_new_tokens=2, do_sample=True, top_k=0,
                temperature=temperature, num_return_sequences=count, pad_token_id=0, eos_token_id=VOCABULARY - 1,
            )[:, -2:]  # fmt: skip
    with torch.no_grad():
        together = torch.tensor([(*prompt, first) for first in range(VOCABULARY)])
        after = (model(input_ids=together).logits[:, -2:].double() / temperature).softmax(-1)
    expected = after[0, 0, :, None] * after[:, 1]
    if not ours:  # min_new_tokens forbids its EOS
        kept = expected[:-1, :-1].clone()
        kept /= kept.sum(1, keepdim=True)
        expected = torch.zeros_like(expected)
        first = after[0, 0, :-1] / after[0, 0, :-1].sum()
        expected[:-1, :-1] = first[:, None] * kept
    drawn = torch.bincount(pairs[:, 0] * VOCABULARY + pairs[:, 1], minlength=VOCABULARY**2).double()
    expected = expected.flatten() * count
    common = expected >= 5
    observed = torch.cat([drawn[common], drawn[~common].sum()[None]])
    wanted = torch.cat([expected[common], expected[~common].sum()[None]])
    assert len(wanted) > 20
    assert stats.chisquare(observed, wanted).pvalue > ERROR_RATE


def test_uniforms_are_the_same_on_every_machine():
    assert torch.allclose(uniforms(0, "pairs.jsonl:7", 2, 3), torch.tensor(GOLDEN), atol=1e-7)


def test_the_inverse_distribution_takes_the_token_whose_interval_holds_the_number():
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log().repeat(5, 1)
    uniform = torch.tensor([0.0, 0.4999, 0.5001, 0.6999, 0.9999])
    tokens, logprobs = draw(logits, uniform, SamplingSpec(max_new_tokens=1))
    assert tokens.tolist() == [0, 0, 1, 1, 2]
    assert torch.allclose(logprobs.exp(), torch.tensor([0.5, 0.5, 0.2, 0.2, 0.3]))


def test_a_token_of_probability_zero_is_never_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).repeat(3, 1)
    tokens, _ = draw(logits, torch.tensor([0.0, 0.5, 1 - 2**-24]), SamplingSpec(max_new_tokens=1))
    assert tokens.tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (SamplingSpec(max_new_tokens=1, top_k=2), [0, 2]),
        (SamplingSpec(max_new_tokens=1, top_p=0.5), [0]),
        (SamplingSpec(max_new_tokens=1, top_p=0.51), [0, 2]),
        (SamplingSpec(max_new_tokens=1, top_k=3, top_p=0.99), [0, 2, 1]),
        (SamplingSpec(max_new_tokens=1), [0, 2, 1, 3]),
    ],
)
def test_truncation_keeps_the_likeliest(spec, kept):
    truncated = truncate(torch.tensor([[0.5, 0.15, 0.3, 0.05]]).log(), spec)
    assert set(torch.isfinite(truncated[0]).nonzero()[:, 0].tolist()) == set(kept)


def test_logprobs_of_a_truncated_draw_are_of_what_was_left():
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log()
    tokens, logprobs = draw(logits, torch.tensor([0.9]), SamplingSpec(max_new_tokens=1, top_k=2))
    assert tokens.tolist() == [2]
    assert torch.allclose(logprobs.exp(), torch.tensor([0.3 / 0.8]))


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("family", [tiny_gpt2, tiny_llama])
def test_sampling_uses_nothing_that_transformers_is_about_to_drop(family):
    policy = TrunkPolicy(trunk_of(family(), None), WordCodec(), device=CPU)
    assert policy.sample(PROMPTS, SamplingSpec(max_new_tokens=3, n=2), seed=0)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_goes_by_the_name_that_the_model_has_for_it(name, monkeypatch):
    """A model of another package may still have the old name when transformers has the new one, and the reverse."""
    spec = SamplingSpec(max_new_tokens=6)
    model = tiny_gpt2()
    expected = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU).sample(PROMPTS, spec, seed=0)
    forward, installed = model.transformer.forward, next(iter(as_keyword(model, None)))

    def only_cache(cache=None, **others):
        return forward(**{installed: cache}, **others)

    def only_past_key_values(past_key_values=None, **others):
        return forward(**{installed: past_key_values}, **others)

    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
    monkeypatch.setattr(model.transformer, "forward", only_cache if name == "cache" else only_past_key_values)
    assert next(iter(as_keyword(model, None))) == name
    found = policy.sample(PROMPTS, spec, seed=0)
    assert [rollout.completions for rollout in found] == [rollout.completions for rollout in expected]


def test_a_prompt_without_room_is_named():
    row = Row(record_id="prompts.txt:3", prompt=tuple(range(32)))
    with pytest.raises(RLHFError, match=r"prompts\.txt:3: the prompt has 32 tokens, the context 32"):
        tiny_policy().sample([row], SamplingSpec(max_new_tokens=4), seed=0)


def test_broken_weights_stop_the_run():
    model = tiny_gpt2()
    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
    torch.nn.init.constant_(model.transformer.ln_f.weight, torch.nan)
    with pytest.raises(TrainingStopped, match="NaN"):
        policy.sample(PROMPTS, SamplingSpec(max_new_tokens=4), seed=0)


@pytest.mark.shared_data
def test_the_sorting_model_sorts_every_input_in_batches_of_any_length():
    model = open_model(shared_model("gpt2-nano-sort-85k"))
    codec = WordCodec()
    codec.eos = -1  # it has none: id 0, the usual padding, is the letter A
    policy = TrunkPolicy(trunk_of(model, None), codec, device=CPU)
    inputs = [tuple(map(int, torch.randint(0, 3, (6,), generator=torch.Generator().manual_seed(i)))) for i in range(60)]
    # Half of the prompts hold the first sorted letters already: two lengths in one batch.
    rows = [
        Row(record_id=str(i), prompt=letters + (tuple(sorted(letters)[:2]) if i % 2 else ()))
        for i, letters in enumerate(inputs)
    ]
    rollouts = policy.sample(rows, SamplingSpec(max_new_tokens=6, temperature=0), seed=0)
    for letters, row, rollout in zip(inputs, rows, rollouts, strict=True):
        done = row.prompt[6:] + rollout.completions[0]
        assert done[: len(row.prompt) - 6 + min(5, len(rollout.completions[0]))][:5] == tuple(sorted(letters))[:5]


@pytest.mark.shared_data
def test_the_llama_writes_what_transformers_writes():
    model = open_model(shared_model("llama-stories260K"))
    codec = WordCodec()
    codec.eos = 2
    policy = TrunkPolicy(trunk_of(model, None), codec, device=CPU)
    rows = [Row(record_id="once", prompt=(1,)), Row(record_id="longer", prompt=(1, 403, 407, 261, 378))]
    rollouts = policy.sample(rows, SamplingSpec(max_new_tokens=40, temperature=0), seed=0)
    for row, rollout in zip(rows, rollouts, strict=True):
        theirs = model.generate(torch.tensor([row.prompt]), max_new_tokens=40, do_sample=False, pad_token_id=0)
        assert rollout.completions[0] == tuple(theirs[0, len(row.prompt) :].tolist())
    spec = SamplingSpec(max_new_tokens=40, n=4)
    sampled = policy.sample(rows, spec, seed=0)
    scored = policy.score(sampled)
    assert (scored.logprobs[scored.mask] - torch.cat([v for r in sampled for v in r.logprobs])).abs().max() < 5e-5, (
        "logits of ten and more, in float32"
    )
