"""The store of labels: rows are added and never changed, and what was answered for is on the disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.labels import AskedPair
from rlhf_core.store.labels import LabelSet, Place, SQLiteLabels

SET = LabelSet(id="s", run="/r", baseline="base", evaluation="e", selection="random", seed=0)
PAIRS = [AskedPair(group=f"g{i}", prompt=f"p{i}", run=f"run {i}", baseline=f"base {i}") for i in range(3)]
WAY = [Place(number=2, left="run"), Place(number=0, left="baseline"), Place(number=2, left="baseline", repeat=True)]


@pytest.fixture
def store(tmp_path: Path) -> SQLiteLabels:
    made = SQLiteLabels(tmp_path / "new" / "labels.sqlite")
    made.add_set(SET, PAIRS)
    made.join("s", "ana", lambda _: WAY)
    return made


def test_what_was_written_is_read_by_another_process(store: SQLiteLabels) -> None:
    assert store.choose("s", "ana", 0, "left", seconds=1.5)
    other = SQLiteLabels.existing(store.path)
    assert (other.sets(), other.pairs("s")) == ([SET], PAIRS)
    way = other.way("s", "ana")
    assert (way.places, way.choices, way.current) == (WAY, {0: "left"}, 1)
    (label,) = other.labels()
    assert (label.pair, label.winner, label.left, label.repeat) == (PAIRS[2], "run", "run", False)


def test_a_rater_has_one_way_and_the_next_one_is_told_what_is_taken(store: SQLiteLabels) -> None:
    store.join("s", "ana", lambda _: [])
    assert store.way("s", "ana").places == WAY
    seen: list[frozenset[int]] = []

    def plan(given: frozenset[int]) -> list[Place]:
        seen.append(given)
        return []

    store.join("s", "bo", plan)
    assert seen == [frozenset({0, 2})]
    store.add_set(SET, [])
    assert store.pairs("s") == PAIRS


def test_undo_adds_a_row_and_frees_the_last_place(store: SQLiteLabels) -> None:
    assert not store.undo("s", "ana", 0)
    store.choose("s", "ana", 0, "left", seconds=0)
    store.choose("s", "ana", 1, "tie", seconds=0)
    assert store.undo("s", "ana", 2)
    assert store.way("s", "ana").current == 1
    store.choose("s", "ana", 1, "both-bad", seconds=0)
    assert [label.choice for label in store.labels()] == ["left", "both-bad"]
    assert store.undo("s", "ana", 2)
    assert store.undo("s", "ana", 1)
    assert store.labels() == []
    rows = sqlite3.connect(store.path).execute("SELECT place, choice FROM labels ORDER BY id").fetchall()
    assert rows == [(0, "left"), (1, "tie"), (1, "undo"), (1, "both-bad"), (1, "undo"), (0, "undo")]


def test_a_choice_for_another_place_than_the_current_one_is_not_written(store: SQLiteLabels) -> None:
    assert store.choose("s", "ana", 0, "left", seconds=0)
    for place in (0, 2, None, -1, 7):
        assert not store.choose("s", "ana", place, "right", seconds=0)
    assert not store.undo("s", "ana", 0)
    assert store.way("s", "ana").choices == {0: "left"}


@pytest.mark.parametrize("table", ["sets", "pairs", "places", "labels"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_nothing_that_was_written_can_be_changed(store: SQLiteLabels, table: str, change: str) -> None:
    store.choose("s", "ana", 0, "left", seconds=0)
    other = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="labels are added, never changed"):
        other.execute(change.format(table))


def test_of_many_answers_to_one_item_one_is_kept(store: SQLiteLabels) -> None:
    stores = [SQLiteLabels(store.path) for _ in range(2)]
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda s=one: taken.append(s.choose("s", "ana", 0, "left", seconds=0)))
        for one in stores * 8
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 15 + [True]
    assert len(store.labels()) == 1


def test_a_choice_outlives_a_kill_right_after_it(store: SQLiteLabels) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from rlhf_core.store.labels import SQLiteLabels\n"
        "assert SQLiteLabels(Path(sys.argv[1])).choose('s', 'ana', 0, 'right', seconds=0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.path)], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert SQLiteLabels(store.path).way("s", "ana").choices == {0: "right"}


def test_what_is_no_store_of_labels_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(RLHFError, match="is no store of labels"):
        SQLiteLabels(path)
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE t (x)")
    with pytest.raises(RLHFError, match="format 0 is not 1"):
        SQLiteLabels(other)
    with pytest.raises(RLHFError, match="no labels there"):
        SQLiteLabels.existing(tmp_path / "none")
