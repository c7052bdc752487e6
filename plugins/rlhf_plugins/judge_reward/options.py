"""Options of the ``judge`` reward."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from rlhf_core.contract.options import Options


class JudgeRewardOptions(Options):
    judge: dict[str, Any]
    """The judge and its options, `{judge: chatgpt, model: …}`; a bare name stands for a judge without options."""

    against: str | None = None
    """For a judge that compares: the column of the data with the completion to beat, such as `chosen`. Asked in both
    orders, as everywhere: 1 for a win, 0.5 for a tie or orders that disagree, 0 for a loss; that is two questions a
    completion, of which a dry run counts one. Without it the judge grades."""

    max_unjudged: float = Field(0.1, ge=0, lt=1)
    """Share of a batch that may stay without a valid reply; beyond it the run stops. Completions without one get the
    mean score of their batch, which moves the policy in no direction, and are logged as the part `unjudged`."""

    @field_validator("judge", mode="before")
    @classmethod
    def _section(cls, judge: object) -> object:
        section = {"judge": judge} if isinstance(judge, str) else judge
        if isinstance(section, dict) and "judge" not in section:
            raise ValueError("must name a judge: {judge: NAME, …}")
        return section
