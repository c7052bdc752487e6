"""A grid over a recipe's options: its axes, the points they span, and the stages that a point changes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlhf_core.contract.errors import MissingComponent, Problems, RLHFError
from rlhf_core.registry.catalog import Catalog

from ..written import yaml
from ..written.completing import complete
from ..written.node import Keys, Node, node_of
from ..written.resolve import resolve
from ..written.resolved import Evaluate, Recipe
from ..written.sections import stage_references
from ..written.settings import keys_of, stage_index, stage_names, with_value

FLAG = "--grid"


@dataclass(frozen=True, eq=False)
class Axis:
    """One option and the values it takes. ``key`` is as typed; ``label`` is what points are called by."""

    key: str
    keys: Keys
    values: tuple[Any, ...]
    label: str


@dataclass(frozen=True)
class Point:
    """One combination of values with one seed, as a recipe.

    Args:
        name: of its folder: the values and the seed.
        values: by the axes' labels.
        recipe: its stages are those that are swept and all that they and the evaluation need.
    """

    name: str
    values: Mapping[str, Any]
    seed: int
    recipe: Recipe

    @property
    def setting(self) -> str:
        """The combination without the seed."""
        return ", ".join(f"{label} {shown(value)}" for label, value in self.values.items())


@dataclass(frozen=True)
class Plan:
    """All points of a sweep.

    Args:
        swept: the stages that are looked at, by name.
        varied: the stages that are trained for each point; every other one is the same in all and trained once.
    """

    points: tuple[Point, ...]
    swept: tuple[str, ...]
    varied: frozenset[str]

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self.points[0].recipe.name


def plan(
    recipe: Node, catalog: Catalog, grid: Mapping[str, Sequence[Any]], seeds: Sequence[int], *, stage: str | None = None
) -> Plan:  # fmt: skip
    """Resolve the recipe at every point.

    Args:
        grid: values by dotted key.
        seeds: of the stages that vary; the others keep the recipe's.
        stage: the stage that is swept, whose keys bare ones are; by default those that the grid changes, and what
            builds on them.
    Raises: Problems with every mistake of every point, each once.
    """
    axes = _axes(recipe, grid, stage)
    if not seeds or len(set(seeds)) < len(seeds):
        raise RLHFError(f"--seeds {','.join(map(str, seeds))}: give one seed or more, each once, such as 0,1,2")
    varied = _downstream(recipe, _touched(recipe, axes) | ({stage} if stage else set()))
    swept = (stage,) if stage else tuple(varied)
    problems = _Mistakes()
    # All settings with the first seed before any with the second: a sweep that is looked at early compares them all.
    points = [
        point
        for seed in seeds
        for values in itertools.product(*(axis.values for axis in axes))
        if (point := _point(recipe, catalog, dict(zip(axes, values, strict=True)), seed, varied, swept, problems))
    ]
    problems.stop_if_any()
    return Plan(tuple(points), swept, frozenset(varied))


def axes_of(texts: Sequence[str]) -> dict[str, list[Any]]:
    """``KEY=V1,V2`` as typed. Raises: Problems with every one that is not so."""
    grid: dict[str, list[Any]] = {}
    problems = []
    for text in texts:
        key, equals, values = text.partition("=")
        try:
            if not equals or not key.strip() or not values.strip():
                raise RLHFError(f"{FLAG} {text}: write KEY=V1,V2, such as {FLAG} stages.ppo.trainer.kl_coef=.05,.1,.2")
            if key in grid:
                raise RLHFError(f"{FLAG} {key}: is there twice; put all its values behind one {FLAG}")
            # As the items of a YAML list, so that [a,b] may be one of them.
            grid[key] = yaml.parse_value(f"[{values}]", f"{FLAG} {key}")
        except RLHFError as error:
            problems.append(str(error))
    if problems:
        raise Problems(problems)
    return grid


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Mistakes:
    """Of all points, each line once."""

    def __init__(self) -> None:
        self.lines: dict[str, RLHFError] = {}

    def catch(self, error: RLHFError) -> None:
        for line in str(error).splitlines():
            self.lines.setdefault(line, error)

    def stop_if_any(self) -> None:
        if self.lines and all(isinstance(error, MissingComponent) for error in self.lines.values()):
            raise MissingComponent("\n".join(self.lines))
        if self.lines:
            raise Problems(list(self.lines))


def _axes(recipe: Node, grid: Mapping[str, Sequence[Any]], stage: str | None) -> list[Axis]:
    """Raises: Problems for an empty grid, an empty axis, a value that is there twice, or a stage that is not there."""
    if not grid:
        raise RLHFError(
            f"the grid is empty: give {FLAG} KEY=V1,V2, such as {FLAG} stages.ppo.trainer.kl_coef=.05,.1,.2"
        )
    problems = _Mistakes()
    if stage is not None:
        stage_index(recipe, stage, "--stage")
    last = [key.rpartition(".")[2] for key in grid]
    axes = []
    for key, values in grid.items():
        texts = [shown(value) for value in values]
        label = key.rpartition(".")[2]
        try:
            if not texts:
                raise RLHFError(f"{FLAG} {key}: no values; write {FLAG} {key}=V1,V2")
            if len(set(texts)) < len(texts):
                raise RLHFError(f"{FLAG} {key}={','.join(texts)}: a value is there twice")
            keys = keys_of(recipe, key, stage, flag=FLAG)
            if keys[0] in ("evaluate", "name", "summary"):
                raise RLHFError(f"{FLAG} {key}: changes no training; a grid is over options of stages")
            axes.append(Axis(key, keys, tuple(values), label if last.count(label) == 1 else key))
        except RLHFError as error:
            problems.catch(error)
    problems.stop_if_any()
    return axes


def _touched(recipe: Node, axes: Sequence[Axis]) -> set[str]:
    """The stages that an axis names; all of them for a section that they share."""
    names = stage_names(recipe)
    of_stages = [[names[axis.keys[1]]] if axis.keys[0] == "stages" else names for axis in axes]  # type: ignore[index]
    return {name for found in of_stages for name in found}


def _point(
    recipe: Node, catalog: Catalog, values: Mapping[Axis, Any], seed: int, varied: Sequence[str], swept: Sequence[str],
    problems: _Mistakes,
) -> Point | None:  # fmt: skip
    """The recipe at one point; None after adding what is wrong with it."""
    try:
        for axis, value in values.items():
            recipe = with_value(recipe, axis.keys, node_of(value, f"{FLAG} {axis.key}"))
        for name in varied:
            place = stage_index(recipe, name, "--seeds")
            recipe = with_value(recipe, ("stages", place, "seed"), node_of(seed, "--seeds"))
        found = resolve(recipe, catalog, stages=_wanted(recipe, swept))
    except RLHFError as error:
        problems.catch(error)
        return None
    by_label = {axis.label: value for axis, value in values.items()}
    words = [*(f"{label}={shown(value)}" for label, value in by_label.items()), f"seed={seed}"]
    name = re.sub(r"[^\w.,=+-]+", "_", ",".join(words))
    return Point(name, by_label, seed, _measuring(found, swept))


def _wanted(recipe: Node, swept: Collection[str]) -> list[str]:
    """The swept stages, and those by which the evaluation measures them; ``resolve`` adds what they need."""
    evaluate = recipe.get("evaluate")
    section = evaluate.plain() if evaluate and isinstance(evaluate.value, dict) else {}
    asked = {*swept, *stage_references(section.get("evaluators")), str(section.get("baseline"))}
    return [name for name in stage_names(recipe) if name in asked]


def _downstream(recipe: Node, touched: Collection[str]) -> list[str]:
    """The touched stages and all that build on them, in order."""
    stages = complete(recipe).get("stages")
    found = set(touched)
    for name, (_, node) in zip(stage_names(recipe), stages.each() if stages else (), strict=True):
        start = node.get("from")
        built_on = {*stage_references(node.plain()), str(start.value) if start else ""}
        if found & built_on:
            found.add(name)
    return [name for name in stage_names(recipe) if name in found]


def _measuring(recipe: Recipe, swept: Collection[str]) -> Recipe:
    """The recipe with the evaluation of the swept stages alone; without one where none of them writes text."""
    evaluate = recipe.evaluate
    if evaluate is None:
        return recipe
    writing = [s.name for s in recipe.stages if s.name in swept and s.trainer.found.target().generates]
    runs = tuple(name for name in evaluate.options.runs if name in swept) or tuple(writing)
    asked = Evaluate(
        evaluate.options.model_copy(update={"runs": runs}), evaluate.evaluators, evaluate.judge, evaluate.folder
    )
    return replace(recipe, evaluate=asked if runs else None)
