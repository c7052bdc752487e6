"""Build one stage and run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.backbone import LoadContext, Trunk
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import read_identity
from rlhf_core.contract.records import Demonstration, Labelled, Preference, PromptRecord, Record, Text
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.encoding import Encoded, encode, labels_of
from rlhf_core.data.loading import Loaded, load_records
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.run import RunFolder
from rlhf_core.training.engine import Engine
from rlhf_core.training.observers import Observer
from rlhf_core.training.options import TrainingOptions
from rlhf_core.training.outcome import Outcome
from rlhf_core.training.precision import choose_device
from rlhf_core.training.world import World

from .fingerprints import run_fingerprint, stage_fingerprint
from .lending import Lender, Tell, base_folder, finished_model, silent
from .measuring.familiarity import familiar, prompt_marks
from .observing import HookObserver, TrackerObserver
from .provenance import provenance
from .written import yaml
from .written.files import require
from .written.resolved import BASE, Stage
from .written.sections import with_stages_resolved

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rlhf_core.contract.trainer import Trainer
    from rlhf_core.policy.policy import TrunkPolicy


@dataclass(frozen=True)
class StageData:
    """What a stage learns from and is validated on."""

    train: Loaded[Record]
    validation: Loaded[Record]


@dataclass(frozen=True)
class Prepared:
    """A stage whose data is read and whose place is known; nothing is written yet.

    Args:
        runs: folders of the stages it needs, by name.
        start: the run it starts from; None for the base.
    """

    stage: Stage
    lender: Lender
    trainer: Trainer[Any]
    train: Loaded[Record]
    validation: Loaded[Record]
    runs: Mapping[str, str]
    start: RunFolder | None
    fingerprint: str

    @property
    def labels(self) -> list[str]:
        return labels_of([*self.train.records, *self.validation.records])


def prepare(
    stage: Stage, catalog: Catalog, runs: Mapping[str, str], data: StageData | None = None, *, tell: Tell = silent
) -> Prepared:
    """Read the data and find what the stage builds on.

    Args:
        data: the stage's, where it is read already.
        tell: where lines of the stage's reward go, such as what a judge is going to cost.
    Raises: RLHFError for bad data, a missing run or component.
    """
    data = data or read_data(stage, catalog, runs)
    trainer: Trainer[Any] = stage.trainer.build(runs)
    start = start_run(stage, runs)
    marks = {"train": data.train.report.fingerprint, "validation": data.validation.report.fingerprint}
    fingerprint = stage_fingerprint(stage, runs, start, marks)
    lender = make_lender(stage, catalog, runs, partial(_tell_of_reward, tell, stage.name))
    return Prepared(stage, lender, trainer, data.train, data.validation, runs, start, fingerprint)


def read_data(stage: Stage, catalog: Catalog, runs: Mapping[str, str]) -> StageData:
    """Both splits. The runs need not be there yet: ``runs`` says where the stages that this one needs will be.

    Raises: RLHFError for a named file that is not there, for bad data or a missing component.
    """
    require(stage.files)
    lender = make_lender(stage, catalog, runs)
    record_class: type[Record] = stage.trainer.build(runs).Record
    train, validation = (read_split(stage, lender, record_class, split) for split in ("train", "validation"))
    return StageData(train, validation)


def _tell_of_reward(tell: Tell, stage: str, line: str) -> None:
    """A reward's judge speaks when it is first asked: of one batch, where a user may think of the whole training."""
    tell(f"{stage}, for its first completions: {line}. Every later step asks again; `rlhf train --dry-run` counts all")


def make_lender(stage: Stage, catalog: Catalog, runs: Mapping[str, str], tell: Tell = silent) -> Lender:
    device = choose_device(stage.options.training.device)
    return Lender(catalog, device, stage.folder, runs, stage.options.template, tell)


def read_split(stage: Stage, lender: Lender, record_class: type[Record], split: Any) -> Loaded[Record]:
    return load_records(
        stage.options.data, record_class, split=split, folder=Path.cwd(), open_dataset=lender.open_dataset
    )  # fmt: skip


def start_run(stage: Stage, runs: Mapping[str, str]) -> RunFolder | None:
    """The run that the stage starts from; None for the base."""
    start = stage.options.from_
    if start == BASE:
        return None
    return RunFolder.open(runs.get(start, start))


