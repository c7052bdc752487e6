"""Options of the rewards that read the text alone."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from rlhf_core.contract.options import Options


class WordCountOptions(Options):
    low: int = Field(default=20, ge=1)
    """Fewest words that cost nothing."""

    high: int | None = Field(default=None, ge=1)
    """Most words that cost nothing; null has no upper bound."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.high is not None and self.high < self.low:
            raise ValueError(f"high = {self.high} is below low = {self.low}")
        return self


class RepetitionOptions(Options):
    order: int = Field(default=3, ge=1)
    """Words in a row that count as repeated when they have stood in the text before."""
