"""What the engine lends a trainer, and what it asks of a policy beyond the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..contract.policy import Policy, SamplingSpec
from ..contract.records import PromptRecord, Record, prompt_text
from ..contract.reward import Completion, RewardSource
from ..contract.rows import Codec, Rollout, Row
from ..contract.trainer import TrainContext
from .reference import ReferenceLogprobs
from .scoring import CheckedScores
from .world import World

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

    from ..policy.layout import Reading


class TrainablePolicy(Policy, Protocol):
    """A policy that can be checkpointed: :class:`rlhf_core.policy.policy.TrunkPolicy`."""

    allow_dropout: bool
    pass_tokens: int
    recompute: bool

    @property
    def keeps_reference(self) -> bool: ...

    @property
    def samples_exactly(self) -> bool: ...

    def trained(self) -> Mapping[str, Parameter]: ...

    def frozen(self) -> Mapping[str, Tensor]: ...

    def fingerprint(self, role: str) -> str: ...

    def readings(self, rows: Sequence[Row]) -> Sequence[Reading]: ...

    def state(self) -> Mapping[str, Tensor]: ...

    def load_state(self, state: Mapping[str, Tensor]) -> None: ...

    def save(self, folder: Path) -> None: ...


def as_completions(rows: Sequence[Row], records: Mapping[str, Record], codec: Codec) -> list[Completion]:
    """Rows as texts with their records, one per completion, in order."""
    return [completion for row in rows for completion in _completions(row, records[row.record_id], codec)]


def build_context(
    policy: TrainablePolicy,
    *,
    sampling: SamplingSpec,
    reward: RewardSource | None,
    records: Mapping[str, Record],
    labels: Sequence[str],
    world: World,
) -> TrainContext:
    def completions(rows: Sequence[Row]) -> list[Completion]:
        return as_completions(rows, records, policy.codec)

    return TrainContext(
        policy=policy,
        sampling=sampling,
        reward=reward,
        score=CheckedScores(reward, completions),
        completions=completions,
        reference_logprobs=ReferenceLogprobs(policy),
        all_reduce=world.all_reduce,
        labels=tuple(labels),
    )


def _completions(row: Row, record: Record, codec: Codec) -> list[Completion]:
    prompt = record.prompt if isinstance(record, PromptRecord) else ""
    finished = (
        row.finished if isinstance(row, Rollout) else tuple(tokens[-1:] == (codec.eos,) for tokens in row.completions)
    )
    return [
        Completion(
            prompt=prompt_text(prompt),
            text=codec.decode(tokens),
            group=row.record_id,
            record=record.fields,
            tokens=tokens,
            finished=done,
            turns=None if isinstance(prompt, str) else prompt,
        )
        for tokens, done in zip(row.completions, finished, strict=True)
    ]
