"""Several sources in one list of records, by weight. No chance is involved: the same sources give the same list."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from rlhf_core.contract.records import Record

RecordT = TypeVar("RecordT", bound=Record)


def mix(
    sources: Sequence[Sequence[RecordT]], weights: Sequence[float | None], *, limit: int | None = None
) -> list[list[RecordT]]:
    """Of each source the records that take part in one epoch, in order.

    Without any weight every record is taken once. With weights (1 where a source has none) the epoch is as long as all
    sources together, and the shares follow the weights: a source that has too many records gives evenly spaced ones,
    one that has too few repeats them; a repeat's id ends in ``#2``, ``#3`` …

    Args:
        limit: at most so many records in all; each source then gives the first of its own, in the same shares.
    """
    taken = [list(source) for source in sources]
    if any(weight is not None for weight in weights):
        present = [
            0.0 if not source else 1.0 if weight is None else weight
            for source, weight in zip(sources, weights, strict=True)
        ]
        shares = apportion(sum(map(len, sources)), present)
        taken = [_stretch(source, share) for source, share in zip(sources, shares, strict=True)]
    total = sum(map(len, taken))
    if limit is None or limit >= total:
        return taken
    return [part[:share] for part, share in zip(taken, apportion(limit, [len(part) for part in taken]), strict=True)]


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to ``total``, in the proportion of ``weights``, by largest remainders."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    exact = [total * weight / whole for weight in weights]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: (shares[index] - exact[index], index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


def _stretch(records: Sequence[RecordT], count: int) -> list[RecordT]:
    if count <= len(records):
        return [records[index * len(records) // count] for index in range(count)]
    copies: Counter[str] = Counter()
    stretched = []
    for index in range(count):
        record = records[index % len(records)]
        copies[record.id] += 1
        number = copies[record.id]
        stretched.append(record if number == 1 else dataclasses.replace(record, id=f"{record.id}#{number}"))
    return stretched