def run_stage(
    prepared: Prepared,
    output: Path,
    *,
    command: str,
    tell: Callable[[str], None],
    resume: bool = False,
    observers: Sequence[Observer] = (),
    evaluate: Mapping[str, Any] | None = None,
) -> tuple[RunFolder, Outcome]:
    """Train the stage into ``output``.

    Args:
        command: what the user typed, for ``run.json``.
        tell: takes lines for the user.
        observers: who hears of the steps, beside the stage's trackers and the plugins' hooks.
        evaluate: the section by which `rlhf evaluate` measures this run unless told otherwise.
    Raises: RLHFError when the folder is in use or, to resume, holds another run; see :meth:`Engine.train`.
    """
    world = World.current()
    run = world.from_first(lambda: RunFolder.open(output) if resume else require_free(output))
    policy = build_policy(prepared)
    if note := layout_note(policy):
        tell(f"{prepared.stage.name}: {note}")
    train, validation = encode_splits(prepared, policy)
    config = prepared.stage.plain(dict(prepared.runs))
    if not resume:
        info = {**_info(prepared, policy, train, validation, command), "processes": world.size}
        written = yaml.dump(_as_recipe(prepared.stage, config, evaluate))
        run = world.from_first(lambda: RunFolder.create(output, info=info, recipe=written))
        if world.first:
            run.keep_prompts(prompt_marks(prepared.train.records))
    heard = [
        *observers,
        *(TrackerObserver(section.build(), run.path, config) for section in prepared.stage.track),
        HookObserver(prepared.lender.catalog.manager, run.path, config),
    ]
    engine = make_engine(
        prepared, policy, train, validation, run, reward=build_reward(prepared, policy),
        options=prepared.stage.options.training, observers=heard,
    )  # fmt: skip
    # Only now has the trainer said what it trains.
    if world.first:
        run.update(parameters=policy.parameter_counts())
    try:
        outcome = engine.train(resume=resume)
    except BaseException:
        for observer in heard:
            getattr(observer, "failed", lambda: None)()
        raise
    return run, outcome


def make_engine(
    prepared: Prepared, policy: TrunkPolicy, train: Encoded, validation: Encoded, run: RunFolder, *,
    reward: Any, options: TrainingOptions, observers: Sequence[Observer],
) -> Engine:  # fmt: skip
    """The loop over the stage's rows. Raises: RLHFError for options that do not fit."""
    config = prepared.stage.plain(dict(prepared.runs))
    return Engine(
        policy, prepared.trainer, train.rows, validation.rows, {**validation.by_id, **train.by_id}, options,
        sampling=prepared.stage.options.sampling.spec(), run=run, reward=reward, seed=prepared.stage.options.seed,
        observers=observers, labels=prepared.labels, identity=_identity(prepared, config),
    )  # fmt: skip


def build_policy(prepared: Prepared) -> TrunkPolicy:
    """The stage's backbone, loaded, with what it starts from on top."""
    from rlhf_core.policy.policy import TrunkPolicy, context_length

    trunk = load_trunk(prepared)
    codec = make_codec(prepared, trunk.tokenizer, context_length(trunk))
    return TrunkPolicy(trunk, codec, device=prepared.lender.device, seed=prepared.stage.options.seed)


def layout_note(policy: TrunkPolicy) -> str | None:
    """What is to be said of how the model is computed; nothing where it is the fast way."""
    if policy.layout == "packed":
        return None
    kind = policy.roles.model.config.model_type
    return f"models of type {kind} are computed with padding, each completion with its own prompt: slower, as exact"


def make_codec(prepared: Prepared, tokenizer: PreTrainedTokenizerBase, context: int) -> TextCodec:
    """The stage's template on a tokenizer, within a context of so many tokens."""
    options = prepared.stage.options
    # Prompts that are to be answered must leave room for the answer.
    answer = options.sampling.max_new_tokens if prepared.trainer.Record is PromptRecord else None
    return TextCodec(
        tokenizer,
        options.template,
        context_length=context,
        max_prompt_tokens=options.data.max_prompt_tokens,
        max_completion_tokens=options.data.max_completion_tokens or answer,
        labels=prepared.labels,
        end_texts=options.data.end_texts,
    )


def load_trunk(prepared: Prepared) -> Trunk:
    import torch

    options = prepared.stage.options
    path = model_path(prepared)
    records = prepared.train.records
    context = LoadContext(
        path=path, start=finished_model(prepared.start) if prepared.start else None,
        device=prepared.lender.device, dtype=torch.float32, seed=options.seed, texts=lambda: texts_of(records),
    )  # fmt: skip
    trunk: Trunk = prepared.stage.backbone.build(prepared.runs).load(context)
    return trunk


def model_path(prepared: Prepared) -> str:
    """``model.path`` as a folder or hub name. ``stage:NAME`` is that stage's model, which must be a whole one."""
    path = prepared.stage.options.model.path
    resolved = str(with_stages_resolved(path, prepared.runs))
    if resolved != path:
        return str(finished_model(RunFolder.open(resolved)))
    return base_folder(path)


