"""What became of the data on its way from the sources to rows: counted, named, and told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rlhf_core.contract.records import JSON

EXAMPLES = 5
"""So many record ids are kept per reason."""


@dataclass
class Dropped:
    """Records left out for one reason: how many, and the first few by id."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, record_id: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(record_id)


@dataclass(frozen=True)
class Lengths:
    """Token counts of one part of the rows: their extremes, mean, and a histogram by powers of two.

    ``histogram["65-128"]`` counts the lengths from 65 to 128.
    """

    count: int
    shortest: int
    mean: float
    longest: int
    histogram: Mapping[str, int]

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Lengths:
        """Raises: ValueError when there are none."""
        histogram: dict[int, int] = {}
        for length in lengths:
            power = max(0, (length - 1).bit_length())
            histogram[power] = histogram.get(power, 0) + 1
        bins = {_bin(power): histogram[power] for power in sorted(histogram)}
        return cls(len(lengths), min(lengths), sum(lengths) / len(lengths), max(lengths), bins)


def _bin(power: int) -> str:
    low, high = 2**power // 2 + 1, 2**power
    return str(high) if low >= high else f"{low}-{high}"


@dataclass
class DataReport:
    """Counts of one split. Loading fills the first part, encoding the second.

    Args:
        sources: records taken from each source, after mixing.
        read: rows read; kept: records given on.
        dropped: by reason.
        fingerprint: sha256 over the content of the records in order, without ids and file names.
        rows: rows made; truncated: completions cut at their limit; drifted: completions tokenised apart from their
            prompt; special: records whose text holds a special token's string, kept as plain text.
        prompt_tokens, completion_tokens: BOS and EOS included.
        notes: what a reader should know beside the numbers.
    """

    sources: dict[str, int] = field(default_factory=dict)
    read: int = 0
    kept: int = 0
    dropped: dict[str, Dropped] = field(default_factory=dict)
    fingerprint: str = ""
    rows: int = 0
    truncated: int = 0
    drifted: int = 0
    special: int = 0
    prompt_tokens: Lengths | None = None
    completion_tokens: Lengths | None = None
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, record_id: str) -> None:
        self.dropped.setdefault(reason, Dropped()).add(record_id)

    def as_json(self) -> dict[str, JSON]:
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """What is to be said of it, one line each: the count first, then all that was left out or changed."""
        mixed = f" ({', '.join(f'{name} {count}' for name, count in self.sources.items())})"
        lines = [
            f"{_count(self.kept, 'record')} of {_count(self.read, 'row')}" + (mixed if len(self.sources) > 1 else "")
        ]
        for reason, dropped in sorted(self.dropped.items()):
            more = ", …" if dropped.count > len(dropped.examples) else ""
            lines.append(f"{dropped.count} dropped, {reason}: {', '.join(dropped.examples)}{more}")
        if self.truncated:
            lines.append(f"{_count(self.truncated, 'completion')} cut at their length limit, without EOS")
        if self.special:
            lines.append(f"{_count(self.special, 'record')} with the string of a special token, kept as plain text")
        return lines + self.notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
