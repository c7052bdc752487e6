"""Options of the ranked stories."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rlhf_core.contract.options import Options

View = Literal["pairs", "demonstrations", "prompts"]


class RankedStoriesOptions(Options):
    """Where the stories lie and what to make of them."""

    file: str
    """JSON lines, one story each: {"prompt", "story", "score"}, the score a number of votes; relative to the working
    folder."""
    view: View = "pairs"
    """pairs (prompt, chosen, rejected), demonstrations (prompt, completion) or prompts."""
    margin: float = Field(default=1.0, gt=0)
    """pairs: the scores differ by at least this many votes."""
    ratio: float = Field(default=1.0, ge=1)
    """pairs: and the higher score is at least this many times the lower one. Votes are heavy-tailed: 3 against 2 says
    little, 300 against 200 more, though the ratio is the same; ask for both."""
    pairs_per_prompt: int | None = Field(default=4, ge=1)
    """pairs: at most so many of one prompt, those with the greatest difference, so that a prompt with a hundred stories
    does not outweigh the others; null takes all."""
    min_score: float | None = None
    """demonstrations: only stories with at least so many votes; null takes all."""
    strip_tags: bool = True
    """Whether a tag such as [WP] before the prompt is left out."""
