"""Options of Acme's components. The text below a field is its help, in `rlhf plugins show` and in error messages."""

from __future__ import annotations

from pydantic import Field

from rlhf_core import Options


class GRPOOptions(Options):
    group_size: int = Field(default=4, ge=2)
    """Completions per prompt; their mean score is the baseline."""

    inner_epochs: int = Field(default=2, ge=1)
    """Passes over each batch of groups."""

    clip_range: float = Field(default=0.2, gt=0, lt=1)
    """The ratio pi/pi_old is clipped to 1 ± this."""

    beta: float = Field(default=0.04, ge=0)
    """Weight of the KL to the reference (k3, nats per token) in the loss."""


class VarietyOptions(Options):
    min_words: int = Field(default=3, ge=1)
    """Shorter texts score 0."""
