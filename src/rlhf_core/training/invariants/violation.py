"""How a broken invariant is told."""

from __future__ import annotations

from ...contract.errors import TrainingStopped


def violated(found: str, *, means: str, cause: str) -> TrainingStopped:
    """To be raised: what was found, what that means, and what usually brings it about."""
    return TrainingStopped(f"{found}: {means}; usual cause: {cause}. Nothing of this step is saved")
