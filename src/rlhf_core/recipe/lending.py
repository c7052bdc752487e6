"""Opening what rewards and evaluators need: saved policies, further rewards, judges, data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.dataset import Dataset
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import read_identity
from rlhf_core.contract.judge import Asked, Judge, JudgeContext, unwatched
from rlhf_core.contract.records import JSON
from rlhf_core.contract.reward import RewardContext, RewardSource
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.labels import DEFAULT_LABELS, SQLiteLabels
from rlhf_core.store.replies import DEFAULT_REPLIES, SQLiteReplies
from rlhf_core.store.run import RunFolder

from .written.locate import resource_path
from .written.sections import NAMED_BY, with_stages_resolved

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from rlhf_core.policy.policy import TrunkPolicy

POLICY = "policy"

Tell = Callable[[str], None]
Watch = Callable[[Asked], None]


def silent(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Lender:
    """Builds components and opens runs for others.

    Args:
        device: where opened policies live.
        folder: relative paths in component options start here.
        runs: run folders by the names of stages, for ``stage:NAME``.
        template: of models that were saved without one (plain base models).
        tell: where lines for the user go. ``asked``: where a judge's progress goes.
        beside: a policy that is in memory already: what is opened shares its base where it has the same one.
    """

    catalog: Catalog
    device: torch.device
    folder: Path
    runs: Mapping[str, str] = field(default_factory=dict)
    template: TemplateOptions = field(default_factory=TemplateOptions)
    tell: Tell = silent
    asked: Watch = unwatched
    beside: TrunkPolicy | None = None

    def context(self) -> RewardContext:
        return RewardContext(
            open_policy=self.open_policy, build_reward=self.build_reward, build_judge=self.build_judge,
            folder=str(self.folder),
        )  # fmt: skip

    def open_policy(self, name: str) -> TrunkPolicy:
        """A run, a saved model or a plain one (folder, hub name, ``res:NAME``) as a frozen policy.

        Raises: RLHFError when there is none.
        """
        import torch

        from rlhf_core.policy.loading import load_policy

        place = model_folder(str(with_stages_resolved(name, self.runs)), self.folder)
        make_codec = partial(codec_from_saved, default=self.template)
        policy = load_policy(place, make_codec=make_codec, device=self.device, dtype=torch.float32)
        if self.beside is not None:
            policy.share_base(self.beside)
        return policy

    def open_writer(self, name: str) -> TrunkPolicy:
        """As :meth:`open_policy`, of what is to answer prompts. Raises: RLHFError for a reward model."""
        place = Path(model_folder(str(with_stages_resolved(name, self.runs)), self.folder))
        roles = read_identity(place)["roles"] if place.is_dir() else {POLICY: "."}
        run = RunFolder(place.parent)
        algo = run.info.get("algo") if run.exists else None
        # A reward model on an adapter keeps the policy it began with, which nobody means who names it.
        if POLICY not in roles or (algo is not None and not self.catalog.find("trainer", algo).target().generates):
            raise RLHFError(f"{name}: {algo or ', '.join(roles)} makes no policy that writes; name another run")
        return self.open_policy(name)

    def build_reward(self, section: Mapping[str, JSON]) -> RewardSource:
        """A reward from its recipe section, prepared."""
        source: RewardSource = self._build("reward", section)
        prepare = getattr(source, "prepare", None)
        if prepare is not None:
            prepare(self.context())
        return source

    def build_judge(self, section: Mapping[str, JSON]) -> Judge:
        """A judge from its section, prepared."""
        return self.prepared_judge(self._build("judge", section))

    def prepared_judge(self, judge: Judge) -> Judge:
        """A judge that was just built, after its ``prepare`` where it has one."""
        prepare = getattr(judge, "prepare", None)
        if prepare is not None:
            prepare(
                JudgeContext(
                    replies=self.open_replies,
                    labels=self.open_labels,
                    open_policy=self.open_policy,
                    tell=self.tell,
                    asked=self.asked,
                    folder=str(self.folder),
                )
            )
        return judge

    def open_replies(self, path: str | None) -> SQLiteReplies:
        """The store at ``path``, or the one that all runs share."""
        return SQLiteReplies(DEFAULT_REPLIES if path is None else self.folder / Path(path).expanduser())

    def open_labels(self, path: str | None) -> SQLiteLabels:
        """What people said, at ``path`` or in the store that all runs share. Raises: RLHFError when it is not there."""
        return SQLiteLabels.existing(DEFAULT_LABELS if path is None else self.folder / Path(path).expanduser())

    def open_dataset(self, name: str, options: Mapping[str, Any]) -> Dataset:
        dataset: Dataset = self.catalog.find("dataset", name).build(options)
        return dataset

    def _build(self, kind: str, section: Mapping[str, Any]) -> Any:
        for known, key in NAMED_BY.items():
            if known == kind:
                options = {name: value for name, value in section.items() if name != key}
                found = self.catalog.find(known, str(section.get(key)))
                return found.build(with_stages_resolved(options, self.runs))
        raise ValueError(f"no kind of component {kind!r}")


def model_folder(name: str, folder: Path) -> str:
    """Where the model of a run (by folder or name), a saved model or a plain one lies; hub names stay as they are.

    Raises: RLHFError when a run has no model yet.
    """
    name = resource_path(name)
    for place in (Path(name).expanduser(), folder / name):
        run = RunFolder(place)
        if run.exists:
            return str(finished_model(run))
        if place.is_dir():
            return str(place)
    try:
        return str(finished_model(RunFolder.open(name)))
    except RLHFError:
        # What looks like a path cannot be a name of the hub, which loading would try next.
        if name.startswith((".", "/", "~", "runs/")) or name.count("/") > 1:
            raise
        return name


def base_folder(path: str) -> str:
    """``model.path`` for loading: of a run its model (a resumed run names the run it grew on), else what it says."""
    run = RunFolder(Path(path)) if path else None
    return str(finished_model(run)) if run is not None and run.exists else resource_path(path)


def finished_model(run: RunFolder) -> Path:
    """Raises: RLHFError when the run has no model yet."""
    if not run.model.is_dir():
        raise RLHFError(
            f"{run.path}: the run is {run.status} and has no model yet; go on with `rlhf train --resume {run.path}`"
        )
    return run.model


def codec_from_saved(
    tokenizer: PreTrainedTokenizerBase, template: Mapping[str, JSON], context_length: int, *, default: TemplateOptions
) -> TextCodec:
    """The codec that a model was saved with; ``default``'s for models that were saved without one."""
    options = TemplateOptions.model_validate(dict(template)) if template else default
    return TextCodec(tokenizer, options, context_length=context_length)
