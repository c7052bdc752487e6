"""Scores that can be trusted: what a reward source gave, checked before anything is trained on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ..contract.errors import RLHFError, TrainingStopped
from ..contract.reward import Completion, RewardSource, Scores
from ..contract.rows import Row

SHOWN = 3
"""Rows that a message names."""


class CheckedScores:
    """``score`` of a reward source on rows.

    Args:
        source: None when the stage has no reward; then calling it is an error.
        completions: rows as completions with their texts and records.
    """

    def __init__(self, source: RewardSource | None, completions: Callable[[Sequence[Row]], list[Completion]]) -> None:
        self.source = source
        self.name = str(getattr(source, "name", type(source).__name__))
        self.completions = completions

    def __call__(self, rows: Sequence[Row]) -> Scores:
        """One finite score per completion, in order.

        Raises:
            TrainingStopped naming source and rows when it raised, or gave too few numbers, or one that is not finite.
            RLHFError as the source raised it (a missing key), or when there is no source.
        """
        if self.source is None:
            raise RLHFError("this stage has no reward: set `reward: {reward: NAME, …}` in the stage, or --reward")
        completions = self.completions(rows)
        try:
            given = self.source.score(completions)
        except RLHFError:
            raise
        except Exception as error:
            where = _naming(completions, range(len(completions)))
            raise TrainingStopped(
                f"reward {self.name} raised {type(error).__name__}: {error} (scoring {where}); nothing of this step is "
                "saved: mend the reward and go on with --resume"
            ) from error
        scores = given if isinstance(given, Scores) else Scores(given)
        parts = {name: self._checked(f"part {name!r}", part, completions) for name, part in scores.parts.items()}
        return Scores(self._checked("score", scores.total, completions), parts)

    def _checked(self, what: str, numbers: Iterable[float], completions: Sequence[Completion]) -> list[float]:
        try:
            found = [float(number) for number in numbers]
        except (TypeError, ValueError) as error:
            raise self._stopped(f"gave a {what} that is no list of numbers ({error})") from error
        if len(found) != len(completions):
            raise self._stopped(f"gave {len(found)} numbers as {what} for {len(completions)} completions")
        bad = [index for index, number in enumerate(found) if not math.isfinite(number)]
        if bad:
            raise self._stopped(f"gave {what} {found[bad[0]]} to {_naming(completions, bad)}")
        return found

    def _stopped(self, what: str) -> TrainingStopped:
        return TrainingStopped(
            f"reward {self.name} {what}; nothing of this step is saved: mend the reward and go on with --resume"
        )


def _naming(completions: Sequence[Completion], indices: Sequence[int]) -> str:
    shown = ", ".join(
        f"{completions[index].group} ({_excerpt(completions[index].text)!r})" for index in indices[:SHOWN]
    )
    return shown + (f" and {len(indices) - SHOWN} more" if len(indices) > SHOWN else "")


def _excerpt(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
