"""What a case of the alarms benchmark is: a run, and the alarm that it must raise, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Half = Literal["set", "held"]


@dataclass(frozen=True)
class Case:
    """A run.

    Args:
        world: its data and base. stage: of ``recipe.yaml``. seed: of the run.
        alarm: what must be raised; None for a healthy run, in which nothing may be.
        stop: words that the engine's message must have where it stops the run by itself: then it named the fault.
        rate: factor on the sensible learning rate.
        reward: function of ``rewards.py`` or ``planted.py``.
        data: a spoilt copy of the training data; ``held_too``: of the held-out.
        options: further settings by dotted keys.
    """

    name: str
    world: str
    stage: str
    alarm: str | None = None
    stop: str | None = None
    seed: int = 0
    rate: float = 1.0
    reward: str | None = None
    data: str | None = None
    held_too: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


FREE = {"trainer.kl_coef": 0.0}
UNCLIPPED = {"training.max_grad_norm": None}


def fault(alarm: str, variant: str, world: str, stage: str, **rest: Any) -> Case:
    return Case(name=f"{alarm}/{variant}-{world}", world=world, stage=stage, alarm=alarm, **rest)


def healthy(stage: str, world: str, seed: int, **rest: Any) -> Case:
    variant = rest.pop("variant", None) or rest.get("reward") or "plain"
    return Case(name=f"healthy/{stage}-{variant}-{world}-{seed}", world=world, stage=stage, seed=seed, **rest)


def few(records: int, epochs: int, **options: Any) -> dict[str, Any]:
    """So many records, gone through so often; evaluated ten times."""
    steps = {"training.steps": None, "training.epochs": epochs, "training.batch_size": min(8, records)}
    return {"data.limit": records, **steps, **options}
