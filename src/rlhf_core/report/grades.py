"""What a judge gave each completion by itself: unusable replies first, then from the worst grade to the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .content import EvaluationContent
from .samples import spread
from .verdicts import MOST_VERDICTS

_OUTCOME: Final = "/outcome"
_NO_CRITERIA: Final = ("score", "success", "outcome", "reason")


@dataclass(frozen=True)
class Graded:
    """One completion.

    Args:
        of: ``run`` or ``baseline``.
        outcome: ``valid``, or why there are no grades.
        success: 1 or 0; None where the judge has no rule of success, or gave no grades.
        criteria: in the order of :attr:`Grades.criteria`.
    """

    of: str
    prompt: str
    completion: str
    outcome: str
    reason: str
    score: float | None
    success: float | None
    criteria: Sequence[float | None]

    @property
    def result(self) -> str:
        if self.outcome != "valid":
            return self.outcome
        return "graded" if self.success is None else "passed" if self.success else "failed"

    @property
    def kinds(self) -> str:
        """Among which choices of the page's filter it is."""
        return f"{'invalid' if self.outcome != 'valid' else self.result} {self.of}"


@dataclass(frozen=True)
class Grades:
    """One judge's.

    Args:
        criteria: their names.
        all: worst first. ``shown``: those on the page.
        counts: how many of each kind.
    """

    judge: str
    criteria: Sequence[str]
    all: Sequence[Graded]
    shown: Sequence[Graded]
    counts: Mapping[str, int]


def grades_of(evaluation: EvaluationContent) -> list[Grades]:
    """Of every judge that graded in the evaluation; none where none did."""
    columns = evaluation.rows[0] if evaluation.rows else {}
    judges = [name.removesuffix(_OUTCOME) for name in columns if name.endswith(_OUTCOME)]
    return [_grades(judge, evaluation.rows) for judge in judges]


def _grades(judge: str, rows: Sequence[Mapping[str, Any]]) -> Grades:
    rows = [row for row in rows if f"{judge}{_OUTCOME}" in row]
    own = [name.removeprefix(f"{judge}/") for name in rows[0] if name.startswith(f"{judge}/")]
    criteria = [name for name in own if name not in _NO_CRITERIA]
    found = sorted(
        (_graded(judge, criteria, row) for row in rows),
        key=lambda one: (one.outcome == "valid", one.score if one.score is not None else 0.0),
    )
    counts = Counter(kind for one in found for kind in one.kinds.split())
    return Grades(judge, criteria, found, spread(found, MOST_VERDICTS), counts)


def _graded(judge: str, criteria: Sequence[str], row: Mapping[str, Any]) -> Graded:
    return Graded(
        of=str(row["of"]), prompt=str(row["prompt"]), completion=str(row["completion"]),
        outcome=str(row[f"{judge}{_OUTCOME}"]), reason=str(row.get(f"{judge}/reason") or ""),
        score=row.get(f"{judge}/score"), success=row.get(f"{judge}/success"),
        criteria=[row.get(f"{judge}/{name}") for name in criteria],
    )  # fmt: skip
