"""Tables of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .tables import print_table

if TYPE_CHECKING:
    from rlhf_core.evaluation.people import Statistics
    from rlhf_core.evaluation.statistics import Estimate
    from rlhf_core.recipe.measuring.ranking import Ranking

VERDICTS = {"not distinguishable": "="}
"""Short words for narrow columns."""


def print_evaluations(evaluations: Mapping[str, Mapping[str, Any]]) -> None:
    """One table over all runs: a row per metric, a column per run, differences to the baseline in brackets."""
    if not evaluations:
        return
    metrics = list(dict.fromkeys(row["name"] for found in evaluations.values() for row in found["summary"]))
    rows = []
    for metric in metrics:
        cells = [_find(found["summary"], metric) for found in evaluations.values()]
        rows.append([metric, *(cell(found) for found in cells)])
    baselines = {found["baseline"] for found in evaluations.values() if found.get("baseline")}
    title = "means with 95 % intervals" + (
        f"; (verdict against {', '.join(baselines)}; = not distinguishable)" if baselines else ""
    )
    print_table(["metric", *evaluations], rows, title=title)
    for warning in dict.fromkeys(line for found in evaluations.values() for line in found.get("warnings", ())):
        click.echo(f"WARNING: {warning}")


def print_summary(
    rows: Sequence[Mapping[str, Any]], notes: Sequence[str], baseline: str | None, warnings: Sequence[str] = ()
) -> None:
    """One evaluation: each metric with its interval and, beside a baseline, the paired difference."""
    compared = any(row["difference"] is not None for row in rows)
    columns = ["metric", "value", "95 % interval"] + ([f"{baseline}", "difference", "conclusion"] if compared else [])
    table = []
    for row in rows:
        line = [row["name"], _number(row["mean"]), _interval(row["low"], row["high"])]
        if compared:
            gap = f"{_number(row['difference'])} {_interval(row['difference_low'], row['difference_high'])}"
            line += [_number(row["baseline_mean"]), gap.strip(), _conclusion(row)]
        table.append(line)
    print_table(columns, table)
    for warning in warnings:
        click.echo(f"WARNING: {warning}")
    for note in notes:
        click.echo(f"note: {note}")


def print_ranking(ranking: Ranking) -> None:
    """Runs in order, then every pair."""
    strengths = [
        [place, one.name, _spread(one.estimate), _spread(one.win_rate)]
        for place, one in enumerate(ranking.strengths, 1)
    ]
    print_table(["", "run", "strength (log-odds)", "points against the others"], strengths)
    pairs = [
        [f"{duel.first} – {duel.second}", duel.wins, duel.ties, duel.losses, _number(duel.win_rate),
         _number(duel.by_longest), _number(duel.q), "" if duel.q < 0.05 else "not distinguishable"]
        for duel in ranking.duels
    ]  # fmt: skip
    print_table(["pair", "won", "tied", "lost", "win rate", "by longest", "q", ""], pairs)
    for note in ranking.notes:
        click.echo(f"note: {note}")


def print_figures(found: Statistics) -> None:
    """Of raters, and beside a judge's the same among people."""
    rows = [
        [figure.name, _number(figure.estimate.value), _interval(figure.estimate.low, figure.estimate.high),
         figure.estimate.n, _spread(figure.ceiling).strip()]
        for figure in found.figures
    ]  # fmt: skip
    print_table(["figure", "value", "95 % interval", "n", "people among themselves"], rows)
    for note in found.notes:
        click.echo(f"note: {note}")


def _conclusion(row: Mapping[str, Any]) -> str:
    """The conclusion; where there is none to draw, what so many prompts could have shown."""
    conclusion, detectable = str(row["conclusion"]), row.get("detectable")
    if conclusion in VERDICTS and detectable is not None:
        return f"{conclusion} (±{_number(detectable)} would be)"
    return conclusion


def _spread(estimate: Estimate) -> str:
    return f"{_number(estimate.value)} {_interval(estimate.low, estimate.high)}"


def _find(rows: Sequence[Mapping[str, Any]], metric: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["name"] == metric), None)


def cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    conclusion = row.get("conclusion")
    verdict = f" ({VERDICTS.get(conclusion, conclusion)})" if conclusion else ""
    return f"{_number(row['mean'])} {_interval(row['low'], row['high'])}{verdict}"


def seed_cell(found: Mapping[str, Any] | None) -> str:
    """A mean over seeds with its interval."""
    return f"{_number(found['mean'])} {_interval(found['low'], found['high'])}".rstrip() if found else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.4g}, {high:.4g}]"
