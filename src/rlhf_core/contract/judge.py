"""Judges: compare two completions, grade one, or both. Core adapts a judge to evaluator and to reward source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .reward import Completion

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
    """One reply to one pair. ``winner`` is None unless ``outcome`` is ``"valid"``: never a guess, never a loss."""

    winner: Winner | None
    outcome: Outcome = "valid"
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grade:
    """One reply to one completion: a number per criterion (1–5), and their mean as ``score``; None unless valid."""

    score: float | None
    criteria: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = "valid"
    reason: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)


class Judge(Protocol):
    """What it ``can`` do is declared; core calls nothing else. Replies come in the order of the questions."""

    can: Set[Ability]

    def compare(self, pairs: Sequence[Pair]) -> Sequence[Verdict]: ...

    def grade(self, completions: Sequence[Completion]) -> Sequence[Grade]: ...
