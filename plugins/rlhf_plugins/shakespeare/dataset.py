"""Labelled passages in parts, and the prompt that text starts from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.contract.records import JSON

from .options import SentimentOptions, TextStartsOptions

Row = Mapping[str, JSON]

PUBLISHED_AT: Final = "https://github.com/ZiyueWang25/RLHF-Shakespeare"
ENDS: Final[Mapping[str, float]] = {"reward": 0.4, "judge": 0.8, "validation": 1.0}
"""Where a part ends in [0, 1), the hashes of the passages. The judge's labels are others than the reward model's."""
COLUMNS: Final = ("sample", "sentiment")
STARTS_SPLITS: Final = ("train", "validation", "test")
_WORD: Final = re.compile(r"\S+")


class Sentiment:
    """See :class:`~.options.SentimentOptions`."""

    def __init__(self, options: SentimentOptions) -> None:
        self.options = options

    def rows(self, split: str) -> Iterator[Row]:
        """Splits: reward and judge (40 % each, to train two models apart) and validation (20 %, for both)."""
        _check(split, tuple(ENDS), "shakespeare-sentiment")
        rows = (row for row in read_labels(self.options.file) if part_of(str(row["sample"])) == split)
        return rows if self.options.words is None else pieces(rows, self.options.words)


class TextStarts:
    """See :class:`~.options.TextStartsOptions`."""

    def __init__(self, options: TextStartsOptions) -> None:
        self.options = options

    def rows(self, split: str) -> Iterator[Row]:
        """Splits: train, validation, test, alike but for their ids."""
        _check(split, STARTS_SPLITS, "text-starts")
        for number in range(1, self.options.count + 1):
            yield {"id": f"start-{split}-{number}", "prompt": self.options.prompt, "draw": number}


def pieces(rows: Iterable[Row], words: int) -> Iterator[Row]:
    """Each row's passage in pieces of exactly so many words with the spaces between them, behind a line break as the
    published passages stand; ids are numbered."""
    for row in rows:
        found = list(_WORD.finditer(str(row["sample"])))
        for number, first in enumerate(range(0, len(found) - words + 1, words), start=1):
            piece = str(row["sample"])[found[first].start() : found[first + words - 1].end()]
            yield {**row, "id": f"{row['id']}#{number}", "sample": f"\n{piece}"}


def part_of(sample: str) -> str:
    """By the passage's words alone, so that a copy that differs in spaces is in the same part."""
    digest = hashlib.sha256(" ".join(sample.split()).encode()).hexdigest()
    place = int(digest[:8], 16) / 16**8
    return next(part for part, end in ENDS.items() if place < end)


def read_labels(file: str) -> list[dict[str, JSON]]:
    """All rows with an id by line.

    Raises: RLHFError when there is no such file; Problems with every bad line.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise RLHFError(f"shakespeare-sentiment: no file {path.absolute()}; it is published at {PUBLISHED_AT}")
    rows, problems = list[dict[str, JSON]](), list[str]()
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            if line.strip():
                rows.append({"id": f"{path.name}:{number}", **_columns(line)})
        except ValueError as error:
            problems.append(f"{path.name}:{number}: {error}")
    if problems:
        raise Problems(problems)
    return rows


def _columns(line: bytes) -> dict[str, JSON]:
    """Raises: ValueError saying what is wrong with the line (of which JSON and UTF-8 errors are kinds)."""
    columns: Any = json.loads(line.decode("utf-8"))
    if not isinstance(columns, dict):
        raise ValueError(f"expected an object of columns, found {type(columns).__name__}")
    for name in COLUMNS:
        value = columns.get(name)
        if name not in columns:
            raise ValueError(f"no column '{name}' (columns: {', '.join(columns) or 'none'})")
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name}: expected text, found {json.dumps(value)[:40]}")
    return {name: columns[name] for name in COLUMNS}


def _check(split: str, known: tuple[str, ...], name: str) -> None:
    if split not in known:
        raise RLHFError(f"{name}: no split {split!r}; there are {', '.join(known)}")
