"""What is different between a run and the stage that is asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.store.run import RunFolder
from rlhf_core.training.identity import flatten

from . import yaml
from .resolved import Stage

_SHOWN = 3


def differing_keys(run: RunFolder, stage: Stage, runs: Mapping[str, str]) -> str:
    """The first few keys of the recipe that changed; data and what it builds on where the recipe is the same."""
    try:
        before = yaml.load(run.recipe).plain()["stages"][0]
    except (RLHFError, KeyError, IndexError):
        return "its recipe"
    changed = changed_keys(before, stage.plain(dict(runs)))
    if not changed:
        return "its data or a stage it builds on"
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(changed[:_SHOWN]) + more


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = flatten(before), flatten(now)
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
