"""What ratings by people are worth, and how a judge's compare: with each other, with themselves, with chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from .agreement import Value, cohen_kappa, interval, kendall, krippendorff_alpha, nominal, resampled, spearman
from .statistics import NOTHING, Estimate, clustered_mean

Statistic = Callable[[Sequence[tuple[Value, Value]]], float | None]

RANKS: Final[Mapping[str, Statistic]] = {"spearman": spearman, "kendall": kendall}
"""Correlations of numbers by their order: what one rater's scale and another's need not have in common."""


@dataclass(frozen=True, kw_only=True)
class Rating:
    """One answer. The second one of a rater about the same item is a repeat: it says how far the rater agrees with
    themself, and counts nowhere else.

    Args:
        group: the prompt, which intervals resample.
        first, second: for items that have two sides, the values that name the side shown first and second.
    """

    item: str
    rater: str
    value: Value
    group: str
    first: Value | None = None
    second: Value | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with its interval. ``ceiling``: the same among people, for figures of a judge."""

    name: str
    estimate: Estimate
    ceiling: Estimate = NOTHING


@dataclass(frozen=True)
class Statistics:
    """``notes``: what was counted, and what limits the figures."""

    figures: Sequence[Figure]
    notes: Sequence[str]


@dataclass(frozen=True)
class _Both:
    """Two raters' values of one item."""

    group: str
    one: Value
    other: Value


def figures(
    ratings: Sequence[Rating], *, judges: Set[str] = frozenset(), undecided: Set[Value] = frozenset(), seed: int = 0
) -> list[Figure]:
    """Every figure that the ratings allow.

    Args:
        judges: raters that are no people.
        undecided: values that name no side, such as a tie.
    """
    people = [rating for rating in ratings if rating.rater not in judges]
    own = list(_first_answers(people))
    between = list(_between(own, own))
    found = [
        Figure(name="shown first wins", estimate=shown_first(people, seed=seed)),
        Figure(name="self-consistency", estimate=self_consistency(people, seed=seed)),
        Figure(name="alpha of people", estimate=alpha(own, seed=seed)),
        Figure(name="agreement of people", estimate=_agreement(between, seed)),
        Figure(name="agreement of people, decided", estimate=_agreement(_decided(between, undecided), seed)),
    ]
    names = list(dict.fromkeys(rating.rater for rating in own))
    if len(names) > 1:
        for name in names:
            mine = [rating for rating in people if rating.rater == name]
            found.append(Figure(name=f"self-consistency of {name}", estimate=self_consistency(mine, seed=seed)))
    for one, other in combinations(names, 2):
        pairs = list(_between(_of(own, one), _of(own, other)))
        found.append(Figure(name=f"kappa of {one} and {other}", estimate=_over(cohen_kappa, pairs, seed)))
    ranks = RANKS if _are_numbers(ratings) else {}
    ceilings = {name: _mutual(statistic, between, seed) for name, statistic in {"kappa": cohen_kappa, **ranks}.items()}
    found += [Figure(name=f"{name} of people", estimate=ceilings[name]) for name in ranks]
    for judge in sorted(judges):
        pairs = list(_between(list(_first_answers(_of(ratings, judge))), own))
        found += _agreements_of_judge(judge, pairs, between, undecided, seed)
        found += [
            Figure(name=f"{name} of {judge}", estimate=_over(statistic, pairs, seed), ceiling=ceilings[name])
            for name, statistic in {"kappa": cohen_kappa, **ranks}.items()
        ]
    return [figure for figure in found if figure.estimate.value is not None]


def _agreements_of_judge(
    judge: str, pairs: Sequence[_Both], between: Sequence[_Both], undecided: Set[Value], seed: int
) -> list[Figure]:
    """A judge against one person at a time, so that one person against another is the ceiling of it."""
    own, people = _decided(pairs, undecided), _decided(between, undecided)
    return [
        Figure(
            name=f"agreement of {judge}", estimate=_agreement(pairs, seed), ceiling=_agreement(between, seed)
        ),
        Figure(
            name=f"agreement of {judge}, decided", estimate=_agreement(own, seed), ceiling=_agreement(people, seed)
        ),
    ]  # fmt: skip


