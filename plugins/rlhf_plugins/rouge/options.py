"""Options of the ``rouge`` evaluator."""

from __future__ import annotations

from rlhf_core.contract.options import Options


class RougeOptions(Options):
    reference: str
    """The column of the data that holds the reference answer, such as output."""

    stemmer: bool = False
    """Whether words are cut to their stems (Porter) before they are compared; English only."""
