"""Documents of a plain text file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rlhf_core.contract.errors import RLHFError


@dataclass(frozen=True, kw_only=True)
class DocumentRules:
    """See the fields of the same names in ``SourceOptions``."""

    documents: Literal["paragraphs", "lines", "file"] | int = "paragraphs"
    start_after: str | None = None
    end_before: str | None = None


def documents(text: str, name: str, rules: DocumentRules) -> Iterator[tuple[int, str]]:
    """(1-based line of its start, document), in order; blank lines belong to no paragraph.

    Raises: RLHFError when a mark of the rules stands in no line.
    """
    lines = text.split("\n")
    first, last = _bounds(lines, name, rules)
    numbered = list(enumerate(lines[first:last], start=first + 1))
    match rules.documents:
        case "lines":
            yield from ((number, line) for number, line in numbered if line.strip())
        case "file":
            yield from _gather(numbered, None)
        case "paragraphs":
            yield from _gather(numbered, 0)
        case characters:
            yield from _gather(numbered, characters)


def _bounds(lines: list[str], name: str, rules: DocumentRules) -> tuple[int, int]:
    first, last = 0, len(lines)
    if rules.start_after is not None:
        first = _line_with(lines, 0, rules.start_after, name, "start_after") + 1
    if rules.end_before is not None:
        last = _line_with(lines, first, rules.end_before, name, "end_before")
    return first, last


def _line_with(lines: list[str], first: int, mark: str, name: str, key: str) -> int:
    for number in range(first, len(lines)):
        if mark in lines[number]:
            return number
    raise RLHFError(f"{name}: {key}: no line contains {mark!r}; copy a part of the line as it stands in the file")


def _gather(numbered: list[tuple[int, str]], characters: int | None) -> Iterator[tuple[int, str]]:
    """Whole paragraphs, joined as they stand until they have ``characters``; all of them where it is None."""
    start, held = 0, list[str]()
    size = 0
    for number, line in numbered:
        if line.strip():
            start = start or number
        elif characters is not None and size and size >= characters:
            yield start, "\n".join(held).rstrip()
            start, held, size = 0, [], 0
        if start:
            held.append(line)
            size += len(line) + 1
    if start:
        yield start, "\n".join(held).rstrip()