def alpha(ratings: Sequence[Rating], *, seed: int = 0) -> Estimate:
    """Krippendorff's α: of words nominal, of numbers throughout by squared differences."""
    units: dict[str, list[Rating]] = {}
    for rating in ratings:
        units.setdefault(rating.item, []).append(rating)
    shared = [unit for unit in units.values() if len(unit) > 1]
    values = [[rating.value for rating in unit] for unit in shared]
    distance = interval if _are_numbers([rating for unit in shared for rating in unit]) else nominal
    return resampled(
        lambda indices: krippendorff_alpha([values[i] for i in indices], distance),
        [unit[0].group for unit in shared],
        seed=seed,
    )


def self_consistency(ratings: Sequence[Rating], *, seed: int = 0) -> Estimate:
    """How often a rater says the same of an item that comes again."""
    before: dict[tuple[str, str], Value] = {}
    same, groups = [], []
    for rating in ratings:
        key = (rating.rater, rating.item)
        if key in before:
            same.append(float(before[key] == rating.value))
            groups.append(rating.group)
        before.setdefault(key, rating.value)
    return clustered_mean(same, groups, share=True, seed=seed)


def shown_first(ratings: Sequence[Rating], *, seed: int = 0) -> Estimate:
    """How often the side shown first is named, among answers that name one: ½ without position bias."""
    decided = [rating for rating in ratings if rating.value in (rating.first, rating.second)]
    return clustered_mean(
        [float(rating.value == rating.first) for rating in decided], [rating.group for rating in decided], share=True,
        seed=seed,
    )  # fmt: skip


def _first_answers(ratings: Iterable[Rating]) -> Iterator[Rating]:
    seen: set[tuple[str, str]] = set()
    for rating in ratings:
        if (rating.rater, rating.item) not in seen:
            seen.add((rating.rater, rating.item))
            yield rating


def _of(ratings: Sequence[Rating], rater: str) -> list[Rating]:
    return [rating for rating in ratings if rating.rater == rater]


def _between(ones: Sequence[Rating], others: Sequence[Rating]) -> Iterator[_Both]:
    """Every two different raters of an item, once."""
    by_item: dict[str, list[Rating]] = {}
    for rating in others:
        by_item.setdefault(rating.item, []).append(rating)
    for one in ones:
        for other in by_item.get(one.item, ()):
            if one.rater != other.rater and (ones is not others or one.rater < other.rater):
                yield _Both(one.group, one.value, other.value)


def _decided(pairs: Sequence[_Both], undecided: Set[Value]) -> list[_Both]:
    return [both for both in pairs if both.one not in undecided and both.other not in undecided] if undecided else []


def _agreement(pairs: Sequence[_Both], seed: int) -> Estimate:
    return clustered_mean(
        [float(both.one == both.other) for both in pairs], [both.group for both in pairs], share=True, seed=seed
    )  # fmt: skip


def _over(statistic: Statistic, pairs: Sequence[_Both], seed: int) -> Estimate:
    """Of one rater's values and another's."""
    return resampled(
        lambda indices: statistic([(pairs[i].one, pairs[i].other) for i in indices]),
        [both.group for both in pairs],
        seed=seed,
    )


def _mutual(statistic: Statistic, pairs: Sequence[_Both], seed: int) -> Estimate:
    """Of one person drawn at random and another: each pair counts in both orders."""

    def both_ways(indices: Sequence[int]) -> float | None:
        drawn = [pairs[i] for i in indices]
        return statistic([(b.one, b.other) for b in drawn] + [(b.other, b.one) for b in drawn])

    return resampled(both_ways, [both.group for both in pairs], seed=seed)


def _are_numbers(ratings: Iterable[Rating]) -> bool:
    return all(not isinstance(rating.value, str) for rating in ratings)
