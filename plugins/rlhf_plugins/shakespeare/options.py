"""Options of the Shakespeare recipe's data sets."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class SentimentOptions(Options):
    """Where the labels lie."""

    file: str
    """JSON lines with sample and sentiment, as published at github.com/ZiyueWang25/RLHF-Shakespeare
    (data/handcrafted_data.jsonl); relative to the working folder."""
    words: int | None = Field(default=None, ge=1)
    """Cut every passage into pieces of exactly so many words, each with the passage's label and in its part; what is
    left over is not used. The published sad passages are longer than the happy ones, and length is not to be learnt."""


class TextStartsOptions(Options):
    """What to start with and how often."""

    prompt: str = Field(default="\n", min_length=1)
    """The text that every completion goes on from."""
    count: int = Field(default=128, ge=1)
    """Rows per split. They differ in nothing but their ids and the column ``draw``, which lets an evaluation ask
    the same prompt more than once."""
