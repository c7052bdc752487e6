"""What is told of a run that may be going wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A sign of trouble, in plain language. It stops nothing: a run goes on.

    Args:
        name: of the kind of trouble, such as ``over-optimisation``; what ``training.alarms.off`` lists.
        step: after which it was seen.
        says: what is wrong, one sentence.
        evidence: the numbers and steps it is seen from.
        cause: the likeliest cause.
        mend: what to try first.
    """

    name: str
    step: int
    says: str
    evidence: str
    cause: str
    mend: str

    def to_json(self) -> dict[str, Any]:
        """A line of ``alarms.jsonl``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Alarm:
        return cls(**{field.name: saved[field.name] for field in dataclasses.fields(cls)})
