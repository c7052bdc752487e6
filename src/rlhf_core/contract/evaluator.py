"""Evaluators: numbers per completion, and their summary with an interval."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .errors import RLHFError
from .policy import Policy
from .reward import Completion, RewardContext

Need = Literal["policy", "reference", "baseline", "train_set"]


@dataclass(frozen=True, kw_only=True)
class EvalContext:
    """What core lends an evaluator. A field is filled when the evaluator lists it in ``needs``, or the evaluation stops
    and says what is missing; ``train_texts`` alone stays None where the run's training set is not at hand.

    Args:
        policy: the evaluated run's policy; its ``"reference"`` role is the plain base model.
        baseline: the other run's completions of the same prompts, in the same order.
        train_texts: completions that the run was trained on.
        lend: the loaders that rewards get too.
    """

    lend: RewardContext
    policy: Policy | None = None
    baseline: Sequence[Completion] | None = None
    train_texts: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluator found.

    Args:
        scores: per metric, one number per completion, in order; None where it is not defined for that completion.
            Core adds means, prompt-clustered bootstrap intervals and paired differences to the baseline.
        corpus: numbers that exist for the whole set only (distinct-n).
        notes: lines a reader needs to understand the numbers.
        rows: further columns per completion (a judge's reason), kept with the samples; none has a metric's name.
        shares: metrics that say yes (1) or no (0) of each completion: at 0 or 1, too, their interval has a width.
        better: per metric, whether ``"higher"`` or ``"lower"`` is better; silent where neither.
        neutral: per metric that already compares with the baseline, the value at which neither side is better
            (0.5 for a win rate).
        recompute: ``corpus`` over some of the completions only, by index; with it core states intervals for ``corpus``.
    """

    scores: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    corpus: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    rows: Sequence[Mapping[str, object]] = ()
    shares: Collection[str] = ()
    better: Mapping[str, Literal["higher", "lower"]] = field(default_factory=dict)
    neutral: Mapping[str, float] = field(default_factory=dict)
    recompute: Callable[[Sequence[int]], Mapping[str, float]] | None = None


class Evaluator(Protocol):
    needs: Set[Need]

    def evaluate(self, completions: Sequence[Completion], context: EvalContext) -> Evaluation: ...


def reference_answer(completion: Completion, column: str, *, evaluator: str, option: str = "reference") -> str:
    """The text in a column of the record that the prompt came from.

    Args:
        option: by which a user names the column.
    Raises: RLHFError naming the evaluator, the prompt, and the columns that its record has.
    """
    text = completion.record.get(column)
    if not isinstance(text, str) or not text.strip():
        columns = ", ".join(completion.record) or "none"
        raise RLHFError(
            f"{evaluator}: {completion.group}: no reference answer in the column {column!r} "
            f"(columns: {columns}); name it as {option}"
        )
    return text
