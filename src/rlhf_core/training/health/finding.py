"""What a detector has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .history import History


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Like an :class:`~rlhf_core.contract.health.Alarm`, before anybody is told.

    Args:
        size: how bad it is, on the detector's own scale, above 0: an alarm is repeated when it has grown much.
    """

    size: float
    says: str
    evidence: str
    cause: str
    mend: str


Detector: TypeAlias = Callable[[History], Finding | None]
"""A pure function of what was measured so far; None where nothing is alarming, or what it looks at is not measured."""
