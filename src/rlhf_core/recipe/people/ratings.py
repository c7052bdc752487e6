"""Any file of human-rated items: the figures that labels get."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.evaluation.people import Rating, Statistics, figures
from rlhf_core.store import lines

COLUMNS: Final = ("item", "rater", "rating")


def rating_statistics(path: Path, *, judges: Sequence[str] = (), ties: Sequence[str] = (), seed: int = 0) -> Statistics:
    """Figures of a ``.csv`` or of JSON lines.

    Columns: ``item``, ``rater`` and ``rating`` (a word or a number); where there are such, ``prompt``, which intervals
    resample in place of items, and ``first`` and ``second``, the ratings that name what was shown first and second.

    Args:
        judges: raters of the file that are no people.
        ties: ratings that name no side.
    Raises: RLHFError naming the line and the column that is missing, or a judge that rated nothing.
    """
    ratings = [_rating(path, number, row) for number, row in _numbered(path)]
    known = list(dict.fromkeys(rating.rater for rating in ratings))
    for judge in judges:
        if judge not in known:
            raise RLHFError(f"--judge {judge}: no such rater in {path}; there are {', '.join(known)}")
    people = [rating for rating in ratings if rating.rater not in judges]
    items = len({rating.item for rating in ratings})
    notes = [f"{len(ratings)} ratings of {items} items, {len(people)} of them by people"]
    return Statistics(figures(ratings, judges=set(judges), undecided=set(ties), seed=seed), notes)


def _numbered(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows with their line numbers."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RLHFError(f"{path}: cannot be read ({error})") from error
    if path.suffix == ".csv":
        reader = csv.DictReader(text.splitlines(keepends=True))
        for row in reader:
            yield reader.line_num, row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, lines.parse(path, number, line, mend="a table is named .csv")


def _rating(path: Path, number: int, row: Mapping[str, Any]) -> Rating:
    missing = [name for name in COLUMNS if row.get(name) in (None, "")]
    if missing:
        raise RLHFError(
            f"{path}:{number}: {', '.join(missing)}: missing; a row has {', '.join(COLUMNS)}, and this one "
            f"{', '.join(map(str, row))}"
        )
    item = str(row["item"])
    return Rating(
        item=item, rater=str(row["rater"]), value=_value(row["rating"]), group=str(row.get("prompt") or item),
        first=_value(row.get("first")), second=_value(row.get("second")),
    )  # fmt: skip


def _value(found: Any) -> Any:
    """A number where it reads as one: a table knows words only."""
    if found is None or found == "":
        return None
    try:
        return float(found)
    except (TypeError, ValueError):
        return str(found)
