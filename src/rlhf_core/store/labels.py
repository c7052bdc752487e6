"""Labels by people in one SQLite file. Rows are added and never changed; to undo one is to add another."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from ..contract.errors import RLHFError
from ..contract.labels import AskedPair, Choice, Label, Side

DEFAULT_LABELS: Final = Path("runs") / "labels.sqlite"
FORMAT: Final = 1
UNDO: Final = "undo"
_BUSY_SECONDS = 30.0
_GROWING = ("sets", "pairs", "places", "labels")

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS sets (
  id TEXT PRIMARY KEY, at TEXT NOT NULL, run TEXT NOT NULL, baseline TEXT NOT NULL, evaluation TEXT NOT NULL,
  selection TEXT NOT NULL, seed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS pairs (
  set_id TEXT NOT NULL REFERENCES sets, number INTEGER NOT NULL, prompt_id TEXT NOT NULL, prompt TEXT NOT NULL,
  run_text TEXT NOT NULL, baseline_text TEXT NOT NULL, PRIMARY KEY (set_id, number)
);
CREATE TABLE IF NOT EXISTS places (
  set_id TEXT NOT NULL, rater TEXT NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL, left_side TEXT NOT NULL,
  repeat INTEGER NOT NULL, PRIMARY KEY (set_id, rater, place), FOREIGN KEY (set_id, number) REFERENCES pairs
);
CREATE TABLE IF NOT EXISTS labels (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, set_id TEXT NOT NULL, rater TEXT NOT NULL, place INTEGER NOT NULL,
  choice TEXT NOT NULL, seconds REAL NOT NULL, FOREIGN KEY (set_id, rater, place) REFERENCES places
);
""" + "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'labels are added, never changed'); END;\n"
    for table in _GROWING
    for verb in ("UPDATE", "DELETE")
)


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """Pairs that are labelled together. ``selection``: how they were chosen out of the evaluation's, and ordered."""

    id: str
    run: str
    baseline: str
    evaluation: str
    selection: Literal["random", "uncertain"]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """A step of a rater's way: the pair's number, whose completion stands left, whether it came before."""

    number: int
    left: Side
    repeat: bool = False


@dataclass(frozen=True, kw_only=True)
class Way:
    """A rater's places in their order, with the choices that stand. ``last``: the place that ``undo`` would free."""

    places: Sequence[Place]
    choices: dict[int, Choice]
    last: int | None

    @property
    def current(self) -> int | None:
        """The first place without a choice; None at the end."""
        return next((place for place in range(len(self.places)) if place not in self.choices), None)


