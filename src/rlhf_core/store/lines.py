"""JSON lines that only grow: one object per line, a half-written last line tolerated after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..contract.errors import RLHFError
from .atomic import write_text

MEND = "delete the line or restore the file"


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One write for all rows, so that a crash leaves at most the last line cut."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def read(path: Path) -> list[dict[str, Any]]:
    """All rows. A last line without its end is what a crash left, and is passed over.

    Raises: RLHFError naming file and line where a complete line is no JSON object.
    """
    if not path.is_file():
        return []
    complete = path.read_text("utf-8").rpartition("\n")[0]
    return [parse(path, number, line, mend=MEND) for number, line in enumerate(complete.split("\n"), 1) if line]


def keep(path: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
    """Rewrite the file with the rows that are wanted."""
    if path.is_file():
        rows = [row for row in read(path) if wanted(row)]
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def parse(path: Path, number: int, line: str, *, mend: str) -> dict[str, Any]:
    """Raises: RLHFError naming file and line, with the mend where it is no JSON."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RLHFError(f"{path}:{number}: not JSON ({error.msg}); {mend}") from error
    if not isinstance(row, dict):
        raise RLHFError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
    return row
