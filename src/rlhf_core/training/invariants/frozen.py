"""No frozen weight moves: those of the trunk under adapters, of the reference, of roles that are not trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .checksums import checksums
from .violation import violated

if TYPE_CHECKING:
    from ..context import TrainablePolicy


class FrozenWeights:
    """Checksums by name."""

    def __init__(self, policy: TrainablePolicy) -> None:
        self._policy = policy
        self._start: dict[str, int] = {}

    def begin(self) -> None:
        """Remember the weights as they are."""
        self._start = self._now()

    def require_same(self) -> None:
        """Raises: TrainingStopped naming the first weight that is another one now."""
        now = self._now()
        for name, start in self._start.items():
            if now.get(name) != start:
                raise violated(
                    f"frozen weights have moved: {name}",
                    means="the base or the reference is not what the run began with",
                    cause="an adapter was merged into the base and not taken out again, a second optimizer holds it, "
                    "or the run was resumed on another base",
                )

    def state(self) -> dict[str, int]:
        return dict(self._start)

    def load_state(self, state: Mapping[str, int]) -> None:
        self._start = dict(state)

    def _now(self) -> dict[str, int]:
        frozen = self._policy.frozen()
        return dict(zip(frozen, checksums(frozen.values()), strict=True))
