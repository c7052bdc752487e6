"""`--dry-run`: everything loaded, one real step taken in a folder that is thrown away, and what that tells."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_core.contract.rows import Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.encoding import Encoded
from rlhf_core.data.report import DataReport
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.run import RunFolder
from rlhf_core.training.engine import Engine, steps_of
from rlhf_core.training.microbatches import MicroBatches

from ..differences import differing_keys
from ..lending import Tell
from ..measuring.questions import Questions, Unasked, judge_of, pricing
from ..stages import Prepared, build_policy, build_reward, encode_splits, layout_note, make_engine, prepare, warnings
from ..written.resolved import BASE, Stage
from ..written.sections import stage_references
from .pace import Memory, Pace, Watch, memory_before
from .preview import ShownRow, shown_row

if TYPE_CHECKING:
    from rlhf_core.policy.policy import TrunkPolicy


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Of the training rows as the model gets them, prompts and completions.

    Args:
        per_step: mean over batches. longest_step: a batch of the longest rows, which the step that is tried is of.
        longest: the longest text, prompt and completion; longest_id: the record it is of.
        sampled: most tokens that are drawn per step beside these, for trainers that learn from their own answers.
    """

    rows: int
    whole: int
    per_step: float
    longest_step: int
    longest: int
    longest_id: str
    context: int
    sampled: int


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What was found of one stage. What could not be found is None, and ``told`` says why.

    Args:
        told: where this differs from the real training.
        groups: trained parameters by the trainer's group. roles: by role of the policy, and by head.
        total: parameters in memory, all networks and adapters.
        checks: what the trainer asks to hold at its first step, and did.
    """

    stage: str
    algo: str
    told: Sequence[str] = ()
    reports: Mapping[str, DataReport] = field(default_factory=dict)
    example: ShownRow | None = None
    tokens: Tokens | None = None
    groups: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    memory: Memory | None = None
    micro_batches: MicroBatches | None = None
    pace: Pace | None = None
    checks: Sequence[str] = ()
    questions: Questions | None = None


def dry_run_stage(stage: Stage, catalog: Catalog, runs: Mapping[str, str]) -> DryRun:
    """Load the stage, take one step, tell.

    Args:
        runs: folders of the finished runs among the stages it needs; for the others see :func:`_on_what_is_there`.
    Raises: RLHFError and TrainingStopped as the training would.
    """
    stage, told, lacking = _on_what_is_there(stage, runs)
    before = memory_before()
    prepared = prepare(stage, catalog, {name: runs[name] for name in stage.needs if name in runs})
    found = DryRun(
        stage=stage.name, algo=stage.trainer.name, told=told,
        reports={"train": prepared.train.report, "validation": prepared.validation.report},
    )  # fmt: skip
    if set(stage_references(stage.options.model.path)) & lacking:
        return found
    policy = build_policy(prepared)
    train, validation = encode_splits(prepared, policy)
    found = replace(
        found, reports={"train": train.report, "validation": validation.report}, example=_example(train, policy),
        tokens=count_tokens(stage, policy, train), total=policy.parameter_counts()["total"],
    )  # fmt: skip
    if lacking:
        return found
    with tempfile.TemporaryDirectory(prefix="rlhf-dry-run-") as folder:
        return _with_step(found, prepared, policy, (train, validation), Path(folder), before)


def _on_what_is_there(stage: Stage, runs: Mapping[str, str]) -> tuple[Stage, tuple[str, ...], set[str]]:
    """The stage as it can be tried now, what to say of it, and the stages that nothing can stand in for.

    The base stands in for a start that is not trained yet: the same shapes, the same work. Nothing does for a model
    or a reward.
    """
    lacking = {name for name in stage.needs if name not in runs}
    told = []
    if stage.options.from_ in lacking:
        told.append(f"{stage.options.from_} is not trained yet: tried on the base, which is as large")
        stage = replace(stage, options=stage.options.model_copy(update={"from_": BASE}))
        lacking &= set(stage_references(stage.plain()))
    if lacking:
        told.append(f"no step was taken: it needs {', '.join(sorted(lacking))}, not trained yet")
    return replace(stage, needs=tuple(name for name in stage.needs if name in runs)), tuple(told), lacking


def _with_step(
    found: DryRun, prepared: Prepared, policy: TrunkPolicy, splits: tuple[Encoded, Encoded], folder: Path,
    before: Memory,
) -> DryRun:  # fmt: skip
    stage, watch = prepared.stage, Watch()
    meter = _unasked(prepared, watch)
    train, validation = splits
    training = stage.options.training
    steps = steps_of(len(train.rows), training)
    engine = make_engine(
        prepared, policy, replace(train, rows=longest_rows(train.rows, training.batch_size)), validation,
        RunFolder.create(folder / stage.name), reward=meter or build_reward(prepared, policy),
        options=training.model_copy(update={"log_every": 1, "steps": steps, "epochs": None}), observers=[watch],
    )  # fmt: skip
    pace = watch.measure(engine)
    tokens = found.tokens
    if tokens is not None and not tokens.sampled:
        pace = replace(pace, step=pace.step * tokens.per_step / tokens.longest_step)
    told = (*found.told, *warnings(prepared), *filter(None, [layout_note(policy)]))
    if meter is not None:
        asked = f"{meter.judge} was not asked: every score was 0 in this step, and its time is not in the estimate"
        told = (*told, asked)
    checks = [
        f"{check.metric} is {watch.metrics[check.metric]:.6g} at the start, as it must be"
        for check in prepared.trainer.checks()
        if check.metric in watch.metrics
    ]
    return replace(
        found, told=told, pace=pace, micro_batches=engine.updates.micro_batches, memory=before.after(policy.device),
        groups=_groups(engine), roles=policy.trained_counts(), total=policy.parameter_counts()["total"], checks=checks,
        questions=meter.questions(pace) if meter else None,
    )  # fmt: skip


def _unasked(prepared: Prepared, watch: Watch) -> Unasked | None:
    """What stands in for the judge of the stage's reward; None where the reward asks none."""
    stage = prepared.stage
    judge = judge_of(stage.reward.plain()) if stage.reward else None
    return Unasked(watch, judge, pricing(judge, prepared.lender.catalog, stage.folder)) if judge else None


