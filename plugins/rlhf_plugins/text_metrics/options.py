"""Options of the ``text`` evaluator."""

from __future__ import annotations

from rlhf_core.contract.options import Options


class TextOptions(Options):
    vocabulary: bool = True
    """Also measure the share of words that the run's training texts do not contain (where they are at hand)."""
