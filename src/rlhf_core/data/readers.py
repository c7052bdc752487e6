"""Files to raw rows, with the file, row and line of each kept for messages.

Own readers rather than those of ``datasets``, which report a malformed line without file or line and let nulls and
numbers through where text belongs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import JSON

from .documents import DocumentRules, documents
from .files import BOM, check_file, not_utf8, read_utf8
from .rawrow import BadRow, RawRow, kind_of, place

Rows = Iterator[RawRow | BadRow]


def read(path: Path, *, name: str | None = None, rules: DocumentRules | None = None) -> Rows:
    """The rows of a file in order, and a ``BadRow`` for each that cannot be read. Blank lines are no rows.

    Args:
        name: what messages and ids call the file; its own name by default.
        rules: what a document of a text file is.
    Raises: RLHFError when the file as a whole cannot be read: missing, empty, no UTF-8, a broken JSON array.
    """
    check_file(path)
    name = name or path.name
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return read_json_lines(path, name)
        case ".json":
            return read_json(path, name)
        case ".csv":
            return read_csv(path, name, delimiter=",")
        case ".tsv":
            return read_csv(path, name, delimiter="\t")
        case ".parquet":
            return read_parquet(path, name)
        case _:
            return read_text(path, name, rules or DocumentRules())


def _refuse_constant(constant: str) -> JSON:
    raise ValueError(f"{constant} is no JSON number")


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    columns = dict(pairs)
    if len(columns) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' stands twice")
    return columns


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeated_keys)


def _why(error: ValueError, column_offset: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno + column_offset}"
    return str(error)


def read_json_lines(path: Path, name: str) -> Rows:
    """One object per line; the row number is the line number."""
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            start, offset = offset, offset + len(raw)
            line = raw.removeprefix(BOM) if number == 1 else raw
            if line.strip():
                yield _json_line(line, name, number, start + len(raw) - len(line))


def _json_line(raw: bytes, name: str, number: int, offset: int) -> RawRow | BadRow:
    where = f"{name}:{number}"
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        message = not_utf8(where, raw[error.start], offset + error.start, raw if number == 1 else b"")
        return BadRow(row=number, message=message)
    try:
        value = _DECODER.decode(text)
    except ValueError as error:
        hint = "; a JSON array over several lines is read from a file named .json" if text in ("[", "{") else ""
        return BadRow(row=number, message=f"{where}: not JSON ({_why(error)}){hint}")
    if not isinstance(value, dict):
        return BadRow(row=number, message=f"{where}: expected an object of columns, found {kind_of(value)}")
    return RawRow(source=name, row=number, line=number, columns=value)


def read_json(path: Path, name: str) -> Rows:
    """An array of objects; a file of objects one after another, although named .json, is read as well.

    Raises: RLHFError at the first break: nothing after it can be told apart.
    """
    text = read_utf8(path)
    position = _skip_blanks(text, 0)
    if position == len(text):
        raise RLHFError(f"{name}: the file is empty; expected an array of records")
    is_array = text[position] == "["
    if not is_array and text[position] != "{":
        raise RLHFError(f"{name}: expected an array of objects, found it to start with {text[position]!r}")
    if is_array:
        position = _skip_blanks(text, position + 1)
    yield from _elements(text, position, name, is_array)


def _elements(text: str, position: int, name: str, is_array: bool) -> Rows:
    row, line, counted = 0, 1, 0
    while position < len(text) and not (is_array and text[position] == "]"):
        row += 1
        line, counted = line + text.count("\n", counted, position), position
        where = place(name, row, line)
        try:
            value, end = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise RLHFError(f"{where}: not JSON ({error.msg} at line {error.lineno}, column {error.colno})") from None
        except ValueError as error:
            raise RLHFError(f"{where}: not JSON ({error})") from None
        yield _element(value, name, row, line)
        position = _skip_separator(text, end, where, is_array)
    if is_array and position >= len(text):
        raise RLHFError(f"{name}: the array is never closed: ']' is missing after record {row}; is the file cut off?")
    if is_array and (rest := text[position + 1 :].strip()):
        raise RLHFError(f"{name}: text after the end of the array: {rest[:30]!r}")


def _element(value: JSON, name: str, row: int, line: int) -> RawRow | BadRow:
    if isinstance(value, dict):
        return RawRow(source=name, row=row, line=line, columns=value)
    found = f"{place(name, row, line)}: expected an object of columns, found {kind_of(value)}"
    return BadRow(row=row, message=found)


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\n\r":
        position += 1
    return position


def _skip_separator(text: str, position: int, where: str, is_array: bool) -> int:
    """From the end of an element to the start of the next, or to the closing bracket."""
    position = _skip_blanks(text, position)
    if not is_array or position == len(text) or text[position] == "]":
        return position
    if text[position] != ",":
        raise RLHFError(f"{where}: not JSON (',' or ']' expected after the record, found {text[position]!r})")
    position = _skip_blanks(text, position + 1)
    if position < len(text) and text[position] == "]":
        raise RLHFError(f"{where}: not JSON (a ',' after the last record)")
    return position


def read_csv(path: Path, name: str, *, delimiter: str) -> Rows:
    """A header and records, quoted as in RFC 4180; every cell is text. Rows are counted without the header."""
    csv.field_size_limit(2**31 - 1)  # the default, 131072, is shorter than some conversations
    reader = csv.reader(io.StringIO(read_utf8(path)), delimiter=delimiter, strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
    except csv.Error as error:
        raise RLHFError(f"{name}:1: not CSV ({error})") from None
    _check_header(header, name)
    row = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote left open swallows all that follows it, so that nothing after it can be told apart.
            raise RLHFError(f"{place(name, row + 1, line)}: not CSV ({error})") from None
        if not cells:
            continue
        row += 1
        yield _csv_row(header, cells, name, row, line)


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise RLHFError(f"{name}:1: the header is empty; the first line names the columns")
    for column in header:
        if header.count(column) > 1:
            raise RLHFError(f"{name}:1: the column '{column}' stands twice in the header")


def _csv_row(header: list[str], cells: list[str], name: str, row: int, line: int) -> RawRow | BadRow:
    if len(cells) != len(header):
        count = f"expected {len(header)} cells ({', '.join(header)}), found {len(cells)}"
        return BadRow(row=row, message=f"{place(name, row, line)}: {count}; put cells with commas in quotes")
    return RawRow(source=name, row=row, line=line, columns=dict(zip(header, cells, strict=True)))


def read_text(path: Path, name: str, rules: DocumentRules) -> Rows:
    """Documents of running text in one column, ``text``; the row number is the line on which the document starts."""
    for line, text in documents(read_utf8(path), name, rules):
        yield RawRow(source=name, row=line, line=line, columns={"text": text})


def read_parquet(path: Path, name: str) -> Rows:
    """Rows of a Parquet file, streamed: nothing is copied to the cache of ``datasets``."""
    import datasets

    try:
        table = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        for number, columns in enumerate(table, start=1):
            yield RawRow(source=name, row=number, line=None, columns=plain_columns(columns))
    except Exception as error:
        raise RLHFError(f"{name}: cannot be read as Parquet ({str(error).splitlines()[0]})") from error


def plain_columns(columns: Mapping[str, Any]) -> dict[str, JSON]:
    """Columns as JSON values: what ``datasets`` gives as dates, bytes or arrays becomes text or lists."""
    return {name: _plain(value) for name, value in columns.items()}


def _plain(value: Any) -> JSON:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return plain_columns(value)
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)
