"""What the tests of the trainers share: a real context, gradients by name, a plain training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from policy_parts import CPU, LORA, WordCodec, open_model, shared_model, tiny_gpt2, tiny_tokenizer, trunk_of
from torch import Tensor

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import PromptRecord, Record
from rlhf_core.contract.reward import Completion, Reward
from rlhf_core.contract.rows import Row, Totals
from rlhf_core.contract.trainer import TrainContext, Trainer
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_core.training.context import build_context
from rlhf_core.training.world import World

LLAMA_LORA: Mapping[str, Any] = {
    "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"], "bias": "none",
    "task_type": "CAUSAL_LM",
}  # fmt: skip


class ByText(Reward):
    """A score that depends on every token's text, so that a wrong order or a lost token shows."""

    def __init__(self, function: Callable[[str], float] | None = None) -> None:
        self.function = function or (lambda text: sum(int(word[1:]) for word in text.split()) / 50 - 1.0)

    def score(self, completions: Sequence[Completion]) -> list[float]:
        return [self.function(completion.text) for completion in completions]


def new_policy(lora: Mapping[str, Any] | None = LORA, **changes: Any) -> TrunkPolicy:
    return TrunkPolicy(trunk_of(tiny_gpt2(**changes), lora), WordCodec(), device=CPU)


def llama_policy() -> TrunkPolicy:
    model = open_model(shared_model("llama-stories260K"))
    trunk = Trunk(model=model, tokenizer=tiny_tokenizer(), lora=LLAMA_LORA, adapter=None)
    return TrunkPolicy(trunk, WordCodec(), device=CPU)


def context_of(
    policy: TrunkPolicy, rows: Sequence[Row] = (), *, reward: Reward | None = None, labels: Sequence[str] = (),
    **sampling: Any,
) -> TrainContext:  # fmt: skip
    records: dict[str, Record] = {row.record_id: PromptRecord(id=row.record_id, prompt="p") for row in rows}
    spec = SamplingSpec(**({"max_new_tokens": 8} | sampling))
    return build_context(policy, sampling=spec, reward=reward, records=records, labels=labels, world=World.current())


def collect(trainer: Trainer[Any], rows: Sequence[Row], *, seed: int = 0) -> list[Any]:
    """Without gradient, as the engine collects."""
    with torch.no_grad():
        return list(trainer.collect(rows, seed=seed))


def gradients(trainer: Trainer[Any], parts: Sequence[Sequence[Row]]) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of one minibatch, gone through in ``parts``, as the engine adds them up."""
    policy: TrunkPolicy = trainer.policy  # type: ignore[attr-defined]
    totals = count([row for part in parts for row in part])
    parameters = policy.trained()
    for parameter in parameters.values():
        parameter.grad = None
    total = 0.0
    for part in parts:
        loss = trainer.loss(part, totals)
        loss.total.backward()
        total += loss.total.item()
    return total, {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in parameters.items()
    }


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    assert any(bool(gradient.abs().max() > 100 * atol) for gradient in expected.values()), "nothing is compared"
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=atol, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def train(trainer: Trainer[Any], rows: Sequence[Row], *, steps: int, learning_rate: float = 1e-2) -> list[float]:
    """The losses of so many AdamW steps on all rows at once."""
    policy: TrunkPolicy = trainer.policy  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(policy.trained().values(), lr=learning_rate, weight_decay=0.0)
    totals: Totals = count(rows)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = trainer.loss(rows, totals).total
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses
