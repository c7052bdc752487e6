"""Options of the ``weighted-sum`` reward."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rlhf_core.contract.options import Options


class Part(BaseModel):
    """One summand. Every key beside these is an option of the reward it names, which checks them itself."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, allow_inf_nan=False)

    reward: str
    """Name of a reward component; its options follow beside it."""

    weight: float = 1.0
    """Factor of its score; negative for a penalty."""

    name: str | None = None
    """Under which it is logged; the reward's own name if not given."""

    @property
    def label(self) -> str:
        return self.name or self.reward

    @property
    def section(self) -> dict[str, Any]:
        """The recipe section of the reward itself."""
        return {"reward": self.reward, **(self.model_extra or {})}


class WeightedSumOptions(Options):
    parts: tuple[Part, ...] = Field(min_length=1)
    """The summands: `- {reward: puns, weight: 0.5}`, with the reward's own options beside them."""

    @model_validator(mode="after")
    def _labels_are_unique(self) -> Self:
        labels = [part.label for part in self.parts]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two parts are called {label!r}; give each a `name`")
        return self
