"""Judges: compare two completions, grade one, or both. Core adapts a judge to evaluator and to reward source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .labels import LabelStore, NoLabels
from .policy import Policy
from .reward import Completion

if TYPE_CHECKING:
    from .replies import ReplyStore

Ability = Literal["compare", "grade"]
Winner = Literal["first", "second", "tie"]
Outcome = Literal["valid", "invalid", "refused", "truncated", "error"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two completions of one prompt in the order in which the judge sees them. Core asks for both orders."""

    first: Completion
    second: Completion


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One reply to one pair. ``winner`` is None unless ``outcome`` is ``"valid"``: never a guess, never a loss.

    ``agreement``: where the same was asked several times, how often two of the replies are alike; else None.
    """

    winner: Winner | None
    outcome: Outcome = "valid"
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Grade:
    """One reply to one completion: a number per criterion (1–5), and their mean as ``score``; None unless valid.

    ``success``: whether the completion does what it was asked for, by the judge's own strict rule and apart from how
    much it pleases; None where the judge has no such rule. ``agreement``: as of a :class:`Verdict`, over the criteria.
    """

    score: float | None
    success: bool | None = None
    criteria: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = "valid"
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How far a judge has come with the questions that it was given at once.

    Args:
        done, total: questions. ``kept``: those of ``done`` that cost nothing, their replies being kept from before;
            ``failed``: those without a valid reply.
        usd: what the others cost; None where no price is known.
    """

    judge: str
    done: int
    total: int
    kept: int = 0
    failed: int = 0
    usd: float | None = None


def unwatched(_: Asked) -> None:
    """Where progress goes that nobody looks at."""


@dataclass(frozen=True, kw_only=True)
class JudgeContext:
    """What core lends a judge that has a method ``prepare(context)``; it is called before the first question.

    Args:
        replies: opens the store of replies: a file, or None for the one that all runs share.
        open_policy: a run folder (or model folder) as a frozen policy, with its own tokenizer, template and heads.
        tell: gets a line for each thing a user should know, such as an estimate of the cost.
        folder: relative paths in options are relative to this folder.
        labels: opens what people said: a file, or None for the one that all runs share.
        asked: gets the state after each question of many that take their time; call it from one thread at a time.
    """

    replies: Callable[[str | None], ReplyStore]
    open_policy: Callable[[str], Policy]
    tell: Callable[[str], None]
    folder: str = "."
    labels: Callable[[str | None], LabelStore] = lambda _: NoLabels()
    asked: Callable[[Asked], None] = unwatched


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What questions are likely to cost, the judge's instructions and replies included.

    Args:
        usd: dollars; None where no price is known, and ``note`` says why.
        note: what a user should know beside the numbers, such as when the prices were read.
    """

    prompt_tokens: float
    reply_tokens: float
    usd: float | None
    note: str = ""


class Judge(Protocol):
    """What it ``can`` do is declared; core calls nothing else. Replies come in the order of the questions.

    A judge that takes money has a static method ``cost`` (:class:`Priced`), by which a dry run tells dollars.
    """

    can: Set[Ability]

    def compare(self, pairs: Sequence[Pair]) -> Sequence[Verdict]: ...

    def grade(self, completions: Sequence[Completion]) -> Sequence[Grade]: ...


class Priced(Protocol):
    """What the class of a judge may have, too. Nothing is asked and no key is needed."""

    @staticmethod
    def cost(options: Any, asked: Sequence[Completion] | Sequence[Pair], folder: str) -> Cost:
        """Of comparing these pairs (each in one order), or of grading these completions.

        Args:
            options: the judge's, validated. folder: relative paths in them are relative to this folder.
        """
