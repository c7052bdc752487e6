"""An evaluation as files for other programs: a table for spreadsheets, a page of Markdown.

What models and users wrote stays text in both: a spreadsheet computes no cell of it, a renderer sees no markup in it.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .charts import number
from .content import EvaluationContent
from .grades import Graded, Grades, grades_of
from .questions import evaluation_answer, reading, span
from .verdicts import JudgedPair, Verdicts, verdicts_of

MOST_LISTED = 20
"""Verdicts in the Markdown."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How cells begin that spreadsheets take for formulas (OWASP, CSV injection)."""
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:@])")


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line per completion, every column that any of them has.

    A text that a spreadsheet would take for a formula gets a ``'`` in front. Numbers stay as they are.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    # Every text in quotes: where ";" or a bare CR parts cells, one inside a text would begin a new, unguarded cell.
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([defused(name) for name in names])
    writer.writerows([defused(row.get(name)) for name in names] for row in rows)
    return file.getvalue()


def defused(cell: object) -> object:
    if cell is None or isinstance(cell, int | float):
        return cell
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def to_markdown(evaluation: EvaluationContent) -> str:
    """The conclusion, the table of metrics and, of what a judge said, what is worth reading first."""
    against = f" against {plain(evaluation.baseline)}" if evaluation.baseline else ""
    parts = [f"# Evaluation of {plain(evaluation.name)}{against}"]
    parts += [f"**Warning:** {plain(warning)}" for warning in evaluation.warnings]
    if answer := evaluation_answer(evaluation):
        parts.append(plain(answer.text))
    parts.append("\n".join(_summary(evaluation)))
    if evaluation.notes:
        parts.append("\n".join(f"- {plain(note)}" for note in evaluation.notes))
    for found in verdicts_of(evaluation):
        parts += _listed(found)
    for grades in grades_of(evaluation):
        parts += _graded(grades)
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """On one line, and nothing of it markup, HTML or a link."""
    return _MARKUP.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _summary(evaluation: EvaluationContent) -> Iterable[str]:
    compared = evaluation.baseline is not None
    yield _line(
        ["metric", "value", "95 % interval", *(["baseline", "difference", "conclusion"] if compared else []), "n"]
    )
    yield _line(["---"] * (7 if compared else 4))
    for row in evaluation.summary:
        cells = [plain(str(row["name"])), _number(row["mean"]), _span(row["low"], row["high"])]
        if compared:
            apart = f"{_number(row['difference'])} {_span(row['difference_low'], row['difference_high'])}".strip()
            cells += [_number(row["baseline_mean"]), apart, reading(row)]
        yield _line([*cells, "" if row["n"] is None else str(row["n"])])


def _listed(found: Verdicts) -> list[str]:
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.counts.items()))
    listed = found.pairs[:MOST_LISTED]
    head = f"## Verdicts of {plain(found.judge)}"
    told = (
        f"{len(found.pairs)} pairs ({counts}; disagree: the orders did). The first {len(listed)}, disagreements on top:"
    )
    return [head, plain(told), *(_pair(pair) for pair in listed)]


def _pair(pair: JudgedPair) -> str:
    lines = [
        f"**{pair.result}{', the orders disagree' if pair.disagree else ''}**",
        f"prompt: {plain(pair.prompt)}", f"run: {plain(pair.run)}", f"baseline: {plain(pair.baseline)}",
        f"run shown first: {pair.run_first.words}. {plain(pair.run_first.reason)}",
        f"baseline shown first: {pair.baseline_first.words}. {plain(pair.baseline_first.reason)}",
    ]  # fmt: skip
    return "\n".join([f"- {lines[0]}", *(f"  - {line}" for line in lines[1:])])


def _graded(found: Grades) -> list[str]:
    listed = found.all[:MOST_LISTED]
    told = f"{len(found.all)} grades. The first {len(listed)}, what got no valid reply on top, then the worst:"
    return [f"## Grades of {plain(found.judge)}", plain(told), *(_grade(one, found.criteria) for one in listed)]


def _grade(one: Graded, criteria: Sequence[str]) -> str:
    given = ", ".join(
        f"{name} {number(grade)}" for name, grade in zip(criteria, one.criteria, strict=True) if grade is not None
    )
    lines = [
        f"prompt: {plain(one.prompt)}", f"{one.of}: {plain(one.completion)}", plain(given), plain(one.reason)
    ]  # fmt: skip
    head = f"**{one.result}**" + ("" if one.score is None else f" {number(one.score)}")
    return "\n".join([f"- {head}", *(f"  - {line}" for line in lines if line)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else span(low, high)
