"""Which pairs people are asked about, in which order, and who stands left. All of it seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from ..contract.errors import RLHFError
from ..contract.labels import AskedPair, Side, Winner, other_side
from ..store.labels import Place

Selection = Literal["random", "uncertain"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A pair out of an evaluation.

    Args:
        judges: whom each judge named in its two orders; one of whose replies was not valid is not there.
        gap: |difference of scores|; infinite where there are none.
    """

    pair: AskedPair
    judges: Mapping[str, tuple[Winner, Winner]]
    gap: float

    @property
    def split(self) -> bool:
        """Whether the orders of a judge disagree."""
        return any(one != other for one, other in self.judges.values())

    @property
    def winners(self) -> dict[str, Winner]:
        """By judge; orders that disagree make a tie, as in the win rate."""
        return {judge: one if one == other else "tie" for judge, (one, other) in self.judges.items()}


def candidates(rows: Sequence[Mapping[str, Any]], score: str | None = None) -> list[Candidate]:
    """The run's completions beside the baseline's.

    Args:
        rows: of ``evaluation/NAME.jsonl``.
        score: the metric whose difference says how alike two completions are; None for the first ``…/score``.
    Raises: RLHFError when the rows hold no baseline, or not that metric.
    """
    own, other = ([row for row in rows if row["of"] == of] for of in ("run", "baseline"))
    if not other or [row["group"] for row in own] != [row["group"] for row in other]:
        raise RLHFError("the evaluation holds no completion of a baseline beside each of the run's; make one anew")
    numbers = [name for name in other[0] if name in own[0] and any(_is_number(row[name]) for row in other)]
    metric = score or next((name for name in numbers if name.endswith("/score")), None)
    if metric is not None and metric not in numbers:
        raise RLHFError(f"--by {metric}: the evaluation has no such number of both; there are {', '.join(numbers)}")
    return [_candidate(one, two, metric) for one, two in zip(own, other, strict=True)]


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _candidate(own: Mapping[str, Any], other: Mapping[str, Any], metric: str | None) -> Candidate:
    names = [name.removesuffix("/run-first") for name in own if name.endswith("/run-first")]
    verdicts: dict[str, tuple[Any, Any]] = {
        name: (own[f"{name}/run-first"], own.get(f"{name}/baseline-first")) for name in names
    }
    mine, theirs = (None, None) if metric is None else (own.get(metric), other.get(metric))
    return Candidate(
        pair=AskedPair(
            group=own["group"], prompt=own["prompt"], run=own["completion"], baseline=other["completion"]
        ),
        judges={name: both for name, both in verdicts.items() if None not in both},
        gap=math.inf if mine is None or theirs is None else abs(mine - theirs),
    )  # fmt: skip


def in_order(found: Iterable[Candidate], selection: Selection, seed: int) -> list[AskedPair]:
    """Shuffled: the first n are a random sample of all. Uncertain first: those on which a judge's orders disagree,
    then by the smallest difference of scores. Equal completions, which nobody can compare, are left out."""
    shuffled = [candidate for candidate in found if candidate.pair.run != candidate.pair.baseline]
    random.Random(f"order {seed}").shuffle(shuffled)
    if selection == "uncertain":
        shuffled.sort(key=lambda candidate: (not candidate.split, candidate.gap))
    return [candidate.pair for candidate in shuffled]


def plan(
    pairs: int, given: Set[int], *, rater: str, seed: int, items: int, shared: int, repeats: int
) -> list[Place]:  # fmt: skip
    """A rater's way.

    The first ``shared`` pairs of the set go to every rater, for their agreement; then pairs that nobody has yet, up to
    ``items`` in all; then ``repeats`` of them again, the other way round. What is repeated stands in the first third
    and comes again in the last one: nobody should remember it.

    Args:
        pairs: how many the set has. given: numbers that other raters have.
    """
    drawn = random.Random(f"{rater} {seed}")
    common = list(range(min(shared, items, pairs)))
    alone = [number for number in range(len(common), pairs) if number not in given][: items - len(common)]
    places = [Place(number=number, left=_side(drawn)) for number in [*common, *alone]]
    drawn.shuffle(places)
    third = math.ceil(len(places) / 3)
    again = [
        Place(number=place.number, left=other_side(place.left), repeat=True)
        for place in drawn.sample(places[:third], min(repeats, third))
    ]
    middle, last = places[: 2 * third], [*places[2 * third :], *again]
    drawn.shuffle(last)
    return [*middle, *last]


def _side(drawn: random.Random) -> Side:
    return drawn.choice(("run", "baseline"))
