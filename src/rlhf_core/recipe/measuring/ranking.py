"""Several runs compared by one judge, each with each, and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.evaluation.preferences import Match, Strength, bradley_terry, tally
from rlhf_core.evaluation.result import EvaluationResult, qualified
from rlhf_core.evaluation.significance import benjamini_hochberg, neutral_p
from rlhf_core.store.run import RunFolder

from .evaluating import Measurement

WIN_RATE, BY_LONGEST = "win-rate", "by-longest"


@dataclass(frozen=True)
class Duel:
    """Two runs against each other.

    Args:
        q: of "neither is better", corrected for all pairs of the ranking.
        by_longest: the first one's win rate by a judge that knows nothing but length.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    q: float
    by_longest: float | None = None

    @property
    def win_rate(self) -> float:
        """(W + ½T)/N of the first."""
        return (self.wins + self.ties / 2) / (self.wins + self.ties + self.losses)


@dataclass(frozen=True)
class Ranking:
    """Strengths, the strongest first, and every pair."""

    strengths: Sequence[Strength]
    duels: Sequence[Duel]
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rank(runs: Mapping[str, RunFolder], measurement: Measurement) -> Ranking:
    """Ask the judge about every pair of runs, in both orders, on the same prompts.

    Args:
        runs: by the names that the ranking is to show.
    Raises: RLHFError when there is no judge that compares, or it gave no verdict.
    """
    if measurement.options.judge is None:
        raise RLHFError("several runs are ranked by a judge: name one (--judge chatgpt)")
    judge = measurement.options.judge_name
    records = measurement.records(next(iter(runs.values())))
    matches: list[Match] = []
    by_longest: dict[tuple[str, str], float | None] = {}
    notes: list[str] = []
    for (name, run), (other_name, other) in combinations(runs.items(), 2):
        measurement.tell(f"{name} against {other_name} on {len(records)} prompts")
        result = measurement.measure(run, str(other.path), records)
        matches += _matches(name, other_name, result, qualified(judge, WIN_RATE))
        by_longest[name, other_name] = result[qualified(judge, BY_LONGEST)].estimate.value
        notes += [f"{name} against {other_name}: {note}" for note in (*result.warnings, *result.notes)]
    if not matches:
        raise RLHFError(f"judge {judge} gave no valid verdict; {notes[0] if notes else 'nothing can be ranked'}")
    found = [replace(duel, by_longest=by_longest[duel.first, duel.second]) for duel in duels(matches)]
    return Ranking(bradley_terry(matches), found, notes)


def duels(matches: Sequence[Match]) -> list[Duel]:
    table = tally(matches)
    p_values = [_p([match for match in matches if (match.first, match.second) == pair]) for pair in table]
    return [
        Duel(*pair, *counts, q)
        for (pair, counts), q in zip(table.items(), benjamini_hochberg(p_values), strict=True)
    ]  # fmt: skip


def _p(matches: Sequence[Match]) -> float:
    found = neutral_p([match.outcome for match in matches], [match.group for match in matches], 0.5)
    return 1.0 if found is None else found


def _matches(first: str, second: str, result: EvaluationResult, metric: str) -> list[Match]:
    own = [sample for sample in result.samples if sample.of == "run"]
    if own and metric not in own[0].scores:
        raise RLHFError(f"the judge gave no {metric}: it cannot compare; use one that can, or evaluate runs one by one")
    return [
        Match(first, second, sample.group, outcome)
        for sample in own
        if (outcome := sample.scores[metric]) is not None
    ]  # fmt: skip
