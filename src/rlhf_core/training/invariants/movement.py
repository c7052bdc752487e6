"""Every trained weight takes part in the loss and moves, judged once the zero starts have let gradients through.

LoRA's B and new heads start at zero: behind a zero head the adapter's B has no gradient at the first update, and its A
none at the second. A gradient that is exactly zero is therefore no fault of its own (equal scores give it, too); having
no part in the loss at all is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from .checksums import checksums
from .violation import violated

if TYPE_CHECKING:
    from ..context import TrainablePolicy
    from ..world import World

UPDATES = 3
"""Optimizer steps after which is judged."""
LEAST_GRADIENT = 1e-6
"""Largest entry of a gradient that must move its weight: far above AdamW's epsilon."""
LEAST_RATE = 1e-6
"""Learning rate at which a weight of 1 must move: a smaller step may be lost in float32's rounding."""


class Movement:
    """Watches the first updates of a session, over all trained weights."""

    def __init__(self, policy: TrainablePolicy, world: World) -> None:
        self._policy = policy
        self._world = world
        self._parameters = dict(policy.trained())
        self._start: list[int] = []
        self._took_part: set[str] = set()
        self._pushed: set[str] = set()
        self._updates = 0

    def before_step(self) -> None:
        """This rank's gradients are there, and missing ones not yet filled with zeros."""
        if self._updates < UPDATES:
            self._start = self._start or checksums(self._parameters.values())
            self._took_part |= {name for name, parameter in self._parameters.items() if parameter.grad is not None}

    def after_step(self, optimizer: Optimizer) -> None:
        """Gradients over all ranks are still there, and the weights have moved.

        Raises: TrainingStopped at the last of the first updates, naming a weight that stands still.
        """
        if self._updates >= UPDATES:
            return
        self._updates += 1
        rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
        self._pushed |= {name for name in self._strongly_pulled() if rates[id(self._parameters[name])] >= LEAST_RATE}
        if self._updates == UPDATES:
            self._judge()

    def _strongly_pulled(self) -> list[str]:
        largest = torch.stack([parameter.grad.abs().max() for parameter in self._parameters.values()])  # type: ignore[union-attr]
        return [name for name, value in zip(self._parameters, largest.tolist(), strict=True) if value >= LEAST_GRADIENT]

    def _judge(self) -> None:
        took_part = set().union(*self._world.gather(self._took_part))
        now = self._policy.trained()
        still = dict(zip(self._parameters, self._start, strict=True))
        moved = {
            name
            for name, value in zip(self._parameters, checksums(self._parameters.values()), strict=True)
            if value != still[name]
        }
        for name, parameter in self._parameters.items():
            if now.get(name) is not parameter:
                raise _idle(name, "is another tensor than the one the optimizer holds")
            if name not in took_part:
                raise _idle(name, f"had no part in the loss of the first {UPDATES} updates")
            if name in self._pushed - moved:
                raise _idle(name, f"did not move in {UPDATES} updates although its gradient is not zero")


def _idle(name: str, found: str) -> Exception:
    return violated(
        f"trained weight {name} {found}",
        means="it would be saved as it began, and reported as trained",
        cause="switching adapters froze it (set_adapter), only adapters were marked as trainable, or the loss is "
        "computed from something else",
    )
