"""Options of the judge `human`."""

from __future__ import annotations

from rlhf_core.contract.options import Options


class HumanJudgeOptions(Options):
    labels: str | None = None
    """The file of labels; null for the one that all runs share."""

    raters: tuple[str, ...] = ()
    """Whose labels count; all of them where it is empty."""
