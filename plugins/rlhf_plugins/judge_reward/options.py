"""Options of the ``judge`` reward."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from rlhf_core.contract.options import Options


class JudgeRewardOptions(Options):
    judge: dict[str, Any]
    """The judge and its options, `{judge: chatgpt, model: …}`; a bare name stands for a judge without options."""

    max_unjudged: float = Field(0.1, ge=0, lt=1)
    """Share of a batch that may stay without a valid grade; beyond it the run stops. Completions without a grade get
    the mean grade of their batch, which moves the policy in no direction, and are logged as the part `unjudged`."""

    @field_validator("judge", mode="before")
    @classmethod
    def _section(cls, judge: object) -> object:
        section = {"judge": judge} if isinstance(judge, str) else judge
        if isinstance(section, dict) and "judge" not in section:
            raise ValueError("must name a judge: {judge: NAME, …}")
        return section
