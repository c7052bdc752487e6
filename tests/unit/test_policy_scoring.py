"""Scores of the packed and padded passes against plain single-row calls of the model."""

from __future__ import annotations

import math

import pytest
import torch
from policy_parts import (
    CPU,
    EOS,
    LORA,
    ROWS,
    VOCABULARY,
    WordCodec,
    naive_logits,
    naive_logprobs,
    open_model,
    shared_model,
    stir,
    tiny_gpt2,
    tiny_policy,
    trunk_of,
)  # fmt: skip
from transformers import AutoConfig, AutoModelForCausalLM

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.rows import Row
from rlhf_core.policy import activations, attention, vocabulary
from rlhf_core.policy.activations import FastGELU, use_fast_gelu
from rlhf_core.policy.layout import pack
from rlhf_core.policy.packing import choose_layout
from rlhf_core.policy.policy import TrunkPolicy

LENGTHS = [3, 5, 2, 2, 3, 2]


@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logprobs_equal_those_of_plain_calls(layout, temperature):
    plain = tiny_gpt2()
    policy = tiny_policy()
    policy.layout = layout
    scored = policy.score(ROWS, temperature=temperature)
    expected = torch.cat([values for row in ROWS for values in naive_logprobs(plain, row, temperature)])
    assert scored.mask.sum(1).tolist() == LENGTHS
    assert torch.allclose(scored.logprobs[scored.mask], expected, atol=1e-5)
    assert scored.logprobs[~scored.mask].eq(0).all()


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_a_letter_whose_id_is_that_of_the_filling_counts_and_an_eos_inside_does(layout):
    """Id 0 fills what is short, and EOS is what others pad with: here both are real."""
    rows = [
        Row(record_id="zeros", prompt=(0, 0), completions=((0, 0, 5, 0), (0,))),
        Row(record_id="ends", prompt=(EOS, 7, 0), completions=((EOS, 0, EOS),)),
    ]
    policy = tiny_policy()
    policy.layout = layout
    scored = policy.score(rows)
    expected = torch.cat([values for row in rows for values in naive_logprobs(tiny_gpt2(), row)])
    assert scored.mask.tolist() == [[True] * 4, [True, False, False, False], [True, True, True, False]]
    assert torch.allclose(scored.logprobs[scored.mask], expected, atol=1e-5)


def test_packing_computes_a_prompt_once_and_adds_no_padding():
    assert pack(ROWS, CPU).input_ids.shape == (1, sum(row.cost for row in ROWS)) == (1, 25)


def test_scores_do_not_depend_on_the_rows_scored_beside():
    policy = tiny_policy()
    together = policy.score(ROWS).logprobs
    for index, row in enumerate(ROWS):
        alone = policy.score([row]).logprobs
        first = sum(len(before.completions) for before in ROWS[:index])
        assert torch.allclose(together[first : first + len(alone), : alone.shape[1]], alone, atol=1e-5)


def test_rows_without_completions_are_passed_over():
    policy = tiny_policy()
    bare = Row(record_id="bare", prompt=(3, 4))
    assert torch.equal(policy.score([bare, *ROWS]).logprobs, policy.score(ROWS).logprobs)


def test_a_completion_without_tokens_has_no_numbers():
    policy = tiny_policy()
    rows = [Row(record_id="some", prompt=(1, 2, 3), completions=((4,), (), (5, 6)))]
    bare = [Row(record_id="some", prompt=(1, 2, 3), completions=((4,), (5, 6)))]
    scored, expected = policy.score(rows), policy.score(bare)
    assert scored.mask.sum(1).tolist() == [1, 0, 2]
    assert torch.equal(scored.logprobs[scored.mask], expected.logprobs[expected.mask])


