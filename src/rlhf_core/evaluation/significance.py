"""How sure a difference is: p-values by permutation, corrected for many looks, and what so many prompts can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from .statistics import Z95, Estimate, by_prompt

FLIPS = 10_000
POWER80 = 0.8416212335729143
"""The 80 % point of the standard normal distribution."""
LEVEL = 0.05
INDISTINCT: Final = "not distinguishable"
_CHUNK = 1000


def sign_flip_p(differences: Sequence[float], *, seed: int = 0, flips: int = FLIPS) -> float | None:
    """Two-sided p of "the mean is zero", by flipping signs at random (paired permutation test; Fisher 1935).

    (1 + number of flips at least as extreme) / (1 + flips): never zero. None without differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return None
    random = np.random.default_rng(seed)
    observed, extreme = abs(values.sum()), 0
    for start in range(0, flips, _CHUNK):
        signs = random.integers(0, 2, size=(min(_CHUNK, flips - start), len(values)), dtype=np.int8) * 2 - 1
        # Equal sums differ by rounding alone: they count as equal.
        extreme += int((np.abs(signs @ values) >= observed * (1 - 1e-12)).sum())
    return (1 + extreme) / (1 + flips)


def paired_p(
    values: Sequence[float | None], groups: Sequence[str],
    baseline: Sequence[float | None], baseline_groups: Sequence[str], *, seed: int = 0,
) -> float | None:  # fmt: skip
    """Of "the mean difference over prompts is zero"."""
    here, there = by_prompt(values, groups), by_prompt(baseline, baseline_groups)
    return sign_flip_p(
        [float(np.mean(here[name]) - np.mean(there[name])) for name in here if name in there], seed=seed
    )  # fmt: skip


def neutral_p(
    values: Sequence[float | None], groups: Sequence[str], neutral: float, *, seed: int = 0
) -> float | None:  # fmt: skip
    """Of "the mean over prompts is ``neutral``" (½ for a win rate)."""
    return sign_flip_p([float(np.mean(own)) - neutral for own in by_prompt(values, groups).values()], seed=seed)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: of those called different by q < .05, 5 % are wrong (Benjamini & Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(np.asarray(p_values))] if p_values else []


def corrected(summaries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Summary rows of several runs, by run, with ``q`` over the runs that share a metric.

    A difference that does not outlast the correction is not called one. What rows say of an earlier correction, beside
    other runs, goes.
    """
    by_metric: dict[str, list[dict[str, Any]]] = {}
    found = {run: [{**row, "q": None} for row in rows] for run, rows in summaries.items()}
    for rows in found.values():
        for row in rows:
            if row.get("p") is not None:
                by_metric.setdefault(str(row["name"]), []).append(row)
    for rows_of_metric in by_metric.values():
        if len(rows_of_metric) > 1:
            q_values = benjamini_hochberg([row["p"] for row in rows_of_metric])
            for row, q in zip(rows_of_metric, q_values, strict=True):
                row["q"] = q
    for rows in found.values():
        for row in rows:
            row["conclusion"] = conclusion(*_compared(row), row["better"], row["q"])
    return found


def _compared(row: Mapping[str, Any]) -> tuple[Estimate, float]:
    """What says whether there is a difference, and its value where there is none."""
    neutral = row["neutral"]
    keys = ("mean", "low", "high") if neutral is not None else ("difference", "difference_low", "difference_high")
    value, low, high = (row[key] for key in keys)
    return Estimate(value, low, high, row["n"], row["prompts"]), neutral or 0.0


def conclusion(estimate: Estimate, neutral: float, better: str | None, q: float | None) -> str:
    """``better``, ``worse``, ``higher``, ``lower`` or ``not distinguishable``; empty with nothing to compare."""
    if estimate.value is None or estimate.low is None:
        return ""
    if not estimate.excludes(neutral) or (q is not None and q >= LEVEL):
        return INDISTINCT
    direction = "higher" if estimate.value > neutral else "lower"
    if better is None:
        return direction
    return "better" if direction == better else "worse"


def detectable_difference(estimate: Estimate) -> float | None:
    """The smallest true difference that as many prompts as here show in four of five cases (power .8, two-sided .05).

    From the width of the interval at hand. None where there is no interval, or one without width.
    """
    if estimate.low is None or estimate.high is None or estimate.high <= estimate.low:
        return None
    error = (estimate.high - estimate.low) / (2 * Z95)
    return (Z95 + POWER80) * error
