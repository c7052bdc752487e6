"""Options of the ``pun-statistics`` evaluator."""

from __future__ import annotations

from pydantic import Field

from rlhf_core.contract.options import Options


class PunStatisticsOptions(Options):
    pun_word: str = "pun_word"
    """The column of the data that holds the pun word, such as hare."""

    alternative: str = "plays_on"
    """The column that holds the word or words it plays on, such as hair; what does not sound alike is a gloss."""

    model: str | None = None
    """Run or model folder to measure surprisal with; without it the base model of the evaluated run."""

    window: int = Field(2, ge=1)
    """Words on each side of the pun word that are its local context; 2 in the paper."""

    sounds_alike: float = Field(0.4, ge=0, le=1)
    """Phoneme edits, per phoneme of the longer of the two, up to which pun word and alternative sound alike."""
