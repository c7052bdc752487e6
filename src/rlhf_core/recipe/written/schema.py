"""What may stand in a recipe. Component sections are free mappings here; their components check them (``sections``)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from rlhf_core.contract.options import Options
from rlhf_core.contract.policy import Precision, SamplingSpec
from rlhf_core.data.options import DataOptions, TemplateOptions
from rlhf_core.training.options import TrainingOptions


class ModelOptions(Options):
    """The model of a stage. The backbone's own options stand beside these (`rlhf plugins show backbone:NAME`)."""

    model_config = ConfigDict(extra="allow")

    backbone: str = "lora-gpt2"
    """Component that loads it."""
    path: str = "res:tiny-gpt2"
    """A folder, a hub name, res:NAME (embedded), stage:NAME (what an earlier stage made), or empty for a new model."""


class SamplingOptions(Options):
    """How completions are drawn."""

    max_new_tokens: int = Field(default=32, ge=1)
    """Length limit in tokens, EOS included."""
    temperature: float = Field(default=1.0, ge=0)
    """Divides the logits; 0 takes the likeliest token."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw among the k likeliest tokens only. Not for rollouts that are trained on."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw among the likeliest tokens that hold this share only. Not for rollouts that are trained on."""
    n: int = Field(default=1, ge=1)
    """Completions per prompt."""
    precision: Precision = "full"
    """full, or int8: faster, from weights rounded to 8 bits (float32 on a CPU). PPO corrects for the difference."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """A completion also ends with the token that completes one of these strings, which stay in its text."""

    def spec(self) -> SamplingSpec:
        return SamplingSpec(**self.model_dump())


class StageOptions(Options):
    """One stage: what is trained, from where, on what. Sections that are left out are those of the recipe."""

    name: str | None = None
    """What other stages and folders call it; default: the algo's name. Unique in the recipe."""
    algo: str
    """The trainer."""
    from_: str = Field(default="base", alias="from")
    """Where it starts: base, the name of an earlier stage, or the folder of a run."""
    seed: int = 0
    """Of the order of records, sampling, fresh adapters and dropout."""
    model: ModelOptions = ModelOptions()
    """The model."""
    template: TemplateOptions = TemplateOptions()
    """How records become text."""
    sampling: SamplingOptions = SamplingOptions()
    """How completions are drawn, for training and for the samples shown."""
    data: DataOptions
    """What it learns from."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Options of the algo."""
    training: TrainingOptions = TrainingOptions()
    """The loop: length, batch size, learning rate, precision, evaluation, checkpoints."""
    reward: dict[str, Any] | None = None
    """What scores completions, for trainers that sample: {reward: NAME, …its options}."""
    track: tuple[dict[str, Any], ...] = ()
    """Where metrics go beside metrics.jsonl: [{tracker: NAME, …its options}]."""


class EvaluateOptions(Options):
    """What is measured, on which prompts."""

    runs: tuple[str, ...] = ()
    """Stages to evaluate; default: every stage that writes text."""
    baseline: str | None = None
    """What they are compared with, prompt by prompt: a stage, a run folder, or base."""
    evaluators: tuple[dict[str, Any], ...] = ({"evaluator": "text"},)
    """[{evaluator: NAME, …its options}]; `name` beside them where one evaluator is used twice."""
    data: DataOptions | None = None
    """The prompts; default: the held-out part of each stage's data."""
    sampling: SamplingOptions = SamplingOptions()
    """How completions are drawn."""
    judge: dict[str, Any] | None = None
    """{judge: NAME, …its options}, asked beside the evaluators; null asks nobody."""
    probes: int = Field(default=0, ge=0)
    """Known-wrong completions that only ask for a good verdict, mixed into what the judge sees: how many fool it?"""
    seed: int = 0
    """Of the completions and of the bootstrap."""


class FileOptions(Options):
    """A named input file."""

    path: str
    """Relative to the recipe's folder or to the working folder; res:NAME for an embedded one."""
    source: str = ""
    """Where it is published, for the message when it is not there."""


class RecipeOptions(Options):
    """A whole recipe, stages already completed with the sections they share."""

    extends: str | None = None
    """Another recipe, by name or file, that this one is laid over: what is not said here is as it is there."""
    name: str
    """Names the folder of its runs."""
    summary: str = ""
    """One line for `rlhf config list`."""
    files: dict[str, FileOptions] = Field(default_factory=dict)
    """Input files by name: {labels: FILE} or {labels: {path: FILE, source: WHERE IT IS PUBLISHED}}. `file:labels`
    stands for the path anywhere below; `--data labels=PATH` names another."""
    seed: int = 0
    """Of every stage that has none of its own."""
    model: ModelOptions | None = None
    """The model of every stage, key by key unless the stage says otherwise; template, sampling, data, training and
    track likewise."""
    template: TemplateOptions | None = None
    """How records become text."""
    sampling: SamplingOptions | None = None
    """How completions are drawn."""
    data: DataOptions | None = None
    """What the stages learn from."""
    training: TrainingOptions | None = None
    """The loop."""
    track: tuple[dict[str, Any], ...] = ()
    """Where metrics go beside metrics.jsonl."""
    stages: tuple[StageOptions, ...] = Field(min_length=1)
    """What is trained, in order. Over another recipe also by name, {dpo: {…}}: changes to the stages it has."""
    evaluate: EvaluateOptions | None = None
    """What is measured at the end."""

    @field_validator("extends")
    @classmethod
    def _was_not_followed(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError("belongs into a recipe's file; on the command line name several recipes")
        return value

    @field_validator("files")
    @classmethod
    def _have_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        odd = [name for name in value if not re.fullmatch(r"[\w-]+", name)]
        if odd:
            raise ValueError(f"a file's name is of letters, digits, - and _; found {', '.join(map(repr, odd))}")
        return value


SHARED = ("model", "template", "sampling", "data", "training", "track", "seed")
"""Sections of the recipe that every stage takes over, key by key."""
