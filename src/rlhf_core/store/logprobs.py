"""Logprobs that were worked out once, in a SQLite file per model, found again by what they depend on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..contract.errors import RLHFError

_BUSY_SECONDS = 30.0
_MOST_NAMES = 500
"""In one question; SQLite takes at least 999."""


def cache_folder() -> Path:
    """``$RLHF_CACHE``, else ``rlhf_core`` in the user's folder for what can be worked out again."""
    if stated := os.environ.get("RLHF_CACHE"):
        return Path(stated)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlhf_core"


class SQLiteLogprobs:
    """Bytes by name, safe for several processes at once; what was added is there after a crash.

    Raises: RLHFError when the file cannot be opened or is of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS logprobs (name BLOB PRIMARY KEY, value BLOB NOT NULL)")
            self._connection.commit()
        except (OSError, sqlite3.Error) as error:
            raise RLHFError(f"{path}: no logprobs can be kept there ({error}); set RLHF_CACHE") from error

    def find(self, names: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of ``names`` that are there."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(names), _MOST_NAMES):
            part = names[start : start + _MOST_NAMES]
            marks = ", ".join("?" * len(part))
            found |= self._connection.execute(f"SELECT name, value FROM logprobs WHERE name IN ({marks})", part)
        return found

    def add(self, values: Mapping[bytes, bytes]) -> None:
        """Of two that add one name the first is kept: whoever asks again is told the same."""
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO logprobs VALUES (?, ?)", values.items())
