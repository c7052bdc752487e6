"""A row as it was read, before anybody knows what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlhf_core.contract.records import JSON


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """One row of a source.

    Args:
        source: the short name of the file, hub data set or component.
        row: 1-based number of the row; for JSON lines and text that is the line.
        line: 1-based line on which it starts, where the source is a text file.
        columns: as read.
    """

    source: str
    row: int
    line: int | None
    columns: Mapping[str, JSON]

    @property
    def where(self) -> str:
        return place(self.source, self.row, self.line)


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A row that cannot be used, and why; ``message`` is whole, with file and row."""

    row: int
    message: str


class Malformed(ValueError):
    """A column that is not what it has to be; told with file and row by the caller, who knows them.

    Args:
        column: its name, after the recipe's ``map``.
        message: expected and found.
        inside: the place in the column, such as ``[2].content``.
    """

    def __init__(self, column: str, message: str, inside: str = "") -> None:
        super().__init__(f"{column}{inside}: {message}")
        self.column, self.message, self.inside = column, message, inside


def place(source: str, row: int, line: int | None) -> str:
    """``pairs.jsonl:7`` where rows are lines, ``pairs.json: record 7 (line 38)`` where they are not."""
    if line == row:
        return f"{source}:{row}"
    return f"{source}: record {row}" + ("" if line is None else f" (line {line})")


def kind_of(value: JSON) -> str:
    """What a JSON value is, for messages: ``null``, ``a number (3)`` …"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, int | float):
        return f"a number ({value})"
    if isinstance(value, str):
        return f"text ({value[:30]!r})"
    return "a list" if isinstance(value, list) else "an object"


def text_value(value: JSON, column: str, inside: str = "") -> str:
    """Raises: Malformed when the value is not text, or holds half a character (a lone ``\\ud83d``)."""
    if not isinstance(value, str):
        raise Malformed(column, f"expected text, found {kind_of(value)}", inside)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(value[error.start]):04x} at character {error.start + 1}"
        raise Malformed(column, f"expected text, found half a character ({half})", inside) from None
    return value