@pytest.mark.parametrize("lora", [LORA, None], ids=["lora", "full"])
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_gradients_equal_those_of_plain_calls(lora, layout):
    policy = tiny_policy(lora)
    policy.layout = layout
    policy.train_role("policy")
    stir(policy)
    weights = torch.randn(sum(LENGTHS), generator=torch.Generator().manual_seed(1))
    parameters = policy.trained()

    scored = policy.score(ROWS, want={"logprobs", "entropy"}, temperature=0.7)
    loss = (scored.logprobs[scored.mask] * weights).sum() + (scored.entropy[scored.mask] * weights.flip(0)).sum()
    found = torch.autograd.grad(loss, list(parameters.values()))

    with policy.roles.acting("policy") as model:
        tables = [naive_logits(model, row.prompt, c) / 0.7 for row in ROWS for c in row.completions]
        logprobs = torch.cat(tables).log_softmax(-1)
        targets = torch.tensor([token for row in ROWS for c in row.completions for token in c])
        entropies = -(logprobs.exp() * logprobs).sum(-1)
        naive = (logprobs[torch.arange(len(targets)), targets] * weights).sum() + (entropies * weights.flip(0)).sum()
        expected = torch.autograd.grad(naive, list(parameters.values()))
    for name, ours, theirs in zip(parameters, found, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * max(1.0, float(theirs.abs().max()))), name


def test_tiles_change_nothing(monkeypatch):
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)

    def run():
        scored = policy.score(ROWS, want={"logprobs", "entropy"})
        return scored, torch.autograd.grad(
            scored.logprobs.sum() + scored.entropy.sum(), list(policy.trained().values())
        )

    whole, whole_gradient = run()
    monkeypatch.setattr(vocabulary, "TILE", {"cpu": (3, 5), "cuda": (3, 5)})
    tiled, tiled_gradient = run()
    assert torch.allclose(whole.logprobs, tiled.logprobs, atol=1e-6)
    assert torch.allclose(whole.entropy, tiled.entropy, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole_gradient, tiled_gradient, strict=True))


def test_entropy_of_a_uniform_model_is_the_log_of_the_vocabulary():
    model = tiny_gpt2()
    torch.nn.init.zeros_(model.transformer.wte.weight)
    scored = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU).score(ROWS, want={"entropy", "logprobs"})
    assert torch.allclose(scored.entropy[scored.mask], torch.tensor(math.log(VOCABULARY)))
    assert torch.allclose(scored.logprobs[scored.mask], torch.tensor(-math.log(VOCABULARY)))


def test_heads_read_the_predicting_position_and_the_last_token():
    plain = tiny_gpt2()
    policy = tiny_policy()
    weight, bias = policy.add_head("value")
    assert policy.score(ROWS, want={"values"}).values.eq(0).all(), "a new head is zero"
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
        bias.fill_(0.25)
    scored = policy.score(ROWS, want={"values", "last"})
    row = ROWS[0]
    hidden = plain.transformer(torch.tensor([row.prompt + row.completions[1]])).last_hidden_state[0]
    expected = hidden @ weight[0] + 0.25
    assert torch.allclose(scored.values[1], expected[4:9], atol=1e-4)
    assert torch.allclose(scored.last[1], expected[9], atol=1e-4)
    assert scored.last.shape == (6,)
    with pytest.raises(ValueError, match="logprobs"):
        _ = scored.logprobs


def test_a_head_of_two_outputs_gives_two_numbers_per_completion():
    policy = tiny_policy()
    policy.add_head("class", outputs=2)
    assert policy.score(ROWS, want={"last"}, head="class").last.shape == (6, 2)


def test_exact_kl_is_zero_at_the_start_and_the_sum_over_the_vocabulary_later():
    policy = tiny_policy()
    policy.train_role("policy")
    assert policy.compare(ROWS).kl.abs().max() < 1e-5
    stir(policy)
    kl = policy.compare(ROWS).kl
    row = ROWS[0]
    with policy.roles.acting("policy") as model, torch.no_grad():
        mine = naive_logits(model, row.prompt, row.completions[0]).log_softmax(-1)
    base = naive_logits(tiny_gpt2(), row.prompt, row.completions[0]).log_softmax(-1)
    assert torch.allclose(kl[0, :3], (mine.exp() * (mine - base)).sum(-1), atol=1e-4)
    mask = policy.score(ROWS).mask
    assert kl[mask].min() > 0
    assert kl[~mask].eq(0).all()


def moved_policy():
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)
    return policy


def test_exact_kl_at_a_temperature_is_that_of_the_tempered_distributions():
    policy = moved_policy()
    row = ROWS[0]
    with policy.roles.acting("policy") as model, torch.no_grad():
        mine = (naive_logits(model, row.prompt, row.completions[1]) / 0.6).log_softmax(-1)
    base = (naive_logits(tiny_gpt2(), row.prompt, row.completions[1]) / 0.6).log_softmax(-1)
    found = policy.compare([row], temperature=0.6).kl[1]
    assert torch.allclose(found, (mine.exp() * (mine - base)).sum(-1), atol=1e-4)


