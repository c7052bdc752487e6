"""Options of the components about puns."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, field_validator

from rlhf_core.contract.options import Options

View = Literal["pairs", "demonstrations", "prompts", "corpus", "records"]
Negative = Literal["unrelated", "plain", "other_topic", "other_word", "corrupted", "stuffed"]

KINDS: Final[dict[Negative, float]] = {
    "unrelated": 1.0,
    "plain": 0.5,
    "other_topic": 0.5,
    "other_word": 0.5,
    "corrupted": 0.5,
    "stuffed": 0.25,
}
"""Rejected lines for each pun, by default."""


class PunDataOptions(Options):
    """What to make of the hand-written words and records."""

    view: View
    """pairs (prompt, chosen, rejected, kind), demonstrations (prompt, completion), prompts, corpus (text for
    pretraining) or records (the hand-written ones as they are)."""
    kinds: dict[Negative, float] = Field(default_factory=lambda: dict(KINDS))
    """pairs: how many rejected lines of each kind a pun gets on average: unrelated (the word in a phrase that has
    nothing to do with the prompt), plain (on the prompt, without a pun), other_topic (a pun on something else),
    other_word (the prompt's topic with another word's punch; for made lines only), corrupted (the pun with its words
    shuffled, dropped or doubled) and stuffed (the word over and over)."""
    generated: int = Field(default=6, ge=0)
    """pairs, demonstrations: lines per pun word made from its phrases, beside the two hand-written ones."""
    pun_share: float = Field(default=0.3, ge=0, le=1)
    """demonstrations: share of completions that are puns; the others are plain lines on the same prompts."""
    seed: int = 0
    """Which phrases and frames are drawn. Independent of the recipe's seed: the data stay the same."""

    @field_validator("kinds")
    @classmethod
    def _counts(cls, kinds: dict[Negative, float]) -> dict[Negative, float]:
        if not kinds or min(kinds.values()) < 0 or not sum(kinds.values()):
            raise ValueError(f"kinds needs at least one kind with a count above 0 and none below, found {kinds}")
        return kinds


class PunRewardOptions(Options):
    """Weights of the reward's parts; the score is their weighted mean, in [0, 1]."""

    word: float = Field(default=2.0, ge=0)
    """The pun word stands in the line exactly once."""
    topic: float = Field(default=2.0, ge=0)
    """A content word of the prompt stands in the line."""
    idiom: float = Field(default=4.0, ge=0)
    """Share of an idiom's other words that stand near the pun word; the best of its idioms counts."""
    length: float = Field(default=1.0, ge=0)
    """Five to twenty words that end like a sentence."""
    repetition: float = Field(default=1.0, ge=0)
    """No content word twice."""
