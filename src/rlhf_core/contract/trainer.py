"""The algorithm's side of training: what a batch is and what its loss is. The engine owns when."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeAlias

from .policy import Params, Policy, SamplingSpec
from .records import Record
from .reward import Completion, RewardSource, Scores
from .rows import Loss, Row, RowT, Totals

if TYPE_CHECKING:
    from torch import Tensor

PER_ROW: Final = "rows/"
"""What the name of a number begins with that ``validate`` gives of each row by itself."""
State: TypeAlias = Mapping[str, Any]
AnyRow: TypeAlias = Row
"""``Row`` under a name that the class attribute ``Trainer.Row`` does not hide."""


class Next(enum.Enum):
    """What the engine does after an optimizer step."""

    CONTINUE = "continue"
    NEXT_BATCH = "next batch"
    """Drop what is left of this batch (target KL reached)."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What must hold at the first optimizer step of a fresh stage; the run stops with ``meaning`` if it does not.

    Args:
        metric: name in ``Loss.metrics``, or ``"loss"``.
        expected, tolerance: absolute.
        meaning: what a violation means and its usual cause, for the user.
    """

    metric: str
    expected: float
    tolerance: float
    meaning: str


@dataclass(frozen=True, kw_only=True)
class TrainContext:
    """What the engine lends a trainer.

    Args:
        policy: the model, ``"policy"`` and ``"reference"`` at the stage's start.
        sampling: the stage's sampling options, for trainers that roll out; what ``collect`` returns was drawn by it.
        reward: the stage's reward source; None when the recipe names none.
        score: ``reward.score`` on rollouts, checked for lengths, NaN and infinities; raises TrainingStopped
            naming source and rows.
        completions: rows with completions as text, one per completion, with their records.
        reference_logprobs: of each row's completions, token by token (float32 ``[tokens]``, on the CPU), under
            ``"reference"``. For rows that come again: each is worked out once, and kept for later runs too.
        all_reduce: sums a tensor over ranks, in place, and returns it.
        labels: sorted class names of two-class data; empty otherwise.
    """

    policy: Policy
    sampling: SamplingSpec
    reward: RewardSource | None
    score: Callable[[Sequence[Row]], Scores]
    completions: Callable[[Sequence[Row]], list[Completion]]
    reference_logprobs: Callable[[Sequence[Row]], Sequence[tuple[Tensor, ...]]]
    all_reduce: Callable[[Tensor], Tensor]
    labels: Sequence[str] = ()


class Trainer(Protocol[RowT]):
    """See :class:`BaseTrainer` for the defaults, and ``plugins/rlhf_plugins/dpo/trainer.py`` for a whole one.

    Class attributes:
        Record: the shape of data it learns from; the data layer maps columns to it or says what is missing.
        Row: the rows that ``collect`` returns.
        inner_epochs, minibatches: how often, and in how many optimizer steps, one collected batch is gone through.
        dropout_ok: False for losses that compare logprobs taken at two times.
        generates: whether the trained policy writes text worth sampling (False for reward models).
        readings: question → answer for whoever reads the report of a run: how this loss should move, which value of an
            option. Optional.
        best: metric and direction that pick the best checkpoint, as ``("loss", "min")``; None keeps the last.
    """

    Record: type[Record]
    Row: type[AnyRow]
    dropout_ok: ClassVar[bool]
    generates: ClassVar[bool]
    best: tuple[str, str] | None
    inner_epochs: int
    minibatches: int

    def prepare(self, context: TrainContext) -> Mapping[str, Params]:
        """Add roles and heads; return the trained parameters by group name (each group may have its learning rate)."""

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[RowT]:
        """One batch, made ready. No gradient is recorded and no state of the trainer changes.

        Offline: look up reference logprobs. Online: roll out, score, estimate advantages. ``seed``: of all ranks.
        """

    def batch_metrics(self, rows: Sequence[RowT], totals: Totals) -> Mapping[str, Tensor]:
        """Numbers about a collected batch (score, KL, length), divided by ``totals`` as in a loss."""

    def loss(self, rows: Sequence[RowT], totals: Totals) -> Loss: ...

    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        """Metrics on held-out rows, divided by ``totals``; ``loss`` among them where it means something.

        Beside these scalars a tensor ``[rows]`` under ``rows/NAME`` holds that number of each row by itself: the run
        keeps it, and the report shows how it is spread.
        """

    def after_step(self, metrics: Mapping[str, float]) -> Next:
        """After an optimizer step, with that step's metrics reduced over ranks."""

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        """After the last step on a batch, with its batch metrics: adaptive coefficients move here."""

    def checks(self) -> Sequence[Check]: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class BaseTrainer(Generic[RowT]):
    """The usual defaults: one pass over each batch, one optimizer step for it, validation by the loss itself."""

    dropout_ok: ClassVar[bool] = True
    generates: ClassVar[bool] = True
    best: tuple[str, str] | None = ("loss", "min")
    inner_epochs: int = 1
    minibatches: int = 1

    @property
    def readings(self) -> Mapping[str, str]:
        return {}

    def collect(self, rows: Sequence[Any], *, seed: int) -> Sequence[RowT]:
        return rows

    def batch_metrics(self, rows: Sequence[RowT], totals: Totals) -> Mapping[str, Tensor]:
        return {}

    def loss(self, rows: Sequence[RowT], totals: Totals) -> Loss:
        raise NotImplementedError(f"{type(self).__name__} must define loss(rows, totals)")

    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, Tensor]:
        loss = self.loss(self.collect(rows, seed=seed), totals)
        apart = {} if loss.per_row is None else {f"{PER_ROW}loss": loss.per_row}
        return {"loss": loss.total, **loss.metrics, **apart}

    def after_step(self, metrics: Mapping[str, float]) -> Next:
        return Next.CONTINUE

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        """Nothing adapts."""

    def checks(self) -> Sequence[Check]:
        return ()

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to restore."""
