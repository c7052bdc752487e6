"""Data sets that a plugin brings or makes, beside files and hub names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from .records import JSON


class Dataset(Protocol):
    """Gives raw rows; core maps their columns to records like those of a file. An ``id`` column is kept as it is."""

    def rows(self, split: str) -> Iterator[Mapping[str, JSON]]:
        """Rows of ``train``, ``validation``, ``test`` or another split it documents, always in the same order.

        Raises: RLHFError naming the splits there are.
        """
