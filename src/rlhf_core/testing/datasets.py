"""What every data set must do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence

from rlhf_core.contract.dataset import Dataset
from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import JSON

ROWS = 1000
"""Read of each split."""


def check_dataset(dataset: Dataset, *, splits: Sequence[str] = ("train",)) -> None:
    """Rows of plain JSON, in the same order each time, their ids unique; an unknown split is told with those there are.

    Raises: AssertionError in one line.
    """
    name = type(dataset).__name__
    for split in splits:
        rows = list(_rows(dataset, split))
        assert rows, f"{name}: split {split!r} has no row"
        for number, row in enumerate(rows, 1):
            _require_plain(f"{name}: row {number} of {split!r}", row)
        assert list(_rows(dataset, split)) == rows, f"{name}: rows({split!r}) called twice gives other rows or orders"
        ids = [row["id"] for row in rows if "id" in row]
        assert len(set(map(str, ids))) == len(ids), f"{name}: split {split!r} has an id twice"
    _require_error_for_unknown_split(name, dataset)


def _rows(dataset: Dataset, split: str) -> Iterator[Mapping[str, JSON]]:
    return itertools.islice(dataset.rows(split), ROWS)


def _require_plain(where: str, row: Mapping[str, JSON]) -> None:
    assert isinstance(row, Mapping), f"{where} is a {type(row).__name__}, not a mapping of columns"
    assert all(isinstance(key, str) for key in row), f"{where}: column names must be strings"
    try:
        json.dumps(dict(row), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{where} is not plain JSON: {error}") from error


def _require_error_for_unknown_split(name: str, dataset: Dataset) -> None:
    try:
        list(_rows(dataset, "no-such-split"))
    except RLHFError:
        return
    except Exception as error:
        raise AssertionError(f"{name}: an unknown split raises {type(error).__name__}, not RLHFError") from error
    raise AssertionError(f"{name}: rows('no-such-split') must raise RLHFError naming the splits there are")
