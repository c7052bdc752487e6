"""Options of the reward model's trainer, and of its use as a reward source and as a judge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rlhf_core.contract.options import Options


class RewardModelOptions(Options):
    learn: Literal["pairs", "classes"] = "pairs"
    """``pairs``: chosen above rejected. ``classes``: labelled texts; the reward is the log-odds of ``positive``."""

    centering: float = Field(default=0.01, ge=0)
    """Weight of (chosen + rejected)², which keeps the mean reward at zero; pairs only."""

    margin: bool = True
    """Whether a pair's own ``margin`` column (0 where there is none) must be exceeded; pairs only."""

    positive: str | None = None
    """The label that the reward is for; classes only. Default: the first in alphabetical order."""


class RewardModelScoreOptions(Options):
    run: str
    """The run (or its model folder) of a trained reward model; ``stage:NAME`` for an earlier stage of the recipe."""

    output: Literal["logit", "logprob", "probability"] = "logit"
    """The head's output as it is, log sigma of it (log p of the positive class), or sigma of it."""

    batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass."""


class RewardModelJudgeOptions(Options):
    run: str
    """The run (or its model folder) of a trained reward model; ``stage:NAME`` for an earlier stage of the recipe."""

    margin: float = Field(default=0.0, ge=0)
    """Scores that are no further apart make a tie. A difference of d is a winning chance of σ(d): 0.4 is 60 %."""

    batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass."""
