"""Options of the ``bleu`` evaluator."""

from __future__ import annotations

from typing import Literal

from rlhf_core.contract.options import Options


class BleuOptions(Options):
    reference: str
    """The column of the data that holds the reference answer, such as output."""

    tokenize: Literal["13a", "intl", "char", "none"] = "13a"
    """How sacrebleu tells words apart; 13a is that of most published figures."""

    lowercase: bool = False
    """Whether upper and lower case are the same."""
