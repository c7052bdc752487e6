"""What a judge said of each pair, in both orders: disagreements first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .content import EvaluationContent
from .samples import spread

MOST_VERDICTS = 400
"""On a page; the files beside it have all."""

Result = Literal["win", "tie", "loss", "invalid"]

RUN_FIRST, BASELINE_FIRST = "run-first", "baseline-first"
"""Columns of a judged comparison, behind the judge's name: whom each order named."""

_RANK: Final = {"invalid": 1, "loss": 2, "tie": 3, "win": 4}


@dataclass(frozen=True)
class Reply:
    """One order. ``winner``: ``run``, ``baseline``, ``tie``, or empty where the reply was not valid."""

    winner: str
    outcome: str
    reason: str

    @property
    def words(self) -> str:
        return self.winner or self.outcome


@dataclass(frozen=True)
class JudgedPair:
    """One prompt, both completions, both orders."""

    prompt: str
    run: str
    baseline: str
    run_first: Reply
    baseline_first: Reply

    @property
    def result(self) -> Result:
        """Of both orders together, as the win rate counts them."""
        winners = (self.run_first.winner, self.baseline_first.winner)
        if not all(winners):
            return "invalid"
        return "win" if winners == ("run", "run") else "loss" if winners == ("baseline", "baseline") else "tie"

    @property
    def disagree(self) -> bool:
        return self.result != "invalid" and self.run_first.winner != self.baseline_first.winner

    @property
    def kinds(self) -> str:
        """Among which choices of the page's filter it is."""
        return f"{self.result} disagree" if self.disagree else self.result

    @property
    def rank(self) -> int:
        """Place in the order in which verdicts are read: what casts doubt on the judge first."""
        return 0 if self.disagree else _RANK[self.result]


@dataclass(frozen=True)
class Verdicts:
    """One judge's verdicts.

    Args:
        pairs: all of them, disagreements first. ``shown``: those on the page.
        counts: how many of each kind, ``disagree`` among them.
    """

    judge: str
    pairs: Sequence[JudgedPair]
    shown: Sequence[JudgedPair]
    counts: Mapping[str, int]


def verdicts_of(evaluation: EvaluationContent) -> list[Verdicts]:
    """Of every judge that compared in the evaluation; none where none did."""
    rows = [row for row in evaluation.rows if row["of"] == "run"]
    columns = rows[0] if rows else {}
    judges = [name.removesuffix(f"/{RUN_FIRST}") for name in columns if name.endswith(f"/{RUN_FIRST}")]
    return [_verdicts(judge, rows) for judge in judges]


def _verdicts(judge: str, rows: Sequence[Mapping[str, Any]]) -> Verdicts:
    pairs = sorted((_pair(judge, row) for row in rows), key=lambda pair: pair.rank)
    first = [pair for pair in pairs if pair.disagree][:MOST_VERDICTS]
    rest = [pair for pair in pairs if not pair.disagree]
    room = MOST_VERDICTS - len(first)
    counts = Counter(kind for pair in pairs for kind in pair.kinds.split())
    return Verdicts(judge, pairs, [*first, *(spread(rest, room) if room > 1 else [])], counts)


def _pair(judge: str, row: Mapping[str, Any]) -> JudgedPair:
    return JudgedPair(
        str(row["prompt"]), str(row["completion"]), str(row[f"{judge}/baseline"]),
        _reply(judge, row, RUN_FIRST), _reply(judge, row, BASELINE_FIRST),
    )  # fmt: skip


def _reply(judge: str, row: Mapping[str, Any], order: str) -> Reply:
    name = f"{judge}/{order}"
    return Reply(str(row[name] or ""), str(row[f"{name}-outcome"]), str(row[f"{name}-reason"]))
