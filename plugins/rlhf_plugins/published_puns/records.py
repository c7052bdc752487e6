"""The published file as typed values: an array of records of four texts, one of which may be absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import Problems, RLHFError

PUBLISHED_AT: Final = "https://github.com/JacksonPaull/RLHF"
PROMPT, CONVERSATION, RESPONSE = "Direct Prompt", "Conversation Prompt", "Example Response"


@dataclass(frozen=True)
class PublishedPun:
    """One record.

    Args:
        row: 1-based place in the file.
        direct: the request: "make a pun about …".
        conversation: what speaker A says, where B's answer is the pun.
    """

    row: int
    direct: str
    conversation: str | None
    response: str

    @property
    def key(self) -> str:
        """What tells prompts apart: sha256 of the request in lower case with single spaces."""
        return hashlib.sha256(" ".join(self.direct.lower().split()).encode()).hexdigest()


def read(file: str) -> list[PublishedPun]:
    """All records in order.

    Raises: RLHFError when there is no such file or it is no JSON array; Problems with every bad row.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise RLHFError(f"published-puns: no file {path.absolute()}; take it from {PUBLISHED_AT} and name it as file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RLHFError(f"{path.name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise RLHFError(f"{path.name}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from None
    if not isinstance(rows, list) or not rows:
        found = "an empty one" if rows == [] else type(rows).__name__
        raise RLHFError(f"{path.name}: expected an array of records with '{PROMPT}' and '{RESPONSE}', found {found}")
    problems = [problem for row, columns in enumerate(rows, 1) for problem in _problems(path.name, row, columns)]
    if problems:
        raise Problems(problems)
    return [_record(row, columns) for row, columns in enumerate(rows, start=1)]


def _record(row: int, columns: dict[str, str | None]) -> PublishedPun:
    said = (columns.get(CONVERSATION) or "").strip()
    return PublishedPun(row, str(columns[PROMPT]).strip(), said or None, str(columns[RESPONSE]).strip())


def _problems(name: str, row: int, columns: Any) -> Iterator[str]:
    where = f"{name}: record {row}"
    if not isinstance(columns, dict):
        yield f"{where}: expected an object of columns, found {type(columns).__name__}"
        return
    for column in (PROMPT, RESPONSE):
        value = columns.get(column)
        if column not in columns:
            yield f"{where}: no column '{column}' (columns: {', '.join(columns) or 'none'})"
        elif not isinstance(value, str) or not value.strip():
            yield f"{where}: {column}: expected text, found {json.dumps(value)[:40]}"
    said = columns.get(CONVERSATION)
    if said is not None and not isinstance(said, str):
        yield f"{where}: {CONVERSATION}: expected text or nothing, found {json.dumps(said)[:40]}"
