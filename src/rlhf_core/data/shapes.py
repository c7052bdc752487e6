"""Raw rows to the record class that a trainer learns from."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import JSON, Record

from .layouts import KNOWN_COLUMNS, LAYOUTS, Found, Layout, Request
from .rawrow import BadRow, Malformed, RawRow, kind_of, text_value

ALIASES = {
    "prompt": ("question", "query", "instruction", "input", "text", "title"),
    "completion": ("response", "answer", "output", "reply", "target", "story"),
    "chosen": ("good", "preferred", "winner", "better", "accepted"),
    "rejected": ("bad", "dispreferred", "loser", "worse", "refused"),
    "text": ("content", "body", "document", "sentence", "passage"),
    "label": ("class", "sentiment", "category", "target"),
}
"""Names that others use, to guess the ``map`` of an error message. Never used to read data."""

RecordT = TypeVar("RecordT", bound=Record)

COMPLETIONS = ("completion", "chosen", "rejected")


@dataclass
class Shaped(Generic[RecordT]):
    """What became of the rows of a source.

    Args:
        dropped: (reason, record id) of rows that are well formed but teach nothing.
    """

    records: list[RecordT] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Target(Generic[RecordT]):
    """The record class that rows are to become: its fields beside ``id`` and ``fields``.

    A plugin's own class works like those of the contract: a field that no layout gives is read from the column of its
    name.
    """

    record_class: type[RecordT]
    names: tuple[str, ...]
    required: frozenset[str]
    hints: Mapping[str, Any]

    @classmethod
    def of(cls, record_class: type[RecordT]) -> Target[RecordT]:
        own = [one for one in dataclasses.fields(record_class) if one.name not in ("id", "fields")]
        missing = dataclasses.MISSING
        required = frozenset(one.name for one in own if one.default is missing and one.default_factory is missing)
        return cls(record_class, tuple(one.name for one in own), required, typing.get_type_hints(record_class))


def shape_rows(
    rows: Sequence[RawRow],
    record_class: type[RecordT],
    *,
    source: str,
    map: Mapping[str, str],
    turns: Literal["last", "all"] = "last",
) -> Shaped[RecordT]:
    """Records of all rows; those that cannot be are listed, not raised one by one.

    Args:
        source: what messages call it.
        map: column by record field, as the recipe has it.
        turns: which assistant turns of a chat.
    Raises: RLHFError when the source as a whole has no layout that gives what the record class needs, with the columns
        that there are and a ``map`` to try.
    """
    target = Target.of(record_class)
    _check_map(rows, target, source, map)
    layout = _choose(rows, target.required, source, map)
    request = Request(frozenset(target.names), turns)
    shaped = Shaped[RecordT]()
    for row in rows:
        try:
            made = _records_of(row, target, layout, request, map)
        except Malformed as error:
            column = map.get(error.column, error.column)
            shaped.bad.append(BadRow(row=row.row, message=f"{row.where}: {column}{error.inside}: {error.message}"))
            continue
        for record in made:
            reason = _teaches_nothing(record, target, layout)
            if reason is None:
                shaped.records.append(record)
            else:
                shaped.dropped.append((reason, record.id))
    return shaped


def _records_of(
    row: RawRow, target: Target[RecordT], layout: Layout, request: Request, map: Mapping[str, str]
) -> list[RecordT]:
    columns = _mapped(row.columns, map)
    for name in layout.columns:
        if name not in columns:
            raise _no_column(name, row.columns)
    found = layout.read(columns, request)
    identity = _identity(row, columns)
    ids = [identity] if len(found) == 1 else [f"{identity}#turn{number}" for number in range(1, len(found) + 1)]
    return [
        target.record_class(id=one, fields=dict(row.columns), **_values(target, values, columns))
        for one, values in zip(ids, found, strict=True)
    ]


def _no_column(name: str, columns: Mapping[str, JSON]) -> Malformed:
    return Malformed(name, f"no such column in this row (columns: {', '.join(columns) or 'none'})")


def _mapped(columns: Mapping[str, JSON], map: Mapping[str, str]) -> dict[str, JSON]:
    return {**columns, **{name: columns[column] for name, column in map.items() if column in columns}}


def _identity(row: RawRow, columns: Mapping[str, JSON]) -> str:
    if "id" not in columns:
        return f"{row.source}:{row.row}"
    value = columns["id"]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise Malformed("id", f"expected a name or whole number, found {kind_of(value)}")
    return str(value)


def _values(target: Target[RecordT], found: Found, columns: Mapping[str, JSON]) -> dict[str, Any]:
    """A value for each field of the record class: from the layout, or from the column of the same name."""
    values: dict[str, Any] = {}
    for name in target.names:
        if name in found:
            values[name] = found[name]
        elif name in columns:
            values[name] = _converted(columns[name], target.hints[name], name)
        elif name in target.required:
            raise _no_column(name, columns)
    return values


def _converted(value: JSON, hint: Any, column: str) -> Any:
    """A column as the type that the record's field has. Numbers may come as text, from CSV."""
    if hint is str:
        return text_value(value, column)
    if hint is bool and not isinstance(value, bool):
        raise Malformed(column, f"expected true or false, found {kind_of(value)}")
    return _number(value, hint, column) if hint in (int, float) else value


