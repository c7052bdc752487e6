"""Trains the cases: a run folder each, kept, so that detectors can be changed without training anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import rewards
import worlds
from case import Case

import rlhf_core
from rlhf_core.contract.errors import TrainingStopped
from rlhf_core.store.run import RunFolder


def run_case(case: Case, root: Path) -> RunFolder:
    """The case's run; trained now unless it is there already. One that the engine stopped counts as it stands."""
    world = worlds.make(case.world, root.resolve() / "worlds" / case.world)
    folder = root / case.name
    if RunFolder(folder).exists and RunFolder(folder).status in ("finished", "failed"):
        return RunFolder.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        rlhf_core.train(
            stage=case.stage, config=str(world / "recipe.yaml"), output=folder, seed=case.seed,
            set=settings(case, world), tell=lambda _line: None,
        )  # fmt: skip
    except TrainingStopped as stopped:
        print(f"{case.name}: stopped: {stopped}")
    return RunFolder.open(folder)


def settings(case: Case, world: Path) -> dict[str, Any]:
    base = worlds.settings(case.world, world, case.stage)
    found = {**base, "training.learning_rate": base["training.learning_rate"] * case.rate, **case.options}
    if case.stage == "ppo":
        found.setdefault("training.learning_rates.value", worlds.value_rate(case.world))
        if case.reward:
            file = "rewards" if hasattr(rewards, case.reward) else "planted"
            found["reward.function"] = f"{worlds.HERE / file}.py:{case.reward}"
    if case.data:
        kind = {"sft": "demonstrations", "classes": "labelled"}.get(case.stage, "pairs")
        found["data.sources.0.path"] = str((world / f"{kind}-{case.data}.jsonl").resolve())
        if case.held_too:
            found["data.validation.sources.0.path"] = str((world / f"{kind}-{case.data}-held.jsonl").resolve())
    return found
