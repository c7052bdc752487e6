"""Options of the evaluators that read the text alone."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class TextOptions(Options):
    vocabulary: bool = True
    """Also measure the share of words that the run's training texts do not contain (where they are at hand)."""


class MemorisationOptions(Options):
    order: int = Field(3, ge=1)
    """Words per n-gram of the Jaccard index; shorter completions have none."""
