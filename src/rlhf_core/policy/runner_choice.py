"""Which runner a model decodes with: the quickest that computes the same as transformers on a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf_core.contract.rows import Tokens

from .flat import FORWARDS
from .graphs import GraphedRunner
from .packing import HALF_TOLERANCE, TOLERANCE, is_packable
from .runners import FlatRunner, Runner, TransformersRunner

RunnerType: TypeAlias = type[GraphedRunner] | type[FlatRunner] | type[TransformersRunner]

QUICKEST_FIRST: Final[Mapping[str, tuple[RunnerType, ...]]] = {
    "cpu": (FlatRunner,), "cuda": (GraphedRunner, FlatRunner),
}  # fmt: skip
"""By device, of those that know the model's architecture."""

TRIAL_PROMPTS: Final[tuple[Tokens, ...]] = ((1, 2, 3), (3, 1, 4, 1, 2))


@torch.no_grad()
def choose_runner(model: PreTrainedModel) -> RunnerType:
    """The first whose hidden states on a trial are transformers' to rounding; transformers' own, for other models."""
    if model.config.model_type not in FORWARDS or not is_packable(model):
        return TransformersRunner
    device = model.device.type
    for runner in QUICKEST_FIRST.get(device, QUICKEST_FIRST["cpu"]):
        with torch.autocast(device, enabled=False):  # which would hide a small fault behind its own rounding
            right = _agrees(runner, model, TOLERANCE if model.dtype == torch.float32 else HALF_TOLERANCE)
        if right and (not torch.is_autocast_enabled(device) or _agrees(runner, model, HALF_TOLERANCE)):
            return runner
    return TransformersRunner


def _agrees(runner: RunnerType, model: PreTrainedModel, tolerance: float) -> bool:
    found, expected = _tried(runner, model), _tried(TransformersRunner, model)
    if found is None or expected is None:
        return False
    return bool((found - expected).abs().max() < tolerance * expected.abs().max().clamp(min=1.0))


def _tried(runner: RunnerType, model: PreTrainedModel) -> Tensor | None:
    """None where it cannot: a model may be made of other modules than its type has by itself."""
    try:
        return _trial(runner(model))
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None


def _trial(runner: Runner) -> Tensor:
    """Hidden states of two prompts of unlike length, of two further tokens, and of one after half are dropped."""
    size = runner.model.config.vocab_size  # may be smaller than a trial's tokens
    prompts = [tuple(token % size for token in prompt) for prompt in TRIAL_PROMPTS]
    states = [runner.start(prompts, 3)]
    device = states[0].device
    runner.repeat(2)
    for tokens in ([1, 2, 3, 4], [4, 3, 2, 1]):
        states.append(runner.advance(torch.tensor(tokens, device=device) % size).clone())
    runner.keep(torch.tensor([0, 3], device=device))
    states.append(runner.advance(torch.tensor([2, 1], device=device) % size))
    return torch.cat(states)
