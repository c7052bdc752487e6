"""Intervals for numbers per completion. Completions of one prompt are alike: every interval here resamples prompts.

Bootstrap: Efron & Tibshirani 1993, percentile interval over clusters. Wilson: E. B. Wilson 1927. Jackknife: Efron 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""

_CHUNK = 250
_JACKKNIFE_BLOCKS = 50

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval.

    Args:
        value: None when no completion had the number.
        low, high: None when there are fewer than two prompts: one prompt says nothing of how prompts differ.
        n: numbers that went in.
        prompts: prompts they came from.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    prompts: int

    def excludes(self, neutral: float) -> bool:
        """Whether the whole interval lies on one side of ``neutral``; False where there is no interval."""
        return self.low is not None and self.high is not None and (self.low > neutral or self.high < neutral)


NOTHING = Estimate(None, None, None, 0, 0)


def clustered_mean(
    values: Sequence[float | None], groups: Sequence[str], *, share: bool = False, seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:  # fmt: skip
    """Mean over completions; interval by resampling whole prompts. A None counts nowhere.

    Args:
        share: the values are yes (1) or no (0), or a tie between them (½). Where each prompt says yes or no alone, the
            mean is a share of prompts and has its Wilson interval; so it has where all prompts say the same, of which
            resampling would find no width at all: six ties are no proof that the seventh is one.
    """
    per_prompt = by_prompt(values, groups)
    if not per_prompt:
        return NOTHING
    sums = np.array([sum(numbers) for numbers in per_prompt.values()])
    counts = np.array([float(len(numbers)) for numbers in per_prompt.values()])
    mean, n, prompts = float(sums.sum() / counts.sum()), int(counts.sum()), len(counts)
    if share and prompts > 1 and _are_unanimous(per_prompt):
        return Estimate(mean, *wilson(round(mean * prompts), prompts), n, prompts)
    low, high = _bootstrap(sums, counts, seed, resamples)
    if share and low is not None and low == high:
        low, high = wilson(mean * prompts, prompts)
    return Estimate(mean, low, high, n, prompts)


def paired_difference(
    values: Sequence[float | None],
    groups: Sequence[str],
    baseline: Sequence[float | None],
    baseline_groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean over prompts of (mean here − mean of the baseline), over the prompts where both are defined."""
    here, there = by_prompt(values, groups), by_prompt(baseline, baseline_groups)
    shared = [prompt for prompt in here if prompt in there]
    if not shared:
        return NOTHING
    differences = np.array([float(np.mean(here[prompt]) - np.mean(there[prompt])) for prompt in shared])
    low, high = _bootstrap(differences, np.ones(len(shared)), seed, resamples)
    n = sum(len(here[prompt]) for prompt in shared)
    return Estimate(float(differences.mean()), low, high, n, len(shared))


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean over a few independent runs, with Student's t interval; ``n`` and ``prompts`` both count the runs."""
    if not values:
        return NOTHING
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(mean, None, None, n, n)
    from scipy.stats import t

    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, n)


def win_rate(
    outcomes: Sequence[float | None], groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """(W + ½T)/N with 1 for a win, ½ for a tie, 0 for a loss and None where there is no verdict."""
    strange = sorted({outcome for outcome in outcomes if outcome not in (1.0, 0.5, 0.0, None)}, key=str)
    if strange:
        raise ValueError(f"win_rate takes 1, 0.5, 0 and None, not {strange[0]!r}")
    return clustered_mean(outcomes, groups, share=True, seed=seed, resamples=resamples)


def wilson(successes: float, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion of independent trials.

    Raises: ValueError unless 0 ≤ successes ≤ n and n > 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"wilson needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    share, spread = successes / n, Z95 * Z95 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # Rounding must not turn the bound of 0 of n, or n of n, into a hair beyond it.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


Statistic = Callable[[Sequence[int]], Mapping[str, float]]


def jackknife(
    statistic: Statistic,
    groups: Sequence[str],
    baseline: Statistic | None = None,
    baseline_groups: Sequence[str] = (),
) -> tuple[dict[str, float], dict[str, float]]:
    """Standard errors of numbers that exist for the whole set only, by leaving out one block of prompts after another.

    Resampling with replacement would not do: repeated completions lower distinct-n by themselves.

    Returns: (standard error of each number, standard error of its difference to the baseline's); empty for one prompt.
    """
    prompts = list(dict.fromkeys(groups))
    blocks = min(len(prompts), _JACKKNIFE_BLOCKS)
    if blocks < 2:
        return {}, {}
    own: list[Mapping[str, float]] = []
    difference: list[dict[str, float]] = []
    for block in range(blocks):
        left_out = set(prompts[block::blocks])
        own.append(statistic(_without(groups, left_out)))
        if baseline is not None:
            other = baseline(_without(baseline_groups, left_out))
            difference.append({name: own[-1][name] - other[name] for name in own[-1] if name in other})
    return _jackknife_errors(own), _jackknife_errors(difference)


def _without(groups: Sequence[str], left_out: set[str]) -> list[int]:
    return [index for index, group in enumerate(groups) if group not in left_out]


def _jackknife_errors(estimates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """√((K − 1)/K Σ (estimate − mean)²) for each number present in all K estimates."""
    if not estimates:
        return {}
    names = set(estimates[0]).intersection(*estimates[1:])
    blocks = len(estimates)
    values = {name: np.array([estimate[name] for estimate in estimates]) for name in sorted(names)}
    return {name: float(np.sqrt((blocks - 1) * value.var())) for name, value in values.items()}


def _are_unanimous(per_prompt: Mapping[str, Sequence[float]]) -> bool:
    """Whether every prompt has as many numbers, all of them 0 or all of them 1."""
    said = [set(numbers) for numbers in per_prompt.values()]
    alike = len({len(numbers) for numbers in per_prompt.values()}) == 1
    return alike and all(one in ({0.0}, {1.0}) for one in said)


def by_prompt(values: Sequence[float | None], groups: Sequence[str]) -> dict[str, list[float]]:
    """Numbers by prompt, in the order in which prompts first appear; None left out."""
    collected: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        if value is not None:
            collected.setdefault(group, []).append(float(value))
    return collected


def _bootstrap(sums: Floats, counts: Floats, seed: int, resamples: int) -> tuple[float | None, float | None]:
    """2.5 % and 97.5 % points of Σ sums / Σ counts over resampled prompts."""
    prompts = len(sums)
    if prompts < 2:
        return None, None
    random = np.random.default_rng(seed)
    means: list[Floats] = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        weights = random.multinomial(prompts, np.full(prompts, 1.0 / prompts), size=size)
        means.append((weights @ sums) / (weights @ counts))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)