class SQLiteLabels:
    """See the module. Raises: RLHFError when the file is no store of ours, or of another format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        # Without a level of isolation of its own, Python leaves BEGIN and COMMIT to us.
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )  # fmt: skip
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            raise RLHFError(f"{path}: is no store of labels ({error}); name another file") from error

    @classmethod
    def existing(cls, path: Path) -> SQLiteLabels:
        """Raises: RLHFError when there is no such file."""
        if not path.is_file():
            raise RLHFError(f"{path}: no labels there; make some: rlhf label RUN --baseline base")
        return cls(path)

    def add_set(self, chosen: LabelSet, pairs: Sequence[AskedPair]) -> None:
        """Nothing is written where the set is there already."""
        with self._writing():
            if self._connection.execute("SELECT 1 FROM sets WHERE id = ?", (chosen.id,)).fetchone():
                return
            head = (chosen.id, _now(), chosen.run, chosen.baseline, chosen.evaluation, chosen.selection, chosen.seed)
            self._connection.execute("INSERT INTO sets VALUES (?, ?, ?, ?, ?, ?, ?)", head)
            self._connection.executemany(
                "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?)",
                [(chosen.id, number, p.group, p.prompt, p.run, p.baseline) for number, p in enumerate(pairs)],
            )

    def sets(self) -> list[LabelSet]:
        query = "SELECT id, run, baseline, evaluation, selection, seed FROM sets ORDER BY at"
        names = ("id", "run", "baseline", "evaluation", "selection", "seed")
        return [LabelSet(**dict(zip(names, row, strict=True))) for row in self._read(query)]

    def pairs(self, set_id: str) -> list[AskedPair]:
        """In the order of their numbers."""
        query = "SELECT prompt_id, prompt, run_text, baseline_text FROM pairs WHERE set_id = ? ORDER BY number"
        return [_pair(*row) for row in self._read(query, set_id)]

    def join(self, set_id: str, rater: str, plan: Callable[[frozenset[int]], Sequence[Place]]) -> None:
        """Give a rater a way through the set, once and for all.

        Args:
            plan: makes it of the numbers of pairs that other raters have been given.
        """
        with self._writing():
            given = self._connection.execute("SELECT rater, number FROM places WHERE set_id = ?", (set_id,)).fetchall()
            if any(name == rater for name, _ in given):
                return
            self._connection.executemany(
                "INSERT INTO places VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (set_id, rater, at, place.number, place.left, place.repeat)
                    for at, place in enumerate(plan(frozenset(number for _, number in given)))
                ],
            )

    def way(self, set_id: str, rater: str) -> Way:
        with self._lock:
            return self._way(set_id, rater)

    def choose(self, set_id: str, rater: str, place: int | None, choice: Choice, *, seconds: float) -> bool:
        """Write a choice, committed when this returns. False, and nothing written, unless ``place`` is the current
        one: a key pressed twice, or a second window, is no second answer."""
        with self._writing():
            if place is None or self._way(set_id, rater).current != place:
                return False
            self._insert(set_id, rater, place, choice, seconds)
        return True

    def undo(self, set_id: str, rater: str, place: int | None) -> bool:
        """Free the place that was chosen last. False unless ``place`` is the current one, and there is one to free."""
        with self._writing():
            way = self._way(set_id, rater)
            if way.current != place or way.last is None:
                return False
            self._insert(set_id, rater, way.last, UNDO, 0.0)
        return True

    def labels(self) -> list[Label]:
        """All that stand, in the order in which they were given."""
        query = (
            "SELECT l.set_id, l.rater, l.place, l.choice, w.number, w.left_side, w.repeat, p.prompt_id, p.prompt, "
            "p.run_text, p.baseline_text FROM labels l JOIN places w USING (set_id, rater, place) "
            "JOIN pairs p ON p.set_id = w.set_id AND p.number = w.number ORDER BY l.id"
        )
        standing: dict[tuple[str, str, int], Label] = {}
        for set_id, rater, place, choice, number, left, repeat, *pair in self._read(query):
            standing.pop((set_id, rater, place), None)
            if choice != UNDO:
                standing[set_id, rater, place] = Label(
                    set_id=set_id, number=number, pair=_pair(*pair), rater=rater, choice=choice, left=left,
                    repeat=bool(repeat),
                )  # fmt: skip
        return list(standing.values())

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _way(self, set_id: str, rater: str) -> Way:
        places = self._connection.execute(
            "SELECT number, left_side, repeat FROM places WHERE set_id = ? AND rater = ? ORDER BY place",
            (set_id, rater),
        ).fetchall()
        rows = self._connection.execute(
            "SELECT place, choice FROM labels WHERE set_id = ? AND rater = ? ORDER BY id", (set_id, rater)
        ).fetchall()
        choices: dict[int, Choice] = {}
        for place, choice in rows:
            # Popped first, so that what was chosen anew is the last one again.
            choices.pop(place, None)
            if choice != UNDO:
                choices[place] = choice
        return Way(
            places=[Place(number=number, left=left, repeat=bool(repeat)) for number, left, repeat in places],
            choices=choices,
            last=next(reversed(choices), None),
        )

    def _insert(self, set_id: str, rater: str, place: int, choice: str, seconds: float) -> None:
        self._connection.execute(
            "INSERT INTO labels (at, set_id, rater, place, choice, seconds) VALUES (?, ?, ?, ?, ?, ?)",
            (_now(), set_id, rater, place, choice, seconds),
        )

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _writing(self) -> _Transaction:
        return _Transaction(self._connection, self._lock)

    def _open(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        # FULL: a label that was answered for is on the disk, not in its cache.
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA foreign_keys=ON")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version != FORMAT and tables:
            raise RLHFError(f"{self.path}: format {version} is not {FORMAT}; name another file, or update rlhf_core")
        self._connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")


class _Transaction:
    """What is read inside is still so when it is written: nobody else writes in between."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self._connection, self._lock = connection, lock

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()


def _pair(group: str, prompt: str, run: str, baseline: str) -> AskedPair:
    return AskedPair(group=group, prompt=prompt, run=run, baseline=baseline)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
