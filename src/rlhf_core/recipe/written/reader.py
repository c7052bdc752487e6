"""The second reading of a recipe: components by name, and references between stages."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlhf_core.data.options import DataOptions, SourceOptions
from rlhf_core.registry.options import dotted

from .files import InputFile, used_in
from .node import Keys, Node
from .resolved import BASE, Evaluate, Stage
from .schema import ModelOptions, RecipeOptions, StageOptions
from .sections import Section, SectionReader, stage_references
from .settings import stage_names


class Reader:
    """The second reading: components, and references between stages."""

    def __init__(
        self, recipe: Node, options: RecipeOptions | None, sections: SectionReader, files: Mapping[str, InputFile]
    ) -> None:  # fmt: skip
        self.recipe = recipe
        self.files = files
        self.options = options
        self.sections = sections
        self.findings = sections.findings
        self.names = stage_names(recipe)
        self.stages = options.stages if options else ()

    def check_references(self) -> None:
        """Names are used once, and whatever refers to a stage refers to an earlier one."""
        for index, stage in enumerate(self.stages):
            node = self._node("stages", index)
            if stage.name in self.names[:index]:
                place = node.nearest(("name",)).place
                self.findings.add(place, f"name = {stage.name!r}: two stages are called so; give each its own name")
            for name, where in self._references(stage):
                if name not in self.names[:index]:
                    written = node.nearest(where)
                    self.findings.add(written.place, f"{where[0]}: {self._no_stage(name, index)}")
        evaluate = self.options.evaluate if self.options else None
        if evaluate is not None:
            references = [(name, "runs") for name in evaluate.runs if not _is_folder(name)]
            references += [(name, "evaluators") for name in stage_references(evaluate.model_dump()["evaluators"])]
            if evaluate.baseline not in (None, BASE) and not _is_folder(str(evaluate.baseline)):
                references.append((str(evaluate.baseline), "baseline"))
            for name, key in references:
                if name not in (*self.names, BASE):
                    place = self._node("evaluate").nearest((key,)).place
                    self.findings.add(place, f"evaluate.{key}: {self._no_stage(name, len(self.names))}")

    def closure(self, wanted: Collection[str]) -> set[str]:
        """The stages that are wanted and all that they need."""
        found = set(wanted)
        for name, stage in reversed(list(zip(self.names, self.stages, strict=False))):
            if name in found:
                found.update(self._needs(stage))
        return found

    def stage(self, index: int) -> Stage | None:
        node = self._node("stages", index)
        algo = node.get("algo")
        if algo is None:
            return None
        trainer = self.sections.named(algo, node.get("trainer") or Node({}, algo.place), "trainer", ("trainer",))
        backbone = self._backbone(node)
        reward_node = _given(node.get("reward"))
        reward = self.sections.read(reward_node, "reward", ("reward",)) if reward_node else None
        tracked = list((node.get("track") or Node([], "")).each())
        track = [self.sections.read(item, "tracker", ("track", position)) for position, item in tracked]
        trackers = tuple(section for section in track if section is not None)
        options = self.stages[index] if self.stages else None
        data = self._data(node.get("data"), options.data if options else None, ("data",))
        complete = (reward is not None or reward_node is None) and len(trackers) == len(track)
        if options is None or trainer is None or backbone is None or data is None or not complete:
            return None
        filled = _filled(options, trainer, backbone, reward, trackers, data)
        folder = (reward_node.folder if reward_node else node.folder) or Path.cwd()
        needs = tuple(self._needs(options))
        files = used_in(node, self.files)
        return Stage(self.names[index], filled, trainer, backbone, reward, trackers, folder, needs, files)

    def evaluation(self) -> Evaluate | None:
        node = _given(self.recipe.get("evaluate"))
        if node is None:
            return None
        evaluators = self._evaluators(node)
        judge_node = _given(node.get("judge"))
        judge = self.sections.read(judge_node, "judge", ("evaluate", "judge")) if judge_node else None
        options = self.options.evaluate if self.options else None
        data = self._data(node.get("data"), options.data if options else None, ("evaluate", "data"))
        if options is None:
            return None
        plain = tuple({**section.plain(), "name": name} for name, section in evaluators.items())
        update = {"evaluators": plain, "judge": judge.plain() if judge else None, "data": data}
        folder = node.folder or Path.cwd()
        return Evaluate(options.model_copy(update=update), evaluators, judge, folder, used_in(node, self.files))

    def _evaluators(self, node: Node) -> dict[str, Section]:
        """By the names under which their metrics appear; what is wrong is left out and found elsewhere."""
        sections: dict[str, Section] = {}
        written = node.get("evaluators")
        items = list(written.each()) if written else [(0, _default_evaluator(node))]
        for position, item in items:
            keys = ("evaluate", "evaluators", position)
            section = self.sections.read(item, "evaluator", keys, drop=("name",))
            if section is None:
                continue
            named = item.get("name")
            label = str(named.value) if named else section.name
            if label in sections:
                self.findings.add(item.place, f"{dotted(keys)}: {label!r} is there already; add a name: to this one")
            sections[label] = section
        return sections

    def _backbone(self, node: Node) -> Section | None:
        written = node.get("model") or Node({}, node.place)
        name = written.get("backbone") or Node(ModelOptions.model_fields["backbone"].default, written.place)
        return self.sections.named(name, written.without("backbone", "path"), "backbone", ("model",))

    def _data(self, node: Node | None, data: DataOptions | None, keys: Keys) -> DataOptions | None:
        """The data options with those of plugins' data sets filled in. The data sets are looked up in any case."""
        validation = node.get("validation") if node else None
        own = self._datasets(node, keys)
        held_out = self._datasets(validation, (*keys, "validation"))
        if data is None:
            return None
        update: dict[str, Any] = {"sources": _filled_sources(data.sources, own)}
        if data.validation is not None:
            filled = _filled_sources(data.validation.sources, held_out)
            update["validation"] = data.validation.model_copy(update={"sources": filled})
        return data.model_copy(update=update)

    def _datasets(self, node: Node | None, keys: Keys) -> dict[int, Section]:
        """The data sets of plugins among the sources, by position."""
        sources = node.get("sources") if node else None
        found: dict[int, Section] = {}
        for position, source in sources.each() if sources else ():
            name = _given(source.get("source"))
            if name is not None:
                options = source.without(*SourceOptions.model_fields)
                section = self.sections.named(name, options, "dataset", (*keys, "sources", position))
                found |= {position: section} if section else {}
        return found

    def _references(self, stage: StageOptions) -> Iterator[tuple[str, Keys]]:
        """Names of stages that this one refers to, and the key that does so."""
        # `base` is the model itself even where a stage is called so.
        if stage.from_ != BASE and (stage.from_ in self.names or not _is_folder(stage.from_)):
            yield stage.from_, ("from",)
        for name in stage_references(stage.model.path):
            yield name, ("model", "path")
        for name in stage_references(stage.reward):
            yield name, ("reward",)

    def _needs(self, stage: StageOptions) -> list[str]:
        referred = {name for name, _ in self._references(stage)}
        return [name for name in self.names if name in referred]

    def _no_stage(self, name: str, index: int) -> str:
        earlier = self.names[:index]
        near = difflib.get_close_matches(name, earlier, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        there = ", ".join(dict.fromkeys([BASE, *earlier]))
        return f"{name!r} is no earlier stage and no run folder{hint}; there are {there}"

    def _node(self, *keys: str | int) -> Node:
        return self.recipe.nearest(keys)


def _filled(
    options: StageOptions, trainer: Section, backbone: Section, reward: Section | None,
    track: Sequence[Section], data: DataOptions,
) -> StageOptions:  # fmt: skip
    model = ModelOptions(path=options.model.path, **backbone.plain())
    return options.model_copy(
        update={
            "model": model,
            "trainer": trainer.options.model_dump(mode="json"),
            "reward": reward.plain() if reward else None,
            "track": tuple(section.plain() for section in track),
            "data": data,
        }
    )


def _filled_sources(sources: Sequence[SourceOptions], datasets: dict[int, Section]) -> tuple[SourceOptions, ...]:
    filled = list(sources)
    for position, section in datasets.items():
        if position < len(filled):
            own = filled[position].model_dump(include=set(SourceOptions.model_fields))
            filled[position] = SourceOptions(**own, **section.options.model_dump(mode="json"))
    return tuple(filled)


def _given(node: Node | None) -> Node | None:
    """The node, unless it is absent or null."""
    return node if node is not None and node.value is not None else None


def _default_evaluator(node: Node) -> Node:
    return Node({"evaluator": Node("text", node.place, node.folder)}, node.place, node.folder)


def _is_folder(path: str) -> bool:
    return Path(path).expanduser().is_dir()
