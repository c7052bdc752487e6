"""What a trained reward model says of texts: its head's number at the last real token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import Policy
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row


def logits_of(policy: Policy, completions: Sequence[Completion], *, run: str, batch_tokens: int) -> Tensor:
    """The head's outputs in the order of the completions, ``[completions]`` on the CPU.

    Args:
        policy: a reward model, opened with its own tokenizer and template.
        run: what it is called in messages.
        batch_tokens: tokens per forward pass.
    Raises: RLHFError naming the completion that does not fit the model's context.
    """
    rows = [_encode(policy, completion, run) for completion in completions]
    found: list[Tensor] = []
    with torch.no_grad():
        for batch in _batches(rows, batch_tokens):
            last = _scored(policy, batch, run)
            found.append(last.float().cpu())
    return torch.cat(found) if found else torch.zeros(0)


def _scored(policy: Policy, batch: Sequence[Row], run: str) -> Tensor:
    try:
        last = policy.score(batch, "reward", want={"last"}, head="reward").last
    except RLHFError as error:
        raise RLHFError(f"reward-model {run}: {error}; name a run of `rlhf train --algo reward`") from error
    assert last is not None, "last was asked for"
    return last


def _encode(policy: Policy, completion: Completion, run: str) -> Row:
    """From text and not from tokens: the reward model may have another tokenizer and template than the policy."""
    try:
        return policy.codec.encode_completion(completion.conversation, completion.text, finished=completion.finished)
    except RLHFError as error:
        raise RLHFError(f"{completion.group}: reward-model {run}: {error}") from error


def _batches(rows: Sequence[Row], batch_tokens: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    cost = 0
    for row in rows:
        if batch and cost + row.cost > batch_tokens:
            yield batch
            batch, cost = [], 0
        batch.append(row)
        cost += row.cost
    if batch:
        yield batch