def test_exact_kl_on_drawn_positions_averages_to_the_whole():
    """Over many seeds; the error of that mean is known from its spread."""
    policy = moved_policy()
    whole = policy.compare(ROWS).kl.sum(1)
    drawn = torch.stack([policy.compare(ROWS, positions=2, seed=seed).kl.sum(1) for seed in range(100)])
    error = drawn.std(0) / 10
    assert ((drawn.mean(0) - whole).abs() <= 4 * error + 1e-5).all()
    assert drawn.std(0)[1] > 0.01, "five tokens, two measured: the draw must matter"
    measured = policy.compare(ROWS, positions=2, seed=0).kl
    lengths = policy.score(ROWS).mask.sum(1)
    assert ((measured > 0).sum(1) == lengths.clamp(max=2)).all()


def test_exact_kl_on_as_many_positions_as_there_are_is_exact():
    policy = moved_policy()
    assert torch.allclose(policy.compare(ROWS, positions=5).kl, policy.compare(ROWS).kl, atol=1e-6)


def test_the_positions_of_a_record_do_not_depend_on_its_batch():
    policy = moved_policy()
    together = policy.compare(ROWS, positions=1, seed=3).kl
    alone = [policy.compare([row], positions=1, seed=3).kl for row in ROWS]
    assert torch.allclose(together.sum(1), torch.cat([kl.sum(1) for kl in alone]), atol=1e-5)
    assert not torch.equal(together > 0, policy.compare(ROWS, positions=1, seed=4).kl > 0)


def test_dropout_acts_inside_a_graph_and_only_when_allowed():
    policy = tiny_policy()
    policy.train_role("policy")
    still = policy.score(ROWS).logprobs.detach()
    assert torch.equal(policy.score(ROWS).logprobs, still)
    policy.allow_dropout = True
    assert not torch.allclose(policy.score(ROWS).logprobs, still, atol=1e-2)
    with torch.no_grad():
        assert torch.equal(policy.score(ROWS).logprobs, still)


def test_under_autocast_numbers_are_float32_and_near_those_without():
    policy = tiny_policy()
    policy.train_role("policy")
    stir(policy)
    policy.add_head("value")
    stir(policy)
    exact = policy.score(ROWS, want={"logprobs", "values"})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = policy.score(ROWS, want={"logprobs", "values"})
    assert rough.logprobs.dtype == rough.values.dtype == torch.float32
    difference = (rough.logprobs - exact.logprobs).abs().max()
    assert 0 < difference < 0.5
    (rough.logprobs.sum() + rough.values.sum()).backward()
    assert all(parameter.grad is not None for parameter in policy.trained().values())


def test_a_row_beyond_the_context_is_named():
    row = Row(record_id="pairs.jsonl:7", prompt=tuple(range(30)), completions=((1, 2, 3),))
    with pytest.raises(RLHFError, match=r"pairs\.jsonl:7: 33 tokens, but the context is 32"):
        tiny_policy().score([row])


def test_logprobs_at_temperature_zero_are_refused():
    with pytest.raises(ValueError, match="temperature"):
        tiny_policy().score(ROWS, temperature=0.0)


@pytest.mark.parametrize("kind", ["gelu_new", "gelu_pytorch_tanh"])
def test_the_fast_gelu_is_the_same_function(kind):
    model = tiny_gpt2(activation_function=kind)
    ids = torch.arange(20)[None]
    before = model(ids).logits
    use_fast_gelu(model)
    assert type(model.transformer.h[0].mlp.act) is FastGELU
    assert torch.allclose(model(ids).logits, before, atol=1e-4)


def test_the_fast_gelu_and_its_slope_in_many_chunks(monkeypatch):
    monkeypatch.setattr(activations, "CHUNK", 7)
    points = torch.cat([torch.linspace(-12, 12, 101), torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4])])
    for inputs in (points, torch.stack([points, points.flip(0)]).T):  # also one that does not lie in order
        exact = inputs.double().requires_grad_()
        expected = torch.nn.functional.gelu(exact, approximate="tanh")
        (slope,) = torch.autograd.grad(expected.sum(), exact)
        fast = inputs.clone().requires_grad_()
        found = FastGELU()(fast)
        (found_slope,) = torch.autograd.grad(found.sum(), fast)
        assert torch.allclose(found.double(), expected, rtol=1e-6, atol=1e-6)
        assert torch.allclose(found_slope.double(), slope, atol=4e-6)
        assert torch.equal(FastGELU()(inputs), found)


