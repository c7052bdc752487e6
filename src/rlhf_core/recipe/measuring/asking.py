"""`rlhf evaluate`: from a run and the flags beside it to what is measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.run import RunFolder

from ..choosing import data_section
from ..written.node import Node, node_of
from ..written.resolve import read, resolve
from ..written.resolved import Evaluate
from ..written.sections import STAGE_PREFIX
from ..written.settings import with_settings, with_value


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a user wants to be measured; what is None is as the recipe has it.

    Args:
        config: a recipe with an ``evaluate`` section; None for the one that the run was made with.
        settings: ``key=value`` of the ``evaluate`` section.
    """

    judge: Mapping[str, Any] | None = None
    config: str | None = None
    evaluators: Sequence[Mapping[str, Any]] | None = None
    data: str | None = None
    settings: Sequence[str] = ()


def pose(question: Question, run: RunFolder, catalog: Catalog, tell: Callable[[str], None]) -> Evaluate:
    """The evaluation section with the question laid over it, resolved.

    Raises: RLHFError with everything that is wrong with it.
    """
    recipe = read([question.config or str(run.recipe)])
    section = recipe.get("evaluate")
    if section is None or not isinstance(section.value, dict):
        recipe = recipe.with_value("evaluate", Node({}, recipe.place, recipe.folder))
    elif question.evaluators is None:
        recipe = recipe.with_value("evaluate", _measurable(section, run, tell))
    if question.evaluators is not None:
        recipe = _laid(recipe, "evaluators", list(question.evaluators), "--evaluator")
    if question.data is not None:
        data = {"sources": data_section(question.data, catalog)["sources"]}
        recipe = _laid(recipe, "data", data, "--data")
    if question.judge is not None:
        recipe = _laid(recipe, "judge", dict(question.judge), "--judge")
    recipe = with_settings(recipe, [_of_section(setting) for setting in question.settings])
    evaluate = resolve(recipe, catalog, stages=[], evaluate=True).evaluate
    assert evaluate is not None, "the section was put there"
    return evaluate


def free_name(run: RunFolder, asked: Evaluate, baseline: str | None) -> str:
    """``offline`` or the judge's name, the baseline's behind it, with a number where that is taken."""
    base = asked.judge.name if asked.judge else "offline"
    if baseline is not None:
        base += "-against-" + re.sub(r"[^\w.]+", "-", Path(baseline).name or baseline)
    taken, name, number = run.evaluation_names(), base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _laid(recipe: Node, key: str, value: object, flag: str) -> Node:
    return with_value(recipe, ("evaluate", key), replace(node_of(value, flag), whole=True))


def _of_section(setting: str) -> str:
    return setting if setting.startswith(("evaluate.", "stages.")) else f"evaluate.{setting}"


def _measurable(section: Node, run: RunFolder, tell: Callable[[str], None]) -> Node:
    """The section without evaluators that lean on runs which are not there: other stages of the recipe, not yet run."""
    evaluators = section.get("evaluators")
    if evaluators is None:
        return section
    kept = []
    for _, item in evaluators.each():
        leaned = item.get("run")
        place = leaned.value if leaned is not None and isinstance(leaned.value, str) else None
        if place is not None and place.startswith(STAGE_PREFIX):
            place = str(run.path.parent / place.removeprefix(STAGE_PREFIX))
            item = item.with_value("run", node_of(place, leaned.place if leaned else item.place))
        if place is not None and not _is_finished(place):
            name = item.get("name") or item.get("evaluator")
            tell(f"evaluator {name.plain() if name else ''} is left out: it needs {place}, which is not trained yet")
            continue
        kept.append(item)
    return section.with_value("evaluators", Node(kept, evaluators.place, evaluators.folder))


def _is_finished(place: str) -> bool:
    try:
        return RunFolder.open(place).model.is_dir()
    except RLHFError:
        return Path(place).is_dir()
