"""How far raters agree, beyond chance and with intervals. A value is a word or a number; a unit is what was rated.

Krippendorff, *Computing Krippendorff's Alpha-Reliability* (2011); Cohen 1960; Spearman 1904; Kendall 1945, with ties;
bootstrap as in ``statistics``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .statistics import NOTHING, Estimate

Value: TypeAlias = str | float
Distance = Callable[[Value, Value], float]

RESAMPLES = 1000


def nominal(one: Value, other: Value) -> float:
    """0 for equal values, else 1."""
    return float(one != other)


def interval(one: Value, other: Value) -> float:
    """The squared difference of two numbers."""
    return (float(one) - float(other)) ** 2


def krippendorff_alpha(units: Sequence[Sequence[Value]], distance: Distance = nominal) -> float | None:
    """1 − observed / expected disagreement: 1 is agreement without exception, 0 what chance gives.

    Args:
        units: the values that each unit got, in any order and from any number of raters; one value alone says nothing
            and counts nowhere.
    Returns: None where nothing was rated twice, or all values are equal: then there is no disagreement to expect.
    """
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[Value] = Counter()
    for counts in paired:
        totals.update(counts)
    n = totals.total()
    expected = _disagreement(totals, distance) / (n - 1) if n else 0.0
    if expected == 0.0:
        return None
    observed = sum(_disagreement(counts, distance) / (counts.total() - 1) for counts in paired)
    return 1.0 - observed / expected


def _disagreement(counts: Counter[Value], distance: Distance) -> float:
    """Σ of the distances over all ordered pairs."""
    return sum(
        here * there * distance(one, other) for one, here in counts.items() for other, there in counts.items()
    )  # fmt: skip


def cohen_kappa(pairs: Sequence[tuple[Value, Value]]) -> float | None:
    """(observed − chance) / (1 − chance) of two raters' values of the same units.

    Returns: None without units, or where both said the same one thing throughout.
    """
    if not pairs:
        return None
    n = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(first[value] * second[value] for value in first) / n**2
    if chance == 1.0:
        return None
    return (sum(one == other for one, other in pairs) / n - chance) / (1.0 - chance)


def spearman(pairs: Sequence[tuple[Value, Value]]) -> float | None:
    """Spearman's ρ of two raters' numbers of the same units, ties at their mean rank."""
    from scipy.stats import spearmanr

    return _by_rank(spearmanr, pairs)


def kendall(pairs: Sequence[tuple[Value, Value]]) -> float | None:
    """Kendall's τ-b of two raters' numbers of the same units."""
    from scipy.stats import kendalltau

    return _by_rank(kendalltau, pairs)


def _by_rank(correlation: Callable[..., Any], pairs: Sequence[tuple[Value, Value]]) -> float | None:
    """None where one of the two said the same throughout."""
    ones, others = [one for one, _ in pairs], [other for _, other in pairs]
    if min(len(set(ones)), len(set(others))) < 2:
        return None
    return float(correlation(ones, others).statistic)


def resampled(
    statistic: Callable[[Sequence[int]], float | None],
    groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A number of a whole set with its percentile interval, by resampling whole prompts.

    Args:
        statistic: of units by their indices, the same one several times where it was drawn so; None where undefined.
        groups: the prompt of each unit.
    Returns: no interval where there are fewer than two prompts, or where fewer than half of the resamples define it.
    """
    value = statistic(range(len(groups)))
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    if value is None:
        return NOTHING
    low, high = None, None
    if len(members) > 1:
        prompts, random = list(members.values()), np.random.default_rng(seed)
        drawn = random.integers(0, len(prompts), size=(resamples, len(prompts)))
        found = [statistic([index for prompt in draw for index in prompts[prompt]]) for draw in drawn]
        defined = [number for number in found if number is not None]
        if 2 * len(defined) > resamples:
            low, high = (float(point) for point in np.percentile(defined, [2.5, 97.5]))
    return Estimate(value, low, high, len(groups), len(members))
