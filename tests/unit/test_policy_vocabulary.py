"""The output layer read in blocks, against all of its logits at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rlhf_core.math.logprobs import entropy, token_logprobs
from rlhf_core.policy import vocabulary
from rlhf_core.policy.vocabulary import logits, token_statistics

WORDS, HIDDEN, POSITIONS = 23, 8, 11


def model_of(*, bias: bool = False, **config: float) -> SimpleNamespace:
    torch.manual_seed(0)
    layer = nn.Linear(HIDDEN, WORDS, bias=bias).requires_grad_(False)
    layer.weight.mul_(5.0)
    return SimpleNamespace(get_output_embeddings=lambda: layer, config=SimpleNamespace(**config))


@pytest.fixture(params=[(1024, 1024), (4, 5), (1, 1), (11, 23)], ids=lambda tile: "by".join(map(str, tile)))
def tile(request, monkeypatch):
    monkeypatch.setattr(vocabulary, "TILE", {"cpu": request.param, "cuda": request.param})


@pytest.mark.parametrize(
    "kind",
    [
        {}, {"bias": True}, {"logit_scale": 0.3}, {"logits_scaling": 4.0}, {"final_logit_softcapping": 2.0},
        {"bias": True, "logit_scale": 0.5, "final_logit_softcapping": 3.0},
    ],
    ids=lambda kind: " ".join(kind) or "plain",
)  # fmt: skip
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.usefixtures("tile")
def test_blocks_give_the_numbers_and_gradients_of_the_whole(kind, temperature):
    model = model_of(**kind)
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(POSITIONS, HIDDEN, generator=draw).requires_grad_()
    targets = torch.randint(WORDS, (POSITIONS,), generator=draw)
    weights = torch.randn(2, POSITIONS, generator=draw)

    whole = logits(model, hidden) / temperature
    expected = (token_logprobs(whole, targets), entropy(whole))
    found = token_statistics(model, hidden, targets, temperature=temperature, with_entropy=True)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    for chosen in ([0], [1], [0, 1]):
        gradients = [
            torch.autograd.grad(sum((both[i] * weights[i]).sum() for i in chosen), hidden, retain_graph=True)[0]
            for both in (found, expected)
        ]
        assert torch.allclose(*gradients, atol=2e-5), chosen
    with torch.no_grad():
        (alone,) = token_statistics(model, hidden, targets, temperature=temperature, with_entropy=False)
    assert torch.equal(alone, found[0].detach())


@pytest.mark.usefixtures("tile")
def test_a_sure_token_has_no_probability_above_one_and_a_lost_one_a_finite_logprob():
    """Logits of hundreds: exponentials are relative to the largest so far, which may come in any block."""
    model = model_of()
    hidden = 400.0 * model.get_output_embeddings().weight[:POSITIONS].clone().requires_grad_()
    best = logits(model, hidden).argmax(1)
    for targets in (best, (best + 1) % WORDS):
        logprobs, entropies = token_statistics(model, hidden, targets, temperature=1.0, with_entropy=True)
        assert bool((logprobs <= 0).all())
        assert bool(torch.isfinite(logprobs).all())
        assert bool((entropies.abs() < 1e-2).all())
        assert bool(torch.isfinite(torch.autograd.grad(logprobs.sum(), hidden)[0]).all())


def test_nothing_to_predict_gives_nothing():
    hidden = torch.zeros(0, HIDDEN, requires_grad=True)
    found = token_statistics(model_of(), hidden, torch.zeros(0).long(), temperature=1.0, with_entropy=True)
    assert [len(each) for each in found] == [0, 0]