def _number(value: JSON, hint: type, column: str) -> int | float:
    expected = "a whole number" if hint is int else "a number"
    problem = Malformed(column, f"expected {expected}, found {kind_of(value)}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise problem
    try:
        number = float(value)
    except ValueError:
        raise problem from None
    if not math.isfinite(number) or (hint is int and not number.is_integer()):
        raise problem
    return int(number) if hint is int else number


def _teaches_nothing(record: Record, target: Target[Any], layout: Layout) -> str | None:
    """Why a well-formed record is left out, or None. Two texts that share nothing are a pair with an empty prompt."""
    values = {name: getattr(record, name) for name in target.names}
    if layout.columns != ("chosen", "rejected") and not values.get("prompt", True):
        return "empty prompt"
    for name in COMPLETIONS:
        if not values.get(name, "text").strip():
            return f"empty {name}"
    if "chosen" in values and "rejected" in values and values["chosen"].strip() == values["rejected"].strip():
        return "chosen equals rejected"
    return "empty text" if not values.get("text", "text").strip() else None


def _choose(rows: Sequence[RawRow], required: frozenset[str], source: str, map: Mapping[str, str]) -> Layout:
    """The first layout that gives most of what is required, other columns giving the rest.

    It counts as there when most rows have its columns. Most, not all: a row that lacks a column is a bad row, told as
    such, and decides nothing for the others.
    """
    counts = Counter(name for row in rows for name in _mapped(row.columns, map))
    usual = {name for name, count in counts.items() if count * 2 >= len(rows)}
    there = [one for one in LAYOUTS if usual.issuperset(one.columns) and required <= one.gives | usual]
    if there:
        return max(there, key=lambda one: len(one.gives & required))
    raise RLHFError(_no_layout(sorted(required), source, _all_columns(rows)))


def _all_columns(rows: Sequence[RawRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.columns))


def _no_layout(required: list[str], source: str, columns: list[str]) -> str:
    guesses = {name: _guess(name, columns) for name in required if name not in columns}
    example = ", ".join(f"{name}: {guess or 'COLUMN'}" for name, guess in guesses.items())
    needed = " and ".join((", ".join(required[:-1]), required[-1])) if len(required) > 1 else required[0]
    near = [f"'{guess}' for {name}" for name, guess in guesses.items() if guess]
    hint = f" (did you mean {', '.join(near)}?)" if near else ""
    return (
        f"{source}: the trainer needs {needed}; the columns are {', '.join(columns)}{hint}; "
        f"name them beside the source: map: {{{example}}}"
    )


def _guess(name: str, columns: list[str]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    near = difflib.get_close_matches(name, lower, n=1)
    known = [alias for alias in ALIASES.get(name, ()) if alias in lower]
    best = near or known
    return lower[best[0]] if best else None


def _check_map(rows: Sequence[RawRow], target: Target[Any], source: str, map: Mapping[str, str]) -> None:
    known = sorted(KNOWN_COLUMNS.union(target.names))
    columns = _all_columns(rows)
    for name, column in map.items():
        if name not in known:
            raise RLHFError(f"{source}: map: {name}: unknown name{_near(name, known)}; known: {', '.join(known)}")
        if column not in columns:
            found = f"the columns are {', '.join(columns)}"
            raise RLHFError(f"{source}: map: {name}: no column '{column}'{_near(column, columns)}; {found}")


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
