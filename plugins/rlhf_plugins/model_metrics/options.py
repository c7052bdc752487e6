"""Options of the evaluators that need a model."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class _BatchOptions(Options):
    batch_tokens: int = Field(4096, gt=0)
    """Tokens per forward pass; less where memory is short."""


class PerplexityOptions(_BatchOptions):
    model: str | None = None
    """Run or model folder to measure with; without it the base model of the evaluated run."""


class KLOptions(_BatchOptions):
    temperature: float = Field(1.0, gt=0)
    """Of both distributions: what the completions were sampled at."""


class RewardModelScoreOptions(_BatchOptions):
    run: str
    """Run folder of a reward model (`rlhf train --algo reward`)."""
