"""What every backbone must do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from rlhf_core.contract.backbone import Backbone, LoadContext, Trunk
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Text
from rlhf_core.data.codec import TextCodec
from rlhf_core.policy.policy import TrunkPolicy, context_length

from . import samples
from .expecting import expecting
from .policy import CPU, TEMPLATE, save_tiny_model


def check_backbone(backbone: Backbone, *, path: str | None = None) -> None:
    """It loads the same frozen model each time, and a policy on it scores, samples and trains.

    Args:
        path: the model to load, by default a tiny random GPT-2 with a byte tokenizer in a folder of its own.
    Raises: AssertionError in one line.
    """
    name = type(backbone).__name__
    with tempfile.TemporaryDirectory() as temporary:
        source = path or str(save_tiny_model(Path(temporary)))
        with expecting(f"{name}: load()"):
            trunk, again = (backbone.load(_context(source)) for _ in range(2))
        _check_trunk(name, trunk)
        for (label, value), other in zip(trunk.model.named_parameters(), again.model.parameters(), strict=True):
            assert torch.equal(value, other), f"{name}: load() called twice with one seed gives another {label}"
        with expecting(f"{name}: a policy on what load() gave"):
            _use(name, trunk)


def _context(path: str) -> LoadContext:
    return LoadContext(
        path=path, start=None, device=CPU, dtype=torch.float32, seed=3,
        texts=lambda: (record.text for record in samples.records(Text) if isinstance(record, Text)),
    )  # fmt: skip


def _check_trunk(name: str, trunk: Trunk) -> None:
    free = [label for label, parameter in trunk.model.named_parameters() if parameter.requires_grad]
    assert not free, f"{name}: {free[0]} requires a gradient: freeze the trunk, roles unfreeze what they train"
    dtypes = {parameter.dtype for parameter in trunk.model.parameters()}
    assert dtypes == {torch.float32}, f"{name}: asked for float32, the model holds {sorted(map(str, dtypes))}"
    assert trunk.tokenizer.eos_token_id is not None, f"{name}: the tokenizer has no end-of-sequence token"
    room = trunk.model.get_input_embeddings().num_embeddings
    assert len(trunk.tokenizer) <= room, f"{name}: the tokenizer has {len(trunk.tokenizer)} tokens, the model {room}"


def _use(name: str, trunk: Trunk) -> None:
    codec = TextCodec(trunk.tokenizer, TEMPLATE, context_length=context_length(trunk))
    policy = TrunkPolicy(trunk, codec, device=CPU, seed=3)
    rows = [codec.encode_completion("bread", "I knead it."), codec.encode_completion("cats", "Nine lives.")]
    start = policy.score(rows, "reference").logprobs
    parameters = policy.train_role("policy")
    scored = policy.score(rows)
    assert torch.allclose(scored.logprobs, start, atol=1e-5), f"{name}: the policy does not start as its reference"
    scored.logprobs.sum().backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and bool(p.grad.any()) for p in parameters), f"{name}: training moves no weight"
    rollouts = policy.sample(rows, SamplingSpec(max_new_tokens=4), seed=1)
    assert all(rollout.completions[0] for rollout in rollouts), f"{name}: sampling gave no token"
