"""What a recipe resolves to: stages and an evaluation whose components are found and whose options are filled in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .files import InputFile
from .schema import EvaluateOptions, StageOptions
from .sections import Section, with_stages_resolved

BASE: Final = "base"


@dataclass(frozen=True)
class Stage:
    """One stage, ready to run.

    Args:
        options: with every default of every component filled in.
        name: unique in the recipe.
        folder: relative paths in component options start here.
        needs: names of the stages that must have run, in the order of the recipe.
        files: the named input files that it reads.
    """

    name: str
    options: StageOptions
    trainer: Section
    backbone: Section
    reward: Section | None
    track: tuple[Section, ...]
    folder: Path
    needs: tuple[str, ...]
    files: tuple[InputFile, ...] = ()

    def plain(self, runs: dict[str, str] | None = None) -> dict[str, Any]:
        """As a recipe's stage, plain values only.

        Args:
            runs: folders of the stages it needs; with them no reference to another stage is left.
        """
        stage = self.options.model_dump(mode="json", by_alias=True)
        if runs is None:
            return stage
        stage = dict(with_stages_resolved(stage, runs))
        stage["from"] = runs.get(stage["from"], stage["from"])
        return stage


@dataclass(frozen=True)
class Evaluate:
    """The evaluation of a recipe, ready to run. ``evaluators`` by the names under which their metrics appear."""

    options: EvaluateOptions
    evaluators: dict[str, Section]
    judge: Section | None
    folder: Path
    files: tuple[InputFile, ...] = ()

    @property
    def judge_name(self) -> str:
        """The name under which the judge's metrics appear: its own, unless an evaluator has that."""
        name = self.judge.name if self.judge is not None else ""
        return f"{name}-judge" if name in self.evaluators else name


@dataclass(frozen=True)
class Recipe:
    """A validated recipe.

    Args:
        stages: those that were asked for and those they need, in order.
        evaluate: the evaluation, where it was asked for; ``measured`` are its options without their components.
    """

    name: str
    stages: tuple[Stage, ...]
    evaluate: Evaluate | None
    measured: EvaluateOptions | None

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def plain(self) -> dict[str, Any]:
        """As a recipe again, every default filled in."""
        plain: dict[str, Any] = {"name": self.name, "stages": [stage.plain() for stage in self.stages]}
        if self.evaluate is not None:
            plain["evaluate"] = self.evaluate.options.model_dump(mode="json")
        return plain