def count_tokens(stage: Stage, policy: TrunkPolicy, train: Encoded) -> Tokens:
    costs = [row.cost for row in train.rows]
    longest = max(train.rows, key=text_length)
    batch, sampling = stage.options.training.batch_size, stage.options.sampling
    bare = not any(row.completions for row in train.rows)
    return Tokens(
        rows=len(costs), whole=sum(costs), per_step=sum(costs) / len(costs) * batch,
        longest_step=sum(row.cost for row in longest_rows(train.rows, batch)), longest=text_length(longest),
        longest_id=longest.record_id, context=policy.context_length,
        sampled=batch * sampling.n * sampling.max_new_tokens if bare else 0,
    )  # fmt: skip


def longest_rows(rows: Sequence[Row], batch_size: int) -> list[Row]:
    """Those of the step that takes the most memory, the longest first."""
    return sorted(rows, key=lambda row: row.cost, reverse=True)[:batch_size]


def text_length(row: Row) -> int:
    """Tokens of the longest text that the model reads for a row: a pair's two completions are two texts."""
    return len(row.prompt) + max(map(len, row.completions), default=0)


def finished_runs(stages: Sequence[Stage], root: Path, catalog: Catalog, tell: Tell) -> dict[str, str]:
    """Folders of the finished runs of these stages that the training would reuse, by name.

    Args:
        tell: gets a line for each run that is there and of other options, data or base.
    Raises: RLHFError as reading their data does.
    """
    runs: dict[str, str] = {}
    for stage in stages:
        run = RunFolder(root / stage.name)
        if not run.exists or run.status != "finished":
            continue
        needed = {name: runs[name] for name in stage.needs if name in runs}
        if len(needed) < len(stage.needs):
            tell(f"note: {run.path} is not used: it grew on a run that is not")
        elif prepare(stage, catalog, needed).fingerprint == run.info.get("fingerprint"):
            runs[stage.name] = str(run.path)
        else:
            tell(f"note: {run.path} is not used: {differing_keys(run, stage, needed)} changed")
    return runs


def _example(train: Encoded, policy: TrunkPolicy) -> ShownRow | None:
    codec = policy.codec
    return shown_row(train.rows[0], codec) if train.rows and isinstance(codec, TextCodec) else None


def _groups(engine: Engine) -> dict[str, int]:
    groups = engine.updates.optimizer.param_groups
    return {group["name"]: sum(parameter.numel() for parameter in group["params"]) for group in groups}
