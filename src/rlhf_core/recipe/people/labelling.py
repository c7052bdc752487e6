"""`rlhf label`: from a run and a baseline to a set of pairs, and a person's way through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.labels import CHOICES, AskedPair
from rlhf_core.evaluation.pairing import Selection, candidates, in_order, plan
from rlhf_core.store.labels import UNDO, LabelSet, SQLiteLabels
from rlhf_core.store.run import RunFolder

if TYPE_CHECKING:
    from rlhf_core.registry.catalog import Catalog


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to label.

    Args:
        baseline: what an evaluation of the run compared it with; None for any.
        evaluation: its name; None for the newest.
        by: the metric whose small differences are uncertain; None for the first ``…/score``.
    """

    baseline: str | None = None
    evaluation: str | None = None
    selection: Selection = "random"
    by: str | None = None
    seed: int = 0


class Session:
    """A rater in front of a set: a :class:`rlhf_core.report.labelling.Asking`."""

    def __init__(self, store: SQLiteLabels, chosen: LabelSet, rater: str) -> None:
        self.store, self.chosen, self.rater = store, chosen, rater
        self.pairs = store.pairs(chosen.id)
        self._shown: dict[int | None, float] = {}

    def now(self) -> Mapping[str, Any]:
        way = self.store.way(self.chosen.id, self.rater)
        current = way.current
        head = {"place": current, "done": len(way.choices), "total": len(way.places), "undo": way.last is not None}
        if current is None:
            return head
        self._shown.setdefault(current, time.monotonic())
        place = way.places[current]
        pair = self.pairs[place.number]
        left, right = (pair.run, pair.baseline) if place.left == "run" else (pair.baseline, pair.run)
        return {**head, "prompt": pair.prompt, "left": left, "right": right}

    def answer(self, place: int | None, choice: str) -> tuple[bool, Mapping[str, Any]]:
        if choice == UNDO:
            return self.store.undo(self.chosen.id, self.rater, place), self.now()
        known = next((one for one in CHOICES if one == choice), None)
        if known is None:
            raise ValueError(f"no choice {choice!r}; there are {', '.join(CHOICES)} and {UNDO}")
        seconds = time.monotonic() - self._shown.pop(place, time.monotonic())
        taken = self.store.choose(self.chosen.id, self.rater, place, known, seconds=seconds)
        return taken, self.now()


def label_set(
    run: RunFolder,
    request: Request,
    store: SQLiteLabels,
    *,
    tell: Callable[[str], None],
    catalog: Callable[[], Catalog],
) -> LabelSet:
    """The set that the request describes, made where it is not there.

    An evaluation that compared the run with the baseline gives the pairs; without one the run and the baseline are
    asked now. The same pairs in the same order are the same set, whoever asks for it.

    Args:
        catalog: called only where completions have to be sampled.
    Raises: RLHFError when there is nothing to compare.
    """
    name = request.evaluation or _evaluation(run, request.baseline) or _sampled(run, request.baseline, tell, catalog())
    found = run.evaluation(name)
    if found is None:
        known = ", ".join(run.evaluation_names()) or "none"
        raise RLHFError(f"{run.path}: no evaluation {name!r}; there are {known}")
    every = candidates(run.evaluation_rows(name), request.by)
    pairs = in_order(every, request.selection, request.seed)
    if not pairs:
        raise RLHFError(f"{run.path}: evaluation {name}: all {len(every)} pairs are of equal completions")
    tell(f"evaluation {name}: {len(pairs)} pairs" + _left_out(len(every) - len(pairs)))
    chosen = LabelSet(
        id=_mark(pairs), run=str(run.path.resolve()), baseline=str(found.get("baseline")), evaluation=name,
        selection=request.selection, seed=request.seed,
    )  # fmt: skip
    store.add_set(chosen, pairs)
    return chosen


def open_session(
    store: SQLiteLabels, chosen: LabelSet, rater: str, *, items: int, shared: int, repeats: int
) -> Session:
    """Where the rater stopped; a rater who is new is given a way. Raises: RLHFError for a rater without a name."""
    if not rater.strip():
        raise RLHFError("--rater: a name is needed, such as --rater ana")
    pairs = len(store.pairs(chosen.id))
    way = partial(plan, pairs, rater=rater, seed=chosen.seed, items=items, shared=shared, repeats=repeats)
    store.join(chosen.id, rater, way)
    return Session(store, chosen, rater)


def _evaluation(run: RunFolder, baseline: str | None) -> str | None:
    """The newest that compared the run with that baseline, or with any."""
    for name in reversed(run.evaluation_names_by_age()):
        against = (run.evaluation(name) or {}).get("baseline")
        if against is not None and baseline in (None, against):
            return name
    return None


def _sampled(run: RunFolder, baseline: str | None, tell: Callable[[str], None], catalog: Catalog) -> str:
    """Completions of both, kept as an evaluation that measures nothing."""
    if baseline is None:
        raise RLHFError(f"{run.path}: no evaluation compares it with anything; add --baseline RUN|base")
    from ..api import evaluate

    tell(f"no evaluation against {baseline} yet: both are asked now")
    return evaluate(run.path, baseline=baseline, evaluators=[], tell=tell, catalog=catalog).name


def _mark(pairs: list[AskedPair]) -> str:
    from ..fingerprints import digest

    return digest([asdict(pair) for pair in pairs])[:16]


def _left_out(equal: int) -> str:
    return f"; {equal} of equal completions left out" if equal else ""
