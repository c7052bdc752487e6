"""What is different between runs, or between a run and the stage that is asked for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.store.run import RunFolder
from rlhf_core.training.identity import flatten

from .written import yaml

if TYPE_CHECKING:
    from .written.resolved import Stage

_SHOWN = 3


def differing_keys(run: RunFolder, stage: Stage, runs: Mapping[str, str]) -> str:
    """The first few keys of the recipe that changed; what else it may be where the recipe is the same."""
    try:
        before = yaml.load(run.recipe).plain()["stages"][0]
    except (RLHFError, KeyError, IndexError):
        return "its recipe"
    changed = changed_keys(before, stage.plain(dict(runs)))
    if not changed:
        return "its data, its base or a stage it builds on"
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(changed[:_SHOWN]) + more


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = flatten(before), flatten(now)
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def differing_settings(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """Option → its value in each run, in their order, for those that are not the same in all; empty where not set."""
    configs = [flatten(yaml.load(run.recipe).plain()["stages"][0]) if run.recipe.is_file() else {} for run in runs]
    keys = sorted({key for config in configs for key in config})
    values = {key: [str(config.get(key, "")) for config in configs] for key in keys}
    return {key: found for key, found in values.items() if len(set(found)) > 1}
