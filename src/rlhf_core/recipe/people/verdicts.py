"""What labels say: figures over raters and judges, and preference pairs to train on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.labels import AskedPair, Label, majority, other_side
from rlhf_core.evaluation.pairing import Candidate, candidates
from rlhf_core.evaluation.people import Figure, Rating, Statistics, figures
from rlhf_core.evaluation.statistics import win_rate
from rlhf_core.store.atomic import write_text
from rlhf_core.store.labels import SQLiteLabels
from rlhf_core.store.run import RunFolder

TIE: Final = "tie"
_POINTS = {"run": 1.0, "tie": 0.5, "baseline": 0.0}


@dataclass(frozen=True)
class Exported:
    """``left_out``: pairs by reason."""

    pairs: int
    left_out: Mapping[str, int]


def labels_of(store: SQLiteLabels, run: str | None) -> list[Label]:
    """Those of one run, or all. Raises: RLHFError when there are none."""
    place = None if run is None else str(RunFolder.open(run).path.resolve())
    sets = {chosen.id for chosen in store.sets() if place in (None, chosen.run)}
    found = [label for label in store.labels() if label.set_id in sets]
    if not found:
        raise RLHFError(f"{store.path}: no labels" + (f" of {run}" if run else "") + " yet; make some: rlhf label RUN")
    return found


def label_statistics(store: SQLiteLabels, run: str | None = None, *, seed: int = 0) -> Statistics:
    """Of people, and of every judge that the evaluation had asked about the same pairs."""
    labels = labels_of(store, run)
    ratings = [
        Rating(
            item=pair_key(label.pair), rater=label.rater, value=label.winner, group=label.pair.prompt,
            first=label.left, second=other_side(label.left),
        )
        for label in labels if label.winner is not None
    ]  # fmt: skip
    by_judges = list(_ratings_by_judges(labels, store))
    judges = {rating.rater for rating in by_judges}
    found = figures([*ratings, *by_judges], judges=judges, undecided={TIE}, seed=seed)
    return Statistics([_win_rate(labels, seed), *found], _notes(labels, store))


def _win_rate(labels: Sequence[Label], seed: int) -> Figure:
    first = [label for label in labels if not label.repeat]
    points = [None if label.winner is None else _POINTS[label.winner] for label in first]
    return Figure(name="win rate of the run", estimate=win_rate(points, [x.pair.prompt for x in first], seed=seed))


def _ratings_by_judges(labels: Sequence[Label], store: SQLiteLabels) -> Iterator[Rating]:
    """What judges said of the labelled pairs, in any evaluation of the runs that is still there; the newest counts."""
    asked = {label.set_id for label in labels}
    labelled = {label.pair.texts for label in labels}
    found: dict[tuple[str, str], Rating] = {}
    for place in dict.fromkeys(chosen.run for chosen in store.sets() if chosen.id in asked):
        for candidate in compared(RunFolder(Path(place))):
            pair = candidate.pair
            for judge, winner in candidate.winners.items() if pair.texts in labelled else ():
                name, key = f"judge {judge}", pair_key(pair)  # a rater may have a judge's name
                found[name, key] = Rating(item=key, rater=name, value=winner, group=pair.prompt)
    yield from found.values()


def compared(run: RunFolder) -> Iterator[Candidate]:
    """Every pair of every evaluation of the run against a baseline, the newest evaluation last."""
    for name in run.evaluation_names_by_age():
        if (run.evaluation(name) or {}).get("baseline") is not None:
            yield from candidates(run.evaluation_rows(name))


def export_pairs(store: SQLiteLabels, output: Path, run: str | None = None) -> Exported:
    """JSON lines of ``prompt``, ``chosen``, ``rejected``: every pair that more raters decided one way than the other.

    Repeats are no second vote. Raises: RLHFError when there is no label, or none that decides.
    """
    votes: dict[str, list[Label]] = {}
    for label in labels_of(store, run):
        if not label.repeat:
            votes.setdefault(pair_key(label.pair), []).append(label)
    rows, left_out = [], Counter[str]()
    for labels in votes.values():
        winner = majority(labels)
        if winner not in ("run", "baseline"):
            left_out[winner] += 1
            continue
        pair = labels[0].pair
        chosen, rejected = (pair.run, pair.baseline) if winner == "run" else (pair.baseline, pair.run)
        rows.append({"prompt": pair.prompt, "chosen": chosen, "rejected": rejected})
    if not rows:
        raise RLHFError(f"{store.path}: no label decides between two completions; nothing is written")
    write_text(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return Exported(len(rows), dict(left_out))


def pair_key(pair: AskedPair) -> str:
    """The same for the same two completions, whichever set they were asked in."""
    return json.dumps(pair.texts)


def _notes(labels: Sequence[Label], store: SQLiteLabels) -> list[str]:
    choices = Counter(label.choice for label in labels)
    raters = Counter(label.rater for label in labels)
    notes = [
        f"{len(labels)} labels by " + ", ".join(f"{rater} ({count})" for rater, count in raters.items()),
        ", ".join(f"{count} {choice}" for choice, count in choices.most_common()),
    ]
    asked = {label.set_id for label in labels}
    if any(chosen.selection == "uncertain" for chosen in store.sets() if chosen.id in asked):
        notes.append("pairs were chosen for being uncertain: these figures are no estimate for pairs in general")
    return notes
