"""The sampling loop: prompts once, a key-value cache, samples dropped as they end, logprobs as they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf_core.contract.errors import RLHFError, TrainingStopped
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Rollout, Row, Tokens

from .drawing import draw, uniforms
from .quick_linears import quick_linears
from .runners import Runner
from .stopping import StopStrings
from .vocabulary import logits

CACHE_BYTES = {"cpu": 2**30, "cuda": 2**33}
"""Keys and values that one batch may hold; more prompts than fit are sampled batch by batch."""

LOOK_EVERY = {"cpu": 1, "cuda": 16}
"""Steps between two looks at what has ended. On a GPU a look waits for all that was asked of it before."""


@torch.no_grad()
def sample(
    model: PreTrainedModel, runner: Callable[[PreTrainedModel], Runner], rows: Sequence[Row], spec: SamplingSpec, *,
    seed: int, eos: int, context_length: int, decode: Callable[[Tokens], str],
) -> list[Rollout]:  # fmt: skip
    """``spec.n`` completions per row, in order.

    A completion ends at EOS, with the token that completes a stop string, at ``max_new_tokens``, or with the context.

    Args:
        decode: tokens to text as it is, for stop strings.

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
    stop = StopStrings(spec.stop, decode) if spec.stop else None
    with quick_linears(model, spec.precision, rows=len(rows) * spec.n):
        for indices in _batches(model, order, rows, spec):
            batch = _Batch(
                model, runner(model), [rows[index] for index in indices], spec, seed, eos, context_length, stop
            )
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


class _Batch:
    """Samples on their way, S of them, fewer as they end.

    The i-th row of every tensor, of ``live`` and of the runner's state belongs to one sample; the last one takes the
    place of one that ended, so that only its own state is copied.

    Attributes:
        live: numbers of the samples in those rows: row · n + index.
        limits: how many tokens each may have.
        uniform, tokens, logprobs: ``[S, max_new_tokens]``, the latter two filled column by column.
        ended: tokens, logprobs and whether it ended by itself, of each sample that is no longer live.
    """

    def __init__(
        self, model: PreTrainedModel, runner: Runner, rows: Sequence[Row], spec: SamplingSpec, seed: int, eos: int,
        context_length: int, stop: StopStrings | None,
    ) -> None:  # fmt: skip
        self.model, self.runner, self.rows, self.spec, self.eos, self.stop = model, runner, rows, spec, eos, stop
        device = model.device
        self.live = list(range(len(rows) * spec.n))
        self.limits = [
            min(spec.max_new_tokens, context_length - len(row.prompt)) for row in rows for _ in range(spec.n)
        ]
        drawn = [uniforms(seed, row.record_id, i, spec.max_new_tokens) for row in rows for i in range(spec.n)]
        self.uniform = torch.stack(drawn).to(device)
        self.tokens = torch.zeros(self.uniform.shape, dtype=torch.long, device=device)
        self.logprobs = torch.zeros_like(self.uniform)
        self.ended: dict[int, tuple[Tokens, Tensor, bool]] = {}

    def finish(self) -> list[Rollout]:
        """Draw until every sample has ended."""
        hidden = self.runner.start([row.prompt for row in self.rows], self.spec.max_new_tokens)
        scores = logits(self.model, hidden).repeat_interleave(self.spec.n, 0)
        self.runner.repeat(self.spec.n)
        looked, every = 0, LOOK_EVERY.get(self.model.device.type, 1)
        for step in range(self.spec.max_new_tokens):
            tokens, self.logprobs[:, step] = draw(scores, self.uniform[:, step], self.spec)
            self.tokens[:, step] = tokens
            if (step + 1) % every == 0 or step + 1 == self.spec.max_new_tokens:
                keep = self._look(looked, step + 1)
                looked = step + 1
                if not self.live:
                    break
                tokens = tokens if keep is None else tokens[keep]
            scores = logits(self.model, self.runner.advance(tokens))
        return self._rollouts()

    def _look(self, start: int, stop: int) -> Tensor | None:
        """Note which samples ended within these columns and drop them; the rows that stay, None for all of them."""
        stay = []
        for place, drawn in enumerate(self.tokens[:, start:stop].tolist()):
            end, limit = self._end(place, drawn, start), self.limits[self.live[place]]
            if end is None and limit > stop:
                stay.append(place)
            else:
                length = limit if end is None else min(end, limit)
                tokens, logprobs = self.tokens[place, :length], self.logprobs[place, :length]
                self.ended[self.live[place]] = (tuple(tokens.tolist()), logprobs.clone(), end == length)
        if len(stay) == len(self.live):
            return None
        order = _closed_up(stay)
        self.live = [self.live[place] for place in order]
        keep = torch.tensor(order, dtype=torch.long, device=self.uniform.device)
        self.uniform, self.tokens, self.logprobs = self.uniform[keep], self.tokens[keep], self.logprobs[keep]
        if order:
            self.runner.keep(keep)
        return keep

    def _end(self, place: int, drawn: Sequence[int], start: int) -> int | None:
        """Tokens of the sample if it ended by itself among those just ``drawn``, the first in column ``start``."""
        end = start + drawn.index(self.eos) + 1 if self.eos in drawn else None
        if self.stop is not None:
            whole = self.tokens[place, : end or start + len(drawn)].tolist()
            end = self.stop.end(whole, start) or end
        return end

    def _rollouts(self) -> list[Rollout]:
        if not all(bool(torch.isfinite(logprobs).all()) for _, logprobs, _ in self.ended.values()):
            raise TrainingStopped("sampling: the model's logits are NaN or infinite; the weights are broken")
        rollouts = []
        for index, row in enumerate(self.rows):
            completions, logprobs, finished = zip(
                *(self.ended[number] for number in range(index * self.spec.n, (index + 1) * self.spec.n)), strict=True
            )
            rollouts.append(
                Rollout(
                    record_id=row.record_id, prompt=row.prompt, completions=completions, logprobs=logprobs,
                    finished=finished,
                )
            )  # fmt: skip
        return rollouts


def _closed_up(stay: Sequence[int]) -> list[int]:
    """The same places, those beyond the new end moved into the gaps: ``[0, 2, 3]`` becomes ``[0, 3, 2]``."""
    count = len(stay)
    beyond = [place for place in stay if place >= count]
    staying = set(stay)
    return [place if place in staying else beyond.pop() for place in range(count)]