SMALL = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 32, "initializer_range": 0.2, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes", "layout"),
    [
        ("llama", {}, "packed"),
        ("qwen2", {}, "packed"),
        ("mistral", {"sliding_window": None}, "packed"),
        ("mistral", {"sliding_window": 8}, "padded"),
        ("gpt_neox", {}, "packed"),
        ("granite", {"logits_scaling": 3.0}, "packed"),
        ("gemma2", {"head_dim": 8, "final_logit_softcapping": 3.0}, "padded"),
        ("cohere", {}, "padded"),
    ],
)
def test_every_type_of_model_is_scored_right_packed_or_padded(kind, changes, layout):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(SMALL | changes))).eval()
    expected = torch.cat([values for row in ROWS for values in naive_logprobs(model, row)])
    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
    assert policy.layout == layout
    scored = policy.score(ROWS)
    assert torch.allclose(scored.logprobs[scored.mask], expected, atol=1e-4)


def test_packing_that_gives_other_numbers_is_not_used(monkeypatch):
    from rlhf_core.policy import packing

    torch.manual_seed(0)
    config = AutoConfig.for_model("bloom", vocab_size=64, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2)
    model = AutoModelForCausalLM.from_config(config).eval()
    monkeypatch.setattr(packing, "PACKABLE", frozenset({"bloom"}))
    assert choose_layout(model) == "padded", "ALiBi is added to the attention scores, which packing does not do"


@pytest.mark.shared_data
def test_a_trained_llama_is_packed_exactly():
    model = open_model(shared_model("llama-stories260K"))
    generator = torch.Generator().manual_seed(0)
    rows = [
        Row(
            record_id=str(i),
            prompt=(1, *torch.randint(3, 512, (8 + i,), generator=generator).tolist()),
            completions=tuple(tuple(torch.randint(3, 512, (n,), generator=generator).tolist()) for n in (12, 7)),
        )
        for i in range(3)
    ]
    expected = torch.cat([values for row in rows for values in naive_logprobs(model, row)])
    policy = TrunkPolicy(trunk_of(model, None), WordCodec(), device=CPU)
    scored = policy.score(rows)
    assert policy.layout == "packed"
    assert (scored.logprobs[scored.mask] - expected).abs().max() < 1e-4


@pytest.mark.parametrize("heads", [4, 2], ids=["own keys", "shared keys"])
def test_ways_to_attend_give_the_same_numbers_and_gradients(heads):
    """A call per completion on a CPU, one padded call on an accelerator."""
    rows = [
        Row(record_id="three", prompt=(1, 2, 3), completions=((4,), (5, 6, 7, 8), (9, 10))),
        Row(record_id="one", prompt=(1,), completions=((2, 3, 4, 5, 6),)),
        Row(record_id="two", prompt=(1, 2), completions=((3, 4), (5,))),
    ]
    layout = pack(rows, CPU)
    count = layout.input_ids.shape[1]
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(count, n, 8, generator=draw).requires_grad_() for n in (4, heads, heads))
    weights = torch.randn(count, 4, 8, generator=draw)
    padded = attention._padded(*(states[layout.spread] for states in (query, key, value)), layout.lengths, 0.3, 0.0)
    found = [attention._row_by_row(query, key, value, layout.parts, 0.3, 0.0), padded[layout.gather]]
    assert torch.allclose(*found, atol=1e-6)
    gradients = [torch.autograd.grad((output * weights).sum(), (query, key, value)) for output in found]
    assert all(torch.allclose(first, second, atol=1e-6) for first, second in zip(*gradients, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="flash attention of variable length is CUDA's")
def test_variable_length_attention_agrees_with_padding():
    lengths = [3, 7, 1]
    query, key, value = (torch.randn(11, count, 64, device="cuda", dtype=torch.bfloat16) for count in (4, 2, 2))
    found = attention._variable_length(query, key, value, lengths, 0.1)
    assert torch.allclose(found, attention._padded(query, key, value, lengths, 0.1, 0.0), atol=2e-2)
