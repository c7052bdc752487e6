"""What verdicts say beyond the win rate: with the length taken out, and over several runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .statistics import Estimate

Floats = npt.NDArray[np.float64]

RIDGE = 1e-2
"""Weight of the squared coefficients against the sum of losses: verdicts that are all alike still have a finite fit."""
RESAMPLES = 500


def length_controlled_win_rate(
    outcomes: Sequence[float | None], lengths: Sequence[int], baseline_lengths: Sequence[int]
) -> float | None:
    """The win rate between completions of equal length (after Dubois et al. 2024, fitted on this task alone).

    P(win) = σ(θ + φ tanh(Δ/s)), Δ the difference in length and s its standard deviation; the rate is σ(θ).

    Args:
        outcomes: 1 for a win, ½ for a tie, 0 for a loss, None without a verdict.
        lengths, baseline_lengths: of the two completions, in any one unit.
    Returns: None when there is no verdict.
    """
    kept = [index for index, outcome in enumerate(outcomes) if outcome is not None]
    if not kept:
        return None
    won = np.array([outcomes[index] for index in kept], dtype=np.float64)
    apart = np.array([lengths[index] - baseline_lengths[index] for index in kept], dtype=np.float64)
    spread = float(apart.std())
    design = np.stack([np.ones_like(apart), np.tanh(apart / spread) if spread else np.zeros_like(apart)], axis=1)
    return float(_sigma(_logistic(design, won)[0]))


@dataclass(frozen=True)
class Strength:
    """A run among others.

    Args:
        estimate: Bradley–Terry log-odds, their mean over the runs zero: a run that is ahead by d wins σ(d) of the time.
        win_rate: against all others together.
    """

    name: str
    estimate: Estimate
    win_rate: Estimate


@dataclass(frozen=True)
class Match:
    """One verdict: ``outcome`` is 1 where ``first`` won, ½ for a tie, 0 where ``second`` won."""

    first: str
    second: str
    group: str
    outcome: float


def bradley_terry(matches: Sequence[Match], *, seed: int = 0, resamples: int = RESAMPLES) -> list[Strength]:
    """Strengths of all runs that were compared, the strongest first (Bradley & Terry 1952; a tie is half a win).

    Intervals by resampling whole prompts, across all pairs of runs at once.
    """
    names = list(dict.fromkeys(name for match in matches for name in (match.first, match.second)))
    groups = list(dict.fromkeys(match.group for match in matches))
    row = {group: index for index, group in enumerate(groups)}
    design = np.zeros((len(matches), len(names)))
    for index, match in enumerate(matches):
        design[index, names.index(match.first)] = 1.0
        design[index, names.index(match.second)] = -1.0
    won = np.array([match.outcome for match in matches])
    prompt = np.array([row[match.group] for match in matches])
    strengths, rates = _strengths(design, won), _rates(design, won)
    random = np.random.default_rng(seed)
    draws, rate_draws = [], []
    for _ in range(resamples if len(groups) > 1 else 0):
        weights = random.multinomial(len(groups), np.full(len(groups), 1.0 / len(groups)))[prompt].astype(np.float64)
        draws.append(_strengths(design, won, weights))
        rate_draws.append(_rates(design, won, weights))
    counts = np.abs(design).sum(0)
    found = [
        Strength(name, _estimate(strengths[i], [draw[i] for draw in draws], int(counts[i]), len(groups)),
                 _estimate(rates[i], [draw[i] for draw in rate_draws], int(counts[i]), len(groups)))
        for i, name in enumerate(names)
    ]  # fmt: skip
    return sorted(found, key=lambda one: -(one.estimate.value or 0.0))


def _strengths(design: Floats, won: Floats, weights: Floats | None = None) -> Floats:
    fitted = _logistic(design, won, weights)
    centred: Floats = fitted - fitted.mean()
    return centred


def _rates(design: Floats, won: Floats, weights: Floats | None = None) -> Floats:
    """Of each run: its share of the points in its matches; NaN where a resample has none of them."""
    weights = np.ones_like(won) if weights is None else weights
    first, second = np.maximum(design, 0.0), np.maximum(-design, 0.0)
    points = (weights * won) @ first + (weights * (1.0 - won)) @ second
    played = weights @ np.abs(design)
    return np.divide(points, played, out=np.full_like(points, np.nan), where=played > 0)


def _estimate(value: float, draws: Sequence[float], n: int, prompts: int) -> Estimate:
    if not draws:
        return Estimate(float(value), None, None, n, prompts)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high), n, prompts)


def _logistic(design: Floats, won: Floats, weights: Floats | None = None) -> Floats:
    """Coefficients of a logistic regression on shares in [0, 1], with a small ridge."""
    from scipy.optimize import minimize

    weights = np.ones_like(won) if weights is None else weights

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        logits = design @ coefficients
        # −won·log σ(z) − (1 − won)·log σ(−z), written so that no exponential overflows.
        losses = np.logaddexp(0.0, logits) - won * logits
        gradient = design.T @ (weights * (_sigma(logits) - won)) + 2 * RIDGE * coefficients
        return float(weights @ losses + RIDGE * coefficients @ coefficients), gradient

    fitted: Any = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
    coefficients: Floats = fitted.x
    return coefficients


def _sigma(value: Any) -> Any:
    from scipy.special import expit

    return expit(value)


def tally(matches: Sequence[Match]) -> Mapping[tuple[str, str], tuple[int, int, int]]:
    """Wins, ties and losses of the first against the second, by pair."""
    table: dict[tuple[str, str], list[int]] = {}
    for match in matches:
        line = table.setdefault((match.first, match.second), [0, 0, 0])
        line[{1.0: 0, 0.5: 1, 0.0: 2}[match.outcome]] += 1
    return {pair: (line[0], line[1], line[2]) for pair, line in table.items()}
