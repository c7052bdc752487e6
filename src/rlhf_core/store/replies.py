"""Replies of judges in one SQLite file: every call that was made, committed before the next one counts on it."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..contract.errors import RLHFError
from ..contract.records import JSON
from ..contract.replies import Call, Spent

DEFAULT_REPLIES: Final = Path("runs") / "judge-replies.sqlite"
FORMAT: Final = 1
_COLUMNS: Final = tuple(field.name for field in fields(Call))
_BUSY_SECONDS = 30.0

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, judge TEXT NOT NULL, server TEXT NOT NULL,
  model TEXT NOT NULL, protocol TEXT NOT NULL, request TEXT NOT NULL, outcome TEXT NOT NULL, text TEXT NOT NULL,
  raw TEXT NOT NULL, detail TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
  usd REAL, possibly_usd REAL NOT NULL, request_id TEXT NOT NULL, seconds REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_key ON calls (key, outcome);
CREATE TABLE IF NOT EXISTS remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class SQLiteReplies:
    """A :class:`rlhf_core.contract.replies.ReplyStore` in a file.

    Raises: RLHFError when the file is no store of ours, or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # One connection under one lock: SQLite writes one at a time in any case.
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            raise RLHFError(f"{path}: is no store of judge replies ({error}); name another file") from error

    def find(self, key: str) -> Call | None:
        query = f"SELECT {', '.join(_COLUMNS)} FROM calls WHERE key = ? AND outcome != 'error' ORDER BY id DESC LIMIT 1"
        with self._lock:
            row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else _call(row)

    def add(self, call: Call) -> None:
        row: dict[str, Any] = asdict(call)
        row["request"] = json.dumps(row["request"], ensure_ascii=False)
        row["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        names = ", ".join(row)
        with self._lock, self._connection:
            self._connection.execute(
                f"INSERT INTO calls ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )

    def calls(self) -> list[Call]:
        """All of them, in the order in which they ended."""
        with self._lock:
            rows = self._connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM calls ORDER BY id").fetchall()
        return [_call(row) for row in rows]

    def spent(self) -> Spent:
        sums = (
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(reply_tokens), 0), "
            "coalesce(sum(usd), 0.0), coalesce(sum(possibly_usd), 0.0) FROM calls"
        )
        with self._lock:
            calls, prompt, reply, usd, possibly = self._connection.execute(sums).fetchone()
            outcomes = dict(self._connection.execute("SELECT outcome, count(*) FROM calls GROUP BY outcome"))
        return Spent(
            calls=calls, prompt_tokens=prompt, reply_tokens=reply, usd=usd, possibly_usd=possibly, outcomes=outcomes
        )

    def recall(self, name: str) -> JSON:
        with self._lock:
            row = self._connection.execute("SELECT value FROM remembered WHERE name = ?", (name,)).fetchone()
        found: JSON = None if row is None else json.loads(row[0])
        return found

    def remember(self, name: str, value: JSON) -> None:
        with self._lock, self._connection:
            self._connection.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (name, json.dumps(value)))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        # Write-ahead log: a reader does not stop a writer, and what is committed outlives the process.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version != FORMAT and tables:
            raise RLHFError(f"{self.path}: format {version} is not {FORMAT}; name another file, or update rlhf_core")
        with self._connection:
            self._connection.executescript(_TABLES)
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")


def _call(row: tuple[Any, ...]) -> Call:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Call(**{**values, "request": json.loads(values["request"])})