def texts_of(records: Sequence[Record]) -> Iterator[str]:
    """The texts that a record would teach, for backbones that make a tokenizer of them."""
    for record in records:
        match record:
            case Text() | Labelled():
                yield record.text
            case Demonstration():
                yield record.completion
            case Preference():
                yield from (record.chosen, record.rejected)


def encode_splits(prepared: Prepared, policy: TrunkPolicy) -> tuple[Encoded, Encoded]:
    codec = policy.codec
    assert isinstance(codec, TextCodec), "build_policy made it"
    text_rows = prepared.stage.options.data.text_rows
    train, validation = (
        encode(split.records, codec, labels=prepared.labels, report=split.report, text_rows=text_rows)
        for split in (prepared.train, prepared.validation)
    )
    return train, validation


def build_reward(prepared: Prepared, policy: TrunkPolicy) -> Any:
    """What scores; a reward model on the policy's own base shares it."""
    section = prepared.stage.reward
    if section is None:
        return None
    source = section.build(prepared.runs)
    prepare_source = getattr(source, "prepare", None)
    if prepare_source is not None:
        prepare_source(replace(prepared.lender, beside=policy).context())
    if not hasattr(source, "name"):
        source.name = section.name
    return source


def require_free(output: Path) -> RunFolder:
    """Raises: RLHFError when something is in the folder, before anything slow is begun."""
    run = RunFolder(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        mend = f"go on with it: rlhf train --resume {output}; or choose another --output"
        raise RLHFError(f"{output}: the folder is in use; {mend if run.exists else 'choose another --output'}")
    return run


def notes(prepared: Prepared) -> list[str]:
    """What a user should be told before the training: what the data is, and a template that changed on the way."""
    told = [f"data: {line}" for line in prepared.train.report.lines()]
    if prepared.validation.records:
        told.append(f"validation: {prepared.validation.report.lines()[0]}")
    if prepared.start is not None:
        saved = read_identity(finished_model(prepared.start))["template"]
        own = prepared.stage.options.template.model_dump(mode="json")
        changed = [key for key, value in own.items() if saved and saved.get(key) != value]
        if changed:
            told.append(f"note: {prepared.start.path} was trained with another template ({', '.join(changed)} differ)")
    return [*told, *(f"note: {warning}" for warning in warnings(prepared))]


def warnings(prepared: Prepared) -> list[str]:
    """Why the scores of the stage's reward must not be believed."""
    if prepared.stage.reward is None:
        return []
    section = with_stages_resolved(prepared.stage.reward.plain(), prepared.runs)
    asked = {
        "training prompts": prompt_marks(prepared.train.records),
        "held-out ones": prompt_marks(prepared.validation.records),
    }
    return [
        f"{place}, which scores here, was itself trained on {share}, so it flatters there; believe its scores on "
        "prompts that neither has met"
        for place, share in familiar(section, prepared.stage.folder, asked)
    ]  # fmt: skip


def _as_recipe(stage: Stage, config: Mapping[str, Any], evaluate: Mapping[str, Any] | None) -> dict[str, Any]:
    """One stage as a recipe of its own, which `--config` reads again."""
    recipe: dict[str, Any] = {"name": stage.name, "stages": [dict(config)]}
    return {**recipe, "evaluate": dict(evaluate)} if evaluate else recipe


def _info(
    prepared: Prepared, policy: TrunkPolicy, train: Encoded, validation: Encoded, command: str
) -> dict[str, Any]:  # fmt: skip
    stage = prepared.stage
    parents = {name: run_fingerprint(RunFolder.open(folder)) for name, folder in prepared.runs.items()}
    return {
        "name": stage.name,
        "algo": stage.trainer.name,
        "fingerprint": prepared.fingerprint,
        "seed": stage.options.seed,
        "from": str(prepared.start.path) if prepared.start else BASE,
        "parents": {name: {"run": prepared.runs[name], "fingerprint": mark} for name, mark in parents.items()},
        "base": dict(policy.base),
        "readings": dict(getattr(prepared.trainer, "readings", {})),
        "warnings": warnings(prepared),
        "data": {"train": train.report.as_json(), "validation": validation.report.as_json()},
        **provenance(prepared.lender.catalog, command),
    }


def _identity(prepared: Prepared, config: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same when a run goes on, beside what the engine compares by itself."""
    kept = {key: config[key] for key in ("algo", "from", "model", "template", "trainer", "reward")}
    return {**kept, "start": run_fingerprint(prepared.start) if prepared.start else None}
