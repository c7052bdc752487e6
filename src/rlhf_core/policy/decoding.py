"""The sampling loop: prompts once, a key-value cache, finished rows dropped as they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from rlhf_core.contract.errors import RLHFError, TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Rollout, Row

from .cache import as_keyword, make_cache
from .drawing import draw, uniforms
from .vocabulary import logits

CACHE_BYTES = {"cpu": 2**30, "cuda": 2**33}
"""Keys and values that one batch may hold; more prompts than fit are sampled batch by batch."""

DROP_SHARE = 8
"""Finished rows are dropped once they are one in eight: each time costs a copy of the cache."""


@torch.no_grad()
def sample(
    model: PreTrainedModel, rows: Sequence[Row], spec: SamplingSpec, *, seed: int, eos: int, context_length: int
) -> list[Rollout]:
    """``spec.n`` completions per row, in order. A completion ends at EOS, at ``max_new_tokens``, or with the context.

    Raises:
        RLHFError naming the record whose prompt leaves no room. TrainingStopped when the model gives NaN.
    """
    for row in rows:
        if len(row.prompt) >= context_length:
            raise RLHFError(
                f"{row.record_id}: the prompt has {len(row.prompt)} tokens, the context {context_length}: no room for "
                "a completion; shorten the prompt or set data.max_prompt_tokens"
            )
    # Prompts of like length share a batch: little padding. What is drawn does not depend on it.
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].prompt))
    rollouts: dict[int, Rollout] = {}
    for indices in _batches(model, order, rows, spec):
        batch = _Batch.begin(model, [rows[index] for index in indices], spec, seed, eos, context_length)
        rollouts |= zip(indices, batch.finish(), strict=True)
    return [rollouts[index] for index in range(len(rows))]


def _batches(
    model: PreTrainedModel, order: Sequence[int], rows: Sequence[Row], spec: SamplingSpec
) -> Iterator[list[int]]:
    config = model.config
    token_bytes = 2 * config.num_hidden_layers * config.hidden_size * model.dtype.itemsize
    budget = CACHE_BYTES.get(model.device.type, CACHE_BYTES["cpu"])
    batch: list[int] = []
    for index in order:  # by rising length: the newest is the longest
        cost = (len(rows[index].prompt) + spec.max_new_tokens) * spec.n * token_bytes
        if batch and (len(batch) + 1) * cost > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@dataclass
class _Batch:
    """Samples on their way. S samples in all; the first ``len(live)`` rows of the state belong to ``live``.

    Args:
        uniform: ``[S, max_new_tokens]``. limits: ``[S]``, how many tokens each may have.
        tokens, logprobs: ``[S, max_new_tokens]``, filled column by column. lengths: ``[S]``, known once a sample ended.
        live: indices of the samples still in the cache. mask: ``[live, seen]``, 1 at real tokens.
        next_position: ``[live]``.
        next_logits: ``[live, vocabulary]``.
    """

    model: PreTrainedModel
    rows: Sequence[Row]
    spec: SamplingSpec
    eos: int
    uniform: Tensor
    limits: Tensor
    tokens: Tensor
    logprobs: Tensor
    lengths: Tensor
    live: Tensor
    mask: Tensor
    next_position: Tensor
    next_logits: Tensor
    cache: DynamicCache

    @classmethod
    def begin(
        cls, model: PreTrainedModel, rows: Sequence[Row], spec: SamplingSpec, seed: int, eos: int, context_length: int
    ) -> _Batch:
        """Run the prompts, left-padded, and share each one's cache among its samples."""
        device, longest = model.device, max(len(row.prompt) for row in rows)
        filled = [(0,) * (longest - len(row.prompt)) + row.prompt for row in rows]
        lengths = torch.tensor([len(row.prompt) for row in rows], device=device)
        mask = (torch.arange(longest, device=device) >= longest - lengths[:, None]).long()
        cache = make_cache(model, longest + spec.max_new_tokens)
        output = model.base_model(
            input_ids=torch.tensor(filled, device=device), attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0), use_cache=True, **as_keyword(model, cache),
        )  # fmt: skip
        next_logits = logits(model, output.last_hidden_state[:, -1])
        if spec.n > 1:
            cache.batch_repeat_interleave(spec.n)
        count = len(rows) * spec.n
        drawn = [uniforms(seed, row.record_id, i, spec.max_new_tokens) for row in rows for i in range(spec.n)]
        lengths = lengths.repeat_interleave(spec.n)
        return cls(
            model=model, rows=rows, spec=spec, eos=eos, cache=cache,
            uniform=torch.stack(drawn).to(device),
            limits=(context_length - lengths).clamp(max=spec.max_new_tokens),
            tokens=torch.zeros(count, spec.max_new_tokens, dtype=torch.long, device=device),
            logprobs=torch.zeros(count, spec.max_new_tokens, device=device),
            lengths=torch.zeros(count, dtype=torch.long, device=device),
            live=torch.arange(count, device=device),
            mask=mask.repeat_interleave(spec.n, 0),
            next_position=lengths,
            next_logits=next_logits.repeat_interleave(spec.n, 0),
        )  # fmt: skip

    def finish(self) -> list[Rollout]:
        """Draw until every sample has ended."""
        for step in range(self.spec.max_new_tokens):
            tokens, logprobs = draw(self.next_logits, self.uniform[self.live, step], self.spec)
            self.tokens[self.live, step] = tokens
            self.logprobs[self.live, step] = logprobs
            running = self.lengths[self.live] == 0
            ended = running & ((tokens == self.eos) | (self.limits[self.live] == step + 1))
            self.lengths[self.live[ended]] = step + 1
            running &= ~ended
            left = int(running.sum())
            if left == 0:
                break
            if len(running) - left >= len(running) / DROP_SHARE:
                tokens = self._keep(running.nonzero()[:, 0], tokens)
            self._advance(tokens)
        return self._rollouts()

    def _keep(self, indices: Tensor, tokens: Tensor) -> Tensor:
        self.cache.batch_select_indices(indices)
        self.live, self.mask = self.live[indices], self.mask[indices]
        self.next_position = self.next_position[indices]
        return tokens[indices]

    def _advance(self, tokens: Tensor) -> None:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        output = self.model.base_model(
            input_ids=tokens[:, None], attention_mask=self.mask, position_ids=self.next_position[:, None],
            use_cache=True, **as_keyword(self.model, self.cache),
        )  # fmt: skip
        self.next_logits = logits(self.model, output.last_hidden_state[:, -1])
        # A sample that ended but is not dropped yet runs on, unread; at the context's end it stays where it is.
        context = getattr(self.model.config, "max_position_embeddings", None)
        self.next_position = self.next_position + 1
        if context is not None:
            self.next_position = self.next_position.clamp(max=context - 1)

    def _rollouts(self) -> list[Rollout]:
        lengths = self.lengths.tolist()
        tokens = [tuple(row[:length]) for row, length in zip(self.tokens.tolist(), lengths, strict=True)]
        logprobs = [row[:length].clone() for row, length in zip(self.logprobs, lengths, strict=True)]
        if not all(bool(torch.isfinite(row).all()) for row in logprobs):
            raise TrainingStopped("sampling: the model's logits are NaN or infinite; the weights are broken")
        rollouts = []
        for index, row in enumerate(self.rows):
            own = slice(index * self.spec.n, (index + 1) * self.spec.n)
            rollouts.append(
                Rollout(
                    record_id=row.record_id,
                    prompt=row.prompt,
                    completions=tuple(tokens[own]),
                    logprobs=tuple(logprobs[own]),
                    finished=tuple(c[-1] == self.eos for c in tokens[own]),
                )
            )
        return rollouts
