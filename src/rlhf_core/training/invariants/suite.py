"""When each invariant is checked: the cheap ones at the first batch and at the end, all of them as often as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ...contract.policy import SamplingSpec
from ...contract.records import Record
from ...contract.rows import Rollout, Row
from ..precision import autocast
from ..world import World
from .divergence import require_kl
from .frozen import FrozenWeights
from .movement import Movement
from .places import require_places
from .reference import ReferenceProbe
from .sampling import measure_gap
from .tokens import require_one_tokenisation, require_whole

if TYPE_CHECKING:
    from ..context import TrainablePolicy

ROWS = 8
"""Rows of the first batch that are looked at."""
PROBE = 2
"""Rows on which two roles are compared over the whole vocabulary."""


class Invariants:
    """What must hold whatever the trainer; a broken one raises TrainingStopped with what it means.

    Args:
        records: of all rows, by id.
        dtype: of forward passes.
        writes: whether the role "policy" is what is trained (a reward model trains another).
        paranoid: every row of every batch, and the rest at each evaluation.
    """

    def __init__(
        self,
        policy: TrainablePolicy,
        records: Mapping[str, Record],
        *,
        sampling: SamplingSpec,
        dtype: torch.dtype,
        world: World,
        writes: bool,
        paranoid: bool,
    ) -> None:
        self._policy = policy
        self._records = records
        self._sampling = sampling
        self._dtype = dtype
        self._world = world
        self._writes = writes
        self._paranoid = paranoid
        self.movement = Movement(policy, world)
        self._frozen = FrozenWeights(policy)
        self._reference = ReferenceProbe(policy, dtype)
        self._probe: list[Row] = []
        self._begun = False
        self._first = True

    def collected(self, drawn: Sequence[Row], rows: Sequence[Row]) -> dict[str, float]:
        """A batch is ready and nothing of it trained on: ``drawn`` from the data, ``rows`` of ``collect``.

        Returns: ``sampling_gap`` where it is of interest (lower precision, of rollouts alone too, or paranoid).
        """
        exact = self._dtype == torch.float32 and self._sampling.precision == "full" and self._policy.samples_exactly
        reports = self._paranoid or not exact
        if not (self._first or reports):
            return {}
        thorough = self._first or self._paranoid
        chosen = rows if self._paranoid else spread(rows, ROWS)
        with self._measuring():
            if thorough:
                require_one_tokenisation(
                    drawn if self._paranoid else spread(drawn, ROWS), self._records, self._policy.codec
                )
                require_whole(chosen, self._policy.codec, stops=bool(self._sampling.stop))
                require_places(self._policy, chosen)
            gap = measure_gap(self._policy, [row for row in chosen if isinstance(row, Rollout)], self._sampling)
            gap.require_small(self._sampling, exact=exact)
            if self._first:
                self._begin(rows)
        self._first = False
        return gap.metrics(self._world) if reports else {}

    def evaluated(self) -> None:
        """An evaluation is done."""
        if self._paranoid:
            self.require_start_kept()

    def require_start_kept(self) -> None:
        """The reference and every frozen weight are what they were, and the KL to it is one."""
        with self._measuring():
            self._frozen.require_same()
            self._reference.require_same()
            if self._probe:
                require_kl(self._policy, self._probe, fresh=False)

    def state(self) -> dict[str, Any]:
        """What a resumed run is held to."""
        return {"frozen": self._frozen.state(), "reference": self._reference.state()} if self._begun else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Raises: TrainingStopped when base or reference are not those that the run began with."""
        if state:
            self._begun = True
            self._frozen.load_state(state["frozen"])
            self._reference.load_state(state["reference"])
            self.require_start_kept()

    def _begin(self, rows: Sequence[Row]) -> None:
        """The first batch of a session; of a run, unless it was resumed."""
        if self._writes and self._policy.keeps_reference:
            self._probe = [row for row in spread(rows, PROBE) if row.completions]
        if self._probe:
            require_kl(self._policy, self._probe, fresh=not self._begun)
        if self._begun:
            return
        self._begun = True
        self._frozen.begin()
        if self._probe:
            self._reference.begin(self._probe)

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        with torch.no_grad(), autocast(self._dtype, self._policy.device):
            yield


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """The shortest and the longest prompts: what padding does to either shows beside the other."""
    order = sorted(rows, key=lambda row: len(row.prompt))
    return order if len(order) <= count else order[: count // 2] + order[-(count - count // 2) :]
