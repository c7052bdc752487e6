"""Completions as rows of a policy, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlhf_core.contract.policy import Policy
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row

Batch = list[tuple[int, Row]]
"""Rows of one completion each, with the index of the completion."""


def text_row(policy: Policy, completion: Completion, *, finished: bool) -> Row:
    """The text under this policy's own template and tokenizer; no completion where there is no token to score."""
    if not completion.text and not finished:
        return Row(record_id=completion.group, prompt=policy.codec.encode_prompt(completion.conversation))
    return policy.codec.encode_completion(completion.conversation, completion.text, finished=finished)


def sampled_row(policy: Policy, completion: Completion) -> Row:
    """The very tokens that this policy sampled; the text encoded anew where there are none."""
    if completion.tokens is None:
        return text_row(policy, completion, finished=completion.finished)
    prompt = policy.codec.encode_prompt(completion.conversation)
    return Row(record_id=completion.group, prompt=prompt, completions=(completion.tokens,))


def batches(rows: Sequence[Row], batch_tokens: int) -> Iterator[Batch]:
    """Consecutive rows of at most ``batch_tokens`` together; a longer row goes alone, one without a token nowhere."""
    batch: Batch = []
    cost = 0
    for index, row in enumerate(rows):
        if not row.completions or not row.completions[0]:
            continue
        if batch and cost + row.cost > batch_tokens:
            yield batch
            batch, cost = [], 0
        batch.append((index, row))
        cost += row.cost
    if batch:
        yield batch
