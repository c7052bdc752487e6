"""Pairs that people compare, and what they said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Side = Literal["run", "baseline"]
Choice = Literal["left", "right", "tie", "both-bad", "skip", "flag"]
"""As the rater saw it. ``skip`` says nothing of the pair; ``flag`` sets it aside for somebody to look at."""
CHOICES: tuple[Choice, ...] = get_args(Choice)
Winner = Literal["run", "baseline", "tie"]
Decision = Literal["run", "baseline", "tie", "divided", "skipped", "flagged"]


@dataclass(frozen=True, kw_only=True)
class AskedPair:
    """Two completions of one prompt.

    Args:
        group: the prompt's record id.
    """

    group: str
    prompt: str
    run: str
    baseline: str

    @property
    def texts(self) -> tuple[str, str, str]:
        """What tells pairs apart, wherever they come from."""
        return self.prompt, self.run, self.baseline


@dataclass(frozen=True, kw_only=True)
class Label:
    """A choice that stands. ``left``: whose completion stood there. ``number``: the pair's in its set.

    ``repeat``: the rater had met the pair before, the other way round.
    """

    set_id: str
    number: int
    pair: AskedPair
    rater: str
    choice: Choice
    left: Side
    repeat: bool

    @property
    def winner(self) -> Winner | None:
        """Two bad ones are a tie; None where the pair was skipped or flagged."""
        if self.choice in ("skip", "flag"):
            return None
        if self.choice in ("tie", "both-bad"):
            return "tie"
        return self.left if self.choice == "left" else other_side(self.left)


class LabelStore(Protocol):
    """What a judge may ask of the labels."""

    def labels(self) -> Sequence[Label]:
        """All that stand, in the order in which they were given."""
        ...


class NoLabels:
    """A :class:`LabelStore` in which nobody said anything."""

    def labels(self) -> Sequence[Label]:
        return ()


def majority(labels: Sequence[Label]) -> Decision:
    """What raters say of one pair, each of them once.

    ``flagged`` if anybody flagged it, ``skipped`` if all skipped it, ``divided`` where as many name one side as the
    other.
    """
    if any(label.choice == "flag" for label in labels):
        return "flagged"
    winners: Counter[Winner] = Counter(label.winner for label in labels if label.winner is not None)
    if not winners:
        return "skipped"
    if winners["run"] == winners["baseline"]:
        return "divided" if winners["run"] else "tie"
    ahead: Winner = "run" if winners["run"] > winners["baseline"] else "baseline"
    return "tie" if winners["tie"] > winners[ahead] else ahead


def other_side(side: Side) -> Side:
    return "baseline" if side == "run" else "run"
