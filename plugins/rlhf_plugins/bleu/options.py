"""Options of the evaluators that count n-grams in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rlhf_core.contract.options import Options

Tokenize = Literal["13a", "intl", "char", "none"]


class _ReferenceOptions(Options):
    reference: str
    """The column of the data that holds the reference answer, such as output."""


class BleuOptions(_ReferenceOptions):
    tokenize: Tokenize = "13a"
    """How sacrebleu tells words apart; 13a is that of most published figures."""

    lowercase: bool = False
    """Whether upper and lower case are the same."""


class ChrFOptions(_ReferenceOptions):
    word_order: int = Field(0, ge=0, le=4)
    """Longest word n-gram beside the characters: 0 is chrF, 2 is chrF++."""

    lowercase: bool = False
    """Whether upper and lower case are the same."""


class SelfBleuOptions(Options):
    among: Literal["all", "prompt"] = "all"
    """Compared with all other completions (as published), or with those of the same prompt only (needs several)."""

    tokenize: Tokenize = "13a"
    """How sacrebleu tells words apart."""

    lowercase: bool = False
    """Whether upper and lower case are the same."""
