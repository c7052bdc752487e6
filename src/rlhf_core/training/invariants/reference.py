"""The reference answers at the end as it did at the start: its logprobs on a few rows of the first batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...contract.rows import Row
from .violation import violated

if TYPE_CHECKING:
    from ..context import TrainablePolicy

TOLERANCE = 1e-3
"""Nats per token in float32, the same rows in the same pass each time; in lower precision :data:`ROUNDED_TOLERANCE`."""
ROUNDED_TOLERANCE = 0.1


class ReferenceProbe:
    """Rows that the reference is asked about again and again.

    Args: dtype: of forward passes.
    """

    def __init__(self, policy: TrainablePolicy, dtype: torch.dtype) -> None:
        self._policy = policy
        self._tolerance = TOLERANCE if dtype == torch.float32 else ROUNDED_TOLERANCE
        self._rows: list[Row] = []
        self._logprobs: Tensor | None = None

    def begin(self, rows: Sequence[Row]) -> None:
        """Remember what the reference says of ``rows`` now."""
        self._rows = [Row(record_id=row.record_id, prompt=row.prompt, completions=row.completions) for row in rows]
        self._logprobs = self._ask()

    def require_same(self) -> None:
        """Raises: TrainingStopped when the reference answers otherwise than at the start."""
        if self._logprobs is None:
            return
        difference = float((self._ask() - self._logprobs).abs().max())
        if not difference <= self._tolerance:
            raise violated(
                f"the reference has moved: a token's logprob differs by {difference:.3g} nats from that of the start",
                means="the KL is to a moving target, and what it holds back is not what the recipe says",
                cause="the reference shares weights that are trained, or an adapter that should be off is on",
            )

    def state(self) -> dict[str, Any]:
        if self._logprobs is None:
            return {}
        rows = [(row.record_id, list(row.prompt), [list(tokens) for tokens in row.completions]) for row in self._rows]
        return {"rows": rows, "logprobs": self._logprobs}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if state:
            self._rows = [
                Row(record_id=name, prompt=tuple(prompt), completions=tuple(map(tuple, completions)))
                for name, prompt, completions in state["rows"]
            ]
            self._logprobs = state["logprobs"]

    def _ask(self) -> Tensor:
        scored = self._policy.score(self._rows, "reference")
        return scored.logprobs[scored.mask].float().cpu()
